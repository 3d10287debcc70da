//! Who may read the status.

use std::{net::IpAddr, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use grid_transport::same_token;
use hyper::{
    HeaderMap,
    header::{AUTHORIZATION, HOST, HeaderValue},
};

use crate::{failure::Failure, token::Token, token::read_token_file};

/// The option that names the file of the token, here and for readers.
pub(crate) const TOKEN_OPTION: &str = "--status-token-file";

/// The longest token, in bytes: with what else stands in the head of a request, it has to fit into 8 KiB, and as a password
/// it takes a third more.
const MOST_TOKEN: usize = 4 * 1024;

/// What a request must have to be answered.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// The token, by a header.
    Token(Token),
    /// Nothing, as only this machine reaches the address. The name by which it was given may be asked for.
    Local(String),
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It has no token, or another one.
    Token,
    /// It asks for a name that is none of this machine: a page of somebody else whose name leads here.
    Host,
    /// A page of another site asks, as by an image; it could have a node ask all of its peers.
    Site,
}

impl Access {
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let says = |name: &str, value: &[u8]| headers.get(name).is_some_and(|said| said == value);
        // Who follows a link comes from another site too, and gets a document of their own.
        if says("sec-fetch-site", b"cross-site") && !says("sec-fetch-dest", b"document") {
            return Err(Denied::Site);
        }
        match self {
            Self::Token(token) => match headers.get(AUTHORIZATION).and_then(shown_token) {
                Some(shown) if same_token(&shown, token.text().as_bytes()) => Ok(()),
                _ => Err(Denied::Token),
            },
            Self::Local(own) => match headers.get(HOST) {
                Some(host) if !is_local(host, own) => Err(Denied::Host),
                // No browser leaves it out.
                _ => Ok(()),
            },
        }
    }
}

/// The token in a header: `Bearer TOKEN`, or `Basic` with it as the password, which is what a browser asks for by itself.
fn shown_token(header: &HeaderValue) -> Option<Vec<u8>> {
    let header = header.as_bytes();
    let space = header.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = header.split_at_checked(space)?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some(rest.to_vec());
    }
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    pair.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Whether a host is written as only one who means this machine writes it. An address can't be made to lead elsewhere; a
/// name of somebody else can, which would let their pages read the status in a browser of this machine.
fn is_local(host: &HeaderValue, own: &str) -> bool {
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = without_port(host);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || name.eq_ignore_ascii_case(without_port(own))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // What is before the last colon of an address in brackets may end inside of them.
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

/// Reads the token of the status, which has to fit into a header.
pub(crate) fn read_token(file: &Path) -> Result<Token, Failure> {
    let token = read_token_file(TOKEN_OPTION, file)?;
    let length = token.text().len();
    if length > MOST_TOKEN {
        return Err(Failure::bad(format!(
            "{TOKEN_OPTION}: '{}' holds {length} bytes, and a token of the status has at most \
             {MOST_TOKEN}",
            file.display()
        )));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(access: &Access, name: hyper::header::HeaderName, value: &str) -> Result<(), Denied> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        access.check(&headers)
    }

    #[test]
    fn a_token_comes_as_a_bearer_or_as_a_password() {
        let access = Access::Token(Token::new("s3:cret"));
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        for good in [
            "Bearer s3:cret".to_owned(),
            "bearer  s3:cret".to_owned(),
            basic("me:s3:cret"),
            basic(":s3:cret"),
        ] {
            assert_eq!(asks(&access, AUTHORIZATION, &good), Ok(()), "{good}");
        }
        for bad in [
            "Bearer s3:cre".to_owned(),
            "Bearer s3:crets".to_owned(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            "s3:cret".to_owned(),
            "Digest s3:cret".to_owned(),
            "Basic s3:cret".to_owned(),
            "Basic !".to_owned(),
            basic("s3"),
            basic("s3:cret"),
        ] {
            let denied = asks(&access, AUTHORIZATION, &bad);
            assert_eq!(denied, Err(Denied::Token), "{bad}");
        }
        assert_eq!(access.check(&HeaderMap::new()), Err(Denied::Token));
    }

    #[test]
    fn a_name_that_was_made_to_lead_here_is_no_way_in() {
        let access = Access::Local("node1:9100".to_owned());
        for good in [
            "127.0.0.1:9100",
            "127.0.0.1",
            "[::1]:9100",
            "[::1]",
            "localhost:9100",
            "LOCALHOST",
            "node1:1",
        ] {
            assert_eq!(asks(&access, HOST, good), Ok(()), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:9100",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1].evil.example",
            "",
        ] {
            assert_eq!(asks(&access, HOST, bad), Err(Denied::Host), "{bad}");
        }
        assert_eq!(access.check(&HeaderMap::new()), Ok(()));
    }

    #[test]
    fn a_page_of_another_site_may_lead_here_and_not_ask() {
        let token = Access::Token(Token::new("s3cret"));
        for access in [Access::Local("127.0.0.1:9100".to_owned()), token] {
            let asks = |site: &str, to: &str| {
                let mut headers = HeaderMap::new();
                for (name, value) in [
                    ("host", "127.0.0.1:9100"),
                    ("authorization", "Bearer s3cret"),
                    ("sec-fetch-site", site),
                    ("sec-fetch-dest", to),
                ] {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
                access.check(&headers)
            };
            for to in ["image", "iframe", "empty", "script"] {
                assert_eq!(asks("cross-site", to), Err(Denied::Site), "{to}");
                assert_eq!(asks("same-origin", to), Ok(()), "{to}");
            }
            assert_eq!(asks("cross-site", "document"), Ok(()));
            assert_eq!(asks("none", "document"), Ok(()));
        }
    }

    #[test]
    fn a_token_that_no_header_carries_or_that_is_too_long_is_refused_with_its_file() {
        let path = std::env::temp_dir().join(format!("grid-status-token-{}", std::process::id()));
        for text in ["two words\n", "caf\u{e9}", "a\tb"] {
            std::fs::write(&path, text).unwrap();
            let line = read_token(&path).unwrap_err().line();
            let named = line.contains(TOKEN_OPTION) && line.contains("grid-status-token-");
            assert!(named && !line.contains(text.trim()), "{line}");
        }
        std::fs::write(&path, "plain\n").unwrap();
        assert_eq!(read_token(&path).unwrap().text(), "plain");
        std::fs::write(&path, "x".repeat(MOST_TOKEN)).unwrap();
        assert_eq!(read_token(&path).unwrap().text().len(), MOST_TOKEN);
        std::fs::write(&path, "x".repeat(MOST_TOKEN + 1)).unwrap();
        let line = read_token(&path).unwrap_err().line();
        let named = line.contains(TOKEN_OPTION) && line.contains("grid-status-token-");
        assert!(
            named && line.contains("4097 bytes") && !line.contains("xx"),
            "{line}"
        );
        std::fs::remove_file(&path).unwrap();
        let line = read_token(&path).unwrap_err().line();
        assert!(
            line.contains(TOKEN_OPTION) && line.contains("can't be read"),
            "{line}"
        );
    }
}
