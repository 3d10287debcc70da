//! The acceptor's handshake (protocol section 2), and which of several connections of one remote is the one.
//!
//! A connection that has passed every check is a candidate. It becomes the remote's session when there is none, or when
//! the live one is old enough to be replaced. Of several candidates the newest is kept, and beside it the newest of those
//! that are not of whom the live one is: who dials all the time must not displace the other who waits. A candidate gets
//! its yes only then, when nothing of the session before is left: so what it sends can't meet what came before (protocol
//! section 9).

use std::{convert::Infallible, future::pending, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use grid_proto::{
    conn::handshake::{self, Acceptor, First, Pending},
    wire::{ConnectRejection, Text, Timestamp},
};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    EXTRA,
    place::Place,
    protection::{Protection, Who},
    shared::{LinkShared, NodeShared},
};
use crate::{
    auth::TokenContext,
    config::Settings,
    proven::PeerNames,
    session::{Established, PeerInfo},
    state::LinkCause,
    trace::Cut,
    ws::{self, Incoming, Ws, WsError},
};

/// What is known of a dialer before it says anything.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Its address, for the log.
    pub(crate) address: String,
    /// What it has proven, where its byte stream proves something.
    pub(crate) names: Option<PeerNames>,
}

/// Handshakes with whoever has upgraded `ws`. The caller bounds the time.
///
/// # Cancel safety
///
/// Dropping the future closes the connection.
pub(crate) async fn accept(node: &NodeShared, mut ws: Ws, origin: Origin) {
    let first = match ws.reader.next_of_any_kind().await {
        Ok(Incoming::Binary(bytes)) => First::Binary(bytes),
        Ok(Incoming::Text(bytes)) => First::Text(bytes),
        Err(WsError::Protocol(what)) => First::Unreadable(what.into()),
        // Nobody is there to read an answer, or what is owed says it all.
        Err(error) => {
            let from = &*origin.address;
            tracing::debug!(target: "grid::accept", local = %node.local, from, error = %Cut(&error), "no handshake");
            let (reader, writer) = ws.split();
            return ws::hang_up(reader, writer, None).await;
        }
    };
    let mut who = None;
    match check(node, first, &origin, &mut who).await {
        Ok((link, peer)) => match &link.accept {
            Some(handle) => handle.offer(Candidate {
                ws,
                peer,
                from: origin.address.into(),
            }),
            // Only a link that the remote dials passes the checks.
            None => reject(node, ws, &origin, who, &ConnectRejection::WrongSide).await,
        },
        Err(reason) => reject(node, ws, &origin, who, &reason).await,
    }
}

/// Puts the name into `who` once it is known to be one.
async fn check(
    node: &NodeShared,
    first: First,
    origin: &Origin,
    who: &mut Option<Arc<str>>,
) -> Result<(Arc<LinkShared>, PeerInfo), ConnectRejection> {
    let settings = &node.settings;
    let known = |name: &[u8]| Some(node.links.get(str::from_utf8(name).ok()?)?.name.clone());
    let acceptor = Acceptor::new(&node.local, Timestamp::from(node.wall_clock()))
        .max_skew(settings.max_clock_skew)
        .strict(settings.strict);
    let pending = acceptor.receive(first, known)?;
    *who = known(pending.host().as_bytes());
    let token = check_token(node, &pending).await;
    let admitted = acceptor.admit(pending, token, known)?;
    let link = node
        .links
        .get(&admitted.remote)
        .ok_or_else(|| ConnectRejection::UnknownHost((&*admitted.remote).into()))?;
    // Both are ours and no part of the protocol; so they come behind its checks, and tell a stranger nothing.
    if let Some(names) = &origin.names
        && !names.cover(&link.target)
    {
        return Err(unproven(&link.name));
    }
    if !link.admissions.admit(admitted.id, admitted.time) {
        return Err(ConnectRejection::Other(super::replay::REPLAYED.into()));
    }
    Ok((
        link,
        PeerInfo {
            id: admitted.id,
            extra: admitted.extra,
        },
    ))
}

fn unproven(name: &str) -> ConnectRejection {
    let text = format!("the peer's certificate does not prove that it is {name}");
    ConnectRejection::Other(text.into())
}

async fn check_token(node: &NodeShared, pending: &Pending) -> Result<(), Text> {
    let remote = pending.host().to_string_lossy();
    let context = TokenContext::new(&node.local, &remote, node.wall_clock());
    node.auth
        .check(pending.token(), context)
        .await
        .map_err(|error| error.reason().into())
}

/// `who` is the name of the list that it came in, be that its own or not.
async fn reject(
    node: &NodeShared,
    mut ws: Ws,
    origin: &Origin,
    who: Option<Arc<str>>,
    reason: &ConnectRejection,
) {
    let from = &*origin.address;
    let (limiter, remote) = match &who {
        Some(name) => (&node.limiter, &**name),
        None => (&node.strangers, from),
    };
    if let Some(suppressed) = limiter.allow(remote, kind(reason)) {
        tracing::warn!(
            target: "grid::accept",
            local = %node.local,
            remote,
            from,
            suppressed,
            reason = %Cut(reason),
            "connection rejected"
        );
    }
    if ws
        .writer
        .send(handshake::reject(node.id, reason).into())
        .await
        .is_ok()
    {
        ws.finish().await;
    }
}

