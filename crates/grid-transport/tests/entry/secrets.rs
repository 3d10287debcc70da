//! A token is nowhere but on the wire: not in a log of any level, a `Debug`, or the text of an error.

use std::{
    fmt::Debug,
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_proto::{
    MuxId,
    conn::handshake::{Acceptor, First},
    wire::{ConnectRequest, Message, Op, Timestamp},
};
use grid_transport::{
    Auth, AuthError, HandlerId, LinkCause, Manager, Payload, SharedSecret, StaticToken,
    TokenContext, UpgradeHeaders,
};
use tracing::Level;

use crate::{
    accepting,
    logs::Logs,
    node::{self, A, B, builder, settings},
    raw::{BINARY, Frame, PATH, Raw, TEXT, header, request, upgrade_request},
};

const SECRET: &str = "s3cret-4f1e9a";
const WRONG: &str = "s3cret-0b77c2";
/// What both have in common.
const TRACE: &str = "s3cret";

const ECHO: HandlerId = HandlerId::new(9);

/// Everything that was shown of anything, and what must not be found in it.
#[derive(Clone, Default)]
struct Shown {
    texts: Arc<Mutex<Vec<String>>>,
    tokens: Arc<Mutex<Vec<String>>>,
}

/// As it is, and as bytes are printed, in decimal and in hex; and what it is the hex of, where it is that of anything.
fn traces(secret: &str) -> Vec<String> {
    let decimal = |bytes: &[u8]| {
        let bytes: Vec<_> = bytes.iter().map(u8::to_string).collect();
        bytes.join(",")
    };
    let mut traces = vec![
        secret.to_owned(),
        decimal(secret.as_bytes()),
        hex::encode(secret),
    ];
    traces.extend(hex::decode(secret).iter().map(|bytes| decimal(bytes)));
    traces
}

impl Shown {
    /// A token that only its own node may see. What it ends in is its own: all that are made from a secret begin alike.
    fn token(&self, token: &str) {
        let own = token.rsplit('.').next().unwrap();
        self.tokens.lock().unwrap().push(own[..12].to_owned());
    }

    fn text(&self, text: impl ToString) {
        self.texts.lock().unwrap().push(text.to_string());
    }

    fn debug(&self, value: &dyn Debug) {
        self.text(format!("{value:?}"));
        self.text(format!("{value:#?}"));
    }

    fn cause(&self, cause: &LinkCause) {
        self.text(cause);
        self.debug(cause);
        let mut source = std::error::Error::source(cause);
        while let Some(error) = source {
            self.text(error);
            self.debug(&error);
            source = error.source();
        }
    }

    fn check(self, logs: &Logs, at_least: usize) {
        let mut lines = logs.lines();
        assert!(lines.len() >= at_least, "so little was logged: {lines:#?}");
        lines.extend(self.texts.lock().unwrap().drain(..));
        let mut secrets = vec![TRACE.to_owned()];
        secrets.extend(self.tokens.lock().unwrap().drain(..));
        let traces: Vec<_> = secrets.iter().flat_map(|secret| traces(secret)).collect();
        for line in lines {
            let squeezed = line.replace(['\n', ' '], "").to_lowercase();
            for trace in &traces {
                let found = line.contains(trace) || squeezed.contains(trace);
                assert!(!found, "{trace}: {line}");
            }
        }
    }
}

/// Shows what the other is given to see.
struct Showing {
    auth: Box<dyn Auth>,
    shown: Shown,
}

impl Showing {
    fn token(token: StaticToken, shown: &Shown) -> Self {
        shown.debug(&token);
        Self {
            auth: Box::new(token),
            shown: shown.clone(),
        }
    }

    fn secret(secret: &str, shown: &Shown) -> Self {
        let secret = SharedSecret::new(secret).or("s3cret-of-last-year").unwrap();
        shown.debug(&secret);
        Self {
            auth: Box::new(secret),
            shown: shown.clone(),
        }
    }
}

impl Auth for Showing {
    fn token<'a>(&'a self, context: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        self.shown.debug(&context);
        Box::pin(async move {
            let token = self.auth.token(context).await?;
            self.shown.token(&token);
            Ok(token)
        })
    }

    fn check<'a>(
        &'a self,
        token: &'a [u8],
        context: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        self.shown.debug(&context);
        Box::pin(async move {
            let checked = self.auth.check(token, context).await;
            if let Err(error) = &checked {
                self.shown.text(error);
                self.shown.debug(error);
            }
            checked
        })
    }

    fn check_headers<'a>(
        &'a self,
        headers: UpgradeHeaders<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        self.shown.debug(&headers);
        self.auth.check_headers(headers)
    }
}

