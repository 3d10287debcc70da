//! Which stream ends where more would be held than may be: the one that holds most bytes unread.

use std::collections::BinaryHeap;

use super::{Call, CallError, Connection, event::CancelReason};

/// So many are found by one look at all streams. A peer that has each of its items end a stream would otherwise have all
/// of them looked at for each.
const FOUND: usize = 256;

/// What is held of a stream, its mux, and whether the call is ours. Of two that hold the same the later one is ended.
type Holder = (usize, u64, bool);

/// The streams that hold most. What they hold is known but for what was read since: that is seen when one is to end.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// None where nobody has looked yet.
    most: Option<BinaryHeap<Holder>>,
    /// All streams that aren't among them come behind this one.
    floor: Holder,
    /// How often all streams were looked at.
    #[cfg(test)]
    pub(super) looks: usize,
}

impl Holders {
    /// A stream holds more than before.
    pub(super) fn grew(&mut self, holder: Holder) {
        // Before anybody has looked, all will be looked at in any case.
        let Some(most) = self.most.as_mut().filter(|_| holder > self.floor) else {
            return;
        };
        if most.len() < 4 * FOUND {
            most.push(holder);
        } else {
            self.forget();
        }
    }

    pub(super) fn forget(&mut self) {
        self.most = None;
    }

    fn fill(&mut self, mut all: Vec<Holder>) {
        #[cfg(test)]
        {
            self.looks += 1;
        }
        self.floor = Holder::default();
        if all.len() > FOUND {
            let (_, next, _) = all.select_nth_unstable_by(FOUND, |a, b| b.cmp(a));
            self.floor = *next;
            all.truncate(FOUND);
            // The room of all of them is not kept for a few.
            all.shrink_to_fit();
        }
        self.most = Some(all.into());
    }
}

impl Connection {
    /// Makes room by ending the stream that holds most bytes unread, with the item that comes: its mux, whether that is of
    /// a call of ours, and what it counts.
    pub(super) fn shed(&mut self, (of, by_us, cost): (u64, bool, usize)) {
        let comes = self.unread(of, by_us).unwrap_or_default();
        let most = self.holds_most().unwrap_or_default();
        let (held, mux, ours) = most.max((comes + cost, of, by_us));
        self.shed_bytes += if (mux, ours) == (of, by_us) {
            comes
        } else {
            held
        };
        if ours {
            self.fail_call(mux, CallError::Overloaded);
        } else {
            self.cut_incoming(mux, CancelReason::Overloaded);
        }
    }

    /// What nobody has read of a stream that is open.
    fn unread(&self, mux: u64, ours: bool) -> Option<usize> {
        if ours {
            match self.calls.get(&mux)? {
                Call::Stream(stream) => Some(stream.unread.held()),
                Call::Request(_) => None,
            }
        } else {
            let open = self.incoming.get(&mux)?;
            // What a handler that has returned or was stopped has not read went with it.
            open.ending.is_open().then(|| open.unread.held())
        }
    }

    fn holds_most(&mut self) -> Option<Holder> {
        let mut looked = false;
        loop {
            let known = self.holders.most.as_ref();
            let Some(&(was, mux, ours)) = known.and_then(BinaryHeap::peek) else {
                // Without a floor nobody else holds anything either.
                if looked || known.is_some() && self.holders.floor == Holder::default() {
                    return None;
                }
                looked = true;
                let all = self.all_holders();
                self.holders.fill(all);
                continue;
            };
            let held = self.unread(mux, ours);
            if held == Some(was) {
                return Some((was, mux, ours));
            }
            // What holds more than it did is among them once more, and stood before this.
            let again = held
                .map(|held| (held, mux, ours))
                .filter(|again| again.0 < was && *again > self.holders.floor);
            if let Some(most) = &mut self.holders.most {
                most.pop();
                most.extend(again);
            }
        }
    }

