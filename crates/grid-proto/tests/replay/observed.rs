//! Compares what the application saw with what was observed at the recorded end: results, errors by class, items, and
//! what became of handlers.
//!
//! Two things the reference told its callers are read as what they were:
//!
//! - "remote disconnected" at the time of the call's own deadline is the deadline. It is all that the handler's node
//!   says when its clock is the first to tell, and a caller that knows its deadline reports that (protocol section 7,
//!   annex 40).
//! - A stream that ended without an error, though no message said so, had more items than its capacity allows (annex
//!   43). Ours delivers what the capacity allows and ends it with an error.

use grid_proto::{
    Payload, SubrouteId,
    conn::{CallError, CancelReason},
    wire::{Flags, Op},
};
use serde_json::Value;

use super::{
    differences::Change,
    node::Saw,
    routes::SUBROUTE,
    run::Run,
    script::{Act, When},
};

/// How a call ended, as far as it can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Class {
    Well,
    GaveUp,
    Deadline,
    Disconnected,
    OutOfSequence,
    Terminated,
    TooMany,
    Told(String),
    Other(String),
}

/// Whether the application saw what was observed, but for `change`; if not, what it saw instead.
pub(crate) fn same(run: &Run, change: Option<&Change>) -> Result<(), String> {
    let observed = run.recording.observed(run.role);
    let of = |names: &[&str]| -> Vec<&Value> {
        let is = |event: &&&Value| names.contains(&event["event"].as_str().unwrap());
        observed.iter().filter(is).copied().collect()
    };
    answers_came_as_they_were_sent(run)?;
    starts(run, &of(&["block_start", "stream_start", "single"]))?;
    ends_of_input(run, &of(&["stream_in_closed"]))?;
    cancels(
        run,
        &of(&["block_cancelled", "stream_ctx_done", "stream_in_closed"]),
    )?;
    let results = of(&["request_result", "typed_result", "stream_result"]);
    let results: Vec<Class> = results
        .iter()
        .map(|event| class_observed(run, event))
        .collect();
    let items: Vec<Payload> = of(&["stream_response"]).into_iter().map(item).collect();
    ends_of_calls(run, change, results, items)
}

/// Every answer that was taken in is what the peer sent for that number.
fn answers_came_as_they_were_sent(run: &Run) -> Result<(), String> {
    let received = run.recording.received(run.role);
    for saw in &run.outcome.saw {
        let Saw::Ended {
            mux,
            stream: false,
            outcome: Some(Ok(payload)),
        } = saw
        else {
            continue;
        };
        let answer = received.iter().find_map(|(_, message)| {
            let is = message.op == Op::Response && message.mux.get() == *mux;
            is.then(|| message.content())
        });
        check("answer", answer.as_ref(), Some(payload))?;
    }
    Ok(())
}

fn starts(run: &Run, observed: &[&Value]) -> Result<(), String> {
    let started: Vec<&Saw> = saw(run, |saw| matches!(saw, Saw::Started { .. }));
    // Not every handler of the recordings told when it started.
    for (event, started) in observed.iter().zip(&started) {
        let Saw::Started {
            stream,
            handler,
            subroute,
            payload,
            ..
        } = started
        else {
            continue;
        };
        check("kind", event["event"] != "single", *stream)?;
        match event["payload"].as_str() {
            Some(text) => check("payload", text.as_bytes(), payload.as_slice())?,
            None => {
                let len = event
                    .get("len")
                    .or_else(|| event.get("payload_len"))
                    .unwrap();
                let nil = event
                    .get("nil")
                    .or_else(|| event.get("payload_nil"))
                    .unwrap();
                check("length", len.as_u64().unwrap(), payload.len() as u64)?;
                check("absence", nil.as_bool().unwrap(), payload.is_absent())?;
            }
        }
        if let Some(id) = event["id"].as_u64() {
            check("handler", id, u64::from(*handler))?;
        }
        if let Some(route) = event["subroute"].as_str() {
            let id = SubrouteId::new(grid_proto::HandlerId::new(*handler), SUBROUTE);
            check("subroute", (route == SUBROUTE).then_some(id), *subroute)?;
        }
    }
    check("started", observed.len().max(started.len()), started.len())
}

fn ends_of_input(run: &Run, observed: &[&Value]) -> Result<(), String> {
    for event in observed {
        let count = event
            .get("counted")
            .or_else(|| event.get("echoed"))
            .unwrap();
        let received = saw(run, |saw| matches!(saw, Saw::Received)).len();
        check("items received", count.as_u64().unwrap(), received as u64)?;
        let ended = saw(run, |saw| matches!(saw, Saw::InputEnded)).len();
        check("ends of input", event["ctx_err"] == "<nil>", ended == 1)?;
    }
    Ok(())
}

