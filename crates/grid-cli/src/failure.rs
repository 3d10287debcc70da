//! How a command ends when it does not end well.

use std::process::ExitCode;

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

    /// The text on one line, whatever a source put into it.
    pub(crate) fn line(&self) -> String {
        one_line(&self.to_string())
    }
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
        let failure = Failure::bad("first\n   second\n");
        assert_eq!(failure.line(), "first second");
    }
}
