//! Every limit and interval of a node in one documented struct.

use std::time::Duration;

use grid_proto::MuxId;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

macro_rules! settings {
    ($( $(#[$doc:meta])* $name:ident: $kind:ty = $default:expr; )*) => {
        /// The limits and intervals of a node.
        ///
        /// The defaults suit a cluster of storage nodes. All of them are enforced; what a peer
        /// meets is refused with a text, what we meet ourselves is a typed error. Start from
        /// [`Settings::new`] and chain the setters:
        ///
        /// ```
        /// use std::time::Duration;
        /// use grid_transport::Settings;
        ///
        /// let settings = Settings::new()
        ///     .ping_interval(Duration::from_secs(2))
        ///     .max_message(8 * 1024 * 1024);
        /// assert_eq!(settings.max_streams, 16_384);
        /// ```
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct Settings {
            $( $(#[$doc])* pub $name: $kind, )*
        }

        impl Settings {
            /// The defaults.
            #[must_use]
            pub fn new() -> Self {
                Self { $( $name: $default, )* }
            }

            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](Settings#structfield.", stringify!($name), ").")]
                #[must_use]
                pub fn $name(mut self, value: $kind) -> Self {
                    self.$name = value;
                    self
                }
            )*
        }
    };
}

settings! {
    /// The largest message in bytes, after merging and joining of fragments. Default 64 MiB.
    /// A payload has to leave room for its envelope (at most 70 bytes).
    max_message: usize = 64 * MIB;
    /// The largest message of a handshake, in bytes. Default 64 KiB.
    max_handshake_message: usize = 64 * KIB;
    /// The largest head of an HTTP request or answer of an upgrade, in bytes. Default 16 KiB.
    max_head: usize = 16 * KIB;
    /// Connections that are inside their handshake at the same time; more are closed at once.
    /// Default 1,024.
    max_handshakes: usize = 1_024;

    /// Single requests in progress, for each link and direction. Default 65,536. Handlers of a
    /// link that still run, of this connection and of those before, count against the same number.
    max_requests: usize = 65_536;
    /// Handlers that run at the same time on the whole node. Default 262,144.
    max_handlers: usize = 262_144;
    /// Streams open, for each link and direction. Default 16,384.
    max_streams: usize = 16_384;
    /// Handlers registered as blocking that run at the same time; the others wait for a thread.
    /// Default 64.
    max_blocking: usize = 64;

    /// Bytes queued to be written, for each link. A message is admitted while the queue is below
    /// this, so that one always fits. Default 64 MiB.
    max_queued: usize = 64 * MIB;
    /// Bytes queued to be written on all links together; of a quarter of it an even part is kept for each link. Default
    /// 1 GiB.
    max_queued_node: usize = GIB;
    /// Bytes of answers about unknown muxes and of refusals that may wait, for each link. A peer
    /// that leaves more waiting for a second, or four times as much at any time, does not read and
    /// is disconnected. Default 1 MiB.
    max_control: usize = MIB;
    /// How long a call waits for room in the queue before it fails with
    /// [`Refusal::Overloaded`](crate::Refusal::Overloaded), should its deadline not come first.
    /// Default 5 s.
    room_timeout: Duration = Duration::from_secs(5);
    /// Bytes held inbound (requests in handlers, items not taken yet, answers that wait for room in
    /// the queue), for each link. Where an answer would have to wait and so much is held, it is
    /// dropped, and its caller told by an error of the remote. Default 128 MiB.
    max_inbound: usize = 128 * MIB;
    /// Bytes held inbound on all links together; a quarter of them is kept for links that hold
    /// little, an even part for each, those that were removed included while a
    /// [`Connection`](crate::Connection) to them is kept. Default 1 GiB.
    max_inbound_node: usize = GIB;
    /// Messages that no honest peer sends in number and that a peer may send within one
    /// [`ping_interval`](Self::ping_interval): of unknown kinds or wrongly nested, pings, those of a stream only where
    /// they come more than once in a second and in a quarter of the
    /// [`stream_ping_interval`](Self::stream_ping_interval) and were not held up together, streams that are open already, and messages for calls and
    /// streams that are not open, as far as there are more than may cross the end of one that was. With them count
    /// texts, pings, pongs and empty fragments of the websocket, which are skipped. Default 10,000.
    max_unknown: u32 = 10_000;
    /// Messages for calls and streams that are not open which do not count as such on a connection: what an honest
    /// peer had waiting when an earlier one ended comes out on the next. Default 65,536.
    max_leftovers: u32 = 65_536;

    /// Bytes that are merged into one websocket message; a larger message goes alone. Default
    /// 64 KiB.
    merge_limit: usize = 64 * KIB;
    /// The most bytes that are read from a socket at once, but for websocket frames above 64 KiB,
    /// which are read into a buffer of their own; 1,024 at the least, and what a connection at rest
    /// reads. Default 64 KiB.
    read_chunk: usize = 64 * KIB;
    /// Bytes of each link that the system may hold received and not read, for links over TCP, also under TLS; 64 KiB to
    /// 1 GiB. It is the socket's `SO_RCVBUF`: Linux doubles it for its own needs, and silently takes `net.core.rmem_max`
    /// where that is less. `None` leaves it to the system, which lets it grow to many MiB (`net.ipv4.tcp_rmem`).
    ///
    /// What is [urgent](crate::RequestBuilder::urgent) can't pass what the system of its receiver has received: with
    /// 128 KiB it waits behind no more than that, whatever else is on its way. A link that receives much is slower in
    /// exchange: a peer sends no more than this in a round trip, so that 1 MiB at 10 ms are 100 MiB/s at the most. A thousand
    /// links have no more than a thousand times this (twice, on Linux) received and unread.
    ///
    /// A socket that an HTTP server of the application accepted is bounded too, once its connection is handed over as a
    /// `TcpStream` or what this crate wraps it in; inside of another type it stays as it is. Default `None`.
    receive_buffer: Option<usize> = None;

    /// How long an upgrade and handshake may take, on either side. Default 5 s.
    handshake_timeout: Duration = Duration::from_secs(5);
    /// How long a dial may take, the look-up of the name included. Default 2 s.
    dial_timeout: Duration = Duration::from_secs(2);
    /// How long the end of a connection waits for handlers that don't come out of a poll, before
    /// they are left behind as detached. Default 1 s.
    teardown: Duration = Duration::from_secs(1);
    /// The peer has to take a byte within this time while we write. Default 4 s.
    write_timeout: Duration = Duration::from_secs(4);
    /// The period of the connection's pings. The link is lost when no byte at all came for two
    /// periods. Default 10 s.
    ping_interval: Duration = Duration::from_secs(10);
    /// The period of a stream's pings. The stream ends when nothing of it came for two
    /// periods; while pings of the link that left no earlier are answered late too, after
    /// sixteen at the most. Default 15 s.
    stream_ping_interval: Duration = Duration::from_secs(15);
    /// The deadline of a single request that sets none. Default 60 s.
    default_deadline: Duration = Duration::from_secs(60);
    /// The clocks of two nodes may differ by this much, either way. Default 5 min.
    max_clock_skew: Duration = Duration::from_secs(300);

    /// A link that lived longer than this is redialed at once after its loss. Default 5 s.
    redial_at_once_after: Duration = Duration::from_secs(5);
    /// Redialing at once waits for a random time up to this. Default 100 ms.
    redial_jitter: Duration = Duration::from_millis(100);
    /// The next attempt starts this long after the start of the last one, plus a random time up
    /// to the same again. Default 1 s, so that the gap is 1–2 s.
    redial_interval: Duration = Duration::from_secs(1);
    /// After so much time of nothing but failures the gap doubles with each attempt. Default
    /// 10 min.
    redial_patience: Duration = Duration::from_secs(600);
    /// The longest gap. Default 30 s.
    redial_max: Duration = Duration::from_secs(30);
    /// Attempts a second of all links together that fail to connect: where there are more links than this, their gaps grow
    /// with their number, up to the longest. 0 for no such limit. Default 75.
    redial_rate: u32 = 75;
    /// A second connection of the same remote takes the place of the live one when that is this
    /// old; until then it waits. Of those waiting the newest is kept, and beside it the newest of another process or
    /// address than the live one, which goes first. Default 1 s.
    replace_after: Duration = Duration::from_secs(1);
    /// The longest time for which a live connection is kept from being replaced. Each one that takes the place of another
    /// which did not live that long doubles the time that it lives itself, from [`replace_after`](Self::replace_after) on.
    /// Where it is of another process or address than the one it replaces, hanging up does not make that undone: one
    /// doubling is taken back each time that so long goes by. Default 30 s.
    replace_max: Duration = Duration::from_secs(30);
    /// Connect requests that are remembered for each remote, so that nobody gets in with a copy of one: for twice
    /// [`max_clock_skew`](Self::max_clock_skew), which is 10 min by default. Of more the oldest are forgotten; 0 remembers
    /// none. Default 1,024.
    max_remembered: usize = 1_024;

    /// The number of the first call of a link; `None` draws one from 2^16…2^31. For tests.
    /// Default `None`.
    first_mux: Option<MuxId> = None;
    /// Close a link whose messages carry no checksum though both nodes should use them. Default
    /// `false`, as the reference only looks at the flag of each message.
    require_checksums: bool = false;
    /// Check the token before all else, and tell a dialer only `rejected` until it is valid.
    /// Default `false`, so that the order of checks and their texts are the reference's.
    strict: bool = false;

    /// Run the links on a thread of their own, with a runtime for one thread, and only handlers that are not ready at
    /// once on the runtime in which the node is built; the node ends with that runtime too. A listener of several grids
    /// stays there. Handlers begin on that thread, inside the context of the other runtime, and dialers and what checks
    /// tokens run there: one that blocks holds up every link. Default `false`.
    own_worker: bool = false;
    /// Handlers are polled in place, without a task of their own, until a batch of messages has
    /// used up this time. Default 200 µs.
    in_place_time: Duration = Duration::from_micros(200);
    /// The most handlers of one batch of messages that are polled in place. Default 256.
    in_place_handlers: usize = 256;
    /// A handler whose first polls take longer than this, two in a row or more than one of sixteen, gets a task of its
    /// own for each call until they are quick again. In such a task it is compared in whole microseconds, one at the
    /// least. Default 1 ms.
    slow_poll: Duration = Duration::from_millis(1);

    /// The same warning about the same remote is logged once in this time. Default 1 h.
    warn_interval: Duration = Duration::from_secs(3_600);
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

/// A node's address in a form that can be dialed: `http://HOST:PORT` or `https://HOST:PORT`
/// without a path, compared as exact text (protocol section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameFault {
    Scheme,
    Host,
    Port,
    Path,
    Case,
    Characters,
}

impl NameFault {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Scheme => "it must begin with http:// or https://",
            Self::Host => "it has no host",
            Self::Port => "its port is not a number from 1 to 65535",
            Self::Path => {
                "it must end after the host and port, without a slash, path, query or user"
            }
            Self::Case => "scheme and host must be in lower case",
            Self::Characters => "it contains characters that no URL has",
        }
    }
}

/// What a name says about how to reach the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) tls: bool,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
}

