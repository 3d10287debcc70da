//! A grid beside another route of a server that is hyper and nothing else, over TLS.
//!
//! Each of two nodes has such a server. They find each other by the grid's path, while whoever asks for `/health`
//! gets an answer, with no more than trust in the authority.
//!
//! Run it with `cargo run -p grid-transport --features http,tls --example hyper_mount`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use grid_transport::{GridService, HandlerId, Manager, SharedSecret, tls::Tls};
use http::{Request, Response, StatusCode, header::HOST};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tower_service::Service as _;

const GREET: HandlerId = HandlerId::new(200);

/// How long a client may take for its TLS handshake, and for the head of a request. A link of the grid is under
/// neither once it is upgraded.
const CLIENT: Duration = Duration::from_secs(5);

/// Longer than anything takes here, should a machine be ever so slow.
const PATIENCE: Duration = Duration::from_secs(20);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Who signs certificates; in life that is a program of its own, on another machine.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Outcome<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.der().clone();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, root })
    }

    /// TLS with a new certificate for a host. It is not mutual: who asks for `/health` has no certificate to show.
    fn tls(&self, host: Ipv4Addr) -> Outcome<Tls> {
        let mut params = CertificateParams::new([host.to_string()])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key: PrivateKeyDer<'static> = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let tls = Tls::builder()
            .provider(provider())
            .identity(vec![certificate.der().clone()], key)
            .roots([self.root.clone()])
            .build()?;
        Ok(tls)
    }
}

fn node(local: &str, names: &[String], tls: &Tls) -> Outcome<Manager> {
    let manager = Manager::builder(local)
        .peers(names)
        .auth(SharedSecret::new("only we know"))
        .dialer(tls.dialer())
        .single(GREET, |request| async move {
            Ok(format!("hello {}", request.caller()).into())
        })
        .build()?;
    Ok(manager)
}

/// What the application serves, and the grid under its path.
#[derive(Clone)]
struct App {
    grid: GridService,
    path: Arc<str>,
}

impl App {
    async fn answer(
        mut self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path();
        if path == &*self.path {
            return self.grid.call(request).await;
        }
        let (status, body) = match path {
            "/health" => (StatusCode::OK, "fine"),
            _ => (StatusCode::NOT_FOUND, "nothing here"),
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        Ok(response)
    }
}

/// Takes connections for as long as the application runs.
async fn serve(socket: TcpListener, tls: Tls, app: App) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = socket.accept() => {
                let (stream, from) = accepted?;
                connections.spawn(connection(stream, from, tls.clone(), app.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, beside all others: a client that is slow or hangs up is nobody else's affair.
async fn connection(stream: TcpStream, from: SocketAddr, tls: Tls, app: App) {
    let Ok(Ok(stream)) = timeout(CLIENT, tls.greeted(Box::new(stream))).await else {
        return;
    };
    let service = service_fn(move |mut request: Request<Incoming>| {
        // For the log of the grid.
        request.extensions_mut().insert(from);
        app.clone().answer(request)
    });
    let mut http = server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(CLIENT);
    let served = http.serve_connection(TokioIo::new(stream), service);
    // What hands the connection over to the grid.
    drop(served.with_upgrades().await);
}

/// What a client that knows nothing of the grid gets under a path.
async fn get(
    address: SocketAddr,
    path: &str,
    config: &Arc<ClientConfig>,
) -> Outcome<(StatusCode, Bytes)> {
    let asked = async {
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(config.clone());
        let stream = connector
            .connect(ServerName::from(address.ip()), stream)
            .await?;
        let (mut requests, connection) =
            client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = Request::get(path).header(HOST, address.to_string());
        let response = requests.send_request(request.body(Empty::<Bytes>::new())?);
        let response = response.await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        // Without who might ask for more the connection ends; how is of no interest any more.
        drop(requests);
        drop(connection.await?);
        Ok((status, body))
    };
    timeout(PATIENCE, asked).await?
}

/// The server answers what it answers without a grid.
async fn serves_the_rest(address: SocketAddr, config: &Arc<ClientConfig>) -> Outcome {
    let (status, body) = get(address, "/health", config).await?;
    println!(
        "https://{address}/health: {}",
        String::from_utf8_lossy(&body)
    );
    assert_eq!((status, &*body), (StatusCode::OK, &b"fine"[..]));
    let (status, _) = get(address, "/elsewhere", config).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let authority = Authority::new()?;
    let host = Ipv4Addr::LOCALHOST;
    let (mut sockets, mut names) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let socket = TcpListener::bind((host, 0)).await?;
        let address = socket.local_addr()?;
        names.push(format!("https://{address}"));
        sockets.push((socket, address));
    }
    let (mut nodes, mut addresses) = (Vec::new(), Vec::new());
    let mut servers: Vec<JoinHandle<io::Result<()>>> = Vec::new();
    for ((socket, address), name) in sockets.into_iter().zip(&names) {
        let tls = authority.tls(host)?;
        let manager = node(name, &names, &tls)?;
        let app = App {
            grid: manager.service(),
            path: manager.path().into(),
        };
        servers.push(tokio::spawn(serve(socket, tls, app)));
        nodes.push(manager);
        addresses.push(address);
    }
    for node in &nodes {
        for peer in node.connections() {
            let answer = peer.request(GREET, "").timeout(PATIENCE).wait_ready();
            let answer = answer.await?;
            let greeting = String::from_utf8_lossy(answer.as_slice());
            println!("{greeting}");
            assert_eq!(greeting, format!("hello {}", node.local()));
        }
    }

    let mut roots = RootCertStore::empty();
    roots.add(authority.root.clone())?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = Arc::new(config);
    for address in &addresses {
        serves_the_rest(*address, &config).await?;
    }
    for node in &nodes {
        for link in node.stats() {
            if link.reconnects > 0 || !link.state.is_connected() {
                return Err(format!("the link to {} was lost: {}", link.remote, link.state).into());
            }
        }
    }

    for node in &nodes {
        node.shutdown(Duration::from_secs(1)).await;
    }
    println!("the grid has ended, and the servers go on");
    for address in &addresses {
        serves_the_rest(*address, &config).await?;
    }
    for server in servers {
        server.abort();
        if let Ok(ended) = server.await {
            return Err(format!("a server has ended by itself: {ended:?}").into());
        }
    }
    Ok(())
}
