//! Every limit: what a peer meets is refused with a text, what we meet is a typed error.

mod probe;

use std::{future::IntoFuture, time::Duration};

use grid_transport::{
    BuildError, Builder, CallError, HandlerId, Manager, NoAuth, Payload, Refusal, Settings,
    SingleHandler, StreamHandler,
    testing::{self, NAMES, Pair},
};
use probe::*;
use tokio::{task::JoinSet, time::Instant};

async fn pair_with(a: Settings, b: Settings) -> Pair {
    testing::pair_of(
        |builder| probe(builder).settings(a),
        |builder| probe(builder).settings(b),
    )
    .await
    .unwrap()
}

fn is_overloaded(error: &CallError) -> bool {
    matches!(error, CallError::Refused(Refusal::Overloaded))
        && error.is_retryable()
        && !error.may_have_executed()
}

/// How many of `count` calls at once were answered, and how many refused.
async fn count_refused(pair: &Pair, handler: HandlerId, count: usize) -> (usize, usize) {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        calls.spawn(pair.a_to_b().request(handler, "1000").into_future());
    }
    let (mut answered, mut refused) = (0, 0);
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            Ok(_) => answered += 1,
            Err(error) if is_overloaded(&error) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    settled(pair).await;
    (answered, refused)
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_link_are_capped_on_either_side() {
    for (a, b) in [
        (Settings::new().max_requests(3), Settings::new()),
        (Settings::new(), Settings::new().max_requests(3)),
        (Settings::new(), Settings::new().max_handlers(3)),
    ] {
        let pair = pair_with(a, b).await;
        assert_eq!(count_refused(&pair, WAIT, 10).await, (3, 7));
        assert_eq!(count_refused(&pair, WAIT, 3).await, (3, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_have_a_limit_of_its_own() {
    const NARROW: HandlerId = HandlerId::new(200);
    let pair = testing::pair(|builder| {
        probe(builder).register(
            SingleHandler::new(NARROW, |request| async move {
                // tidy: sleep: this handler takes that long, under paused time
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(request.into_payload())
            })
            .limit(2),
        )
    })
    .await
    .unwrap();
    let (narrow, other) = tokio::join!(
        count_refused(&pair, NARROW, 10),
        pair.a_to_b().request(WAIT, "1").into_future()
    );
    assert_eq!(narrow, (2, 8));
    other.unwrap();
}

#[tokio::test(start_paused = true)]
async fn so_may_a_handler_of_streams() {
    const NARROW: HandlerId = HandlerId::new(200);
    let pair = testing::pair(|builder| {
        let narrow = StreamHandler::new(NARROW, BOTH_1, |mut call| async move {
            while let Some(item) = call.recv().await {
                call.send(item?).await?;
            }
            Ok(())
        });
        probe(builder).register(narrow.limit(2))
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = peer.stream(NARROW, BOTH_1, "x").await.unwrap();
        stream.send("x").await.unwrap();
        stream.recv().await.unwrap().unwrap();
        open.push(stream);
    }
    let mut third = peer.stream(NARROW, BOTH_1, "x").await.unwrap();
    let error = third.recv().await.unwrap().unwrap_err();
    assert!(is_overloaded(&error), "{error:?}");
    drop(open);
    settled(&pair).await;
    let mut stream = peer.stream(NARROW, BOTH_1, "x").await.unwrap();
    stream.send("x").await.unwrap();
    stream.recv().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn streams_of_a_link_are_capped_on_either_side() {
    for (a, b) in [
        (Settings::new().max_streams(3), Settings::new()),
        (Settings::new(), Settings::new().max_streams(3)),
    ] {
        let pair = pair_with(a, b).await;
        let mut open = Vec::new();
        let mut refused = 0;
        for _ in 0..10 {
            match pair.a_to_b().stream(NEVER_READS, BOTH_1, "x").await {
                Ok(stream) => open.push(stream),
                Err(error) => {
                    assert!(is_overloaded(&error), "{error:?}");
                    refused += 1;
                }
            }
        }
        pair.a_to_b().request(ECHO, "fence").await.unwrap();
        for mut stream in open {
            if let Some(end) = futures_util::FutureExt::now_or_never(stream.recv()) {
                assert!(is_overloaded(&end.unwrap().unwrap_err()));
                refused += 1;
            }
        }
        assert_eq!(refused, 7);
        settled(&pair).await;
        let mut items = pair.a_to_b().stream(ITEMS, OUT_1, "1").await.unwrap();
        assert!(items.recv().await.unwrap().is_ok());
    }
}

/// Frozen, so that whatever is sent stays queued; nothing but the queue's limit is met.
async fn frozen(a: Settings) -> Pair {
    let patient = |settings: Settings| {
        settings
            .write_timeout(Duration::from_secs(600))
            .ping_interval(Duration::from_secs(600))
    };
    let pair = pair_with(patient(a), patient(Settings::new())).await;
    pair.net.freeze(NAMES[0], NAMES[1], true);
    pair
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for_a_while_and_then_refuses() {
    for settings in [
        Settings::new().max_queued(100_000),
        Settings::new().max_queued_node(100_000),
    ] {
        let pair = frozen(settings).await;
        let peer = pair.a_to_b();
        let mut calls = JoinSet::new();
        let began = Instant::now();
        for _ in 0..30 {
            calls.spawn(
                peer.request(ECHO, vec![1; 50_000])
                    .timeout(LONG)
                    .into_future(),
            );
        }
        let error = peer
            .request(ECHO, vec![1; 50_000])
            .timeout(Duration::from_secs(2))
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 2);
        let mut refused = 0;
        while let Some(call) = calls.join_next().await {
            let error = call.unwrap().unwrap_err();
            assert!(is_overloaded(&error), "{error:?}");
            assert_eq!(began.elapsed().as_secs(), 5);
            refused += 1;
            // What the socket took and what one queue holds is under way still.
            if refused == 20 {
                break;
            }
        }
        assert!(peer.stats().queued_bytes < 200_000, "{:?}", peer.stats());
        let waiting = tokio::spawn(peer.request(ECHO, vec![2; 50_000]).into_future());
        tokio::task::yield_now().await;
        pair.net.freeze(NAMES[0], NAMES[1], false);
        assert_eq!(waiting.await.unwrap().unwrap().as_slice(), vec![2; 50_000]);
        calls.abort_all();
        while calls.join_next().await.is_some() {}
        settled(&pair).await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_and_items_wait_for_room_without_loss() {
    const LARGE: HandlerId = HandlerId::new(200);
    const LARGE_ITEMS: HandlerId = HandlerId::new(201);
    let settings = Settings::new().max_queued(60_000);
    let pair = testing::pair(|builder| {
        probe(builder)
            .settings(settings.clone())
            .single(LARGE, |_| async { Ok(vec![3; 50_000].into()) })
            .stream(LARGE_ITEMS, OUT_100, |call| async move {
                for item in 0..100 {
                    call.send(vec![item; 50_000]).await?;
                }
                Ok(())
            })
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(peer.request(LARGE, "x").into_future());
    }
    let mut items = peer.stream(LARGE_ITEMS, OUT_100, "x").await.unwrap();
    for item in 0..100 {
        assert!(items.recv().await.unwrap().unwrap().as_slice() == vec![item; 50_000]);
    }
    assert!(items.recv().await.is_none());
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().unwrap().len(), 50_000);
    }
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_held_inbound_are_bounded() {
    let pair = pair_with(Settings::new(), Settings::new().max_inbound(10_000)).await;
    let peer = pair.a_to_b();
    let padded = format!("1000:{}", "x".repeat(6_000));
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        calls.spawn(peer.request(WAIT, padded.clone()).into_future());
    }
    let mut answered = 0;
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            Ok(answer) => {
                assert_eq!(text(&answer), padded);
                answered += 1;
            }
            Err(error) => assert!(is_overloaded(&error), "{error:?}"),
        }
    }
    // Admitted while it was below: the one that goes over the limit and no more.
    assert_eq!(answered, 2);

    let pair = pair_with(Settings::new().max_inbound(50_000), Settings::new()).await;
    let mut hoard = pair
        .a_to_b()
        .stream(ITEMS_100, OUT_100, "90:10000")
        .await
        .unwrap();
    // tidy: sleep: the consumer is late, under paused time
    tokio::time::sleep(Duration::from_millis(100)).await;
    // What it held is free again though it has not looked yet.
    let mut modest = pair
        .a_to_b()
        .stream(ITEMS_100, OUT_100, "4:10000")
        .await
        .unwrap();
    let mut items = 0;
    while let Some(item) = modest.recv().await {
        assert_eq!(item.unwrap().len(), 10_000);
        items += 1;
    }
    assert_eq!(items, 4);
    let mut got = 0;
    let end = loop {
        match hoard.recv().await {
            Some(Ok(_)) => got += 1,
            Some(Err(error)) => break error,
            None => panic!("a clean end after {got} of 90 items"),
        }
    };
    assert!(matches!(end, CallError::Overrun), "{end:?}");
    assert_eq!(got, 0, "items that were given up to make room");
    assert_eq!(
        pair.a_to_b().request(ECHO, "x").await.unwrap(),
        Payload::from("x")
    );
    settled(&pair).await;
}

/// Nobody can take away what a consumer has taken out, so that is little, however much there was.
#[tokio::test(start_paused = true)]
async fn what_a_late_consumer_has_taken_out_is_little() {
    let pair = pair_with(Settings::new().max_inbound(1_200_000), Settings::new()).await;
    let peer = pair.a_to_b();
    // As many as it has credit for: it goes on.
    let mut hoard = peer.stream(ITEMS_100, OUT_100, "110:10000").await.unwrap();
    // tidy: sleep: they arrive, under paused time
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(hoard.recv().await.unwrap().unwrap().len(), 10_000);
    // It is the one that has to go, and what it held is free again.
    let mut modest = peer.stream(ITEMS_100, OUT_100, "30:10000").await.unwrap();
    // tidy: sleep: the consumer is late, under paused time
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = pair.b_to_a().request(ECHO, "x").await;
    assert_eq!(answer.unwrap(), Payload::from("x"));
    let mut items = 0;
    while let Some(item) = modest.recv().await {
        assert_eq!(item.unwrap().len(), 10_000);
        items += 1;
    }
    assert_eq!(items, 30);
    let mut got = 1;
    let end = loop {
        match hoard.recv().await {
            Some(Ok(_)) => got += 1,
            Some(Err(error)) => break error,
            None => panic!("a clean end after {got} of 110 items"),
        }
    };
    assert!(matches!(end, CallError::Overrun), "{end:?}");
    assert!(got * (10_000 + 128) <= 64 * 1024, "{got} items were out");
    settled(&pair).await;
}

fn builder(names: &[&str]) -> Builder {
    Manager::builder(NAMES[0])
        .peers(names.iter().copied())
        .auth(NoAuth)
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_told_with_value_and_list() {
    let list = format!("{NAMES:?}");
    let error = Manager::builder(NAMES[0]).peers(NAMES).build().unwrap_err();
    assert!(matches!(error, BuildError::NoAuth { .. }), "{error}");

    for (local, peers, quoted) in [
        ("http://c:9000", vec![NAMES[0], NAMES[1]], "http://c:9000"),
        ("http://A:9000", vec![NAMES[0], NAMES[1]], "http://A:9000"),
        ("http://a:9000/", vec![NAMES[0], NAMES[1]], "http://a:9000/"),
        ("a:9000", vec![NAMES[0], NAMES[1]], "a:9000"),
        (NAMES[0], vec![NAMES[0], NAMES[1], NAMES[0]], NAMES[0]),
        (NAMES[0], vec![NAMES[0], NAMES[1], NAMES[1]], NAMES[1]),
        (
            NAMES[0],
            vec![NAMES[0], "http://b:9000/x"],
            "http://b:9000/x",
        ),
        (NAMES[0], vec![NAMES[0], "http://B:9000"], "http://B:9000"),
        (NAMES[0], vec![NAMES[1]], NAMES[0]),
    ] {
        let error = Manager::builder(local)
            .peers(peers.clone())
            .auth(NoAuth)
            .build()
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("{quoted:?}")),
            "{text} should quote {quoted}"
        );
        assert!(
            text.contains(&format!("{peers:?}")),
            "{text} should list {peers:?}"
        );
        if peers == NAMES {
            assert!(text.contains(&list));
        }
    }
    let error = builder(&NAMES).path("grid").build().unwrap_err();
    assert!(error.to_string().contains("\"grid\""), "{error}");
    let error = builder(&NAMES)
        .settings(Settings::new().max_streams(0))
        .build()
        .unwrap_err();
    assert_eq!(error.to_string(), "setting max_streams can't be 0");
    let error = builder(&NAMES)
        .settings(Settings::new().ping_interval(Duration::ZERO))
        .build()
        .unwrap_err();
    assert_eq!(error.to_string(), "setting ping_interval can't be 0ns");
}
