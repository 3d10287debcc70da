//! What is made from the help of the commands: completions, man pages, and `docs/cli.md`.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command, CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::{cli::Cli, failure::Failure, output};

/// Pages are as wide whatever terminal they are made in.
const WIDTH: usize = 100;

#[derive(Args, Debug)]
#[command(after_help = "Example:
  grid completions bash > /etc/bash_completion.d/grid")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Args, Debug)]
pub(crate) struct PagesArgs {
    /// Which pages.
    kind: Kind,
    /// The directory that man pages are written to; it is made where it is not there.
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A page for each command, into a directory.
    Man,
    /// All commands as one page of Markdown, to stdout.
    Markdown,
}

/// Writes the completions to stdout.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "grid", &mut script);
    output::print(&script, "the script is cut")
}

/// Writes the pages that were asked for.
pub(crate) fn run(args: &PagesArgs) -> Result<(), Failure> {
    match (args.kind, &args.dir) {
        (Kind::Markdown, None) => output::print(markdown().as_bytes(), "the page is cut"),
        (Kind::Man, Some(dir)) => {
            let failed =
                |error: io::Error| Failure::failed(format!("'{}': {error}", dir.display()));
            fs::create_dir_all(dir).map_err(failed)?;
            for (name, page) in man().map_err(failed)? {
                output::write_file(&dir.join(name), &page)?;
            }
            Ok(())
        }
        _ => Err(Failure::bad("give 'man DIR' or 'markdown'")),
    }
}

fn command() -> Command {
    let mut command = Cli::command().term_width(WIDTH);
    command.build();
    command
}

/// The commands that are shown, with the words by which each is called.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command
        .get_subcommands()
        .filter(|command| !command.is_hide_set() && command.get_name() != "help")
}

/// Every page with its file name.
fn man() -> io::Result<Vec<(String, Vec<u8>)>> {
    let grid = command();
    let page = |command: &Command| {
        let name = match command.get_name() {
            "grid" => "grid".to_owned(),
            name => format!("grid-{name}"),
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone().name(name.clone())).render(&mut page)?;
        Ok((format!("{name}.1"), page))
    };
    std::iter::once(&grid)
        .chain(shown(&grid))
        .map(page)
        .collect()
}

fn markdown() -> String {
    let mut grid = command();
    let mut page = String::from(
        "# The commands of `grid`\n\nMade from the help of the program by `cargo xtask cli-docs`; change it there.\n\n",
    );
    page.push_str(&section("grid", &mut grid));
    let names: Vec<String> = shown(&grid)
        .map(|command| command.get_name().to_owned())
        .collect();
    for name in names {
        if let Some(command) = grid.find_subcommand_mut(&name) {
            page.push_str(&section(&format!("grid {name}"), command));
        }
    }
    page
}

fn section(title: &str, command: &mut Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!(
        "## {title}\n\n```text\n{}\n```\n\n",
        lines.join("\n").trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_an_example() {
        let grid = command();
        let pages = man().unwrap();
        assert_eq!(pages.len(), 1 + shown(&grid).count());
        let page = markdown();
        for command in shown(&grid) {
            let name = command.get_name();
            assert!(page.contains(&format!("## grid {name}\n")), "{name}");
            let help = command.clone().render_long_help().to_string();
            assert!(
                help.contains("Example") && help.contains(&format!("grid {name} ")),
                "{name} has no example:\n{help}"
            );
        }
        assert!(!page.contains("demo-node") && !page.contains("## grid pages"));
    }

    #[test]
    fn there_are_completions_for_every_shell() {
        for shell in Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command(), "grid", &mut script);
            assert!(
                String::from_utf8(script).unwrap().contains("peers"),
                "{shell}"
            );
        }
    }
}
