//! The nodes behind a name in DNS, asked for again as the name changes.

use std::{
    collections::BTreeSet,
    fmt, io,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{PeerList, PeerSource, error::SourceError};

const LEAST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks name servers. [`SystemDns`](super::SystemDns) asks those of the system.
pub trait DnsClient: Send + Sync + 'static {
    /// All records of that kind of a name, and how long they are good.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being known; that there are none, too.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when it takes too long or the node shuts down, and must leave nothing open then.
    fn ask<'a>(&'a self, name: &'a str, record: DnsRecord) -> BoxFuture<'a, io::Result<DnsAnswer>>;
}

impl<C: DnsClient + ?Sized> DnsClient for Arc<C> {
    fn ask<'a>(&'a self, name: &'a str, record: DnsRecord) -> BoxFuture<'a, io::Result<DnsAnswer>> {
        (**self).ask(name, record)
    }
}

/// A kind of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsRecord {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Hosts and ports of a service (RFC 2782).
    Srv,
}

impl fmt::Display for DnsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
        })
    }
}

/// What name servers say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsAnswer {
    /// Who is behind the name.
    pub hosts: Vec<DnsHost>,
    /// How long that is good; the shortest time of all records.
    pub ttl: Duration,
}

impl DnsAnswer {
    /// These, for so long.
    #[must_use]
    pub fn new(hosts: Vec<DnsHost>, ttl: Duration) -> Self {
        Self { hosts, ttl }
    }
}

/// One of those behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DnsHost {
    /// Of an A or AAAA record.
    Address(IpAddr),
    /// Of an SRV record: a name, with or without a dot at its end, and a port.
    Service(String, u16),
}

/// The nodes behind a name in DNS, such as that of a headless service: by its addresses, all with one port, or by its SRV
/// records, which have hosts and ports.
///
/// A node's own name has to be what this makes of its record: `http://10.0.0.1:9000` for an address,
/// `http://node-1.grid.example.com:9000` for a service, in lower case and without a dot at its end; with `https` where
/// [that](Self::https) is set. Priorities and weights are not looked at. A list without this node's own name is not taken,
/// so a service has to name nodes before they are ready (`publishNotReadyAddresses` in Kubernetes), or they never will be.
///
/// An answer that has a part of them only, as some servers give, takes nobody off the list: who is gone is who is missing
/// from two answers in a row.
///
/// The name is asked for again when the answer's time to live is over, but not sooner than after five seconds and not
/// later than after a minute; after a failure in five seconds.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use grid_transport::{Manager, SharedSecret, peers::{DnsPeers, SystemDns}};
///
/// let local = "http://10.0.0.1:9000";
/// let manager = Manager::builder(local)
///     .peers([local])
///     .auth(SharedSecret::new("only we know"))
///     .build()?;
/// let dns = SystemDns::new()?;
/// manager.follow(DnsPeers::a(dns, "grid.default.svc.cluster.local", 9000))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct DnsPeers {
    client: Arc<dyn DnsClient>,
    name: String,
    record: DnsRecord,
    /// Of addresses; services say their own.
    port: u16,
    tls: bool,
    least: Duration,
    most: Duration,
    timeout: Duration,
    /// What the last answer had.
    before: BTreeSet<String>,
}

impl DnsPeers {
    /// The IPv4 addresses of a name, each with this port: `http://10.0.0.1:9000`.
    #[must_use]
    pub fn a(client: impl DnsClient, name: impl Into<String>, port: u16) -> Self {
        Self::new(client, name.into(), DnsRecord::A, port)
    }

    /// The IPv6 addresses of a name, each with this port: `http://[2001:db8::1]:9000`.
    #[must_use]
    pub fn aaaa(client: impl DnsClient, name: impl Into<String>, port: u16) -> Self {
        Self::new(client, name.into(), DnsRecord::Aaaa, port)
    }

    /// The hosts and ports of a service, such as `_grid._tcp.example.com`: `http://node-1.example.com:9000`.
    #[must_use]
    pub fn srv(client: impl DnsClient, name: impl Into<String>) -> Self {
        Self::new(client, name.into(), DnsRecord::Srv, 0)
    }

    fn new(client: impl DnsClient, name: String, record: DnsRecord, port: u16) -> Self {
        Self {
            client: Arc::new(client),
            name,
            record,
            port,
            tls: false,
            least: LEAST,
            most: MOST,
            timeout: TIMEOUT,
            before: BTreeSet::new(),
        }
    }

    /// The names begin with `https`. By default they begin with `http`.
    #[must_use]
    pub fn https(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The time between two questions, whatever the time to live of an answer: from five seconds to a minute by default,
    /// 100 ms at the least. The first of the two is also the time after a failure; it goes where it is the longer one.
    #[must_use]
    pub fn between(mut self, least: Duration, most: Duration) -> Self {
        self.least = least;
        self.most = most;
        self
    }

    /// How long an answer may take: ten seconds by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The name of a node; `None` for a service that says by `.` that nobody offers it.
    fn node(&self, host: &DnsHost) -> Option<String> {
        let scheme = if self.tls { "https" } else { "http" };
        match host {
            DnsHost::Address(IpAddr::V4(address)) => {
                Some(format!("{scheme}://{address}:{}", self.port))
            }
            DnsHost::Address(IpAddr::V6(address)) => {
                Some(format!("{scheme}://{}:{}", Bracketed(address), self.port))
            }
            DnsHost::Service(host, port) => {
                let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
                (!host.is_empty()).then(|| format!("{scheme}://{host}:{port}"))
            }
        }
    }
}

struct Bracketed<'a>(&'a Ipv6Addr);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0)
    }
}

