//! Grid over tokio: one self-healing websocket link per peer, byte-slice requests and
//! flow-controlled streams both ways.
//!
//! A node of a grid knows the names of all nodes. For each pair one of the two dials, by a rule
//! that both can compute, and keeps dialing; over that one connection *both* call each other: any
//! number of requests and streams at once. The wire is that of MinIO's internode grid, and a node
//! of this crate can stand at either end of it.
//!
//! - [`Manager`] is a node: its links, its handlers, its end.
//! - [`Connection`] is a remote: calls to it, and how its link is. It outlives reconnects.
//! - [`HandlerId`] names a handler, which may be split by static [routes](Connection::subroute).
//! - [`Stream`] is a conversation under flow control; [`Request`] and [`StreamCall`] are what
//!   handlers get.
//!
//! # What it is not
//!
//! It does not elect anybody or store anything, and finds nodes only where a [list](peers) says that
//! they are. It does not retry: a call that failed says whether it may have been executed, and its
//! caller knows what to do about that. It gives payloads no meaning; for serde structs in and out
//! there is `grid-typed`.
//!
//! What takes the place of what, for those who come from MinIO's grid in Go, from tonic or from tarpc: [migrating].
//!
//! [migrating]: https://github.com/grid-rs/grid/blob/main/docs/migrating.md
//!
//! # Example
//!
//! Two nodes in one process; in life each has a process of its own, and the same list of names.
//!
//! ```
//! use std::time::Duration;
//! use grid_transport::{Capacity, HandlerId, Manager, Payload, Request, SharedSecret, StreamCall};
//! use tokio::net::TcpListener;
//!
//! const ECHO: HandlerId = HandlerId::new(200);
//! const COUNT: HandlerId = HandlerId::new(201);
//!
//! async fn node(socket: TcpListener, local: &str, names: &[String]) -> std::io::Result<Manager> {
//!     let manager = Manager::builder(local)
//!         .peers(names)
//!         .auth(SharedSecret::new("only we know"))
//!         .single(ECHO, |request: Request| async move { Ok(request.into_payload()) })
//!         .stream(COUNT, Capacity::new(0, 10), |call: StreamCall| async move {
//!             for number in 0..100 {
//!                 call.send(number.to_string()).await?;
//!             }
//!             Ok(())
//!         })
//!         .build()
//!         .map_err(std::io::Error::other)?;
//!     manager.serve(socket)?;
//!     Ok(manager)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sockets = [TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?];
//! let names = [
//!     format!("http://{}", sockets[0].local_addr()?),
//!     format!("http://{}", sockets[1].local_addr()?),
//! ];
//! let [one, two] = sockets;
//! let a = node(one, &names[0], &names).await?;
//! let b = node(two, &names[1], &names).await?;
//!
//! let peer = a.connection(&names[1])?;
//! peer.connected().await?;
//! let answer: Payload = peer.request(ECHO, "hello").timeout(Duration::from_secs(5)).await?;
//! assert_eq!(answer.as_slice(), b"hello");
//!
//! let mut numbers = peer.stream(COUNT, Capacity::new(0, 10), Payload::Absent).await?;
//! let mut count = 0;
//! while let Some(number) = numbers.recv().await {
//!     assert_eq!(number?.as_slice(), count.to_string().as_bytes());
//!     count += 1;
//! }
//! assert_eq!(count, 100);
//!
//! a.shutdown(Duration::from_secs(5)).await;
//! b.shutdown(Duration::from_secs(5)).await;
//! # Ok(()) }
//! ```
//!
//! # Promises
//!
//! A clean end of a stream means that every item was delivered; anything else is an error. An
//! answer reaches exactly the call that asked, across restarts of either node. A handler's panic
//! is that call's error. The reader never waits for the writer, and a stuck consumer holds up
//! only its own stream. Every queue is bounded and every wait has an end; see [`Settings`].
//!
//! # Cancel safety
//!
//! Dropping cancels, and this is what it does on the wire (protocol sections 6 and 7):
//!
//! | what is dropped | a node of this crate gets | a MinIO node gets |
//! | --- | --- | --- |
//! | a [request](Connection::request) that was not sent yet | nothing | nothing |
//! | a request under way | DisconnectServerMux: its handler's [token](Context::token) fires | nothing: it runs the handler to its end |
//! | a [`Stream`], or a half of one that was not done | DisconnectServerMux: its handler is dropped at its await point | the same |
//! | a stream that has ended, a [finished](StreamSender::finish) sender | nothing | nothing |
//! | the future of [`send`](Stream::send) or [`recv`](Stream::recv) | nothing: no item is lost, none is sent | nothing |
//! | the last [`Manager`] | the connections close | the connections close |
//!
//! A cancel always succeeds, without room in any queue, and frees the call's number at once; a
//! late answer finds nothing. On the serving side the two kinds differ on purpose: a single
//! request is an action and its handler runs to its end unless it is registered with
//! [`abort_on_cancel`](SingleHandler::abort_on_cancel); a stream is a conversation and its
//! handler is dropped unless it is registered as [`detached`](StreamHandler::detached).
//!
//! # Threading
//!
//! [`Manager`] and [`Connection`] are handles: clones are the same node and the same remote, and any thread may use them. A
//! [`Stream`] is [split](Stream::split) where one task sends and another receives. A node runs on the tokio runtime in which
//! it is [built](Builder::build), of either flavour, and ends with it;
//! [`Settings::own_worker`](Settings#structfield.own_worker) gives its links a thread of their own.
//!
//! A handler is polled first by the task that reads its link, and has a task of its own once it waits. So one that blocks before
//! its first await holds up the link: register it as [`blocking`](SingleHandler::blocking), which gives it a thread. No code
//! of the application runs under a lock of this crate, so that a handler may call back over the link on which it was called.
//!
//! # Limits
//!
//! Every queue, table and wait has a bound, which is a field of [`Settings`]: messages, requests, streams and handlers at
//! one time, bytes that wait to be written or to be read, by link and by node. [What a peer can make a node hold][held] is
//! known from them. A call that meets a limit of either node was not executed ([`CallError::Refused`]), one that is larger than a
//! message is not sent ([`CallError::TooLarge`]), the stream of which most is unread ends ([`CallError::Overrun`]), and a peer
//! that goes beyond what an honest one sends loses its connection, with the reason in [`LinkState::last_cause`]. Handlers may have a [limit](SingleHandler::limit) of their own. A single
//! request without a deadline has that of [`Settings::default_deadline`](Settings#structfield.default_deadline), which is a
//! minute; a stream has only one that it is given.
//!
//! [held]: https://github.com/grid-rs/grid/blob/main/docs/operations.md#what-a-peer-can-make-a-node-hold
//!
//! # Shutdown
//!
//! [`Manager::shutdown`] takes a time of grace. From then on new calls are refused, at this node
//! ([`CallError::ShuttingDown`]) and from others ([`Refusal::ShuttingDown`], which is safe to try elsewhere); those under way
//! may end, then the remotes are told goodbye. When it returns all bytes are flushed, all sockets closed and all tasks gone,
//! and [`Drained`] tells what was cut short. A program that is told to end by a signal awaits it and calls this.
//! [`Serving::stop`] closes one listening socket and leaves links alone. Dropping the last [`Manager`] closes the links
//! and waits for nothing.
//!
//! # Panics
//!
//! Nothing that a peer sends or a caller passes makes this crate panic. Code of the application may, and harms nothing but
//! what it was run for: a handler's panic is an error of its call, whose caller gets the text ([`CallError::Remote`]), and is
//! counted in [`HandlerStats`]; that of a dialer, token source or byte stream fails the attempt or ends the connection
//! ([`LinkCause::Panicked`]), which is then made again. It is for programs that unwind: with `panic = "abort"` the process
//! ends.
//!
//! # Large bodies
//!
//! A message is held whole at both ends, up to [`Settings::max_message`](Settings#structfield.max_message). What may be
//! larger goes over a stream: [`large`] turns a reader or a stream of bytes into items and back, with the length and the
//! hash of the whole behind it.
//!
//! # Under an HTTP server
//!
//! A node has a socket of its own by [`Manager::serve`], or shares one with other grids by a [`Listener`]. Where the
//! application has an HTTP server anyway, the feature `http` brings `Manager::service`, which hyper and axum route to
//! like to any other service, also beside services of tonic; [a table][mount] has the servers that hand the connection over.
//! [`Manager::serve_upgraded`] takes what was upgraded by other means.
//!
//! [mount]: https://github.com/grid-rs/grid/blob/main/docs/operations.md#under-an-http-server
//!
//! # TLS
//!
//! The feature `tls` brings `tls::Tls`: a dialer for remotes with `https` names, and a source of connections
//! to serve, by rustls and with the cryptography that the application chooses. Certificates are read again without a
//! restart, and with mutual TLS a remote can't connect in another name than that of its certificate. Between two `https`
//! names messages carry no checksums (protocol section 3).
//!
//! # Lists of peers
//!
//! A node that is given all names when it is built can be told of others by [`Manager::add_peer`], or follows a list by
//! [`Manager::follow`]: a [file](peers::PeersFile), a name in DNS (feature `dns`), or a [source](peers::PeerSource) of the
//! application.
//!
//! # Tracing
//!
//! Events, by target: `grid::link` (states of links, failed attempts), `grid::accept` (refused
//! connections), `grid::session` (handlers left behind), `grid::node` (the end of a node), `grid::peers` (lists of peers
//! that are followed). The same
//! warning about the same remote or address comes once in
//! [`Settings::warn_interval`](Settings#structfield.warn_interval), and a link that comes and goes
//! has a bounded number of lines.
//!
//! Spans, at level debug: `grid.link` for each connection; `grid.call` for each single request on the node that makes it,
//! and `grid.handle` where its handler runs; `grid.stream` for a stream, on both nodes. Their fields have the names of
//! OpenTelemetry's semantic conventions where there are such, and are listed in [operations]. Where no subscriber wants them
//! nothing is built, and none is touched under a lock.
//!
//! [operations]: https://github.com/grid-rs/grid/blob/main/docs/operations.md#what-can-be-seen
//!
//! No payload, token or secret is ever recorded, but the error text of a handler is. Values are cut
//! to 1 KiB.
//!
//! # Metrics
//!
//! [`Manager::stats`] and [`Manager::handler_stats`] have all numbers. The feature `metrics` hands them to the recorder of
//! the facade `metrics`, with durations of calls and handlers beside them; the module of that name lists the names.
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `http` | `Manager::service`: a grid under a route of an HTTP server of the application |
//! | `dns` | `peers::DnsPeers`: a list of peers behind a name in DNS, followed as it changes |
//! | `jwt` | `Jwt`: JSON web tokens by an access key and a secret key, the form that MinIO nodes exchange |
//! | `tls` | `tls`: links by rustls; `tls-platform-roots` verifies certificates by what the operating system trusts |
//! | `tower` | `tower`: calls and handlers as services, for the layers that are written for these |
//! | `metrics` | `metrics`: counters, gauges and histograms for the facade of the crate `metrics`; `Manager::record_metrics` |
//! | `test-util` | `testing`: nodes on a network in memory, which can be cut, frozen and refused |
//!
//! None is on by default, and none changes how another part behaves.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod auth;
mod build_error;
mod builder;
mod config;
mod connection;
mod durations;
mod error;
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod io;
#[cfg(feature = "jwt")]
mod jwt;
pub mod large;
mod limiter;
mod link;
mod listener;
mod lookups;
mod manager;
mod measure;
#[cfg(feature = "metrics")]
pub mod metrics;
mod mount;
pub mod pattern;
pub mod peers;
mod proven;
mod race;
mod registration;
mod registry;
mod request;
mod resolve;
mod secrets;
#[cfg(feature = "http")]
mod service;
mod session;
mod shared_secret;
mod shutdown;
mod socket;
mod state;
mod stats;
mod stream;
mod sync;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tower")]
pub mod tower;
mod trace;
#[cfg(unix)]
mod unix;
mod worker;
mod ws;

