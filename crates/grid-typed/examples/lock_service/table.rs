//! The locks of one server: a plain table that is told the time, so that its tests need no clock.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::protocol::{Ask, Mode, Op, Verdict};

/// A peer can't make a server hold more than this: resources, readers of each, and bytes of a name.
const MAX_RESOURCES: usize = 10_000;
const MAX_READERS: usize = 1_000;
const MAX_NAME: usize = 1_024;

pub(crate) struct Table {
    lease: Duration,
    /// Nothing is granted before. A server that was restarted has forgotten what it had granted, and
    /// would grant it again to somebody else; once a lease has gone by all of that has expired.
    opens: Instant,
    resources: HashMap<String, Locked>,
}

/// A resource that is locked by at least one holder.
struct Locked {
    mode: Mode,
    holders: Vec<Holder>,
}

struct Holder {
    owner: String,
    uid: u64,
    /// When its lease ends, unless it is refreshed before.
    until: Instant,
}

impl Holder {
    fn is(&self, owner: &str, ask: &Ask) -> bool {
        self.owner == owner && self.uid == ask.uid
    }
}

impl Table {
    /// The table of a server that starts now and lends locks for `lease`.
    pub(crate) fn new(now: Instant, lease: Duration) -> Self {
        Self {
            lease,
            opens: now + lease,
            resources: HashMap::new(),
        }
    }

    /// Does what `owner` asks for.
    pub(crate) fn serve(&mut self, now: Instant, op: Op, owner: &str, ask: &Ask) -> Verdict {
        // What has expired is gone for whatever is asked.
        if let Some(locked) = self.resources.get_mut(&ask.resource) {
            locked.holders.retain(|holder| holder.until > now);
        }
        let verdict = match op {
            Op::Lock(mode) => self.lock(now, mode, owner, ask),
            Op::Unlock(mode) => self.unlock(mode, owner, ask),
            Op::Refresh => self.refresh(now, owner, ask),
            Op::ForceUnlock => self.force_unlock(ask),
        };
        if let Some(locked) = self.resources.get(&ask.resource)
            && locked.holders.is_empty()
        {
            self.resources.remove(&ask.resource);
        }
        verdict
    }

    fn lock(&mut self, now: Instant, mode: Mode, owner: &str, ask: &Ask) -> Verdict {
        if now < self.opens {
            return Verdict::Starting;
        }
        if ask.resource.len() > MAX_NAME {
            return Verdict::NameTooLong;
        }
        let known = self.resources.contains_key(&ask.resource);
        if !known && !self.has_room(now) {
            return Verdict::Full;
        }
        let unlocked = || Locked {
            mode,
            holders: Vec::new(),
        };
        let resource = ask.resource.clone();
        let locked = self.resources.entry(resource).or_insert_with(unlocked);
        let alone = mode == Mode::Write || locked.mode == Mode::Write;
        match locked.holders.first() {
            Some(first) if alone => Verdict::HeldBy(first.owner.clone()),
            Some(_) if locked.holders.len() >= MAX_READERS => Verdict::Full,
            _ => {
                locked.mode = mode;
                locked.holders.push(Holder {
                    owner: owner.to_owned(),
                    uid: ask.uid,
                    until: now + self.lease,
                });
                Verdict::Granted
            }
        }
    }

    /// Whether one more resource can be locked; those that expired since anybody asked for them go.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.resources.len() >= MAX_RESOURCES {
            self.resources.retain(|_, locked| {
                locked.holders.retain(|holder| holder.until > now);
                !locked.holders.is_empty()
            });
        }
        self.resources.len() < MAX_RESOURCES
    }

    fn unlock(&mut self, mode: Mode, owner: &str, ask: &Ask) -> Verdict {
        let Some(locked) = self.resources.get_mut(&ask.resource) else {
            return Verdict::NotHeld;
        };
        match locked.holders.iter().position(|held| held.is(owner, ask)) {
            Some(index) if locked.mode == mode => {
                locked.holders.swap_remove(index);
                Verdict::Granted
            }
            _ => Verdict::NotHeld,
        }
    }

    fn refresh(&mut self, now: Instant, owner: &str, ask: &Ask) -> Verdict {
        let locked = self.resources.get_mut(&ask.resource);
        let mut holders = locked.into_iter().flat_map(|locked| &mut locked.holders);
        match holders.find(|held| held.is(owner, ask)) {
            Some(holder) => {
                holder.until = now + self.lease;
                Verdict::Granted
            }
            None => Verdict::NotHeld,
        }
    }

    fn force_unlock(&mut self, ask: &Ask) -> Verdict {
        match self.resources.remove(&ask.resource) {
            Some(locked) if !locked.holders.is_empty() => Verdict::Granted,
            _ => Verdict::NotHeld,
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
