//! Websocket messages over a byte stream (protocol section 2).
//!
//! The rest of the crate sees whole binary messages and nothing of frames. Reader and writer are independent halves:
//! the reader never writes, it only leaves a note of what is owed (a pong, a close) that the writer picks up.

mod calm;
mod control;
mod half;
mod head;
mod header;
mod mask;
mod parts;
mod reader;
mod status;
mod upgrade;
mod writer;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use grid_proto::wire::Text;
use tokio::{io::AsyncRead, net::TcpStream};

use self::half::WriteHalf;
#[cfg(feature = "__fuzzing")]
pub(crate) use self::upgrade::check_answer as checked_answer;
pub(crate) use self::{
    calm::Calm,
    control::Control,
    head::{HeadError, RequestHead},
    reader::{Incoming, LARGE_FRAME, WsReader},
    status::{Status, respond},
    upgrade::{Credentials, UpgradeError, upgrade},
    writer::WsWriter,
};
use crate::{config::Settings, io::BoxIo, socket::bound_unread};

/// The status for a message above the limit.
const TOO_LARGE: u16 = 1009;

/// How long last words may take to be read.
const LINGER: Duration = Duration::from_millis(500);

pub(crate) type ReadHalf = Box<dyn AsyncRead + Send + Sync + Unpin>;

/// Which end of the websocket we are: a client masks what it sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Client,
    Server,
}

/// An upgraded byte stream.
#[derive(Debug)]
pub(crate) struct Ws {
    /// In boxes, as all futures that either goes through have room for it, some of them twice.
    pub(crate) reader: Box<WsReader>,
    pub(crate) writer: Box<WsWriter>,
    meter: Arc<Meter>,
}

impl Ws {
    /// Begins with `ahead`, which was read behind the head of the upgrade. Messages are limited to what suits a
    /// handshake until [`established`](Self::established). Whoever dialed and wherever the stream comes from, it is here
    /// before it is a link: so the bound on what waits unread is set here.
    pub(crate) fn new(io: BoxIo, ahead: BytesMut, role: Role, settings: &Settings) -> Self {
        bound_unread((*io).as_any(), settings);
        let (read, write) = halves(io);
        let control = Arc::new(Control::default());
        let meter = Arc::new(Meter::default());
        Self {
            reader: Box::new(WsReader::new(
                read,
                ahead,
                role,
                settings,
                control.clone(),
                meter.clone(),
            )),
            writer: Box::new(WsWriter::new(write, role, settings, control, meter.clone())),
            meter,
        }
    }

    /// Lets messages be as large as they may be after the handshake.
    pub(crate) fn established(&mut self, settings: &Settings) {
        self.reader.set_max_message(settings.max_message);
    }

    /// The two halves.
    pub(crate) fn split(self) -> (Box<WsReader>, Box<WsWriter>) {
        (self.reader, self.writer)
    }

    /// What went over the socket since the upgrade.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        self.meter.clone()
    }

    /// Ends the connection without a websocket close, but gives the peer the time to read what was sent.
    pub(crate) async fn finish(mut self) {
        let farewell = async {
            if self.writer.shutdown().await.is_ok() {
                self.reader.drain().await;
            }
        };
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

/// Ends a connection: sends the close frame that is owed, or else one with `code` if there is one, and closes the byte
/// stream. Where a close frame went out the peer gets a moment to read it.
///
/// # Cancel safety
///
/// Dropping the future closes the byte stream at once.
pub(crate) async fn hang_up(
    mut reader: Box<WsReader>,
    mut writer: Box<WsWriter>,
    code: Option<u16>,
) {
    let farewell = async {
        if matches!(writer.close(code).await, Ok(true)) && writer.shutdown().await.is_ok() {
            reader.drain().await;
        }
    };
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

/// TCP comes apart without a lock between the halves.
fn halves(io: BoxIo) -> (ReadHalf, WriteHalf) {
    if (*io).as_any().is::<TcpStream>() {
        match io.into_any().downcast::<TcpStream>() {
            Ok(tcp) => {
                let (read, write) = tcp.into_split();
                (Box::new(read), WriteHalf::Tcp(write))
            }
            Err(_) => (
                Box::new(tokio::io::empty()),
                WriteHalf::Other(Box::new(tokio::io::sink())),
            ),
        }
    } else {
        let (read, write) = tokio::io::split(io);
        (Box::new(read), WriteHalf::Other(Box::new(write)))
    }
}

/// Bytes that went over a socket.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl Meter {
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    fn read(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn wrote(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// Why no message can be read or written any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WsError {
    /// The peer sent a close frame; the answer to it is owed.
    #[error("closed by the remote")]
    Closed { code: Option<u16>, reason: Text },
    /// The byte stream ended without one.
    #[error("end of stream")]
    Eof,
    /// A message above the limit; a close with 1009 is owed.
    #[error("a message of {len} bytes or more, above the limit of {limit}")]
    TooLarge { len: u64, limit: usize },
    /// The peer broke the rules of websocket.
    #[error("{0}")]
    Protocol(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer took no byte for this time.
    #[error("no byte was taken for {after:?}")]
    Stalled { after: Duration },
}

#[cfg(test)]
mod early_tests;
#[cfg(test)]
mod tests;
