//! The status over HTTP: an address, and connections of one request each.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream, lookup_host},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Facts,
    access::{Access, TOKEN_OPTION},
    answer::Answers,
    args::StatusConfig,
    places::{Place, Places},
};
use crate::{accepting::Accepting, failure::Failure};

/// A client that hasn't asked by then is let go.
const HEAD: Duration = Duration::from_secs(5);
/// A connection is for one request, and no client takes longer to read its answer.
const LIFE: Duration = Duration::from_secs(10);
/// What a request that has begun may take when the node ends.
const GRACE: Duration = Duration::from_secs(1);
/// The largest head of a request; the least that hyper takes.
const MOST_HEAD: usize = 8 * 1024;

/// A bound address that nobody serves yet.
#[derive(Debug)]
pub(crate) struct StatusSocket {
    listener: TcpListener,
    address: SocketAddr,
    access: Access,
}

/// Binds the address of `--status`. Without a token it has to be one that only this machine reaches.
pub(crate) async fn bind(config: &StatusConfig) -> Result<StatusSocket, Failure> {
    let address = &*config.address;
    let refused =
        |error: io::Error| Failure::bad(format!("--status: can't listen on '{address}': {error}"));
    let found: Vec<SocketAddr> = lookup_host(address).await.map_err(refused)?.collect();
    let access = access(config, &found)?;
    let listener = TcpListener::bind(&*found).await.map_err(refused)?;
    Ok(StatusSocket {
        address: listener.local_addr().map_err(refused)?,
        listener,
        access,
    })
}

/// Who may read a status whose address leads to these.
fn access(config: &StatusConfig, found: &[SocketAddr]) -> Result<Access, Failure> {
    let address = &config.address;
    if let Some(token) = &config.token {
        return Ok(Access::Token(token.clone()));
    }
    let open = |found: &&SocketAddr| !found.ip().to_canonical().is_loopback();
    match found.iter().find(open) {
        Some(open) => Err(Failure::bad(format!(
            "--status: '{address}' can be reached from other machines ({}): give {TOKEN_OPTION} \
             FILE, or an address of the loopback interface (example: 127.0.0.1:9100)",
            open.ip()
        ))),
        None => Ok(Access::Local(address.clone())),
    }
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
        let stop = CancellationToken::new();
        let answers = Arc::new(Answers::new(facts, socket.access));
        let task = tokio::spawn(run(socket.listener, answers, stop.clone()));
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

async fn run(listener: TcpListener, answers: Arc<Answers>, stop: CancellationToken) {
    let clients = TaskTracker::new();
    let work = async {
        tokio::select! {
            never = accept(listener, &answers, &clients, &stop) => match never {},
            () = stop.cancelled() => {}
        }
        clients.close();
        clients.wait().await;
        answers.ended().await;
    };
    tokio::select! {
        () = work => {}
        never = answers.measure() => match never {},
    }
}

/// Takes in whoever connects, as long as it is polled.
async fn accept(
    listener: TcpListener,
    answers: &Arc<Answers>,
    clients: &TaskTracker,
    stop: &CancellationToken,
) -> Infallible {
    let places = Places::new();
    let mut accepting = Accepting::on("the status address");
    loop {
        let room = places.room().await;
        let Some((io, from)) = accepting.accepted(listener.accept().await).await else {
            continue;
        };
        let place = places.enter(room, from.ip());
        let (answers, stop) = (answers.clone(), stop.clone());
        clients.spawn(async move { client(io, &answers, &place, &stop).await });
    }
}

/// Answers one request. What goes wrong with it is the client's loss and nobody else's concern.
async fn client(io: TcpStream, answers: &Answers, place: &Place, stop: &CancellationToken) {
    let service = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(match answers.admit(request.headers()) {
            Ok(()) => {
                place.keep().await;
                answers.answer(&request).await
            }
            Err(refusal) => *refusal,
        })
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
            () = place.taken() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(GRACE, connection).await;
            }
        }
    };
    let _ = timeout(LIFE, life).await;
}

#[cfg(test)]
mod tests {
    use grid_transport::testing;
    use tokio::time::Instant;

    use super::*;
    use crate::{status::Events, token::Token};

    /// Sooner than one that has asked and reads slowly.
    #[tokio::test(start_paused = true)]
    async fn who_does_not_ask_is_let_go() {
        let pair = testing::pair(|node| node).await.unwrap();
        let events = Events::of(testing::NAMES[0]);
        let facts = Arc::new(Facts::new(pair.a.clone(), events));
        let answers = Answers::new(facts, Access::Local("127.0.0.1:9100".to_owned()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _silent = TcpStream::connect(address).await.unwrap();
        let (io, _) = listener.accept().await.unwrap();
        let began = Instant::now();
        let places = Places::new();
        let place = places.enter(places.room().await, address.ip());
        client(io, &answers, &place, &CancellationToken::new()).await;
        let held = began.elapsed();
        assert!((HEAD..LIFE).contains(&held), "{held:?}");
        pair.shutdown(Duration::ZERO).await;
    }

    #[test]
    fn every_address_that_a_name_leads_to_has_to_be_of_this_machine() {
        let of = |token: Option<&str>, found: &[&str]| {
            let found: Vec<_> = found.iter().map(|found| found.parse().unwrap()).collect();
            let config = StatusConfig {
                address: "node:9100".to_owned(),
                token: token.map(Token::new),
            };
            access(&config, &found).map_err(|failure| failure.to_string())
        };
        let local = ["127.0.0.1:9100", "[::1]:9100", "[::ffff:127.0.0.1]:9100"];
        assert!(matches!(of(None, &local), Ok(Access::Local(own)) if own == "node:9100"));
        for open in ["10.0.0.1", "[2001:db8::1]", "[::ffff:10.0.0.1]", "0.0.0.0"] {
            let last = format!("{open}:9100");
            let found = [&local[..], &[&*last]].concat();
            let refused = of(None, &found).unwrap_err();
            let open = open.trim_matches(['[', ']']);
            assert!(
                refused.contains(&format!(
                    "'node:9100' can be reached from other machines ({open})"
                )),
                "{refused}"
            );
            assert!(matches!(of(Some("s3cret"), &found), Ok(Access::Token(_))));
        }
    }
}