pub use auth::{Auth, AuthError, NoAuth, StaticToken, TokenContext, UpgradeHeaders, same_token};
pub use build_error::{BuildError, RegisterError, UnknownPeer};
pub use builder::Builder;
pub use config::Settings;
pub use connection::Connection;
pub use error::{CallError, HandlerError, Refusal, RemoteText, SendError};
pub use grid_proto::{HandlerId, InstanceId, MuxId, Payload, SubrouteId, conn::Capacity};
pub use handler::{Context, Request};
pub use io::{BoxIo, Dialer, Io, Target, TcpDialer};
#[cfg(feature = "jwt")]
pub use jwt::{Jwt, JwtError};
pub use listener::{Accept, Listener, Serving};
pub use manager::{Drained, Manager};
pub use proven::{Identified, PeerNames};
pub use registration::{Registration, SingleHandler, StreamHandler};
pub use registry::Registry;
pub use request::{RequestBuilder, RequestFuture};
pub use resolve::Resolver;
pub use secrets::SecretError;
#[cfg(feature = "http")]
pub use service::GridService;
pub use shared_secret::SharedSecret;
pub use state::{LinkCause, LinkState};
pub use stats::{HandlerStats, LinkStats};
pub use stream::{CancelHandle, Stream, StreamBuilder, StreamCall, StreamReceiver, StreamSender};
#[cfg(unix)]
pub use unix::UnixDialer;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
