//! Of single requests.

use std::sync::atomic::Ordering;

use grid_transport::Payload;
use grid_typed::{Role, TypedError};

use crate::common::*;
use crate::*;

#[tokio::test(start_paused = true)]
async fn c19_faults_of_a_request_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.a_to_b();
    for (request, text) in ENCODE {
        let error = CALL.call(&peer, &request.into()).await.unwrap_err();
        assert!(
            matches!(
                error,
                TypedError::Encode {
                    role: Role::Request,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.to_string(), format!("encoding the request: {text}"));
        assert!(!error.may_have_executed() && !error.is_retryable());
        well(&nodes.pair).await;
    }
    for (request, text) in DECODE {
        let error = CALL.call(&peer, &request.into()).await.unwrap_err();
        assert!(
            remote(&error).starts_with(&format!("decoding the request: {text}")),
            "{error}"
        );
        well(&nodes.pair).await;
    }
    for (payload, text) in [
        (Payload::from(JUNK), NOT_A_STR),
        (Payload::Absent, "the value is cut short at byte 0"),
        (Payload::from(b"\xa9cut"), "the value is cut short"),
    ] {
        let error = raw(&peer, CALL.id(), payload).await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("decoding the request: {text}")),
            "{error}"
        );
        well(&nodes.pair).await;
    }
    assert_eq!(nodes.calls.load(Ordering::SeqCst), 0, "no handler has run");
}

#[tokio::test(start_paused = true)]
async fn c19_faults_of_an_answer_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.b_to_a();
    for (fault, text) in ENCODE {
        let error = CALL
            .call(&peer, &format!("answer {fault}").as_str().into())
            .await
            .unwrap_err();
        assert_eq!(remote(&error), format!("encoding the response: {text}"));
        well(&nodes.pair).await;
    }
    for (fault, text) in DECODE {
        let error = CALL
            .call(&peer, &format!("answer {fault}").as_str().into())
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                TypedError::Decode {
                    role: Role::Response,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("decoding the response: {text}"))
        );
        assert!(error.may_have_executed() && !error.is_retryable());
        well(&nodes.pair).await;
    }
    assert_eq!(nodes.calls.load(Ordering::SeqCst), 4);
}

#[tokio::test(start_paused = true)]
async fn c19_faults_leave_calls_beside_them_alone_pair() {
    let nodes = nodes().await;
    let peer = nodes.pair.a_to_b();
    let mut stream = opened(&peer, &ECHO).await;
    for (number, fault) in (0..).zip([
        "encode panic",
        "decode panic",
        "answer encode panic",
        "answer decode panic",
        "encode refuse",
        "decode refuse",
    ]) {
        let bad = CALL.call(&peer, &fault.into()).timeout(LONG).into_future();
        let good = FENCE.call(&peer, &number).timeout(LONG).into_future();
        let (bad, good) = tokio::join!(bad, good);
        assert!(bad.is_err(), "{fault}");
        assert_eq!(good.unwrap(), number);
        stream
            .send(&fault.replace(' ', "-").as_str().into())
            .await
            .unwrap();
        assert_eq!(
            stream.recv().await.unwrap().unwrap().0,
            fault.replace(' ', "-")
        );
    }
    stream.finish();
    assert!(stream.recv().await.is_none());
    well(&nodes.pair).await;
}
