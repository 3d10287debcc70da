//! Typed calls over grid: serde structs in, serde structs out.
//!
//! For those who know it from elsewhere, [migrating] says what is called what here.
//!
//! [migrating]: https://github.com/grid-rs/grid/blob/main/docs/migrating.md
//!
//! A call is defined once, as a [`Single`] or [`Streaming`] that both nodes share; one node
//! registers a handler for it, the other calls.
//!
//! ```
//! use grid_transport::testing;
//! use grid_typed::{HandlerId, ManagerBuilderExt as _, Single};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Numbers {
//!     numbers: Vec<u32>,
//! }
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Sum {
//!     sum: u32,
//! }
//!
//! static ADD: Single<Numbers, Sum> = Single::new(HandlerId::new(201));
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let nodes = testing::pair(|node| {
//!     node.typed(&ADD, |request, _context| async move {
//!         Ok(Sum { sum: request.numbers.iter().sum() })
//!     })
//! })
//! .await?;
//! let reply = ADD.call(&nodes.a_to_b(), &Numbers { numbers: vec![1, 2, 39] }).await?;
//! assert_eq!(reply, Sum { sum: 42 });
//! # Ok(()) }
//! ```
//!
//! The two nodes here are in memory; [`grid_transport::Manager`] makes them over TCP. Streams carry
//! items both ways under flow control:
//!
//! ```
//! use grid_transport::testing;
//! use grid_typed::{Capacity, HandlerId, ManagerBuilderExt as _, Streaming, TypedStreamCall};
//!
//! /// Opened with a factor; takes numbers, gives each back multiplied.
//! static SCALE: Streaming<u64, u64, u64> =
//!     Streaming::new(HandlerId::new(211), Capacity::new(16, 16));
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let nodes = testing::pair(|node| {
//!     node.typed_stream(&SCALE, |factor, mut call: TypedStreamCall<u64, u64>| async move {
//!         while let Some(number) = call.recv().await {
//!             call.send(&(number? * factor)).await?;
//!         }
//!         Ok(())
//!     })
//! })
//! .await?;
//! let mut scaled = SCALE.open(&nodes.a_to_b(), &10).await?;
//! scaled.send(&7).await?;
//! scaled.finish();
//! assert_eq!(scaled.recv().await.transpose()?, Some(70));
//! assert!(scaled.recv().await.is_none());
//! # Ok(()) }
//! ```
//!
//! # Failures
//!
//! A value that can't be encoded or decoded, or whose code panics while it is, fails its call or
//! stream with the reason, on whichever side it happens; the link and all other calls go on. A
//! value is delivered whole or not at all, and nothing of a stream is delivered after such an item.
//!
//! | where | what its caller gets |
//! | --- | --- |
//! | request, initial payload or item on the caller's node | [`TypedError::Encode`] |
//! | request, initial payload or item on the handler's node | [`CallError::Remote`] with the text `decoding the request: …`, or `the initial payload` or `an item` in its place |
//! | answer or item on the handler's node | [`CallError::Remote`] with the text `encoding the response: …`, or `an item` in its place |
//! | answer or item on the caller's node | [`TypedError::Decode`] |
//!
//! # Cancel safety
//!
//! As with the transport, dropping a future or stream cancels; [`TypedCall`], [`TypedStream`] and
//! each async function say what is lost.
//!
//! # Threading
//!
//! Definitions are constants, and nothing here has a task or a thread of its own. A value is encoded and decoded by whoever
//! makes the call or awaits its answer, and for handlers where the [transport](grid_transport#threading) runs them: one whose
//! requests take long to decode is registered as `blocking`, like one that blocks.
//!
//! # Limits
//!
//! What the transport limits holds for typed calls too; a value whose encoding is larger than a message is not sent
//! ([`CallError::TooLarge`]). [`msgpack`] bounds how deep values nest, and believes no length that was only declared.
//!
//! # Shutdown
//!
//! It is that of the node, [`Manager::shutdown`](grid_transport::Manager::shutdown): typed calls end as others do.
//!
//! # Panics
//!
//! No function here panics. A panic in the `Serialize` or `Deserialize` of a message is an error of its call, and so is that of a
//! handler.
//!
//! # Messages
//!
//! A message is any type that [`Serialize`](serde::Serialize)s and
//! [`DeserializeOwned`](serde::de::DeserializeOwned)s; there is no trait to write ([`Message`] says
//! more). It goes over the wire as [`msgpack`] by the rules of the reference implementation:
//! structs are maps by field name, bytes are bin, times are extensions, fields that are unknown are
//! skipped.
//!
//! ```
//! use grid_typed::Timestamp;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! #[serde(default, rename_all = "PascalCase")]
//! struct FileInfo {
//!     name: String,
//!     size: i64,
//!     modified: Timestamp,
//!     #[serde(with = "serde_bytes")]
//!     data: Vec<u8>,
//! }
//! # impl Default for FileInfo {
//! #     fn default() -> Self {
//! #         Self { name: String::new(), size: 0, modified: Timestamp::ZERO, data: Vec::new() }
//! #     }
//! # }
//!
//! let info = FileInfo { name: "part.1".into(), size: 128, ..FileInfo::default() };
//! let payload = grid_typed::encode(&info)?;
//! assert_eq!(grid_typed::decode::<FileInfo>(&payload)?, info);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Helper types
//!
//! The reference has ready-made payloads, and so has this crate, with the same bytes:
//!
//! | here | there | msgpack |
//! | --- | --- | --- |
//! | [`StringMap`] | `MSS` | map of str, or nil |
//! | [`Bytes`] | `Bytes` | bin, or nil |
//! | [`UrlValues`] | `URLValues` | map of arrays of str |
//! | [`Array<T>`](Array) | `Array` | array, or nil |
//! | `Json<T>` | `JSON` | bin of JSON text, or nil |
//! | [`NoPayload`] | `NoPayload` | no bytes at all |
//! | [`Timestamp`] | `time.Time` | extension |
//!
//! # Traces
//!
//! [`Traced`] is an optional wrapper of what a handler takes or gives, with the [`TraceContext`] to which it belongs. It
//! stands behind the message, so that whoever knows nothing of it reads the message all the same, and is sent to nodes of
//! this project alone. The spans of the transport are those of one node; a handler that sets the context as the parent of its
//! span joins them. The example `traced` does so by OpenTelemetry.
//!
//! # A service in one place
//!
//! With the feature `macros` the attribute `service` turns a trait into the definitions, handlers and calls of all its
//! methods. [`golden`] keeps their ids and shapes in a file, so that a change which older nodes would not understand fails
//! a test, and so do two services with one id.
//!
//! # Features
//!
//! - `macros`: the attribute `service`.
//! - `json`: `Json<T>`.
//! - `value`: `Value`, any msgpack value (by rmpv).
#![cfg_attr(docsrs, feature(doc_cfg))]

mod call_error;
mod client_stream;
mod error;
mod fate;
mod halves;
mod message;
mod register;
mod service;
mod single;
mod stream_call;
mod streaming;
mod time;
mod traced;
mod types;
#[cfg(feature = "value")]
mod value;

/// The README's examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the attribute `service` refers to.
#[doc(hidden)]
pub mod __private {
    pub use grid_transport::{Connection, Registration};
}

#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod golden;
pub mod msgpack;

/// ```
/// use grid_transport::testing;
/// use grid_typed::{Context, HandlerError, ManagerBuilderExt as _};
///
/// /// Sums on another node.
/// #[grid_typed::service]
/// trait Sums {
///     /// The sum of all.
///     #[handler(id = 200)]
///     async fn add(&self, numbers: Vec<u64>, context: Context) -> Result<u64, HandlerError>;
/// }
///
/// struct Node;
///
/// impl Sums for Node {
///     async fn add(&self, numbers: Vec<u64>, _: Context) -> Result<u64, HandlerError> {
///         let sum = numbers.iter().try_fold(0_u64, |sum, number| sum.checked_add(*number));
///         sum.ok_or_else(|| HandlerError::new("too much"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pair = testing::pair(|node| node.service(SumsServer::new(Node))).await?;
/// let sums = SumsClient::new(pair.a_to_b());
/// assert_eq!(sums.add(&vec![1, 2, 3]).await?, 6);
/// # Ok(()) }
/// ```
#[cfg(feature = "macros")]
pub use grid_macros::service;
pub use grid_transport::{CallError, Capacity, Context, HandlerError, HandlerId};

pub use self::call_error::{Role, TypedError};
pub use self::client_stream::TypedStream;
pub use self::error::{DecodeError, EncodeError};
pub use self::halves::{TypedReceiver, TypedSender};
pub use self::message::{Message, decode, encode, encode_for};
pub use self::register::ManagerBuilderExt;
pub use self::service::Service;
pub use self::single::{Single, TypedCall, TypedCallFuture};
pub use self::stream_call::TypedStreamCall;
pub use self::streaming::{Streaming, TypedOpen, TypedOpenFuture};
pub use self::time::Timestamp;
pub use self::traced::{TraceContext, TraceContextError, Traced};
#[cfg(feature = "json")]
pub use self::types::Json;
pub use self::types::{Array, Bytes, NoPayload, StringMap, UrlValues};
#[cfg(feature = "value")]
pub use self::value::Value;
