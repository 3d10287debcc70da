//! Single values of the command line: a node's name, seconds, a span of seconds, an override.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use crate::failure::Failure;

/// The longest period that an interval may have.
const MAX_SECONDS: f64 = 86_400.0;

/// A node's name, `http://HOST:PORT` or `https://HOST:PORT` (protocol section 1): kept as the exact text, with the host
/// and port that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeUrl {
    text: String,
    host_port: String,
}

impl NodeUrl {
    /// Reads the value of `option`.
    pub(crate) fn parse(option: &str, text: &str) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::bad(format!(
                "{option}: '{text}' is not the URL of a node: {why} (example: http://10.0.0.1:9000)"
            ))
        };
        let (rest, default_port) =
            match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
                (Some(rest), _) => (rest, 80),
                (_, Some(rest)) => (rest, 443),
                _ => return Err(wrong("it must begin with http:// or https://")),
            };
        if rest.contains(|c: char| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return Err(wrong("it contains characters that no URL has"));
        }
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(wrong("it must end after the host and port"));
        }
        let (host, port) =
            split_port(rest).ok_or_else(|| wrong("its port is not a number from 1 to 65535"))?;
        if host.is_empty() || host == "[]" {
            return Err(wrong("it has no host"));
        }
        if host.contains(|c: char| c.is_ascii_uppercase()) {
            return Err(wrong("its host must be in lower case"));
        }
        if !is_host(host) {
            return Err(wrong("its host is neither a name nor an IP address"));
        }
        Ok(Self {
            text: text.to_owned(),
            host_port: format!("{host}:{}", port.unwrap_or(default_port)),
        })
    }

    /// The name, exactly as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the node speaks TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.text.starts_with("https://")
    }

    /// `HOST:PORT`, with the scheme's port where the name has none.
    pub(crate) fn host_port(&self) -> &str {
        &self.host_port
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits `HOST[:PORT]`; `None` where there is a port that is none. A literal IPv6 host keeps its
/// brackets, as binding and dialing want it.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let after_host = text.rfind(']').map_or(0, |at| at + 1);
    let (tail_start, tail) = (after_host, text.get(after_host..)?);
    match tail.rfind(':') {
        None => Some((text, None)),
        Some(colon) => {
            let port = parse_port(tail.get(colon + 1..)?)?;
            Some((text.get(..tail_start + colon)?, Some(port)))
        }
    }
}

/// Whether a host in lower case can be looked up: a name, an IPv4 address, or an IPv6 address in
/// its brackets.
fn is_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    if host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.split('.').all(|label| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        label.bytes().next().is_some_and(plain)
            && label.bytes().next_back().is_some_and(plain)
            && label
                .bytes()
                .all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
    })
}

/// A port without leading zeros, which would make another name of the same address.
fn parse_port(text: &str) -> Option<u16> {
    parse_digits(text).filter(|_| !text.starts_with('0'))
}

fn parse_digits(text: &str) -> Option<u16> {
    // By itself `parse` takes a sign as well.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Reads the value of `--listen`.
pub(crate) fn parse_listen(text: &str) -> Result<String, Failure> {
    parse_address("--listen", text)
}

/// Reads `HOST:PORT`, where port 0 lets the system choose.
pub(crate) fn parse_address(option: &str, text: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::bad(format!(
            "{option}: '{text}' is not an address (example: 127.0.0.1:9000)"
        ))
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    if is_host(&host.to_ascii_lowercase()) && parse_digits(port).is_some() {
        Ok(text.to_owned())
    } else {
        Err(wrong())
    }
}

/// Reads a number of seconds above 0, fractions allowed.
pub(crate) fn parse_seconds(option: &str, text: &str) -> Result<Duration, Failure> {
    seconds(text).ok_or_else(|| {
        Failure::bad(format!(
            "{option}: '{text}' is not a number of seconds from 0.001 to {MAX_SECONDS}"
        ))
    })
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.001..=MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs_f64)
}

/// Reads a time with its unit, as in `500ms`, `1m 30s`; a bare number means seconds.
pub(crate) fn parse_duration(option: &str, text: &str) -> Result<Duration, Failure> {
    let least = Duration::from_millis(1);
    let time = match humantime::parse_duration(text) {
        Ok(time) => Some(time),
        Err(_) => seconds(text),
    };
    time.filter(|time| (least..=Duration::from_secs_f64(MAX_SECONDS)).contains(time))
        .ok_or_else(|| {
            Failure::bad(format!(
                "{option}: '{text}' is not a time from 1ms to 1day (examples: 500ms, 10s, 5m)"
            ))
        })
}

/// A span of seconds: at least, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

/// Reads `MIN`, `MIN..` or `MIN..MAX`; without MAX it is `most`, or MIN if that is more.
pub(crate) fn parse_span(option: &str, text: &str, most: Duration) -> Result<Span, Failure> {
    let wrong = || {
        Failure::bad(format!(
            "{option}: '{text}' is not MIN, MIN.. or MIN..MAX in seconds from 0.001 to {MAX_SECONDS}"
        ))
    };
    let (least, end) = text.split_once("..").unwrap_or((text, ""));
    let least = seconds(least).ok_or_else(wrong)?;
    let most = if end.is_empty() {
        most.max(least)
    } else {
        seconds(end).ok_or_else(wrong)?
    };
    if most < least {
        return Err(Failure::bad(format!(
            "{option}: '{text}' ends before it begins"
        )));
    }
    Ok(Span { least, most })
}

