//! Lists of peers that are followed as they change: what is applied, what is not, and when it ends.

#[path = "../common/logs.rs"]
mod logs;
#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;

#[cfg(feature = "dns")]
mod dns;
mod ends;
mod file;
mod mistakes;
mod source;

use std::time::Duration;

use grid_transport::{
    Connection, LinkCause, LinkState, Manager,
    peers::{FollowState, Following},
    testing::{self, Net},
};
use tokio::time::timeout;

use crate::source::{Held, Says};

const A: &str = "http://a:9000";
const B: &str = "http://b:9000";
const C: &str = "http://c:9000";

/// A node in memory.
fn node_of(net: &Net, local: &str, names: &[&str]) -> Manager {
    testing::node_on(net, local, names, |builder| builder).unwrap()
}

/// Waits for a state of what is followed that has what is looked for.
async fn followed(following: &Following, wanted: impl Fn(&FollowState) -> bool) -> FollowState {
    let mut states = following.watch();
    let found = states.wait_for(|state| wanted(state));
    match timeout(raw::PATIENCE, found).await {
        Ok(Ok(state)) => state.clone(),
        other => panic!("still {:?}: {other:?}", following.state()),
    }
}

/// The names of the remotes.
fn remotes(manager: &Manager) -> Vec<String> {
    let all = manager.connections();
    all.iter().map(|link| link.name().to_owned()).collect()
}

/// Waits until a link is closed, and for no other reason than that its remote was taken off the list.
async fn removed(link: &Connection) {
    node::state(link, |state| match state {
        LinkState::Closed { cause } => {
            assert!(matches!(**cause, LinkCause::Removed), "{cause}");
            Some(())
        }
        _ => None,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn links_come_and_go_with_the_names_of_the_list() {
    let net = Net::new();
    let all = [A, B, C];
    let (a, b, c) = (
        node_of(&net, A, &[A]),
        node_of(&net, B, &all),
        node_of(&net, C, &all),
    );
    let held = Held::new(Says::List(&[A, B]));
    let following = a.follow(held.clone()).unwrap();
    followed(&following, |state| state.lists == 1).await;
    assert_eq!(remotes(&a), [B]);
    let to_b = a.connection(B).unwrap();
    node::connected(&to_b).await;

    // In another order, and with one twice.
    held.says(Says::List(&[C, B, A, C]));
    let state = followed(&following, |state| state.lists == 2).await;
    assert_eq!(*state.names, [A, B, C]);
    assert_eq!(remotes(&a), [B, C]);
    let to_c = a.connection(C).unwrap();
    node::connected(&to_c).await;
    let since = format!("{:?}", to_c.state());
    assert!(to_b.state().is_connected());

    held.says(Says::List(&[C, A]));
    followed(&following, |state| state.lists == 3).await;
    removed(&to_b).await;
    assert_eq!(remotes(&a), [C]);
    // What stays on the list is not touched.
    assert_eq!(format!("{:?}", to_c.state()), since);

    held.says(Says::List(&[C, B, A]));
    followed(&following, |state| state.lists == 4).await;
    node::connected(&a.connection(B).unwrap()).await;
    assert!(a.connection(A).is_err(), "a node is no remote of itself");
    for manager in [a, b, c] {
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_list_replaces_what_the_node_was_built_with() {
    let net = Net::new();
    let a = node_of(&net, A, &[A, B]);
    let to_b = a.connection(B).unwrap();
    let following = a.follow(Held::new(Says::List(&[A, C]))).unwrap();
    followed(&following, |state| state.lists == 1).await;
    removed(&to_b).await;
    assert_eq!(remotes(&a), [C]);
    a.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_done_by_hand_stays_until_the_list_changes() {
    let net = Net::new();
    let a = node_of(&net, A, &[A]);
    let held = Held::new(Says::List(&[A, B]));
    let following = a.follow(held.clone()).unwrap();
    followed(&following, |state| state.lists == 1).await;
    a.add_peer(C).unwrap();
    a.remove_peer(B).unwrap();
    held.asked(3).await;
    assert_eq!(remotes(&a), [C]);
    held.says(Says::List(&[A, B, "http://d:9000"]));
    followed(&following, |state| state.lists == 2).await;
    assert_eq!(remotes(&a), [B, "http://d:9000"]);
    a.shutdown(Duration::ZERO).await;
}
