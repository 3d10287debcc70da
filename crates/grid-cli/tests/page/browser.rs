//! Chromium without a screen, told what to do over its debugging protocol.

use std::{
    collections::VecDeque,
    env,
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::common::{PATIENCE, TempDir};

/// A browser with one tab; killed when dropped.
pub(crate) struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    last: u64,
    session: Option<String>,
    events: VecDeque<Value>,
    _profile: TempDir,
}

impl Browser {
    /// `None` where there is no browser, which is said.
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = find() else {
            let test = thread::current().name().unwrap_or("?").to_owned();
            // Past what the test runner keeps to itself where a test passes.
            let _ = writeln!(
                io::stdout(),
                "skipped: {test} needs chromium, which is not in PATH (Debian: apt install chromium)"
            );
            return None;
        };
        let profile = TempDir::new();
        let mut child = Command::new(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-extensions",
                "--disable-background-networking",
            ])
            .args([
                "--remote-debugging-port=0",
                "--hide-scrollbars",
                "about:blank",
            ])
            .arg(format!("--user-data-dir={}", profile.text()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chromium starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
        let url = lines
            .find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()))
            .expect("chromium says where it listens");
        // What else it says nobody wants, but it has to go somewhere.
        thread::spawn(move || lines.for_each(drop));
        let address = url
            .strip_prefix("ws://")
            .and_then(|rest| rest.split('/').next());
        let io = TcpStream::connect(address.expect("an address")).expect("it listens");
        io.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let (socket, _) = tungstenite::client(url, io).expect("a websocket");
        let mut browser = Self {
            child,
            socket,
            last: 0,
            session: None,
            events: VecDeque::new(),
            _profile: profile,
        };
        let tabs = browser.call("Target.getTargets", json!({}));
        let tabs = tabs["targetInfos"].as_array().expect("targets").clone();
        let tab = tabs
            .iter()
            .find(|tab| tab["type"] == "page")
            .expect("a tab");
        let attached = browser.call(
            "Target.attachToTarget",
            json!({"targetId": tab["targetId"], "flatten": true}),
        );
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({}));
        }
        Some(browser)
    }

    /// Opens a page, and returns once it is there.
    pub(crate) fn open(&mut self, url: &str) {
        self.events.clear();
        self.call("Page.navigate", json!({"url": url}));
        self.loaded();
    }

    /// Waits until a page has been loaded, since the last time.
    pub(crate) fn loaded(&mut self) {
        loop {
            let event = match self.events.pop_front() {
                Some(event) => event,
                None => self.read(),
            };
            if event["method"] == "Page.loadEventFired" {
                return;
            }
        }
    }

    /// What an expression is worth.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let answer = self.call(
            "Runtime.evaluate",
            json!({"expression": expression, "returnByValue": true, "awaitPromise": true}),
        );
        assert!(
            answer["exceptionDetails"].is_null(),
            "{expression}: {answer:#}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression about the page is true.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, expression: &str) {
        let seconds = PATIENCE.as_millis() - 5_000;
        let waited = self.eval(&format!(
            "new Promise((done) => {{
                const look = () => {{ if ({expression}) {{ watch.disconnect(); done(true); }} }};
                const watch = new MutationObserver(look);
                watch.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
                setTimeout(() => done(document.body.innerText), {seconds});
                look();
            }})"
        ));
        assert!(
            waited == true,
            "never {expression}: {}",
            waited.as_str().unwrap_or_default()
        );
    }

    /// Presses a key and lets it go.
    pub(crate) fn press(&mut self, key: &str, code: u32) {
        let text = if key == " " { " " } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let params =
                json!({"type": kind, "key": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// How large the window is, and which colours its user likes.
    pub(crate) fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// What the window shows, as a PNG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        let text = answer["data"].as_str().expect("a picture");
        BASE64_STANDARD.decode(text).expect("base64")
    }

    /// What the browser complained about, such as a policy that the page breaks.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // Whatever came before the answer to this has been read by then.
        self.eval("1");
        let told = self.events.iter().filter(|event| {
            event["method"] == "Runtime.exceptionThrown"
                || event["method"] == "Log.entryAdded"
                    && event["params"]["entry"]["level"] == "error"
        });
        told.map(ToString::to_string).collect()
    }

    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut order = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = session.as_str().into();
        }
        let order = Message::text(order.to_string());
        self.socket.send(order).expect("the browser takes it");
        loop {
            let message = self.read();
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push_back(message);
        }
    }

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("an answer in time") {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It fails only where the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn find() -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&paths)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file())
}
