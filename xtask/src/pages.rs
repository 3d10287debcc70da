//! What is made from the help of `grid`: its man pages, and `docs/cli.md`.

use std::fs;
use std::path::PathBuf;

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::tests;
use crate::workspace::{Metadata, root};

/// The page that holds the help of every command.
pub(crate) const CLI: &str = "docs/cli.md";

/// Writes a man page for every command into `dir`, or into `man` beside the other artefacts.
pub(crate) fn man(dir: Option<PathBuf>) -> Outcome {
    let dir = match dir {
        // Relative to where we were called, not to the root where the program runs.
        Some(dir) => std::path::absolute(&dir)
            .map_err(|error| Stop::Failed(format!("{}: {error}", dir.display())))?,
        None => Metadata::load()?.target_directory.join("man"),
    };
    let mut command = grid(["pages", "man"]);
    process::run(command.arg(&dir))?;
    Ok(Done::With(format!("written to {}", dir.display())))
}

/// Writes `docs/cli.md` anew.
pub(crate) fn cli_docs() -> Outcome {
    fs::write(root().join(CLI), markdown()?)
        .map_err(|error| Stop::Failed(format!("{CLI}: {error}")))?;
    Ok(Done::Ok)
}

/// What `docs/cli.md` has to say.
pub(crate) fn markdown() -> Result<String, Stop> {
    process::capture(&mut grid(["pages", "markdown"]))
}

/// The same by the program that the tests are built with: by itself it takes other features of its dependencies, and these
/// would be built once more.
pub(crate) fn markdown_of_tests() -> Result<String, Stop> {
    tests::build()?;
    process::capture(process::program(tests::grid()?).args(["pages", "markdown"]))
}

fn grid<const N: usize>(args: [&str; N]) -> std::process::Command {
    let mut command = process::cargo(["run", "--quiet", "--package", "grid-cli", "--"]);
    command.args(args);
    command
}
