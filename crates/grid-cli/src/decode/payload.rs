//! Payloads, as far as they are shown.

use bytes::Bytes;
use grid_proto::wire::{
    ConnectRequest, ConnectResponse, DecodeError, Extra, Flags, Frame, MuxConnectError, Op, Ping,
    Pong, Text, Timestamp,
};

use super::{
    record::{PayloadRecord, Shown, Structure},
    report::Options,
};
use crate::show;

/// The payload of a message.
pub(super) fn of(frame: &Frame<'_>, options: &Options) -> PayloadRecord {
    let is_error = frame.flags.contains(Flags::PAYLOAD_IS_ERR);
    let is_present = is_error || frame.flags.contains(Flags::PAYLOAD_IS_ZERO);
    if frame.payload.is_empty() && !is_present {
        return PayloadRecord::default();
    }
    match structure(frame, options) {
        Some(Ok(structure)) => {
            let hidden = !options.secrets && matches!(structure, Structure::Connect { .. });
            PayloadRecord {
                payload_len: Some(frame.payload.len()),
                payload_hex: (options.json && !hidden).then(|| hex::encode(frame.payload)),
                hidden,
                structure: Some(structure),
                ..PayloadRecord::default()
            }
        }
        Some(Err(error)) => PayloadRecord {
            structure_error: Some(error.to_string()),
            ..plain(frame.payload, frame.op == Op::Connect, options)
        },
        None => plain(frame.payload, holds_token(frame.payload), options),
    }
}

/// Bytes that nobody but their user can read.
pub(super) fn plain(bytes: &[u8], is_secret: bool, options: &Options) -> PayloadRecord {
    let hidden = is_secret && !options.secrets;
    PayloadRecord {
        payload_len: Some(bytes.len()),
        payload: (!hidden).then(|| readable(bytes, options.width)),
        payload_hex: (options.json && !hidden).then(|| hex::encode(bytes)),
        hidden,
        ..PayloadRecord::default()
    }
}

/// A text, cut where it is long.
pub(super) fn shown(bytes: &[u8], width: usize) -> Shown {
    let (bytes, is_cut) = head(bytes, width);
    let text = String::from_utf8_lossy(bytes);
    let quoted = cut(show::quoted(&text), width, is_cut);
    Shown {
        text: cut(text.into_owned(), width, is_cut),
        quoted,
    }
}

/// Whether they are a connect request, whose token then stands in the clear.
pub(super) fn holds_token(bytes: &[u8]) -> bool {
    // Only a map can be one; most payloads are not even copied for the answer.
    matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf))
        && ConnectRequest::decode(&Bytes::copy_from_slice(bytes))
            .is_ok_and(|request| !request.token.is_empty())
}

/// The payload as the structure that belongs to the op; none where none does.
fn structure(frame: &Frame<'_>, options: &Options) -> Option<Result<Structure, DecodeError>> {
    let payload = || Bytes::copy_from_slice(frame.payload);
    let text = |text: &Text| shown(text.as_bytes(), options.width);
    if frame.payload.is_empty() {
        // Present and empty: no structure, but it may be an error that says nothing.
        let is_error = frame.flags.contains(Flags::PAYLOAD_IS_ERR);
        return is_error.then(|| Ok(Structure::Error(text(&Text::default()))));
    }
    Some(match frame.op {
        Op::Connect => ConnectRequest::decode(&payload()).map(|request| Structure::Connect {
            host: text(&request.host),
            time: time(request.time),
            id: request.id.to_string(),
            token_len: request.token.len(),
            token: options.secrets.then(|| text(&request.token)),
            extra: request.extra.map(extra),
        }),
        Op::ConnectResponse => {
            ConnectResponse::decode(&payload()).map(|response| Structure::ConnectResponse {
                accepted: response.accepted,
                reason: text(&response.rejected_reason),
                id: response.id.to_string(),
                extra: response.extra.map(extra),
            })
        }
        Op::MuxConnectError => MuxConnectError::decode(&payload())
            .map(|refusal| Structure::Error(text(&refusal.error))),
        _ if frame.flags.contains(Flags::PAYLOAD_IS_ERR) => {
            Ok(Structure::Error(shown(frame.payload, options.width)))
        }
        Op::Ping => Ping::decode(frame.payload).map(|ping| Structure::Ping {
            time: time(ping.time),
        }),
        Op::Pong => Pong::decode(&payload()).map(|pong| Structure::Pong {
            time: time(pong.time),
            not_found: pong.not_found,
            error: pong.error.as_ref().map(text),
        }),
        _ => return None,
    })
}

fn time(time: Timestamp) -> Option<String> {
    (!time.is_zero()).then(|| show::time(time.secs, time.nanos))
}

fn extra(extra: Extra) -> String {
    format!(
        "version:{},capabilities:{:#x}",
        extra.version, extra.capabilities
    )
}

/// As [`show::one_line`] shows it, without looking at more of a long one than is shown.
fn readable(bytes: &[u8], width: usize) -> String {
    if let Some(json) = show::msgpack(bytes) {
        return cut(json, width, false);
    }
    let (begin, is_cut) = head(bytes, width);
    match std::str::from_utf8(begin) {
        Ok(text) if show::is_text(text) => cut(show::quoted(text), width, is_cut),
        _ => cut(format!("hex:{}", hex::encode(begin)), width, is_cut),
    }
}

/// The beginning that has `width` characters at least, and whether something is left out.
fn head(bytes: &[u8], width: usize) -> (&[u8], bool) {
    // A character has 4 bytes at most; one more, so that what is left out is seen to be.
    let most = width.saturating_add(1).saturating_mul(4);
    let Some(begin) = bytes.get(..most).filter(|begin| begin.len() < bytes.len()) else {
        return (bytes, false);
    };
    match std::str::from_utf8(begin) {
        // The cut goes through a character.
        Err(error) if error.error_len().is_none() => {
            (begin.get(..error.valid_up_to()).unwrap_or(begin), true)
        }
        _ => (begin, true),
    }
}

/// At most `width` characters, and a mark where some are left out.
fn cut(mut text: String, width: usize, is_cut: bool) -> String {
    match text.char_indices().nth(width) {
        Some((at, _)) => {
            text.truncate(at);
            text.push('…');
        }
        None if is_cut => text.push('…'),
        None => {}
    }
    text
}
