//! The options by which a kind of credentials is chosen.

use std::path::PathBuf;

use clap::Args;
use grid_transport::Jwt;

use super::{
    Credentials, Environment,
    environment::{ACCESS_KEY_VARIABLE, JWT_SECRET_VARIABLE, SHARED_SECRET_VARIABLE, text},
    from_file,
};
use crate::{
    failure::Failure,
    token::{GivenToken, TOKEN_VARIABLE, Token, TokenSource},
};

/// Given to each option by itself: a heading of the whole would be that of what comes behind it too.
const HEADING: &str = "Tokens";

/// All nodes of a grid have credentials of the same kind. An option goes before the environment.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CredentialArgs {
    /// The token that all nodes share; it shows in the process list, so prefer --token-file or the
    /// environment variable GRID_TOKEN.
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "TEXT",
        conflicts_with_all = ["token_file", "shared_secret_file", "jwt_access_key", "jwt_secret_file", "no_auth"]
    )]
    pub(crate) token: Option<GivenToken>,
    /// A file that holds the token.
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "FILE",
        conflicts_with_all = ["shared_secret_file", "jwt_access_key", "jwt_secret_file", "no_auth"]
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// A file that holds a secret which all nodes know and none shows: tokens are proofs of it
    /// (HMAC-SHA256) for two names and a time. Or the environment variable GRID_SHARED_SECRET.
    #[arg(
        long,
        help_heading = HEADING,
        value_name = "FILE",
        conflicts_with_all = ["jwt_access_key", "jwt_secret_file", "no_auth"]
    )]
    pub(crate) shared_secret_file: Option<PathBuf>,
    /// Show JSON web tokens (HS512) for this access key, as MinIO nodes do, and want the same of
    /// others. Or the environment variable GRID_JWT_ACCESS_KEY.
    #[arg(long, help_heading = HEADING, value_name = "KEY", conflicts_with = "no_auth")]
    pub(crate) jwt_access_key: Option<String>,
    /// A file that holds the secret key behind --jwt-access-key. Or the environment variable
    /// GRID_JWT_SECRET.
    #[arg(long, help_heading = HEADING, value_name = "FILE", conflicts_with = "no_auth")]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// No tokens: whoever reaches the port and knows a name of the list belongs to the grid.
    #[arg(long, help_heading = HEADING)]
    pub(crate) no_auth: bool,
}

impl CredentialArgs {
    /// An option that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--token", self.token.is_some()),
            ("--token-file", self.token_file.is_some()),
            ("--shared-secret-file", self.shared_secret_file.is_some()),
            ("--jwt-access-key", self.jwt_access_key.is_some()),
            ("--jwt-secret-file", self.jwt_secret_file.is_some()),
            ("--no-auth", self.no_auth),
        ];
        let first = given.into_iter().find(|(_, given)| *given);
        first.map(|(option, _)| option)
    }

    /// Reads what was chosen, by an option or else by the environment.
    pub(crate) fn check(self, environment: Environment) -> Result<Credentials, Failure> {
        if self.no_auth {
            return Ok(Credentials::Open);
        }
        if self.token.is_some() || self.token_file.is_some() {
            let source = TokenSource {
                flag: self.token.map(GivenToken::into_text),
                file: self.token_file,
                env: None,
            };
            return Ok(Credentials::Token(source.read()?));
        }
        if let Some(path) = self.shared_secret_file {
            let secret = from_file("--shared-secret-file", &path)?;
            return Ok(Credentials::SharedSecret(Token::new(secret)));
        }
        if self.jwt_access_key.is_some() || self.jwt_secret_file.is_some() {
            return jwt(self.jwt_access_key, self.jwt_secret_file, environment);
        }
        from_environment(environment)
    }
}

/// Where no option says which kind it is.
fn from_environment(environment: Environment) -> Result<Credentials, Failure> {
    let jwt_variable = match (&environment.jwt_secret, &environment.access_key) {
        (Some(_), _) => Some(JWT_SECRET_VARIABLE),
        (None, Some(_)) => Some(ACCESS_KEY_VARIABLE),
        (None, None) => None,
    };
    let set: Vec<&str> = [
        environment.token.as_ref().map(|_| TOKEN_VARIABLE),
        environment
            .shared_secret
            .as_ref()
            .map(|_| SHARED_SECRET_VARIABLE),
        jwt_variable,
    ]
    .into_iter()
    .flatten()
    .collect();
    if let [one, another, ..] = set.as_slice() {
        return Err(Failure::bad(format!(
            "{one} and {another} are both set, and a grid has one kind of tokens: unset one of \
             them, or say by an option which one counts"
        )));
    }
    if let Some(secret) = environment.shared_secret {
        let secret = text(SHARED_SECRET_VARIABLE, secret)?;
        return Ok(Credentials::SharedSecret(Token::new(secret)));
    }
    if jwt_variable.is_some() {
        return jwt(None, None, environment);
    }
    let source = TokenSource {
        env: environment.token,
        ..TokenSource::default()
    };
    Ok(Credentials::Token(source.read()?))
}

