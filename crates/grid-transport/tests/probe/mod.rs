//! The probe handlers in bytes, and two nodes that have them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::{
    future::{Future, pending},
    time::Duration,
};

use grid_transport::{
    Builder, CallError, Capacity, HandlerError, HandlerId, Payload, SingleHandler, StreamCall,
    StreamHandler,
    testing::{self, Pair},
};

pub(crate) const ECHO: HandlerId = HandlerId::new(9);
pub(crate) const FAIL: HandlerId = HandlerId::new(13);
pub(crate) const WAIT: HandlerId = HandlerId::new(21);
pub(crate) const ABSENT: HandlerId = HandlerId::new(12);
pub(crate) const EMPTY: HandlerId = HandlerId::new(11);
pub(crate) const PANIC: HandlerId = HandlerId::new(14);
pub(crate) const ITEMS: HandlerId = HandlerId::new(7);
pub(crate) const ITEMS_100: HandlerId = HandlerId::new(59);
pub(crate) const TWO_WAY: HandlerId = HandlerId::new(10);
pub(crate) const TWO_WAY_100: HandlerId = HandlerId::new(22);
pub(crate) const COUNT: HandlerId = HandlerId::new(23);
pub(crate) const COUNT_100: HandlerId = HandlerId::new(60);
pub(crate) const FAIL_AFTER: HandlerId = HandlerId::new(63);
pub(crate) const PANIC_AFTER: HandlerId = HandlerId::new(70);
pub(crate) const NEVER_READS: HandlerId = HandlerId::new(64);
pub(crate) const WAITS: HandlerId = HandlerId::new(65);
pub(crate) const SLEEPS_FIRST: HandlerId = HandlerId::new(71);
/// Answers how many bytes came, and their sum.
pub(crate) const COUNT_BYTES: HandlerId = HandlerId::new(72);
pub(crate) const UNKNOWN: HandlerId = HandlerId::new(77);

/// What a request and a stream of one item cost in allocations, on both nodes together, where nobody watches: no spans, and
/// no recorder of metrics. Where they cost less than that lower it, or the tests that compare with it show nothing any more.
pub(crate) const ALLOCATIONS: [usize; 2] = [5, 16];

pub(crate) const OUT_1: Capacity = Capacity::new(0, 1);
pub(crate) const OUT_100: Capacity = Capacity::new(0, 100);
pub(crate) const BOTH_1: Capacity = Capacity::new(1, 1);
pub(crate) const BOTH_100: Capacity = Capacity::new(100, 100);
pub(crate) const IN_100: Capacity = Capacity::new(100, 1);

/// Runs a test that may not hang: a wait without end becomes a failure, under a paused clock too.
pub(crate) async fn ends<T>(test: impl Future<Output = T>) -> T {
    let in_full = std::env::var("GRID_SCALE").is_ok_and(|scale| scale == "full");
    let limit = match (paused(), in_full) {
        (true, _) => 100_000,
        (false, true) => 3_600,
        (false, false) => 200,
    };
    tokio::time::timeout(Duration::from_secs(limit), test)
        .await
        .expect("it hangs")
}

/// Whether the clock stands still while something runs; then it takes hours of it to say that nothing ever will.
fn paused() -> bool {
    let now = tokio::time::Instant::now();
    std::thread::yield_now();
    now.elapsed() == Duration::ZERO
}

/// Lets others run while something holds; not for ever.
pub(crate) async fn wait_while(mut holds: impl FnMut() -> bool) {
    // By the real clock: one that is paused stands still meanwhile.
    let began = std::time::Instant::now();
    while holds() {
        assert!(began.elapsed() < LONG, "it never changes");
        tokio::task::yield_now().await;
    }
}

/// A time that no test comes near to, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(50);

pub(crate) fn text(payload: &Payload) -> String {
    String::from_utf8_lossy(payload.as_slice()).into_owned()
}

/// `k:rest`, or `k` alone.
fn number(payload: &Payload) -> Result<(usize, String), HandlerError> {
    let text = text(payload);
    let (digits, rest) = text.split_once(':').unwrap_or((&text, ""));
    Ok((digits.parse()?, rest.to_owned()))
}