    fn all_holders(&self) -> Vec<Holder> {
        let calls = self.calls.iter().filter_map(|(mux, call)| match call {
            Call::Stream(stream) => Some((stream.unread.held(), *mux, true)),
            Call::Request(_) => None,
        });
        let incoming = self
            .incoming
            .iter()
            .filter(|(_, open)| open.ending.is_open())
            .map(|(mux, open)| (open.unread.held(), *mux, false));
        let all = calls.chain(incoming);
        all.filter(|(held, ..)| *held > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc, time::Instant};

    use super::*;
    use crate::{
        HandlerId, Payload,
        conn::{
            Budget, Capacity, Config, Event, NewStream, inner_tests::AnyStream, unread::Unread,
        },
        wire::Op,
    };

    fn filled(held: impl IntoIterator<Item = usize>) -> Holders {
        let mut holders = Holders::default();
        let all = held.into_iter().enumerate();
        holders.fill(all.map(|(mux, held)| (held, mux as u64, true)).collect());
        holders
    }

    fn most(holders: &mut Holders) -> &mut BinaryHeap<Holder> {
        holders.most.as_mut().expect("somebody has looked")
    }

    #[test]
    fn those_that_hold_most_are_kept_in_order() {
        for streams in [1, FOUND - 1, FOUND, FOUND + 1, 10 * FOUND] {
            let mut holders = filled(1..=streams);
            let floor = streams.saturating_sub(FOUND);
            assert_eq!(holders.floor.0, floor);
            for expected in (floor + 1..=streams).rev() {
                let held = most(&mut holders).pop().map(|(held, ..)| held);
                assert_eq!(held, Some(expected));
            }
            assert!(most(&mut holders).is_empty());
        }
    }

    #[test]
    fn what_grows_beyond_the_rest_is_among_them_and_they_stay_few() {
        let mut holders = filled(1..=FOUND + 10);
        assert_eq!(holders.floor, (10, 9, true));
        holders.grew((10, 8, true));
        assert_eq!(most(&mut holders).len(), FOUND);
        holders.grew((11, 9_000, false));
        assert_eq!(most(&mut holders).len(), FOUND + 1);
        for held in 0..3 * FOUND - 1 {
            holders.grew((held + 12, 9_000, false));
        }
        assert_eq!(most(&mut holders).len(), 4 * FOUND);
        holders.grew((1 << 20, 9_000, false));
        assert!(holders.most.is_none(), "all are looked at again");
        holders.grew((1 << 20, 9_000, false));
        assert!(holders.most.is_none(), "one is not taken for all");
    }

    /// Streams of both directions, what nobody has read of them, and the machine.
    struct World {
        conn: Connection,
        now: Instant,
        unread: HashMap<(u64, bool), Vec<Event>>,
        seq: HashMap<u64, u32>,
    }

    impl World {
        fn new(inbound: Arc<Budget>) -> Self {
            let now = Instant::now();
            let config = Config {
                inbound,
                ..Config::default()
            };
            Self {
                conn: Connection::new(config, now),
                now,
                unread: HashMap::new(),
                seq: HashMap::new(),
            }
        }

        fn gets(&mut self, op: Op, mux: u64, seq: u32, bytes: usize) {
            let mut message = self.conn.message(op, mux);
            (message.seq, message.payload) = (seq, vec![0; bytes].into());
            self.conn.handle_message(self.now, message, &AnyStream);
        }

        /// Opens one, if there is room; those of the peer's always under the same few numbers.
        fn open(&mut self, ours: bool, number: u64) {
            let mut opened = None;
            if ours {
                let capacity = Capacity::new(0, u32::MAX);
                let new = NewStream::new(HandlerId::new(7), capacity, Payload::Absent);
                let mux = self.conn.open(self.now, new).expect("room").get();
                self.sends();
                self.gets(Op::AckMux, mux, 0, 0);
                opened = Some(mux);
            } else if !self.unread.contains_key(&(number, ours)) {
                self.gets(Op::ConnectMux, number, 0, 0);
            }
            self.sends();
            while let Some(event) = self.conn.poll_event() {
                if let Event::Opened(stream) = event {
                    opened = Some(stream.stream.mux().get());
                }
            }
            if let Some(mux) = opened {
                self.unread.insert((mux, ours), Vec::new());
                self.seq.insert(mux, 1);
            }
        }

        fn sends(&mut self) {
            let mut out = Vec::new();
            self.conn.poll_transmit(self.now, &mut out, usize::MAX);
        }

        /// An item comes; by the plain rule it is known which stream has to end for it.
        fn item(&mut self, (mux, ours): (u64, bool), bytes: usize) {
            let op = if ours {
                Op::MuxServerMsg
            } else {
                Op::MuxClientMsg
            };
            let seq = self.seq.get_mut(&mux).expect("open");
            let this = *seq;
            *seq += 1;
            let cost = Unread::cost(bytes);
            let ends = (!self.conn.config.inbound.admits(cost, self.conn.shed_bytes)).then(|| {
                let comes = self.conn.unread(mux, ours).expect("open") + cost;
                let others = self.conn.all_holders().into_iter();
                let (_, mux, ours) = others.chain([(comes, mux, ours)]).max().expect("one");
                (mux, ours)
            });
            self.gets(op, mux, this, bytes);
            let mut ended = None;
            while let Some(event) = self.conn.poll_event() {
                match event {
                    Event::Item { .. } | Event::Received { .. } => {
                        self.unread.get_mut(&(mux, ours)).expect("open").push(event);
                    }
                    Event::Ended { mux, .. } => ended = Some((mux.get(), true)),
                    Event::Cancelled { stream, .. } => ended = Some((stream.mux().get(), false)),
                    _ => {}
                }
            }
            assert_eq!(ended, ends);
            if let Some(ended) = ended {
                self.unread.remove(&ended);
            }
        }
    }

    #[test]
    fn h17_of_many_that_hold_the_same_the_latest_ends_also_where_it_came_to_that_afterwards() {
        let inbound = Budget::new(1 << 20);
        let mut world = World::new(inbound.clone());
        for mux in 1..=501 {
            world.open(false, mux);
        }
        for mux in 2..=500 {
            world.item((mux, false), 0);
        }
        for mux in [499, 500] {
            world.item((mux, false), 0);
        }
        let fill = || inbound.charge_over(inbound.limit().saturating_sub(inbound.used()));
        let mut others = vec![fill()];
        // From here on it is known which of them come first; 500 does.
        world.item((1, false), 0);
        // Another is read down to what most hold, and is the next.
        world.unread.get_mut(&(499, false)).expect("open").pop();
        world.unread.insert((2, false), Vec::new());
        others.push(fill());
        world.item((2, false), 0);
        assert!(!world.unread.contains_key(&(499, false)));
        // One that held nothing comes to as much, and is the next.
        world.unread.insert((10, false), Vec::new());
        world.item((501, false), 0);
        others.push(fill());
        world.item((10, false), 0);
        assert!(!world.unread.contains_key(&(501, false)));
        drop(others);
    }

    #[test]
    fn h17_the_stream_that_ends_is_the_one_that_holds_most_by_the_plain_rule() {
        let mut random = Random(7);
        // In the last one all items are of one size, and many streams hold the same.
        for (streams, inbound, bits) in [
            (4, 4_000, 12),
            (40, 30_000, 12),
            (500, 400_000, 12),
            (500, 80_000, 1),
        ] {
            let mut world = World::new(Budget::new(inbound));
            for _ in 0..5_000 {
                step(&mut world, &mut random, streams, bits);
            }
            let looks = world.conn.holders.looks;
            assert!(looks > 2, "{looks}");
        }
    }

    fn step(world: &mut World, random: &mut Random, streams: usize, bits: u64) {
        let mut open: Vec<_> = world.unread.keys().copied().collect();
        open.sort_unstable();
        let roll = random.below(200);
        if open.len() < streams || roll < 6 {
            // Our own numbers begin with 1, those of the peer's are far away.
            return world.open(random.below(2) == 0, (1 << 32) + random.below(800));
        }
        let stream = open[random.below(open.len() as u64) as usize];
        match roll {
            // A reader takes some or all.
            6..30 => {
                let unread = world.unread.get_mut(&stream).expect("open");
                let taken = random.below(unread.len() as u64 + 1) as usize;
                unread.drain(..taken);
            }
            60 => world.conn.holders.forget(),
            _ => {
                let bits = random.below(bits);
                world.item(stream, random.below(1 << bits) as usize);
            }
        }
    }

    /// A plain generator: what matters is that a failure can be repeated.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }
}
