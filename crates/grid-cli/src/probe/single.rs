//! The raw handlers of single requests.

use std::time::Duration;

use bytes::Bytes;
use grid_transport::{HandlerError, HandlerId, Payload, Registration, Request, SingleHandler};

use super::{text::numbered, usage::Usage};

/// Echoes the payload; an absent one comes back present and empty.
pub const ECHO: HandlerId = HandlerId::new(9);
/// Answers present and empty.
pub const EMPTY: HandlerId = HandlerId::new(11);
/// Answers absent.
pub const ABSENT: HandlerId = HandlerId::new(12);
/// Fails with the payload as the text.
pub const FAIL: HandlerId = HandlerId::new(13);
/// Panics with the payload as the text.
pub const PANIC: HandlerId = HandlerId::new(14);
/// Waits for the payload's number of milliseconds, then echoes.
pub const SLEEP: HandlerId = HandlerId::new(21);
/// Answers the processor seconds of the node as JSON.
pub const USAGE: HandlerId = HandlerId::new(46);
/// The subroute under which [`ECHO`] and the echo stream are registered too.
pub const SUBROUTE: &str = "subroute/1";

/// No handler waits longer.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3_600);

pub(super) fn handlers() -> Vec<Registration> {
    vec![
        SingleHandler::new(ECHO, |request| async move { Ok(present(request)) }).into(),
        SingleHandler::new(ECHO, |request| async move {
            Ok(Payload::from(
                [b"sub1:", request.payload().as_slice()].concat(),
            ))
        })
        .subroute(SUBROUTE)
        .into(),
        SingleHandler::new(EMPTY, |_| async { Ok(Payload::from(Bytes::new())) }).into(),
        SingleHandler::new(ABSENT, |_| async { Ok(Payload::Absent) }).into(),
        SingleHandler::new(FAIL, fail).into(),
        SingleHandler::new(PANIC, panic).into(),
        SingleHandler::new(SLEEP, sleep).into(),
        SingleHandler::new(USAGE, |_| async {
            let text = serde_json::to_vec(&Usage::now()?)?;
            Ok(Payload::from(text))
        })
        .into(),
    ]
}

/// What an echo answers: always present.
fn present(request: Request) -> Payload {
    Payload::from(request.into_payload().into_bytes())
}

async fn fail(request: Request) -> Result<Payload, HandlerError> {
    Err(HandlerError::new(request.into_payload().into_bytes()))
}

async fn panic(request: Request) -> Result<Payload, HandlerError> {
    panic!("{}", String::from_utf8_lossy(request.payload().as_slice()))
}

async fn sleep(request: Request) -> Result<Payload, HandlerError> {
    let milliseconds = numbered(request.payload().as_slice())
        .map_err(HandlerError::new)?
        .number;
    // tidy: sleep: this handler is there to take that long
    tokio::time::sleep(Duration::from_millis(milliseconds).min(LONGEST_SLEEP)).await;
    Ok(present(request))
}
