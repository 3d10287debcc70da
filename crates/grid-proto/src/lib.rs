//! The grid wire protocol without sockets, clocks or a runtime.
//!
//! Nodes of a grid hold one websocket connection per pair and send many requests and streams over it at once. This
//! crate knows what they say to each other:
//!
//! - [`wire`]: bytes to values and back: the envelope of a message with its two trailers, messages merged into one,
//!   the structures of the handshake and of the pings, and the texts by which a node refuses something.
//! - [`conn`]: one connection as a machine, which is fed with messages and the time and asked what to send.
//! - The crate root holds the small types that both layers share: [`MuxId`], [`HandlerId`], [`InstanceId`],
//!   [`SubrouteId`], [`Payload`], and [who dials](local_dials).
//!
//! The byte layout follows protocol version 1, section by section; each item names the section it implements.
//!
//! # What it is not
//!
//! It opens no connection, frames no websocket message, spawns nothing, waits for nothing and logs nothing. Nor does
//! it know what a payload means: to every layer here a request is a handler's number and some bytes.
//!
//! # Example
//!
//! A request goes out, and comes in at the other end. Decoding checks the checksum and borrows the payload.
//!
//! ```
//! use grid_proto::wire::{Flags, Frame, Op};
//! use grid_proto::{HandlerId, MuxId};
//!
//! let request = Frame {
//!     handler: HandlerId::new(9),
//!     deadline_ms: 60_000,
//!     flags: Flags::CRC | Flags::EOF,
//!     payload: b"hello",
//!     ..Frame::new(Op::Request, MuxId::new(1))
//! };
//! let mut bytes = Vec::new();
//! request.encode(&mut bytes);
//! assert_eq!(bytes.len(), request.encoded_len());
//!
//! let read = Frame::decode(&bytes)?;
//! assert_eq!(read, request);
//!
//! // One flipped bit is found, and the error says what and where.
//! bytes[12] ^= 1;
//! let error = Frame::decode(&bytes).unwrap_err();
//! assert!(error.to_string().starts_with("wrong checksum"), "{error}");
//! # Ok::<(), grid_proto::wire::DecodeError>(())
//! ```
//!
//! # Threading, waiting, ending
//!
//! A connection is a plain value: [`Send`], without locks, used by one thread at a time as `&mut` says. Several may share a
//! [`Budget`](conn::Budget), and that alone. No function waits, so there is nothing to cancel; a connection is told the time,
//! and says when it wants to be told again. [`close`](conn::Connection::close) ends its calls with a reason, and where it is
//! dropped nothing is left of it.
//!
//! # Limits
//!
//! [`conn::Config`] bounds what a connection holds, and the decoders of [`wire`] what they read. What goes beyond that is an error
//! that says whose fault it is.
//!
//! # Trust and panics
//!
//! Nothing a peer sends makes this crate panic, recurse, or reserve memory by a length that was only declared. Encoding panics
//! where a payload has 4 GiB or more, for which the wire has no form; [`conn`] refuses it before.
//!
//! # Features
//!
//! None. Names that begin with `__` are private to this workspace and may change at any time.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod conn;
#[cfg(any(test, feature = "__fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod names;
mod payload;
mod subroute;
pub mod wire;

pub use id::{HandlerId, InstanceId, MuxId};
pub use names::{local_dials, uses_checksums};
pub use payload::Payload;
pub use subroute::{Route, SubrouteId};

/// The example of the README, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
