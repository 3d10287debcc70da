//! One proxied connection: bytes both ways until a side ends or an order cuts it.

use std::{future, io, time::Duration};

use socket2::SockRef;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{Aim, CutDone, CutKind, Order, Side, frames::FrameTracker};

/// A cut inside a frame happens at once when the traffic stops for so long.
const AIM_PATIENCE: Duration = Duration::from_millis(500);
/// A connection one side of which has ended is closed after this.
const HALF_OPEN: Duration = Duration::from_secs(1);
/// How long the sockets of a connection that went silent stay open. Longer than any ping takes to
/// find it.
const SILENT: Duration = Duration::from_secs(30);
const BUFFER: usize = 32 * 1024;

/// A connection with its two sockets.
pub(super) struct Relay {
    dialer: TcpStream,
    acceptor: TcpStream,
}

/// Why bytes are no longer passed on.
enum End {
    /// A socket failed, or both sides have ended.
    Closed,
    Cut(CutKind, oneshot::Sender<CutDone>),
}

impl Relay {
    pub(super) fn new(dialer: TcpStream, acceptor: TcpStream) -> Self {
        Self { dialer, acceptor }
    }

    pub(super) async fn run(self, mut orders: mpsc::Receiver<Order>) {
        let Self { dialer, acceptor } = &self;
        let mut up = Direction::new(dialer, acceptor);
        let mut down = Direction::new(acceptor, dialer);
        let end = pass(&mut up, &mut down, &mut orders).await;
        let report = CutDone {
            mid_frame: up.tracker.is_inside() || down.tracker.is_inside(),
            frames: up.tracker.frames() + down.tracker.frames(),
        };
        if let End::Cut(kind, done) = end {
            self.cut(kind, done, report).await;
        }
    }

    async fn cut(self, kind: CutKind, done: oneshot::Sender<CutDone>, report: CutDone) {
        let sockets = [&self.dialer, &self.acceptor];
        match kind {
            CutKind::Rst => {
                for socket in sockets {
                    // Where it fails the close below is an orderly one, which cuts as well.
                    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
                }
                drop(self);
                let _ = done.send(report);
            }
            CutKind::Fin => {
                for socket in sockets {
                    let _ = SockRef::from(socket).shutdown(std::net::Shutdown::Write);
                }
                let _ = done.send(report);
                // A close with unread bytes would become a reset.
                let _ = timeout(HALF_OPEN, self.swallow()).await;
            }
            CutKind::Silent => {
                let _ = done.send(report);
                let _ = timeout(SILENT, self.swallow()).await;
            }
        }
    }

    /// Reads and forgets until both sides have ended.
    async fn swallow(&self) {
        tokio::join!(swallow(&self.dialer), swallow(&self.acceptor));
    }
}

/// An order that waits for its moment.
struct Armed {
    kind: CutKind,
    done: oneshot::Sender<CutDone>,
    /// When it is carried out whatever the traffic does.
    due: Instant,
}

async fn pass<'a>(
    up: &mut Direction<'a>,
    down: &mut Direction<'a>,
    orders: &mut mpsc::Receiver<Order>,
) -> End {
    let mut armed: Option<Armed> = None;
    let mut close_at = None;
    // Once a newer connection has taken this one's place nobody orders any more.
    let mut ordered = true;
    loop {
        let due = armed.as_ref().map(|armed| armed.due).or(close_at);
        let step = tokio::select! {
            order = orders.recv(), if ordered && armed.is_none() => {
                match order {
                    None => ordered = false,
                    Some(Order { kind, aim: Aim::Now, done }) => return End::Cut(kind, done),
                    Some(Order { kind, aim: Aim::MidFrame { after, toward }, done }) => {
                        let direction = match toward {
                            Side::Acceptor => &mut *up,
                            Side::Dialer => &mut *down,
                        };
                        direction.allowance = Some(after);
                        armed = Some(Armed { kind, done, due: Instant::now() + AIM_PATIENCE });
                    }
                }
                Ok(())
            }
            step = up.step() => step,
            step = down.step() => step,
            () = wait_until(due) => return armed.map_or(End::Closed, |armed| End::Cut(armed.kind, armed.done)),
        };
        if step.is_err() || (up.ended && down.ended) {
            return End::Closed;
        }
        if let Some(Armed { kind, done, .. }) = armed.take_if(|_| up.is_spent() || down.is_spent())
        {
            return End::Cut(kind, done);
        }
        if close_at.is_none() && (up.ended || down.ended) {
            close_at = Some(Instant::now() + HALF_OPEN);
        }
    }
}

async fn wait_until(deadline: Option<Instant>) {
    match deadline {
        // tidy: sleep: the deadline is what is waited for
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}

/// One direction: what was read from one socket and not yet written to the other.
struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    buffer: Box<[u8]>,
    written: usize,
    filled: usize,
    tracker: FrameTracker,
    /// Bytes that may still pass before the cut; at 0 single ones do until a frame has begun.
    allowance: Option<usize>,
    ended: bool,
}

impl<'a> Direction<'a> {
    fn new(from: &'a TcpStream, to: &'a TcpStream) -> Self {
        Self {
            from,
            to,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            written: 0,
            filled: 0,
            tracker: FrameTracker::new(),
            allowance: None,
            ended: false,
        }
    }

    /// Reads once or writes once; never ends by itself once the side has ended.
    ///
    /// # Cancel safety
    ///
    /// Safe: it waits for readiness only.
    async fn step(&mut self) -> io::Result<()> {
        if self.ended {
            future::pending().await
        } else if self.written < self.filled {
            self.to.writable().await?;
            self.write()
        } else {
            self.from.readable().await?;
            self.read()
        }
    }

    /// Whether the allowance is used up, with a frame passed on in part.
    fn is_spent(&self) -> bool {
        self.allowance == Some(0) && self.tracker.is_inside()
    }

    fn read(&mut self) -> io::Result<()> {
        match self.from.try_read(&mut self.buffer) {
            Ok(0) => {
                self.ended = true;
                SockRef::from(self.to).shutdown(std::net::Shutdown::Write)
            }
            Ok(count) => {
                (self.written, self.filled) = (0, count);
                Ok(())
            }
            Err(error) => retry_later(error),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let allowed = self.allowance.map_or(usize::MAX, |left| left.max(1));
        let end = self.filled.min(self.written.saturating_add(allowed));
        let waiting = self.buffer.get(self.written..end).unwrap_or_default();
        match self.to.try_write(waiting) {
            Ok(count) => {
                self.tracker
                    .advance(waiting.get(..count).unwrap_or_default());
                self.written += count;
                self.allowance = self.allowance.map(|left| left.saturating_sub(count));
                Ok(())
            }
            Err(error) => retry_later(error),
        }
    }
}

/// Readiness may be a false alarm.
fn retry_later(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::WouldBlock {
        Ok(())
    } else {
        Err(error)
    }
}

async fn swallow(socket: &TcpStream) {
    let mut sink = vec![0; BUFFER];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut sink) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
