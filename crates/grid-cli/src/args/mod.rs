//! The command line: what clap reads, and the checked values that the commands run with.

mod demo;
mod node;
mod values;

use std::ffi::OsString;

use clap::{Parser, Subcommand, error::ErrorKind};

pub(crate) use self::{
    demo::{DemoArgs, DemoConfig},
    node::{NodeArgs, NodeConfig},
    values::Span,
};
use crate::failure::{Failure, one_line};

/// A grid of nodes: one link per pair that heals itself, requests and streams both ways.
#[derive(Debug, Parser)]
#[command(name = "grid", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node with the probe handlers until SIGINT or SIGTERM.
    Node(NodeArgs),
    /// Watch four nodes exchange a directory tree while their connections are cut.
    Demo(DemoArgs),
    /// One node of the demo; talks to its parent over stdin and stdout.
    #[command(hide = true)]
    DemoNode,
}

/// What the arguments ask for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Command),
    /// Help or the version, to be printed on stdout.
    Show(String),
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    match Cli::try_parse_from(args) {
        Ok(cli) => Ok(Parsed::Run(cli.command)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Parsed::Show(error.render().to_string()))
            }
            _ => Err(Failure::bad(first_paragraph(&error.render().to_string()))),
        },
    }
}

/// Clap's message without its usage and hints: what stands before the first empty line.
fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let paragraph: Vec<&str> = text
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .collect();
    one_line(&paragraph.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Parsed, Failure> {
        parse(
            std::iter::once("grid")
                .chain(words.iter().copied())
                .map(OsString::from),
        )
    }

    #[test]
    fn clap_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_missing_argument_is_named_on_one_line() {
        let failure = parse_words(&["node", "--local", "http://127.0.0.1:9001"]).unwrap_err();
        let line = failure.line();
        assert!(line.contains("--peers"), "{line}");
        assert!(!line.contains("Usage"), "{line}");
        assert!(matches!(failure, Failure::BadInput(_)));
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let line = parse_words(&["demo", "--speed", "9"]).unwrap_err().line();
        assert!(line.contains("--speed"), "{line}");
    }

    #[test]
    fn help_and_version_are_no_failures() {
        assert!(
            matches!(parse_words(&["--help"]), Ok(Parsed::Show(text)) if text.contains("demo"))
        );
        assert!(
            matches!(parse_words(&["--version"]), Ok(Parsed::Show(text)) if text.starts_with("grid "))
        );
    }

    #[test]
    fn the_demos_node_is_not_advertised() {
        assert!(
            matches!(parse_words(&["--help"]), Ok(Parsed::Show(text)) if !text.contains("demo-node"))
        );
        assert!(matches!(
            parse_words(&["demo-node"]),
            Ok(Parsed::Run(Command::DemoNode))
        ));
    }
}
