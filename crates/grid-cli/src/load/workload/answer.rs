//! Which answers to a single request are right.

use grid_transport::Payload;
use grid_typed::StringMap;

use crate::{
    failure::Failure,
    fault::{Fault, FaultKind},
};

/// What must come back.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// Whatever the handler likes.
    Any,
    /// The bytes that were sent.
    Same,
    /// This map, which a node of our kind encodes as these bytes.
    Map { map: StringMap, bytes: Vec<u8> },
}

/// The request with this map, and the answer to it.
pub(super) fn map_answer(mut map: StringMap) -> Result<(Payload, Answer), Failure> {
    let encode = |map: &StringMap| {
        grid_typed::encode(map).map_err(|error| Failure::bad(format!("--payload: {error}")))
    };
    let request = Payload::from(encode(&map)?);
    map.insert("reply", "ok");
    let bytes = encode(&map)?;
    Ok((request, Answer::Map { map, bytes }))
}

impl Answer {
    /// Compares what came with what must come.
    pub(super) fn check(&self, request: &Payload, came: &Payload) -> Result<(), Fault> {
        let (request, came) = (request.as_slice(), came.as_slice());
        match self {
            Self::Any => Ok(()),
            Self::Same if came == request => Ok(()),
            Self::Same => Err(wrong(format!(
                "{} bytes were sent, and the echo of {} bytes is not the same",
                request.len(),
                came.len()
            ))),
            // Other nodes may write the keys in another order.
            Self::Map { map, bytes } => {
                if came == bytes || grid_typed::decode::<StringMap>(came).is_ok_and(|it| it == *map)
                {
                    Ok(())
                } else {
                    Err(wrong(
                        "the answer is not the map that was sent with reply=ok".to_owned(),
                    ))
                }
            }
        }
    }
}

/// An answer came, and it is not the right one.
pub(super) fn wrong(text: String) -> Fault {
    Fault::new(FaultKind::WrongAnswer, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_what_was_sent() {
        let sent = Payload::from("abc");
        assert!(Answer::Same.check(&sent, &Payload::from("abc")).is_ok());
        for other in [Payload::from("abd"), Payload::from("ab"), Payload::Absent] {
            let fault = Answer::Same.check(&sent, &other).unwrap_err();
            assert_eq!(fault.kind, FaultKind::WrongAnswer);
            assert!(Answer::Any.check(&sent, &other).is_ok());
        }
        // On the wire there is no difference between the two in a request.
        let empty = Payload::from("");
        assert!(Answer::Same.check(&Payload::Absent, &empty).is_ok());
    }

    #[test]
    fn a_map_comes_back_with_its_reply_in_any_order() {
        let (request, answer) = map_answer(StringMap::from([("z", "1")])).unwrap();
        let in_another_order = b"\x82\xa1z\xa11\xa5reply\xa2ok";
        let in_ours = b"\x82\xa5reply\xa2ok\xa1z\xa11";
        for right in [&in_another_order[..], in_ours] {
            let right = Payload::from(right.to_vec());
            assert!(answer.check(&request, &right).is_ok(), "{right:?}");
        }
        for wrong in [
            &b"\x81\xa1z\xa11"[..],
            b"\x82\xa5reply\xa2no\xa1z\xa11",
            b"\x81\xa5reply\xa2ok",
            b"",
        ] {
            let wrong = Payload::from(wrong.to_vec());
            assert!(answer.check(&request, &wrong).is_err());
        }
    }
}
