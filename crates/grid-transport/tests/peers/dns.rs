//! Lists behind a name in DNS, asked of a name server of the test.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use grid_transport::{
    TcpDialer,
    peers::{DnsClient, DnsHost, DnsPeers, DnsRecord, PeerSource, SystemDns},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
    time::timeout,
};

use crate::{followed, node, raw::PATIENCE, remotes, removed};

const NAME: &str = "_grid._tcp.example.test.";

/// The longest answer over UDP (RFC 1035 section 4.2.1).
const LONGEST: usize = 512;

#[derive(Clone)]
enum Record {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Srv(&'static str, u16),
}

impl Record {
    fn kind(&self) -> u16 {
        match self {
            Self::A(_) => 1,
            Self::Aaaa(_) => 28,
            Self::Srv(..) => 33,
        }
    }

    fn data(&self) -> Vec<u8> {
        match self {
            Self::A(address) => address.octets().to_vec(),
            Self::Aaaa(address) => address.octets().to_vec(),
            Self::Srv(host, port) => {
                let mut data = vec![0, 1, 0, 1];
                data.extend(port.to_be_bytes());
                for label in host.split('.').filter(|label| !label.is_empty()) {
                    data.push(u8::try_from(label.len()).unwrap());
                    data.extend(label.bytes());
                }
                data.push(0);
                data
            }
        }
    }
}

/// What the server says: records with a time to live in seconds, or that there is no such name.
type Zone = Arc<Mutex<Vec<(Record, u32)>>>;

/// A name server that knows one name, until it is dropped.
struct Server {
    address: SocketAddr,
    zone: Zone,
    /// How often it was asked over TCP.
    over_tcp: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let zone = Zone::default();
        let over_tcp = Arc::<AtomicUsize>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(udp, zone.clone()));
        tasks.spawn(serve_tcp(tcp, zone.clone(), over_tcp.clone()));
        Self {
            address,
            zone,
            over_tcp,
            _tasks: tasks,
        }
    }

    fn client(&self) -> SystemDns {
        SystemDns::with_servers([self.address]).unwrap()
    }

    fn says(&self, records: impl IntoIterator<Item = Record>) {
        let records = records.into_iter().map(|record| (record, 30));
        *self.zone.lock().unwrap() = records.collect();
    }
}

/// One port of both kinds. Another program may have the one of UDP.
async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free over both");
}

async fn serve(socket: UdpSocket, zone: Zone) {
    let mut buffer = [0; 1_500];
    while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
        let answer = answer(&buffer[..len], &zone, LONGEST);
        socket.send_to(&answer, from).await.unwrap();
    }
}

async fn serve_tcp(socket: TcpListener, zone: Zone, asked: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = socket.accept().await {
        connections.spawn(converse(stream, zone.clone(), asked.clone()));
    }
}

/// RFC 1035 section 4.2.2: each message behind its length.
async fn converse(mut stream: TcpStream, zone: Zone, asked: Arc<AtomicUsize>) {
    while let Ok(len) = stream.read_u16().await {
        let mut query = vec![0; len.into()];
        stream.read_exact(&mut query).await.unwrap();
        asked.fetch_add(1, Ordering::Relaxed);
        let answer = answer(&query, &zone, u16::MAX.into());
        let mut message = u16::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
        message.extend(answer);
        stream.write_all(&message).await.unwrap();
    }
}

