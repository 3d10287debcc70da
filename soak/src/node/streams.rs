//! Streams of all kinds.

use std::time::Instant;

use grid_transport::{
    CallError, Capacity, HandlerId, Payload, SendError, Stream, StreamReceiver, StreamSender,
};

use super::{
    caller::{Call, Caller, Went},
    handlers as serve,
};
use crate::{
    pattern::{self, Head},
    tally::Tally,
    words::Broken,
};

/// How many items a stream has.
const COUNTS: [(u64, std::ops::Range<u64>); 4] =
    [(5, 0..1), (60, 1..30), (30, 30..300), (5, 300..2_000)];

/// How a consumer behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Eager,
    /// It pauses now and then.
    Slow,
    /// It drops the stream after so many items.
    Drops(u32),
    /// It cancels the stream after so many items, by its handle.
    Cancels(u32),
}

impl Caller {
    pub(super) async fn stream(&mut self, call: &mut Call) -> Went {
        let at = self.rng.range(0..100);
        let ranges: Vec<_> = (0..COUNTS.len()).map(|at| (COUNTS[at].0, at)).collect();
        let range = self.rng.weighted(&ranges).unwrap_or(0);
        let count = self.rng.range(COUNTS[range].1.clone()) as u32;
        let pick = self.rng.draw() as usize;
        match at {
            0..45 => {
                let (id, capacity) = serve::OUT[pick % serve::OUT.len()];
                let fails = if self.rng.percent(20) {
                    serve::FAILS
                } else {
                    0
                };
                self.out(call, id, capacity, count, fails).await
            }
            45..65 => {
                let (id, capacity) = serve::IN[pick % serve::IN.len()];
                self.take(call, id, capacity, count).await
            }
            65..75 => {
                let (id, capacity) = serve::IN_ONLY;
                self.take(call, id, capacity, count).await
            }
            _ => {
                let (id, capacity) = serve::BOTH[pick % serve::BOTH.len()];
                self.both(call, id, capacity, count).await
            }
        }
    }

    async fn out(
        &mut self,
        call: &mut Call,
        id: HandlerId,
        capacity: Capacity,
        count: u32,
        fails: u32,
    ) -> Went {
        let manner = self.manner(count);
        let kind = match manner {
            Manner::Drops(_) => "stream out, dropped",
            Manner::Cancels(_) => "stream out, cancelled",
            _ if fails != 0 => "stream out, failing",
            _ => "stream out",
        };
        let mut stream = match self.open(call, kind, id, capacity, count | fails).await {
            Ok(stream) => stream,
            Err(error) => return Went::Failed(error),
        };
        let mut place = 0;
        loop {
            match manner {
                Manner::Drops(after) if place == after => return Went::GivenUp,
                Manner::Cancels(after) if place == after => {
                    stream.cancel_handle().cancel();
                    return self
                        .was_cancelled(call, &mut stream, place, (count, fails))
                        .await;
                }
                Manner::Slow if place % 8 == 0 => {
                    tokio::time::sleep(self.rng.millis(0..20)).await;
                }
                _ => {}
            }
            let from = Instant::now();
            let next = stream.recv().await;
            self.tally.on_time(call.kind, from, call.deadline()).await;
            match next {
                Some(Ok(item)) => {
                    if let Some(wrong) = self.item(call, place, count, &item) {
                        return wrong;
                    }
                    place += 1;
                }
                None if place == count && fails == 0 => return Went::Well,
                None => return self.lost(call, place, count),
                Some(Err(CallError::Remote(text))) if fails != 0 && place < count => {
                    return self.told(
                        Broken::LostItem,
                        call,
                        &format!("failed after {place} of {count} items by {text}"),
                    );
                }
                Some(Err(error)) if fails != 0 => {
                    let text = pattern::word(call.number, "failed");
                    return self.remote(call, Err(error), |got| got == text);
                }
                Some(Err(error)) => return Went::Failed(error),
            }
        }
    }

    async fn take(&mut self, call: &mut Call, id: HandlerId, to: Capacity, count: u32) -> Went {
        let manner = self.manner(count);
        // There is no stream without output: this one just has none.
        let (kind, wanted) = if id == serve::IN_ONLY.0 {
            ("stream in, no answer", 0)
        } else {
            ("stream in", 1)
        };
        let mut stream = match self.open(call, kind, id, to, count).await {
            Ok(stream) => stream,
            Err(error) => return Went::Failed(error),
        };
        for place in 0..count {
            match manner {
                Manner::Drops(after) | Manner::Cancels(after) if place == after => {
                    return Went::GivenUp;
                }
                Manner::Slow if place % 8 == 0 => {
                    tokio::time::sleep(self.rng.millis(0..20)).await;
                }
                _ => {}
            }
            let from = Instant::now();
            let sent = stream.send(pattern::item(call.number, place)).await;
            self.tally.on_time(call.kind, from, call.deadline()).await;
            match sent {
                Ok(()) => {}
                Err(SendError::Ended | SendError::Call(_)) => break,
                Err(error) => return self.wrong(call, &format!("can't be sent to: {error}")),
            }
        }
        stream.finish();
        let mut answers = 0;
        loop {
            let from = Instant::now();
            let next = stream.recv().await;
            self.tally.on_time(call.kind, from, call.deadline()).await;
            match next {
                Some(Ok(item)) if answers < wanted => {
                    if pattern::item(call.number, count) != item.as_slice() {
                        return self.wrong(call, "got the wrong answer");
                    }
                    self.tally.checked(item.len());
                    answers = 1;
                }
                Some(Ok(_)) => return self.wrong(call, "got one answer too many"),
                Some(Err(error)) => return Went::Failed(error),
                None if answers == wanted => return Went::Well,
                None => return self.lost(call, answers, wanted),
            }
        }
    }

