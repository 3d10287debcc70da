//! Nodes whose links run on a worker of their own.

mod probe;

use std::{thread, time::Duration};

use grid_transport::{Connection, HandlerId, Listener, Manager, NoAuth, Payload, Settings};
use probe::*;
use tokio::{net::TcpListener, sync::Mutex, time::timeout};

/// Says on which thread its first poll was, on which one that it spawned there, and on which it went on.
const THREADS: HandlerId = HandlerId::new(240);
const WORKER: &str = "grid-links";

/// They count the threads of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn thread_name() -> String {
    thread::current().name().unwrap_or("none").to_owned()
}

async fn named_socket() -> (String, TcpListener) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (format!("http://{}", socket.local_addr().unwrap()), socket)
}

/// Two nodes over TCP, and the connection of the first to the second.
async fn nodes() -> ([Manager; 2], Connection) {
    let sockets = [named_socket().await, named_socket().await];
    let names = [0, 1].map(|index: usize| sockets[index].0.clone());
    let nodes: Vec<Manager> = sockets
        .into_iter()
        .map(|(local, socket)| {
            let node = probe(Manager::builder(local))
                .single(THREADS, |_request| async {
                    let first = thread_name();
                    let spawned = tokio::spawn(async { thread_name() }).await?;
                    // It may have been quick, and this the first poll still.
                    tokio::task::yield_now().await;
                    Ok(Payload::from(format!(
                        "{first}, {spawned}, {}",
                        thread_name()
                    )))
                })
                .peers(names.clone())
                .auth(NoAuth)
                .settings(Settings::new().own_worker(true))
                .build()
                .unwrap();
            node.serve(socket).unwrap();
            node
        })
        .collect();
    let nodes: [Manager; 2] = nodes.try_into().unwrap();
    let peer = nodes[0].connection(&names[1]).unwrap();
    timeout(LONG, peer.connected()).await.unwrap().unwrap();
    (nodes, peer)
}

/// The threads of that name that this process has.
#[cfg(target_os = "linux")]
fn workers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.trim() == WORKER)
        .count()
}

#[cfg(target_os = "linux")]
async fn workers_become(count: usize) {
    let become_so = async {
        while workers() != count {
            tokio::task::yield_now().await;
        }
    };
    let ended = timeout(LONG, become_so).await;
    assert!(ended.is_ok(), "{} workers", workers());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_have_a_thread_and_handlers_that_wait_leave_it() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (nodes, peer) = nodes().await;
    let answer = peer.request(THREADS, "x").await.unwrap();
    let names = String::from_utf8(answer.as_slice().to_vec()).unwrap();
    let threads: Vec<&str> = names.split(", ").collect();
    let [first, spawned, later] = threads[..] else {
        panic!("{names}")
    };
    assert_eq!(first, WORKER);
    assert!(spawned != WORKER && later != WORKER, "{names}");
    assert_ne!(thread_name(), WORKER);

    let mut stream = peer.stream(ITEMS_100, OUT_100, "1000:100").await.unwrap();
    let mut items = 0;
    while let Some(item) = stream.recv().await {
        assert_eq!(item.unwrap().len(), 100);
        items += 1;
    }
    assert_eq!(items, 1_000);
    for node in &nodes {
        assert!(node.shutdown(LONG).await.complete);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_ends_with_its_node() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (nodes, peer) = nodes().await;
    assert_eq!(workers(), 2);
    let waiting = peer.request(WAIT, "x");
    let waiting = tokio::spawn(async move { waiting.await });
    peer.request(ECHO, "fence").await.unwrap();
    let [one, two] = nodes;
    one.shutdown(Duration::ZERO).await;
    waiting.await.unwrap().unwrap_err();
    workers_become(1).await;
    // Nobody shuts this one down.
    drop(two);
    workers_become(0).await;
}

/// Two grids on one socket, of which the first has a worker: the other's links and the listener outlive it.
#[tokio::test]
async fn a_worker_takes_no_other_grid_with_it() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (serving, socket) = named_socket().await;
    let (dialing, other) = named_socket().await;
    // Whichever of the two dials.
    let (socket, serving, other, dialing) = match grid_proto::local_dials(&dialing, &serving) {
        true => (socket, serving, other, dialing),
        false => (other, dialing, socket, serving),
    };
    drop(other);
    let node = |local: &str, path: &str, own_worker: bool| {
        probe(Manager::builder(local))
            .peers([serving.clone(), dialing.clone()])
            .path(path)
            .auth(NoAuth)
            .settings(Settings::new().own_worker(own_worker))
            .build()
            .unwrap()
    };
    let (one, two) = (node(&serving, "/one", true), node(&serving, "/two", false));
    let listener = Listener::new().route(&one).route(&two);
    let _listening = listener.serve(socket).unwrap();
    let (to_one, to_two) = (node(&dialing, "/one", false), node(&dialing, "/two", false));
    let peers = [&to_one, &to_two].map(|node| node.connection(&serving).unwrap());
    for peer in &peers {
        timeout(LONG, peer.connected()).await.unwrap().unwrap();
    }
    one.shutdown(LONG).await;
    peers[1].request(ECHO, "x").await.unwrap();
    assert_eq!(peers[1].stats().reconnects, 0);
    // And somebody is let in still.
    to_two.shutdown(LONG).await;
    let again = node(&dialing, "/two", false);
    let peer = again.connection(&serving).unwrap();
    timeout(LONG, peer.connected()).await.unwrap().unwrap();
    peer.request(ECHO, "y").await.unwrap();
}