/// RFC 1035 section 4: the question as it came, and the records of its kind; where that is longer than it may be none of
/// them, and the bit that says so.
fn answer(query: &[u8], zone: &Zone, longest: usize) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let kind = u16::from_be_bytes([query[end + 1], query[end + 2]]);
    let zone = zone.lock().unwrap().clone();
    let records: Vec<_> = zone
        .iter()
        .filter(|(record, _)| record.kind() == kind)
        .collect();
    let code = if zone.is_empty() { 3 } else { 0 };
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80 | code, 0, 1]);
    answer.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(&query[12..end + 5]);
    for (record, ttl) in records {
        let data = record.data();
        answer.extend([0xc0, 12]);
        answer.extend(record.kind().to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    if answer.len() > longest {
        answer.truncate(end + 5);
        answer[2] |= 2;
        answer[6..8].fill(0);
    }
    answer
}

#[tokio::test]
async fn addresses_of_either_kind_and_services_are_asked_for() {
    let server = Server::start().await;
    let six = "2001:db8::7";
    server.says([
        Record::A(Ipv4Addr::new(10, 0, 0, 2)),
        Record::Srv("Node-1.example.test.", 9001),
        Record::A(Ipv4Addr::new(10, 0, 0, 1)),
        Record::Aaaa(six.parse().unwrap()),
        Record::Srv("node-2.example.test.", 9002),
    ]);
    server.zone.lock().unwrap()[2].1 = 7;
    let dns = server.client();
    let list = DnsPeers::a(dns.clone(), NAME, 9000).ask().await.unwrap();
    assert_eq!(list.names, ["http://10.0.0.1:9000", "http://10.0.0.2:9000"]);
    // The shortest of all, less the moment that it took.
    assert!((5..=7).contains(&list.again.as_secs()), "{:?}", list.again);
    let list = DnsPeers::aaaa(dns.clone(), NAME, 9000).ask().await.unwrap();
    assert_eq!(list.names, ["http://[2001:db8::7]:9000"]);
    let list = DnsPeers::srv(dns.clone(), NAME).ask().await.unwrap();
    assert_eq!(
        list.names,
        [
            "http://node-1.example.test:9001",
            "http://node-2.example.test:9002"
        ]
    );
    // Nothing is remembered.
    server.says([Record::A(Ipv4Addr::new(10, 0, 0, 3))]);
    let answer = dns.ask(NAME, DnsRecord::A).await.unwrap();
    let three = DnsHost::Address(Ipv4Addr::new(10, 0, 0, 3).into());
    assert_eq!(answer.hosts, [three]);
    // A name that there is, with no such record; and none.
    for records in [vec![Record::A(Ipv4Addr::LOCALHOST)], vec![]] {
        server.says(records);
        let error = DnsPeers::srv(dns.clone(), NAME).ask().await.unwrap_err();
        let words = format!("no SRV records of {NAME:?}: ");
        assert!(error.to_string().starts_with(&words), "{error}");
    }
}

/// A large service: what does not fit over UDP is asked for over TCP, and is there whole.
#[tokio::test]
async fn all_addresses_of_a_large_service_are_found() {
    let server = Server::start().await;
    let addresses = (0..200).map(|last| Ipv4Addr::new(10, 0, 0, last));
    server.says(addresses.clone().map(Record::A));
    let list = DnsPeers::a(server.client(), NAME, 9000)
        .ask()
        .await
        .unwrap();
    let mut names: Vec<_> = addresses
        .map(|address| format!("http://{address}:9000"))
        .collect();
    names.sort();
    assert_eq!(list.names, names);
    assert_eq!(server.over_tcp.load(Ordering::Relaxed), 1);

    // What fits is not asked for again.
    server.says([Record::A(Ipv4Addr::LOCALHOST)]);
    let list = DnsPeers::a(server.client(), NAME, 9000)
        .ask()
        .await
        .unwrap();
    assert_eq!(list.names, ["http://127.0.0.1:9000"]);
    assert_eq!(server.over_tcp.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_no_name_is_an_error() {
    let server = Server::start().await;
    let dns = server.client();
    for name in ["", "a..b", &"a".repeat(300)] {
        let asked = dns.ask(name, DnsRecord::A);
        assert!(timeout(PATIENCE, asked).await.unwrap().is_err(), "{name}");
    }
    let error = SystemDns::with_servers([]).unwrap_err();
    assert_eq!(error.to_string(), "there are no name servers to ask");
}

/// Over TCP, by services of this machine.
#[tokio::test]
async fn nodes_follow_a_service_and_stay_when_it_is_unknown() {
    let server = Server::start().await;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        sockets.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let ports = [0, 1].map(|index: usize| sockets[index].local_addr().unwrap().port());
    let names = ports.map(|port| format!("http://localhost:{port}"));
    let service = |port| Record::Srv("localhost.", port);
    server.says(ports.map(service));

    let mut nodes = Vec::new();
    let mut following = Vec::new();
    for (socket, name) in sockets.into_iter().zip(&names) {
        let manager = node::builder(name, &[])
            .dialer(TcpDialer::new())
            .build()
            .unwrap();
        manager.serve(socket).unwrap();
        let often = Duration::from_millis(100);
        let source = DnsPeers::srv(server.client(), NAME).between(often, often);
        following.push(manager.follow(source).unwrap());
        nodes.push(manager);
    }
    for (index, following) in following.iter().enumerate() {
        followed(following, |state| state.lists == 1).await;
        let link = nodes[index].connection(&names[1 - index]).unwrap();
        node::connected(&link).await;
    }

    server.says([]);
    followed(&following[0], |state| state.fault.is_some()).await;
    let link = nodes[0].connection(&names[1]).unwrap();
    assert!(link.state().is_connected());

    server.says([service(ports[0]), service(9)]);
    followed(&following[0], |state| state.lists == 2).await;
    removed(&link).await;
    assert_eq!(remotes(&nodes[0]), ["http://localhost:9"]);
    for node in &nodes {
        node.shutdown(Duration::ZERO).await;
    }
}
