//! Nodes whose links run on a worker of their own.

mod probe;

use std::{thread, time::Duration};

use grid_transport::{Connection, HandlerId, Manager, NoAuth, Payload, Settings};
use probe::*;
use tokio::{net::TcpListener, sync::Mutex, time::timeout};

/// Says on which thread its first poll was, and on which the one after an await.
const THREADS: HandlerId = HandlerId::new(240);
const WORKER: &str = "grid-links";

/// They count the threads of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

fn thread_name() -> String {
    thread::current().name().unwrap_or("none").to_owned()
}

/// Two nodes over TCP, and the connection of the first to the second.
async fn nodes() -> ([Manager; 2], Connection) {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", socket.local_addr().unwrap());
        sockets.push((socket, name));
    }
    let names = [0, 1].map(|index: usize| sockets[index].1.clone());
    let nodes: Vec<Manager> = sockets
        .into_iter()
        .map(|(socket, local)| {
            let node = probe(Manager::builder(local))
                .single(THREADS, |_request| async {
                    let first = thread_name();
                    tokio::task::yield_now().await;
                    Ok(Payload::from(format!("{first}, {}", thread_name())))
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
    let (first, second) = names.split_once(", ").unwrap();
    assert_eq!(first, WORKER);
    assert_ne!(second, WORKER);
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