/// What to tell warnings apart by.
const fn kind(reason: &ConnectRejection) -> &'static str {
    match reason {
        ConnectRejection::UnknownHost(_) => "unknown host",
        ConnectRejection::ClockSkew(_) => "clock skew",
        ConnectRejection::Token(_) => "wrong token",
        ConnectRejection::WrongSide => "wrong side",
        _ => "handshake",
    }
}

/// A connection that has passed every check, and was not answered yet.
#[derive(Debug)]
pub(crate) struct Candidate {
    ws: Ws,
    peer: PeerInfo,
    /// Its address.
    from: Arc<str>,
}

impl Candidate {
    fn who(&self) -> Who {
        Who {
            id: self.peer.id,
            from: self.from.clone(),
        }
    }

    /// Says yes. From here on the remote may send whatever it likes.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub(super) async fn answer(self, link: &LinkShared) -> Result<Established, LinkCause> {
        let Self { mut ws, peer, .. } = self;
        let node = &link.node;
        ws.writer
            .send(handshake::accept(node.id, Some(EXTRA)).into())
            .await?;
        ws.established(&node.settings);
        Ok(Established {
            ws,
            peer,
            since: Instant::now(),
            replaced: CancellationToken::new(),
        })
    }
}

/// A place for one candidate, and its two ends.
pub(crate) fn accept_slot(settings: &Settings) -> (AcceptHandle, AcceptSlot) {
    let place = Arc::new(Place::new());
    let handle = AcceptHandle(place.clone());
    (
        handle,
        AcceptSlot {
            place,
            protection: Protection::new(settings.replace_after, settings.replace_max),
            live: None,
            replacing: None,
            same: None,
            another: None,
        },
    )
}

/// Where accepted connections are handed in.
#[derive(Debug)]
pub(crate) struct AcceptHandle(Arc<Place<Candidate>>);

impl AcceptHandle {
    /// Hands one in; one that was not taken yet is closed. So is this one when the link has ended.
    fn offer(&self, candidate: Candidate) {
        drop(self.0.put(candidate));
    }
}

/// Where the link takes them out.
#[derive(Debug)]
pub(crate) struct AcceptSlot {
    place: Arc<Place<Candidate>>,
    protection: Protection,
    /// Whom the live connection is of, or was.
    live: Option<Who>,
    /// Who has made the live connection end.
    replacing: Option<Who>,
    /// The newest of whom the live connection is, taken out beside it.
    same: Option<Candidate>,
    /// The newest of anybody else, who goes first.
    another: Option<Candidate>,
}

impl AcceptSlot {
    /// The newest candidate of another than the one before, or else the newest, or the next one.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Candidate {
        if let Some(newest) = self.place.try_take() {
            self.keep(newest);
        }
        let candidate = match self.another.take().or_else(|| self.same.take()) {
            Some(candidate) => candidate,
            None => self.place.take().await,
        };
        self.live = Some(candidate.who());
        // It waits on, beside another now.
        if let Some(left) = self.same.take() {
            self.keep(left);
        }
        candidate
    }

    /// Keeps it in the place of an older one of its kind.
    fn keep(&mut self, candidate: Candidate) {
        if self.live.as_ref() == Some(&candidate.who()) {
            self.same = Some(candidate);
        } else {
            self.another = Some(candidate);
        }
    }

    /// Beside a connection that is live since `since`: keeps the newest candidate of either kind, and fires
    /// `replaced` when one may take over. One whose peer leaves meanwhile replaces nobody.
    ///
    /// # Cancel safety
    ///
    /// The candidates are kept for [`next`](Self::next).
    pub(super) async fn supervise(
        &mut self,
        since: Instant,
        replaced: &CancellationToken,
    ) -> Infallible {
        let due = since + self.protection.time();
        loop {
            let first = self.another.as_ref().or(self.same.as_ref());
            let first = first.map(Candidate::who);
            tokio::select! {
                biased;
                newer = self.place.take() => self.keep(newer),
                () = left(&mut self.same) => self.same = None,
                () = left(&mut self.another) => self.another = None,
                // tidy: sleep: the live connection may be that old before it is replaced
                () = sleep_until(due), if first.is_some() && !replaced.is_cancelled() => {
                    self.replacing = first;
                    replaced.cancel();
                }
            }
        }
    }
}

/// Waits until the peer of a candidate has left.
async fn left(candidate: &mut Option<Candidate>) {
    match candidate {
        // A panic in there is one of the byte stream, and must not reach the live connection.
        Some(candidate) => {
            let closed = AssertUnwindSafe(candidate.ws.reader.closed());
            drop(closed.catch_unwind().await);
        }
        None => pending().await,
    }
}

/// Who has taken the place of a live connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Replacing {
    /// Where it comes from.
    pub(super) from: Arc<str>,
    /// Whether it is another than the one that the live connection was of.
    pub(super) another: bool,
}

impl AcceptSlot {
    /// To be told that the live connection has ended, having lived for so long.
    pub(super) fn ended(&mut self, lived: Duration) -> Option<Replacing> {
        let Some(first) = self.replacing.take() else {
            self.protection.ended();
            return None;
        };
        // The one that comes in at last counts as well as the one for which there had to be room, which may have left.
        let last = self.another.as_ref().map(Candidate::who);
        let other = [Some(&first), last.as_ref()]
            .into_iter()
            .flatten()
            .find(|who| self.live.as_ref() != Some(*who));
        let another = other.is_some();
        self.protection.replaced(lived, another);
        Some(Replacing {
            from: other.unwrap_or(&first).from.clone(),
            another,
        })
    }
}

impl Drop for AcceptSlot {
    fn drop(&mut self) {
        drop(self.place.close());
    }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