impl Endpoint {
    pub(crate) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

/// Takes a name apart; the host of a literal IPv6 address comes without its brackets.
pub(crate) fn parse_name(name: &str) -> Result<Endpoint, NameFault> {
    if name
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii())
    {
        return Err(NameFault::Characters);
    }
    let lower = name.to_ascii_lowercase();
    let (tls, default_port, rest) = if let Some(rest) = lower.strip_prefix("http://") {
        (false, 80, rest)
    } else if let Some(rest) = lower.strip_prefix("https://") {
        (true, 443, rest)
    } else {
        return Err(NameFault::Scheme);
    };
    if rest.contains(['/', '?', '#', '@', '\\']) {
        return Err(NameFault::Path);
    }
    let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or(NameFault::Host)?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return Err(NameFault::Host),
        };
        (host, port)
    } else {
        match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    if host.is_empty() {
        return Err(NameFault::Host);
    }
    let port = match port {
        None => default_port,
        Some(text) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => text
            .parse::<u16>()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(NameFault::Port)?,
        Some(_) => return Err(NameFault::Port),
    };
    if lower != name {
        return Err(NameFault::Case);
    }
    Ok(Endpoint {
        tls,
        host: host.into(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let plain = parse_name("http://10.0.0.1:9000").unwrap();
        assert_eq!(
            plain,
            Endpoint {
                tls: false,
                host: "10.0.0.1".into(),
                port: 9000
            }
        );
        let bare = parse_name("https://node-1").unwrap();
        assert_eq!(
            bare,
            Endpoint {
                tls: true,
                host: "node-1".into(),
                port: 443
            }
        );
        let six = parse_name("http://[::1]:9000").unwrap();
        assert_eq!(
            six,
            Endpoint {
                tls: false,
                host: "::1".into(),
                port: 9000
            }
        );
    }

    #[test]
    fn names_that_cannot_be_are_told_why() {
        for (name, fault) in [
            ("node:9000", NameFault::Scheme),
            ("ws://node:9000", NameFault::Scheme),
            ("http://:9000", NameFault::Host),
            ("http://[::1:9000", NameFault::Host),
            ("http://node:0", NameFault::Port),
            ("http://node:70000", NameFault::Port),
            ("http://node:+80", NameFault::Port),
            ("http://node:9000/", NameFault::Path),
            ("http://me@node:9000", NameFault::Path),
            ("http://Node:9000", NameFault::Case),
            ("HTTP://node:9000", NameFault::Case),
            ("http://no de", NameFault::Characters),
        ] {
            assert_eq!(parse_name(name), Err(fault), "{name}");
        }
    }

    #[test]
    fn c04_the_default_deadline_is_documented_unit() {
        let (before, _) = include_str!("config.rs")
            .split_once("default_deadline: Duration = ")
            .unwrap();
        let doc = before.trim_end().lines().last().unwrap();
        assert_eq!(
            doc,
            "    /// The deadline of a single request that sets none. Default 60 s."
        );
        assert_eq!(Settings::new().default_deadline, Duration::from_secs(60));
    }
}
