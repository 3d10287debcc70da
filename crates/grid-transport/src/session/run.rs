//! From the end of a handshake until all of a session is gone.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, thread};

use futures_util::FutureExt;
use grid_proto::{
    conn::{CloseReason, Config, Connection},
    uses_checksums,
    wire::{Extra, Timestamp},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::Instrument;

use super::{Core, Established, Inside, Session, reader, report, writer};
use crate::{
    link::{counted::Counting, shared::LinkShared},
    registry::Frozen,
    state::{LinkCause, LinkState},
    trace::LinkSpan,
    ws::{self, WsReader, WsWriter},
};

/// The websocket status of a node that goes away.
const GOING_AWAY: u16 = 1001;

/// Runs a connection. Returns only when all of it is gone: reader, writer and every handler that
/// is attached to it (protocol section 9).
pub(crate) fn run<'a>(
    link: &'a Arc<LinkShared>,
    registry: &'a Arc<Frozen>,
    established: Established,
) -> impl Future<Output = LinkCause> + Send + 'a {
    let span = LinkSpan::new(link, &established);
    let inside = span.inside();
    live(link, registry, established, span).instrument(inside)
}

async fn live(
    link: &Arc<LinkShared>,
    registry: &Arc<Frozen>,
    established: Established,
    span: LinkSpan,
) -> LinkCause {
    let session = Session::new(link, &established, Core::new(machine(link, &established)));
    let replaced = established.replaced;
    let (read_half, write_half) = established.ws.split();
    let reader = spawn(
        &session,
        Inside::Reader,
        reader::read(session.clone(), registry.clone(), read_half),
    );
    let writer = spawn(
        &session,
        Inside::Writer,
        writer::write(session.clone(), write_half),
    );

    let counting = Counting::new(link, &session);
    let attached = Attached::new(link, &session);
    link.counters.connected();
    if link.node.shutdown.is_draining() {
        session.refuse_new();
    }
    let told = link.set_state(LinkState::Connected {
        since: session.since,
        peer: session.peer.id,
    });
    if told {
        link.node.limiter.forget(&link.name);
    }

    tokio::select! {
        () = keep_time(&session) => {}
        () = session.monitor.closing.cancelled() => {}
        () = replaced.cancelled() => session.close(LinkCause::Replaced, CloseReason::Replaced),
        () = link.stop.cancelled() => session.close(link.stop_cause(), CloseReason::ShuttingDown),
    }
    session.monitor.closing.cancelled().await;
    let cause = session
        .cause()
        .unwrap_or_else(|| Arc::new(LinkCause::Panicked));
    // Whoever finds no session from here on looks there.
    link.counters.down(&cause);
    drop(attached);
    // What was queued here is dropped; others may wait for its room.
    link.node.offer_room();
    // A wish from while the link was up is no wish for what follows.
    let _ = link.reconnect.notified().now_or_never();
    link.set_state(link.lost_state(cause.clone()));

    let deadline = Instant::now() + link.node.settings.teardown;
    Box::pin(hang_up(reader, writer, deadline, &cause)).await;
    wait_until_gone(&session, deadline).await;
    link.set_next_mux(session.monitor.lock().conn.next_mux());
    span.end(&cause, || session.stats());
    drop(counting);
    LinkCause::clone(&cause)
}

/// A session that callers find. Its link and it refer to each other, so it is taken off also where
/// the runtime ends under it, or a panic the link; nobody would ever answer those who wait for it
/// elsewhere then.
pub(super) struct Attached<'a> {
    link: &'a LinkShared,
    session: Arc<Session>,
}

impl<'a> Attached<'a> {
    pub(super) fn new(link: &'a LinkShared, session: &Arc<Session>) -> Self {
        link.attach(session.clone());
        Self {
            link,
            session: session.clone(),
        }
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        drop(self.link.detach());
        let (cause, reason) = match thread::panicking() {
            true => (LinkCause::Panicked, CloseReason::Local),
            false => (LinkCause::ShuttingDown, CloseReason::ShuttingDown),
        };
        // Nothing happens where it has ended by itself.
        self.session.close(cause, reason);
    }
}

fn machine(link: &LinkShared, established: &Established) -> Connection {
    let node = &link.node;
    let settings = &node.settings;
    let mut config = Config::default();
    config.checksums = uses_checksums(&node.local, &link.name);
    config.first_mux = link.next_mux();
    config.generation = link.counters.sessions();
    config.hash_seed = rand::random();
    config.wall_clock = Timestamp::from(node.wall_clock());
    let can = |capability| {
        let extra = established.peer.extra;
        extra.is_some_and(|extra| extra.can(capability))
    };
    config.peer_cancels_requests = can(Extra::CANCELS_REQUESTS);
    config.peer_counts_credit = can(Extra::COUNTS_CREDIT);
    config.ping_interval = settings.ping_interval;
    config.stream_ping_interval = settings.stream_ping_interval;
    config.default_deadline = settings.default_deadline;
    config.max_message = settings.max_message;
    config.max_requests = settings.max_requests;
    config.max_streams = settings.max_streams;
    config.max_queued_bytes = settings.max_queued;
    config.max_control_bytes = settings.max_control;
    config.max_abuse = settings.max_unknown;
    config.max_leftovers = settings.max_leftovers;
    config.inbound = link.inbound.clone();
    config.queued = Some(link.queued.clone());
    Connection::new(config, Instant::now().into_std())
}

