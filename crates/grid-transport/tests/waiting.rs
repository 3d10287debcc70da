//! What waits comes to its end: by its deadline, or as soon as what it waits for is there.

mod probe;

use std::{
    future::{IntoFuture, pending},
    time::Duration,
};

use futures_util::SinkExt;
use grid_transport::{
    CallError, Capacity, Connection, HandlerId, Manager, NoAuth, Payload, SendError, Settings,
    Stream,
    testing::{self, NAMES, Net},
};
use probe::*;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

#[tokio::test(start_paused = true)]
async fn the_default_deadline_holds_for_the_wait_and_the_call_together() {
    let pair = pair().await;
    pair.net.refuse(NAMES[0], NAMES[1], true);
    pair.cut();
    let peer = pair.a_to_b();
    peer.watch()
        .wait_for(|state| !state.is_connected())
        .await
        .unwrap();
    let began = Instant::now();
    let call = tokio::spawn(peer.request(WAIT, "600000").wait_ready().into_future());
    // tidy: sleep: the link is down for most of the deadline, under paused time
    tokio::time::sleep(Duration::from_secs(50)).await;
    pair.net.refuse(NAMES[0], NAMES[1], false);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_for_room_ends_with_its_stream() {
    let settings = Settings::new().write_timeout(LONG).ping_interval(LONG);
    let pair = testing::pair(|builder| probe(builder).settings(settings.clone().max_queued(1_000)))
        .await
        .unwrap();
    let peer = pair.a_to_b();
    let both = Capacity::new(100, 100);
    let limit = Duration::from_secs(2);
    let mut stream = peer
        .stream(TWO_WAY_100, both, "x")
        .timeout(limit)
        .await
        .unwrap();
    stream.send("1").await.unwrap();
    assert!(stream.recv().await.unwrap().is_ok());
    let began = Instant::now();
    pair.net.freeze(NAMES[0], NAMES[1], true);
    let error = loop {
        if let Err(error) = stream.send(vec![1; 100_000]).await {
            break error;
        }
    };
    assert!(
        matches!(error, SendError::Call(CallError::Deadline)),
        "{error:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

/// All that is queued is of others, so that no credit of its own wakes what waits.
#[tokio::test(start_paused = true)]
async fn a_send_and_a_sink_are_told_of_the_room_that_the_calls_of_others_leave() {
    const FULL: usize = 1_000;
    let settings = Settings::new().write_timeout(LONG).ping_interval(LONG);
    let pair = testing::pair(|builder| probe(builder).settings(settings.clone().max_queued(FULL)))
        .await
        .unwrap();
    let peer = pair.a_to_b();
    let both = Capacity::new(100, 100);
    let moment = Duration::from_secs(1);
    for sink in [false, true] {
        let mut stream = peer.stream(TWO_WAY_100, both, "x").await.unwrap();
        stream.send("1").await.unwrap();
        assert!(stream.recv().await.unwrap().is_ok());
        pair.net.freeze(NAMES[0], NAMES[1], true);
        let mut calls = JoinSet::new();
        while peer.stats().queued_bytes < FULL {
            calls.spawn(peer.request(ECHO, vec![1; 100_000]).into_future());
            // Until it is queued, or being written.
            timeout(moment, pending::<()>()).await.unwrap_err();
        }
        let (mut sender, mut receiver) = stream.split();
        let mut send = tokio::spawn(async move {
            match sink {
                true => SinkExt::send(&mut sender, "2".into()).await,
                false => sender.send("2").await,
            }
            .map(|()| sender)
        });
        assert!(timeout(moment, &mut send).await.is_err(), "it waits");
        pair.net.freeze(NAMES[0], NAMES[1], false);
        let sent = timeout(moment, send).await.expect("there is room");
        let _sender = sent.unwrap().unwrap();
        assert!(receiver.recv().await.unwrap().is_ok());
        while let Some(answer) = calls.join_next().await {
            answer.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn room_of_the_node_that_a_lost_link_leaves_is_used_at_once() {
    let names = ["http://a:9000", "http://b:9000", "http://c:9000"];
    let net = Net::new();
    let settings = Settings::new()
        .max_queued_node(1_000_000)
        .write_timeout(LONG)
        .ping_interval(LONG);
    let nodes = names.map(|name| {
        testing::node_on(&net, name, &names, |builder| {
            probe(builder).settings(settings.clone())
        })
        .unwrap()
    });
    let to = |name: &str| nodes[0].connection(name).unwrap();
    let (b, c) = (to(names[1]), to(names[2]));
    b.connected().await.unwrap();
    c.connected().await.unwrap();
    net.freeze(names[0], names[1], true);
    let mut stuck = JoinSet::new();
    for _ in 0..20 {
        stuck.spawn(
            b.request(ECHO, vec![1; 100_000])
                .timeout(LONG)
                .into_future(),
        );
    }
    // tidy: sleep: the socket takes what it can, and the queue fills again, under paused time
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        b.stats().queued_bytes > 875_000,
        "all but what is kept for the other"
    );
    let began = Instant::now();
    let waits = crowd(&net, names[0], &c).await;
    net.cut(names[0], names[1]);
    all_in(&net, names[0], &c, waits).await;
    assert_eq!(began.elapsed().as_secs(), 1);
}

/// Calls in a crowd.
const CROWD: usize = 8;

/// Calls to one that reads no more, beyond what is kept for its link, so that some of them wait for the node's room: after
/// a second.
async fn crowd(net: &Net, from: &str, to: &Connection) -> JoinSet<Result<Payload, CallError>> {
    net.freeze(from, to.name(), true);
    let mut calls = JoinSet::new();
    for _ in 0..CROWD {
        let call = to.request(ECHO, vec![1; 100_000]).timeout(LONG);
        calls.spawn(call.into_future());
    }
    // tidy: sleep: they wait for room under paused time
    tokio::time::sleep(Duration::from_secs(1)).await;
    let admitted = to.stats().open_requests;
    assert!((2..CROWD).contains(&admitted), "{admitted}");
    calls
}

/// Those who waited are let in without any more time, and answered once the other reads again.
async fn all_in(
    net: &Net,
    from: &str,
    to: &Connection,
    mut calls: JoinSet<Result<Payload, CallError>>,
) {
    let now = Instant::now();
    wait_while(|| to.stats().open_requests < CROWD).await;
    assert_eq!(now.elapsed(), Duration::ZERO, "as soon as there is room");
    net.freeze(from, to.name(), false);
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().unwrap().len(), 100_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_that_has_no_end_is_no_short_one() {
    let pair = pair().await;
    let call = pair.a_to_b().request(WAIT, "90000").timeout(Duration::MAX);
    assert_eq!(text(&call.await.unwrap()), "90000");
    let stream = pair
        .a_to_b()
        .stream(ITEMS, OUT_1, "1")
        .timeout(Duration::MAX);
    assert!(stream.await.unwrap().recv().await.unwrap().is_ok());
}

#[tokio::test]
async fn periods_that_no_clock_holds_are_refused() {
    let all = |settings: Settings| {
        Manager::builder(NAMES[0])
            .peers(NAMES)
            .auth(NoAuth)
            .settings(settings)
            .build()
    };
    let long = Duration::MAX;
    for (setting, settings) in [
        ("default_deadline", Settings::new().default_deadline(long)),
        ("ping_interval", Settings::new().ping_interval(long)),
        (
            "stream_ping_interval",
            Settings::new().stream_ping_interval(long),
        ),
        ("teardown", Settings::new().teardown(long)),
        ("room_timeout", Settings::new().room_timeout(long)),
        ("redial_interval", Settings::new().redial_interval(long)),
        ("redial_jitter", Settings::new().redial_jitter(long)),
        ("replace_after", Settings::new().replace_after(long)),
    ] {
        let error = all(settings).unwrap_err().to_string();
        assert!(error.contains(setting), "{setting}: {error}");
    }
}

/// It was asked for while the link was up, where there is nothing to dial.
#[tokio::test(start_paused = true)]
async fn a_wish_to_reconnect_is_not_kept_for_later() {
    let pair = pair().await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        peer.reconnect_now();
    }
    let dials = pair.net.dials(NAMES[0], NAMES[1]);
    pair.cut();
    // tidy: sleep: less than the pause, under paused time
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(pair.net.dials(NAMES[0], NAMES[1]), dials);
    pair.connected().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn open_calls_of_a_node_that_ends_may_have_been_executed() {
    const WAITS_FOR_EVER: HandlerId = HandlerId::new(200);
    let pair = testing::pair(|builder| probe(builder).single(WAITS_FOR_EVER, |_| pending()))
        .await
        .unwrap();
    let call = tokio::spawn(pair.a_to_b().request(WAITS_FOR_EVER, "x").into_future());
    while pair.b_to_a().stats().serving_requests == 0 {
        tokio::task::yield_now().await;
    }
    pair.a.shutdown(Duration::ZERO).await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::ShuttingDown), "{error:?}");
    assert!(error.may_have_executed(), "its handler runs");
}

const SECOND: Duration = Duration::from_secs(1);
const THREE: [&str; 3] = ["http://a:9000", "http://b:9000", "http://c:9000"];

/// A node, and its links to two others that are up.
async fn three(settings: Settings) -> (Net, [Manager; 3], [Connection; 2]) {
    let net = Net::new();
    let nodes = THREE.map(|name| {
        let made = testing::node_on(&net, name, &THREE, |builder| {
            probe(builder).settings(settings.clone())
        });
        made.unwrap()
    });
    let links = [1, 2].map(|n| nodes[0].connection(THREE[n]).unwrap());
    for link in &links {
        link.connected().await.unwrap();
    }
    (net, nodes, links)
}

/// Sends to one that reads no more until that waits for room.
async fn fill(net: &Net, to: &Connection) -> Stream {
    let both = Capacity::new(100, 100);
    let mut stream = to
        .stream(TWO_WAY_100, both, "x")
        .timeout(LONG)
        .await
        .unwrap();
    // With the first answer there is credit.
    stream.send("1").await.unwrap();
    assert!(stream.recv().await.unwrap().is_ok());
    net.freeze(THREE[0], to.name(), true);
    let full = async {
        loop {
            stream.send(vec![1; 100_000]).await.unwrap();
        }
    };
    assert!(timeout(SECOND, full).await.is_err());
    assert!(to.stats().queued_bytes > 875_000, "it waits for room");
    stream
}

#[tokio::test(start_paused = true)]
async fn a_call_is_told_of_the_room_that_a_dropped_stream_of_another_link_leaves() {
    let settings = Settings::new().max_queued_node(1_000_000);
    let (net, _nodes, [b, c]) = three(settings.write_timeout(LONG).ping_interval(LONG)).await;
    let stream = fill(&net, &b).await;
    let waits = crowd(&net, THREE[0], &c).await;
    drop(stream);
    all_in(&net, THREE[0], &c, waits).await;
}

/// Of what a node may have waiting a part is kept for each link, whatever waits for one that does not read.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_holds_up_no_other() {
    let settings = Settings::new()
        .max_queued_node(1_000_000)
        .write_timeout(LONG)
        .ping_interval(LONG);
    let (net, nodes, [b, c]) = three(settings).await;
    let back = nodes[2].connection(THREE[0]).unwrap();
    let _stream = fill(&net, &b).await;
    let began = Instant::now();
    for _ in 0..20 {
        // Both ways, and in all more than the part that is kept for the link.
        for link in [&c, &back] {
            let answer = link.request(ECHO, vec![2; 50_000]).timeout(LONG);
            assert_eq!(answer.await.unwrap().len(), 50_000);
        }
    }
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(b.stats().queued_bytes > 875_000, "it does not read still");
}
