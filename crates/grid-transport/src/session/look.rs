//! How things are behind the lock, for those who sleep.

use super::{
    core::Core,
    monitor::{Now, Sleepers, State},
};

impl State for Core {
    fn look(&mut self) -> (Now, &mut Sleepers) {
        let ended = self.broken || self.cause.is_some();
        // A broken machine isn't asked anything.
        let now = if self.broken {
            Now {
                ended,
                ..Now::default()
            }
        } else {
            Now {
                wants_transmit: self.conn.wants_transmit(),
                due: self.conn.poll_timeout(),
                // Asked only where somebody waits for it: each call comes by here.
                has_room: self.sleepers.is_starved()
                    && (self.conn.has_room() || self.conn.take_urgent_room()),
                idle: self.sleepers.is_draining() && self.conn.is_idle(),
                ended,
            }
        };
        (now, &mut self.sleepers)
    }

    fn sleepers(&mut self) -> &mut Sleepers {
        &mut self.sleepers
    }
}