fn cancels(run: &Run, observed: &[&Value]) -> Result<(), String> {
    let observed: Vec<&&Value> = observed
        .iter()
        .filter(|event| event["ctx_err"] != "<nil>")
        .collect();
    let cancelled = saw(run, |saw| matches!(saw, Saw::Cancelled(_)));
    check("cancelled handlers", observed.len(), cancelled.len())?;
    for (event, cancelled) in observed.iter().zip(cancelled) {
        let Saw::Cancelled(why) = cancelled else {
            continue;
        };
        check(
            "deadline as the reason",
            event["cause"] == "context deadline exceeded",
            *why == CancelReason::Deadline,
        )?;
        if let Some(had) = event["had_deadline"].as_bool() {
            let has = saw(run, |saw| {
                matches!(saw, Saw::Started { deadline: true, .. })
            })
            .len()
                == 1;
            check("handler's deadline", had, has)?;
        }
    }
    Ok(())
}

fn ends_of_calls(
    run: &Run,
    change: Option<&Change>,
    results: Vec<Class>,
    items: Vec<Payload>,
) -> Result<(), String> {
    let ends: Vec<Class> = run.outcome.saw.iter().filter_map(class).collect();
    let taken: Vec<Payload> = run
        .outcome
        .saw
        .iter()
        .filter_map(|saw| match saw {
            Saw::Item(payload) => Some(payload.clone()),
            _ => None,
        })
        .collect();
    if let Some(other) = change.and_then(|change| change.disconnected_after) {
        let other: Vec<Payload> = other.iter().map(|item| item.payload()).collect();
        check("items but for the difference", &other, &taken)?;
        return check(
            "results but for the difference",
            vec![Class::Disconnected],
            ends,
        );
    }
    if results.is_empty() {
        // Nothing was told: every call of these files is answered well.
        return check("results", vec![Class::Well; ends.len()], ends);
    }
    check("results", &results, &ends)?;
    match results[..] {
        [Class::TooMany] => check("items", &items[..1], &taken[..]),
        // A caller that gives up in the middle of an item told nothing of its items.
        [Class::GaveUp] if items.is_empty() => Ok(()),
        _ => check("items", &items[..], &taken[..]),
    }
}

fn class(saw: &Saw) -> Option<Class> {
    let Saw::Ended { outcome, .. } = saw else {
        return None;
    };
    Some(match outcome {
        None => Class::GaveUp,
        Some(Ok(_)) => Class::Well,
        Some(Err(error)) => match error {
            CallError::Remote(text) => Class::Told(text.to_string()),
            CallError::Rejected(rejection) => Class::Told(rejection.to_string()),
            CallError::RemoteDisconnected | CallError::NoPong => Class::Disconnected,
            CallError::Deadline => Class::Deadline,
            CallError::Terminated { .. } => Class::Terminated,
            CallError::OutOfSequence { .. } => Class::OutOfSequence,
            CallError::CapacityMismatch { .. } => Class::TooMany,
            other => Class::Other(other.to_string()),
        },
    })
}

fn class_observed(run: &Run, event: &Value) -> Class {
    let Some(text) = event["error"].as_str() else {
        let received = run.recording.received(run.role);
        let said = |op: Op| {
            received
                .iter()
                .any(|(_, message)| message.op == op && message.flags.contains(Flags::EOF))
        };
        let stream = event["event"] == "stream_result";
        return if stream && !said(Op::MuxServerMsg) {
            Class::TooMany
        } else {
            Class::Well
        };
    };
    match text {
        "context canceled" | "custom cause" | "callback failed" => Class::GaveUp,
        "context deadline exceeded" => Class::Deadline,
        "remote disconnected" if at_its_deadline(run, event) => Class::Deadline,
        "remote disconnected" => Class::Disconnected,
        "out-of-sequence item received" => Class::OutOfSequence,
        "remote terminated call" => Class::Terminated,
        text => Class::Told(text.to_owned()),
    }
}

/// Whether a call ended within 5 ms of the deadline that the table gives it.
fn at_its_deadline(run: &Run, event: &Value) -> bool {
    let calls = run.replay.caller.unwrap_or_default();
    calls.iter().any(|step| match (step.when, step.act) {
        (When::At(at), Act::Call(call)) => call
            .within
            .is_some_and(|within| (at + within - event["t_ms"].as_f64().unwrap()).abs() < 5.0),
        _ => false,
    })
}

/// An item that the recorded caller told of.
fn item(event: &Value) -> Payload {
    let bytes = match (&event["hex"], &event["text"]) {
        (Value::String(text), _) => hex::decode(text).unwrap(),
        (_, text) => text.as_str().unwrap().as_bytes().to_vec(),
    };
    if event["nil"] == true {
        Payload::Absent
    } else {
        bytes.into()
    }
}

fn saw(run: &Run, is: impl Fn(&Saw) -> bool) -> Vec<&Saw> {
    run.outcome.saw.iter().filter(|saw| is(saw)).collect()
}

fn check<T: PartialEq + std::fmt::Debug>(what: &str, observed: T, seen: T) -> Result<(), String> {
    if observed == seen {
        Ok(())
    } else {
        Err(format!("{what}: observed {observed:?}, seen {seen:?}"))
    }
}
