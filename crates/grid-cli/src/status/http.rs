//! The status over HTTP: `GET /status` and nothing else, for whoever can reach the address.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Facts;
use crate::failure::Failure;

/// Where the document is.
pub(crate) const STATUS_PATH: &str = "/status";

/// Connections at one time; others wait for their turn.
const MOST_CLIENTS: usize = 64;
/// A client that hasn't asked by then is let go.
const HEAD: Duration = Duration::from_secs(5);
/// A connection is for one request, and no client takes longer to read its answer.
const LIFE: Duration = Duration::from_secs(10);
/// What a request that has begun may take when the node ends.
const GRACE: Duration = Duration::from_secs(1);
/// The largest head of a request; the least that hyper takes.
const MOST_HEAD: usize = 8 * 1024;
/// Between two attempts to accept, where one has failed: mostly there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// A bound address that nobody serves yet.
#[derive(Debug)]
pub(crate) struct StatusSocket {
    listener: TcpListener,
    address: SocketAddr,
}

/// Binds the address of `--status`.
pub(crate) async fn bind(address: &str) -> Result<StatusSocket, Failure> {
    let refused =
        |error: io::Error| Failure::bad(format!("--status: can't listen on '{address}': {error}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    Ok(StatusSocket {
        address: listener.local_addr().map_err(refused)?,
        listener,
    })
}

/// The server of the status at work.
#[derive(Debug)]
pub(crate) struct StatusServer {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl StatusServer {
    /// Serves `socket` until [`stop`](Self::stop).
    pub(crate) fn serve(socket: StatusSocket, facts: Arc<Facts>) -> Self {
        tracing::info!("status on {}", socket.address);
        if !socket.address.ip().is_loopback() {
            tracing::warn!(
                "--status asks for no token: whoever can reach {} can read the status",
                socket.address
            );
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(socket.listener, facts, stop.clone()));
        Self { stop, task }
    }

    /// Closes the address, lets requests that have begun end, and returns when all of it is gone.
    ///
    /// # Cancel safety
    ///
    /// The address is closed all the same.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It fails only where the task has panicked, and then there is nothing to end.
        let _ = self.task.await;
    }
}

async fn run(listener: TcpListener, facts: Arc<Facts>, stop: CancellationToken) {
    let clients = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    let accept = async {
        loop {
            // Never closed.
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            match listener.accept().await {
                Ok((io, _)) => {
                    let (facts, stop) = (facts.clone(), stop.clone());
                    clients.spawn(async move {
                        client(io, &facts, &stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!("the status address accepts nothing: {error}");
                    // tidy: sleep: what is missing comes back by itself or not at all
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    clients.close();
    clients.wait().await;
}

/// Answers one request. What goes wrong with it is the client's loss and nobody else's concern.
async fn client(io: TcpStream, facts: &Facts, stop: &CancellationToken) {
    let service = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(answer(&request, facts)))
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let life = async {
        tokio::select! {
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(GRACE, connection).await;
            }
        }
    };
    let _ = timeout(LIFE, life).await;
}

fn answer<B>(request: &Request<B>, facts: &Facts) -> Response<Full<Bytes>> {
    if request.uri().path() != STATUS_PATH {
        return text(
            StatusCode::NOT_FOUND,
            "there is nothing here; the status is at /status\n",
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "the status can only be read, by GET or HEAD\n",
        );
        let methods = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, methods);
        return refusal;
    }
    match serde_json::to_vec(&facts.status()) {
        Ok(mut json) => {
            json.push(b'\n');
            response(StatusCode::OK, "application/json", json.into())
        }
        Err(error) => {
            tracing::warn!("the status can't be told: {error}");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the status can't be told; the log says why\n",
            )
        }
    }
}

fn text(code: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(
        code,
        "text/plain; charset=utf-8",
        Bytes::from_static(text.as_bytes()),
    )
}

fn response(code: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
