#![cfg(feature = "jwt")]
//! Nodes that show each other JSON web tokens, and what the state of a link says where these are no good.

#[path = "common/logs.rs"]
mod logs;
#[path = "common/node.rs"]
mod node;
#[path = "common/raw.rs"]
mod raw;

use std::time::{Duration, SystemTime};

use grid_transport::{HandlerId, Jwt, LinkCause, Manager, StaticToken};
use tracing::Level;

use crate::{
    logs::Logs,
    node::{connected, down_because, link, pair},
};

const ECHO: HandlerId = HandlerId::new(9);
const ACCESS: &str = "grid-admin-4f1e9a";
const SECRET: &str = "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h";
const OTHER: &str = "Zk3vU8m2bT5xQ1nW7cR4yE9sL6aJ0dGf";

fn jwt() -> Jwt {
    Jwt::new(ACCESS, SECRET).unwrap()
}

async fn end(managers: &[Manager]) {
    for manager in managers {
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn nodes_with_the_same_credentials_meet_and_show_them_to_nobody() {
    let (logs, _guard) = Logs::capture_at(Level::TRACE);
    for check_headers in [false, true] {
        let managers = pair(|_, builder| {
            builder
                .auth(jwt().check_headers(check_headers))
                .single(ECHO, |request| async move { Ok(request.into_payload()) })
        })
        .await;
        let links = [
            link(&managers[0], &managers[1]),
            link(&managers[1], &managers[0]),
        ];
        for link in &links {
            connected(link).await;
            let answer = link.request(ECHO, "hello").await.unwrap();
            assert_eq!(answer.as_slice(), b"hello");
        }
        end(&managers).await;
    }
    assert!(logs.lines().len() > 4, "there is what to look at");
    shows_nothing(&logs.text());
}

/// Every token begins with the same characters.
fn shows_nothing(text: &str) {
    for secret in [ACCESS, SECRET, OTHER, "eyJ"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn with_other_credentials_the_state_tells_which_is_wrong() {
    let (logs, _guard) = Logs::capture_at(Level::TRACE);
    let late = || SystemTime::now() - Duration::from_secs(200);
    let brief = jwt().lifetime(Duration::from_secs(100)).unwrap();
    for (dialer, words) in [
        (
            Jwt::new(ACCESS, OTHER).unwrap(),
            "auth token: the token is signed with another secret key",
        ),
        (
            Jwt::new("somebody", SECRET).unwrap(),
            "auth token: the token is for another access key (sub)",
        ),
        (
            brief,
            "auth token: the token has expired by this node's clock (exp)",
        ),
    ] {
        let managers = pair(|index, builder| match index {
            0 => builder.auth(dialer.clone()).wall_clock(late),
            _ => builder.auth(jwt()),
        })
        .await;
        let link = link(&managers[0], &managers[1]);
        let told = down_because(&link, |cause| match cause {
            LinkCause::Rejected(why) => Some(why.to_string()),
            _ => None,
        })
        .await;
        assert_eq!(told, words);
        let state = link.state().to_string();
        assert!(state.contains(words), "{state}");
        shows_nothing(&format!("{state} {:?}", link.state()));
        end(&managers).await;
    }
    shows_nothing(&logs.text());
}

#[tokio::test]
async fn what_is_no_such_token_is_told_so_or_refused_by_its_headers() {
    for (check_headers, words) in [
        (false, "auth token: not a JSON web token"),
        (true, "status 403"),
    ] {
        let managers = pair(|index, builder| match index {
            0 => builder.auth(StaticToken::new("open sesame")),
            _ => builder.auth(jwt().check_headers(check_headers)),
        })
        .await;
        let link = link(&managers[0], &managers[1]);
        down_because(&link, |cause| {
            cause.to_string().contains(words).then_some(())
        })
        .await;
        end(&managers).await;
    }
}
