//! What the nodes serve each other. Every handler checks what it gets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use grid_transport::{
    Builder, Capacity, HandlerError, HandlerId, Payload, Request, SingleHandler, StreamCall,
    StreamHandler,
};
use grid_typed::{ManagerBuilderExt as _, Single, Streaming, TypedStreamCall};
use serde::{Deserialize, Serialize};

use crate::{
    pattern::{self, Head},
    tally::Tally,
    words::Broken,
};

/// Answers with as many bytes as it got, others for each route.
pub const ECHO: HandlerId = HandlerId::new(200);
/// Fails with a text that only this call can have.
pub const FAIL: HandlerId = HandlerId::new(201);
/// Echoes after as many milliseconds as it is told.
pub const SLOW: HandlerId = HandlerId::new(202);
/// The same; it is dropped when its caller goes.
pub const SLOW_ABORT: HandlerId = HandlerId::new(203);
/// Panics.
pub const PANIC: HandlerId = HandlerId::new(204);
/// Gets nothing and gives nothing.
pub const EMPTY: HandlerId = HandlerId::new(205);
/// Echoes from a thread that it blocks.
pub const BLOCKING: HandlerId = HandlerId::new(206);
/// Nobody serves it.
pub const NOBODY: HandlerId = HandlerId::new(249);

/// Sends as many items as it is told; fails after them where [`FAILS`] is set.
pub const OUT: [(HandlerId, Capacity); 3] = [
    (HandlerId::new(210), Capacity::new(0, 1)),
    (HandlerId::new(211), Capacity::new(0, 16)),
    (HandlerId::new(212), Capacity::new(0, 1000)),
];
/// Takes as many items as it is told, and then sends one that says so.
pub const IN: [(HandlerId, Capacity); 2] = [
    (HandlerId::new(213), Capacity::new(1, 1)),
    (HandlerId::new(214), Capacity::new(16, 1)),
];
/// Takes as many items as it is told, and says nothing.
pub const IN_ONLY: (HandlerId, Capacity) = (HandlerId::new(215), Capacity::new(8, 0));
/// Sends each item back.
pub const BOTH: [(HandlerId, Capacity); 2] = [
    (HandlerId::new(216), Capacity::new(1, 1)),
    (HandlerId::new(217), Capacity::new(32, 32)),
];
/// In an order to [`OUT`]: fail after the items.
pub const FAILS: u32 = 1 << 31;
/// The routes that [`ECHO`] is also served under.
pub const ROUTES: [&str; 2] = ["disk1", "disk2/part"];

/// A value of most of the kinds that there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Value {
    /// What the rest follows from.
    pub number: u64,
    /// Below zero or not.
    pub signed: i64,
    /// A text.
    pub name: String,
    /// Bytes.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
    /// A list.
    pub parts: Vec<i32>,
    /// There or not.
    pub maybe: Option<bool>,
}

/// One value there, another back.
pub static TYPED: Single<Value, Value> = Single::new(HandlerId::new(220));
/// As many values as it is told.
pub static TYPED_OUT: Streaming<Value, std::convert::Infallible, Value> =
    Streaming::new(HandlerId::new(221), Capacity::new(0, 4));
/// Each value, changed.
pub static TYPED_BOTH: Streaming<Value, Value, Value> =
    Streaming::new(HandlerId::new(222), Capacity::new(4, 4));

/// The value that follows from a number.
#[must_use]
pub fn value(number: u64) -> Value {
    Value {
        number,
        signed: number as i64,
        name: pattern::word(number, "name"),
        data: pattern::item(number, 0).to_vec(),
        parts: (0..number % 9)
            .map(|part| (number >> part) as i32)
            .collect(),
        maybe: [None, Some(false), Some(true)][number as usize % 3],
    }
}

/// What an echo answers to a number, by its route.
#[must_use]
pub fn echoed(number: u64, route: Option<&str>) -> u64 {
    pattern::derived(number, route.map_or(1, |route| 2 + route.len() as u64))
}