fn jwt(
    access_key: Option<String>,
    secret_file: Option<PathBuf>,
    environment: Environment,
) -> Result<Credentials, Failure> {
    let access_key = match (access_key, environment.access_key) {
        (Some(key), _) if key.is_empty() => {
            return Err(Failure::bad("--jwt-access-key: '' is empty"));
        }
        (Some(key), _) => key,
        (None, Some(key)) => text(ACCESS_KEY_VARIABLE, key)?,
        (None, None) => {
            let option = match secret_file {
                Some(_) => "--jwt-secret-file",
                None => JWT_SECRET_VARIABLE,
            };
            return Err(Failure::bad(format!(
                "{option} is of no use alone: give --jwt-access-key KEY or set {ACCESS_KEY_VARIABLE}"
            )));
        }
    };
    let secret = match (secret_file, environment.jwt_secret) {
        (Some(path), _) => from_file("--jwt-secret-file", &path)?,
        (None, Some(secret)) => text(JWT_SECRET_VARIABLE, secret)?,
        (None, None) => {
            return Err(Failure::bad(format!(
                "no secret key for the access key '{access_key}': give --jwt-secret-file FILE beside \
                 --jwt-access-key, or set {JWT_SECRET_VARIABLE}"
            )));
        }
    };
    let jwt = Jwt::new(access_key, secret);
    let jwt = jwt.map_err(|error| Failure::bad(format!("--jwt-access-key: {error}")))?;
    Ok(Credentials::Jwt(jwt))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn environment(set: &[(&str, &str)]) -> Environment {
        let value = |name: &str| {
            let found = set.iter().find(|(set, _)| *set == name);
            found.map(|(_, value)| (*value).into())
        };
        Environment {
            token: value(TOKEN_VARIABLE),
            shared_secret: value(SHARED_SECRET_VARIABLE),
            access_key: value(ACCESS_KEY_VARIABLE),
            jwt_secret: value(JWT_SECRET_VARIABLE),
        }
    }

    fn chosen(args: CredentialArgs, set: &[(&str, &str)]) -> Result<Credentials, String> {
        let outcome = args.check(environment(set));
        outcome.map_err(|failure| failure.line())
    }

    #[test]
    fn the_environment_chooses_where_no_option_does() {
        let none = CredentialArgs::default;
        let token = chosen(none(), &[("GRID_TOKEN", "t")]).unwrap();
        assert!(matches!(token, Credentials::Token(token) if token.text() == "t"));
        let shared = chosen(none(), &[("GRID_SHARED_SECRET", "s")]).unwrap();
        assert!(matches!(shared, Credentials::SharedSecret(secret) if secret.text() == "s"));
        let keys = [("GRID_JWT_ACCESS_KEY", "a"), ("GRID_JWT_SECRET", "s")];
        assert!(matches!(
            chosen(none(), &keys).unwrap(),
            Credentials::Jwt(_)
        ));
        let open = CredentialArgs {
            no_auth: true,
            ..none()
        };
        assert!(chosen(open, &keys).unwrap().are_open());
    }

    #[test]
    fn an_option_goes_before_the_environment() {
        let args = CredentialArgs {
            token: Some("t".to_owned().into()),
            ..CredentialArgs::default()
        };
        let set = [("GRID_SHARED_SECRET", "s"), ("GRID_TOKEN", "ignored")];
        let token = chosen(args, &set).unwrap();
        assert!(token.are_on_command_line());
        assert!(matches!(token, Credentials::Token(token) if token.text() == "t"));
        // Of an option and the environment together, where either has a part.
        let args = CredentialArgs {
            jwt_access_key: Some("a".into()),
            ..CredentialArgs::default()
        };
        let set = [("GRID_TOKEN", "ignored"), ("GRID_JWT_SECRET", "s")];
        assert!(matches!(chosen(args, &set), Ok(Credentials::Jwt(_))));
    }

    #[test]
    fn two_kinds_in_the_environment_are_none() {
        let all = [
            ("GRID_TOKEN", "hush"),
            ("GRID_SHARED_SECRET", "hush"),
            ("GRID_JWT_SECRET", "hush"),
        ];
        for (one, another) in [(0, 1), (1, 2), (0, 2)] {
            let set = [all[one], all[another]];
            let line = chosen(CredentialArgs::default(), &set).unwrap_err();
            assert!(line.contains(set[0].0) && line.contains(set[1].0), "{line}");
            assert!(!line.contains("hush"), "{line}");
        }
    }

    #[test]
    fn half_of_two_keys_names_the_other() {
        let none = CredentialArgs::default;
        let line = chosen(none(), &[("GRID_JWT_SECRET", "hush")]).unwrap_err();
        assert!(line.contains("GRID_JWT_SECRET") && line.contains("--jwt-access-key"));
        let line = chosen(none(), &[("GRID_JWT_ACCESS_KEY", "admin")]).unwrap_err();
        assert!(line.contains("'admin'") && line.contains("--jwt-secret-file"));
        let empty = CredentialArgs {
            jwt_access_key: Some(String::new()),
            ..none()
        };
        let line = chosen(empty, &[]).unwrap_err();
        assert!(line.contains("--jwt-access-key: ''"), "{line}");
        let line = chosen(none(), &[]).unwrap_err();
        for way in ["GRID_TOKEN", "--token-file", "--shared-secret-file"] {
            assert!(line.contains(way), "{line}");
        }
    }

    #[test]
    fn a_variable_that_is_no_text_is_named_and_not_shown() {
        let garbled = Environment {
            shared_secret: Some(std::ffi::OsString::from_vec(b"hu\xffsh".to_vec())),
            ..Environment::default()
        };
        assert!(!format!("{garbled:?}").contains("hu"));
        let failure = CredentialArgs::default().check(garbled).unwrap_err();
        let line = failure.line();
        assert!(line.contains("GRID_SHARED_SECRET") && !line.contains("hu"));
    }

    #[test]
    fn no_kind_shows_what_it_holds() {
        let jwt = [("GRID_JWT_ACCESS_KEY", "who"), ("GRID_JWT_SECRET", "hush")];
        for set in [
            &[("GRID_TOKEN", "hush")][..],
            &[("GRID_SHARED_SECRET", "hush")],
            &jwt,
        ] {
            let shown = format!("{:?}", chosen(CredentialArgs::default(), set).unwrap());
            assert!(!shown.contains("hush"), "{shown}");
        }
    }
}
