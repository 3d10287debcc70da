//! A name in DNS behind which the nodes are, as it is typed.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use grid_transport::peers::{DnsPeers, DnsRecord, SystemDns};

use crate::{failure::Failure, values::NodeUrl};

/// A checked value of `--peers-dns`, with what else it takes to ask.
#[derive(Clone, Debug)]
pub(crate) struct DnsList {
    record: DnsRecord,
    name: String,
    /// Of addresses; services say their own.
    port: u16,
    /// Whether the names begin with `https`.
    tls: bool,
    /// Who is asked; the name servers of the system where there is none.
    servers: Vec<SocketAddr>,
}

impl DnsList {
    /// Reads `a:NAME:PORT`, `aaaa:NAME:PORT` or `srv:NAME`, and the addresses of name servers.
    pub(super) fn parse(text: &str, servers: &[String], tls: bool) -> Result<Self, Failure> {
        let wrong = |why: &str| {
            Failure::bad(format!(
                "--peers-dns: '{text}' {why} (examples: a:grid.example.com:9000, \
                 srv:_grid._tcp.example.com)"
            ))
        };
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let record = match kind {
            "a" => DnsRecord::A,
            "aaaa" => DnsRecord::Aaaa,
            "srv" => DnsRecord::Srv,
            _ => return Err(wrong("does not begin with a:, aaaa: or srv:")),
        };
        let (name, port) = match record {
            DnsRecord::Srv => (rest, 0),
            _ => {
                let (name, port) = rest.rsplit_once(':').unwrap_or((rest, ""));
                let digits = port.bytes().all(|byte| byte.is_ascii_digit());
                let port = port.parse().ok().filter(|port| digits && *port != 0);
                (name, port.ok_or_else(|| wrong("does not end with a port"))?)
            }
        };
        if !is_name(name) {
            return Err(wrong("has no name that DNS knows"));
        }
        let server = |text: &String| {
            let address = text.parse();
            address.map_err(|_| {
                Failure::bad(format!(
                    "--peers-dns-server: '{text}' is not IP:PORT (example: 10.0.0.53:53)"
                ))
            })
        };
        Ok(Self {
            record,
            name: name.to_owned(),
            port,
            tls,
            servers: servers.iter().map(server).collect::<Result<_, _>>()?,
        })
    }

    /// Refuses a local name that no answer can have: nodes are called by their addresses there, written in the one way
    /// that this program writes them, with the port of the option.
    pub(super) fn check_local(&self, local: &NodeUrl) -> Result<(), Failure> {
        let kind = match self.record {
            DnsRecord::A => "IPv4",
            DnsRecord::Aaaa => "IPv6",
            // The host and the port are of the service.
            _ => return Ok(()),
        };
        let scheme = if self.tls { "https" } else { "http" };
        let host = local
            .host_port()
            .rsplit_once(':')
            .map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse().ok().filter(|address| match address {
            IpAddr::V4(_) => self.record == DnsRecord::A,
            IpAddr::V6(_) => self.record == DnsRecord::Aaaa,
        });
        let name = address.map(|address| {
            let address = SocketAddr::new(address, self.port);
            format!("{scheme}://{address}")
        });
        if name.as_deref() == Some(local.as_str()) {
            return Ok(());
        }
        let should = name.unwrap_or_else(|| format!("{scheme}://ADDRESS:{}", self.port));
        Err(Failure::bad(format!(
            "--local: '{local}' can't be one of --peers-dns '{self}', where nodes are called by their \
             {kind} addresses and port {}: {should}",
            self.port
        )))
    }

