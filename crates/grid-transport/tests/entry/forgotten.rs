//! A token or secret that is empty makes no open grid: only `NoAuth` does.

use grid_transport::{Builder, LinkCause, Manager, NoAuth, SharedSecret, StaticToken};

use crate::node;

const NO_TOKEN: &str =
    "the token of StaticToken is empty, with which nobody gets in: give it one, or say NoAuth";
const NO_SECRET: &str =
    "the secret of SharedSecret is empty, with which nobody gets in: give it one, or say NoAuth";

/// Two nodes over TCP, and what the one that dials says of why it is not let in.
async fn refused(configure: impl Fn(usize, Builder) -> Builder) -> ([Manager; 2], String) {
    let pair = node::pair(configure).await;
    let link = node::link(&pair[0], &pair[1]);
    let cause = node::down_because(&link, |cause| match cause {
        LinkCause::Token(_) | LinkCause::Rejected(_) => Some(cause.to_string()),
        _ => None,
    })
    .await;
    (pair, cause)
}

#[tokio::test]
async fn an_empty_token_opens_no_grid() {
    let (_nodes, cause) = refused(|_, builder| builder.auth(StaticToken::new(""))).await;
    let wanted = format!("no token to dial with: {NO_TOKEN}");
    assert!(cause.starts_with(&wanted), "{cause}");
    // Whoever shows the same nothing, and whoever shows something.
    for shown in ["", "secret"] {
        let (_nodes, cause) = refused(|index, builder| match index {
            0 if shown.is_empty() => builder.auth(NoAuth),
            0 => builder.auth(StaticToken::new(shown)),
            _ => builder.auth(StaticToken::new("")),
        })
        .await;
        let wanted = format!("auth token: {NO_TOKEN}");
        assert!(cause.contains(&wanted), "{cause}");
    }
}

#[tokio::test]
async fn an_empty_secret_opens_no_grid_until_it_is_changed() {
    let (_nodes, cause) = refused(|_, builder| builder.auth(SharedSecret::new(""))).await;
    let wanted = format!("no token to dial with: {NO_SECRET}");
    assert!(cause.starts_with(&wanted), "{cause}");

    let forgotten = SharedSecret::new("");
    let (nodes, cause) = refused(|index, builder| match index {
        0 => builder.auth(SharedSecret::new("secret")),
        _ => builder.auth(forgotten.clone()),
    })
    .await;
    let wanted = format!("auth token: {NO_SECRET}");
    assert!(cause.contains(&wanted), "{cause}");
    forgotten.change(["secret"]).unwrap();
    node::connected(&node::link(&nodes[0], &nodes[1])).await;
}
