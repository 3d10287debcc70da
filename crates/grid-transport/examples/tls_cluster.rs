//! Three nodes over mutual TLS: they call each other, their certificates are changed while they run, and
//! a node with a certificate of somebody else is turned away and says why.
//!
//! With mutual TLS both ends of a link show a certificate by an authority that the other one trusts, and the
//! names of hosts in it are bound to the node: `https://node-1.test:9000` may only be who has a
//! certificate for `node-1.test`.
//!
//! Run it with `cargo run -p grid-transport --features tls --example tls_cluster`.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::{
    error::Error,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    Capacity, Connection, HandlerId, Manager, Resolver, SharedSecret, Stream, TcpDialer, tls::Tls,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tokio::{net::TcpListener, task::spawn_blocking, time::timeout};

const GREET: HandlerId = HandlerId::new(200);
const ECHO: HandlerId = HandlerId::new(201);
const ECHO_CAPACITY: Capacity = Capacity::new(1, 1);

/// Longer than anything takes here, should a machine be ever so slow.
const PATIENCE: Duration = Duration::from_secs(20);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Who signs certificates; in life that is a program of its own, on another machine.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// What nodes verify its certificates by.
    root: String,
}

impl Authority {
    fn new(name: &str) -> Outcome<Self> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let root = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { issuer, root })
    }

    /// Writes a new certificate for `host` and its key into a node's folder.
    fn certify(&self, host: &str, folder: &Path) -> Outcome {
        let mut params = CertificateParams::new([host.to_owned()])?;
        // A node is the server of some of its links and the client of others.
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        // In life nobody but the node may read its key.
        fs::write(folder.join("node.pem"), certificate.pem())?;
        fs::write(folder.join("node.key"), key.serialize_pem())?;
        Ok(())
    }
}

/// Writes down whom the node of this folder trusts.
fn trust(folder: &Path, authorities: &[&Authority]) -> Outcome {
    let roots = authorities.iter().map(|authority| &*authority.root);
    fs::write(folder.join("roots.pem"), roots.collect::<String>())?;
    Ok(())
}

/// The names of this example's hosts, which no name server knows.
struct Hosts;

impl Resolver for Hosts {
    fn resolve<'a>(
        &'a self,
        _host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![(Ipv4Addr::LOCALHOST, port).into()]) })
    }
}

/// A place where a node can run: its name, and its folder.
struct Host {
    host: String,
    name: String,
    folder: PathBuf,
}

struct Node {
    manager: Manager,
    tls: Tls,
}

impl Node {
    /// Starts a node with what is in its host's folder now.
    fn start(at: &Host, names: &[String], socket: TcpListener) -> Outcome<Self> {
        let file = |name| at.folder.join(name);
        let tls = Tls::builder()
            .provider(Arc::new(rustls::crypto::ring::default_provider()))
            .identity_files(file("node.pem"), file("node.key"))
            .roots_file(file("roots.pem"))
            .mutual()
            .build()?;
        let manager = Manager::builder(&at.name)
            .peers(names)
            // Beside the certificates: who has one of the authority is not yet a node of this grid.
            .auth(SharedSecret::new("only we know"))
            .dialer(tls.dialer().tcp(TcpDialer::new().resolver(Hosts)))
            .single(GREET, |request| async move {
                Ok(format!("hello {}", request.caller()).into())
            })
            .stream(ECHO, ECHO_CAPACITY, |mut call| async move {
                while let Some(item) = call.recv().await {
                    call.send(item?).await?;
                }
                Ok(())
            })
            .build()?;
        manager.serve_on(tls.accept(socket)?)?;
        Ok(Self { manager, tls })
    }

    /// The same place again, free for another node.
    async fn stop(self, at: &Host) -> Outcome<TcpListener> {
        self.manager.shutdown(Duration::from_secs(1)).await;
        let port: u16 = at.name.rsplit(':').next().unwrap_or_default().parse()?;
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?)
    }
}

