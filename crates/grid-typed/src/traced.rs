//! Messages that tell to which trace they belong.

use std::fmt;
use std::str::FromStr;

use crate::golden::Shape;
use crate::{DecodeError, EncodeError, Message};

/// The type of the msgpack extension that stands behind a message and has its trace.
const KIND: u8 = 0x54;

/// The length of a context without its state: a version, both ids and the flags.
const FIXED: usize = 1 + 16 + 8 + 1;

/// The longest state; a longer one is dropped. W3C's recommendation asks for 512 characters at the least.
const MOST_STATE: usize = 512;

/// Where a call belongs in a distributed trace: what W3C's [trace context](https://www.w3.org/TR/trace-context/) calls
/// `traceparent` and `tracestate`.
///
/// ```
/// use grid_typed::TraceContext;
///
/// let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: TraceContext = parent.parse()?;
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), parent);
/// # Ok::<_, grid_typed::TraceContextError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
    state: String,
}

impl TraceContext {
    /// That of a span: the ids of its trace and of itself, and the flags, of which bit 0 says that it is recorded. `None`
    /// where one of the ids is all zero, which none may be.
    #[must_use]
    pub fn new(trace: [u8; 16], span: [u8; 8], flags: u8) -> Option<Self> {
        let valid = trace != [0; 16] && span != [0; 8];
        valid.then_some(Self {
            trace,
            span,
            flags,
            state: String::new(),
        })
    }

    /// With the `tracestate` of vendors. One that is longer than 512 bytes, or has anything but the printable characters of
    /// ASCII, is dropped, on its way out as on its way in.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        let state = state.into();
        let printable = state.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        self.state = match printable && state.len() <= MOST_STATE {
            true => state,
            false => String::new(),
        };
        self
    }

    /// The id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span that calls.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        self.span
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller records this trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The `tracestate`; empty where there is none.
    #[must_use]
    pub fn trace_state(&self) -> &str {
        &self.state
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let state = self.state.as_bytes();
        // ext 16, so that one head does for all.
        out.push(0xc8);
        out.extend(((FIXED + state.len()) as u16).to_be_bytes());
        out.extend([KIND, 0]);
        out.extend(self.trace);
        out.extend(self.span);
        out.push(self.flags);
        out.extend(state);
    }

    /// `None` where nothing of the kind stands there: what stands behind a message is ignored unless it is known.
    fn decode(input: &[u8]) -> Option<Self> {
        let ([0xc8, len @ .., KIND, 0], rest) = input.split_first_chunk::<5>()? else {
            return None;
        };
        // The version is part of the length.
        let len = usize::from(u16::from_be_bytes(*len)).checked_sub(1)?;
        let (trace, rest) = rest.get(..len)?.split_first_chunk()?;
        let (span, rest) = rest.split_first_chunk()?;
        let (flags, state) = rest.split_first()?;
        let state = str::from_utf8(state).unwrap_or_default();
        Some(Self::new(*trace, *span, *flags)?.state(state))
    }
}

/// As a `traceparent` has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TraceContext")
            .field(&self.to_string())
            .finish()
    }
}

/// A text is no `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent as in 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01: '{text}'")]
#[non_exhaustive]
pub struct TraceContextError {
    /// The text, cut where it is long.
    pub text: Box<str>,
}

/// From a `traceparent`. One of a later version is read as far as this one goes, as W3C's recommendation has it.
impl FromStr for TraceContext {
    type Err = TraceContextError;

    fn from_str(text: &str) -> Result<Self, TraceContextError> {
        read(text).ok_or_else(|| TraceContextError {
            text: crate::error::shortened(text),
        })
    }
}

fn read(text: &str) -> Option<TraceContext> {
    let mut parts = text.split('-');
    let version = hex::<1>(parts.next()?)?;
    let (trace, span) = (hex(parts.next()?)?, hex(parts.next()?)?);
    let [flags] = hex(parts.next()?)?;
    let more = parts.next().is_some();
    if version == [0xff] || (version == [0] && more) {
        return None;
    }
    TraceContext::new(trace, span, flags)
}

/// Lower-case digits only, as the recommendation has it.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// A message with the trace to which it belongs, if there is one: the optional wrapper of whatever a handler takes or
/// gives.
///
/// The context stands behind the message, where every reader ignores what it does not know. So a handler that is defined
/// with it understands callers that aren't, and the other way round, nodes of other implementations included; they just
/// have no context. It can't stand inside another message.
///
/// Only nodes of this project are sent it, as they say in the handshake what they are (protocol section 10); to all others
/// the message goes as it would without. Whether the remote is one is looked at where the message is encoded, which is where
/// the call is made: one that is made while the link is down, and [waits](crate::TypedCall::wait_ready) for it, goes
/// without; one that is made while it is up, and awaited when a node of others has come in its place, takes the context
/// along.
///
/// ```
/// use grid_typed::{HandlerId, Single, TraceContext, Traced};
///
/// static SAVE: Single<Traced<String>, u64> = Single::new(HandlerId::new(200));
///
/// let context: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
/// let request = Traced::new("part.1".to_owned()).within(context);
/// let payload = grid_typed::encode(&request)?;
///
/// let read: Traced<String> = grid_typed::decode(&payload).unwrap();
/// assert!(read.context().is_some_and(|context| context.is_sampled()));
/// // Who knows nothing of it.
/// assert_eq!(grid_typed::decode::<String>(&payload).unwrap(), "part.1");
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Traced<T> {
    value: T,
    context: Option<TraceContext>,
}