/// All handlers.
pub fn register(builder: Builder, tally: &Tally) -> Builder {
    let mut builder = builder;
    for route in [None, Some(ROUTES[0]), Some(ROUTES[1])] {
        let tally = tally.clone();
        let mut handler = SingleHandler::new(ECHO, move |request: Request| {
            let answer = echo(&request, &tally);
            async move { answer }
        });
        if let Some(route) = route {
            handler = handler.subroute(route);
        }
        builder = builder.register(handler);
    }
    builder = builder
        .register(slow(SLOW, tally))
        .register(slow(SLOW_ABORT, tally).abort_on_cancel());
    let (failing, panicking, empty, blocking) =
        (tally.clone(), tally.clone(), tally.clone(), tally.clone());
    builder = builder
        .single(FAIL, move |request| {
            let head = head(request.payload(), "request to fail", &failing);
            async move { Err(HandlerError::new(pattern::word(head?.number, "failed"))) }
        })
        .single(PANIC, move |request| {
            let head = head(request.payload(), "request to panic", &panicking);
            async move { panic!("{}", pattern::word(head?.number, "panic")) }
        })
        .single(EMPTY, move |request| {
            if !request.payload().is_empty() {
                empty.wrong(Broken::WrongAnswer, "a request should have been empty");
            }
            async { Ok(Payload::from(Bytes::new())) }
        })
        .register(
            SingleHandler::new(BLOCKING, move |request: Request| {
                let answer = echo(&request, &blocking);
                async move { answer }
            })
            .blocking(),
        );
    register_typed(register_streams(builder, tally), tally)
}

fn slow(id: HandlerId, tally: &Tally) -> SingleHandler {
    let tally = tally.clone();
    SingleHandler::new(id, move |request: Request| {
        let tally = tally.clone();
        async move {
            let head = head(request.payload(), "slow request", &tally)?;
            tokio::time::sleep(Duration::from_millis(u64::from(head.order))).await;
            echo(&request, &tally)
        }
    })
}

/// What a request says, which no network may change.
fn head(payload: &Payload, what: &str, tally: &Tally) -> Result<Head, HandlerError> {
    pattern::read(payload.as_slice())
        .inspect(|_| tally.checked(payload.len()))
        .ok_or_else(|| {
            let wrong = format!("a {what} arrived with wrong content");
            tally.wrong(Broken::WrongAnswer, wrong.clone());
            HandlerError::new(wrong)
        })
}

fn echo(request: &Request, tally: &Tally) -> Result<Payload, HandlerError> {
    let head = head(request.payload(), "request", tally)?;
    let number = echoed(head.number, request.context().subroute());
    Ok(pattern::make(Head { number, ..head }).into())
}

fn register_streams(mut builder: Builder, tally: &Tally) -> Builder {
    for (id, capacity) in OUT {
        let tally = tally.clone();
        builder = builder.stream(id, capacity, move |call| out(call, tally.clone()));
    }
    for (id, capacity) in IN.into_iter().chain([IN_ONLY]) {
        let tally = tally.clone();
        builder = builder.stream(id, capacity, move |call| take(call, tally.clone()));
    }
    for (id, capacity) in BOTH {
        let tally = tally.clone();
        builder = builder.register(StreamHandler::new(id, capacity, move |call| {
            both(call, tally.clone())
        }));
    }
    builder
}

async fn out(call: StreamCall, tally: Tally) -> Result<(), HandlerError> {
    let head = head(call.payload(), "stream out", &tally)?;
    for place in 0..head.order & !FAILS {
        call.send(pattern::item(head.number, place)).await?;
    }
    if head.order & FAILS != 0 {
        return Err(HandlerError::new(pattern::word(head.number, "failed")));
    }
    Ok(())
}

