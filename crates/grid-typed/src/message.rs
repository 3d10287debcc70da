//! How a value becomes a payload.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::shortened;
use crate::golden::Shape;
use crate::{DecodeError, EncodeError, msgpack};

/// A type that can be the request, answer or item of a typed handler.
///
/// There is nothing to write for a serde type: everything that is [`Serialize`] and
/// [`DeserializeOwned`] is a message, coded as [`msgpack`] has it. So are the reference's helper
/// types ([`StringMap`](crate::StringMap), [`Bytes`](crate::Bytes),
/// [`UrlValues`](crate::UrlValues), [`Array`](crate::Array), `Json`), which are
/// serde types with its encodings and can stand inside other messages too.
/// [`NoPayload`](crate::NoPayload) is the one that isn't msgpack: it has no bytes at all.
///
/// A type of your own with another coding implements this trait instead of serde's two:
///
/// ```
/// use grid_typed::{DecodeError, EncodeError, Message};
///
/// /// Eight bytes, big endian.
/// struct Generation(u64);
///
/// impl Message for Generation {
///     fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
///         out.extend_from_slice(&self.0.to_be_bytes());
///         Ok(())
///     }
///
///     fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
///         let Some((head, rest)) = input.split_first_chunk() else {
///             return Err(DecodeError::invalid("fewer than 8 bytes"));
///         };
///         *input = rest;
///         Ok(Self(u64::from_be_bytes(*head)))
///     }
/// }
///
/// let payload = grid_typed::encode(&Generation(7))?;
/// assert_eq!(payload, [0, 0, 0, 0, 0, 0, 0, 7]);
/// # Ok::<_, EncodeError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a message",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it; it must own its data"
)]
pub trait Message: Sized {
    /// Appends the payload to `out`.
    ///
    /// # Errors
    ///
    /// When the value has no encoding; what was appended by then is not sent.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// The same for nodes that are none of this project, without what only ours look for, as the context of a
    /// [`Traced`](crate::Traced). By default there is nothing of the kind; a message around others asks these for theirs.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    fn encode_plain(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.encode(out)
    }

    /// Takes the value from the front of `input` and leaves the bytes behind it. Callers accept and
    /// ignore these, as the reference does.
    ///
    /// # Errors
    ///
    /// When `input` doesn't begin with a value of this type.
    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError>;

    /// What it looks like on the wire, for [`golden`](crate::golden). Types with a coding of their own are known by their
    /// name only, unless they say more.
    fn shape() -> Shape {
        Shape::opaque::<Self>()
    }
}

impl<T: Serialize + DeserializeOwned> Message for T {
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        msgpack::encode(self, out)
    }

    fn decode(input: &mut &[u8]) -> Result<Self, DecodeError> {
        msgpack::decode(input)
    }

    fn shape() -> Shape {
        Shape::of::<T>()
    }
}

/// What a thread keeps of the room that its last value was encoded in.
const KEPT: usize = 16 * 1024;

thread_local! {
    /// Values are encoded here and copied out at their length: a buffer that grows from nothing is allocated again and again,
    /// and one that is longer than what is in it costs an allocation more where it becomes a payload.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The lengths of the last two payloads. Where they are the same, as those of one kind of message often are, the next is
    /// encoded in as much room of its own, and if it fills that it needs no copy.
    static LENGTHS: Cell<[usize; 2]> = const { Cell::new([0; 2]) };
}

/// The payload of a message, as typed calls and handlers make it for nodes of this project: a panic of the value's own
/// code is an error.
///
/// # Errors
///
/// When the value has no encoding or its code panics.
pub fn encode<M: Message>(value: &M) -> Result<Vec<u8>, EncodeError> {
    encode_for(value, true)
}

/// The payload of a message for a node [of this project](grid_transport::Connection::remote_is_ours) or for any other, as
/// [`encode`] makes it: for whoever sends payloads without a typed call.
///
/// ```
/// use grid_typed::{TraceContext, Traced, decode, encode_for};
///
/// let context = TraceContext::new([7; 16], [7; 8], 1).ok_or("no context")?;
/// let message = Traced::new("text".to_owned()).within(context);
/// let (ours, others) = (encode_for(&message, true)?, encode_for(&message, false)?);
/// assert!(ours.len() > others.len());
/// assert_eq!(decode::<String>(&others)?, "text");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`encode`].
pub fn encode_for<M: Message>(value: &M, ours: bool) -> Result<Vec<u8>, EncodeError> {
    let [before, last] = LENGTHS.get();
    let mut room = match before == last && last <= KEPT {
        true => Vec::with_capacity(last),
        // What is encoded while a value is encoded finds none, and gets one of its own.
        false => ROOM.take(),
    };
    room.clear();
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        let encoded = match ours {
            true => value.encode(&mut room),
            false => value.encode_plain(&mut room),
        };
        encoded.map(|()| match room.len() {
            // To copy that much costs more.
            len if len == room.capacity() || len > KEPT => std::mem::take(&mut room),
            _ => room.as_slice().into(),
        })
    }));
    if (1..=KEPT).contains(&room.capacity()) {
        ROOM.set(room);
    }
    if let Ok(Ok(payload)) = &attempt {
        LENGTHS.set([last, payload.len()]);
    }
    attempt.unwrap_or_else(|panic| {
        Err(EncodeError::Panicked {
            reason: panic_text(panic),
        })
    })
}

