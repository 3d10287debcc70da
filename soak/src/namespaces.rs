//! A network namespace for each node, so that a network can really disappear. Needs root and `ip`.

use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr},
    process::{Command, Stdio, id},
};

/// What all names of ours begin with; the process follows.
const PREFIX: &str = "gsoak";

/// The namespaces, each with a cable to where the proxy is. Dropping it removes them.
#[derive(Debug)]
pub struct Namespaces {
    made: Vec<String>,
    net: u8,
}

impl Namespaces {
    /// Makes so many, and tries whether a program runs in them.
    ///
    /// # Errors
    ///
    /// Why it can't be done here.
    pub fn make(count: usize) -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("they need root".to_owned());
        }
        remove_orphans();
        let mut all = Self {
            made: Vec::new(),
            net: (id() % 256) as u8,
        };
        for index in 0..count {
            let name = name(index);
            all.made.push(name.clone());
            let (outer, inner) = (cable(index, 'o'), cable(index, 'i'));
            let mask = |address: IpAddr| format!("{address}/30");
            let (host, node) = (mask(all.host(index)), mask(all.node(index)));
            ip(&["netns", "add", &name])?;
            ip(&[
                "link", "add", &outer, "type", "veth", "peer", "name", &inner, "netns", &name,
            ])?;
            ip(&["addr", "add", &host, "dev", &outer])?;
            ip(&["link", "set", &outer, "up"])?;
            ip(&["-n", &name, "addr", "add", &node, "dev", &inner])?;
            ip(&["-n", &name, "link", "set", &inner, "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["netns", "exec", &name, "true"])?;
        }
        Ok(all)
    }

    /// The name of a node's namespace.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&str> {
        self.made.get(index).map(String::as_str)
    }

    /// The proxy's end of a node's cable.
    #[must_use]
    pub const fn host(&self, index: usize) -> IpAddr {
        self.address(index, 1)
    }

    /// The node's end of its cable.
    #[must_use]
    pub const fn node(&self, index: usize) -> IpAddr {
        self.address(index, 2)
    }

    /// In the range for tests of networks (RFC 2544).
    const fn address(&self, index: usize, end: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(198, 18, self.net, 4 * index as u8 + end))
    }

    /// Takes a node's cable down, at the proxy's end or at its own, or up again.
    ///
    /// # Errors
    ///
    /// When it can't be done.
    pub fn cable(&self, index: usize, at_node: bool, up: bool) -> Result<(), String> {
        let state = if up { "up" } else { "down" };
        let Some(name) = self.name(index) else {
            return Err(format!("there is no namespace {index}"));
        };
        if at_node {
            ip(&["-n", name, "link", "set", &cable(index, 'i'), state])
        } else {
            ip(&["link", "set", &cable(index, 'o'), state])
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.made {
            // Its cable goes with it. One that was not made yet can't be removed.
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn name(index: usize) -> String {
    format!("{PREFIX}-{}-{index}", id())
}

/// Names of network devices have at most 15 characters.
fn cable(index: usize, end: char) -> String {
    format!("gs{:x}{index}{end}", id())
}

/// Removes what is left of a process that was killed.
fn remove_orphans() {
    let Ok(list) = Command::new("ip").args(["netns", "list"]).output() else {
        return;
    };
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| orphaned(name, alive)) {
        let _ = ip(&["netns", "del", name]);
    }
}

fn orphaned(name: &str, alive: impl Fn(i32) -> bool) -> bool {
    let mut parts = name.split('-');
    parts.next() == Some(PREFIX)
        && parts
            .next()
            .and_then(|process| process.parse().ok())
            .is_some_and(|process| !alive(process))
}

fn alive(process: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), None).is_ok()
}

fn ip<S: AsRef<OsStr>>(args: &[S]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`ip` can't be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let shown: Vec<_> = args
        .iter()
        .map(|arg| arg.as_ref().to_string_lossy())
        .collect();
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    Err(format!("`ip {}` failed: {said}", shown.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_have_left_is_removed() {
        let alive = |process| process == 7;
        for (name, orphan) in [
            ("gsoak-8-0", true),
            ("gsoak-7-0", false),
            ("gsoak-x-0", false),
            ("gsoak", false),
            ("other-8-0", false),
        ] {
            assert_eq!(orphaned(name, alive), orphan, "{name}");
        }
    }

    #[test]
    fn names_of_cables_are_short_enough() {
        assert!(cable(4, 'o').len() <= 15);
        assert!(format!("gs{:x}4o", u32::MAX).len() <= 15);
    }
}