#[tokio::main]
async fn main() -> Outcome {
    let folder = Folder::new()?;
    let (mut hosts, mut sockets) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let host = format!("node-{number}.test");
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let name = format!("https://{host}:{}", socket.local_addr()?.port());
        let folder = folder.0.join(&host);
        fs::create_dir(&folder)?;
        hosts.push(Host { host, name, folder });
        sockets.push(socket);
    }
    let names: Vec<_> = hosts.iter().map(|host| host.name.clone()).collect();
    let old = Authority::new("the old authority")?;
    let mut nodes = Vec::new();
    for (at, socket) in hosts.iter().zip(sockets) {
        old.certify(&at.host, &at.folder)?;
        trust(&at.folder, &[&old])?;
        nodes.push(Node::start(at, &names, socket)?);
    }
    call_each_other(&nodes).await?;

    rotate(&hosts, &nodes, &old).await?;

    // A link that is made now shows the new certificates. Of three nodes there is always one that dials
    // one of the others and is dialed by the other, so that both can be seen.
    let dials_one = |node: &Node| {
        let links = node.manager.stats().into_iter();
        links.filter(|link| link.dials).count() == 1
    };
    let place = nodes.iter().position(dials_one);
    let place = place.ok_or("no node dials one of two others")?;
    let at = hosts.remove(place);
    let socket = nodes.remove(place).stop(&at).await?;
    nodes.push(Node::start(&at, &names, socket)?);
    println!("{} was restarted with its new certificate", at.name);
    call_each_other(&nodes).await?;

    // Somebody takes its place, with all that it has but for its certificate.
    let Some(restarted) = nodes.pop() else {
        return Err("where are the nodes?".into());
    };
    let socket = restarted.stop(&at).await?;
    Authority::new("an authority of somebody else")?.certify(&at.host, &at.folder)?;
    let stranger = Node::start(&at, &names, socket)?;
    for node in &nodes {
        is_refused(&node.manager, &stranger.manager).await?;
    }
    call_each_other(&nodes).await?;

    nodes.push(stranger);
    for node in nodes {
        node.manager.shutdown(Duration::from_secs(1)).await;
    }
    Ok(())
}

/// Every node calls every other, over one link for each two.
async fn call_each_other(nodes: &[Node]) -> Outcome {
    for from in nodes {
        for to in nodes {
            if from.manager.local() == to.manager.local() {
                continue;
            }
            let peer = from.manager.connection(to.manager.local())?;
            let answer = peer.request(GREET, "").timeout(PATIENCE).wait_ready();
            let answer = answer.await?;
            let greeting = String::from_utf8_lossy(answer.as_slice());
            println!("{}: {greeting}", peer.name());
            assert_eq!(greeting, format!("hello {}", from.manager.local()));
        }
    }
    Ok(())
}

/// Changes the certificates of all nodes to those of a new authority, in three steps: at each moment
/// everybody trusts what the others show. No link is lost.
async fn rotate(hosts: &[Host], nodes: &[Node], old: &Authority) -> Outcome {
    let new = Authority::new("the new authority")?;
    let link = nodes[0].manager.connection(&hosts[1].name)?;
    let mut echo = link.stream(ECHO, ECHO_CAPACITY, "").await?;

    for at in hosts {
        trust(&at.folder, &[old, &new])?;
    }
    reload(nodes).await?;
    say(&mut echo, "all trust the new authority too").await?;

    for at in hosts {
        new.certify(&at.host, &at.folder)?;
    }
    reload(nodes).await?;
    say(&mut echo, "all have a certificate of the new authority").await?;

    for at in hosts {
        trust(&at.folder, &[&new])?;
    }
    reload(nodes).await?;
    say(&mut echo, "nobody trusts the old authority any more").await?;

    for node in nodes {
        for link in node.manager.stats() {
            if link.reconnects > 0 || !link.state.is_connected() {
                return Err(format!("the link to {} was lost: {}", link.remote, link.state).into());
            }
        }
    }
    println!("and no link was lost");
    Ok(())
}

/// Has all nodes read their files again. These are on a disk, which is not for the runtime's threads.
async fn reload(nodes: &[Node]) -> Outcome {
    for node in nodes {
        let tls = node.tls.clone();
        spawn_blocking(move || tls.reload()).await??;
    }
    Ok(())
}

/// Over a stream that is older than the certificates.
async fn say(echo: &mut Stream, words: &'static str) -> Outcome {
    echo.send(words).await?;
    let item = timeout(PATIENCE, echo.recv()).await?;
    let item = item.ok_or("the stream has ended")??;
    println!("{}", String::from_utf8_lossy(item.as_slice()));
    Ok(())
}

/// Neither lets the other in: whichever of the two dials learns why from the state of its link.
async fn is_refused(node: &Manager, stranger: &Manager) -> Outcome {
    let (ours, theirs) = (
        node.connection(stranger.local())?,
        stranger.connection(node.local())?,
    );
    let (link, dialer, cause) = if ours.stats().dials {
        (&ours, node, "UnknownIssuer")
    } else {
        (&theirs, stranger, "UnknownCA")
    };
    let state = down_because(link, cause).await?;
    println!("{} to {}: {state}", dialer.local(), link.name());
    for link in [&ours, &theirs] {
        match link.request(GREET, "").await {
            Ok(_) => return Err("a stranger was let in".into()),
            Err(error) if error.may_have_executed() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

/// What the state of a link says once it says these words.
async fn down_because(link: &Connection, words: &str) -> Outcome<String> {
    let mut states = link.watch();
    let said = states.wait_for(|state| {
        let cause = state.last_cause();
        cause.is_some_and(|cause| cause.to_string().contains(words))
    });
    match timeout(PATIENCE, said).await {
        Ok(state) => Ok(state?.to_string()),
        Err(_) => Err(format!("not refused as {words}, but {}", link.state()).into()),
    }
}

/// A folder of this process, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("grid-tls-cluster-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is the system's folder for what need not stay.
        let _ = fs::remove_dir_all(&self.0);
    }
}
