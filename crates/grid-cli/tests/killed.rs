//! Half of a grid is killed, a node after the other and without a word, while the others call it and each other.

mod common;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use common::{Grid, PATIENCE, cluster::reserve};
use grid_cli::probe::{self, single::ECHO, stream::ECHO_ITEMS};
use grid_transport::{
    CallError, Capacity, Connection, LinkCause, Manager, Payload, SendError, Serving, Settings,
    StaticToken,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

const NODES: usize = 6;
/// Calls of each caller that must succeed before the next node is killed or comes back.
const MORE: u64 = 100;

/// Nodes of these numbers are processes, and are killed; the others call from this one.
fn dies(node: usize) -> bool {
    node.is_multiple_of(2)
}

/// What somebody does all the time, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    answered: u64,
    /// Calls that failed.
    failed: u64,
    /// Those among them that may have been executed.
    lost: u64,
}

/// One that calls a node again and again, and ends with the first error that nothing explains.
struct Caller {
    from: usize,
    to: usize,
    peer: Connection,
    /// Whether the node that it calls is being replaced.
    away: Arc<AtomicBool>,
    stop: watch::Receiver<bool>,
    count: watch::Sender<Count>,
}

impl Caller {
    fn goes_on(&self) -> bool {
        !*self.stop.borrow()
    }

    fn asked(&self) -> String {
        let number = self.count.borrow().answered;
        format!("{} asks {}: {number}", self.from, self.to)
    }

    fn answered(&self) {
        self.count.send_modify(|count| count.answered += 1);
    }

    fn unexplained(&self, what: impl std::fmt::Debug) -> String {
        format!("{} of {}: {what:?}", self.from, self.to)
    }

    /// Who was killed says nothing: a call under way is lost with the connection, and others are not sent.
    async fn failed(&self, error: &CallError) -> Result<(), String> {
        let lost = match error {
            CallError::NotConnected { .. } => false,
            CallError::Disconnected { cause } if matches!(**cause, LinkCause::Lost(_)) => true,
            _ => return Err(self.unexplained(error)),
        };
        if !self.away.load(Relaxed) {
            return Err(self.unexplained(error));
        }
        self.count.send_modify(|count| {
            count.failed += 1;
            count.lost += u64::from(lost);
        });
        let back = timeout(PATIENCE, self.peer.connected()).await;
        let back = back.map_err(|_| self.unexplained("its link stays down"))?;
        back.map_err(|error| self.unexplained(error))
    }

    async fn requests(self) -> Result<(), String> {
        while self.goes_on() {
            let asked = self.asked();
            let request = self.peer.request(ECHO, asked.clone()).timeout(PATIENCE);
            match request.await {
                Ok(answer) if answer.as_slice() == asked.as_bytes() => self.answered(),
                Ok(other) => return Err(self.unexplained(other)),
                Err(error) => self.failed(&error).await?,
            }
        }
        Ok(())
    }

    async fn streams(self) -> Result<(), String> {
        while self.goes_on() {
            if let Err(error) = self.items().await? {
                self.failed(&error).await?;
            }
        }
        Ok(())
    }

    /// One stream, of which every item comes back before the next one goes.
    async fn items(&self) -> Result<Result<(), CallError>, String> {
        let open = self
            .peer
            .stream(ECHO_ITEMS, Capacity::new(1, 1), Payload::Absent);
        let mut stream = match open.await {
            Ok(stream) => stream,
            Err(error) => return Ok(Err(error)),
        };
        while self.goes_on() {
            let asked = self.asked();
            match timeout(PATIENCE, stream.send(asked.clone())).await {
                Ok(Ok(())) => {}
                Ok(Err(SendError::Call(error))) => return Ok(Err(error)),
                other => return Err(self.unexplained(other)),
            }
            match timeout(PATIENCE, stream.recv()).await {
                Ok(Some(Ok(item))) if item.as_slice() == asked.as_bytes() => self.answered(),
                Ok(Some(Err(error))) => return Ok(Err(error)),
                // Another item, an end that is none, or nothing for too long.
                other => return Err(self.unexplained(other)),
            }
        }
        stream.finish();
        match timeout(PATIENCE, stream.recv()).await {
            Ok(None) => Ok(Ok(())),
            other => Err(self.unexplained(other)),
        }
    }
}

/// What the test sees of a caller.
struct Seen {
    to: usize,
    streams: bool,
    count: watch::Receiver<Count>,
}

/// All callers.
struct Load {
    callers: JoinSet<Result<(), String>>,
    seen: Vec<Seen>,
    away: [Arc<AtomicBool>; NODES],
    stop: watch::Sender<bool>,
}

impl Load {
    fn new() -> Self {
        Self {
            callers: JoinSet::new(),
            seen: Vec::new(),
            away: std::array::from_fn(|_| Arc::default()),
            stop: watch::Sender::new(false),
        }
    }

