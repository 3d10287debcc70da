//! What whoever asks for no upgrade that can be had is told.

use std::{fmt, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::LINGER;
use crate::io::BoxIo;

/// An answer that is no upgrade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    BadRequest(&'static str),
    Forbidden,
    NotFound,
    UpgradeRequired,
    HeadTooLong,
    Unavailable,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadRequest(reason) => reason,
            Self::Forbidden => "forbidden by its headers",
            Self::NotFound => "no grid at this path",
            Self::UpgradeRequired => "no upgrade to version 13 of websocket",
            Self::HeadTooLong => "its head is too long",
            Self::Unavailable => "the grid has not started, or is shutting down",
        })
    }
}

impl Status {
    /// Number, name, and body.
    pub(crate) fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadRequest(body) => (400, "Bad Request", body),
            Self::Forbidden => (403, "Forbidden", ""),
            Self::NotFound => (404, "Not Found", ""),
            Self::UpgradeRequired => (426, "Upgrade Required", ""),
            Self::HeadTooLong => (431, "Request Header Fields Too Large", ""),
            Self::Unavailable => (503, "Service Unavailable", ""),
        }
    }
}

/// Answers without an upgrade, ends the byte stream, and gives the other end the time to read it.
pub(crate) async fn respond(io: &mut BoxIo, status: Status) -> io::Result<()> {
    let (number, name, body) = status.parts();
    let headers = match status {
        Status::UpgradeRequired => "Sec-WebSocket-Version: 13\r\n",
        _ => "",
    };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: text/plain; charset=utf-8\r\n"
    };
    let len = body.len();
    let answer = format!(
        "HTTP/1.1 {number} {name}\r\n{kind}{headers}Content-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    );
    io.write_all(answer.as_bytes()).await?;
    io.shutdown().await?;
    // Closing a socket with unread bytes in it would destroy the answer on its way.
    let mut sink = [0; 1024];
    let drain = async { while matches!(io.read(&mut sink).await, Ok(1..)) {} };
    let _ = timeout(LINGER, drain).await;
    Ok(())
}
