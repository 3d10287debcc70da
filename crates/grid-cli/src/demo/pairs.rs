//! The pairs of nodes, and who of each dials.

/// Two nodes, by their numbers from 0; `a` is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) a: usize,
    pub(super) b: usize,
    /// Whether `a` dials (protocol section 1).
    pub(super) a_dials: bool,
}

impl Pair {
    pub(super) fn dialer(self) -> usize {
        if self.a_dials { self.a } else { self.b }
    }

    pub(super) fn acceptor(self) -> usize {
        if self.a_dials { self.b } else { self.a }
    }

    /// The numbers as people count: `1–2`.
    pub(super) fn label(self) -> String {
        format!("{}–{}", self.a + 1, self.b + 1)
    }
}

/// All pairs of the named nodes.
pub(super) fn pairs(names: &[String]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (a, name) in (0..).zip(names) {
        for (b, other) in (0..).zip(names).skip(a + 1) {
            pairs.push(Pair {
                a,
                b,
                a_dials: grid_proto::local_dials(name, other),
            });
        }
    }
    pairs
}

/// Which pair two nodes are, and which end of it the first one is.
pub(super) fn find(pairs: &[Pair], node: usize, peer: usize) -> Option<(usize, usize)> {
    let (a, b) = (node.min(peer), node.max(peer));
    let at = pairs.iter().position(|pair| (pair.a, pair.b) == (a, b))?;
    Some((at, usize::from(node == b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_nodes_are_six_pairs() {
        let names: Vec<String> = (1..=4)
            .map(|node| format!("http://127.0.0.1:900{node}"))
            .collect();
        let pairs = pairs(&names);
        assert_eq!(pairs.len(), 6);
        for node in 0..4 {
            for peer in (0..4).filter(|peer| *peer != node) {
                let (at, end) = find(&pairs, node, peer).unwrap();
                let pair = pairs.get(at).unwrap();
                assert_eq!([pair.a, pair.b].get(end), Some(&node));
                assert_ne!(pair.dialer(), pair.acceptor());
                assert_eq!(
                    pair.dialer() == node,
                    grid_proto::local_dials(&names[node], &names[peer])
                );
            }
        }
        assert_eq!(find(&pairs, 1, 1), None);
    }
}
