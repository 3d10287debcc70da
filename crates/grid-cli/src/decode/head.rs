//! Heads of HTTP/1.1 requests and responses.

use super::{
    payload,
    record::{HeaderRecord, HttpRecord},
    report::Options,
    search::Verdict,
};

/// A longer head is damage.
pub(super) const LONGEST: usize = 64 << 10;

const MOST_HEADERS: usize = 100;

/// The words that begin a head. No websocket frame begins so: its reserved bits would be set.
const WORDS: [&[u8]; 2] = [b"GET /", b"HTTP/1."];

/// The head of a request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// A request's method and target, or a response's status and reason.
    pub(super) start: Start,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    Request { method: String, target: String },
    Response { status: u16, reason: String },
}

/// What comes behind a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Another head, or frames of websocket.
    Next,
    /// So many bytes, and then as above.
    Body(u64),
    /// Nobody knows how many bytes.
    Unknown,
}

/// Whether bytes begin with a head: that they do is seen from its first word.
pub(super) fn begins(bytes: &[u8]) -> Verdict {
    let mut verdict = Verdict::No;
    for word in WORDS {
        if bytes.starts_with(word) {
            return Verdict::Yes;
        }
        if word.starts_with(bytes) && !bytes.is_empty() {
            verdict = Verdict::Wait;
        }
    }
    verdict
}

/// Whether bytes begin with a head that can be read to its end.
pub(super) fn whole(bytes: &[u8]) -> Verdict {
    match begins(bytes) {
        Verdict::Yes => match parse(bytes) {
            Ok(Some(_)) => Verdict::Yes,
            Ok(None) if bytes.len() <= LONGEST => Verdict::Wait,
            _ => Verdict::No,
        },
        other => other,
    }
}

/// The head that bytes begin with and its length; none where it is not there to its end.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let own = |headers: &[httparse::Header<'_>]| {
        headers
            .iter()
            .map(|header| (header.name.to_owned(), header.value.to_vec()))
            .collect()
    };
    if bytes.starts_with(b"HTTP/") {
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) = response.parse(bytes)? else {
            return Ok(None);
        };
        let start = Start::Response {
            status: response.code.unwrap_or_default(),
            reason: response.reason.unwrap_or_default().to_owned(),
        };
        let headers = own(response.headers);
        return Ok(Some((Head { start, headers }, len)));
    }
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(len) = request.parse(bytes)? else {
        return Ok(None);
    };
    let start = Start::Request {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
    };
    let headers = own(request.headers);
    Ok(Some((Head { start, headers }, len)))
}

impl Head {
    /// Whether it asks for websocket, or agrees to it.
    pub(super) fn upgrades(&self) -> bool {
        let to_websocket = self
            .header("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
        match self.start {
            Start::Request { .. } => to_websocket,
            Start::Response { status, .. } => status == 101 && to_websocket,
        }
    }

    pub(super) fn behind(&self) -> Behind {
        let len = self
            .header("content-length")
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(|text| text.trim().parse());
        match (&self.start, len) {
            (
                Start::Response {
                    status: 100..=199 | 204 | 304,
                    ..
                },
                _,
            ) => Behind::Next,
            (_, Some(Ok(0))) => Behind::Next,
            (_, Some(Ok(len))) => Behind::Body(len),
            (Start::Request { .. }, None) if self.header("transfer-encoding").is_none() => {
                Behind::Next
            }
            _ => Behind::Unknown,
        }
    }

    pub(super) fn record(&self, options: &Options) -> HttpRecord {
        let start = match &self.start {
            Start::Request { method, target } => {
                let target = match target.split_once('?') {
                    Some((path, query)) if !options.secrets => {
                        format!("{path}?({})", super::line::bytes(query.len()))
                    }
                    _ => target.clone(),
                };
                let target = payload::shown(target.as_bytes(), options.width).text;
                format!("{method} {target}")
            }
            Start::Response { status, reason } => {
                let reason = payload::shown(reason.as_bytes(), options.width).text;
                format!("{status} {reason}").trim_end().to_owned()
            }
        };
        let headers = self.headers.iter().map(|(name, value)| {
            let is_shown = options.secrets || !is_secret(name);
            HeaderRecord {
                name: name.clone(),
                value_len: value.len(),
                value: is_shown.then(|| payload::shown(value, options.width)),
            }
        });
        HttpRecord {
            start,
            headers: headers.collect(),
        }
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }
}

/// Whether a header's value opens something.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "api-key",
    ]
    .iter()
    .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_known_from_its_first_word() {
        assert_eq!(begins(b"GET /x"), Verdict::Yes);
        assert_eq!(begins(b"HTTP/1.1 101"), Verdict::Yes);
        assert_eq!(begins(b"HTT"), Verdict::Wait);
        assert_eq!(begins(b""), Verdict::No);
        assert_eq!(begins(b"GETS"), Verdict::No);
        assert_eq!(begins(&[0x82, 5]), Verdict::No);
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Set-Cookie",
            "X-Amz-Security-Token",
        ] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("Sec-WebSocket-Key"));
    }

    #[test]
    fn what_comes_behind() {
        let behind = |text: &str| parse(text.as_bytes()).unwrap().unwrap().0.behind();
        assert_eq!(behind("GET / HTTP/1.1\r\n\r\n"), Behind::Next);
        assert_eq!(behind("HTTP/1.1 101 x\r\n\r\n"), Behind::Next);
        assert_eq!(
            behind("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n"),
            Behind::Next
        );
        assert_eq!(
            behind("HTTP/1.1 400 x\r\ncontent-length: 12\r\n\r\n"),
            Behind::Body(12)
        );
        assert_eq!(behind("HTTP/1.1 200 x\r\n\r\n"), Behind::Unknown);
    }
}
