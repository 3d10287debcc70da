//! What one operation is: a single request or a whole stream, and which answers are right.

mod answer;
mod stream;

use std::time::Duration;

use grid_transport::{Capacity, HandlerId, Payload};
use grid_typed::StringMap;
use tokio::time::Instant;

use self::{
    answer::{Answer, map_answer},
    stream::Talk,
};
use crate::{
    failure::Failure,
    fault::Fault,
    load::engine::{Done, Operation},
    probe::{single, stream as streams, typed},
    reach::{Peer, Within},
};

/// The key whose value gives a string map its size.
const MAP_KEY: &str = "value";
/// An echo stream is sent items that differ, so that their order can be seen; all of them together
/// take about so much memory.
const ITEMS_MEMORY: usize = 1024 * 1024;
/// As many different items at most; a prime, so that no batch begins like the one before it.
const MOST_ITEMS: usize = 251;

/// The value of `--handler`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Echo,
    StringMap,
    Items(HandlerId, Capacity),
    EchoItems(HandlerId, Capacity),
    CountIn(HandlerId, Capacity),
    /// A single request to whatever has this id; any answer will do.
    Other(HandlerId),
}

/// What can be written after `--handler` beside an id.
pub(super) const NAMES: [(&str, Target); 8] = [
    ("echo", Target::Echo),
    ("string-map", Target::StringMap),
    (
        "items-1",
        Target::Items(streams::COUNT_OUT, Capacity::new(0, 1)),
    ),
    (
        "items-100",
        Target::Items(streams::COUNT_OUT_WIDE, Capacity::new(0, 100)),
    ),
    (
        "echo-1",
        Target::EchoItems(streams::ECHO_ITEMS, Capacity::new(1, 1)),
    ),
    (
        "echo-100",
        Target::EchoItems(streams::ECHO_ITEMS_WIDE, Capacity::new(100, 100)),
    ),
    (
        "count-1",
        Target::CountIn(streams::COUNT_IN, Capacity::new(1, 1)),
    ),
    (
        "count-100",
        Target::CountIn(streams::COUNT_IN_WIDE, Capacity::new(100, 1)),
    ),
];

impl Target {
    /// Reads a name or an id.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        if let Some((_, target)) = named {
            return Ok(*target);
        }
        match text.parse() {
            Ok(id @ 1..=u8::MAX) => Ok(Self::Other(HandlerId::new(id))),
            _ => {
                let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
                Err(Failure::bad(format!(
                    "--handler: '{text}' is neither an id from 1 to 255 nor one of {}",
                    names.join(", ")
                )))
            }
        }
    }

    /// Whether an operation is a whole stream.
    pub(super) const fn is_stream(self) -> bool {
        matches!(
            self,
            Self::Items(..) | Self::EchoItems(..) | Self::CountIn(..)
        )
    }
}

/// What a payload is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// So many bytes.
    Size(usize),
    /// These.
    Given(Payload),
}

/// One operation, to be made again and again.
#[derive(Clone, Debug)]
pub(super) struct Work {
    job: Job,
    timeout: Duration,
}

#[derive(Clone, Debug)]
enum Job {
    Single {
        handler: HandlerId,
        request: Payload,
        answer: Answer,
    },
    Stream(Talk),
}

impl Work {
    /// The operation for a target: streams have `count` items.
    pub(super) fn new(
        target: Target,
        content: &Content,
        count: u64,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let single = |handler, request, answer| Job::Single {
            handler,
            request,
            answer,
        };
        let job = match target {
            Target::Echo => single(single::ECHO, payload(content), Answer::Same),
            Target::Other(handler) => single(handler, payload(content), Answer::Any),
            Target::StringMap => {
                let (request, answer) = map_answer(string_map(content)?)?;
                single(typed::STRING_MAP.id(), request, answer)
            }
            Target::Items(handler, capacity) => match content {
                Content::Size(size) => Job::Stream(Talk::Items {
                    handler,
                    capacity,
                    first: Payload::from(format!("{count}:{size}")),
                    count,
                    size: (*size).max(streams::LEAST_ITEM),
                }),
                Content::Given(_) => {
                    return Err(Failure::bad(
                        "--payload: such a stream's items are made by the handler: give --count and --size",
                    ));
                }
            },
            Target::EchoItems(handler, capacity) => Job::Stream(Talk::Echo {
                handler,
                capacity,
                items: echo_items(content, count),
                count,
            }),
            Target::CountIn(handler, capacity) => Job::Stream(Talk::CountIn {
                handler,
                capacity,
                item: payload(content),
                count,
            }),
        };
        Ok(Self { job, timeout })
    }

