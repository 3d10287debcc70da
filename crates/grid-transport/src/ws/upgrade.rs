//! The dialer's side of the upgrade from HTTP/1.1 (protocol section 2).

use std::{
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tungstenite::handshake::{client::generate_key, derive_accept_key};

use super::{Role, Ws, head::MAX_HEADERS};
use crate::{
    config::Settings,
    io::{BoxIo, Target},
};

/// What a dialer says of itself in the headers.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) token: &'a str,
    pub(crate) now: SystemTime,
}

/// Why the byte stream is no websocket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    #[error("the token can't stand in a header")]
    Token,
    #[error("status {0}")]
    Status(u16),
    #[error("{0}")]
    Malformed(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Asks for the upgrade, and checks that it was granted.
///
/// # Cancel safety
///
/// Dropping the future closes the byte stream.
pub(crate) async fn upgrade(
    mut io: BoxIo,
    target: &Target,
    path: &str,
    credentials: Credentials<'_>,
    settings: &Settings,
) -> Result<Ws, UpgradeError> {
    let key = generate_key();
    let head = request_head(target, path, &key, credentials)?;
    io.write_all(head.as_bytes()).await?;
    io.flush().await?;

    let mut buffer = BytesMut::with_capacity(1024);
    loop {
        if io.read_buf(&mut buffer).await? == 0 {
            return Err(UpgradeError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(head_len) = check_answer(&buffer, &key)? {
            buffer.advance(head_len);
            return Ok(Ws::new(io, buffer, Role::Client, settings));
        }
        if buffer.len() > settings.max_head {
            return Err(UpgradeError::Malformed(
                "the head of the answer is too long",
            ));
        }
    }
}

fn request_head(
    target: &Target,
    path: &str,
    key: &str,
    credentials: Credentials<'_>,
) -> Result<String, UpgradeError> {
    let Credentials { token, now } = credentials;
    if !token
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        return Err(UpgradeError::Token);
    }
    let nanos = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let host = target.authority();
    Ok(format!(
        "GET {path} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Authorization: Bearer {token}\r\n\
         X-Minio-Time: {nanos}\r\n\
         \r\n"
    ))
}

/// The length of the head, once it is all there and grants the upgrade.
pub(crate) fn check_answer(buffer: &[u8], key: &str) -> Result<Option<usize>, UpgradeError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let head_len = match answer.parse(buffer) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(UpgradeError::Malformed("the answer is no HTTP")),
    };
    match answer.code {
        Some(101) => {}
        Some(status) => return Err(UpgradeError::Status(status)),
        None => return Err(UpgradeError::Malformed("the answer has no status")),
    }
    let value = |name: &str| {
        let header = answer
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        header.map_or(&b""[..], |header| header.value)
    };
    if !value("Upgrade").eq_ignore_ascii_case(b"websocket") {
        return Err(UpgradeError::Malformed(
            "the answer upgrades to something else",
        ));
    }
    if value("Sec-WebSocket-Accept") != derive_accept_key(key.as_bytes()).as_bytes() {
        return Err(UpgradeError::Malformed(
            "the answer belongs to another request",
        ));
    }
    if !value("Sec-WebSocket-Extensions").is_empty() || !value("Sec-WebSocket-Protocol").is_empty()
    {
        return Err(UpgradeError::Malformed(
            "the answer has extensions that nobody asked for",
        ));
    }
    Ok(Some(head_len))
}
