//! Whole streams as operations, from their opening to their clean end.

use std::time::Duration;

use grid_transport::{Capacity, HandlerId, Payload};

use super::answer::wrong;
use crate::{
    fault::Fault,
    load::engine::Done,
    reach::{FromPeer, Peer, ToPeer},
};

/// What is said on a stream.
#[derive(Clone, Debug)]
pub(super) enum Talk {
    /// The handler sends so many items of this size.
    Items {
        handler: HandlerId,
        capacity: Capacity,
        first: Payload,
        count: u64,
        size: usize,
    },
    /// The handler sends every item back; `items` in turn.
    Echo {
        handler: HandlerId,
        capacity: Capacity,
        items: Vec<Payload>,
        count: u64,
    },
    /// The handler answers how many items came.
    CountIn {
        handler: HandlerId,
        capacity: Capacity,
        item: Payload,
        count: u64,
    },
}

impl Talk {
    /// Opens the stream and sees it through. Whatever is wrong drops it, which cancels it.
    pub(super) async fn hold(&self, peer: &Peer, timeout: Duration) -> Result<Done, Fault> {
        match self {
            Self::Items {
                handler,
                capacity,
                first,
                count,
                size,
            } => {
                let opened = peer.open(*handler, *capacity, first.clone(), Some(timeout));
                let (_to, mut from) = opened.await?;
                let mut seen = Seen::default();
                while let Some(item) = from.recv().await {
                    let item = item?;
                    check_made(item.as_slice(), seen.items, *size)?;
                    seen.add(&item);
                }
                seen.are(*count)?;
                Ok(Done {
                    items: *count,
                    bytes_out: first.len() as u64,
                    bytes_in: seen.bytes,
                })
            }
            Self::Echo {
                handler,
                capacity,
                items,
                count,
            } => {
                let opened = peer.open(*handler, *capacity, Payload::Absent, Some(timeout));
                let (mut to, mut from) = opened.await?;
                let receive = async {
                    let mut seen = Seen::default();
                    let mut sent = in_turn(items, *count);
                    while let Some(item) = from.recv().await {
                        let item = item?;
                        check_echo(item.as_slice(), sent.next(), seen.items)?;
                        seen.add(&item);
                    }
                    seen.are(*count)?;
                    Ok(seen)
                };
                let seen = beside(send(&mut to, in_turn(items, *count)), receive).await?;
                Ok(Done {
                    items: *count,
                    // What came is what was sent.
                    bytes_out: seen.bytes,
                    bytes_in: seen.bytes,
                })
            }
            Self::CountIn {
                handler,
                capacity,
                item,
                count,
            } => {
                let opened = peer.open(*handler, *capacity, Payload::Absent, Some(timeout));
                let (mut to, mut from) = opened.await?;
                let items = in_turn(std::slice::from_ref(item), *count);
                let bytes_in = beside(send(&mut to, items), one_number(&mut from, *count)).await?;
                Ok(Done {
                    items: *count,
                    bytes_out: item.len() as u64 * count,
                    bytes_in,
                })
            }
        }
    }
}

/// `count` items, from the first again after the last.
fn in_turn(items: &[Payload], count: u64) -> impl Iterator<Item = &Payload> {
    let mut left = count;
    let more = move |_: &&Payload| {
        let more = left > 0;
        left = left.saturating_sub(1);
        more
    };
    items.iter().cycle().take_while(more)
}

/// Sends the items and says that these were all.
async fn send(to: &mut ToPeer, items: impl Iterator<Item = &Payload>) {
    for item in items {
        // Where the stream has ended, what comes from it tells why.
        if to.send(item.clone()).await.is_err() {
            return;
        }
    }
    to.finish();
}

/// Receives while the items are sent: a handler that can't get rid of its items takes no more.
async fn beside<T>(
    send: impl Future<Output = ()>,
    receive: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let send = async {
        send.await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        received = receive => received,
        never = send => never,
    }
}

