//! More than a limit admits, at once: what is over it is refused, and the link lives.

mod probe;

use std::{future::IntoFuture, sync::mpsc, time::Duration};

use grid_transport::{
    CallError, HandlerId, Manager, NoAuth, Refusal, Settings, SingleHandler, testing,
};
use probe::*;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

const STUCK: HandlerId = HandlerId::new(200);

/// How many requests at once, most of which the other node refuses.
const CALLS: usize = 100_000;

fn node(local: &str, names: &[String], settings: Settings) -> Manager {
    Manager::builder(local)
        .peers(names)
        .auth(NoAuth)
        .settings(settings)
        .register(SingleHandler::new(STUCK, |_| std::future::pending()).limit(1))
        .build()
        .unwrap()
}

/// The other node has one thread for all that it does, and its reader always finds more to read.
#[test]
fn a_burst_far_over_the_limit_is_refused_and_the_link_lives() {
    let sockets = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let names = sockets
        .each_ref()
        .map(|socket| format!("http://{}", socket.local_addr().unwrap()));
    let [ours, theirs] = sockets.map(|socket| {
        socket.set_nonblocking(true).unwrap();
        socket
    });
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, is_ready) = mpsc::channel();
    let other = std::thread::spawn({
        let names = names.clone();
        move || {
            runtime().block_on(async {
                let manager = node(&names[1], &names, Settings::new().max_requests(CALLS));
                manager
                    .serve(TcpListener::from_std(theirs).unwrap())
                    .unwrap();
                ready.send(()).unwrap();
                stopped.await.unwrap();
                manager.shutdown(Duration::ZERO).await;
            });
        }
    });
    is_ready.recv().unwrap();
    runtime().block_on(async {
        // It reads what the other answers beside its calls, however busy these are: who doesn't read is disconnected.
        let settings = Settings::new().max_requests(2 * CALLS).own_worker(true);
        let manager = node(&names[0], &names, settings);
        manager.serve(TcpListener::from_std(ours).unwrap()).unwrap();
        let peer = manager.connection(&names[1]).unwrap();
        peer.connected().await.unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            calls.spawn(peer.request(STUCK, "x").timeout(LONG).into_future());
        }
        for _ in 1..CALLS {
            let error = calls.join_next().await.unwrap().unwrap().unwrap_err();
            assert!(
                matches!(error, CallError::Refused(Refusal::Overloaded)),
                "{error:?}"
            );
        }
        assert_eq!(peer.stats().reconnects, 0);
        stop.send(()).unwrap();
        manager.shutdown(Duration::ZERO).await;
    });
    other.join().unwrap();
}

/// What is merged is a message too, and no larger than one may be.
#[tokio::test(start_paused = true)]
async fn merged_messages_keep_to_the_limit_of_a_message() {
    for limit in [2_000, 64 * 1024] {
        let settings = Settings::new().max_message(limit);
        let pair = testing::pair(|builder| probe(builder).settings(settings.clone()))
            .await
            .unwrap();
        let mut calls = JoinSet::new();
        for _ in 0..5_000 {
            calls.spawn(pair.a_to_b().request(ECHO, vec![7; 50]).into_future());
        }
        while let Some(answer) = calls.join_next().await {
            assert_eq!(answer.unwrap().unwrap().len(), 50);
        }
        settled(&pair).await;
    }
}
