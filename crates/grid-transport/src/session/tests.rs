//! What only the inside of a session can show.

use std::{
    future::{Future, IntoFuture},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Wake, Waker},
    time::Duration,
};

use futures_util::FutureExt;
use grid_proto::{
    HandlerId, MuxId, Payload,
    wire::{Flags, Message, Op},
};

use tokio::sync::futures::OwnedNotified;

#[path = "../../tests/common/logs.rs"]
pub(super) mod logs;

use super::{Session, core::Todo, reader::insist, run::Attached};
use crate::{
    Builder, CallError, Capacity, Connection, LinkCause, Settings,
    link::shared::LinkShared,
    stream::{Pipe, Side},
    testing::{self, Pair},
};

pub(super) const ECHO: HandlerId = HandlerId::new(200);
pub(super) const WAITS: HandlerId = HandlerId::new(201);
const NO_INPUT: HandlerId = HandlerId::new(202);

pub(super) fn handlers(builder: Builder) -> Builder {
    builder
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .stream(WAITS, Capacity::new(0, 1), |_call| std::future::pending())
        .stream(NO_INPUT, Capacity::new(0, 1), |mut call| async move {
            assert!(
                call.recv().await.is_none(),
                "a stream without input has ended input"
            );
            Ok(())
        })
}

pub(super) async fn pair(settings: Settings) -> Pair {
    testing::pair(|builder| handlers(builder.settings(settings.clone())))
        .await
        .unwrap()
}

pub(super) fn session(pair: &Pair) -> Arc<Session> {
    pair.a
        .node()
        .links
        .get(pair.b.local())
        .unwrap()
        .session()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_machine_ends_that_session_and_nothing_else() {
    let pair = pair(Settings::new()).await;
    let peer = pair.a_to_b();
    let mut stream = peer.stream(WAITS, Capacity::new(0, 1), "x").await.unwrap();
    let broken = session(&pair);
    let call = tokio::spawn(peer.request(ECHO, "x").into_future());
    let result: Option<()> = broken.with(|_| panic!("a bug"));
    assert!(result.is_none());
    let error = stream.recv().await.unwrap().unwrap_err();
    let CallError::Disconnected { cause } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**cause, LinkCause::Panicked), "{cause:?}");
    let ended = call.await.unwrap();
    assert!(matches!(
        ended,
        Err(CallError::Disconnected { .. } | CallError::NotConnected { .. })
    ));
    // Asking a broken machine does no harm.
    assert!(broken.with(|_| ()).is_none());
    drop(broken);
    let answer = peer.request(ECHO, "again").wait_ready().await.unwrap();
    assert_eq!(answer.as_slice(), b"again");
}

/// Whatever it was asked to do, those who wait for answers hear why there are none.
#[tokio::test(start_paused = true)]
async fn open_calls_hear_of_a_panic_of_the_machine() {
    for over_an_item in [false, true] {
        let pair = pair(Settings::new()).await;
        let mut call = Box::pin(pair.a_to_b().request(ECHO, "x").into_future());
        assert!((&mut call).now_or_never().is_none());
        let broken = session(&pair);
        let told = match over_an_item {
            true => broken.send_items(|_| panic!("a bug")).is_some(),
            false => broken.with::<()>(|_| panic!("a bug")).is_some(),
        };
        assert!(!told);
        drop(broken);
        let Err(CallError::Disconnected { cause }) = call.await else {
            panic!("the machine has ended");
        };
        assert!(matches!(*cause, LinkCause::Panicked), "{cause:?}");
    }
}

