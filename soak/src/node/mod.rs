//! One node, in a process of its own.

mod caller;
pub mod dialer;
pub mod handlers;
mod singles;
mod streams;
mod typed;

use std::{
    io::{self, Write as _},
    panic,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use grid_transport::{Manager, Settings, StaticToken};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines, Stdin, stdin},
    net::TcpListener,
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinSet,
};

use self::{caller::Caller, dialer::Directory};
use crate::{
    probe::Probe,
    rng::Rng,
    tally::Tally,
    words::{Birth, Order, Rest, Word},
};

/// Calls that a node makes at the same time.
const CALLERS: u64 = 24;
/// What a node waits after a call before the next one, at most, in milliseconds: these are tests
/// of what goes wrong, and five nodes that want all of the processor only wait for each other.
const PAUSE: u64 = 120;
/// How often counts are told.
pub const COUNTS_EVERY: Duration = Duration::from_millis(500);
/// How long a node looks at what is left before it says so.
const SETTLE: Duration = Duration::from_secs(10);
/// What a shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Intervals that are a fifth of the defaults, so that minutes see what else takes hours.
fn settings() -> Settings {
    Settings::new()
        .ping_interval(Duration::from_secs(2))
        .stream_ping_interval(Duration::from_secs(3))
        .handshake_timeout(Duration::from_secs(3))
        .write_timeout(Duration::from_secs(3))
}

/// Is a node until it is told to end, or its standard input is closed. `heap` says how many bytes
/// are allocated.
///
/// # Errors
///
/// When it can't be built, or is told what it does not understand.
pub fn run(heap: fn() -> u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    // Handlers panic on purpose.
    panic::set_hook(Box::new(|_| {}));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(live(heap))
}

async fn live(heap: fn() -> u64) -> io::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    let birth: Birth = match lines.next_line().await? {
        Some(line) => serde_json::from_str(&line)?,
        None => return Ok(()),
    };
    let probe = Probe::start()?;
    let (words, told) = mpsc::unbounded_channel();
    let speaking = std::thread::spawn(move || speak(told));
    let tally = Tally::new(probe, words.clone());
    let skew = Arc::new(AtomicI64::new(birth.skew_ms));
    let manager = build(&birth, &tally, skew.clone())?;
    let socket = TcpListener::bind(birth.listen).await?;
    let serving = manager.serve(socket)?;
    let address = serving
        .local_addr()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    say(&words, Word::Listening(address));

    let mut node = Node {
        manager,
        tally,
        skew,
        working: watch::channel(false).0,
        words: words.clone(),
        heap,
        life: birth.generation,
    };
    let mut callers = node.callers(&birth);
    let reporting = tokio::spawn(report(
        node.manager.clone(),
        node.tally.clone(),
        words.clone(),
    ));
    let ended = node.obey(&mut lines).await;
    callers.shutdown().await;
    reporting.abort();
    let _ = reporting.await;
    if ended? {
        let drained = node.manager.shutdown(SHUTDOWN).await;
        say(&words, Word::Ended(drained.complete));
    }
    drop((node, words));
    speaking.join().map_err(|_| io::ErrorKind::Other)?;
    Ok(())
}

fn build(birth: &Birth, tally: &Tally, skew: Arc<AtomicI64>) -> io::Result<Manager> {
    let local = birth
        .names
        .get(birth.index)
        .ok_or(io::ErrorKind::InvalidInput)?;
    let builder = Manager::builder(local)
        .peers(&birth.names)
        .auth(StaticToken::new("soak"))
        .settings(settings())
        .dialer(Directory::new(birth.dial.clone()))
        .wall_clock(move || skewed(SystemTime::now(), skew.load(Ordering::Relaxed)));
    handlers::register(builder, tally)
        .build()
        .map_err(io::Error::other)
}

fn skewed(now: SystemTime, by_ms: i64) -> SystemTime {
    let by = Duration::from_millis(by_ms.unsigned_abs());
    let skewed = if by_ms < 0 {
        now.checked_sub(by)
    } else {
        now.checked_add(by)
    };
    skewed.unwrap_or(now)
}

struct Node {
    manager: Manager,
    tally: Tally,
    skew: Arc<AtomicI64>,
    working: watch::Sender<bool>,
    words: mpsc::UnboundedSender<Word>,
    heap: fn() -> u64,
    life: u64,
}

