//! A grid under a route of an HTTP server that the application has.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, timeout},
};
use tower_service::Service;

use crate::{
    io::{BoxIo, Io},
    link::shared::NodeShared,
    manager::Manager,
    mount,
    proven::Identified,
    ws::{RequestHead, Status},
};

impl Manager {
    /// This grid as a service that an HTTP server routes to, so that it stands beside whatever else is served there.
    ///
    /// Works with whatever hands over the connections of hyper 1: hyper itself (`with_upgrades`), axum (`route_service`),
    /// and services of tonic whose routes are part of an axum router. The `Server` of tonic hands none over. Route the [path](Manager::path) of the grid to it; the
    /// service does not look at the path itself. Once an upgrade is granted the byte stream belongs to the grid, and no
    /// timeout of the server or of a layer of it acts on it. What the server has read behind the request is not lost.
    /// A `TcpStream` gets `TCP_NODELAY` and keep-alive probes; of a byte stream that wraps one that is the server's
    /// business, and small calls are slow without the first.
    ///
    /// The service counts as a [`Manager`]: the node does not end before the server has dropped it, or
    /// [`shutdown`](Manager::shutdown) is called. Requests are refused with 503 then.
    #[must_use]
    pub fn service(&self) -> GridService {
        GridService {
            manager: self.clone(),
            address: Arc::new(|extensions| {
                let address = extensions.get::<SocketAddr>()?;
                Some(address.ip().to_string())
            }),
            taken: vec![taken::<TcpStream>, taken::<Identified>, unwrapped::<BoxIo>],
        }
    }
}

/// What the log has where the byte stream stays with the server.
const KEPT: &str = "the HTTP server does not hand the connection over";

/// Where a request comes from, for the log.
type Address = dyn Fn(&Extensions) -> Option<String> + Send + Sync;
/// Takes a byte stream of one type out of an upgraded connection, with what was read ahead of it.
type Take = fn(Upgraded) -> Result<(BoxIo, Bytes), Upgraded>;

/// A grid as a `tower::Service` over HTTP requests; made by [`Manager::service`].
#[derive(Clone)]
pub struct GridService {
    manager: Manager,
    address: Arc<Address>,
    taken: Vec<Take>,
}

impl GridService {
    /// How the log is told where a connection comes from: from what the server has put into the request. Best an address
    /// without its port, as warnings are counted by it. Without this a `SocketAddr` is looked for among the extensions,
    /// and nothing is known where there is none.
    #[must_use]
    pub fn address(
        mut self,
        address: impl Fn(&Extensions) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.address = Arc::new(address);
        self
    }

    /// The type of byte stream that the server serves, in hyper's `TokioIo`, where it is not `TcpStream`,
    /// [`Identified`] or [`BoxIo`]. Known types are taken out of what hyper wraps them in and work without a detour. All
    /// others work too, but what they prove is not known: for names that count ([`Identified`]) serve one of the three.
    #[must_use]
    pub fn over<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static>(mut self) -> Self {
        self.taken.push(taken::<T>);
        self
    }

    async fn answer<B>(self, mut request: Request<B>) -> Response<Full<Bytes>> {
        let node = self.manager.node().clone();
        let from = (self.address)(request.extensions());
        let from = from.unwrap_or_else(|| "an unknown address".to_owned());
        let Some(permit) = mount::permit(&node, &from) else {
            return refusal(Status::Unavailable);
        };
        let head = RequestHead::of(&request);
        let limit = node.settings.handshake_timeout;
        let looked = tokio::select! {
            biased;
            () = node.shutdown.closing().cancelled() => Err(Status::Unavailable),
            looked = timeout(limit, mount::look_at(&node, &head, &from)) => {
                looked.unwrap_or(Err(Status::Unavailable))
            }
        };
        if let Err(status) = looked {
            return refused(&node, &from, status);
        }
        let accept = match head.accept_key().map(HeaderValue::from_str) {
            Ok(Ok(accept)) => accept,
            Ok(Err(_)) => {
                let status = Status::BadRequest("bad \"Sec-WebSocket-Key\" header");
                return refused(&node, &from, status);
            }
            Err(status) => return refused(&node, &from, status),
        };
        if request.extensions().get::<OnUpgrade>().is_none() {
            mount::turned_away(&node, &from, KEPT, &"there is nothing to wait for");
            return refusal(Status::Unavailable);
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let taken = self.taken;
        node.clone().spawn(async move {
            let began = Instant::now();
            if let Some((io, ahead)) = take(&node, upgrade, &taken, &from).await {
                let left = limit.saturating_sub(began.elapsed());
                mount::greet(&node, io, ahead, from, left).await;
            }
            drop(permit);
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        response
    }
}

impl<B: Send + 'static> Service<Request<B>> for GridService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async { Ok(service.answer(request).await) })
    }
}

impl fmt::Debug for GridService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GridService")
            .field("manager", &self.manager)
            .finish_non_exhaustive()
    }
}

/// Tells of it, as a listener does; whoever looked at the headers has told of them.
fn refused(node: &NodeShared, from: &str, status: Status) -> Response<Full<Bytes>> {
    if status != Status::Forbidden {
        mount::turned_away(node, from, "upgrade refused", &status);
    }
    refusal(status)
}

fn refusal(status: Status) -> Response<Full<Bytes>> {
    let (number, _, body) = status.parts();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() =
        StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !body.is_empty() {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    if status == Status::UpgradeRequired {
        let version = HeaderValue::from_static("13");
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_VERSION, version);
    }
    response
}

/// Waits until the server hands the connection over.
async fn take(
    node: &NodeShared,
    upgrade: OnUpgrade,
    taken: &[Take],
    from: &str,
) -> Option<(BoxIo, Bytes)> {
    let upgraded = tokio::select! {
        biased;
        () = node.shutdown.closing().cancelled() => return None,
        upgraded = timeout(node.settings.handshake_timeout, upgrade) => upgraded,
    };
    let mut upgraded = match upgraded {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            mount::turned_away(node, from, KEPT, &error);
            return None;
        }
        Err(_) => {
            mount::turned_away(node, from, KEPT, &"it did not in time");
            return None;
        }
    };
    for take in taken {
        match take(upgraded) {
            Ok(io) => return Some(io),
            Err(other) => upgraded = other,
        }
    }
    let whole: BoxIo = Box::new(Whole(Mutex::new(TokioIo::new(upgraded))));
    Some((whole, Bytes::new()))
}

fn taken<T: Io>(upgraded: Upgraded) -> Result<(BoxIo, Bytes), Upgraded> {
    let (io, ahead) = unwrapped::<T>(upgraded)?;
    Ok((Box::new(io), ahead))
}

fn unwrapped<T: Io>(upgraded: Upgraded) -> Result<(T, Bytes), Upgraded> {
    match upgraded.downcast::<TokioIo<T>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        // Axum and tonic tell HTTP/1 and 2 apart first, by a wrapper of its own.
        Err(upgraded) => {
            let parts = auto::upgrade::downcast::<TokioIo<T>>(upgraded)?;
            Ok((parts.io.into_inner(), parts.read_buf))
        }
    }
}

/// An upgraded connection as hyper has it, which any thread may hold. Who reads and writes owns it and needs no lock.
struct Whole(Mutex<TokioIo<Upgraded>>);

impl Whole {
    fn inner(self: Pin<&mut Self>) -> Pin<&mut TokioIo<Upgraded>> {
        Pin::new(self.get_mut().0.get_mut())
    }
}

impl AsyncRead for Whole {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl AsyncWrite for Whole {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.inner().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}