    /// Makes one operation, which begins at `begun`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives it up, at the remote too.
    async fn perform(&self, peer: &Peer, begun: Instant) -> Result<Done, Fault> {
        match &self.job {
            Job::Single {
                handler,
                request,
                answer,
            } => {
                let within = Within {
                    begun,
                    timeout: self.timeout,
                };
                let came = peer.call_within(*handler, request.clone(), within).await?;
                answer.check(request, &came)?;
                Ok(Done {
                    items: 0,
                    bytes_out: request.len() as u64,
                    bytes_in: came.len() as u64,
                })
            }
            // Boxed: hundreds of single requests at a time are not to take the memory of as many streams.
            Job::Stream(talk) => Box::pin(talk.hold(peer, self.timeout)).await,
        }
    }
}

/// Work at the peer that it is for.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) peer: Peer,
    pub(super) work: Work,
}

impl Operation for Assignment {
    async fn once(&self, begun: Instant) -> Result<Done, Fault> {
        self.work.perform(&self.peer, begun).await
    }
}

fn payload(content: &Content) -> Payload {
    match content {
        Content::Size(size) => Payload::from(vec![b'x'; *size]),
        Content::Given(payload) => payload.clone(),
    }
}

/// A map whose encoding has the size, or about that where none can have it.
fn string_map(content: &Content) -> Result<StringMap, Failure> {
    match content {
        Content::Size(size) => {
            let with = |len: usize| StringMap::from([(MAP_KEY, "x".repeat(len))]);
            let encoded = |map: &StringMap| grid_typed::encode(map).map_or(0, |bytes| bytes.len());
            let head = |len: usize| encoded(&with(len)).saturating_sub(len);
            // How long the head is depends on the text's length, and hardly ever changes with it.
            let guess = size.saturating_sub(head(*size));
            Ok(with(size.saturating_sub(head(guess))))
        }
        Content::Given(payload) => grid_typed::decode(payload.as_slice()).map_err(|error| {
            Failure::bad(format!(
                "--payload: the string map handler takes a map of strings, as in \
                 'msgpack:{{\"a\": \"b\"}}': {error}"
            ))
        }),
    }
}

fn echo_items(content: &Content, count: u64) -> Vec<Payload> {
    match content {
        Content::Size(size) => {
            let affordable = (ITEMS_MEMORY / (*size).max(1)).clamp(2, MOST_ITEMS);
            let different =
                usize::try_from(count).map_or(affordable, |count| affordable.min(count));
            let fill = (0..=u8::MAX).cycle().take(different);
            fill.map(|byte| Payload::from(vec![byte; *size])).collect()
        }
        Content::Given(payload) => vec![payload.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_every_id_is_known() {
        for (name, target) in NAMES {
            assert_eq!(Target::parse(name), Ok(target));
            let dashed_number = name.ends_with('1') || name.ends_with("100");
            assert_eq!(target.is_stream(), dashed_number, "{name}");
        }
        assert_eq!(Target::parse("21"), Ok(Target::Other(HandlerId::new(21))));
        for text in ["0", "256", "-1", "", "echo-2", "Echo"] {
            let line = Target::parse(text).unwrap_err().line();
            assert!(line.contains(&format!("--handler: '{text}'")), "{line}");
            assert!(line.contains("items-100"), "{line}");
        }
    }

    #[test]
    fn a_string_map_has_the_size_that_was_asked_for() {
        for size in [64, 300, 512, 4096, 70_000] {
            let map = string_map(&Content::Size(size)).unwrap();
            assert_eq!(grid_typed::encode(&map).unwrap().len(), size);
        }
        assert!(string_map(&Content::Size(0)).unwrap().get(MAP_KEY) == Some(""));
    }

    #[test]
    fn a_payload_that_the_handler_cannot_take_is_refused() {
        let given = Content::Given(Payload::from("text"));
        let second = Duration::from_secs(1);
        for name in ["string-map", "items-1", "items-100"] {
            let target = Target::parse(name).unwrap();
            let failure = Work::new(target, &given, 1, second).unwrap_err();
            assert!(matches!(&failure, Failure::BadInput(text) if text.contains("--payload")));
        }
        for name in ["echo", "echo-1", "count-100", "9"] {
            let target = Target::parse(name).unwrap();
            assert!(Work::new(target, &given, 1, second).is_ok());
        }
    }

    #[test]
    fn items_of_an_echo_differ_within_bounds() {
        let items = echo_items(&Content::Size(512), 1000);
        assert_eq!(items.len(), MOST_ITEMS);
        assert_ne!(items.first(), items.last());
        assert_eq!(echo_items(&Content::Size(512), 3).len(), 3);
        assert_eq!(echo_items(&Content::Size(32 * 1024 * 1024), 1000).len(), 2);
        assert_eq!(echo_items(&Content::Size(0), 1000).len(), MOST_ITEMS);
    }
}