impl<T> Traced<T> {
    /// A message without a context.
    pub const fn new(value: T) -> Self {
        Self {
            value,
            context: None,
        }
    }

    /// It belongs there.
    #[must_use]
    pub fn within(mut self, context: impl Into<Option<TraceContext>>) -> Self {
        self.context = context.into();
        self
    }

    /// Where it belongs; `None` where the sender did not say so.
    pub const fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    /// The message.
    pub const fn value(&self) -> &T {
        &self.value
    }

    /// The message, and where it belongs.
    pub fn into_parts(self) -> (T, Option<TraceContext>) {
        (self.value, self.context)
    }
}

impl<T: Message> Message for Traced<T> {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.value.encode(out)?;
        if let Some(context) = &self.context {
            context.encode(out);
        }
        Ok(())
    }

    fn encode_plain(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.value.encode_plain(out)
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let value = T::decode(input)?;
        Ok(Self {
            value,
            context: TraceContext::decode(input),
        })
    }

    fn shape() -> Shape {
        // Whoever does not know of the rest reads the same.
        T::shape()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StringMap, decode, encode};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn context() -> TraceContext {
        PARENT.parse().unwrap()
    }

    #[test]
    fn only_what_the_recommendation_allows_is_read() {
        assert_eq!(context().trace_id()[..2], [0x4b, 0xf9]);
        assert_eq!(context().span_id()[6..], [0x02, 0xb7]);
        assert_eq!(context().to_string(), PARENT);
        let later: TraceContext = format!("01{}-more", &PARENT[2..]).parse().unwrap();
        assert_eq!(later, context());
        for wrong in [
            "",
            "00",
            &PARENT[..54],
            &PARENT.to_uppercase(),
            &format!("{PARENT}-more"),
            &format!("ff{}", &PARENT[2..]),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT.replace('f', "g"),
        ] {
            let error = wrong.parse::<TraceContext>().unwrap_err();
            assert!(
                error.to_string().ends_with(&format!("'{wrong}'")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_context_comes_as_it_was_sent() {
        for state in [String::new(), "a=1,b=2".to_owned(), "x".repeat(MOST_STATE)] {
            let sent = Traced::new(StringMap::from([("a", "b")])).within(context().state(state));
            let came: Traced<StringMap> = decode(&encode(&sent).unwrap()).unwrap();
            assert_eq!(came, sent);
        }
        let long = Traced::new(1_u8).within(context().state("x".repeat(MOST_STATE + 1)));
        let came: Traced<u8> = decode(&encode(&long).unwrap()).unwrap();
        assert_eq!(came.context(), Some(&context()));
    }

    #[test]
    fn whoever_knows_nothing_of_it_reads_the_message() {
        let sent = encode(&Traced::new(7_u8).within(context())).unwrap();
        assert_eq!(decode::<u8>(&sent).unwrap(), 7);
        let came: Traced<u8> = decode(&encode(&7_u8).unwrap()).unwrap();
        assert_eq!(came.into_parts(), (7, None));
        assert_eq!(Traced::<u8>::shape(), u8::shape());
    }

    #[test]
    fn what_is_no_context_is_ignored() {
        let sent = encode(&Traced::new(7_u8).within(context().state("a=1"))).unwrap();
        for end in 1..sent.len() {
            let cut: Traced<u8> = decode(&sent[..end]).unwrap();
            assert_eq!(cut, Traced::new(7));
        }
        for (place, byte) in [(1, 0xc7), (4, 0x55), (5, 1)] {
            let mut other = sent.clone();
            other[place] = byte;
            assert_eq!(
                decode::<Traced<u8>>(&other).unwrap(),
                Traced::new(7),
                "{place}"
            );
        }
        let mut zero = sent.clone();
        zero[6..22].fill(0);
        assert_eq!(decode::<Traced<u8>>(&zero).unwrap(), Traced::new(7));
        // What a header or a terminal would not take.
        for byte in [0xff, b'\n', 0, 0x1b, 0x7f] {
            let mut text = sent.clone();
            *text.last_mut().unwrap() = byte;
            assert_eq!(
                decode::<Traced<u8>>(&text).unwrap().context(),
                Some(&context())
            );
        }
        assert_eq!(context().state("a=1\r\nX: y").trace_state(), "");
    }
}
