//! The system's look-ups of names, which nothing can call off.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::pin,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::spawn_blocking,
};

/// The most at a time. While no name server answers each takes a thread for many seconds, of the pool that runs blocking
/// handlers too and has 512 by default.
const AT_ONCE: usize = 32;

type Key = (Box<str>, u16);

/// Shared by all who wait for it.
type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

type Told = watch::Receiver<Option<Found>>;

/// What is being looked up. A look-up goes on when nobody waits for it any more, and where each attempt began one of its
/// own they would pile up; so there is one for each host and port, which later attempts await.
pub(crate) struct Lookups {
    room: Arc<Semaphore>,
    /// One entry for each that runs, which takes it out again: what was found is not kept.
    running: Mutex<HashMap<Key, Told>>,
    /// Tells those who wait for room that one has begun, which may be theirs.
    begun: watch::Sender<()>,
    ask: Box<Ask>,
}

type Ask = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

impl Lookups {
    pub(crate) fn of_system() -> Arc<Self> {
        Self::by(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }

    fn by(
        ask: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            room: Arc::new(Semaphore::new(AT_ONCE)),
            running: Mutex::new(HashMap::new()),
            begun: watch::Sender::new(()),
            ask: Box::new(ask),
        })
    }

    /// The addresses of `host`, with that port.
    ///
    /// # Errors
    ///
    /// That of the system; another where the look-up was given up, as by a runtime that has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind but the look-up itself, which ends when the system is through with it.
    pub(crate) async fn find(
        self: &Arc<Self>,
        host: &str,
        port: u16,
    ) -> io::Result<Vec<SocketAddr>> {
        // It must not wait for names.
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![(address, port).into()]);
        }
        let key = (host.into(), port);
        let mut told = {
            // Who needs none any more must not be given one.
            let mut room = pin!(self.room.clone().acquire_owned());
            // Before the look, so that none is missed between.
            let mut begun = self.begun.subscribe();
            loop {
                let running = self.running.lock().get(&key).cloned();
                if let Some(told) = running {
                    break told;
                }
                tokio::select! {
                    room = &mut room => break self.begin(key, room.map_err(io::Error::other)?),
                    // The sender lives as long as this.
                    _ = begun.changed() => {}
                }
            }
        };
        let found = told.wait_for(Option::is_some).await;
        match found.ok().and_then(|found| found.clone()) {
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(error)) => Err(io::Error::new(error.kind(), error)),
            None => Err(io::Error::other("the look-up of the name was given up")),
        }
    }

    fn begin(self: &Arc<Self>, key: Key, room: OwnedSemaphorePermit) -> Told {
        let (tell, told) = watch::channel(None);
        {
            let mut running = self.running.lock();
            // One that has waited for room beside it was first.
            if let Some(told) = running.get(&key) {
                return told.clone();
            }
            running.insert(key.clone(), told.clone());
        }
        self.begun.send_replace(());
        let entry = Entry {
            lookups: self.clone(),
            key,
            _room: room,
            tell,
        };
        // The lock is free here: a runtime that is ending drops this at once, and the entry takes itself out.
        spawn_blocking(move || {
            let (host, port) = &entry.key;
            let found = (entry.lookups.ask)(host, *port).map_err(Arc::new);
            let tell = entry.tell.clone();
            // First, so that who asks once it is told begins afresh.
            drop(entry);
            tell.send_replace(Some(found));
        });
        told
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups").finish_non_exhaustive()
    }
}

/// The place of a look-up that runs. It goes where the look-up goes, so that none is thought to run that has ended, has
/// panicked, or was dropped by its runtime before it began.
struct Entry {
    lookups: Arc<Lookups>,
    key: Key,
    _room: OwnedSemaphorePermit,
    /// Last, as those who wait are told by its end too.
    tell: watch::Sender<Option<Found>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lookups.running.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use futures_util::FutureExt;
    use tokio::{
        runtime::{Builder, Runtime},
        sync::watch,
        time::timeout,
    };

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A name server that answers when the test lets it, one look-up for each word.
    struct Server {
        lookups: Arc<Lookups>,
        asked: watch::Sender<usize>,
        answer: mpsc::Sender<io::Result<SocketAddr>>,
    }

    impl Server {
        fn new() -> Self {
            let asked = watch::Sender::new(0);
            let (answer, answers) = mpsc::channel();
            let (count, answers) = (asked.clone(), Mutex::new(answers));
            let lookups = Lookups::by(move |_host, _port| {
                count.send_modify(|asked| *asked += 1);
                let answer: io::Result<_> = answers.lock().recv().map_err(io::Error::other)?;
                Ok(vec![answer?])
            });
            Self {
                lookups,
                asked,
                answer,
            }
        }

        fn answer(&self, last: u8) {
            self.answer.send(Ok(address(last))).unwrap();
        }

        async fn find(&self, host: &str) -> io::Result<Vec<SocketAddr>> {
            let found = timeout(PATIENCE, self.lookups.find(host, 9000));
            found.await.expect("nobody answers it")
        }

        /// An attempt that is given up: the dial timeout passes.
        fn give_up(&self, host: &str) {
            let ended = self.lookups.find(host, 9000).now_or_never();
            assert!(ended.is_none(), "{ended:?}");
        }

        fn running(&self) -> usize {
            self.lookups.running.lock().len()
        }

