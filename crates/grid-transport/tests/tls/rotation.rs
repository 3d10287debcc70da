//! Certificates that are changed while the links are in use.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::watch;

use crate::{
    ACCEPTOR, DIALER, ECHO,
    certificates::{Authority, Folder, from_files, write},
    pair,
};

#[tokio::test]
async fn certificates_change_under_load_and_no_call_fails() {
    let (of_dialer, of_acceptor) = (Folder::new("dialer"), Folder::new("acceptor"));
    let (old, new) = (Authority::new(), Authority::new());
    let folders = [(&of_dialer, DIALER), (&of_acceptor, ACCEPTOR)];
    for (folder, host) in folders {
        write(folder.path(), &old.certify(&[host]), &[&old]);
    }
    let dialer = from_files(of_dialer.path()).build().unwrap();
    let acceptor = from_files(of_acceptor.path()).mutual().build().unwrap();
    let mut pair = pair(&dialer, &acceptor).await;
    pair.is_up().await;

    let (stop, done) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(0_u64));
    let failed = Arc::new(AtomicU64::new(0));
    let load = {
        let (peer, stop, done) = (pair.to_acceptor.clone(), stop.clone(), done.clone());
        let failed = failed.clone();
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if peer.request(ECHO, "under load").await.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
                done.send_modify(|done| *done += 1);
            }
        })
    };
    let a_hundred_more = async || {
        let mut calls = done.subscribe();
        let from = *calls.borrow();
        calls.wait_for(|calls| *calls >= from + 100).await.unwrap();
    };

    // First both authorities are trusted, then the new one certifies, then the old one goes.
    for step in 0..3 {
        for (folder, host) in folders {
            match step {
                0 => write(folder.path(), &old.certify(&[host]), &[&old, &new]),
                1 => write(folder.path(), &new.certify(&[host]), &[&old, &new]),
                _ => write(folder.path(), &new.certify(&[host]), &[&new]),
            }
        }
        dialer.reload().unwrap();
        acceptor.reload().unwrap();
        a_hundred_more().await;
    }
    // What can't be read changes nothing.
    std::fs::write(of_dialer.path().join("node.pem"), "no certificate").unwrap();
    dialer.reload().unwrap_err();
    a_hundred_more().await;
    stop.store(true, Ordering::Relaxed);
    load.await.unwrap();
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert_eq!(pair.to_acceptor.stats().reconnects, 0);

    // A connection that is made now is made by the new ones, which the old authority knows nothing of.
    pair.redial(&dialer).await;
    pair.is_up().await;
    write(of_dialer.path(), &old.certify(&[DIALER]), &[&old]);
    dialer.reload().unwrap();
    pair.redial(&dialer).await;
    pair.says("UnknownIssuer").await;
    pair.end().await;
}
