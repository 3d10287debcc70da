//! Running other programs.

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use crate::report::Stop;
use crate::workspace;

/// A command in the root of the workspace, without input and without what `cargo run` told *us*
/// about ourselves: a child that builds something must not take our package for its own.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(workspace::root()).stdin(Stdio::null());
    for (key, _) in env::vars_os() {
        let ours = key.to_str().is_some_and(|key| {
            key.starts_with("CARGO_PKG_")
                || key.starts_with("CARGO_MANIFEST_")
                || key == "CARGO_PRIMARY_PACKAGE"
        });
        if ours {
            command.env_remove(key);
        }
    }
    command
}

/// The cargo that runs us, in the root of the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = program(cargo);
    command.args(args);
    command
}

/// Cargo of another toolchain, by way of rustup.
pub(crate) fn cargo_of<S: AsRef<OsStr>>(
    toolchain: &str,
    args: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = program("rustup");
    // Both would overrule the toolchain that is asked for.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command.args(["run", toolchain, "cargo"]).args(args);
    command
}

fn shown(command: &Command) -> String {
    let name = PathBuf::from(command.get_program());
    let name = name
        .file_name()
        .unwrap_or_else(|| command.get_program())
        .to_string_lossy()
        .into_owned();
    let args = command
        .get_args()
        .map(|arg| arg.to_string_lossy().into_owned());
    std::iter::once(name)
        .chain(args)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a command that writes to our terminal.
pub(crate) fn run(command: &mut Command) -> Result<(), Stop> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command
        .status()
        .map_err(|error| Stop::Failed(format!("can't run `{shown}`: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Stop::Failed(format!("`{shown}` ended with {status}")))
    }
}

/// Runs a command and returns what it wrote to its standard output.
pub(crate) fn capture(command: &mut Command) -> Result<String, Stop> {
    let shown = shown(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Stop::Failed(format!("can't run `{shown}`: {error}")))?;
    if !output.status.success() {
        return Err(Stop::Failed(format!(
            "`{shown}` ended with {}",
            output.status
        )));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Stop::Failed(format!("`{shown}` wrote something that is no UTF-8")))
}

/// Runs a command that writes to our terminal, and returns what it wrote there. That it failed is for the caller to
/// find in what it said.
pub(crate) fn tee(command: &mut Command) -> Result<String, Stop> {
    let shown = shown(command);
    println!("$ {shown}");
    let failed = |error: io::Error| Stop::Failed(format!("can't run `{shown}`: {error}"));
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let said = thread::scope(|scope| {
        let other = scope.spawn(|| stderr.map(|stderr| copied(stderr, io::stderr())));
        let mut said = stdout.map(|stdout| copied(stdout, io::stdout()));
        if let Some(text) = said.as_mut() {
            text.push_str(&other.join().ok().flatten().unwrap_or_default());
        }
        said.unwrap_or_default()
    });
    child.wait().map_err(failed)?;
    Ok(said)
}

/// Copies line by line, so that nothing waits in a buffer, and keeps it.
fn copied(from: impl Read, mut to: impl Write) -> String {
    let mut said = String::new();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line);
        // A terminal that has gone is no reason to lose the result.
        let _ = to.write_all(text.as_bytes());
        said.push_str(&text);
        line.clear();
    }
    said
}

/// Whether a command can be run and succeeds; what it says is thrown away.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
