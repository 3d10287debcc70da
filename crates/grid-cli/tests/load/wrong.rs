//! Answers that are not the right ones.

use grid_cli::probe::{single, stream, typed};
use grid_transport::{
    Capacity, Manager, Payload, Registration, SingleHandler, StaticToken, StreamCall, StreamHandler,
};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::{
    common::{Grid, PATIENCE},
    nodes::names,
};

/// Handlers under the ids of the probe handlers, each of which does something slightly else.
fn handlers() -> Vec<Registration> {
    let shorter = |payload: Payload| {
        let bytes = payload.into_bytes();
        Payload::from(bytes.slice(..bytes.len() - 1))
    };
    vec![
        SingleHandler::new(single::ECHO, move |request| async move {
            Ok(shorter(request.into_payload()))
        })
        .into(),
        // The map without its reply.
        SingleHandler::new(typed::STRING_MAP.id(), |request| async move {
            Ok(request.into_payload())
        })
        .into(),
        // Item after item of the wrong content.
        StreamHandler::new(
            stream::COUNT_OUT_WIDE,
            Capacity::new(0, 100),
            |call: StreamCall| async move {
                for _ in 0..20 {
                    call.send(vec![0; 16]).await?;
                }
                Ok(())
            },
        )
        .into(),
        // One item less than there are.
        StreamHandler::new(
            stream::ECHO_ITEMS_WIDE,
            Capacity::new(100, 100),
            |mut call: StreamCall| async move {
                let mut last = call.recv().await;
                while let Some(item) = last {
                    last = call.recv().await;
                    if last.is_some() {
                        call.send(item?).await?;
                    }
                }
                Ok(())
            },
        )
        .into(),
        // Items in another order.
        StreamHandler::new(
            stream::ECHO_ITEMS,
            Capacity::new(1, 1),
            |mut call: StreamCall| async move {
                let mut items = Vec::new();
                while let Some(item) = call.recv().await {
                    items.push(item?);
                }
                items.rotate_left(1);
                for item in items {
                    call.send(item).await?;
                }
                Ok(())
            },
        )
        .into(),
        StreamHandler::new(
            stream::COUNT_IN,
            Capacity::new(1, 1),
            |mut call: StreamCall| async move {
                let mut count = 1;
                while let Some(item) = call.recv().await {
                    item?;
                    count += 1;
                }
                call.send(count.to_string().into_bytes()).await?;
                Ok(())
            },
        )
        .into(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_wrong_is_a_failure() {
    let [first, _, spare] = names();
    let mut builder = Manager::builder(first.as_str())
        .peers([&first, &spare])
        .auth(StaticToken::new("secret"));
    for handler in handlers() {
        builder = builder.register(handler);
    }
    let node = builder.build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dial = format!("{first}={}", listener.local_addr().unwrap());
    let _serving = node.serve(listener).unwrap();
    let peers = format!("{first},{spare}");
    for name in [
        "echo",
        "string-map",
        "items-100",
        "echo-100",
        "echo-1",
        "count-1",
    ] {
        let words = [
            "load",
            "--to",
            &first,
            "--local",
            &spare,
            "--peers",
            &peers,
            "--dial",
            &dial,
            "--listen",
            "127.0.0.1:0",
            "--handler",
            name,
            "--size",
            "16",
            "--count",
            "20",
            "--par",
            "2",
            "--seconds",
            "0.1",
            "--warmup",
            "0",
            "--json",
            "-q",
        ];
        let load = Grid::start(&words);
        let ended = tokio::task::spawn_blocking(move || load.ended(PATIENCE))
            .await
            .unwrap();
        assert_eq!(ended.status.code(), Some(1), "{name}: {ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["operations"], 0, "{name}: {report}");
        let wrong = report["errors"]["wrong_answer"].as_u64();
        assert!(wrong.is_some_and(|wrong| wrong >= 2), "{name}: {report}");
        // It has no handler 46.
        assert_eq!(report["cpu_s_per_million"]["handler"], Value::Null);
    }
}
