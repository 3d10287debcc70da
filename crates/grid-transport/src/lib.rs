//! Grid over tokio.
mod auth;
mod builder;
mod config;
mod connection;
mod error;
mod handler;
mod io;
mod limiter;
mod link;
mod listener;
mod manager;
mod registry;
mod request;
mod session;
mod shutdown;
mod state;
mod stats;
mod stream;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod ws;

pub use auth::{
    Auth, AuthError, NoAuth, StaticToken, StaticToken as SharedSecret, TokenContext,
    UpgradeHeaders, same_token,
};
pub use builder::Builder;
pub use config::Settings;
pub use connection::Connection;
pub use error::{
    BuildError, CallError, HandlerError, Refusal, RegisterError, RemoteText, SendError, UnknownPeer,
};
pub use grid_proto::{HandlerId, InstanceId, MuxId, Payload, SubrouteId, conn::Capacity};
pub use handler::{Context, Request};
pub use io::{BoxIo, Dialer, Io, Target, TcpDialer};
pub use listener::{Accept, Listener, Serving};
pub use manager::{Drained, Manager};
pub use registry::{Registration, Registry, SingleHandler, StreamHandler};
pub use request::{RequestBuilder, RequestFuture};
pub use state::{LinkCause, LinkState};
pub use stats::{HandlerStats, LinkStats};
pub use stream::{CancelHandle, Stream, StreamBuilder, StreamCall, StreamReceiver, StreamSender};
