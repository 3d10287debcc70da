//! Spans of calls: one on the caller's node, and one on the node where a handler runs.
//!
//! They are built where a subscriber wants them and nowhere else, and never under the lock of a link: a subscriber is
//! code of the user.

use std::{
    fmt::{self, Display, Write as _},
    sync::Arc,
};

use grid_proto::Payload;
use tokio::time::Instant;
use tracing::{
    Level, Span,
    field::{Empty, display},
    span::Entered,
};

use crate::{
    error::CallError, link::shared::LinkShared, registry::Entry, request::Call, stream::Pipe,
};

/// The most that a field shows of a value, in bytes.
const MAX_FIELD: usize = 1_024;

/// What stands at the end of a value that was cut.
const CUT: char = '…';

/// Shows at most 1 KiB of a value, and never half a character: texts of peers may be as long as a message. What would end
/// a line or speak to a terminal is written out, so that no text looks like a line of the log or hides one.
pub(crate) struct Cut<T>(pub(crate) T);

impl<T: Display> Display for Cut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = Bounded(String::new());
        if write!(shown, "{}", self.0).is_ok() {
            return f.write_str(&shown.0);
        }
        let end = shown.0.floor_char_boundary(MAX_FIELD - CUT.len_utf8());
        f.write_str(shown.0.get(..end).unwrap_or_default())?;
        f.write_char(CUT)
    }
}

/// Takes no more than fits into a field, so that nobody formats megabytes for it.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(speaks) {
            let (plain, special) = rest.split_at(at);
            self.push(plain)?;
            let mut chars = special.chars();
            for c in chars.next().into_iter().flat_map(char::escape_default) {
                self.push(c.encode_utf8(&mut [0; 4]))?;
            }
            rest = chars.as_str();
        }
        self.push(rest)
    }
}

/// Whether a character does something else than being shown: controls, ends of lines, and changes of direction.
fn speaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Bounded {
    fn push(&mut self, text: &str) -> fmt::Result {
        let room = MAX_FIELD - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(text.get(..fits).unwrap_or_default());
        if fits < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

/// A span that wants to know how its call has ended.
struct Open {
    span: Span,
    began: Instant,
}

impl Open {
    /// `None` where nobody wants the span.
    fn new(span: Span) -> Option<Self> {
        (!span.is_disabled()).then(|| Self {
            span,
            began: Instant::now(),
        })
    }

    fn end(self, outcome: &'static str, error: Option<&dyn Display>, bytes: Bytes) {
        if let Some(error) = error {
            self.span.record("error", display(Cut(error)));
        }
        self.span.record("outcome", outcome);
        self.span.record("bytes_in", bytes.incoming);
        self.span.record("bytes_out", bytes.outgoing);
        self.span
            .record("duration", self.began.elapsed().as_secs_f64());
    }
}

/// Bytes of payloads, both ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) incoming: u64,
    pub(crate) outgoing: u64,
}

impl Bytes {
    pub(crate) const fn out(outgoing: usize) -> Self {
        Self {
            incoming: 0,
            outgoing: outgoing as u64,
        }
    }
}

/// The span of a call of this node; one that is dropped before its end was cancelled.
pub(crate) struct CallSpan {
    open: Option<Open>,
    payload: usize,
    sent: bool,
}

impl CallSpan {
    /// `None` where nobody wants it.
    pub(crate) fn new(call: &Call) -> Option<Box<Self>> {
        let span = tracing::span!(
            target: "grid::call",
            Level::DEBUG,
            "grid.call",
            local = &*call.link.node.local,
            peer = &*call.link.name,
            handler = call.handler.get(),
            subroute = call.route.as_deref().map(|route| display(Cut(route))),
            bytes_in = Empty,
            bytes_out = Empty,
            outcome = Empty,
            error = Empty,
            duration = Empty,
        );
        let open = Some(Open::new(span)?);
        Some(Box::new(Self {
            open,
            payload: call.payload.len(),
            sent: false,
        }))
    }

    /// The call was handed to the link.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    /// A single request has ended.
    pub(crate) fn answered(&mut self, outcome: &Result<Payload, CallError>) {
        let answer = outcome.as_ref().map_or(0, Payload::len);
        self.end(outcome.as_ref().err(), answer as u64, 0);
    }

    /// It has failed before anything was sent.
    pub(crate) fn failed(&mut self, error: &CallError) {
        self.end(Some(error), 0, 0);
    }

    fn end(&mut self, error: Option<&CallError>, incoming: u64, outgoing: u64) {
        let Some(open) = self.open.take() else { return };
        let mut bytes = Bytes::out(if self.sent { self.payload } else { 0 });
        bytes.incoming += incoming;
        bytes.outgoing += outgoing;
        let outcome = error.map_or("ok", CallError::kind);
        open.end(outcome, error.map(|error| error as &dyn Display), bytes);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.end(Some(&CallError::Cancelled), 0, 0);
    }
}

/// The span of a stream of this node, which its receiver has.
pub(crate) struct StreamSpan {
    pipe: Arc<Pipe>,
    call: Box<CallSpan>,
}

impl StreamSpan {
    pub(crate) fn new(pipe: Arc<Pipe>, mut call: Box<CallSpan>) -> Self {
        call.sent();
        Self { pipe, call }
    }

    /// Nobody is left to see the end.
    pub(crate) fn over(self) {
        match self.pipe.outcome() {
            Some(Ok(())) => self.end(None),
            Some(Err(error)) => self.end(Some(&error)),
            None => self.end(Some(&CallError::Cancelled)),
        }
    }

    /// The receiver has seen the end.
    pub(crate) fn end(mut self, error: Option<&CallError>) {
        let bytes = self.pipe.bytes();
        self.call.end(error, bytes.incoming, bytes.outgoing);
    }
}

impl fmt::Debug for StreamSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSpan")
    }
}

