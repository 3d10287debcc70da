//! One connection through the proxy: two directions, in whatever weather there is.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Cut, Felt, Hits, Weather, reset};

/// Read at once.
const CHUNK: usize = 16 * 1024;
/// Pieces that are under way in a direction before its sender has to wait.
const UNDER_WAY: usize = 32;
/// How long a truncation waits for traffic that it can truncate.
const TRUNCATE_WITHIN: Duration = Duration::from_secs(2);

/// Why a direction ended.
enum End {
    /// A piece was passed on in part.
    Truncated(Cut),
    Failed,
}

type Seen = watch::Receiver<Weather>;

pub(super) async fn run(
    mut near: TcpStream,
    target: Option<SocketAddr>,
    mut weather: Seen,
    hits: Arc<Hits>,
) {
    let cuts = weather.borrow_and_update().cut.0;
    let refuses = weather.borrow().refuses;
    let far = match target {
        Some(target) if !refuses => TcpStream::connect(target).await,
        Some(_) => {
            hits.felt(Felt::Refuse);
            Err(io::ErrorKind::ConnectionRefused.into())
        }
        // It would have been in any weather.
        None => Err(io::ErrorKind::ConnectionRefused.into()),
    };
    let Ok(mut far) = far else {
        reset(near);
        return;
    };
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let resets = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let there = direction(near_read, far_write, 0, cuts, weather.clone(), &hits);
        let back = direction(far_read, near_write, 1, cuts, weather.clone(), &hits);
        tokio::select! {
            ended = async { tokio::try_join!(there, back) } => match ended {
                Ok(_) => false,
                Err(End::Truncated(cut)) => {
                    hits.felt(Felt::Cut(cut));
                    cut.resets()
                }
                Err(End::Failed) => true,
            },
            cut = until_cut(weather, cuts) => {
                // One that found nothing to truncate has ended a connection that said nothing.
                if !cut.truncates() {
                    hits.felt(Felt::Cut(cut));
                }
                cut.resets()
            }
        }
    };
    if resets {
        reset(near);
        reset(far);
    }
}

/// Returns when a connection that saw so many cuts has to end.
async fn until_cut(mut weather: Seen, cuts: u64) -> Cut {
    let cut = match weather.wait_for(|weather| weather.cut.0 > cuts).await {
        Ok(weather) => weather.cut.1,
        Err(_) => None,
    };
    let cut = cut.unwrap_or(Cut::Rst);
    if cut.truncates() {
        sleep(TRUNCATE_WITHIN).await;
    }
    cut
}

async fn direction(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    which: usize,
    cuts: u64,
    weather: Seen,
    hits: &Hits,
) -> Result<(), End> {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Bytes)>(UNDER_WAY);
    let mut reading = weather.clone();
    let read = async move {
        loop {
            let stopped = flowing(&mut reading, which).await;
            let mut piece = BytesMut::with_capacity(CHUNK);
            match from.read_buf(&mut piece).await {
                Ok(0) => return Ok(()),
                Err(_) => return Err(End::Failed),
                Ok(_) if stopped => hits.felt(Felt::Stall(which)),
                Ok(_) => {}
            }
            let delay = reading.borrow().delay;
            if !delay.is_zero() {
                hits.felt(Felt::Delay);
            }
            let due = Instant::now() + delay;
            if sender.send((due, piece.freeze())).await.is_err() {
                return Ok(());
            }
        }
    };
    let mut writing = weather;
    let write = async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if flowing(&mut writing, which).await {
                hits.felt(Felt::Stall(which));
            }
            let now = *writing.borrow();
            if let (true, Some(cut)) = (now.cut.0 > cuts, now.cut.1)
                && cut.truncates()
            {
                let part = inside(&piece);
                to.write_all(part).await.map_err(|_| End::Failed)?;
                return Err(End::Truncated(cut));
            }
            if let Some(rate) = now.rate {
                hits.felt(Felt::Throttle);
                let nanoseconds = piece.len() as u64 * 1_000_000_000 / rate.max(1);
                sleep(Duration::from_nanos(nanoseconds)).await;
            }
            to.write_all(&piece).await.map_err(|_| End::Failed)?;
        }
        // The other side may have gone already.
        let _ = timeout(TRUNCATE_WITHIN, to.shutdown()).await;
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// Waits until a direction lets something through; whether it had to.
async fn flowing(weather: &mut Seen, which: usize) -> bool {
    let open = |weather: &Weather| !weather.stalled.get(which).copied().unwrap_or(false);
    let stopped = !open(&weather.borrow());
    // The proxy is going when nobody makes weather any more.
    let _ = weather.wait_for(open).await;
    stopped
}

