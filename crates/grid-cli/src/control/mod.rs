//! The control socket of a running node: commands go through it over the links that the node has.
//!
//! What is spoken over the socket is grid itself, under a route path and names of its own: a command
//! dials, the node serves it a handful of handlers that pass calls and streams on. So a call over
//! the socket has deadlines, flow control, and ends on both sides when its command does.

mod handlers;
mod message;
mod serve;
mod socket;

pub(crate) use self::{
    handlers::{bytes, payload},
    message::{
        CALL, CLIENT, CONNECT, CallOrder, ConnectOrder, FromRemote, NODE, OPEN, OpenOrder, PATH,
        PING, PingOrder, STATUS, settings,
    },
    serve::Control,
    socket::{bind, parse_via},
};