    /// Who asks. It needs the runtime that it is used in.
    pub(super) fn source(&self) -> Result<DnsPeers, Failure> {
        let client = if self.servers.is_empty() {
            SystemDns::new()
        } else {
            SystemDns::with_servers(self.servers.iter().copied())
        };
        let client = client.map_err(|error| {
            Failure::failed(format!(
                "--peers-dns: the name servers of the system are unknown: {error}"
            ))
        })?;
        let name = self.name.as_str();
        let source = match self.record {
            DnsRecord::Srv => DnsPeers::srv(client, name),
            DnsRecord::Aaaa => DnsPeers::aaaa(client, name, self.port),
            _ => DnsPeers::a(client, name, self.port),
        };
        Ok(if self.tls { source.https() } else { source })
    }
}

impl fmt::Display for DnsList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(plain);
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_names_and_ports() {
        for (text, record, name, port) in [
            ("a:grid:9000", DnsRecord::A, "grid", 9000),
            (
                "aaaa:g.example.com.:1",
                DnsRecord::Aaaa,
                "g.example.com.",
                1,
            ),
            (
                "srv:_grid._tcp.example.com",
                DnsRecord::Srv,
                "_grid._tcp.example.com",
                0,
            ),
        ] {
            let list = DnsList::parse(text, &[], true).unwrap();
            assert_eq!((list.record, &*list.name, list.port), (record, name, port));
            assert!(list.tls && list.servers.is_empty());
        }
    }

    #[test]
    fn a_local_name_that_is_never_in_an_answer_is_refused() {
        let outcome = |list: &str, local: &str| {
            let local = NodeUrl::parse("--local", local).unwrap();
            let list = DnsList::parse(list, &[], local.is_tls()).unwrap();
            list.check_local(&local).map_err(|failure| failure.line())
        };
        for (list, local) in [
            ("a:grid:9000", "http://10.0.0.1:9000"),
            ("a:grid:80", "http://10.0.0.1:80"),
            ("aaaa:grid:9000", "https://[2001:db8::1]:9000"),
            ("srv:_grid._tcp.example.com", "http://node-1:9001"),
        ] {
            outcome(list, local).unwrap();
        }
        for (list, local, should) in [
            (
                "a:grid:9000",
                "http://10.0.0.1:9001",
                "http://10.0.0.1:9000",
            ),
            ("a:grid:9000", "http://node-1:9000", "http://ADDRESS:9000"),
            ("a:grid:80", "http://10.0.0.1", "http://10.0.0.1:80"),
            ("a:grid:1", "https://[::1]:1", "https://ADDRESS:1"),
            ("aaaa:grid:1", "http://127.0.0.1:1", "http://ADDRESS:1"),
            ("aaaa:grid:1", "http://[0::1]:1", "http://[::1]:1"),
        ] {
            let line = outcome(list, local).unwrap_err();
            let ends = format!(": {should}");
            assert!(line.ends_with(&ends), "{line}");
            let quoted = format!("--local: '{local}' can't be one of --peers-dns 'grid'");
            assert!(line.contains(&quoted), "{line}");
        }
    }

    #[test]
    fn a_wrong_value_is_quoted_with_the_reason() {
        for (text, reason) in [
            ("grid:9000", "begin"),
            ("A:grid:9000", "begin"),
            ("", "begin"),
            ("a", "port"),
            ("a:grid", "port"),
            ("a:grid:", "port"),
            ("a:grid:0", "port"),
            ("a:grid:+1", "port"),
            ("a:grid:70000", "port"),
            ("a::9000", "name"),
            ("a:gr id:9000", "name"),
            ("a:gr..id:9000", "name"),
            ("srv:", "name"),
            ("srv:_grid._tcp:9000", "name"),
        ] {
            let line = DnsList::parse(text, &[], false).unwrap_err().line();
            let quoted = format!("--peers-dns: '{text}'");
            assert!(line.contains(&quoted) && line.contains(reason), "{line}");
        }
        let server = ["ns.example.com:53".to_owned()];
        let line = DnsList::parse("srv:grid", &server, false).unwrap_err();
        let line = line.line();
        assert!(
            line.contains("--peers-dns-server: 'ns.example.com:53'"),
            "{line}"
        );
    }
}