impl PeerSource for DnsPeers {
    fn label(&self) -> String {
        format!("{} records of {}", self.record, self.name)
    }

    fn interval(&self) -> Duration {
        self.least
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>> {
        Box::pin(async {
            let fault = |source: io::Error| SourceError::Dns {
                record: self.record,
                name: self.name.as_str().into(),
                source: Arc::new(source),
            };
            let answer = self.client.ask(&self.name, self.record).await;
            let answer = answer.map_err(fault)?;
            let names: BTreeSet<_> = answer
                .hosts
                .iter()
                .filter_map(|host| self.node(host))
                .collect();
            if names.is_empty() {
                return Err(fault(io::Error::new(
                    io::ErrorKind::NotFound,
                    "the answer has none",
                )));
            }
            let again = answer.ttl.min(self.most).max(self.least);
            let all = names.union(&self.before).cloned().collect();
            self.before = names;
            Ok(PeerList::new(all, again))
        })
    }
}

impl fmt::Debug for DnsPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsPeers")
            .field("name", &self.name)
            .field("record", &self.record)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("least", &self.least)
            .field("most", &self.most)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says the same all the time.
    struct Fixed(io::Result<DnsAnswer>);

    impl DnsClient for Fixed {
        fn ask<'a>(&'a self, _: &'a str, _: DnsRecord) -> BoxFuture<'a, io::Result<DnsAnswer>> {
            let answer = match &self.0 {
                Ok(answer) => Ok(answer.clone()),
                Err(error) => Err(error.kind().into()),
            };
            Box::pin(async { answer })
        }
    }

    fn says(hosts: &[DnsHost], ttl: u64) -> Fixed {
        Fixed(Ok(DnsAnswer::new(hosts.to_vec(), Duration::from_secs(ttl))))
    }

    fn address(text: &str) -> DnsHost {
        DnsHost::Address(text.parse().unwrap())
    }

    fn service(host: &str, port: u16) -> DnsHost {
        DnsHost::Service(host.to_owned(), port)
    }

    #[tokio::test]
    async fn records_become_names_of_nodes() {
        let four = says(
            &[
                address("10.0.0.2"),
                address("10.0.0.1"),
                address("10.0.0.2"),
            ],
            30,
        );
        let list = DnsPeers::a(four, "grid", 9000).ask().await.unwrap();
        assert_eq!(list.names, ["http://10.0.0.1:9000", "http://10.0.0.2:9000"]);
        let six = says(&[address("2001:DB8:0::1")], 30);
        let list = DnsPeers::aaaa(six, "grid", 9000).https().ask().await;
        assert_eq!(list.unwrap().names, ["https://[2001:db8::1]:9000"]);
        let services = [
            service("Node-1.Example.com.", 9000),
            service("node-1.example.com", 9001),
            service(".", 9002),
        ];
        let list = DnsPeers::srv(says(&services, 30), "_grid._tcp").ask().await;
        assert_eq!(
            list.unwrap().names,
            [
                "http://node-1.example.com:9000",
                "http://node-1.example.com:9001"
            ]
        );
    }

    #[tokio::test]
    async fn who_is_missing_once_stays() {
        struct Turns(parking_lot::Mutex<Vec<Vec<DnsHost>>>);
        impl DnsClient for Turns {
            fn ask<'a>(&'a self, _: &'a str, _: DnsRecord) -> BoxFuture<'a, io::Result<DnsAnswer>> {
                let next = self.0.lock().pop();
                let answer = next.map(|hosts| DnsAnswer::new(hosts, Duration::ZERO));
                Box::pin(async { answer.ok_or_else(|| io::ErrorKind::TimedOut.into()) })
            }
        }
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(address);
        // The last one is answered first.
        let turns = vec![
            vec![a.clone()],
            vec![a.clone(), c.clone()],
            vec![a.clone(), b.clone()],
            vec![a.clone(), c.clone()],
            vec![a, b, c],
        ];
        let mut source = DnsPeers::a(Turns(turns.into()), "grid", 1);
        for hosts in [3, 3, 3, 3, 2] {
            assert_eq!(source.ask().await.unwrap().names.len(), hosts);
        }
        assert!(source.ask().await.is_err());
    }

    #[tokio::test]
    async fn it_is_asked_again_by_its_time_to_live_within_bounds() {
        for (ttl, again) in [(0, 5), (4, 5), (30, 30), (61, 60), (86_400, 60)] {
            let source = DnsPeers::a(says(&[address("10.0.0.1")], ttl), "grid", 9000);
            let list = source.clone().ask().await.unwrap();
            assert_eq!(list.again.as_secs(), again, "{ttl}");
            let (least, most) = (Duration::from_secs(20), Duration::from_secs(10));
            let list = source.between(least, most).ask().await.unwrap();
            assert_eq!(list.again.as_secs(), 20, "{ttl}");
        }
    }

    #[tokio::test]
    async fn no_answer_and_an_empty_one_are_no_lists() {
        let refused = Fixed(Err(io::ErrorKind::ConnectionRefused.into()));
        let error = DnsPeers::a(refused, "grid", 9000).ask().await.unwrap_err();
        let text = error.to_string();
        assert_eq!(text, "no A records of \"grid\": connection refused");
        for hosts in [&[][..], &[service(".", 0)]] {
            let error = DnsPeers::srv(says(hosts, 30), "_grid._tcp").ask().await;
            let text = error.unwrap_err().to_string();
            assert_eq!(
                text,
                "no SRV records of \"_grid._tcp\": the answer has none"
            );
        }
    }
}