    async fn both(&mut self, call: &mut Call, id: HandlerId, to: Capacity, count: u32) -> Went {
        let stream = match self.open(call, "stream both ways", id, to, count).await {
            Ok(stream) => stream,
            Err(error) => return Went::Failed(error),
        };
        let (mut sender, mut receiver) = stream.split();
        let cancel = receiver.cancel_handle();
        let sending = send_all(call, &self.tally, &mut sender, count);
        let receiving = async {
            let went = self.receive_all(call, &mut receiver, count).await;
            if matches!(went, Went::Wrong) {
                cancel.cancel();
            }
            went
        };
        let (sent, went) = tokio::join!(sending, receiving);
        match (sent, went) {
            (Err(error), Went::Well) => self.wrong(
                call,
                &format!("ended well and could not be sent to: {error}"),
            ),
            (_, went) => went,
        }
    }

    async fn receive_all(&self, call: &Call, receiver: &mut StreamReceiver, count: u32) -> Went {
        let mut place = 0;
        loop {
            let from = Instant::now();
            let next = receiver.recv().await;
            self.tally.on_time(call.kind, from, call.deadline()).await;
            match next {
                Some(Ok(item)) => {
                    if let Some(wrong) = self.item(call, place, count, &item) {
                        return wrong;
                    }
                    place += 1;
                }
                Some(Err(error)) => return Went::Failed(error),
                None if place == count => return Went::Well,
                None => return self.lost(call, place, count),
            }
        }
    }

    async fn open(
        &self,
        call: &mut Call,
        kind: &'static str,
        id: HandlerId,
        capacity: Capacity,
        order: u32,
    ) -> Result<Stream, CallError> {
        let head = Head {
            number: call.number,
            order,
            len: (call.number % 700) as u32,
        };
        call.begin(kind, &self.tally);
        let mut open = call.peer.stream(id, capacity, pattern::make(head));
        if let Some(deadline) = call.deadline() {
            open = open.deadline(deadline.into());
        }
        if call.wait_ready {
            open = open.wait_ready();
        }
        let from = Instant::now();
        let opened = open.await;
        self.tally.on_time(call.kind, from, call.deadline()).await;
        opened
    }

    /// After a cancel nothing comes but one error that says so. A stream that had ended before is not
    /// cancelled any more, and comes to the end that it had.
    async fn was_cancelled(
        &self,
        call: &Call,
        stream: &mut Stream,
        mut place: u32,
        (count, fails): (u32, u32),
    ) -> Went {
        loop {
            match stream.recv().await {
                Some(Err(CallError::Cancelled)) => return Went::GivenUp,
                Some(Ok(item)) => {
                    if let Some(wrong) = self.item(call, place, count, &item) {
                        return wrong;
                    }
                    place += 1;
                }
                None if place == count && fails == 0 => return Went::GivenUp,
                None => return self.lost(call, place, count),
                Some(Err(CallError::Remote(_))) if fails != 0 && place == count => {
                    return Went::GivenUp;
                }
                Some(Err(error)) => return Went::Failed(error),
            }
        }
    }

    fn item(&self, call: &Call, place: u32, count: u32, item: &Payload) -> Option<Went> {
        if place >= count {
            return Some(self.wrong(call, "got one item too many"));
        }
        if pattern::item(call.number, place) != item.as_slice() {
            return Some(self.wrong(call, &format!("got a wrong item {place}")));
        }
        self.tally.checked(item.len());
        None
    }

    fn lost(&self, call: &Call, got: u32, of: u32) -> Went {
        let what = format!("came to a clean end after {got} of {of} items");
        self.told(Broken::LostItem, call, &what)
    }

    fn manner(&mut self, count: u32) -> Manner {
        let after = self.rng.range(0..u64::from(count) + 1) as u32;
        match self.rng.range(0..100) {
            0..60 => Manner::Eager,
            60..80 => Manner::Slow,
            80..90 => Manner::Drops(after),
            _ => Manner::Cancels(after),
        }
    }
}

/// Sends all items and says that they are all; why it failed is told by the receiving half.
async fn send_all(
    call: &Call,
    tally: &Tally,
    sender: &mut StreamSender,
    count: u32,
) -> Result<(), SendError> {
    for place in 0..count {
        let from = Instant::now();
        let sent = sender.send(pattern::item(call.number, place)).await;
        tally.on_time(call.kind, from, call.deadline()).await;
        sent?;
    }
    sender.finish();
    Ok(())
}