/// Takes all items; the end of them is only seen when all were sent.
async fn take(mut call: StreamCall, tally: Tally) -> Result<(), HandlerError> {
    let head = head(call.payload(), "stream in", &tally)?;
    let mut place = 0;
    while let Some(item) = call.recv().await {
        check_item(head.number, place, item?.as_slice(), &tally)?;
        place += 1;
    }
    all_came(&head, place, &tally)?;
    if call.context().handler() != IN_ONLY.0 {
        call.send(pattern::item(head.number, place)).await?;
    }
    Ok(())
}

async fn both(mut call: StreamCall, tally: Tally) -> Result<(), HandlerError> {
    let head = head(call.payload(), "stream both ways", &tally)?;
    let mut place = 0;
    while let Some(item) = call.recv().await {
        let item = item?;
        check_item(head.number, place, item.as_slice(), &tally)?;
        call.send(item).await?;
        place += 1;
    }
    all_came(&head, place, &tally)
}

fn check_item(number: u64, place: u32, item: &[u8], tally: &Tally) -> Result<(), HandlerError> {
    if pattern::item(number, place) == item {
        tally.checked(item.len());
        return Ok(());
    }
    let wrong = format!("item {place} arrived at its handler with wrong content");
    tally.wrong(Broken::WrongAnswer, wrong.clone());
    Err(HandlerError::new(wrong))
}

fn all_came(head: &Head, count: u32, tally: &Tally) -> Result<(), HandlerError> {
    if count == head.order {
        return Ok(());
    }
    let lost = format!(
        "a handler saw the end after {count} of {} items",
        head.order
    );
    tally.wrong(Broken::LostItem, lost.clone());
    Err(HandlerError::new(lost))
}

fn register_typed(builder: Builder, tally: &Tally) -> Builder {
    let (single, outward, two_way) = (tally.clone(), tally.clone(), tally.clone());
    builder
        .typed(&TYPED, move |request: Value, _| {
            let checked = check_value(&request, &single);
            async move { checked.map(|()| value(pattern::derived(request.number, 1))) }
        })
        .typed_stream(&TYPED_OUT, move |init: Value, call| {
            typed_out(init, call, outward.clone())
        })
        .typed_stream(&TYPED_BOTH, move |init: Value, call| {
            typed_both(init, call, two_way.clone())
        })
}

/// How many values a stream has follows from its number.
#[must_use]
pub fn typed_count(number: u64) -> u64 {
    pattern::derived(number, 9) % 60
}

async fn typed_out(
    init: Value,
    call: TypedStreamCall<std::convert::Infallible, Value>,
    tally: Tally,
) -> Result<(), HandlerError> {
    check_value(&init, &tally)?;
    for place in 0..typed_count(init.number) {
        call.send(&value(pattern::derived(init.number, place)))
            .await?;
    }
    Ok(())
}

async fn typed_both(
    init: Value,
    call: TypedStreamCall<Value, Value>,
    tally: Tally,
) -> Result<(), HandlerError> {
    check_value(&init, &tally)?;
    let (_context, sender, mut receiver) = call.into_parts();
    let mut count = 0;
    while let Some(item) = receiver.try_next().await? {
        check_value(&item, &tally)?;
        if item.number != pattern::derived(init.number, count) {
            tally.wrong(Broken::WrongAnswer, "a typed item came out of order");
        }
        sender
            .send(&value(pattern::derived(item.number, 1)))
            .await?;
        count += 1;
    }
    if count != typed_count(init.number) {
        tally.wrong(Broken::LostItem, "a typed handler saw the end too early");
    }
    Ok(())
}

fn check_value(got: &Value, tally: &Tally) -> Result<(), HandlerError> {
    if *got == value(got.number) {
        tally.checked(got.data.len());
        return Ok(());
    }
    tally.wrong(Broken::WrongAnswer, "a typed value arrived changed");
    Err(HandlerError::new("a typed value arrived changed"))
}
