//! The command line: which command, with which arguments.

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use crate::{
    call::CallArgs,
    decode::DecodeArgs,
    demo::DemoArgs,
    failure::{Failure, one_line},
    load::LoadArgs,
    node::NodeArgs,
    pages::{CompletionsArgs, PagesArgs},
    peers::PeersArgs,
    ping::PingArgs,
    stream::StreamArgs,
    top::TopArgs,
};

/// Run, call, watch, load and decode a grid of nodes.
///
/// A grid is one link per pair of nodes that heals itself, with requests and streams both ways.
#[derive(Debug, Parser)]
#[command(name = "grid", version = crate::version(), arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node with the probe handlers until SIGINT or SIGTERM.
    Node(NodeArgs),
    /// Make one single request and write its answer.
    Call(CallArgs),
    /// Open a stream: items from stdin, answers to stdout.
    Stream(StreamArgs),
    /// Measure the round-trip time of a link.
    Ping(PingArgs),
    /// Put load on a node and measure rate and latency.
    Load(LoadArgs),
    /// Watch the links of a running node.
    Top(TopArgs),
    /// Show recorded messages, one line each.
    Decode(DecodeArgs),
    /// Show who dials whom.
    Peers(PeersArgs),
    /// Write the completions for a shell.
    Completions(CompletionsArgs),
    /// Watch four nodes exchange a directory tree while their connections are cut.
    Demo(DemoArgs),
    /// One node of the demo; talks to its parent over stdin and stdout.
    #[command(hide = true)]
    DemoNode,
    /// The pages that are made from this help.
    #[command(hide = true)]
    Pages(PagesArgs),
}

/// What the arguments ask for.
#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Box<Command>),
    /// Help or the version, to be printed on stdout.
    Show(String),
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    let args: Vec<OsString> = args.into_iter().collect();
    match Cli::try_parse_from(&args) {
        Ok(cli) => Ok(Parsed::Run(Box::new(cli.command))),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Ok(Parsed::Show(error.render().to_string()))
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::bad(no_command())),
            ErrorKind::InvalidUtf8 => Err(Failure::bad(no_text(&args))),
            _ => Err(Failure::bad(first_paragraph(&error.render().to_string()))),
        },
    }
}

/// Names the commands that there are.
fn no_command() -> String {
    let cli = Cli::command();
    let shown = cli
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    let names: Vec<String> = shown
        .map(|command| format!("'{}'", command.get_name()))
        .collect();
    format!("no command: give one of {}, or --help", names.join(", "))
}

/// Names the first argument that is no text by the one before it too, so that an option's value is
/// found; a token is not shown.
fn no_text(args: &[OsString]) -> String {
    let mut before = "";
    for arg in args {
        let Some(text) = arg.to_str() else {
            let shown = arg.to_string_lossy();
            if before == "--token" || shown.starts_with("--token=") {
                return "--token: its value is no text".to_owned();
            }
            return if before.starts_with("--") {
                format!("{before}: '{shown}' is no text")
            } else {
                format!("the argument '{shown}' is no text")
            };
        };
        before = text;
    }
    "an argument is no text".to_owned()
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
    use std::os::unix::ffi::OsStringExt;

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
    fn without_a_command_the_commands_are_named() {
        let line = parse_words(&[]).unwrap_err().line();
        assert!(line.contains("'node'") && line.contains("'demo'"), "{line}");
    }

    #[test]
    fn an_argument_that_is_no_text_is_named_unless_it_is_the_token() {
        let garbled = || OsString::from_vec(b"x\xffy".to_vec());
        let refused = |words: &[&str], last: OsString| {
            let words = std::iter::once(&"grid").chain(words).map(OsString::from);
            parse(words.chain([last])).unwrap_err().line()
        };
        let line = refused(&["node", "--local"], garbled());
        assert!(line.starts_with("--local: 'x\u{fffd}y'"), "{line}");
        let line = refused(&["node", "--token"], garbled());
        assert!(line.contains("--token") && !line.contains('y'), "{line}");
        let line = refused(&["node"], OsString::from_vec(b"--token=\xffy".to_vec()));
        assert!(line.contains("--token") && !line.contains('y'), "{line}");
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
            Ok(Parsed::Run(command)) if matches!(*command, Command::DemoNode)
        ));
    }
}
