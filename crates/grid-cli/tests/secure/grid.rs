//! Two nodes that speak TLS with each other and show JSON web tokens, and commands that join them.

use std::net::SocketAddr;

use crate::{
    certificates::Authority,
    common::{
        Grid, PATIENCE, TempDir,
        cluster::{Names, Output, reserve, run, words},
    },
};

/// The host in all names.
pub(crate) const HOST: &str = "127.0.0.1";
const LISTEN: &str = "127.0.0.1:0";

/// Nodes `a` and `b` with a link. Each has its files, such as `a.pem`, and a control socket, such as `a.sock`.
pub(crate) struct Secure {
    pub(crate) authority: Authority,
    pub(crate) names: Names,
    pub(crate) dir: TempDir,
    pub(crate) a: Grid,
    pub(crate) b: Grid,
    b_address: String,
    /// Where the spare name listens that `b` dials.
    spare_address: SocketAddr,
    _reserved: socket2::Socket,
}

impl Secure {
    /// With what each of the two nodes is given beside that.
    pub(crate) fn start(more: &[&str]) -> Self {
        let (authority, names) = (Authority::new(), Names::find("https"));
        let dir = TempDir::new();
        for who in ["a", "b", "spare"] {
            authority.write(&dir, who, HOST);
        }
        dir.write("secret", "minio123-of-the-test\n");
        let reserved = reserve();
        let spare_address = reserved.local_addr().unwrap().as_socket().unwrap();
        let to_spare = format!("{}={spare_address}", names.listener);
        let node = |who: &str, local: &str, dial: &[&str]| {
            let control = format!("unix:{}/{who}.sock", dir.text());
            let mut words = words(&["node", "--local", local, "--listen", LISTEN]);
            // The changes are what is tested, not the wait for them.
            words.extend(["--reread".to_owned(), "1".to_owned()]);
            words.extend(options(&dir, &names, who));
            words.extend(["--control".to_owned(), control]);
            for dial in dial {
                words.extend(["--dial".to_owned(), (*dial).to_owned()]);
            }
            words.extend(more.iter().map(|&word| word.to_owned()));
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            Grid::start_with(&words, &[])
        };
        let mut b = node("b", &names.b, &[&to_spare]);
        let b_address = b.address();
        let to_b = format!("{}={b_address}", names.b);
        let mut a = node("a", &names.a, &[&to_b, &to_spare]);
        a.wait_for(&["link state", &names.b, "connected to"], PATIENCE);
        b.wait_for(&["link state", &names.a, "connected to"], PATIENCE);
        Self {
            authority,
            names,
            dir,
            a,
            b,
            b_address,
            spare_address,
            _reserved: reserved,
        }
    }

    /// The path of a file of the folder.
    pub(crate) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir.text())
    }

    /// The options by which a command goes through `a` to `b`.
    pub(crate) fn via(&self) -> Vec<String> {
        let socket = format!("unix:{}", self.file("a.sock"));
        words(&["--to", &self.names.b, "--via", &socket])
    }

    /// The options by which a command dials `b` under a spare name, with these of TLS.
    pub(crate) fn dialing_with(&self, tls: &[String]) -> Vec<String> {
        let to_b = format!("{}={}", self.names.b, self.b_address);
        let (local, to) = (&self.names.dialer, &self.names.b);
        let mut all = words(&["--to", to, "--local", local, "--dial", &to_b]);
        all.extend(words(&["--listen", LISTEN]));
        all.extend(list_and_tokens(&self.dir, &self.names));
        all.extend(tls.iter().cloned());
        all
    }

    /// The same with the files of the spare name.
    pub(crate) fn dialing(&self) -> Vec<String> {
        self.dialing_with(&tls(&self.dir, "spare"))
    }

    /// The options by which a command is dialed by `b` under a spare name.
    pub(crate) fn listening(&self) -> Vec<String> {
        let listen = self.spare_address.to_string();
        let (local, to) = (&self.names.listener, &self.names.b);
        let mut all = words(&["--to", to, "--local", local, "--listen", &listen]);
        all.extend(options(&self.dir, &self.names, "spare"));
        all
    }

    /// Calls the echo of `b`.
    pub(crate) fn call(&self, way: &[String]) -> Output {
        run(&["call", "9", "hello"], way, b"")
    }

    #[track_caller]
    pub(crate) fn calls(&self, way: &[String]) {
        let output = self.call(way);
        assert_eq!(
            (output.code, output.text()),
            (Some(0), "hello"),
            "{output:?}"
        );
    }
}

fn options(dir: &TempDir, names: &Names, who: &str) -> Vec<String> {
    let mut all = list_and_tokens(dir, names);
    all.extend(tls(dir, who));
    all
}

fn list_and_tokens(dir: &TempDir, names: &Names) -> Vec<String> {
    let (peers, secret) = (names.peers(), format!("{}/secret", dir.text()));
    words(&[
        "--peers",
        &peers,
        "--jwt-access-key",
        "minio",
        "--jwt-secret-file",
        &secret,
    ])
}

fn tls(dir: &TempDir, who: &str) -> Vec<String> {
    let file = |ending: &str| format!("{}/{who}.{ending}", dir.text());
    words(&[
        "--tls-cert",
        &file("pem"),
        "--tls-key",
        &file("key"),
        "--tls-roots",
        &file("roots"),
    ])
}