pub(crate) fn probe(builder: Builder) -> Builder {
    builder
        .single(ECHO, |request| async move {
            Ok(request.into_payload().into_bytes().into())
        })
        .register(
            SingleHandler::new(ECHO, |request| async move {
                Ok(format!("sub1:{}", text(request.payload())).into())
            })
            .subroute("subroute/1"),
        )
        .single(FAIL, |request| async move {
            Err(HandlerError::new(request.into_payload().into_bytes()))
        })
        .single(WAIT, |request| async move {
            let (millis, _) = number(request.payload())?;
            // tidy: sleep: this handler is there to take that long
            tokio::time::sleep(Duration::from_millis(millis as u64)).await;
            Ok(request.into_payload())
        })
        .single(COUNT_BYTES, |request| async move {
            let bytes = request.payload().as_slice();
            let sum: u64 = bytes.iter().map(|byte| u64::from(*byte)).sum();
            Ok(format!("{} {sum}", bytes.len()).into())
        })
        .single(ABSENT, |_| async { Ok(Payload::Absent) })
        .single(EMPTY, |_| async { Ok(Payload::from("")) })
        .single(PANIC, |request| async move {
            panic!("{}", text(request.payload()))
        })
        .stream(ITEMS, OUT_1, items)
        .stream(ITEMS_100, OUT_100, items)
        .stream(TWO_WAY, BOTH_1, echo)
        .register(StreamHandler::new(TWO_WAY, BOTH_1, echo).subroute("subroute/1"))
        .stream(TWO_WAY_100, BOTH_100, echo)
        .stream(SLEEPS_FIRST, BOTH_1, |call| async move {
            let (millis, _) = number(call.payload())?;
            // tidy: sleep: this handler does not look at its input for that long
            tokio::time::sleep(Duration::from_millis(millis as u64)).await;
            echo(call).await
        })
        .stream(COUNT, BOTH_1, count)
        .stream(COUNT_100, IN_100, count)
        .stream(FAIL_AFTER, OUT_1, |call| async move {
            let (items, text) = number(call.payload())?;
            send_messages(&call, items).await?;
            Err(HandlerError::new(text))
        })
        .stream(PANIC_AFTER, OUT_1, |call| async move {
            let (items, text) = number(call.payload())?;
            send_messages(&call, items).await?;
            panic!("{text}")
        })
        .stream(NEVER_READS, BOTH_1, |_call| pending())
        .stream(WAITS, OUT_1, |_call| pending())
}

async fn send_messages(call: &StreamCall, items: usize) -> Result<(), HandlerError> {
    for item in 0..items {
        call.send(format!("msg{item}")).await?;
    }
    Ok(())
}

async fn items(call: StreamCall) -> Result<(), HandlerError> {
    let (count, size) = number(call.payload())?;
    let size = size.parse().unwrap_or(4).max(4);
    for item in 0..count {
        call.send(vec![item as u8; size]).await?;
    }
    Ok(())
}

async fn echo(mut call: StreamCall) -> Result<(), HandlerError> {
    while let Some(item) = call.recv().await {
        call.send(item?.into_bytes()).await?;
    }
    Ok(())
}

async fn count(mut call: StreamCall) -> Result<(), HandlerError> {
    let mut count = 0;
    while let Some(item) = call.recv().await {
        item?;
        count += 1;
    }
    call.send(count.to_string()).await?;
    Ok(())
}

/// Two probe nodes on a network in memory.
pub(crate) async fn pair() -> Pair {
    testing::pair(probe).await.unwrap()
}

/// Nothing is open, served or running between the two, on either side.
pub(crate) async fn settled(pair: &Pair) {
    // A call each way behind all that was sent before: what is left then is left for good.
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        let fence = peer.request(ECHO, "fence").timeout(LONG).await;
        assert!(
            fence.is_ok() || matches!(fence, Err(CallError::UnknownHandler(_))),
            "{fence:?}"
        );
    }
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        let stats = peer.stats();
        assert_eq!(
            (stats.open_requests, stats.open_streams),
            (0, 0),
            "{stats:?}"
        );
        assert_eq!(
            (stats.serving_requests, stats.serving_streams),
            (0, 0),
            "{stats:?}"
        );
        assert_eq!(stats.queued_bytes, 0, "{stats:?}");
    }
}
