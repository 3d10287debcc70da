//! Messages that come in several frames of websocket.

use bytes::BytesMut;

use super::{
    LARGEST,
    piece::{Found, Piece},
};

/// Joins the frames of a message; control frames between them are none of its business.
#[derive(Debug, Default)]
pub(super) struct Fragments(Option<Open>);

/// A message of which the last frame has not come.
#[derive(Debug)]
struct Open {
    at: u64,
    is_text: bool,
    bytes: BytesMut,
    /// Bytes that are missing, or too many to be kept.
    lost: u64,
}

impl Fragments {
    /// A message begins; none may be open.
    pub(super) fn begin(&mut self, at: u64, is_text: bool) {
        self.0 = Some(Open {
            at,
            is_text,
            bytes: BytesMut::new(),
            lost: 0,
        });
    }

    /// Takes the payload of a frame that begins at `at` and of which `lost` bytes are missing.
    pub(super) fn go_on(
        &mut self,
        at: u64,
        payload: &[u8],
        lost: u64,
        is_final: bool,
        found: &mut Vec<Found>,
    ) {
        let len = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        let Some(open) = &mut self.0 else {
            let reason = "a frame that continues nothing".to_owned();
            let what = Piece::Damage {
                reason,
                skipped: len,
            };
            return found.push(Found { at, what });
        };
        if open.lost == 0 && open.bytes.len() + payload.len() <= LARGEST {
            open.bytes.extend_from_slice(payload);
        } else {
            open.lost = open.lost.saturating_add(len);
        }
        open.lost = open.lost.saturating_add(lost);
        if is_final && let Some(open) = self.0.take() {
            found.push(open.message());
        }
    }

    /// The message that is open will not be whole.
    pub(super) fn give_up(&mut self, found: &mut Vec<Found>) {
        if let Some(open) = self.0.take() {
            let what = Piece::Damage {
                reason: "a message in several frames that does not end".to_owned(),
                skipped: u64::try_from(open.bytes.len()).unwrap_or(u64::MAX),
            };
            found.push(Found { at: open.at, what });
        }
    }
}

impl Open {
    fn message(self) -> Found {
        let bytes = self.bytes.freeze();
        let what = match (self.is_text, self.lost) {
            (false, lost) => Piece::Message { bytes, lost },
            (true, 0) => Piece::Text(bytes),
            (true, lost) => Piece::Damage {
                reason: format!("{lost} bytes of a text message are missing"),
                skipped: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            },
        };
        Found { at: self.at, what }
    }
}
