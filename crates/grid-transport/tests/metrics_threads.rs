#![cfg(feature = "metrics")]
//! The global recorder, many threads, and a worker of its own for the links: nothing is lost or counted twice.
//!
//! One test, alone in its process: there is one global recorder.

#[path = "common/node.rs"]
mod node;
#[path = "probe/mod.rs"]
mod probe;
#[path = "common/raw.rs"]
mod raw;
#[path = "metrics/scrape.rs"]
mod scrape;

use std::{sync::Arc, time::Duration};

use grid_transport::Settings;
use probe::*;
use scrape::{recorder, scrape};
use tokio::{sync::Barrier, task::JoinSet};

const CALLERS: usize = 8;
const CALLS: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_between_threads() {
    ends(async {
        let (recorder, handle) = recorder();
        assert!(metrics::set_global_recorder(recorder).is_ok());
        let settings = Settings::new().own_worker(true);
        let [a, b] = node::pair(|_, builder| probe(builder).settings(settings.clone())).await;
        let peer = node::link(&a, &b);
        node::connected(&peer).await;
        // All begin together, so that several are the first to need a series; some publish meanwhile.
        let (together, mut tasks) = (Arc::new(Barrier::new(CALLERS + 2)), JoinSet::new());
        for _ in 0..CALLERS {
            let (peer, together) = (peer.clone(), together.clone());
            tasks.spawn(async move {
                together.wait().await;
                for _ in 0..CALLS {
                    peer.request(ECHO, "x").await.unwrap();
                    peer.request(FAIL, "x").await.unwrap_err();
                }
            });
        }
        for node in [&a, &b] {
            let (node, together) = (node.clone(), together.clone());
            tasks.spawn(async move {
                together.wait().await;
                for _ in 0..CALLS {
                    node.record_metrics();
                    tokio::task::yield_now().await;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let seen = scrape(&handle, &[&a, &b]);
        let count = (CALLERS * CALLS) as f64;
        let (from, to) = (("local", a.local()), ("local", b.local()));
        for (outcome, handler) in [("ok", "9"), ("remote", "13")] {
            let calls = [from, ("kind", "request"), ("outcome", outcome)];
            assert_eq!(seen.value("grid_calls_total", &calls), count);
            assert_eq!(
                seen.value("grid_call_duration_seconds_count", &calls),
                count
            );
            let served = [to, ("handler", handler), ("subroute", "")];
            assert_eq!(seen.value("grid_handler_calls_total", &served), count);
            assert_eq!(
                seen.value("grid_handler_duration_seconds_count", &served),
                count
            );
        }
        let failed = [to, ("handler", "13")];
        assert_eq!(seen.value("grid_handler_errors_total", &failed), count);
        for (node, stats) in [(&a, a.stats()), (&b, b.stats())] {
            let of = [("local", node.local())];
            let sent = seen.value("grid_link_sent_messages_total", &of);
            assert_eq!(sent, stats[0].messages_out as f64);
        }
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
    })
    .await;
}
