//! When room that a busy moment has left is given back.

/// In a row.
const ENOUGH: u8 = 16;

/// Tells a link that has become quiet from a small batch between large ones: giving room back after each of those would
/// be to allocate it again for the next.
#[derive(Debug, Default)]
pub(crate) struct Calm(u8);

impl Calm {
    /// To be told of each batch whether it was small; true when enough of them were, one after the other.
    pub(crate) fn after(&mut self, small: bool) -> bool {
        self.0 = if small { self.0 + 1 } else { 0 };
        let calm = self.0 >= ENOUGH;
        if calm {
            self.0 = 0;
        }
        calm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_batch_begins_the_count_anew() {
        let mut calm = Calm::default();
        for large_at in [0, 5, ENOUGH - 1] {
            for batch in 0..ENOUGH {
                assert!(!calm.after(batch != large_at), "{batch} after {large_at}");
            }
            calm = Calm::default();
        }
        let calms = (0..3 * ENOUGH).filter(|_| calm.after(true));
        assert_eq!(
            calms.collect::<Vec<_>>(),
            [1, 2, 3].map(|round| round * ENOUGH - 1)
        );
    }
}
