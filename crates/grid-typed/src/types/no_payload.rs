use crate::{DecodeError, EncodeError, Message, golden::Shape};

/// Nothing, for requests without arguments and answers that only say "done": the reference's
/// `NoPayload`.
///
/// It has no bytes at all, so it is a message by itself and can't stand inside another; `()` can,
/// and is nil. It is read from any payload and takes nothing of it.
///
/// ```
/// use grid_typed::NoPayload;
///
/// assert!(grid_typed::encode(&NoPayload)?.is_empty());
/// assert!(grid_typed::decode::<NoPayload>(b"whatever").is_ok());
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoPayload;

impl Message for NoPayload {
    fn encode(&self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn decode(_input: &mut &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn shape() -> Shape {
        Shape::named("nothing")
    }
}
