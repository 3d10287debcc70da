//! The shared token: where it comes from, and a type that does not show it.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use crate::{credentials, failure::Failure};

/// The environment variable that holds the token.
pub(crate) const TOKEN_VARIABLE: &str = "GRID_TOKEN";

/// What whoever gives a token as an argument is told.
pub(crate) const ON_COMMAND_LINE: &str =
    "a token given by --token shows in the process list; prefer --token-file or GRID_TOKEN";

/// A token; its text appears in no debug output.
#[derive(Clone)]
pub(crate) struct Token {
    text: String,
    on_command_line: bool,
}

impl Token {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            on_command_line: false,
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether everybody on this machine can read it in the process list.
    pub(crate) fn is_on_command_line(&self) -> bool {
        self.on_command_line
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// What stands behind `--token`, not looked at yet; it appears in no debug output either.
#[derive(Clone)]
pub(crate) struct GivenToken(String);

impl GivenToken {
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl From<String> for GivenToken {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for GivenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenToken(…)")
    }
}

/// The places where a token may stand; an argument goes before the environment.
#[derive(Default)]
pub(crate) struct TokenSource {
    pub(crate) flag: Option<String>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) env: Option<OsString>,
}

impl TokenSource {
    pub(crate) fn read(self) -> Result<Token, Failure> {
        if let Some(text) = self.flag {
            if text.is_empty() {
                return Err(Failure::bad("--token: '' is empty"));
            }
            return Ok(Token {
                on_command_line: true,
                ..carried("--token: the token", text)?
            });
        }
        if let Some(path) = self.file {
            return read_token_file("--token-file", &path);
        }
        match self.env.map(OsString::into_string) {
            Some(Ok(text)) if !text.is_empty() => {
                carried(&format!("the token in {TOKEN_VARIABLE}"), text)
            }
            Some(Err(_)) => Err(Failure::bad(format!(
                "the token in {TOKEN_VARIABLE} is no text"
            ))),
            _ => Err(Failure::bad(format!(
                "no token: set {TOKEN_VARIABLE} or give --token-file FILE (other kinds: \
                 --shared-secret-file, --jwt-access-key, --no-auth)"
            ))),
        }
    }
}

/// The token that stands at `place`, where it can be shown at all.
fn carried(place: &str, text: String) -> Result<Token, Failure> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Token::new(text));
    }
    Err(Failure::bad(format!(
        "{place} holds a space, or another character that no header can carry"
    )))
}

/// Reads the token in the file that `option` names.
pub(crate) fn read_token_file(option: &str, path: &Path) -> Result<Token, Failure> {
    let text = credentials::from_file(option, path)?;
    carried(&format!("{option}: '{}'", path.display()), text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::ffi::OsStringExt};

    use super::*;

    #[test]
    fn an_argument_goes_before_the_environment() {
        let token = TokenSource {
            flag: Some("a".into()),
            file: None,
            env: Some("b".into()),
        }
        .read()
        .unwrap();
        assert_eq!(token.text(), "a");
        assert!(token.is_on_command_line());
        let token = TokenSource {
            env: Some("b".into()),
            ..TokenSource::default()
        }
        .read()
        .unwrap();
        assert_eq!(token.text(), "b");
        assert!(!token.is_on_command_line());
    }

    #[test]
    fn an_environment_that_is_no_text_matters_only_where_it_is_needed() {
        let garbled = || Some(OsString::from_vec(vec![0xff]));
        let token = TokenSource {
            flag: Some("a".into()),
            file: None,
            env: garbled(),
        };
        assert_eq!(token.read().unwrap().text(), "a");
        let token = TokenSource {
            env: garbled(),
            ..TokenSource::default()
        };
        assert!(token.read().unwrap_err().line().contains("GRID_TOKEN"));
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let line = TokenSource {
            file: Some("/dev/zero".into()),
            ..TokenSource::default()
        }
        .read()
        .unwrap_err()
        .line();
        assert!(
            line.contains("'/dev/zero'") && line.contains("more than"),
            "{line}"
        );
    }

    #[test]
    fn a_file_loses_its_line_end_and_nothing_else() {
        let path = std::env::temp_dir().join(format!("grid-token-{}", std::process::id()));
        fs::write(&path, "se\u{7c}cret\r\n\n").unwrap();
        let token = TokenSource {
            file: Some(path.clone()),
            ..TokenSource::default()
        }
        .read()
        .unwrap();
        assert_eq!(token.text(), "se|cret");
        fs::write(&path, "\n").unwrap();
        let line = TokenSource {
            file: Some(path.clone()),
            ..TokenSource::default()
        }
        .read()
        .unwrap_err()
        .line();
        assert!(
            line.contains("is empty") && line.contains("grid-token-"),
            "{line}"
        );
        fs::remove_file(&path).unwrap();
        let line = TokenSource {
            file: Some(path),
            ..TokenSource::default()
        }
        .read()
        .unwrap_err()
        .line();
        assert!(
            line.contains("can't be read") && line.contains("grid-token-"),
            "{line}"
        );
    }

    #[test]
    fn a_token_that_no_header_carries_is_refused_and_not_shown() {
        let path = std::env::temp_dir().join(format!("grid-token-bad-{}", std::process::id()));
        for text in ["hu sh", " hush", "hush\u{e9}", "hu\nsh", "hush\t", "hush\0"] {
            fs::write(&path, text).unwrap();
            let of = |flag: Option<&str>, file: bool, env: Option<&str>| {
                let source = TokenSource {
                    flag: flag.map(str::to_owned),
                    file: file.then(|| path.clone()),
                    env: env.map(OsString::from),
                };
                source.read().unwrap_err().line()
            };
            for (line, place) in [
                (of(Some(text), false, None), "--token: "),
                (of(None, true, None), "--token-file: '"),
                (of(None, false, Some(text)), "GRID_TOKEN"),
            ] {
                assert!(
                    line.contains(place) && line.contains("no header can carry"),
                    "{line}"
                );
                assert!(!line.contains("hu"), "{line}");
            }
        }
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn no_token_is_not_an_open_grid() {
        assert!(TokenSource::default().read().is_err());
        assert!(
            TokenSource {
                env: Some(OsString::new()),
                ..TokenSource::default()
            }
            .read()
            .is_err()
        );
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", Token::new("hush")).contains("hush"));
        let given = GivenToken::from("hush".to_owned());
        assert!(!format!("{given:?}").contains("hush"));
        assert_eq!(given.into_text(), "hush");
    }
}
