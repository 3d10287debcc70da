//! A name server that knows one name.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// What is behind the name: addresses, or a host with a port.
#[derive(Clone)]
pub(crate) enum Record {
    A(Ipv4Addr),
    Service(&'static str, u16),
}

impl Record {
    /// The kind of RFC 1035 or 2782, and what stands in it.
    fn content(&self) -> (u16, Vec<u8>) {
        match self {
            Self::A(address) => (1, address.octets().to_vec()),
            Self::Service(host, port) => {
                let mut data = vec![0, 1, 0, 1];
                data.extend(port.to_be_bytes());
                for label in host.split('.') {
                    data.push(u8::try_from(label.len()).unwrap());
                    data.extend(label.bytes());
                }
                data.push(0);
                (33, data)
            }
        }
    }
}

/// Answers until it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    records: Arc<Mutex<Vec<Record>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    pub(crate) fn start(records: Vec<Record>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (records, stop) = (
            Arc::new(Mutex::new(records)),
            Arc::new(AtomicBool::new(false)),
        );
        let (of_thread, stopped) = (records.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let answer = answer(&buffer[..len], &of_thread.lock().unwrap());
                socket.send_to(&answer, from).unwrap();
            }
        });
        Self {
            address,
            records,
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn says(&self, records: Vec<Record>) {
        *self.records.lock().unwrap() = records;
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Whatever comes wakes it up.
        let woken =
            UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(&[0], self.address));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

/// RFC 1035 section 4: the question as it came, and the records of its kind, which are good for a second.
fn answer(query: &[u8], records: &[Record]) -> Vec<u8> {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    let asked = u16::from_be_bytes([query[end + 1], query[end + 2]]);
    let contents: Vec<_> = records.iter().map(Record::content).collect();
    let fitting = || contents.iter().filter(|(kind, _)| *kind == asked);
    let count = u16::try_from(fitting().count()).unwrap();
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, 0x80, 0, 1]);
    answer.extend(count.to_be_bytes());
    answer.extend([0, 0, 0, 0]);
    answer.extend(&query[12..end + 5]);
    for (kind, data) in fitting() {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 1]);
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    answer
}