    fn add(&mut self, from: usize, to: usize, peer: &Connection) {
        for streams in [false, true] {
            let (count, counted) = watch::channel(Count::default());
            let caller = Caller {
                from,
                to,
                peer: peer.clone(),
                away: self.away[to].clone(),
                stop: self.stop.subscribe(),
                count,
            };
            if streams {
                self.callers.spawn(caller.streams());
            } else {
                self.callers.spawn(caller.requests());
            }
            self.seen.push(Seen {
                to,
                streams,
                count: counted,
            });
        }
    }

    fn counts(&self) -> Vec<Count> {
        self.seen.iter().map(|seen| *seen.count.borrow()).collect()
    }

    /// Waits until each caller has counted so much more than before, by the node that it calls; none may end.
    async fn each(&mut self, what: &str, before: &[Count], more: impl Fn(usize) -> Count) {
        let Self { callers, seen, .. } = self;
        let all = async {
            for (seen, before) in seen.iter_mut().zip(before) {
                let more = more(seen.to);
                let enough = |now: &Count| {
                    now.answered >= before.answered + more.answered
                        && now.failed >= before.failed + more.failed
                };
                if seen.count.wait_for(enough).await.is_err() {
                    // It has ended, and says why to whoever joins it.
                    pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            ended = callers.join_next() => panic!("{ended:?}, before {what}"),
            all = timeout(PATIENCE, all) => assert!(all.is_ok(), "never {what}"),
        }
    }

    /// Waits until calls succeed, but for those to one node.
    async fn goes_on(&mut self, without: Option<usize>) {
        let before = self.counts();
        let more = |to| Count {
            answered: if Some(to) == without { 0 } else { MORE },
            ..Count::default()
        };
        self.each("calls go on", &before, more).await;
    }

    /// Kills a node that everybody calls, and waits until each of them has noticed.
    async fn kill(&mut self, node: usize, process: Grid) {
        let before = self.counts();
        self.away[node].store(true, Relaxed);
        process.kill();
        let more = |to| Count {
            failed: u64::from(to == node),
            ..Count::default()
        };
        self.each("each caller notices", &before, more).await;
    }

    async fn stop(&mut self) {
        self.stop.send_replace(true);
        let ends = async {
            while let Some(ended) = self.callers.join_next().await {
                assert_eq!(ended.expect("no panic"), Ok(()));
            }
        };
        timeout(PATIENCE, ends).await.expect("all callers end");
    }
}

/// A node in this process, which answers as the others do.
async fn node(local: &str, names: &[String]) -> (Manager, Serving) {
    let settings = Settings::new()
        .redial_interval(Duration::from_millis(5))
        .redial_at_once_after(Duration::ZERO);
    let mut builder = Manager::builder(local)
        .peers(names)
        .auth(StaticToken::new("secret"))
        .settings(settings);
    for handler in probe::handlers(false) {
        builder = builder.register(handler);
    }
    let manager = builder.build().unwrap();
    let (_, address) = local.split_once("://").unwrap();
    let serving = manager.serve(TcpListener::bind(address).await.unwrap());
    (manager, serving.unwrap())
}

fn process(local: &str, names: &[String]) -> Grid {
    Grid::start(&["node", "--local", local, "--peers", &names.join(",")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_half_of_six_nodes_that_dies_leaves_no_unexplained_error() {
    // Ports stay theirs while nobody listens there.
    let ports = [(); NODES].map(|()| reserve());
    let names = ports.each_ref().map(|port| {
        let address = port.local_addr().unwrap().as_socket().unwrap();
        format!("http://{address}")
    });
    let mut processes: Vec<Option<Grid>> = Vec::new();
    let mut nodes = Vec::new();
    let mut load = Load::new();
    for (number, local) in names.iter().enumerate() {
        processes.push(dies(number).then(|| process(local, &names)));
        if !dies(number) {
            nodes.push((number, node(local, &names).await));
        }
    }
    for (from, (manager, _)) in &nodes {
        for (to, name) in names.iter().enumerate().filter(|(to, _)| to != from) {
            let peer = manager.connection(name).unwrap();
            let up = timeout(PATIENCE, peer.connected()).await;
            up.expect("a link in time").unwrap();
            load.add(*from, to, &peer);
        }
    }
    load.goes_on(None).await;
    for killed in (0..NODES).filter(|node| dies(*node)) {
        load.kill(killed, processes[killed].take().unwrap()).await;
        load.goes_on(Some(killed)).await;
        processes[killed] = Some(process(&names[killed], &names));
        load.goes_on(None).await;
        load.away[killed].store(false, Relaxed);
    }
    load.stop().await;
    for seen in &load.seen {
        let count = *seen.count.borrow();
        // Each had a stream that was open when its node was killed, and of the others nobody has lost one.
        if seen.streams {
            assert_eq!(count.lost, u64::from(dies(seen.to)), "{count:?}");
        }
    }
    for (_, (manager, serving)) in nodes {
        let drained = manager.shutdown(PATIENCE).await;
        assert!(drained.complete, "{drained:?}");
        serving.stop().await;
    }
}
