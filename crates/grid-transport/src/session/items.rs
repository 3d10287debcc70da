//! Items on their way into the queue.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use grid_proto::conn::SendError;

use super::{Core, Effects, Session};

impl Session {
    /// As [`with`](Self::with), for `send` that sends items: where all of them are in the queue nobody but the writer has to
    /// hear of it, and nothing follows. `None` when the machine is broken.
    pub(crate) fn send_items(
        self: &Arc<Self>,
        send: impl FnOnce(&mut Core) -> Result<(), SendError>,
    ) -> Option<Result<(), SendError>> {
        let mut effects = None;
        let (sent, wakes) = self.monitor.queue(|core| {
            if core.broken {
                return Err(None);
            }
            // A panic of the machine ends this session and nothing else.
            let sent = catch_unwind(AssertUnwindSafe(|| {
                let sent = send(core);
                if sent.is_err() {
                    core.settle(self, effects.insert(Effects::default()));
                }
                sent
            }));
            let sent = match sent {
                Ok(sent) => sent.map_err(Some),
                Err(_) => {
                    core.break_down(self, effects.insert(Effects::default()));
                    Err(None)
                }
            };
            if let Some(effects) = &mut effects {
                effects.cause = core.cause.clone();
            }
            sent
        });
        match effects {
            Some(mut effects) => {
                effects.sleepers = wakes;
                effects.run(self);
            }
            None => self.monitor.ring(&wakes),
        }
        match sent {
            Ok(()) => Some(Ok(())),
            Err(error) => error.map(Err),
        }
    }
}