/// Runs a half of the socket as a task of the node; a panic in it ends the session.
fn spawn<H: Send + 'static>(
    session: &Arc<Session>,
    inside: Inside,
    half: impl Future<Output = H> + Send + 'static,
) -> JoinHandle<Option<H>> {
    let pass = session.guard.enter(inside);
    let session = session.clone();
    // No block that awaits it: that would have room for the half twice.
    let half = AssertUnwindSafe(half).catch_unwind();
    session.link.node.clone().spawn(half.map(move |ended| {
        if ended.is_err() {
            session.close(LinkCause::Panicked, CloseReason::Local);
        }
        drop(session);
        drop(pass);
        ended.ok()
    }))
}

/// Wakes the machine when something is due; returns when it has ended.
async fn keep_time(session: &Arc<Session>) {
    loop {
        let due = {
            let mut core = session.monitor.lock();
            let due = core.conn.poll_timeout();
            core.sleepers.timer_sleeps(due);
            due
        };
        let Some(due) = due else { return };
        tokio::select! {
            // tidy: sleep: the machine's timer
            () = sleep_until(Instant::from_std(due)) => session.on_timeout(),
            () = session.monitor.timer.notified() => {}
        }
    }
}

/// Gives the peer a last word and closes the socket, as soon as its halves are free.
async fn hang_up(
    reader: JoinHandle<Option<Box<WsReader>>>,
    writer: JoinHandle<Option<Box<WsWriter>>>,
    deadline: Instant,
    cause: &LinkCause,
) {
    let code = matches!(cause, LinkCause::ShuttingDown | LinkCause::Removed).then_some(GOING_AWAY);
    let halves = timeout_at(deadline, async { tokio::join!(reader, writer) }).await;
    if let Ok((Ok(Some(reader)), Ok(Some(writer)))) = halves {
        // A panic in there is one of the byte stream, and must not reach the link.
        let farewell = AssertUnwindSafe(ws::hang_up(reader, writer, code));
        drop(farewell.catch_unwind().await);
    }
}

/// Waits for everybody inside; who is not out by the deadline is left behind, detached.
async fn wait_until_gone(session: &Session, deadline: Instant) {
    if timeout_at(deadline, session.guard.gone()).await.is_ok() {
        return;
    }
    let link = &session.link;
    for (inside, count) in session.guard.abandon() {
        let handler = match inside {
            Inside::Handler(id) => Some(id),
            Inside::Reader => session.polled_now(),
            Inside::Writer | Inside::Answer => None,
        };
        link.counters.abandoned(count);
        report::left_behind(link, handler, count);
    }
}

impl Session {
    fn on_timeout(self: &Arc<Self>) {
        // Bytes of a message that is not whole yet: the peer is alive.
        let bytes = self.meter.bytes_in();
        let alive = self.heard.swap(bytes, std::sync::atomic::Ordering::Relaxed) != bytes;
        self.with_clock(|core, now| {
            if alive {
                core.conn.handle_alive(now);
            }
            core.conn.handle_timeout(now);
            core.shrink();
            core.calls.forget_some();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grid_proto::HandlerId;
    use tokio::time::sleep;

    use super::Inside;
    use crate::{
        Settings,
        session::tests::{ECHO, logs::Logs, pair, session},
    };

    const MS: Duration = Duration::from_millis(1);

    async fn pass_time(time: Duration) {
        // tidy: sleep: that time passes is the point, and the clock stands still
        sleep(time).await;
    }

    /// The limit to the millisecond, where a handler need not block a thread to stay inside.
    #[tokio::test(start_paused = true)]
    async fn who_is_not_out_at_the_end_of_the_teardown_is_left_behind() {
        let limit = Settings::new().teardown;
        for stays in [limit - MS, limit, limit + MS] {
            let pair = pair(Settings::new()).await;
            let peer = pair.a_to_b();
            let ending = session(&pair);
            let pass = ending.guard.enter(Inside::Handler(HandlerId::new(1)));
            pair.cut();
            ending.monitor.closing.cancelled().await;
            pass_time(limit - MS).await;
            assert_eq!(peer.stats().abandoned_handlers, 0, "too early");
            pass_time(stays - (limit - MS)).await;
            drop(pass);
            pass_time(MS).await;
            let abandoned = peer.stats().abandoned_handlers;
            assert_eq!(abandoned, u64::from(stays > limit), "{stays:?}");
        }
    }

    /// A peer that comes again and again to a handler that blocks does not fill the log.
    #[tokio::test(start_paused = true)]
    async fn who_is_left_behind_is_told_of_once_an_interval() {
        let (logs, _guard) = Logs::capture();
        let pair = pair(Settings::new()).await;
        let peer = pair.a_to_b();
        let mut kept = Vec::new();
        for number in 1..=4 {
            if number == 4 {
                pass_time(Settings::new().warn_interval).await;
            }
            peer.request(ECHO, "x").wait_ready().await.unwrap();
            let ending = session(&pair);
            kept.push(ending.guard.enter(Inside::Handler(HandlerId::new(7))));
            pair.cut();
            ending.monitor.closing.cancelled().await;
            pass_time(Settings::new().teardown + MS).await;
            assert_eq!(peer.stats().abandoned_handlers, number);
        }
        let told = logs.warnings_of("grid::session");
        assert_eq!(told.len(), 2, "{told:#?}");
        for (line, suppressed) in told.iter().zip(["suppressed=0", "suppressed=2"]) {
            assert!(line.ends_with(suppressed), "{line}");
            for part in ["left behind", "handler=7 ", "count=1 "] {
                assert!(line.contains(part), "{part}: {line}");
            }
        }
    }
}