/// The message that a payload begins with, as typed calls and handlers read it: bytes behind it are
/// ignored, a panic of the type's own code is an error, and a value is given out whole or not at
/// all.
///
/// # Errors
///
/// When the payload doesn't begin with a value of this type or its code panics.
pub fn decode<M: Message>(payload: &[u8]) -> Result<M, DecodeError> {
    let attempt = catch_unwind(|| {
        let mut rest = payload;
        M::decode(&mut rest)
    });
    attempt.unwrap_or_else(|panic| {
        Err(DecodeError::Panicked {
            reason: panic_text(panic),
        })
    })
}

fn panic_text(panic: Box<dyn Any + Send>) -> Box<str> {
    let text = match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => shortened(text),
        (_, Some(text)) => shortened(text),
        _ => shortened("no text"),
    };
    // What was thrown can be anything, and dropping it may panic in turn.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use serde::{Deserializer, Serializer};

    use super::*;

    /// Encodes as the bytes that it has, and another value within.
    struct Nested(Vec<u8>, Option<Box<Self>>);

    impl Message for Nested {
        fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            out.extend_from_slice(&self.0);
            if let Some(inner) = &self.1 {
                out.extend(encode(&**inner)?);
            }
            out.extend_from_slice(&self.0);
            Ok(())
        }

        fn decode(_: &mut &[u8]) -> Result<Self, DecodeError> {
            Err(DecodeError::invalid("never read"))
        }
    }

    /// Encodes as the bytes that it has.
    struct Once(Vec<u8>);

    impl Message for Once {
        fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
            out.extend_from_slice(&self.0);
            Ok(())
        }

        fn decode(_: &mut &[u8]) -> Result<Self, DecodeError> {
            Err(DecodeError::invalid("never read"))
        }
    }

    #[test]
    fn a_value_is_encoded_at_its_length_whatever_was_encoded_before_or_within_it() {
        let mut value = None;
        let mut expected = Vec::new();
        for depth in 0..5_u8 {
            let own = vec![depth; 3_000 * usize::from(depth) + 1];
            expected = [&own[..], &expected, &own].concat();
            value = Some(Box::new(Nested(own, value)));
            let encoded = encode(value.as_deref().expect("it was set")).expect("encodes");
            assert_eq!(encoded, expected);
            if encoded.len() <= KEPT {
                assert_eq!(encoded.capacity(), encoded.len());
            }
        }
        assert_eq!(encode(&Nested(vec![9], None)).expect("encodes"), [9, 9]);
    }

    #[test]
    fn a_value_is_encoded_at_its_length_whether_the_last_were_as_long_or_not() {
        for len in [
            7, 7, 7, 7, 7, 9, 9, 9, 8, 8, 8, 0, 0, 0, KEPT, KEPT, KEPT, 1, 1, 1,
        ] {
            let own: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let encoded = encode(&Once(own.clone())).expect("encodes");
            assert_eq!(encoded, own);
            assert_eq!(encoded.capacity(), encoded.len());
        }
    }

    #[test]
    fn what_fills_the_room_that_is_expected_is_not_copied() {
        struct Seen(Cell<*const u8>);

        impl Message for Seen {
            fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                out.extend_from_slice(&[7; 100]);
                self.0.set(out.as_ptr());
                Ok(())
            }

            fn decode(_: &mut &[u8]) -> Result<Self, DecodeError> {
                Err(DecodeError::invalid("never read"))
            }
        }

        let seen = Seen(Cell::new(std::ptr::null()));
        let mut encoded = Vec::new();
        for _ in 0..3 {
            encoded = encode(&seen).expect("encodes");
        }
        assert_eq!(encoded.as_ptr(), seen.0.get());
    }

    #[test]
    fn of_a_large_value_no_room_is_kept() {
        let kept = || {
            let room = ROOM.take();
            let capacity = room.capacity();
            ROOM.set(room);
            capacity
        };
        assert_eq!(encode(&vec![7_u8; 100]).expect("encodes").len(), 103);
        assert!((103..=KEPT).contains(&kept()), "{}", kept());
        assert!(encode(&vec![7_u8; 2 * KEPT]).is_ok());
        assert!(kept() <= KEPT, "{}", kept());
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("second"));
        }
    }

    struct Throws<const KIND: u8>;

    impl<const KIND: u8> Throws<KIND> {
        fn throw() -> ! {
            match KIND {
                0 => panic!("plain"),
                1 => panic!("formatted {}", 1),
                _ => panic_any(Bomb),
            }
        }
    }

    impl<const KIND: u8> Serialize for Throws<KIND> {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Self::throw()
        }
    }

    impl<'de, const KIND: u8> serde::Deserialize<'de> for Throws<KIND> {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Self::throw()
        }
    }

    #[test]
    fn panics_are_errors() {
        fn texts<const KIND: u8>() -> [String; 2] {
            let encoding = encode(&Throws::<KIND>).expect_err("it panics").to_string();
            let decoding = decode::<Throws<KIND>>(&[0xc0])
                .err()
                .expect("it panics")
                .to_string();
            [encoding, decoding]
        }
        assert_eq!(
            texts::<0>(),
            ["panic while encoding: plain", "panic while decoding: plain"]
        );
        assert_eq!(
            texts::<1>(),
            [
                "panic while encoding: formatted 1",
                "panic while decoding: formatted 1"
            ]
        );
        assert_eq!(
            texts::<2>(),
            [
                "panic while encoding: no text",
                "panic while decoding: no text"
            ]
        );
    }
}
