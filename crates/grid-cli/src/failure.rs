//! How a command ends when it does not end well.

use std::{borrow::Cow, process::ExitCode};

/// Why a command failed, sorted by the exit code that tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// What the user gave can't be used; nothing was started. Exit code 2.
    #[error("{0}")]
    BadInput(String),
    /// The command ran and failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The remote answered with an error, which is its text. Exit code 1.
    #[error("remote: {0}")]
    Remote(String),
    /// There is no link, so nothing was sent. Exit code 3.
    #[error("{0}")]
    NotConnected(String),
    /// The deadline passed without an answer. Exit code 4.
    #[error("{0}")]
    Deadline(String),
    /// A signal ended the command before it was done. Exit code 130.
    #[error("{0}")]
    Interrupted(String),
    /// Nobody reads what the command writes. Exit code 141, as of a program that SIGPIPE ended.
    #[error("the reader of stdout has gone: {0}")]
    Unread(&'static str),
}

impl Failure {
    /// Input that can't be used: the text names the value.
    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::BadInput(text.into())
    }

    /// A run that failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) | Self::Remote(_) => 1,
            Self::BadInput(_) => 2,
            Self::NotConnected(_) => 3,
            Self::Deadline(_) => 4,
            Self::Interrupted(_) => 130,
            Self::Unread(_) => 141,
        })
    }

    /// The text on one line, whatever a source or a value that it names put into it.
    pub(crate) fn line(&self) -> String {
        printable(self.to_string().trim_end()).into_owned()
    }

    /// The line as it stands on stderr: what a remote says is marked as that, all else as ours.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Remote(_) => self.line(),
            _ => format!("grid: {}", self.line()),
        }
    }
}

/// The text with its control characters written out: a value keeps what it is, and does nothing to
/// the terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Joins the lines of a text by spaces.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_told_apart_from_us() {
        let told = Failure::Remote("no\nsuch disk".into()).told();
        assert_eq!(told, "remote: no\\nsuch disk");
        assert_eq!(Failure::failed("no disk").told(), "grid: no disk");
    }

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::bad("'a\n b\u{1b}[2J é' is wrong\n");
        assert_eq!(failure.line(), "'a\\n b\\u{1b}[2J é' is wrong");
    }
}