        /// All room is free again when all have ended.
        async fn all_have_ended(&self) {
            let all = self.lookups.room.acquire_many(AT_ONCE as u32);
            drop(timeout(PATIENCE, all).await.expect("one still runs"));
            assert_eq!(self.running(), 0);
        }
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 9000))
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[tokio::test]
    async fn l16_a_lookup_that_hangs_is_not_started_again_unit() {
        let server = Server::new();
        for _ in 0..100 {
            server.give_up("node");
        }
        assert_eq!(server.running(), 1);
        let waits = server.find("node");
        let beside = server.find("node");
        server.answer(1);
        let (waits, beside) = tokio::join!(waits, beside);
        assert_eq!(waits.unwrap(), [address(1)]);
        assert_eq!(beside.unwrap(), [address(1)]);
        assert_eq!(*server.asked.borrow(), 1);
        // It has ended, and what it found is not kept.
        server.answer(2);
        let found = server.find("node").await.unwrap();
        assert_eq!(found, [address(2)]);
        assert_eq!(*server.asked.borrow(), 2);
        server.all_have_ended().await;
    }

    #[tokio::test]
    async fn l16_who_waits_for_room_hears_of_a_lookup_of_its_name_that_began_meanwhile_unit() {
        let server = Server::new();
        for other in 0..AT_ONCE {
            server.give_up(&format!("other-{other}"));
        }
        let mut first = pin!(server.find("node"));
        let mut second = pin!(server.find("node"));
        for waits in [&mut first, &mut second] {
            assert!(waits.as_mut().now_or_never().is_none());
        }
        // One of the others ends, and there is room for one.
        server.answer(9);
        let begun = server.lookups.begun.subscribe();
        let both = async { tokio::join!(first, second) };
        let answers = async {
            let mut begun = begun;
            begun.changed().await.unwrap();
            for _ in 1..AT_ONCE {
                server.answer(9);
            }
            server.answer(1);
        };
        let ((first, second), ()) = tokio::join!(both, answers);
        assert!(first.is_ok() && second.is_ok());
        // Of the others some may have no thread yet.
        server.all_have_ended().await;
        assert_eq!(*server.asked.borrow(), AT_ONCE + 1);
    }

    /// What was found for an attempt that was given up is not the answer to one that begins later.
    #[tokio::test]
    async fn l16_what_nobody_waited_for_is_looked_up_afresh_unit() {
        let server = Server::new();
        server.give_up("node");
        server.answer(1);
        server.all_have_ended().await;
        server.answer(2);
        let found = server.find("node").await.unwrap();
        assert_eq!(found, [address(2)]);
    }

    #[tokio::test]
    async fn l16_lookups_that_hang_take_a_bounded_number_of_threads_unit() {
        let server = Server::new();
        for _ in 0..3 {
            for number in 0..2 * AT_ONCE {
                server.give_up(&format!("node{number}"));
            }
        }
        assert_eq!(server.running(), AT_ONCE);
        // An address is none of them.
        for literal in ["10.0.0.1", "::1"] {
            let found = server.lookups.find(literal, 9000).now_or_never().unwrap();
            let address = SocketAddr::new(literal.parse().unwrap(), 9000);
            assert_eq!(found.unwrap(), [address]);
        }
        // Who has waited for room is next.
        let mut next = Box::pin(server.find("another"));
        assert!((&mut next).now_or_never().is_none());
        for _ in 0..=AT_ONCE {
            server.answer(1);
        }
        assert_eq!(next.await.unwrap(), [address(1)]);
        // Of those before it some may have no thread yet.
        server.all_have_ended().await;
        assert_eq!(*server.asked.borrow(), AT_ONCE + 1);
    }

    #[tokio::test]
    async fn an_error_is_told_to_all_who_wait() {
        let server = Server::new();
        let error = io::Error::new(io::ErrorKind::NotFound, "no such name");
        let waits = server.find("node");
        let beside = server.find("node");
        server.answer.send(Err(error)).unwrap();
        let (waits, beside) = tokio::join!(waits, beside);
        for error in [waits.unwrap_err(), beside.unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert_eq!(error.to_string(), "no such name");
        }
        server.all_have_ended().await;
    }

    #[tokio::test]
    async fn a_panic_ends_a_lookup() {
        let lookups = Lookups::by(|_, _| panic!("a bug of the system"));
        for _ in 0..2 {
            let error = lookups.find("node", 9000).await.unwrap_err();
            assert!(error.to_string().contains("given up"), "{error}");
            assert!(lookups.running.lock().is_empty());
        }
    }

    /// One that ends takes what it is given with it, and has no entry left that others would wait for.
    #[test]
    fn lookups_of_a_runtime_that_has_ended_hold_up_nobody() {
        // It outlives the server, whose end ends what hangs.
        let stays = runtime();
        let server = Server::new();
        let ends = runtime();
        let handle = ends.handle().clone();
        ends.block_on(async {
            server.give_up("hangs");
            // One that has no thread yet would end with the runtime.
            let mut asked = server.asked.subscribe();
            let begins = asked.wait_for(|asked| *asked == 1);
            drop(timeout(PATIENCE, begins).await.expect("it begins"));
        });
        ends.shutdown_background();
        let entered = handle.enter();
        let found = server.lookups.find("node", 9000).now_or_never().unwrap();
        let error = found.unwrap_err();
        assert!(error.to_string().contains("given up"), "{error}");
        assert_eq!(server.running(), 1);
        drop(entered);
        // What hangs is awaited from elsewhere too.
        let found = stays.block_on(async {
            let mut hangs = pin!(server.find("hangs"));
            // It waits before there is an answer, which may end what hangs at once.
            assert!(hangs.as_mut().now_or_never().is_none());
            server.answer(1);
            hangs.await
        });
        assert_eq!(found.unwrap(), [address(1)]);
        server.answer(2);
        let found = stays.block_on(server.find("node"));
        assert_eq!(found.unwrap(), [address(2)]);
        stays.block_on(server.all_have_ended());
    }
}
