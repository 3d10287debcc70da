//! Calls and handlers as [tower] services, so that its layers work on them: timeouts, retries, load shedding, hedging,
//! and whatever else is written for it. Needs the feature `tower`.
//!
//! [`PeerService`] makes single requests: a `Service<`[`Call`]`>` that answers with a [`Payload`](crate::Payload) or a
//! [`CallError`](crate::CallError). The other way, [`single`] makes a handler of a `Service<`[`Request`](crate::Request)`>`.
//!
//! | layer | here |
//! | --- | --- |
//! | timeout | drops the future, which gives the request up at the remote too; [`Call::timeout`] tells the remote besides how long it has |
//! | retry | with [`Retries`], only what is certain not to have been executed ([`CallError::is_retryable`](crate::CallError::is_retryable)) |
//! | load shed | sheds where the queue of the link is full: [`poll_ready`](tower_service::Service::poll_ready) says so |
//! | hedge, balance | over clones, one for each peer; for calls that may be executed twice |
//!
//! ```
//! use std::time::Duration;
//!
//! use grid_transport::{
//!     HandlerId, Request,
//!     testing::pair,
//!     tower::{Call, PeerService, Retries, single},
//! };
//! use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! const ECHO: HandlerId = HandlerId::new(200);
//!
//! let pair = pair(|node| {
//!     let echo = service_fn(|request: Request| async move { Ok::<_, BoxError>(request.into_payload()) });
//!     node.register(single(ECHO, ServiceBuilder::new().concurrency_limit(64).service(echo)))
//! })
//! .await?;
//! let peer = ServiceBuilder::new()
//!     .load_shed()
//!     .timeout(Duration::from_secs(5))
//!     .retry(Retries::new(3))
//!     .service(PeerService::new(pair.a_to_b()));
//! let answer = peer.oneshot(Call::new(ECHO, "hello")).await?;
//! assert_eq!(answer.as_slice(), b"hello");
//! # Ok(()) }
//! ```
//!
//! [tower]: https://docs.rs/tower

mod call;
mod handler;
mod retry;

pub use self::{
    call::{Call, PeerService},
    handler::single,
    retry::{AsCallError, Pause, Retries},
};
