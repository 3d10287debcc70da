//! The acceptor's side of the upgrade from HTTP/1.1 (protocol section 2).

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tungstenite::handshake::derive_accept_key;

use super::Status;
use crate::io::BoxIo;

/// The most headers that a head may have.
pub(super) const MAX_HEADERS: usize = 64;

/// What a request asks for, as far as it matters. Has no `Debug`, since it holds a token.
pub(crate) struct RequestHead {
    /// The path, without a query.
    pub(crate) path: String,
    /// What stands behind `Bearer `.
    pub(crate) bearer: Option<Vec<u8>>,
    /// The dialer's clock, in either spelling.
    pub(crate) time: Option<SystemTime>,
    upgrade: Result<String, Status>,
}

/// Why there is no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeadError {
    #[error("the head of the request is too long")]
    TooLong,
    #[error("the request is no HTTP")]
    Malformed,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl RequestHead {
    /// Reads a head, and perhaps bytes behind it.
    ///
    /// # Cancel safety
    ///
    /// None: what was read is lost with the future.
    pub(crate) async fn read(io: &mut BoxIo, max: usize) -> Result<(Self, BytesMut), HeadError> {
        let mut buffer = BytesMut::with_capacity(1024);
        loop {
            if io.read_buf(&mut buffer).await? == 0 {
                return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
            match Self::parse(&buffer)? {
                Some((head, len)) if len <= max => {
                    buffer.advance(len);
                    return Ok((head, buffer));
                }
                None if buffer.len() <= max => {}
                _ => return Err(HeadError::TooLong),
            }
        }
    }

    /// The answer that grants the upgrade.
    ///
    /// # Errors
    ///
    /// The answer to a request that is no upgrade to a websocket.
    pub(crate) fn switching(&self) -> Result<String, Status> {
        let accept = self.accept_key()?;
        Ok(format!(
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\
             \r\n"
        ))
    }

    fn parse(buffer: &[u8]) -> Result<Option<(Self, usize)>, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let len = match request.parse(buffer) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLong),
            Err(_) => return Err(HeadError::Malformed),
        };
        let path = request.path.unwrap_or_default();
        let value = |name: &str| {
            let header = request
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name));
            header.map(|header| header.value)
        };
        let line = Line {
            method: request.method,
            is_1_1: request.version == Some(1),
            path: path.split_once('?').map_or(path, |(path, _)| path),
        };
        Ok(Some((Self::new(line, value), len)))
    }

    /// What an HTTP server of the application has read.
    #[cfg(feature = "http")]
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        let line = Line {
            method: Some(request.method().as_str()),
            is_1_1: request.version() == http::Version::HTTP_11,
            path: request.uri().path(),
        };
        let headers = request.headers();
        Self::new(line, |name| headers.get(name).map(|value| value.as_bytes()))
    }

    fn new<'a>(line: Line<'_>, value: impl Fn(&str) -> Option<&'a [u8]>) -> Self {
        Self {
            path: line.path.to_owned(),
            bearer: value("Authorization").and_then(bearer).map(<[u8]>::to_vec),
            time: value("X-Minio-Time").and_then(parse_time),
            upgrade: check_upgrade(line, value),
        }
    }

    /// The value of `Sec-WebSocket-Accept` that grants the upgrade.
    ///
    /// # Errors
    ///
    /// The answer to a request that is no upgrade to a websocket.
    pub(crate) fn accept_key(&self) -> Result<&str, Status> {
        self.upgrade.as_deref().map_err(|status| *status)
    }
}

/// The first line of a request.
#[derive(Clone, Copy)]
struct Line<'a> {
    method: Option<&'a str>,
    is_1_1: bool,
    /// Without its query.
    path: &'a str,
}

