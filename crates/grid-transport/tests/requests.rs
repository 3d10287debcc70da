//! Single requests: every kind of answer, in both directions, whoever dialed.

mod probe;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use grid_transport::{
    CallError, Capacity, HandlerError, HandlerId, Manager, NoAuth, Payload, Settings, testing,
};
use probe::*;
use tokio::{net::TcpListener, time::Instant};

#[tokio::test(start_paused = true)]
async fn answers_of_every_kind_both_ways() {
    let pair = pair().await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        assert_eq!(
            peer.request(ECHO, "hello").await.unwrap(),
            Payload::from("hello")
        );
        assert_eq!(
            peer.request(ECHO, Payload::Absent).await.unwrap(),
            Payload::from("")
        );
        assert_eq!(peer.request(ECHO, "").await.unwrap(), Payload::from(""));
        assert_eq!(peer.request(ABSENT, "x").await.unwrap(), Payload::Absent);
        assert_eq!(peer.request(EMPTY, "x").await.unwrap(), Payload::from(""));
        let long = "e".repeat(1024);
        let error = peer.request(FAIL, long.clone()).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Remote(text) if *text == *long),
            "{error:?}"
        );
        let error = peer.request(FAIL, Payload::Absent).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Remote(text) if *text == ""),
            "{error:?}"
        );
        let error = peer.request(FAIL, b"\xff!").await.unwrap_err();
        assert_eq!(error.to_string(), "\u{fffd}!");
    }
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_text_is_never_taken_for_a_refusal() {
    let pair = pair().await;
    for text in [
        "grid: refused: overloaded",
        "Invalid Handler",
        "remote disconnected",
    ] {
        let error = pair.a_to_b().request(FAIL, text).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Remote(remote) if *remote == text),
            "{error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn subroutes_lead_to_their_own_handlers() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    let routed = peer.subroute("subroute/1");
    assert_eq!(
        routed.request(ECHO, "x").await.unwrap(),
        Payload::from("sub1:x")
    );
    let joined = peer.subroute("subroute").subroute("1");
    assert_eq!(joined.route(), Some("subroute/1"));
    assert_eq!(
        joined.request(ECHO, "x").await.unwrap(),
        Payload::from("sub1:x")
    );
    assert_eq!(peer.request(ECHO, "x").await.unwrap(), Payload::from("x"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_handler_hurts_only_its_call() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    let began = Instant::now();
    for (peer, handler) in [
        (peer.clone(), UNKNOWN),
        (peer.subroute("disk1"), ECHO),
        (peer.clone(), ITEMS),
        (peer.clone(), HandlerId::new(0)),
    ] {
        let error = peer.request(handler, "x").timeout(LONG).await.unwrap_err();
        let CallError::UnknownHandler(text) = &error else {
            panic!("{error:?}")
        };
        assert!(text.starts_with("Invalid Handler"), "{text}");
        assert!(!error.may_have_executed() && !error.is_retryable());
        let mut stream = peer
            .stream(handler, Capacity::new(1, 1), "x")
            .await
            .unwrap();
        if handler != ITEMS {
            let error = stream.recv().await.unwrap().unwrap_err();
            assert!(matches!(error, CallError::UnknownHandler(_)), "{error:?}");
            assert!(stream.recv().await.is_none());
        }
    }
    assert!(began.elapsed() < Duration::from_secs(1));
    for _ in 0..100 {
        peer.request(ECHO, "x").await.unwrap();
    }
    assert_eq!(peer.stats().reconnects, 0);
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_to_the_millisecond() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    let began = Instant::now();
    let error = peer
        .request(WAIT, "200")
        .timeout(Duration::from_millis(50))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert!(error.may_have_executed());
    let took = began.elapsed().as_millis();
    assert!((50..52).contains(&took), "{took} ms");
    let error = peer
        .request(ECHO, "x")
        .timeout(Duration::from_micros(900))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
}

#[tokio::test]
async fn payloads_up_to_the_limit_are_byte_identical() {
    let limit = 8 << 20;
    let pair = testing::pair(|builder| probe(builder).settings(Settings::new().max_message(limit)))
        .await
        .unwrap();
    let peer = pair.a_to_b();
    for len in [1, 511, 65_536, 1 << 20, (8 << 20) - 100] {
        let bytes: Vec<u8> = (0..len).map(|i: usize| (i * 31 + i / 251) as u8).collect();
        let answer = peer
            .request(ECHO, bytes.clone())
            .timeout(LONG)
            .await
            .unwrap();
        assert!(answer.as_slice() == bytes, "{len} bytes");
    }
    let error = peer.request(ECHO, vec![0; limit]).await.unwrap_err();
    assert!(
        matches!(error, CallError::TooLarge { limit: l, .. } if l == limit),
        "{error:?}"
    );
    assert!(!error.may_have_executed());
    settled(&pair).await;
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_an_error_and_not_a_silence() {
    const GROW: HandlerId = HandlerId::new(200);
    let pair = testing::pair(|builder| {
        probe(builder)
            .settings(Settings::new().max_message(100_000))
            .single(GROW, |_| async { Ok(vec![0; 200_000].into()) })
    })
    .await
    .unwrap();
    let error = pair
        .a_to_b()
        .request(GROW, "x")
        .timeout(LONG)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("over the limit of 100000"),
        "{error}"
    );
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn calls_fail_at_once_while_the_link_is_down_or_wait_if_told_to() {
    let pair = pair().await;
    let [a, b] = testing::NAMES;
    pair.net.refuse(a, b, true);
    pair.cut();
    let peer = pair.a_to_b();
    peer.watch()
        .wait_for(|state| !state.is_connected())
        .await
        .unwrap();
    let error = peer.request(ECHO, "x").await.unwrap_err();
    let CallError::NotConnected { cause } = &error else {
        panic!("{error:?}")
    };
    assert!(!cause.to_string().is_empty());
    assert!(error.is_retryable() && !error.may_have_executed());
    assert!(peer.stream(TWO_WAY, BOTH_1, "x").await.is_err());

    let began = Instant::now();
    let waiting = peer
        .request(ECHO, "x")
        .wait_ready()
        .timeout(Duration::from_secs(3));
    let error = waiting.await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected { .. }), "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 3);

    let answered = Arc::new(AtomicBool::new(false));
    let call = tokio::spawn({
        let (peer, answered) = (peer.clone(), answered.clone());
        async move {
            let answer = peer.request(ECHO, "x").wait_ready().await;
            answered.store(true, Ordering::SeqCst);
            answer
        }
    });
    tokio::task::yield_now().await;
    assert!(!answered.load(Ordering::SeqCst));
    pair.net.refuse(a, b, false);
    assert_eq!(call.await.unwrap().unwrap(), Payload::from("x"));
    assert_eq!(peer.stats().reconnects, 1);
}

#[tokio::test]
async fn two_nodes_over_tcp_call_each_other_whoever_dialed() {
    async fn node(socket: TcpListener, local: &str, names: &[String]) -> Manager {
        let builder = Manager::builder(local).peers(names.to_vec()).auth(NoAuth);
        let manager = probe(builder).build().unwrap();
        manager.serve(socket).unwrap();
        manager
    }
    let bind = || TcpListener::bind("127.0.0.1:0");
    let (one, two) = (bind().await.unwrap(), bind().await.unwrap());
    let names: Vec<String> = [&one, &two]
        .map(|socket| format!("http://{}", socket.local_addr().unwrap()))
        .into();
    let a = node(one, &names[0], &names).await;
    let b = node(two, &names[1], &names).await;
    for (from, to) in [(&a, &b), (&b, &a)] {
        let peer = from.connection(to.local()).unwrap();
        peer.connected().await.unwrap();
        assert_eq!(
            peer.request(ECHO, "hello").timeout(LONG).await.unwrap(),
            Payload::from("hello")
        );
        let large = vec![7; 40 << 20];
        let answer = peer
            .request(ECHO, large.clone())
            .timeout(LONG)
            .await
            .unwrap();
        assert!(answer.as_slice() == large);
        let mut items = peer.stream(ITEMS, OUT_1, "300").await.unwrap();
        for item in 0..300_usize {
            assert_eq!(
                items.recv().await.unwrap().unwrap().as_slice(),
                [item as u8; 4]
            );
        }
        assert!(items.recv().await.is_none());
    }
    let (sent, received) = (a.stats(), b.stats());
    assert_eq!(sent[0].bytes_out, received[0].bytes_in);
    assert_eq!(sent[0].messages_out, received[0].messages_in);
    assert!(a.shutdown(LONG).await.complete);
    assert!(b.shutdown(LONG).await.complete);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_peer_is_told_with_the_list_of_those_known() {
    let pair = pair().await;
    let error = pair.a.connection("http://c:9000").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown remote \"http://c:9000\"; known are [\"http://b:9000\"]"
    );
    assert!(
        HandlerError::from(error)
            .to_string()
            .starts_with("unknown remote")
    );
}
