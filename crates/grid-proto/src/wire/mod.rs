//! Bytes to values and back: envelopes, merged messages, structures and texts (protocol sections 2 to 5).
//!
//! A websocket message goes through [`unfold`], which yields the [`Message`]s inside in order; [`Frame`] is the same
//! message borrowed. What a node sends it appends to a buffer of its caller's, of a length known beforehand.
//!
//! Structures ([`ConnectRequest`], [`ConnectResponse`], [`MuxConnectError`], [`Ping`], [`Pong`]) are the payloads that
//! the protocol itself reads. All have the same functions: `decode`, `encoded_len`, `encode`. Their texts are bytes
//! that a peer chose, so they are kept as [`Text`], whatever their encoding.
//!
//! An [`Inspection`] is for tools that show messages to people: it gives what can be read of a message that a node
//! would refuse.
//!
//! [`ConnectRejection`] and [`MuxRejection`] are the reasons for which a node refuses a connection or a call. They travel
//! as text, print as the text that other nodes know, and are recognised from it.

mod checksum;
mod connect;
mod duration;
mod error;
mod extra;
mod flags;
mod frame;
mod inspect;
mod merged;
mod message;
mod mux_error;
mod mux_reject;
mod op;
mod ping;
mod prefix;
mod quick;
mod reader;
mod reject;
pub mod stream_text;
mod structure;
mod text;
mod time;
mod writer;

pub use checksum::checksum;
pub use connect::{ConnectRequest, ConnectResponse};
pub use error::{DecodeError, Field, Kind};
pub use extra::Extra;
pub use flags::Flags;
pub use frame::Frame;
pub use inspect::{ChecksumState, Inspection, Parts};
pub use merged::{
    MergedLen, Unfold, encode_merged, encode_merged_head, encode_merged_part, merged_len, unfold,
};
pub use message::Message;
pub use mux_error::MuxConnectError;
pub use mux_reject::MuxRejection;
pub use op::Op;
pub use ping::{Ping, Pong};
pub use reject::ConnectRejection;
pub use text::Text;
pub use time::Timestamp;
pub(crate) use writer::{bin_len, uint_len};
