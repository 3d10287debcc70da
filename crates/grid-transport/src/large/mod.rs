//! Large bodies over streams: from a reader or a stream of bytes into items, and back, whole or not at all.
//!
//! An answer that is larger than a message may be, or than a node wants to hold, goes as items of a stream, so that the
//! flow control of streams bounds what is on its way. [`Sender`] cuts it into items and [`Receiver`] puts it together;
//! either works on whatever end of a stream there is: [`StreamCall`](crate::StreamCall) in a handler, and
//! [`Stream`](crate::Stream) or one of its halves at the caller's.
//!
//! Whoever receives is to know that it has all of it, and that nothing between the two ends has changed it: the disk
//! or the proxy that a reader stands for can fail in ways that no checksum of a connection sees. So the body is followed
//! by its [`Summary`], the length and the SHA-256 hash of what was sent, and the receiver compares both with what came.
//! Bytes are handed out as they come, **before** that is known; the end is only [`None`], or an end of file, where all
//! was right.
//!
//! ```text
//!   items of one direction:   [bytes] [bytes] ... [bytes]  []  [length: u64, big endian | SHA-256: 32 bytes]
//! ```
//!
//! A caller that sends a body and is to hear what became of it lends its stream (`Sender::new(&mut stream)`), and
//! receives until the end of it: to drop a stream before its end cancels it.
//!
//! Bytes are never empty, so the empty item says that the summary follows. This is a convention of this library above
//! the protocol: nodes of other implementations see items.
//!
//! ```
//! use grid_transport::{
//!     Capacity, HandlerId,
//!     large::{Receiver, Sender},
//!     testing::pair,
//! };
//! use tokio::io::AsyncReadExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const FETCH: HandlerId = HandlerId::new(200);
//! const CAPACITY: Capacity = Capacity::new(0, 16);
//!
//! let pair = pair(|node| {
//!     node.stream(FETCH, CAPACITY, |call| async move {
//!         // A file, as a rule.
//!         let file = std::io::Cursor::new(vec![7; 1_000_000]);
//!         Sender::new(call).send_reader(file).await?;
//!         Ok(())
//!     })
//! })
//! .await?;
//! let stream = pair.a_to_b().stream(FETCH, CAPACITY, "disk1/part.1").await?;
//! let mut body = Receiver::new(stream);
//! let mut bytes = Vec::new();
//! body.read_to_end(&mut bytes).await?;
//! assert_eq!(bytes, vec![7; 1_000_000]);
//! assert_eq!(body.summary().map(|summary| summary.len), Some(1_000_000));
//! # Ok(()) }
//! ```

mod error;
mod receiver;
mod sender;

use std::fmt;

use sha2::{Digest, Sha256};

pub use self::{
    error::{ReceiveError, SendBodyError},
    receiver::Receiver,
    sender::Sender,
};

/// The length of a summary on the wire.
const SUMMARY: usize = 8 + 32;

/// What a body came to: the same at both ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Summary {
    /// Its bytes.
    pub len: u64,
    /// Their SHA-256 hash (FIPS 180-4).
    pub sha256: [u8; 32],
}

impl Summary {
    fn encode(&self) -> Vec<u8> {
        [&self.len.to_be_bytes()[..], &self.sha256].concat()
    }

    fn decode(item: &[u8]) -> Option<Self> {
        let item: &[u8; SUMMARY] = item.try_into().ok()?;
        let (len, sha256) = item.split_first_chunk()?;
        Some(Self {
            len: u64::from_be_bytes(*len),
            sha256: sha256.try_into().ok()?,
        })
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary")
            .field("len", &self.len)
            .field("sha256", &hex::encode(self.sha256))
            .finish()
    }
}

/// A summary of what has gone by so far.
#[derive(Clone, Default)]
struct Sum {
    len: u64,
    hash: Sha256,
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.hash.update(bytes);
    }

    fn finish(&mut self) -> Summary {
        Summary {
            len: self.len,
            sha256: self.hash.finalize_reset().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_as_it_was_written_and_at_no_other_length() {
        let mut sum = Sum::default();
        sum.add(b"ab");
        sum.add(b"c");
        let summary = sum.finish();
        // The example of the standard.
        assert_eq!(
            format!("{summary:?}"),
            "Summary { len: 3, sha256: \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\" }"
        );
        let encoded = summary.encode();
        assert_eq!(encoded.len(), SUMMARY);
        assert_eq!(Summary::decode(&encoded), Some(summary));
        assert_eq!(Summary::decode(&encoded[1..]), None);
        assert_eq!(Summary::decode(&[&encoded[..], &[0]].concat()), None);
    }
}
