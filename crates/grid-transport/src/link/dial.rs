//! The dialer's handshake (protocol section 2).

use std::{future::Future, io, sync::Arc, time::Duration};

use grid_proto::{
    conn::handshake::{self, Acceptance},
    wire::{ConnectRejection, ConnectRequest, Timestamp},
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{EXTRA, replay::REPLAYED, shared::LinkShared};
use crate::{
    auth::TokenContext,
    io::BoxIo,
    session::{Established, PeerInfo},
    state::LinkCause,
    ws::{self, Credentials, Incoming, UpgradeError, Ws, WsError},
};

/// One attempt: from the look-up of the name to the acceptor's yes. When it fails, its socket is closed.
///
/// # Cancel safety
///
/// Dropping the future closes the socket.
pub(super) async fn connect(link: &LinkShared) -> Result<Established, LinkCause> {
    let node = &link.node;
    let settings = &node.settings;
    let io = within(
        settings.dial_timeout,
        node.dialer.dial(&link.target),
        |after| Err(io::Error::other(DialTimeout(after))),
    );
    let io = io.await.map_err(dial_cause)?;

    // Before it is shown the token.
    if let Some(names) = (*io).peer_names()
        && !names.cover(&link.target)
    {
        return Err(LinkCause::Unproven {
            name: link.name.clone(),
        });
    }

    let handshake = within(settings.handshake_timeout, open(link, io), |after| {
        Err(LinkCause::HandshakeTimeout { after })
    });
    let (mut ws, acceptance) = handshake.await?;
    ws.established(settings);
    Ok(Established {
        ws,
        peer: PeerInfo {
            id: acceptance.id,
            extra: acceptance.extra,
        },
        since: Instant::now(),
        replaced: CancellationToken::new(),
    })
}

async fn open(link: &LinkShared, io: BoxIo) -> Result<(Ws, Acceptance), LinkCause> {
    let node = &link.node;
    let now = node.wall_clock();
    let context = TokenContext::new(&node.local, &link.name, now);
    let token = node.auth.token(context).await.map_err(LinkCause::Token)?;
    let credentials = Credentials { token: &token, now };
    let mut ws = ws::upgrade(io, &link.target, &node.path, credentials, &node.settings)
        .await
        .map_err(upgrade_cause)?;
    let request = ConnectRequest {
        id: node.id,
        host: (&*node.local).into(),
        time: link.times.next(Timestamp::from(node.wall_clock())),
        token: token.as_str().into(),
        extra: Some(EXTRA),
    };
    match greet(&mut ws, &request).await {
        Ok(acceptance) => Ok((ws, acceptance)),
        Err(cause) => {
            // One that was used before is remembered, and the time after it is needed.
            if matches!(&cause, LinkCause::Rejected(why) if why.to_string() != REPLAYED) {
                link.times.rejected();
            }
            let (reader, writer) = ws.split();
            ws::hang_up(reader, writer, None).await;
            Err(without_token(cause, &token))
        }
    }
}

async fn greet(ws: &mut Ws, request: &ConnectRequest) -> Result<Acceptance, LinkCause> {
    ws.writer.send(handshake::connect(request).into()).await?;
    match ws.reader.next_of_any_kind().await {
        Ok(Incoming::Binary(bytes)) => Ok(handshake::read_response(bytes)?),
        Ok(Incoming::Text(_)) => Err(LinkCause::Handshake("the answer is text".into())),
        Err(WsError::Eof) => Err(LinkCause::Handshake(
            "the remote left without an answer".into(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// The fewest bytes of a token that is taken out of a text: a shorter one is no secret, and may be part of any word.
const LEAST_SECRET: usize = 4;

/// An acceptor may repeat in its reason what it was shown, as one in the recorded conversations does
/// (`reject_wrong_token`). A reason is logged and shown, and a token must not be.
fn without_token(cause: LinkCause, token: &str) -> LinkCause {
    if token.len() < LEAST_SECRET {
        return cause;
    }
    let without = |text: &str| {
        let found = text.contains(token);
        found.then(|| text.replace(token, "(the token)"))
    };
    let told = match &cause {
        LinkCause::Rejected(why) => without(&why.to_string())
            .map(|text| LinkCause::Rejected(ConnectRejection::from_text(text.as_bytes()))),
        LinkCause::ClosedByPeer { code, reason } => {
            without(&reason.to_string_lossy()).map(|text| LinkCause::ClosedByPeer {
                code: *code,
                reason: text.as_str().into(),
            })
        }
        _ => None,
    };
    told.unwrap_or(cause)
}

/// A time limit that becomes an outcome of the same type.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = T>,
    late: impl FnOnce(Duration) -> T,
) -> T {
    timeout(limit, work).await.unwrap_or_else(|_| late(limit))
}

#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
struct DialTimeout(Duration);

fn dial_cause(error: io::Error) -> LinkCause {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<DialTimeout>())
    {
        Some(DialTimeout(after)) => LinkCause::DialTimeout { after: *after },
        None => LinkCause::Dial(Arc::new(error)),
    }
}

fn upgrade_cause(error: UpgradeError) -> LinkCause {
    match error {
        UpgradeError::Status(status) => LinkCause::Refused { status },
        UpgradeError::Io(error) => LinkCause::lost(&error),
        other => LinkCause::Upgrade(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_does_not_repeat_the_token() {
        let told = |text: &str, token| {
            let cause = LinkCause::Rejected(ConnectRejection::from_text(text.as_bytes()));
            without_token(cause, token).to_string()
        };
        let recorded = "auth token: invalid token. want empty, got wrong";
        let shown = told(recorded, "wrong");
        assert!(
            shown.ends_with("auth token: invalid token. want empty, got (the token)"),
            "{shown}"
        );
        let twice = told("auth token: 'wrong' is wrong", "wrong");
        assert!(!twice.contains("wrong"), "{twice}");
        assert!(told(recorded, "another").ends_with(recorded));
        for short in ["", "wro"] {
            assert!(told(recorded, short).ends_with(recorded));
        }
        let goodbye = LinkCause::ClosedByPeer {
            code: Some(1008),
            reason: "wrong? go away".into(),
        };
        let shown = without_token(goodbye, "wrong").to_string();
        assert_eq!(
            shown,
            "closed by the remote with status 1008: (the token)? go away"
        );
    }
}
