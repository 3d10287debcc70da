//! How a command ends when it does not end well.

use std::{borrow::Cow, process::ExitCode};

/// Why a command failed, sorted by the exit code that tells it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What the user gave can't be used; nothing was started. Exit code 2.
    #[error("{0}")]
    BadInput(String),
    /// The command ran and failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// A signal ended the command before it was done. Exit code 130.
    #[error("interrupted")]
    Interrupted,
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
        match self {
            Self::BadInput(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Interrupted => ExitCode::from(130),
        }
    }

    /// The text on one line, whatever a source or a value that it names put into it.
    pub(crate) fn line(&self) -> String {
        printable(self.to_string().trim_end()).into_owned()
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
    fn a_failure_is_one_line() {
        let failure = Failure::bad("'a\n b\u{1b}[2J é' is wrong\n");
        assert_eq!(failure.line(), "'a\\n b\\u{1b}[2J é' is wrong");
    }
}
