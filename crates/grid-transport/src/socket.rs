//! What the system is told about the sockets of links.

use std::{any::Any, io, ops::RangeInclusive, time::Duration};

use socket2::SockRef;
use tokio::net::TcpStream;

use crate::{config::Settings, io::BoxIo, proven::Identified};

/// The most bytes that the system keeps and has not sent: what is urgent can't go before them. Those that are on their way
/// don't count, so that it costs no throughput on long paths.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 256 * 1024;

/// What `receive_buffer` may be. A window below one segment has the sender wait for timers, and segments of a loopback
/// interface have 64 KiB; more than the most does not fit what the system takes.
pub(crate) const RECEIVE_BUFFERS: RangeInclusive<usize> = 64 << 10..=1 << 30;

/// What every socket of a link needs, whoever dialed.
pub(crate) fn tune(stream: &TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(idle) = keepalive {
        let probes = socket2::TcpKeepalive::new().with_time(idle);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    #[cfg(any(target_os = "android", target_os = "linux"))]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

/// Bounds what the system holds received and not read, as far as the settings say so and there is a socket to be seen.
pub(crate) fn bound_unread(stream: &dyn Any, settings: &Settings) {
    let (Some(bytes), Some(tcp)) = (settings.receive_buffer, tcp_under(stream)) else {
        return;
    };
    if let Err(error) = SockRef::from(tcp).set_recv_buffer_size(bytes) {
        tracing::debug!(target: "grid::link", bytes, %error, "the receive buffer of a socket can't be set");
    }
}

/// The socket that a stream runs over, through whatever this crate wraps it in.
fn tcp_under(stream: &dyn Any) -> Option<&TcpStream> {
    if let Some(boxed) = stream.downcast_ref::<BoxIo>() {
        return tcp_under((**boxed).as_any());
    }
    if let Some(identified) = stream.downcast_ref::<Identified>() {
        return tcp_under((**identified.io()).as_any());
    }
    stream.downcast_ref().or_else(|| tcp_under_tls(stream))
}

#[cfg(feature = "tls")]
fn tcp_under_tls(stream: &dyn Any) -> Option<&TcpStream> {
    if let Some(accepted) = stream.downcast_ref::<crate::tls::Greeting>() {
        return tcp_under((**accepted.io()?).as_any());
    }
    let dialed = stream.downcast_ref::<tokio_rustls::client::TlsStream<TcpStream>>()?;
    Some(dialed.get_ref().0)
}

#[cfg(not(feature = "tls"))]
fn tcp_under_tls(_: &dyn Any) -> Option<&TcpStream> {
    None
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{io::Io, proven::PeerNames};

    const BOUND: usize = 96 << 10;

    /// A socket over loopback.
    async fn dialed() -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        TcpStream::connect(address).await.unwrap()
    }

    fn receive_buffer(stream: &TcpStream) -> usize {
        SockRef::from(stream).recv_buffer_size().unwrap()
    }

    /// What the system makes of the bound.
    async fn bounded() -> usize {
        let stream = dialed().await;
        SockRef::from(&stream).set_recv_buffer_size(BOUND).unwrap();
        receive_buffer(&stream)
    }

    #[cfg(any(target_os = "android", target_os = "linux"))]
    #[tokio::test]
    async fn what_is_unsent_is_bounded_and_nothing_waits_for_more() {
        let stream = dialed().await;
        tune(&stream, Some(Duration::from_secs(7))).unwrap();
        let socket = SockRef::from(&stream);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
    }

    #[tokio::test]
    async fn a_socket_has_the_bound_of_the_settings_and_else_what_the_system_gives() {
        let stream = dialed().await;
        let before = receive_buffer(&stream);
        bound_unread(stream.as_any(), &Settings::new());
        assert_eq!(receive_buffer(&stream), before);
        let settings = Settings::new().receive_buffer(Some(BOUND));
        bound_unread(stream.as_any(), &settings);
        assert_eq!(receive_buffer(&stream), bounded().await);
        assert_ne!(receive_buffer(&stream), before);
    }

    #[tokio::test]
    async fn a_socket_is_found_in_what_wraps_it() {
        let stream = dialed().await;
        let address = stream.local_addr().unwrap();
        let boxed: BoxIo = Box::new(stream);
        let identified: BoxIo = Box::new(Identified::new(boxed, PeerNames::new(["node-1"])));
        let twice: BoxIo = Box::new(identified);
        let found = tcp_under((*twice).as_any()).unwrap();
        assert_eq!(found.local_addr().unwrap(), address);
        let (pipe, _other) = tokio::io::duplex(64);
        assert!(tcp_under(pipe.as_any()).is_none());
    }
}