/// Shows a node with all that can be asked of it.
fn show_node(shown: &Shown, manager: &Manager) {
    shown.debug(manager);
    for link in manager.connections() {
        shown.debug(&link);
        shown.debug(&link.state());
        shown.text(link.state());
        shown.debug(&link.stats());
        if let Some(cause) = link.state().last_cause() {
            shown.cause(cause);
        }
    }
}

/// What whoever sees the wire sees: the documented places, and no other.
#[tokio::test]
async fn the_token_travels_in_the_clear_and_only_when_a_connection_is_opened() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let manager = builder(A, &[B])
        .auth(StaticToken::new(SECRET))
        .dialer(node::Redirect(listener.local_addr().unwrap()))
        .build()
        .unwrap();
    let mut raw = Raw::accept(&listener).await;
    let head = raw.serve_upgrade().await;
    let bearer = format!("Bearer {SECRET}");
    assert_eq!(header(&head, "Authorization"), Some(&*bearer));
    let message = raw.read_message().await.unwrap();
    let asked = ConnectRequest::decode(&message.payload).unwrap();
    assert_eq!(asked.token, SECRET);
    raw.send_response(true, "").await;
    let link = manager.connection(B).unwrap();
    node::connected(&link).await;
    let call = tokio::spawn(link.request(ECHO, "x").into_future());
    let message = raw.read_message().await.unwrap();
    assert_eq!((message.op, &message.payload[..]), (Op::Request, &b"x"[..]));
    call.abort();
}

/// Nodes of ours, with the same secret and with different ones, in each way in which they may be checked.
#[tokio::test]
async fn no_secret_is_shown_by_nodes() {
    let (logs, _guard) = Logs::capture_at(Level::TRACE);
    let shown = Shown::default();
    for (same, strict, headers, shared) in [
        (true, false, false, false),
        (true, true, true, false),
        (false, false, false, false),
        (false, true, false, false),
        (false, false, true, false),
        (false, true, true, false),
        // Tokens that are made from a secret are always looked at in the headers as well.
        (true, false, true, true),
        (true, true, true, true),
        (false, false, true, true),
        (false, true, true, true),
    ] {
        let pair = node::pair(|index, builder| {
            let own = if same || index == 0 { SECRET } else { WRONG };
            let auth = match shared {
                true => Showing::secret(own, &shown),
                false => Showing::token(StaticToken::new(own).check_headers(headers), &shown),
            };
            let builder = builder
                .auth(auth)
                .settings(settings().strict(strict))
                .single(ECHO, |request| async move { Ok(request.into_payload()) });
            shown.debug(&builder);
            builder
        })
        .await;
        let link = node::link(&pair[0], &pair[1]);
        if same {
            node::connected(&link).await;
            link.request(ECHO, "x").await.unwrap();
        } else {
            node::down_because(&link, |cause| {
                matches!(cause, LinkCause::Rejected(_) | LinkCause::Refused { .. }).then_some(())
            })
            .await;
            let error = link
                .request(ECHO, Payload::Absent)
                .timeout(Duration::ZERO)
                .await;
            let error = error.unwrap_err();
            shown.text(&error);
            shown.debug(&error);
        }
        for manager in &pair {
            show_node(&shown, manager);
            manager.shutdown(Duration::ZERO).await;
            show_node(&shown, manager);
        }
    }
    shown.check(&logs, 20);
}

/// An acceptor that says what it was shown, as one in the recorded conversations does.
#[tokio::test]
async fn no_secret_is_shown_that_the_other_node_repeats() {
    let (logs, _guard) = Logs::capture_at(Level::TRACE);
    let shown = Shown::default();
    for auth in [
        Showing::token(StaticToken::new(SECRET), &shown),
        Showing::secret(SECRET, &shown),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let manager = builder(A, &[B])
            .auth(auth)
            .dialer(node::Redirect(listener.local_addr().unwrap()))
            .build()
            .unwrap();
        let link = manager.connection(B).unwrap();
        for reason in ["auth token: invalid token. want empty, got T", "T? T!"] {
            let mut raw = Raw::accept(&listener).await;
            let token = raw.serve_request().await.token.to_string();
            raw.send_response(false, &reason.replace('T', &token)).await;
            let told = reason.replace('T', "(the token)");
            node::down_because(&link, |cause| {
                cause.to_string().contains(&told).then_some(())
            })
            .await;
            let error = link.request(ECHO, "x").await.unwrap_err();
            shown.text(&error);
            shown.debug(&error);
            show_node(&shown, &manager);
        }
        manager.shutdown(Duration::ZERO).await;
        show_node(&shown, &manager);
    }
    shown.check(&logs, 6);
}