/// A handler that blocks before its first await has the worker to itself; the end of its node does not wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_no_later_for_a_worker_that_is_stuck() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let (entered, inside) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (own, socket) = named_socket().await;
    let (its, other) = named_socket().await;
    let names = [own.clone(), its.clone()];
    let settings = Settings::new()
        .own_worker(true)
        .teardown(Duration::from_millis(100));
    let stuck = Manager::builder(&own)
        .peers(names.clone())
        .auth(NoAuth)
        .settings(settings)
        .single(THREADS, move |_request| {
            entered.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
            std::future::ready(Ok(Payload::Absent))
        })
        .build()
        .unwrap();
    stuck.serve(socket).unwrap();
    let calls = Manager::builder(its).peers(names).auth(NoAuth);
    let calls = calls.build().unwrap();
    calls.serve(other).unwrap();
    let peer = calls.connection(&own).unwrap();
    timeout(LONG, peer.connected()).await.unwrap().unwrap();
    let call = tokio::spawn(async move { peer.request(THREADS, "x").await });
    tokio::task::spawn_blocking(move || inside.recv().unwrap())
        .await
        .unwrap();
    let ended = timeout(LONG, stuck.shutdown(Duration::ZERO)).await;
    assert!(
        ended.is_ok(),
        "it waits for a handler that does not come out"
    );
    release.send(()).unwrap();
    call.abort();
}

/// Handlers that are not ready at once would have nowhere to run.
#[test]
fn a_node_ends_with_the_runtime_in_which_it_was_built() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let (its, other) = (runtime(), runtime());
    let _alone = other.block_on(ONE_AT_A_TIME.lock());
    let (own, socket) = its.block_on(named_socket());
    let (name, other_socket) = other.block_on(named_socket());
    let node = |local: &str, own_worker: bool| {
        probe(Manager::builder(local))
            .peers([own.clone(), name.clone()])
            .auth(NoAuth)
            .settings(Settings::new().own_worker(own_worker))
            .build()
            .unwrap()
    };
    let kept = its.block_on(async {
        let node = node(&own, true);
        node.serve(socket).unwrap();
        node
    });
    let peer = other.block_on(async {
        let node = node(&name, false);
        node.serve(other_socket).unwrap();
        let peer = node.connection(&own).unwrap();
        timeout(LONG, peer.connected()).await.unwrap().unwrap();
        peer
    });
    drop(its);
    other.block_on(async {
        let mut states = peer.watch();
        let lost = states.wait_for(|state| !state.is_connected());
        timeout(LONG, lost).await.unwrap().unwrap();
        #[cfg(target_os = "linux")]
        workers_become(0).await;
    });
    drop(kept);
}