/// The span of a handler at work.
pub(crate) struct HandleSpan {
    open: Open,
    payload: usize,
    pipe: Option<Arc<Pipe>>,
}

impl HandleSpan {
    /// `None` where nobody wants it. `payload` is what came with the call, `pipe` is that of a stream.
    pub(crate) fn new<C, T>(
        link: &LinkShared,
        entry: &Entry<C, T>,
        payload: usize,
        pipe: Option<&Arc<Pipe>>,
    ) -> Option<Box<Self>> {
        // Whatever span the reader's or the caller's task is in has nothing to do with it.
        let span = tracing::span!(
            target: "grid::handle",
            parent: None,
            Level::DEBUG,
            "grid.handle",
            local = &*link.node.local,
            peer = &*link.name,
            handler = entry.id.get(),
            subroute = entry.subroute.as_deref().map(|route| display(Cut(route))),
            bytes_in = Empty,
            bytes_out = Empty,
            outcome = Empty,
            error = Empty,
            duration = Empty,
        );
        Some(Box::new(Self {
            open: Open::new(span)?,
            payload,
            pipe: pipe.cloned(),
        }))
    }

    /// What the handler logs belongs to its call.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.open.span.enter()
    }

    /// The handler has ended; a single one has answered so many bytes.
    pub(crate) fn end(self, outcome: &'static str, error: Option<&dyn Display>, answer: usize) {
        let mut bytes = self.pipe.map(|pipe| pipe.bytes()).unwrap_or_default();
        bytes.incoming += self.payload as u64;
        bytes.outgoing += answer as u64;
        self.open.end(outcome, error, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t05_what_speaks_to_a_terminal_is_written_out_unit() {
        let text = "a\r\nb\t\u{1b}[2K\u{7f}\u{9b}1m\0\u{2028}\u{202e}\u{2066}\u{61c}\u{200e}\u{200f}é\\n🦀";
        let shown = Cut(text).to_string();
        let wanted = "a\\r\\nb\\t\\u{1b}[2K\\u{7f}\\u{9b}1m\\u{0}\\u{2028}\\u{202e}\\u{2066}\\u{61c}\\u{200e}\\u{200f}é\\n🦀";
        assert_eq!(shown, wanted);
        // Written out it is longer, and cut all the same.
        for len in [511, 512, 513, 1 << 20] {
            let cut = Cut("\n".repeat(len)).to_string();
            assert_eq!(cut.len() == 2 * len, len <= 512, "{len}");
            assert!(cut.len() <= 1_024 && !cut.contains('\n'));
        }
    }

    #[test]
    fn t03_a_kibibyte_is_shown_and_no_half_character_unit() {
        for len in [0, 1, 1_023, 1_024] {
            let text = "x".repeat(len);
            assert_eq!(Cut(&text).to_string(), text);
        }
        for (text, shown) in [
            ("x".repeat(1_025), "x".repeat(1_021)),
            // Of 2, 3 and 4 bytes: 1,021 is inside of one.
            ("é".repeat(600), "é".repeat(510)),
            ("€".repeat(400), "€".repeat(340)),
            ("🦀".repeat(300), "🦀".repeat(255)),
            ("x".repeat(1 << 20), "x".repeat(1_021)),
        ] {
            let cut = Cut(&text).to_string();
            assert_eq!(cut, format!("{shown}…"));
            assert!(cut.len() <= 1_024 && cut.len() > 1_024 - 4);
        }
        // A value that comes in pieces is cut at the same place.
        struct Pieces;
        impl Display for Pieces {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (0..1_000).try_for_each(|_| f.write_str("ab€"))
            }
        }
        let cut = Cut(Pieces).to_string();
        assert_eq!(
            cut,
            format!("{}…", "ab€".repeat(204).as_str().to_owned() + "a")
        );
    }
}