/// Reads `NAME=IP:PORT`.
pub(crate) fn parse_dial(text: &str) -> Result<(String, SocketAddr), Failure> {
    text.rsplit_once('=')
        .and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| Failure::bad(format!("--dial: '{text}' is not NAME=IP:PORT")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_where_to_listen() {
        for (name, host_port) in [
            ("http://10.0.0.1:9000", "10.0.0.1:9000"),
            ("http://node1", "node1:80"),
            ("http://a-1.b_2.c:9", "a-1.b_2.c:9"),
            ("http://[::1]:9000", "[::1]:9000"),
            ("http://[::1]", "[::1]:80"),
            ("https://node1", "node1:443"),
        ] {
            let url = NodeUrl::parse("--local", name).unwrap();
            assert_eq!(url.host_port(), host_port);
            assert_eq!(url.as_str(), name);
            assert_eq!(url.is_tls(), name == "https://node1");
        }
    }

    #[test]
    fn a_wrong_name_is_quoted_with_the_reason() {
        for (name, reason) in [
            ("127.0.0.1:9000", "must begin"),
            ("ws://127.0.0.1:9000", "must begin"),
            ("https://127.0.0.1:9000/", "must end"),
            ("http://127.0.0.1:9000/", "must end"),
            ("http://me@127.0.0.1:9000", "must end"),
            ("http://127.0.0.1:port", "port"),
            ("http://127.0.0.1:70000", "port"),
            ("http://127.0.0.1:0", "port"),
            ("http://127.0.0.1:", "port"),
            ("http://:9000", "no host"),
            ("http://[]:9000", "no host"),
            ("http://a b:9000", "characters"),
            ("http://Node:9000", "lower case"),
            ("http://127.0.0.1:09000", "port"),
            ("http://::1:9000", "neither"),
            ("http://[::1:9000", "neither"),
            ("http://[::g]:9000", "neither"),
            ("http://[::1]x:9000", "neither"),
            ("http://[fe80::1%lo]:9000", "neither"),
            ("http://300.1.1.1:9000", "neither"),
            ("http://1.1.1:9000", "neither"),
            ("http://*:9000", "neither"),
            ("http://-a:9000", "neither"),
            ("http://a..b:9000", "neither"),
        ] {
            let line = NodeUrl::parse("--peers", name).unwrap_err().line();
            assert!(line.contains(reason), "{name}: {line}");
            assert!(
                line.contains(&format!("'{name}'")) && line.contains("--peers"),
                "{line}"
            );
        }
    }

    #[test]
    fn seconds_may_have_fractions() {
        assert_eq!(
            parse_seconds("--ping", "0.25").unwrap(),
            Duration::from_millis(250)
        );
        for text in ["0", "-1", "nan", "inf", "1e300", "", "1s"] {
            let line = parse_seconds("--ping", text).unwrap_err().line();
            assert!(line.contains(&format!("'{text}'")), "{line}");
        }
    }

    #[test]
    fn times_have_units() {
        let time = |text| parse_duration("--timeout", text).unwrap();
        assert_eq!(time("250ms"), Duration::from_millis(250));
        assert_eq!(time("1m 30s"), Duration::from_secs(90));
        assert_eq!(time("2.5"), Duration::from_millis(2500));
        for text in ["", "0", "0ms", "-1s", "2 days", "soon", "1ns"] {
            let line = parse_duration("--timeout", text).unwrap_err().line();
            assert!(line.contains(&format!("--timeout: '{text}'")), "{line}");
        }
    }

    #[test]
    fn a_span_has_two_ends() {
        let most = Duration::from_secs(60);
        let span = |text| parse_span("--seconds", text, most);
        let seconds = |least, most| Span {
            least: Duration::from_secs(least),
            most: Duration::from_secs(most),
        };
        assert_eq!(span("15").unwrap(), seconds(15, 60));
        assert_eq!(span("15..").unwrap(), seconds(15, 60));
        assert_eq!(span("90").unwrap(), seconds(90, 90));
        assert_eq!(span("2..4").unwrap(), seconds(2, 4));
        assert!(span("4..2").unwrap_err().line().contains("'4..2'"));
        for text in ["..2", "1..x", "x", ""] {
            let line = span(text).unwrap_err().line();
            assert!(line.contains(&format!("'{text}'")), "{line}");
        }
    }

    #[test]
    fn a_listen_address_has_a_port() {
        assert_eq!(parse_listen("0.0.0.0:0").unwrap(), "0.0.0.0:0");
        assert_eq!(parse_listen("[::]:9000").unwrap(), "[::]:9000");
        for text in [
            "9000",
            ":9000",
            "host:",
            "host:99999",
            "http://host:90",
            "127.0.0.1:+5",
            "::1:9000",
            "*:9000",
        ] {
            assert!(parse_listen(text).unwrap_err().line().contains(text));
        }
    }

    #[test]
    fn an_override_names_a_peer_and_an_address() {
        let (name, address) = parse_dial("http://10.0.0.1:9000=127.0.0.1:7000").unwrap();
        assert_eq!(name, "http://10.0.0.1:9000");
        assert_eq!(address, SocketAddr::from(([127, 0, 0, 1], 7000)));
        for text in ["http://10.0.0.1:9000", "=127.0.0.1:1", "a=b:1", "a="] {
            assert!(parse_dial(text).unwrap_err().line().contains(text));
        }
    }
}
