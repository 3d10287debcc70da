//! Which numbers the calls of a node have.

use std::{collections::BTreeSet, future::IntoFuture, time::Duration};

use grid_transport::{Connection, Settings};

use crate::{
    hostile::STUCK,
    times::dialing,
    wire::{Dialed, Wire},
};

async fn let_in(dialed: &Dialed, link: &Connection) -> Wire {
    let mut wire = dialed.next().await;
    wire.serve_request().await;
    wire.accept().await;
    link.connected().await.unwrap();
    wire
}

async fn number(wire: &mut Wire, link: &Connection) -> u64 {
    let call = tokio::spawn(link.request(STUCK, "x").into_future());
    let mux = wire.message().await.unwrap().mux.get();
    call.abort();
    mux
}

/// Drawn for each node, and one counter for all connections of a link: a late answer must not find another call.
#[tokio::test(start_paused = true)]
async fn numbers_begin_anywhere_and_go_on_over_a_reconnect() {
    let mut firsts = BTreeSet::new();
    for _ in 0..100 {
        let (dialed, manager, link) = dialing(Settings::new(), Duration::ZERO);
        let mut wire = let_in(&dialed, &link).await;
        let first = number(&mut wire, &link).await;
        assert!((1 << 16..1 << 31).contains(&first), "{first}");
        firsts.insert(first);
        assert_eq!(number(&mut wire, &link).await, first + 1);
        drop(wire);
        let mut wire = let_in(&dialed, &link).await;
        assert_eq!(number(&mut wire, &link).await, first + 2);
        manager.shutdown(Duration::ZERO).await;
    }
    // That two of them are the same, or all in one half, is as likely as that the machine is struck.
    assert!(firsts.len() >= 98, "{firsts:?}");
    let half = firsts.iter().filter(|first| **first < 1 << 30).count();
    assert!((10..=90).contains(&half), "{half} of 100 in the lower half");
}
