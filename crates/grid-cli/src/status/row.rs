//! What nodes tell each other of their links, and how much of it is read.

use std::{collections::BTreeSet, fmt};

use grid_transport::{LinkStats, Payload};
use grid_typed::{EncodeError, Json, msgpack};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use super::document::state_word;

/// Links of one row; more are neither told nor kept.
const MOST_LINKS: usize = 4_096;

/// The largest answer that is looked at, in bytes.
pub(super) const MOST_ROW: usize = 512 * 1024;

/// What a link takes in an answer beside its name, at the most.
const BESIDE_NAME: usize = 96;

/// How a node sees the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    #[serde(deserialize_with = "first_links")]
    pub(super) links: Vec<Sight>,
}

/// How a node sees another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sight {
    pub(crate) remote: String,
    pub(crate) state: State,
    pub(crate) round_trip_s: Option<f64>,
}

#[cfg(test)]
impl Sight {
    pub(super) fn of(remote: &str, state: State, round_trip_s: Option<f64>) -> Self {
        Self {
            remote: remote.to_owned(),
            state,
            round_trip_s,
        }
    }
}

/// The state of a link, as far as it has a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Connected,
    Connecting,
    Waiting,
    Closed,
    /// A word that means nothing here.
    Unknown,
}

impl State {
    pub(super) fn of(word: &str) -> Self {
        match word {
            "connected" => Self::Connected,
            "connecting" => Self::Connecting,
            "waiting" => Self::Waiting,
            "closed" => Self::Closed,
            _ => Self::Unknown,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = State;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the state of a link")
            }

            fn visit_str<E>(self, word: &str) -> Result<State, E> {
                Ok(State::of(word))
            }
        }

        deserializer.deserialize_str(Word)
    }
}

/// The first ones. Others are gone past, and nothing is made of them.
fn first_links<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sight>, D::Error> {
    struct First;

    impl<'de> Visitor<'de> for First {
        type Value = Vec<Sight>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of links")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Sight>, A::Error> {
            let mut links = Vec::new();
            while links.len() < MOST_LINKS {
                let Some(link) = seq.next_element()? else {
                    return Ok(links);
                };
                links.push(link);
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(links)
        }
    }

    deserializer.deserialize_seq(First)
}

/// Why an answer is no row. What it holds is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRow {
    #[error("its answer has {0} bytes, of which {MOST_ROW} are read")]
    TooLarge(usize),
    #[error("its answer is empty")]
    Empty,
    #[error("its answer can't be read")]
    Unreadable,
}

impl Row {
    /// The row of a node with these links: as many as others read of it.
    pub(super) fn of(links: &[LinkStats]) -> Self {
        let mut room = MOST_ROW;
        let fit = links.iter().take(MOST_LINKS).map_while(|link| {
            room = room.checked_sub(link.remote.len() + BESIDE_NAME)?;
            Some(Sight {
                remote: link.remote.to_string(),
                state: State::of(state_word(&link.state)),
                round_trip_s: link.round_trip.map(|time| time.as_secs_f64()),
            })
        });
        Self {
            links: fit.collect(),
        }
    }

    /// The row as it is told.
    ///
    /// # Errors
    ///
    /// Where a number has no JSON.
    pub(super) fn encode(self) -> Result<Vec<u8>, EncodeError> {
        msgpack::to_vec(&Json::new(self))
    }

    /// Reads what a peer has answered. Of its links those are kept that are to nodes of these names.
    ///
    /// # Errors
    ///
    /// Where there is no row in it, or more than one could be.
    pub(super) fn decode(answer: &Payload, names: &BTreeSet<&str>) -> Result<Self, BadRow> {
        let answer = answer.as_slice();
        if answer.len() > MOST_ROW {
            return Err(BadRow::TooLarge(answer.len()));
        }
        let row: Json<Self> = msgpack::from_slice(answer).map_err(|_| BadRow::Unreadable)?;
        let mut row = row.into_inner().ok_or(BadRow::Empty)?;
        let mut told = BTreeSet::new();
        row.links.retain(|link| {
            let name = names.get(&*link.remote);
            name.is_some_and(|name| told.insert(*name))
        });
        row.links.shrink_to_fit();
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["http://a:1", "http://b:1"];

    fn decode(answer: Vec<u8>) -> Result<Row, BadRow> {
        Row::decode(&Payload::from(answer), &NAMES.into())
    }

    /// A JSON text in a msgpack bin.
    fn answer(text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap();
        [&[0xc6][..], &length.to_be_bytes(), text.as_bytes()].concat()
    }

    #[test]
    fn a_row_is_read_as_it_is_told() {
        let row = Row {
            links: vec![
                Sight::of("http://a:1", State::Connected, Some(0.5)),
                Sight::of("http://b:1", State::Waiting, None),
            ],
        };
        assert_eq!(decode(row.clone().encode().unwrap()), Ok(row));
    }

    #[test]
    fn a_row_that_is_too_large_is_not_looked_at() {
        let link = "[\"\",\"\",0],";
        let text = format!("{{\"links\":[{}", link.repeat(MOST_ROW / link.len()));
        let large = answer(&text);
        let length = large.len();
        assert!(length > MOST_ROW);
        // It is no JSON either, which nobody finds out.
        assert_eq!(decode(large), Err(BadRow::TooLarge(length)));
    }

    #[test]
    fn of_a_row_with_many_links_the_first_are_made() {
        let many = MOST_LINKS + 1_000;
        let links = vec!["[\"\",\"\",0]"; many].join(",");
        let row: Row = serde_json::from_str(&format!("{{\"links\":[{links}]}}")).unwrap();
        assert_eq!(row.links.len(), MOST_LINKS);
        // The rest is gone past, though it is none.
        let links = format!("{links},7");
        let row: Row = serde_json::from_str(&format!("{{\"links\":[{links}]}}")).unwrap();
        assert_eq!(row.links.len(), MOST_LINKS);
    }

    #[test]
    fn links_to_nobody_here_and_second_ones_are_not_kept() {
        let huge = "x".repeat(100_000);
        let text = format!(
            "{{\"links\":[[\"{huge}\",\"connected\",null],[\"http://a:1\",\"{huge}\",0.25],\
             [\"http://a:1\",\"closed\",1],[\"http://b:1\",\"closed\",null]]}}"
        );
        let wanted = Row {
            links: vec![
                Sight::of("http://a:1", State::Unknown, Some(0.25)),
                Sight::of("http://b:1", State::Closed, None),
            ],
        };
        assert_eq!(decode(answer(&text)), Ok(wanted));
    }

    #[test]
    fn what_is_no_row_is_told_without_its_words() {
        for text in ["", "}", "{\"links\":7}", "{\"links\":[[1,2,3]]}", "secret"] {
            assert_eq!(decode(answer(text)), Err(BadRow::Unreadable), "{text}");
        }
        assert_eq!(decode(b"\xff".to_vec()), Err(BadRow::Unreadable));
        assert_eq!(decode(b"\xc0".to_vec()), Err(BadRow::Empty));
        assert!(!BadRow::Unreadable.to_string().contains("secret"));
    }
}