impl Node {
    /// Tasks that make calls while that is wanted.
    fn callers(&self, birth: &Birth) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        for index in 0..CALLERS {
            let parts = [birth.index as u64, birth.generation, index];
            let rng = Rng::new(birth.seed, &parts);
            let mut pauses = Rng::new(birth.seed, &[index, 1]);
            let peers = self.manager.connections();
            let mut caller = Caller::new(rng, self.tally.clone(), peers);
            let mut working = self.working.subscribe();
            callers.spawn(async move {
                while working.wait_for(|working| *working).await.is_ok() {
                    caller.one().await;
                    tokio::time::sleep(pauses.millis(0..PAUSE)).await;
                }
            });
        }
        callers
    }

    /// Does what it is told; whether it was told to end.
    async fn obey(&mut self, lines: &mut Lines<BufReader<Stdin>>) -> io::Result<bool> {
        while let Some(line) = lines.next_line().await? {
            match serde_json::from_str(&line)? {
                Order::Work => drop(self.working.send_replace(true)),
                Order::Skew(ms) => self.skew.store(ms, Ordering::Relaxed),
                Order::Rest => {
                    self.working.send_replace(false);
                    let rest = self.rest().await?;
                    say(
                        &self.words,
                        Word::Counts(Box::new(counts(&self.manager, &self.tally))),
                    );
                    say(&self.words, Word::Resting(rest));
                }
                Order::End => return Ok(true),
            }
        }
        Ok(false)
    }

    /// What is left once nothing is open any more, or after a while.
    async fn rest(&self) -> io::Result<Rest> {
        let end = tokio::time::Instant::now() + SETTLE;
        loop {
            let rest = self.left()?;
            let busy = rest.open + rest.serving + rest.handlers + rest.queued;
            if busy == 0 || tokio::time::Instant::now() > end {
                // What ends with the last call has a moment to go.
                tokio::time::sleep(Duration::from_secs(1)).await;
                return self.left();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn left(&self) -> io::Result<Rest> {
        let mut rest = Rest {
            tasks: Handle::current().metrics().num_alive_tasks() as u64,
            heap: (self.heap)(),
            resident: resident()?,
            life: self.life,
            ..Rest::default()
        };
        for link in self.manager.stats() {
            rest.open += (link.open_requests + link.open_streams) as u64;
            rest.serving += (link.serving_requests + link.serving_streams) as u64;
            rest.handlers += link.running_handlers as u64;
            rest.queued += link.queued_bytes as u64;
        }
        Ok(rest)
    }
}

/// Bytes of memory that this process has: not knowing them is no way to pass.
#[cfg(target_os = "linux")]
fn resident() -> io::Result<u64> {
    std::fs::read_to_string("/proc/self/status")?
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("how much memory this process has can't be read"))
}

/// Other systems have no such file; what is allocated is judged everywhere.
#[cfg(not(target_os = "linux"))]
const fn resident() -> io::Result<u64> {
    Ok(0)
}

fn counts(manager: &Manager, tally: &Tally) -> crate::tally::Counts {
    let mut counts = tally.counts();
    counts.reconnects = manager.stats().iter().map(|link| link.reconnects).sum();
    counts
}

async fn report(manager: Manager, tally: Tally, words: mpsc::UnboundedSender<Word>) {
    let mut before = (usize::MAX, 0);
    loop {
        let stats = manager.stats();
        let up = stats
            .iter()
            .filter(|link| link.state.is_connected())
            .count();
        if (up, stats.len()) != before {
            before = (up, stats.len());
            say(&words, Word::Links(up, stats.len()));
        }
        say(&words, Word::Counts(Box::new(counts(&manager, &tally))));
        tokio::time::sleep(COUNTS_EVERY).await;
    }
}

fn say(words: &mpsc::UnboundedSender<Word>, word: Word) {
    // Whoever writes them ends only when nobody says anything any more.
    let _ = words.send(word);
}

/// Writes words as lines, from a thread of its own: nobody else may wait for who reads them.
fn speak(mut words: mpsc::UnboundedReceiver<Word>) {
    let mut out = io::stdout().lock();
    while let Some(word) = words.blocking_recv() {
        let Ok(mut line) = serde_json::to_vec(&word) else {
            continue;
        };
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}