fn check_upgrade<'a>(
    line: Line<'_>,
    value: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<String, Status> {
    let names = |list: Option<&[u8]>, wanted: &str| {
        list.is_some_and(|list| {
            list.split(|byte| *byte == b',')
                .any(|item| item.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
        })
    };
    if line.method != Some("GET") || !line.is_1_1 {
        return Err(Status::BadRequest(
            "handshake error: bad HTTP request method or version",
        ));
    }
    if !names(value("Upgrade"), "websocket") {
        return Err(Status::BadRequest(
            "handshake error: bad \"Upgrade\" header",
        ));
    }
    if !names(value("Connection"), "upgrade") {
        return Err(Status::BadRequest(
            "handshake error: bad \"Connection\" header",
        ));
    }
    if value("Sec-WebSocket-Version").map(<[u8]>::trim_ascii) != Some(b"13") {
        return Err(Status::UpgradeRequired);
    }
    // 16 bytes in base64.
    match value("Sec-WebSocket-Key").map(<[u8]>::trim_ascii) {
        Some(key) if key.len() == 24 => Ok(derive_accept_key(key)),
        _ => Err(Status::BadRequest(
            "handshake error: bad \"Sec-WebSocket-Key\" header",
        )),
    }
}

fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// Nanoseconds since 1970, or the RFC 3339 of older nodes.
pub(super) fn parse_time(value: &[u8]) -> Option<SystemTime> {
    let text = str::from_utf8(value).ok()?.trim();
    if let Ok(nanos) = text.parse::<i64>() {
        let distance = Duration::from_nanos(nanos.unsigned_abs());
        return if nanos < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
    }
    parse_rfc3339(text)
}

/// `2024-06-30T12:00:00.5Z`, or with an offset such as `+02:00` at its end.
fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let mark = |at: usize, wanted: &[u8]| {
        text.as_bytes()
            .get(at)
            .filter(|byte| wanted.contains(byte))
            .map(|_| ())
    };
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    for (at, wanted) in [
        (4, &b"-"[..]),
        (7, b"-"),
        (10, b"Tt "),
        (13, b":"),
        (16, b":"),
    ] {
        mark(at, wanted)?;
    }
    let in_range = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    let (fraction, zone) = split_fraction(text.get(19..)?)?;
    let secs = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let at = UNIX_EPOCH.checked_add(Duration::from_nanos(fraction))?;
    let secs = secs - zone_offset(zone)?;
    let distance = Duration::from_secs(secs.unsigned_abs());
    if secs < 0 {
        at.checked_sub(distance)
    } else {
        at.checked_add(distance)
    }
}

/// Nanoseconds, and what follows them.
fn split_fraction(text: &str) -> Option<(u64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (digits, zone) = rest.split_at_checked(end)?;
    let nanos: String = digits.chars().chain("000000000".chars()).take(9).collect();
    (!digits.is_empty()).then_some((nanos.parse().ok()?, zone))
}

/// How many seconds a zone's clocks are ahead of UTC.
fn zone_offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("Z") {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok())?;
    Some(sign * (i64::from(number(hours)?) * 3_600 + i64::from(number(minutes)?) * 60))
}

/// Days of the Gregorian calendar, with years that begin in March so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let era_days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    era_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(text: &str) -> Option<f64> {
        let time = parse_time(text.as_bytes())?;
        Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
    }

    #[test]
    fn both_spellings_of_the_time_are_read() {
        for (text, wanted) in [
            ("1795349436423165065", 1_795_349_436.423_165),
            ("1970-01-01T00:00:00Z", 0.0),
            ("2000-02-29T12:00:00Z", 951_825_600.0),
            ("2024-06-30T12:00:00.5Z", 1_719_748_800.5),
            ("2024-06-30T14:00:00+02:00", 1_719_748_800.0),
            (
                "2024-06-30T06:30:00.123456789-05:30",
                1_719_748_800.123_456_7,
            ),
            ("2026-11-22T12:11:05Z", 1_795_349_465.0),
        ] {
            let read = secs(text).unwrap_or_else(|| panic!("{text}"));
            assert!((read - wanted).abs() < 1e-6, "{text}: {read}");
        }
        for text in [
            "",
            "now",
            "2024-06-30",
            "2024-13-01T00:00:00Z",
            "2024-06-30T12:00:00",
            "é",
        ] {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }

    fn request(lines: &[&str]) -> RequestHead {
        let text = format!("{}\r\n\r\nrest", lines.join("\r\n"));
        let (head, len) = RequestHead::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(&text[len..], "rest");
        head
    }

    #[test]
    fn an_upgrade_is_granted_with_the_matching_key() {
        let head = request(&[
            "GET /minio/grid/v1?x=1 HTTP/1.1",
            "host: node-b:9000",
            "upgrade: WebSocket",
            "connection: keep-alive, Upgrade",
            "sec-websocket-version: 13",
            "sec-websocket-key: 8U14Cgm+9qg5J+uRYkT2qw==",
            "authorization: bearer debug",
        ]);
        assert_eq!(head.path, "/minio/grid/v1");
        assert_eq!(head.bearer.as_deref(), Some(&b"debug"[..]));
        let answer = head.switching().unwrap();
        assert!(
            answer.contains("Sec-WebSocket-Accept: 2fkEM66RrfCx/3zAMuQHEDQYaw8=\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn what_is_no_upgrade_is_told_so() {
        let bad = |text| Err(Status::BadRequest(text));
        let get = "GET / HTTP/1.1";
        let upgrade = "Upgrade: websocket";
        let connection = "Connection: Upgrade";
        let version = "Sec-WebSocket-Version: 13";
        for (lines, wanted) in [
            (&[get][..], bad("handshake error: bad \"Upgrade\" header")),
            (
                &[get, upgrade],
                bad("handshake error: bad \"Connection\" header"),
            ),
            (&[get, upgrade, connection], Err(Status::UpgradeRequired)),
            (
                &[get, upgrade, connection, version],
                bad("handshake error: bad \"Sec-WebSocket-Key\" header"),
            ),
            (
                &["POST / HTTP/1.1", upgrade],
                bad("handshake error: bad HTTP request method or version"),
            ),
        ] {
            assert_eq!(request(lines).switching(), wanted, "{lines:?}");
        }
    }
}