/// The one item that is the count; gives its length.
async fn one_number(from: &mut FromPeer, count: u64) -> Result<u64, Fault> {
    let Some(item) = from.recv().await else {
        return Err(wrong("the stream ended without its count".to_owned()));
    };
    let item = item?;
    check_count(item.as_slice(), count)?;
    match from.recv().await {
        None => Ok(item.len() as u64),
        Some(Err(fault)) => Err(fault),
        Some(Ok(_)) => Err(wrong("an item came after the count".to_owned())),
    }
}

/// What has come on a stream.
#[derive(Debug, Default)]
struct Seen {
    items: u64,
    bytes: u64,
}

impl Seen {
    fn add(&mut self, item: &Payload) {
        self.items += 1;
        self.bytes += item.len() as u64;
    }

    fn are(&self, count: u64) -> Result<(), Fault> {
        if self.items == count {
            return Ok(());
        }
        Err(wrong(format!(
            "the stream ended after {} of {count} items",
            self.items
        )))
    }
}

/// Item `number` of the handlers that make items: every byte is the number's remainder by 256.
fn check_made(item: &[u8], number: u64, size: usize) -> Result<(), Fault> {
    let byte = number.to_le_bytes()[0];
    // Without an early end it is done many bytes at a time.
    let differ = item.iter().fold(0, |seen, it| seen | (it ^ byte));
    if item.len() == size && differ == 0 {
        return Ok(());
    }
    Err(wrong(format!(
        "item {number} has {} bytes, or other bytes than the {size} of {byte}",
        item.len()
    )))
}

fn check_echo(item: &[u8], sent: Option<&Payload>, number: u64) -> Result<(), Fault> {
    match sent {
        Some(sent) if sent.as_slice() == item => Ok(()),
        Some(_) => Err(wrong(format!("item {number} is not the one that was sent"))),
        None => Err(wrong(format!(
            "item {number} came, and no more than so many were to be sent"
        ))),
    }
}

fn check_count(item: &[u8], count: u64) -> Result<(), Fault> {
    let counted = std::str::from_utf8(item).ok();
    if counted.and_then(|text| text.parse().ok()) == Some(count) {
        return Ok(());
    }
    Err(wrong(format!(
        "{count} items were sent, and the handler counted '{}'",
        String::from_utf8_lossy(item.get(..32).unwrap_or(item))
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_turn_and_so_many() {
        let items = [Payload::from("a"), Payload::from("b")];
        let turn: Vec<_> = in_turn(&items, 5).map(Payload::as_slice).collect();
        assert_eq!(turn, [b"a", b"b", b"a", b"b", b"a"]);
        assert_eq!(in_turn(&items, 0).count(), 0);
    }

    #[test]
    fn an_item_has_its_size_and_its_number() {
        assert!(check_made(&[1; 8], 257, 8).is_ok());
        assert!(check_made(&[1; 8], 256, 8).is_err());
        assert!(check_made(&[1; 7], 257, 8).is_err());
        assert!(check_made(&[1, 1, 2, 1], 1, 4).is_err());
    }

    #[test]
    fn an_echo_comes_in_order_and_never_more() {
        let (one, two) = (Payload::from("1"), Payload::from("2"));
        assert!(check_echo(b"1", Some(&one), 0).is_ok());
        assert!(check_echo(b"1", Some(&two), 1).is_err());
        assert!(check_echo(b"1", None, 2).is_err());
    }

    #[test]
    fn a_stream_that_ends_early_is_wrong() {
        let mut seen = Seen::default();
        seen.add(&Payload::from("abc"));
        assert_eq!((seen.items, seen.bytes), (1, 3));
        assert!(seen.are(1).is_ok());
        assert!(seen.are(2).is_err());
    }

    #[test]
    fn a_count_is_a_number() {
        assert!(check_count(b"100", 100).is_ok());
        for other in [&b"99"[..], b"", b"x", b"\xff"] {
            assert!(check_count(other, 100).is_err());
        }
    }

    #[tokio::test]
    async fn what_is_received_decides_whatever_was_sent() {
        let received = beside(async {}, async { Ok(7) }).await;
        assert_eq!(received, Ok(7));
        let received: Result<(), _> =
            beside(std::future::pending(), async { Err(wrong("no".into())) }).await;
        assert!(received.is_err());
    }
}
