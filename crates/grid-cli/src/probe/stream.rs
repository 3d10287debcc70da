//! The handlers of streams.

use bytes::Bytes;
use grid_transport::{
    Capacity, HandlerError, HandlerId, Payload, Registration, StreamCall, StreamHandler,
};

use super::{
    single::SUBROUTE,
    text::{Numbered, numbered},
};

/// Sends the payload's number of items.
pub const COUNT_OUT: HandlerId = HandlerId::new(7);
/// The same as [`COUNT_OUT`], with room for 100 items on their way.
pub const COUNT_OUT_WIDE: HandlerId = HandlerId::new(59);
/// Echoes every item.
pub const ECHO_ITEMS: HandlerId = HandlerId::new(10);
/// The same as [`ECHO_ITEMS`], with room for 100 items on their way, both ways.
pub const ECHO_ITEMS_WIDE: HandlerId = HandlerId::new(22);
/// Counts the items and answers with one.
pub const COUNT_IN: HandlerId = HandlerId::new(23);
/// The same as [`COUNT_IN`], with room for 100 items on their way.
pub const COUNT_IN_WIDE: HandlerId = HandlerId::new(60);
/// Sends items, then fails.
pub const FAIL_LATE: HandlerId = HandlerId::new(63);
/// Sends items, then panics.
pub const PANIC_LATE: HandlerId = HandlerId::new(70);
/// Never reads, waits until it is cancelled.
pub const STUCK: HandlerId = HandlerId::new(64);
/// Takes no input, waits until it is cancelled.
pub const STUCK_OUT: HandlerId = HandlerId::new(65);
/// Echoes every item; registered only when asked for.
pub const ECHO_ON_DEMAND: HandlerId = HandlerId::new(69);

/// An item of [`COUNT_OUT`] has at least so many bytes.
pub(crate) const LEAST_ITEM: usize = 4;
/// And at most so many.
const LARGEST_ITEM: usize = 32 * 1024 * 1024;

pub(super) fn handlers(with_69: bool) -> Vec<Registration> {
    let mut all: Vec<Registration> = vec![
        StreamHandler::new(COUNT_OUT, Capacity::new(0, 1), count_out).into(),
        StreamHandler::new(COUNT_OUT_WIDE, Capacity::new(0, 100), count_out).into(),
        StreamHandler::new(ECHO_ITEMS, Capacity::new(1, 1), echo).into(),
        StreamHandler::new(ECHO_ITEMS, Capacity::new(1, 1), echo)
            .subroute(SUBROUTE)
            .into(),
        StreamHandler::new(ECHO_ITEMS_WIDE, Capacity::new(100, 100), echo).into(),
        StreamHandler::new(COUNT_IN, Capacity::new(1, 1), count_in).into(),
        StreamHandler::new(COUNT_IN_WIDE, Capacity::new(100, 1), count_in).into(),
        StreamHandler::new(FAIL_LATE, Capacity::new(0, 1), fail_late).into(),
        StreamHandler::new(PANIC_LATE, Capacity::new(0, 1), panic_late).into(),
        StreamHandler::new(STUCK, Capacity::new(1, 1), stuck).into(),
        StreamHandler::new(STUCK_OUT, Capacity::new(0, 1), stuck).into(),
    ];
    if with_69 {
        all.push(StreamHandler::new(ECHO_ON_DEMAND, Capacity::new(1, 1), echo).into());
    }
    all
}

/// `N` or `N:size`: N items, every byte of item i being i mod 256.
async fn count_out(call: StreamCall) -> Result<(), HandlerError> {
    let payload = call.payload().clone();
    let Numbered { number, rest } = numbered(payload.as_slice()).map_err(HandlerError::new)?;
    let size = match rest {
        None => LEAST_ITEM,
        Some(digits) => {
            let size = numbered(digits).map_err(HandlerError::new)?.number;
            match usize::try_from(size) {
                Ok(size) if size <= LARGEST_ITEM => size.max(LEAST_ITEM),
                _ => {
                    return Err(HandlerError::new(format!(
                        "items of {size} bytes are too large"
                    )));
                }
            }
        }
    };
    for item in 0..number {
        // The remainder of a division by 256 is a byte.
        call.send(vec![(item % 256) as u8; size]).await?;
    }
    Ok(())
}

async fn echo(mut call: StreamCall) -> Result<(), HandlerError> {
    while let Some(item) = call.recv().await {
        // An absent item goes back as present and empty: callers count only those.
        call.send(Payload::from(item?.into_bytes())).await?;
    }
    Ok(())
}

async fn count_in(mut call: StreamCall) -> Result<(), HandlerError> {
    let mut count = 0_u64;
    while let Some(item) = call.recv().await {
        item?;
        count += 1;
    }
    call.send(count.to_string().into_bytes()).await?;
    Ok(())
}

/// `k:text`: sends `msg0` … `msg{k-1}` and gives the text back.
async fn send_then_text(call: &StreamCall) -> Result<Bytes, HandlerError> {
    let payload = call.payload().clone().into_bytes();
    let Numbered { number, rest } = numbered(&payload).map_err(HandlerError::new)?;
    let text = rest.map(|rest| payload.slice_ref(rest)).unwrap_or_default();
    for item in 0..number {
        call.send(format!("msg{item}").into_bytes()).await?;
    }
    Ok(text)
}

async fn fail_late(call: StreamCall) -> Result<(), HandlerError> {
    Err(HandlerError::new(send_then_text(&call).await?))
}

async fn panic_late(call: StreamCall) -> Result<(), HandlerError> {
    let text = send_then_text(&call).await?;
    panic!("{}", String::from_utf8_lossy(&text))
}

async fn stuck(call: StreamCall) -> Result<(), HandlerError> {
    call.context().cancelled().await;
    Ok(())
}
