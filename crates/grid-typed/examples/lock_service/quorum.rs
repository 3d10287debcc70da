//! How many servers have to agree.
//!
//! Any two sets of servers that must not both say yes have to share a server, which says yes to one
//! of them only.

use crate::protocol::Mode;

impl Mode {
    /// How many of `servers` have to agree before a lock of this mode is held.
    ///
    /// A writer needs more than half, so that two writers meet. A reader needs as many as it takes to
    /// meet every writer: all but those that are one too few for a writer. That is half of an even
    /// number of servers; of an odd one it is half of it *rounded up*, as 2 readers and 3 writers of 5
    /// servers need not meet. Two readers need not meet at all.
    pub(crate) const fn quorum(self, servers: usize) -> usize {
        let writer = servers / 2 + 1;
        match self {
            Self::Write => writer,
            Self::Read => servers + 1 - writer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_must_not_both_be_held_share_a_server() {
        for servers in 1..100 {
            let (reader, writer) = (Mode::Read.quorum(servers), Mode::Write.quorum(servers));
            assert!(writer + writer > servers, "two writers of {servers}");
            assert!(
                reader + writer > servers,
                "a reader and a writer of {servers}"
            );
        }
    }

    #[test]
    fn no_more_are_asked_for_than_that_takes() {
        for servers in 1..100 {
            let (reader, writer) = (Mode::Read.quorum(servers), Mode::Write.quorum(servers));
            assert!(2 * (writer - 1) <= servers);
            assert!(reader - 1 + writer <= servers);
        }
        assert_eq!((Mode::Read.quorum(4), Mode::Write.quorum(4)), (2, 3));
        assert_eq!((Mode::Read.quorum(5), Mode::Write.quorum(5)), (3, 3));
    }
}