/// All but the end of a piece. A piece mostly ends with a frame, so that this one does not.
fn inside(piece: &[u8]) -> &[u8] {
    let short = match piece.first() {
        // Some byte has to decide it, so that both are tried.
        Some(byte) if byte & 1 == 0 => piece.len() / 2,
        _ => piece.len().saturating_sub(1),
    };
    piece.get(..short).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use super::{super::Route, *};

    const LONG: Duration = Duration::from_secs(20);

    async fn through(route: &Route) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        route.lead_to(Some(listener.local_addr().unwrap()));
        let dialed = TcpStream::connect(route.address()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        (dialed, accepted)
    }

    async fn route() -> Route {
        Route::open(Ipv4Addr::LOCALHOST.into()).await.unwrap()
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_ends_too() {
        let route = route().await;
        let (mut near, mut far) = through(&route).await;
        near.write_all(b"there").await.unwrap();
        far.write_all(b"back").await.unwrap();
        near.shutdown().await.unwrap();
        far.shutdown().await.unwrap();
        let (mut there, mut back) = (String::new(), String::new());
        far.read_to_string(&mut there).await.unwrap();
        near.read_to_string(&mut back).await.unwrap();
        assert_eq!((there.as_str(), back.as_str()), ("there", "back"));
    }

    #[tokio::test]
    async fn cuts_are_what_they_say() {
        for cut in [Cut::Fin, Cut::Rst, Cut::TruncateFin, Cut::TruncateRst] {
            let route = route().await;
            let (mut near, mut far) = through(&route).await;
            let mut one = [0];
            near.write_all(b"!").await.unwrap();
            far.read_exact(&mut one).await.unwrap();
            route.cut(cut);
            if cut.truncates() {
                near.write_all(b"abcd").await.unwrap();
            }
            let mut got = Vec::new();
            let end = timeout(LONG, far.read_to_end(&mut got)).await.unwrap();
            assert_eq!(end.is_err(), cut.resets(), "{cut:?}");
            let whole = if cut == Cut::TruncateFin { 3 } else { 0 };
            assert!(got.len() == whole || cut.resets(), "{cut:?}: {got:?}");
            assert_eq!(route.felt(Felt::Cut(cut)), 1, "{cut:?}");
        }
    }

    #[tokio::test]
    async fn where_nothing_comes_nothing_is_truncated() {
        for cut in [Cut::TruncateFin, Cut::TruncateRst] {
            let route = route().await;
            let (mut near, mut far) = through(&route).await;
            near.write_all(b"!").await.unwrap();
            far.read_exact(&mut [0]).await.unwrap();
            route.cut(cut);
            let end = timeout(LONG, far.read(&mut [0])).await.unwrap();
            assert_eq!(end.is_err(), cut.resets(), "{cut:?}");
            assert_eq!(route.felt(Felt::Cut(cut)), 0, "{cut:?}");
        }
    }

    #[tokio::test]
    async fn slow_networks_are_felt_by_who_sends() {
        let route = route().await;
        let (mut near, mut far) = through(&route).await;
        route.change(|weather| weather.delay = Duration::from_millis(1));
        route.change(|weather| weather.rate = Some(1_000));
        let all = [Felt::Delay, Felt::Throttle];
        assert_eq!(all.map(|what| route.felt(what)), [0, 0]);
        near.write_all(b"!").await.unwrap();
        far.read_exact(&mut [0]).await.unwrap();
        assert_eq!(all.map(|what| route.felt(what)), [1, 1]);
    }

    #[tokio::test]
    async fn a_stalled_direction_lets_nothing_through_until_it_does() {
        let route = route().await;
        let (mut near, mut far) = through(&route).await;
        route.change(|weather| weather.stalled = [true, false]);
        far.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        near.read_exact(&mut back).await.unwrap();
        near.write_all(b"there").await.unwrap();
        let mut there = [0; 5];
        let early = timeout(Duration::from_millis(200), far.read_exact(&mut there)).await;
        assert!(early.is_err(), "{there:?}");
        assert_eq!(route.felt(Felt::Stall(1)), 0);
        route.change(|weather| weather.stalled = [false, false]);
        timeout(LONG, far.read_exact(&mut there))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&there, b"there");
        assert!(route.felt(Felt::Stall(0)) > 0);
    }

    #[tokio::test]
    async fn refused_is_reset() {
        let route = route().await;
        route.change(|weather| weather.refuses = true);
        let mut near = TcpStream::connect(route.address()).await.unwrap();
        let end = timeout(LONG, near.read(&mut [0])).await.unwrap();
        assert!(end.is_err());
        assert_eq!(route.felt(Felt::Refuse), 0, "it leads to nowhere");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        route.lead_to(Some(listener.local_addr().unwrap()));
        let mut near = TcpStream::connect(route.address()).await.unwrap();
        let end = timeout(LONG, near.read(&mut [0])).await.unwrap();
        assert!(end.is_err());
        assert_eq!(route.felt(Felt::Refuse), 1);
    }
}
