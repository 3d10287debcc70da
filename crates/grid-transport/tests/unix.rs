#![cfg(unix)]
//! Links over Unix sockets, by the same seams as all others.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use grid_transport::{HandlerId, LinkCause, Listener, Manager, Request, SharedSecret, UnixDialer};
use tokio::{net::UnixListener, time::timeout};

const ECHO: HandlerId = HandlerId::new(9);
/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(50);
const NAMES: [&str; 2] = ["http://a:9000", "http://b:9000"];

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("grid-unix-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn node(local: &str, dialer: &UnixDialer) -> Manager {
    Manager::builder(local)
        .peers(NAMES)
        .auth(SharedSecret::new("only we know"))
        .dialer(dialer.clone())
        .single(ECHO, |request: Request| async move {
            Ok(request.into_payload())
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn nodes_of_one_machine_need_no_ports() {
    let folder = Folder::new();
    let dialer = UnixDialer::in_folder(&folder.0);
    let nodes = NAMES.map(|name| node(name, &dialer));
    for node in &nodes {
        let socket = UnixListener::bind(dialer.path(node.local()).unwrap()).unwrap();
        Listener::new().route(node).serve_on(socket).unwrap();
    }
    for (from, to) in [(0, 1), (1, 0)] {
        let link = nodes[from].connection(NAMES[to]).unwrap();
        timeout(PATIENCE, link.connected()).await.unwrap().unwrap();
        let large = vec![7; 3 * 1024 * 1024];
        let answer = link.request(ECHO, large.clone()).await.unwrap();
        assert_eq!(answer.as_slice(), large);
    }
    for node in &nodes {
        node.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_named() {
    let folder = Folder::new();
    let dialer = UnixDialer::in_folder(&folder.0);
    // The one of the two that dials.
    let nodes = NAMES.map(|name| node(name, &dialer));
    let dials = nodes
        .iter()
        .flat_map(Manager::connections)
        .find(|link| !matches!(link.state(), grid_transport::LinkState::Waiting { .. }));
    let link = dials.expect("one of them dials");
    let mut states = link.watch();
    let failed = states.wait_for(|state| state.last_cause().is_some());
    let state = timeout(PATIENCE, failed).await.unwrap().unwrap().clone();
    let cause = state.last_cause().unwrap();
    assert!(matches!(**cause, LinkCause::Dial(_)), "{cause}");
    let path = dialer.path(link.name()).unwrap();
    assert!(
        cause.to_string().contains(&path.display().to_string()),
        "{cause}"
    );
}

#[test]
fn a_path_needs_a_name() {
    let dialer = UnixDialer::in_folder("/run/grid");
    let error = dialer.path("no name").unwrap_err();
    assert!(error.to_string().contains("\"no name\""), "{error}");
    let own = UnixDialer::by(|target| format!("/tmp/{}", target.port()).into());
    assert_eq!(own.path("http://a:7").unwrap().to_str(), Some("/tmp/7"));
}
