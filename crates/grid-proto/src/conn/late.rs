//! How many messages an honest peer may still have under way for what is over.

/// A peer that has had many calls may send no more than this for all of them, unless one of them alone allows it.
const MOST: u64 = 1 << 22;

/// Every call allows for as many messages as may cross its end; each that comes for a mux that is not open takes one of
/// them. Which call it was for is not remembered.
#[derive(Debug, Default)]
pub(super) struct Late(u64);

impl Late {
    /// A call began.
    pub(super) fn allow(&mut self, messages: u64) {
        let sum = self.0.saturating_add(messages);
        // What a large one allowed is not taken back by the next.
        self.0 = self.0.max(sum.min(MOST.max(messages)));
    }

    /// Takes one; false where that is more than all calls allow for.
    pub(super) fn take(&mut self) -> bool {
        let some = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(mut late: Late) -> u64 {
        let mut count = 0;
        while late.take() {
            count += 1;
        }
        count
    }

    #[test]
    fn as_many_as_all_calls_allow_and_no_more_than_the_most() {
        let late = |calls: &[u64]| {
            let mut late = Late::default();
            calls.iter().for_each(|messages| late.allow(*messages));
            taken(late)
        };
        assert_eq!(late(&[]), 0);
        assert_eq!(late(&[2, 5]), 7);
        for over in [MOST - 1, MOST, MOST + 1] {
            assert_eq!(late(&[over]), over);
            assert_eq!(late(&[over, 1]), MOST.max(over));
            assert_eq!(late(&[1, over]), MOST.max(over));
        }
    }
}
