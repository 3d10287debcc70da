//! Lists in files, and nodes over TCP that follow them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use grid_transport::{
    Manager, TcpDialer,
    peers::{PeerSource, PeersFile, SourceError},
};
use tokio::time::Instant;

use crate::{
    followed,
    logs::Logs,
    node::{self, connected, named_socket},
    remotes, removed,
};

/// A folder of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("grid-peers-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn list(&self) -> PathBuf {
        self.0.join("peers")
    }

    /// Moves a new file into the place of the list.
    fn put(&self, content: &str) {
        let new = self.0.join("new");
        fs::write(&new, content).unwrap();
        fs::rename(new, self.list()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn quick(path: &Path) -> PeersFile {
    PeersFile::new(path)
        .interval(Duration::from_millis(100))
        .settle(Duration::ZERO)
}

#[tokio::test]
async fn a_third_node_joins_when_it_is_written_to_the_file_and_leaves_when_it_is_taken_out() {
    let folder = Folder::new("join");
    let sockets = [
        named_socket().await,
        named_socket().await,
        named_socket().await,
    ];
    let names = sockets.each_ref().map(|(_, name)| name.clone());
    let two = format!("# the first two\n{}\n{}\n", names[0], names[1]);
    let three = format!("{two}{} # new\n", names[2]);
    folder.put(&three);
    let newcomer_list = quick(&folder.list()).read().unwrap();
    folder.put(&two);

    let nodes: Vec<Manager> = sockets
        .into_iter()
        .enumerate()
        .map(|(index, (socket, name))| {
            let list = match index {
                2 => newcomer_list.clone(),
                _ => quick(&folder.list()).read().unwrap(),
            };
            let manager = node::builder(&name, &[])
                .peers(list.into_iter().filter(|other| *other != name))
                .dialer(TcpDialer::new())
                .build()
                .unwrap();
            manager.serve(socket).unwrap();
            manager
        })
        .collect();
    let following = [0, 1].map(|index| nodes[index].follow(quick(&folder.list())).unwrap());
    for following in &following {
        followed(following, |state| state.lists == 1).await;
    }
    let first = nodes[0].connection(&names[1]).unwrap();
    connected(&first).await;
    assert_eq!(remotes(&nodes[0]), [names[1].clone()]);

    folder.put(&three);
    let mut to_newcomer = Vec::new();
    for (index, following) in following.iter().enumerate() {
        followed(following, |state| state.lists == 2).await;
        let link = nodes[index].connection(&names[2]).unwrap();
        connected(&link).await;
        connected(&nodes[2].connection(&names[index]).unwrap()).await;
        to_newcomer.push(link);
    }

    folder.put(&two);
    for link in &to_newcomer {
        removed(link).await;
    }
    for index in [0, 1] {
        let lost = nodes[2].connection(&names[index]).unwrap();
        node::state(&lost, |state| (!state.is_connected()).then_some(())).await;
        assert_eq!(remotes(&nodes[index]), [names[1 - index].clone()]);
    }
    assert!(first.state().is_connected(), "others are not touched");
    for node in &nodes {
        node.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_file_is_told_once_and_the_list_stays() {
    let (logs, _guard) = Logs::capture();
    let folder = Folder::new("wrong");
    let shown = folder.list().display().to_string();
    let (socket, name) = named_socket().await;
    let good = format!("{name}\nhttp://node-b:9000\n");
    folder.put(&good);
    let manager = node::builder(&name, &["http://node-b:9000"])
        .build()
        .unwrap();
    manager.serve(socket).unwrap();
    let following = manager.follow(quick(&folder.list())).unwrap();
    followed(&following, |state| state.lists == 1).await;
    let mut told = 0;
    for (content, words) in [
        (None, format!("can't read {shown}: ")),
        (
            Some(format!("{good}\nhttp://node-c{{1..3}}:9000 # these\n")),
            format!("{shown}, line 4: \"http://node-c{{1..3}}:9000\": "),
        ),
        (
            Some(format!("{good}node-c:9000\n")),
            format!("{shown}, line 3: \"node-c:9000\": "),
        ),
        (
            Some("#".repeat(1_100_000)),
            format!("{shown} is longer than 1048576 bytes"),
        ),
        (
            Some(String::new()),
            format!("{shown}: the local name \"{name}\" is not among the 0 names of the list"),
        ),
    ] {
        match content {
            Some(content) => folder.put(&content),
            None => fs::remove_file(folder.list()).unwrap(),
        }
        let state = followed(&following, |state| state.fault.is_some()).await;
        let fault = state.fault.unwrap().to_string();
        assert!(fault.starts_with(&words), "{fault}");
        assert_eq!(remotes(&manager), ["http://node-b:9000"]);
        told += 1;
        let warnings = logs.warnings_of("grid::peers");
        assert_eq!(warnings.len(), told, "{warnings:?}");
        // A warning's value has its control characters written out, and nothing of this has any.
        assert!(warnings.last().unwrap().contains(&words), "{warnings:?}");
        folder.put(&good);
        let state = followed(&following, |state| state.fault.is_none()).await;
        assert_eq!(state.lists, 1);
    }
    manager.shutdown(Duration::ZERO).await;
}

/// Under paused time what is read is waited for all the same.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_half_written_is_not_taken() {
    let folder = Folder::new("half");
    let path = folder.list();
    let (half, whole) = ("http://a:9000\nhttp://b:90", "http://a:9000\nhttp://b:9000");
    fs::write(&path, half).unwrap();
    let began = Instant::now();
    let mut file = PeersFile::new(&path);
    let asking = tokio::spawn(async move {
        let list = file.ask().await;
        (file, list)
    });
    // tidy: sleep: the writer takes its time, under paused time
    tokio::time::sleep(Duration::from_millis(500)).await;
    fs::write(&path, whole).unwrap();
    let (mut file, list) = asking.await.unwrap();
    assert_eq!(list.unwrap().names, ["http://a:9000", "http://b:9000"]);
    assert_eq!(began.elapsed().as_secs(), 2, "a second after it changed");

    let again = file.ask().await.unwrap();
    assert_eq!(again.names.len(), 2);
    assert_eq!(again.again.as_secs(), 5);
    assert_eq!(
        began.elapsed().as_secs(),
        2,
        "what is known is not waited for"
    );
}

#[test]
fn a_file_is_read_at_once_to_build_a_node_with() {
    let folder = Folder::new("read");
    let file = PeersFile::new(folder.list());
    let error = file.read().unwrap_err();
    assert!(matches!(error, SourceError::Read { .. }), "{error}");
    folder.put("http://a{1...3}:9000");
    assert_eq!(file.read().unwrap().len(), 3);
}

/// To open a pipe that nobody writes to takes for ever, and no runtime ends before it.
#[cfg(unix)]
#[tokio::test]
async fn a_pipe_is_no_list() {
    let folder = Folder::new("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(folder.list())
        .status();
    assert!(made.unwrap().success());
    let error = quick(&folder.list()).ask().await.unwrap_err().to_string();
    assert!(error.ends_with(": it is no regular file"), "{error}");
}
