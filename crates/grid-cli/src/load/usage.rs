//! What a run costs: processor time of all nodes that take part, and memory.

use std::time::Duration;

use grid_transport::Payload;
use serde::Serialize;

use crate::{
    probe::{Usage, single},
    reach::Peer,
};

/// How long the handler's node may take to tell what it has used.
const WITHIN: Duration = Duration::from_secs(2);

/// What has been used until some moment, where it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    /// By this process.
    caller: Option<Usage>,
    /// By the node of the handler.
    handler: Option<Usage>,
    /// By the node that carries the calls.
    via: Option<Usage>,
}

/// A value for each node that takes part; none where it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Each<T> {
    pub(super) caller: Option<T>,
    pub(super) handler: Option<T>,
    pub(super) via: Option<T>,
}

impl Used {
    /// Asks every node.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn now(peer: &Peer) -> Self {
        // A node that has no such handler, or another one under its number, keeps it to itself.
        let answer = peer.call(single::USAGE, Payload::Absent, WITHIN).await;
        let handler = answer
            .ok()
            .and_then(|answer| serde_json::from_slice(answer.as_slice()).ok());
        let via = match peer.carrier().await {
            Some(Ok(status)) => Some(Usage {
                user_s: status.process.user_s,
                sys_s: status.process.sys_s,
                peak_bytes: status.process.peak_memory_bytes,
            }),
            _ => None,
        };
        Self {
            handler,
            via,
            ..Self::here()
        }
    }

    /// Asks nobody else.
    pub(super) fn here() -> Self {
        Self {
            caller: Usage::now().ok(),
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn of_caller(usage: Usage) -> Self {
        Self {
            caller: Some(usage),
            ..Self::default()
        }
    }

    /// The processor seconds from an earlier moment to this one.
    pub(super) fn seconds_since(&self, earlier: &Self) -> Each<f64> {
        Each {
            caller: seconds(earlier.caller, self.caller),
            handler: seconds(earlier.handler, self.handler),
            via: seconds(earlier.via, self.via),
        }
    }

    /// The most memory that was resident; that of the handler's node is not told.
    pub(super) fn peaks(&self) -> Each<u64> {
        Each {
            caller: self.caller.map(|usage| usage.peak_bytes),
            handler: None,
            via: self.via.map(|usage| usage.peak_bytes),
        }
    }
}

/// Less than nothing means that the process is another one.
fn seconds(before: Option<Usage>, after: Option<Usage>) -> Option<f64> {
    let sum = |usage: Usage| usage.user_s + usage.sys_s;
    let spent = sum(after?) - sum(before?);
    (spent >= 0.0).then_some(spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_is_the_difference_where_both_are_known() {
        let usage = |user_s, sys_s| Usage {
            user_s,
            sys_s,
            peak_bytes: 7,
        };
        let before = Used {
            caller: Some(usage(1.0, 0.5)),
            handler: Some(usage(9.0, 9.0)),
            via: None,
        };
        let after = Used {
            caller: Some(usage(2.0, 1.0)),
            handler: Some(usage(1.0, 0.0)),
            via: Some(usage(1.0, 1.0)),
        };
        let spent = after.seconds_since(&before);
        assert_eq!(spent.caller, Some(1.5));
        // It was restarted meanwhile.
        assert_eq!(spent.handler, None);
        assert_eq!(spent.via, None);
        assert_eq!(
            (after.peaks().caller, after.peaks().via),
            (Some(7), Some(7))
        );
    }
}