/// The task of a link that panics takes its session off, and whoever waits for something there is told why.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_link_is_the_cause_that_open_calls_get() {
    let pair = pair(Settings::new()).await;
    let peer = pair.a_to_b();
    let mut stream = peer.stream(WAITS, Capacity::new(0, 1), "x").await.unwrap();
    let session = session(&pair);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _attached = Attached::new(&session.link, &session);
        panic!("a panic of the link");
    }));
    assert!(panicked.is_err());
    let error = stream.recv().await.unwrap().unwrap_err();
    let CallError::Disconnected { cause } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**cause, LinkCause::Panicked), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn checksums_can_be_insisted_on() {
    let quick = Settings::new().ping_interval(Duration::from_millis(100));
    let pair = pair(quick.require_checksums(true)).await;
    let session = session(&pair);
    let mut message = Message::new(Op::Request, MuxId::new(1));
    assert!(insist(&session, message.clone()).is_err());
    message.flags |= Flags::CRC;
    assert!(insist(&session, message).is_ok());
    assert!(insist(&session, Message::new(Op::Ping, MuxId::CONNECTION)).is_ok());
    assert!(insist(&session, Message::new(Op::Ping, MuxId::new(1))).is_err());
    // Nodes of ours get along with it, pings included.
    // tidy: sleep: pings go by under paused time
    tokio::time::sleep(Duration::from_secs(5)).await;
    pair.a_to_b().request(ECHO, "x").await.unwrap();
    assert_eq!(pair.a_to_b().stats().reconnects, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_input_has_ended_input() {
    let pair = pair(Settings::new()).await;
    let mut stream = pair
        .a_to_b()
        .stream(NO_INPUT, Capacity::new(0, 1), "x")
        .await
        .unwrap();
    assert!(stream.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_leaves_nothing_behind() {
    let pair = pair(Settings::new()).await;
    let peer = pair.a_to_b();
    let old = Arc::downgrade(&session(&pair));
    let stream = peer.stream(WAITS, Capacity::new(0, 1), "x").await.unwrap();
    pair.cut();
    peer.watch()
        .wait_for(|state| !state.is_connected())
        .await
        .unwrap();
    pair.connected().await.unwrap();
    assert_eq!(
        old.strong_count(),
        0,
        "a stream's handle holds its session weakly"
    );
    drop(stream);
    let tasks = pair.a.node().tasks.len();
    for _ in 0..3 {
        pair.cut();
        peer.watch()
            .wait_for(|state| !state.is_connected())
            .await
            .unwrap();
        pair.connected().await.unwrap();
    }
    assert_eq!(
        pair.a.node().tasks.len(),
        tasks,
        "tasks of earlier sessions"
    );
}

/// What is given up at once counts as gone before it is dropped, and no longer than that.
#[tokio::test(start_paused = true)]
async fn what_was_given_up_counts_as_gone_until_it_is() {
    let pair = pair(Settings::new()).await;
    let session = session(&pair);
    let budget = &session.link.inbound;
    let (most, payload) = (budget.limit() / 4 * 3, Payload::from("x"));
    let item = || (payload.clone(), budget.charge(most).unwrap());
    let fill = |pipe: &Pipe| drop(pipe.push(item(), || None));
    let pipes = [1, 2].map(|mux| Pipe::new(&session, Side::Caller(MuxId::new(mux)), 1));
    let mut todo = Todo::default();
    fill(&pipes[0]);
    assert!(todo.is_crowded(&session));
    todo.give_up(&pipes[0], CallError::Cancelled);
    assert_eq!(budget.used(), most);
    assert!(!todo.is_crowded(&session));
    todo.run(None);
    assert_eq!(budget.used(), 0);
    fill(&pipes[1]);
    assert!(todo.is_crowded(&session));
}

/// Looks at a link each time that room is offered, which also happens when a session is off its link and the state does
/// not say so yet.
struct Look {
    peer: Connection,
    link: Arc<LinkShared>,
    armed: Mutex<Option<Pin<Box<OwnedNotified>>>>,
    /// Whether there was a session, what a call would have failed with otherwise, and the bytes both ways.
    seen: Mutex<Vec<(bool, CallError, [u64; 2])>>,
}

impl Look {
    fn new(pair: &Pair) -> Arc<Self> {
        let look = Arc::new(Self {
            peer: pair.a_to_b(),
            link: pair.a.node().links.get(pair.b.local()).unwrap(),
            armed: Mutex::default(),
            seen: Mutex::default(),
        });
        look.arm();
        look
    }

    fn arm(self: &Arc<Self>) {
        let mut offered = Box::pin(self.link.node.room.wake.clone().notified_owned());
        let waker = Waker::from(self.clone());
        let polled = offered.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let before = self.armed.lock().unwrap().replace(offered);
        drop(before);
        self.link.node.room.starve();
    }
}

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        let stats = self.peer.stats();
        self.seen.lock().unwrap().push((
            self.link.session().is_some(),
            self.link.not_connected(),
            [stats.bytes_in, stats.bytes_out],
        ));
        self.arm();
    }
}

#[tokio::test(start_paused = true)]
async fn between_a_session_and_the_state_after_it_the_cause_is_known_and_no_number_goes_back() {
    let pair = pair(Settings::new()).await;
    let peer = pair.a_to_b();
    peer.request(ECHO, "x").await.unwrap();
    let before = peer.stats();
    let look = Look::new(&pair);
    pair.cut();
    let mut states = peer.watch();
    states
        .wait_for(|state| !state.is_connected())
        .await
        .unwrap();
    // It is not all gone yet.
    let ending = peer.stats();
    pair.connected().await.unwrap();
    let after = peer.stats();
    let seen = std::mem::take(&mut *look.seen.lock().unwrap());
    drop(look.armed.lock().unwrap().take());

    let (_, error, _) = seen
        .iter()
        .find(|(is_live, ..)| !is_live)
        .expect("it looked when there was no session");
    let CallError::NotConnected { cause } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(**cause, LinkCause::Lost(_)), "{cause:?}");
    let mut bytes = vec![[before.bytes_in, before.bytes_out]];
    bytes.extend(
        seen.iter()
            .take_while(|(live, ..)| *live)
            .map(|(.., bytes)| *bytes),
    );
    bytes.extend(
        seen.iter()
            .find(|(live, ..)| !live)
            .map(|(.., bytes)| *bytes),
    );
    bytes.push([ending.bytes_in, ending.bytes_out]);
    bytes.push([after.bytes_in, after.bytes_out]);
    for pair in bytes.windows(2) {
        assert!(
            pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1],
            "{bytes:?}"
        );
    }
    assert!(ending.messages_in >= before.messages_in && after.messages_in >= ending.messages_in);
    assert_eq!((ending.round_trip, ending.queued_bytes), (None, 0));
}
