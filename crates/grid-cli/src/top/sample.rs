//! A status with what has changed since the one before.

use std::collections::HashMap;

use serde::Serialize;

use crate::status::{LinkStatus, Status};

/// A status and its rates.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) status: Status,
    /// One for each link of the status, in its order.
    rates: Vec<Option<LinkRates>>,
    /// How much of one processor the node has used.
    pub(super) cpu: Option<f64>,
}

/// What went over a link each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct LinkRates {
    pub(super) messages_in_s: f64,
    pub(super) messages_out_s: f64,
    pub(super) bytes_in_s: f64,
    pub(super) bytes_out_s: f64,
}

impl Sample {
    /// A first one, which has no rates.
    pub(super) fn first(status: Status) -> Self {
        Self {
            rates: vec![None; status.links.len()],
            cpu: None,
            status,
        }
    }

    /// The next one of the same node, which may have been restarted: then it has no rates.
    pub(super) fn after(before: &Status, status: Status) -> Self {
        let Some(seconds) = seconds_between(before, &status) else {
            return Self::first(status);
        };
        let old = before.links.iter().map(|link| (&link.remote, link));
        let old: HashMap<_, _> = old.collect();
        let rates = |link: &LinkStatus| LinkRates::between(old.get(&link.remote)?, link, seconds);
        let used = |status: &Status| status.process.user_s + status.process.sys_s;
        Self {
            rates: status.links.iter().map(rates).collect(),
            cpu: Some((used(&status) - used(before)) / seconds)
                .filter(|share| share.is_finite() && *share >= 0.0),
            status,
        }
    }

    /// The links with their rates.
    pub(super) fn links(&self) -> impl Iterator<Item = (&LinkStatus, Option<&LinkRates>)> {
        let rates = self.rates.iter().map(Option::as_ref);
        self.status.links.iter().zip(rates)
    }

    /// The rates of all links together; none where no link has any.
    pub(super) fn total(&self) -> Option<LinkRates> {
        self.rates.iter().flatten().copied().reduce(LinkRates::plus)
    }
}

/// The time between two looks at the same run of a node, by its own clock. Without an answer the
/// node was restarted in between.
fn seconds_between(before: &Status, now: &Status) -> Option<f64> {
    let seconds = now.uptime_s - before.uptime_s;
    (before.instance == now.instance && seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

impl LinkRates {
    /// None where a counter has gone back: the link was removed and added again.
    fn between(before: &LinkStatus, now: &LinkStatus, seconds: f64) -> Option<Self> {
        let rate = |before: u64, now: u64| Some(now.checked_sub(before)? as f64 / seconds);
        Some(Self {
            messages_in_s: rate(before.messages_in, now.messages_in)?,
            messages_out_s: rate(before.messages_out, now.messages_out)?,
            bytes_in_s: rate(before.bytes_in, now.bytes_in)?,
            bytes_out_s: rate(before.bytes_out, now.bytes_out)?,
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            messages_in_s: self.messages_in_s + other.messages_in_s,
            messages_out_s: self.messages_out_s + other.messages_out_s,
            bytes_in_s: self.bytes_in_s + other.bytes_in_s,
            bytes_out_s: self.bytes_out_s + other.bytes_out_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::sample_status;

    /// Two looks at a node, two seconds apart.
    fn two() -> (Status, Status) {
        let before = sample_status(["http://a:1", "http://b:1"]);
        let mut now = before.clone();
        now.uptime_s += 2.0;
        now.process.user_s += 0.5;
        for link in &mut now.links {
            link.messages_in += 10;
            link.messages_out += 20;
            link.bytes_in += 3000;
            link.bytes_out += 4000;
        }
        (before, now)
    }

    #[test]
    fn rates_are_by_the_clock_of_the_node() {
        let (before, now) = two();
        let sample = Sample::after(&before, now);
        let each = LinkRates {
            messages_in_s: 5.0,
            messages_out_s: 10.0,
            bytes_in_s: 1500.0,
            bytes_out_s: 2000.0,
        };
        assert!(sample.links().all(|(_, rates)| rates == Some(&each)));
        assert_eq!(sample.total(), Some(each.plus(each)));
        assert_eq!(sample.cpu, Some(0.25));
    }

    #[test]
    fn a_restart_has_no_rates() {
        let none = |sample: &Sample| {
            sample.cpu.is_none()
                && sample.total().is_none()
                && sample.links().count() == 2
                && sample.links().all(|(_, rates)| rates.is_none())
        };
        let (before, now) = two();
        let other = Status {
            instance: "another".into(),
            ..now.clone()
        };
        assert!(none(&Sample::after(&before, other)));
        // The same document twice, and a clock that makes no sense.
        assert!(none(&Sample::after(&now, now.clone())));
        assert!(none(&Sample::after(&now, before)));
        assert!(none(&Sample::first(now)));
    }

    #[test]
    fn a_link_that_began_anew_has_no_rates_and_the_others_do() {
        let (before, mut now) = two();
        now.links[0].messages_in = 0;
        let sample = Sample::after(&before, now.clone());
        let has = |sample: &Sample| -> Vec<bool> {
            sample.links().map(|(_, rates)| rates.is_some()).collect()
        };
        assert_eq!(has(&sample), [false, true]);
        // One that came, in another order.
        now.links[0].remote = "http://c:1".into();
        now.links.reverse();
        let sample = Sample::after(&before, now);
        assert_eq!(has(&sample), [true, false]);
    }
}