/// Dialers by hand, whose messages are broken where the token stands.
#[tokio::test]
async fn no_secret_is_shown_of_what_is_broken() {
    let (logs, _guard) = Logs::capture_at(Level::TRACE);
    let shown = Shown::default();
    for strict in [false, true] {
        let auth = Showing::token(StaticToken::new(SECRET), &shown);
        let settings = settings().strict(strict);
        let (address, manager) =
            accepting(&[A], |builder| builder.auth(auth).settings(settings)).await;
        let asked = request(A, WRONG);
        let connect = grid_proto::conn::handshake::connect(&asked);
        let mut payload = Vec::new();
        asked.encode(&mut payload);
        let mut other = Message::new(Op::Request, MuxId::new(1));
        other.payload = payload.into();
        let mut other_op = Vec::new();
        other.encode(&mut other_op);
        let mut as_array = connect.clone();
        let place = as_array.windows(5).position(|key| key == b"Token").unwrap();
        as_array[place + 5] = 0x9d;
        for payload in [
            connect.clone(),
            connect[..connect.len() - 3].to_vec(),
            connect[1..].to_vec(),
            other_op,
            as_array,
            SECRET.as_bytes().to_vec(),
        ] {
            for opcode in [BINARY, TEXT] {
                let mut raw = Raw::upgrade(address, PATH).await;
                raw.send_frame(&Frame {
                    opcode,
                    ..Frame::binary(payload.clone(), true)
                })
                .await;
                if let Some(response) = raw.read_response().await {
                    shown.text(&response.rejected_reason);
                    shown.debug(&response);
                }
            }
        }
        // In the head, which is refused for another reason.
        for line in [
            "X-Minio-Time: s3cret-4f1e9a",
            "Authorization: Basic s3cret-4f1e9a",
        ] {
            let mut head = upgrade_request("/nowhere");
            head.push(line.to_owned());
            let mut raw = Raw::dial(address).await;
            raw.send_head(&head).await;
            raw.read_head().await;
        }
        let (_raw, response) = Raw::connect(address, &request("http://node-z:9000", SECRET)).await;
        shown.debug(&response);
        show_node(&shown, &manager);
        manager.shutdown(Duration::ZERO).await;
    }
    shown.check(&logs, 4);
}

/// A token that no header can hold, and the values of the protocol that hold one.
#[tokio::test]
async fn no_secret_is_shown_by_values() {
    let (logs, _guard) = Logs::capture_at(Level::TRACE);
    let shown = Shown::default();
    let split = format!("{SECRET}\r\n{WRONG}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = node::Redirect(listener.local_addr().unwrap());
    let manager = builder(A, &[B])
        .auth(StaticToken::new(split))
        .dialer(redirect)
        .build()
        .unwrap();
    let link = manager.connection(B).unwrap();
    node::down_because(&link, |cause| {
        matches!(cause, LinkCause::Upgrade(_)).then_some(())
    })
    .await;
    show_node(&shown, &manager);

    let asked: ConnectRequest = request(A, SECRET);
    shown.debug(&asked);
    let bytes = grid_proto::conn::handshake::connect(&asked);
    let message = Message::decode(bytes.clone().into()).unwrap();
    shown.debug(&message);
    let first = First::Binary(bytes.clone().into());
    shown.debug(&first);
    shown.debug(&First::Text(bytes.into()));
    let acceptor = Acceptor::new(B, Timestamp::from(std::time::SystemTime::now()));
    let pending = acceptor.receive(first, |_| Some(A)).unwrap();
    shown.debug(&pending);
    shown.debug(&acceptor.admit(pending, Err("no".into()), |_| Some(A)));
    manager.shutdown(Duration::ZERO).await;
    shown.check(&logs, 1);
}
