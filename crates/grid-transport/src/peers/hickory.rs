//! Asks name servers by hickory-resolver.

use std::{fmt, io, net::SocketAddr, time::Duration};

use futures_util::future::BoxFuture;
use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};

use super::dns::{DnsAnswer, DnsClient, DnsHost, DnsRecord};

/// Asks the name servers of the system, or given ones, by hickory-resolver: over UDP, and over TCP where an answer is too
/// long for that. It needs the tokio runtime that it is used in. Clones share their sockets.
#[derive(Clone)]
pub struct SystemDns(TokioResolver);

impl SystemDns {
    /// The name servers and search domains of the system, such as those of `/etc/resolv.conf`, as they are now.
    ///
    /// # Errors
    ///
    /// When they can't be read.
    pub fn new() -> io::Result<Self> {
        let builder = TokioResolver::builder_tokio().map_err(io::Error::other)?;
        Self::of(builder)
    }

    /// These name servers, without search domains.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn with_servers(servers: impl IntoIterator<Item = SocketAddr>) -> io::Result<Self> {
        let servers: Vec<_> = servers.into_iter().map(server).collect();
        if servers.is_empty() {
            let words = "there are no name servers to ask";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        Self::of(TokioResolver::builder_with_config(
            config,
            TokioRuntimeProvider::default(),
        ))
    }

    fn of(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> io::Result<Self> {
        // Whoever follows a name asks when its time is over; what was remembered would be older.
        builder.options_mut().cache_size = 0;
        builder.build().map(Self).map_err(io::Error::other)
    }

    /// # Errors
    ///
    /// As of [`DnsClient::ask`].
    ///
    /// # Cancel safety
    ///
    /// As of [`DnsClient::ask`].
    async fn find(&self, name: &str, record: DnsRecord) -> io::Result<DnsAnswer> {
        let kind = match record {
            DnsRecord::A => RecordType::A,
            DnsRecord::Aaaa => RecordType::AAAA,
            DnsRecord::Srv => RecordType::SRV,
        };
        let found = self.0.lookup(name, kind).await.map_err(io::Error::other)?;
        let hosts = found.answers().iter().filter_map(|record| {
            // An alias on the way to them has none.
            match &record.data {
                RData::A(address) => Some(DnsHost::Address(address.0.into())),
                RData::AAAA(address) => Some(DnsHost::Address(address.0.into())),
                RData::SRV(service) => {
                    Some(DnsHost::Service(service.target.to_ascii(), service.port))
                }
                _ => None,
            }
        });
        let ttl = found.answers().iter().map(|record| record.ttl).min();
        let ttl = Duration::from_secs(ttl.unwrap_or_default().into());
        Ok(DnsAnswer::new(hosts.collect(), ttl))
    }
}

impl DnsClient for SystemDns {
    fn ask<'a>(&'a self, name: &'a str, record: DnsRecord) -> BoxFuture<'a, io::Result<DnsAnswer>> {
        Box::pin(self.find(name, record))
    }
}

impl fmt::Debug for SystemDns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemDns").finish_non_exhaustive()
    }
}

fn server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}
