//! Over reconnects, restarts and changes of the list of nodes counters go on, and gauges say how it is.

use std::time::Duration;

use grid_transport::{LinkCause, Manager, TcpDialer};
use tokio::net::TcpListener;

use crate::{
    node::{builder, connected, down_because, link, named_socket},
    probe::*,
    scrape::{Scrape, recorder, scrape},
};

fn node(local: &str, remote: &str, socket: TcpListener) -> Manager {
    let node = probe(builder(local, &[remote]).dialer(TcpDialer::new()))
        .build()
        .unwrap();
    node.serve(socket).unwrap();
    node
}

/// The states of a link that are 1.
fn states<'a>(seen: &'a Scrape, from: &'a str, to: &'a str) -> Vec<&'a str> {
    let of = [("local", from), ("remote", to)];
    let mut states = Vec::new();
    for sample in seen
        .samples
        .iter()
        .filter(|one| one.name == "grid_link_state")
    {
        let own = of
            .iter()
            .all(|(name, value)| sample.labels[*name] == *value);
        if own && sample.value != 0.0 {
            assert_eq!(sample.value, 1.0);
            states.push(&*sample.labels["state"]);
        }
    }
    states
}

#[tokio::test]
async fn a_remote_that_restarts_is_counted_on() {
    ends(async {
        let (recorder, handle) = recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        // The first one dials.
        let (mut dialer, mut acceptor) = (named_socket().await, named_socket().await);
        if !grid_proto::local_dials(&dialer.1, &acceptor.1) {
            std::mem::swap(&mut dialer, &mut acceptor);
        }
        let address = acceptor.0.local_addr().unwrap();
        let (from, to) = (&*dialer.1, &*acceptor.1);
        let a = node(from, to, dialer.0);
        let b = node(to, from, acceptor.0);
        let peer = link(&a, &b);
        connected(&peer).await;
        peer.request(ECHO, "x").await.unwrap();
        peer.ping(LONG).await.unwrap();
        let seen = scrape(&handle, &[&a, &b]);
        assert_eq!(states(&seen, from, to), ["connected"]);
        assert_eq!(states(&seen, to, from), ["connected"]);
        let there = [("local", from), ("remote", to)];
        let round_trip = seen.value("grid_link_round_trip_seconds", &there);
        assert!(round_trip > 0.0 && round_trip < 50.0, "{round_trip}");
        let lost = |seen: &Scrape, local, cause| {
            seen.value(
                "grid_connections_lost_total",
                &[("local", local), ("cause", cause)],
            )
        };
        assert_eq!(lost(&seen, from, "closed_by_remote"), 0.0);

        // It goes.
        b.shutdown(Duration::ZERO).await;
        down_because(&peer, |cause| {
            matches!(cause, LinkCause::Dial(_)).then_some(())
        })
        .await;
        peer.request(ECHO, "x").await.unwrap_err();
        let seen = scrape(&handle, &[&a, &b]);
        assert_eq!(states(&seen, from, to), ["connecting"]);
        assert_eq!(states(&seen, to, from), ["closed"]);
        assert!(seen.value("grid_link_round_trip_seconds", &there).is_nan());
        assert_eq!(lost(&seen, from, "closed_by_remote"), 1.0);
        assert_eq!(lost(&seen, to, "shutting_down"), 1.0);
        let all: f64 = seen
            .all("grid_connections_lost_total", &[])
            .map(|one| one.value)
            .sum();
        assert_eq!(all, 2.0);
        assert!(seen.value("grid_link_failed_attempts_total", &there) >= 1.0);
        assert_eq!(seen.value("grid_link_reconnects_total", &there), 0.0);
        let refused = [
            ("local", from),
            ("kind", "request"),
            ("outcome", "not_connected"),
        ];
        assert_eq!(seen.value("grid_calls_total", &refused), 1.0);
        let (sent, echoes) = ("grid_link_sent_bytes_total", "grid_handler_calls_total");
        let back = [("local", to), ("remote", from)];
        let before = seen.value(sent, &back);
        drop(b);

        // Another one of that name counts where the first one has stopped.
        let b = node(to, from, TcpListener::bind(address).await.unwrap());
        connected(&peer).await;
        peer.request(ECHO, "x").await.unwrap();
        let seen = scrape(&handle, &[&a, &b]);
        assert_eq!(states(&seen, from, to), ["connected"]);
        assert_eq!(states(&seen, to, from), ["connected"]);
        assert_eq!(seen.value("grid_link_reconnects_total", &there), 1.0);
        let echo = [("local", to), ("handler", "9"), ("subroute", "")];
        assert_eq!(seen.value(echoes, &echo), 2.0);
        assert_eq!(
            seen.value("grid_handler_duration_seconds_count", &echo),
            2.0
        );
        let now = b.stats()[0].bytes_out;
        assert!(now > 0);
        assert_eq!(seen.value(sent, &back), before + now as f64);

        // A remote that is none any more has nothing; when it is one again, its counters go on.
        let before = seen.value(sent, &there);
        a.remove_peer(to).unwrap();
        let seen = scrape(&handle, &[&a]);
        assert_eq!(states(&seen, from, to), [""; 0]);
        assert!(seen.value("grid_link_round_trip_seconds", &there).is_nan());
        let peer = a.add_peer(to).unwrap();
        connected(&peer).await;
        let seen = scrape(&handle, &[&a]);
        assert_eq!(states(&seen, from, to), ["connected"]);
        let now = peer.stats().bytes_out;
        assert!(now > 0);
        assert_eq!(seen.value(sent, &there), before + now as f64);
        assert_eq!(lost(&seen, from, "removed"), 1.0);

        // Nor does a node that is gone leave its links standing.
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
        drop((a, b));
        let seen = scrape(&handle, &[]);
        assert_eq!(states(&seen, from, to), [""; 0]);
        assert_eq!(states(&seen, to, from), [""; 0]);
    })
    .await;
}
