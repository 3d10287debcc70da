//! Runs two processes of a program for one point.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::{
    peers::{Peer, Program},
    point::{Flavor, Latency, Point, Run, Side},
};

/// Where the programs are, and for how long each is measured.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) programs: PathBuf,
    pub(crate) grid: PathBuf,
    pub(crate) seconds: f64,
    pub(crate) warmup: f64,
}

/// A process that does not outlive us.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already, and there is nobody to tell otherwise.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't run {command:?}"))?;
        Ok(Self(child))
    }

    fn peak(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .context("the kernel tells no peak of memory")?;
        Ok(peak.trim().parse::<f64>()? * 1024.0)
    }
}

/// Measures one point once.
pub(crate) fn run(plan: &Plan, peer: &Peer, point: Point) -> anyhow::Result<Run> {
    match peer.program {
        Program::Grid => grid(plan, point),
        Program::Ours(binary) => ours(plan, &plan.programs.join(binary), point),
    }
    .with_context(|| format!("{} at {point:?}", peer.name))
}

fn ours(plan: &Plan, program: &Path, point: Point) -> anyhow::Result<Run> {
    let flavor = point.flavor.name();
    let mut server = Server::start(Command::new(program).args(["serve", "--runtime", flavor]))?;
    let mut line = String::new();
    let told = server.0.stdout.take().context("it has no stdout")?;
    BufReader::new(told).read_line(&mut line)?;
    let (port, usage_port) = line
        .trim()
        .split_once(' ')
        .context("the server told no ports")?;
    let number = |value: f64| value.to_string();
    let report = output(
        Command::new(program)
            .args(["load", "--runtime", flavor, "--port", port])
            .args(["--usage-port", usage_port, "--what", point.what.name()])
            .args(["--callers", &point.callers.to_string()])
            .args(["--size", &point.size.to_string()])
            .args(["--capacity", &point.capacity.to_string()])
            .args(["--seconds", &number(plan.seconds)])
            .args(["--warmup", &number(plan.warmup)]),
    )?;
    Ok(serde_json::from_slice(&report)?)
}

/// The binary, with the settings that it has by default.
fn grid(plan: &Plan, point: Point) -> anyhow::Result<Run> {
    let (node, load) = (free_port()?, free_port()?);
    let name = |port: u16| format!("http://127.0.0.1:{port}");
    let peers = format!("{},{}", name(node), name(load));
    let threads: &[&str] = match point.flavor {
        Flavor::Mt => &[],
        Flavor::Ct => &["--threads", "1"],
    };
    let common = |command: &mut Command| {
        command
            .env("GRID_TOKEN", "compared")
            .args(["--peers", &peers])
            .args(threads)
            .stderr(Stdio::null());
    };
    let mut command = Command::new(&plan.grid);
    command.args(["node", "--local", &name(node)]);
    common(&mut command);
    let server = Server::start(&mut command)?;
    wait_for(node)?;
    let mut command = Command::new(&plan.grid);
    command
        .args(["load", "--json", "--quiet", "--to", &name(node)])
        .args(["--local", &name(load)])
        .args(["--par", &point.callers.to_string()])
        .args(["--size", &point.size.to_string()])
        .args(["--seconds", &plan.seconds.to_string()])
        .args(["--warmup", &plan.warmup.to_string()]);
    common(&mut command);
    let report: Value = serde_json::from_slice(&output(&mut command)?)?;
    let at = |path: &str| {
        let value = report.pointer(path).and_then(Value::as_f64);
        value.with_context(|| format!("the report of `grid load` has no {path}"))
    };
    // Seconds for a million are microseconds for one.
    Ok(Run {
        rate: at("/rate")?,
        latency_ns: Some(Latency {
            p50: at("/latency_ns/p50")?,
            p99: at("/latency_ns/p99")?,
            p999: at("/latency_ns/p999")?,
        }),
        caller: Side {
            cpu_us: Some(at("/cpu_s_per_million/caller")?),
            allocations: None,
            peak_bytes: Some(at("/peak_memory_bytes/caller")?),
        },
        handler: Side {
            cpu_us: Some(at("/cpu_s_per_million/handler")?),
            allocations: None,
            peak_bytes: Some(server.peak()?),
        },
    })
}

fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// A name has to hold its port before anybody listens there.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn wait_for(port: u16) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > until {
            bail!("nobody listens at port {port}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
