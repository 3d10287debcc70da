//! The smallest mux that could carry what a grid carries, over bare TCP: a header of length, id and kind, one locked
//! buffer to the writer, one write each time it wakes, slots that are reused. No checksum, no envelope, no websocket,
//! no deadline, no cancellation, no limit. It is the measure of how much of the machine those leave.

mod connection;
mod frame;
mod server;
mod writer;

pub use connection::Connection;
pub use server::serve;
