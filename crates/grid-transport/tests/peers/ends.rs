//! A list is followed by one at a time, and no longer than its node lives.

use std::time::Duration;

use grid_transport::{peers::FollowError, testing::Net};
use tokio::time::timeout;

use crate::{
    A, B, C, followed, node_of,
    raw::PATIENCE,
    remotes,
    source::{Held, Says},
};

#[tokio::test(start_paused = true)]
async fn one_list_at_a_time_and_the_remotes_stay_when_it_is_followed_no_more() {
    let net = Net::new();
    let a = node_of(&net, A, &[A]);
    let held = Held::new(Says::List(&[A, B]));
    let following = a.follow(held.clone()).unwrap();
    followed(&following, |state| state.lists == 1).await;
    let error = a.follow(Held::new(Says::List(&[A, C]))).unwrap_err();
    assert!(matches!(error, FollowError::Already { .. }), "{error}");

    following.stop().await;
    let asked = held.times();
    held.says(Says::List(&[A, C]));
    assert_eq!(remotes(&a), [B]);

    let second = a.follow(Held::new(Says::List(&[A, C]))).unwrap();
    followed(&second, |state| state.lists == 1).await;
    assert_eq!(remotes(&a), [C]);
    assert_eq!(held.times(), asked, "it is not asked any more");
    a.shutdown(Duration::ZERO).await;
}

/// Whatever it is at: waiting for an answer, or for the time of the next question.
#[tokio::test(start_paused = true)]
async fn it_ends_with_its_node() {
    for says in [Says::List(&[A, B]), Says::Nothing, Says::Fault("none")] {
        for shuts_down in [true, false] {
            let net = Net::new();
            let a = node_of(&net, A, &[A]);
            let held = Held::new(says);
            let mut following = a.follow(held.clone()).unwrap();
            while held.times() == 0 {
                tokio::task::yield_now().await;
            }
            if shuts_down {
                a.shutdown(Duration::from_secs(1)).await;
            }
            // It does not keep the node.
            drop(a);
            timeout(PATIENCE, following.stopped()).await.unwrap();
        }
    }
}

/// A handle that is dropped is no wish to stop.
#[tokio::test(start_paused = true)]
async fn it_goes_on_without_its_handle() {
    let net = Net::new();
    let a = node_of(&net, A, &[A]);
    let held = Held::new(Says::List(&[A, B]));
    drop(a.follow(held.clone()).unwrap());
    held.asked(2).await;
    assert_eq!(remotes(&a), [B]);
    held.says(Says::List(&[A, C]));
    held.asked(2).await;
    assert_eq!(remotes(&a), [C]);
    a.shutdown(Duration::ZERO).await;
}
