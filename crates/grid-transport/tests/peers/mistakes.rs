//! Lists that can't be had, or can't be meant, change nothing.

use std::time::Duration;

use grid_transport::{
    Settings,
    peers::{FollowError, Following},
    testing::Net,
};

use crate::{
    A, B, C, followed,
    logs::Logs,
    node::{self},
    node_of, remotes,
    source::{Held, Says},
};

async fn fault(following: &Following) -> FollowError {
    let state = followed(following, |state| state.fault.is_some()).await;
    (*state.fault.unwrap()).clone()
}

#[tokio::test(start_paused = true)]
async fn the_last_good_list_stays_and_each_fault_is_told_once() {
    let (logs, _guard) = Logs::capture();
    let net = Net::new();
    let (a, b) = (node_of(&net, A, &[A, B]), node_of(&net, B, &[A, B]));
    let to_b = a.connection(B).unwrap();
    node::connected(&to_b).await;
    let good = Says::List(&[A, B]);
    let held = Held::new(good);
    let following = a.follow(held.clone()).unwrap();
    followed(&following, |state| state.lists == 1).await;
    for (says, words) in [
        (Says::Fault("no such cluster"), "no such cluster"),
        (Says::Nothing, "the test's list: no list within 1s"),
        (Says::Panic, "the test's list: a panic of the source"),
        (
            Says::List(&[]),
            "the test's list: the local name \"http://a:9000\" is not among the 0 names of the list",
        ),
        (
            Says::List(&[B, C]),
            "the test's list: the local name \"http://a:9000\" is not among the 2 names of the list",
        ),
        (
            Says::List(&["http://A:9000", B]),
            "the test's list: \"http://A:9000\" can't be used: scheme and host must be in lower case",
        ),
        (
            Says::List(&[A, C, "http://d:9000/"]),
            "the test's list: \"http://d:9000/\" can't be used: it must end after the host and port, \
             without a slash, path, query or user",
        ),
        (
            Says::List(&[A, A]),
            "the test's list: the list has nobody but \"http://a:9000\", and there are 1 links",
        ),
    ] {
        held.says(says);
        assert_eq!(fault(&following).await.to_string(), words);
        // It is asked again, and says the same.
        held.asked(3).await;
        assert_eq!(remotes(&a), [B]);
        assert!(to_b.state().is_connected());
        let warnings = logs.warnings_of("grid::peers");
        let told = warnings.iter().filter(|line| line.contains(words)).count();
        assert_eq!(told, 1, "{words}: {warnings:?}");
        held.says(good);
        let state = followed(&following, |state| state.fault.is_none()).await;
        assert_eq!(
            (state.lists, &*state.names),
            (1, &[A.to_owned(), B.to_owned()][..])
        );
    }
    assert_eq!(logs.warnings_of("grid::peers").len(), 8);
    for manager in [a, b] {
        manager.shutdown(Duration::ZERO).await;
    }
}

/// What is wrong may be something else each time.
#[tokio::test(start_paused = true)]
async fn however_many_faults_there_are_sixteen_are_told_an_interval() {
    let (logs, _guard) = Logs::capture();
    let net = Net::new();
    let a = node_of(&net, A, &[A]);
    let held = Held::new(Says::Fault("fault 0."));
    let _following = a.follow(held.clone()).unwrap();
    for number in 0..40 {
        held.says(Says::Fault(format!("fault {number}.").leak()));
        held.asked(2).await;
    }
    let warnings = logs.warnings_of("grid::peers");
    assert_eq!(warnings.len(), 16, "{warnings:#?}");
    assert!(warnings[15].contains("cause=fault 15."), "{warnings:#?}");
    // tidy: sleep: that time passes is the point, and the clock stands still
    tokio::time::sleep(Settings::new().warn_interval).await;
    held.asked(2).await;
    let warnings = logs.warnings_of("grid::peers");
    assert_eq!(warnings.len(), 17, "{warnings:#?}");
    assert!(warnings[16].contains("cause=fault 39."), "{warnings:#?}");
    assert!(!warnings[16].contains("suppressed=0"), "{warnings:#?}");
    a.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_without_links_may_be_alone() {
    let net = Net::new();
    let a = node_of(&net, A, &[A]);
    let following = a.follow(Held::new(Says::List(&[A]))).unwrap();
    let state = followed(&following, |state| state.lists == 1).await;
    assert!(state.fault.is_none(), "{state:?}");
    a.shutdown(Duration::ZERO).await;
}
