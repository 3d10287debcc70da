//! Tables by mux id.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
};

/// A table by a number that a peer may have chosen.
pub(super) type Table<T> = HashMap<u64, T, Seeded>;

/// Gives back the memory of a table's busiest moment once nothing is in it.
pub(super) fn release<T>(table: &mut Table<T>) {
    if table.is_empty() && table.capacity() > 1024 {
        table.shrink_to_fit();
    }
}

/// Hashes one number with a secret seed: as cheap as a multiplication, and a peer that does not know the seed can't
/// choose numbers that meet in one slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeded(pub(super) u64);

impl BuildHasher for Seeded {
    type Hasher = Folded;

    fn build_hasher(&self) -> Folded {
        Folded(self.0)
    }
}

pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The high half of the product depends on every bit of the number, and the table uses both ends of the hash.
        let wide = u128::from(number ^ self.0) * 0x9e37_79b9_7f4a_7c15_u128;
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        {
            self.0 = (wide as u64) ^ ((wide >> 64) as u64);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::BuildHasher};

    use super::*;

    #[test]
    fn neighbours_and_multiples_differ_at_both_ends() {
        for seed in [0, 1, 0xdead_beef, u64::MAX] {
            for step in [1u64, 2, 1 << 16, 1 << 32] {
                let hashes: Vec<u64> = (0..1024u64)
                    .map(|i| Seeded(seed).hash_one(i.wrapping_mul(step)))
                    .collect();
                let low: HashSet<u64> = hashes.iter().map(|hash| hash & 0x3ff).collect();
                assert!(
                    low.len() > 256,
                    "seed {seed} step {step}: {} of 1024 slots",
                    low.len()
                );
            }
        }
    }

    #[test]
    fn an_empty_table_keeps_little() {
        let mut table: Table<u64> = Table::with_hasher(Seeded(1));
        table.extend((0..5_000).map(|number| (number, number)));
        let full = table.capacity();
        release(&mut table);
        assert_eq!(table.capacity(), full, "it is in use");
        table.clear();
        release(&mut table);
        assert!(table.capacity() <= 1024);
    }
}
