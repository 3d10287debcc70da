//! The reader's end of the status over HTTP.

use std::{
    fmt::{self, Display},
    future::pending,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{AUTHORIZATION, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{Status, TOKEN_OPTION, answer::STATUS_PATH, parse_status};
use crate::{failure::Failure, token::Token, values::parse_address};

/// The largest document that is read: some 20,000 links.
const MOST: usize = 16 * 1024 * 1024;

/// Where a node serves its status.
#[derive(Clone, Debug)]
pub(crate) struct StatusUrl {
    host_port: String,
    token: Option<Token>,
}

impl StatusUrl {
    /// Reads `HOST:PORT` or `http://HOST:PORT/status`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if let Some((_, rest)) = text.rsplit_once('@') {
            // What stands before it may be a secret, so it is not repeated.
            return Err(Failure::bad(format!(
                "--status: '…@{rest}' has a name or a password in it: give the token by \
                 {TOKEN_OPTION} FILE"
            )));
        }
        let wrong = |why: &str| {
            Failure::bad(format!(
                "--status: '{text}' is no address of a status: {why} (example: 127.0.0.1:9100)"
            ))
        };
        if text.starts_with("https://") {
            return Err(wrong("a node serves its status without TLS"));
        }
        let rest = text.strip_prefix("http://").unwrap_or(text);
        let (address, path) = rest
            .find('/')
            .map_or((rest, ""), |slash| rest.split_at(slash));
        let host_port =
            parse_address("--status", address).map_err(|_| wrong("it is not HOST:PORT"))?;
        if !matches!(path, "" | "/") && path != STATUS_PATH {
            return Err(wrong("its path is not /status"));
        }
        Ok(Self {
            host_port,
            token: None,
        })
    }

    /// The same, with what to show there.
    pub(crate) fn with_token(self, token: Option<Token>) -> Self {
        Self { token, ..self }
    }

    /// Asks once.
    ///
    /// # Cancel safety
    ///
    /// Safe: the connection is closed.
    pub(crate) async fn fetch(&self, within: Duration) -> Result<Status, Failure> {
        let late = |_| {
            self.nobody(&format_args!(
                "no answer within {}",
                humantime::format_duration(within)
            ))
        };
        timeout(within, self.exchange()).await.map_err(late)?
    }

    async fn exchange(&self) -> Result<Status, Failure> {
        let io = TcpStream::connect(&self.host_port)
            .await
            .map_err(|error| self.nobody(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(io))
            .await
            .map_err(|error| self.nobody(&error))?;
        let drive = async {
            // What it ends in, the sender tells.
            let _ = connection.await;
            pending().await
        };
        tokio::select! {
            status = self.ask(sender) => status,
            never = drive => never,
        }
    }

    async fn ask(&self, mut sender: SendRequest<Empty<Bytes>>) -> Result<Status, Failure> {
        let mut request = Request::get(STATUS_PATH).header(HOST, &self.host_port);
        if let Some(token) = &self.token {
            let mut shown = HeaderValue::try_from(format!("Bearer {}", token.text()))
                .map_err(|error| self.failed(&error))?;
            shown.set_sensitive(true);
            request = request.header(AUTHORIZATION, shown);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| self.failed(&error))?;
        let response = sender.send_request(request).await.map_err(|error| {
            // Who hangs up without a word may be a node that ends.
            if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
                self.nobody(&error)
            } else {
                self.failed(&error)
            }
        })?;
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.failed(&match &self.token {
                Some(_) => format!("it takes another token than that of {TOKEN_OPTION}"),
                None => format!("it asks for a token: give {TOKEN_OPTION} FILE"),
            }));
        }
        if response.status() != StatusCode::OK {
            return Err(self.failed(&format_args!("the answer is {}", response.status())));
        }
        let body = Limited::new(response.into_body(), MOST);
        let body = body.collect().await.map_err(|error| self.failed(&error))?;
        parse_status(&body.to_bytes()).map_err(|why| self.failed(&why))
    }

    fn nobody(&self, why: &dyn Display) -> Failure {
        Failure::NotConnected(format!("no node at '{self}': {why}"))
    }

    fn failed(&self, why: &dyn Display) -> Failure {
        Failure::failed(format!("the status at '{self}': {why}"))
    }
}

impl Display for StatusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{STATUS_PATH}", self.host_port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_url_are_the_same() {
        for text in [
            "127.0.0.1:9100",
            "http://127.0.0.1:9100",
            "http://127.0.0.1:9100/",
            "http://127.0.0.1:9100/status",
            "127.0.0.1:9100/status",
        ] {
            let url = StatusUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), "http://127.0.0.1:9100/status");
        }
        let url = StatusUrl::parse("http://[::1]:9100/status").unwrap();
        assert_eq!(url.host_port, "[::1]:9100");
    }

    #[test]
    fn a_secret_in_the_address_is_not_repeated() {
        for text in [
            "http://me:s3cret@127.0.0.1:9100/",
            "http://s3cret@127.0.0.1:9100",
            "me:s3cret@127.0.0.1:9100/status",
            "https://me:s3cret@127.0.0.1:9100/",
            "http://me:s3c@ret@127.0.0.1:9100/",
        ] {
            let line = StatusUrl::parse(text).unwrap_err().line();
            let told = line.contains("127.0.0.1:9100") && line.contains(TOKEN_OPTION);
            assert!(told && line.contains("--status: "), "{line}");
            assert!(!line.contains("s3c") && !line.contains("me:"), "{line}");
        }
    }

    #[test]
    fn what_is_no_address_is_quoted_with_the_reason() {
        for (text, why) in [
            ("", "HOST:PORT"),
            ("9100", "HOST:PORT"),
            ("127.0.0.1", "HOST:PORT"),
            ("http://127.0.0.1", "HOST:PORT"),
            ("127.0.0.1:99999", "HOST:PORT"),
            ("https://127.0.0.1:9100", "TLS"),
            ("http://127.0.0.1:9100/metrics", "path"),
            ("unix:/run/grid.sock", "HOST:PORT"),
        ] {
            let line = StatusUrl::parse(text).unwrap_err().line();
            assert!(line.contains(&format!("--status: '{text}'")), "{line}");
            assert!(line.contains(why), "{line}");
        }
    }
}
