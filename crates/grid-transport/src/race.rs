//! Which of a name's addresses answers first (after RFC 8305, "happy eyeballs").

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use futures_util::future::select_all;
use tokio::time::timeout;

/// How long an address has before the next one is tried beside it: what RFC 8305 advises in its section 5.
const HEAD_START: Duration = Duration::from_millis(250);

/// The most attempts at a time. How many addresses there are is up to whoever answers for the name, and each attempt is
/// a socket; with these an address that does not answer has 2 s, which is all of the default dial timeout.
const AT_ONCE: usize = 8;

/// Connects to the first of `addresses` that answers. They begin in their order, each when an earlier one has failed or
/// has had its head start, so that one which swallows what it is sent does not use up the time of the others. Where
/// there are more than may be tried at a time the oldest attempt gives way.
///
/// # Errors
///
/// That of the attempt that failed last, when all have; [`NotFound`](io::ErrorKind::NotFound) without any address.
///
/// # Cancel safety
///
/// Dropping the future drops all attempts, as its end drops those that came too late.
pub(crate) async fn first_of<T, F>(
    addresses: Vec<SocketAddr>,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut left = addresses.into_iter();
    let mut trying = VecDeque::new();
    let mut last = None;
    loop {
        if let Some(address) = left.next() {
            if trying.len() == AT_ONCE {
                trying.pop_front();
            }
            trying.push_back(Box::pin(connect(address)));
        }
        if trying.is_empty() {
            return Err(last.unwrap_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, "the name has no address")
            }));
        }
        let any = select_all(trying.iter_mut());
        let ended = match left.len() {
            0 => Some(any.await),
            _ => timeout(HEAD_START, any).await.ok(),
        };
        match ended {
            Some((Ok(stream), ..)) => return Ok(stream),
            Some((Err(error), which, _)) => {
                last = Some(error);
                trying.remove(which);
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::pending};

    use futures_util::FutureExt;
    use tokio::time::Instant;

    use super::*;

    /// What an address does that is tried.
    #[derive(Clone, Copy)]
    enum Does {
        /// It swallows what it is sent, as behind a firewall that drops.
        Nothing,
        Refuses,
        Answers(Duration),
    }
    use Does::{Answers, Nothing, Refuses};

    const ANSWERS: Does = Answers(Duration::ZERO);
    const MS: Duration = Duration::from_millis(1);
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Counts the attempts that go on.
    struct Open<'a>(&'a RefCell<Seen>);

    #[derive(Default)]
    struct Seen {
        /// When each address was tried.
        began: Vec<Duration>,
        open: usize,
        most: usize,
    }

    impl Drop for Open<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().open -= 1;
        }
    }

    /// The port of the address that won, and what was seen.
    async fn race(all: &[Does]) -> (io::Result<u16>, Seen) {
        let seen = RefCell::new(Seen::default());
        let start = Instant::now();
        let addresses = (0..all.len()).map(|n| SocketAddr::from(([10, 0, 0, 1], n as u16)));
        let first = first_of(addresses.collect(), |address| {
            let seen = &seen;
            async move {
                {
                    let mut seen = seen.borrow_mut();
                    seen.began.push(start.elapsed());
                    seen.open += 1;
                    seen.most = seen.most.max(seen.open);
                }
                let _open = Open(seen);
                match all[usize::from(address.port())] {
                    Nothing => pending().await,
                    Refuses => Err(io::ErrorKind::ConnectionRefused.into()),
                    // tidy: sleep: how long the way takes, under paused time
                    Answers(after) => tokio::time::sleep(after).map(|()| Ok(address.port())).await,
                }
            }
        });
        let won = timeout(PATIENCE, first).await.expect("it goes on for ever");
        let seen = seen.into_inner();
        assert_eq!(seen.open, 0, "nothing goes on when one has won");
        (won, seen)
    }

    #[tokio::test(start_paused = true)]
    async fn l16_an_address_that_does_not_answer_does_not_hold_up_the_next_unit() {
        let start = Instant::now();
        let (won, seen) = race(&[Nothing, ANSWERS]).await;
        assert_eq!(won.unwrap(), 1);
        assert_eq!(seen.began, [Duration::ZERO, HEAD_START]);
        assert_eq!(start.elapsed(), HEAD_START);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_makes_room_for_the_next_at_once() {
        let (won, seen) = race(&[Refuses, Refuses, ANSWERS, ANSWERS]).await;
        assert_eq!(won.unwrap(), 2);
        assert_eq!(seen.began, [Duration::ZERO; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_slow_goes_on_beside_the_next() {
        let (won, seen) = race(&[Answers(HEAD_START + MS), Nothing, ANSWERS]).await;
        assert_eq!(won.unwrap(), 0);
        assert_eq!(seen.began, [Duration::ZERO, HEAD_START]);
        // Also where the others have failed meanwhile.
        let (won, seen) = race(&[Answers(20 * HEAD_START), Refuses, Refuses]).await;
        assert_eq!(won.unwrap(), 0);
        assert_eq!(seen.began, [Duration::ZERO, HEAD_START, HEAD_START]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_gives_way_where_there_are_many() {
        let many = [vec![Nothing; 3 * AT_ONCE], vec![ANSWERS]].concat();
        let (won, seen) = race(&many).await;
        assert_eq!(usize::from(won.unwrap()), 3 * AT_ONCE);
        assert_eq!(seen.most, AT_ONCE);
        let steps = (0..=3 * AT_ONCE as u32).map(|n| n * HEAD_START);
        assert_eq!(seen.began, steps.collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn without_any_that_answers_there_is_an_error() {
        let (won, _) = race(&[Refuses; 2]).await;
        assert_eq!(won.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let (won, _) = race(&[]).await;
        assert_eq!(won.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
