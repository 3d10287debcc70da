//! HTTP by hand.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::common::PATIENCE;

/// An answer: its head in lower case, and its body.
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn is(&self, code: u16) {
        let start = format!("http/1.1 {code} ");
        assert!(
            self.head.starts_with(&start),
            "{}\n{}",
            self.head,
            self.body
        );
    }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    get_with(address, path, &[("host", address)])
}

pub(crate) fn get_with(address: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let mut io = TcpStream::connect(address).expect("it listens");
    io.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    io.write_all(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes())
        .expect("it is read");
    let mut answer = String::new();
    io.read_to_string(&mut answer).expect("an answer in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Answer {
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}
