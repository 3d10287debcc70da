//! What the programs that are compared have in common: the command line, the runtime, the callers, the report.
//!
//! Each program serves (`serve`, until its stdin ends) or loads a server that runs already (`load`). It brings only
//! what is its own: how to serve, how to connect, and what one operation is.

mod latency;
mod load;
mod usage;

use std::{
    future::Future,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    process, thread,
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::{net::TcpListener, runtime::Runtime};

pub use crate::load::Ask;

/// The seconds that a load may take beyond those it was told.
const PATIENCE: f64 = 30.0;

/// One of those compared.
pub trait Peer: Send + Sync + 'static {
    /// What operations are made with. Clones share one connection.
    type Client: Client;

    /// Answers on every connection that comes, until it is dropped.
    fn serve(listener: TcpListener) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Opens the one connection.
    fn connect(addr: SocketAddr) -> impl Future<Output = anyhow::Result<Self::Client>> + Send;
}

/// One connection.
pub trait Client: Clone + Send + Sync + 'static {
    /// What a caller sends again and again, prepared once.
    type Payload: Clone + Send + Sync;

    /// Prepares a payload of so many bytes.
    fn payload(bytes: Bytes) -> Self::Payload;

    /// Sends the payload there and back; returns how many bytes came.
    fn echo(&self, payload: &Self::Payload) -> impl Future<Output = anyhow::Result<usize>> + Send;

    /// One stream of items, from the server or there and back; returns how many came, each of the right size.
    fn stream(&self, ask: Ask) -> impl Future<Output = anyhow::Result<u64>> + Send {
        let _ = ask;
        async { anyhow::bail!("it has no streams") }
    }
}

/// The command line of every program.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until stdin ends; prints the two ports: of the server, and of what tells its usage.
    Serve {
        #[arg(long)]
        runtime: Flavor,
    },
    /// Load a server and print a report as JSON.
    Load {
        #[arg(long)]
        runtime: Flavor,
        #[arg(long)]
        port: u16,
        /// The port that tells what the server has used.
        #[arg(long)]
        usage_port: u16,
        /// How many operations are open at once.
        #[arg(long)]
        callers: usize,
        /// The bytes of a payload or item.
        #[arg(long)]
        size: usize,
        /// The seconds that are measured.
        #[arg(long)]
        seconds: f64,
        /// The seconds before that.
        #[arg(long)]
        warmup: f64,
        #[arg(long, default_value = "echo")]
        what: What,
        /// How many items of a stream may be on their way.
        #[arg(long, default_value_t = 100)]
        capacity: u32,
    },
}

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// A request and its answer.
    Echo,
    /// An item of a stream from the server.
    Items,
    /// An item of a stream there and back.
    EchoItems,
}

/// Which of tokio's runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Flavor {
    /// Multi-thread with default settings.
    Mt,
    /// Current-thread.
    Ct,
}

/// The whole program.
pub fn main<P: Peer>() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Serve { runtime } => serve::<P>(runtime),
        Command::Load {
            runtime,
            port,
            usage_port,
            callers,
            size,
            seconds,
            warmup,
            what,
            capacity,
        } => {
            let plan = load::Plan {
                usage: loopback(usage_port),
                callers,
                size,
                seconds,
                warmup,
                what,
                capacity,
            };
            watch(Duration::from_secs_f64(seconds + warmup + PATIENCE));
            let report = build(runtime)?.block_on(async {
                let client = P::connect(loopback(port)).await.context("connect")?;
                load::run(client, plan).await
            })?;
            println!("{}", serde_json::to_string(&report)?);
            Ok(())
        }
    }
}

fn serve<P: Peer>(flavor: Flavor) -> anyhow::Result<()> {
    let usage_port = usage::tell()?;
    let runtime = build(flavor)?;
    let listener = runtime.block_on(TcpListener::bind(loopback(0)))?;
    let port = listener.local_addr()?.port();
    println!("{port} {usage_port}");
    std::io::stdout().flush()?;
    // Whoever started this may die without a word: its end of the pipe closes then.
    let (gone, end) = tokio::sync::oneshot::channel::<()>();
    let _detached = thread::spawn(move || {
        let _end_of_input = std::io::stdin().read(&mut [0]);
        drop(gone);
    });
    runtime.block_on(async {
        tokio::select! {
            served = P::serve(listener) => served,
            _ = end => Ok(()),
        }
    })?;
    // Connections that are still open would be waited for.
    runtime.shutdown_background();
    Ok(())
}

/// Whoever hangs must not hold up a run of an hour.
fn watch(longest: Duration) {
    let _detached = thread::spawn(move || {
        thread::sleep(longest);
        eprintln!("it hangs");
        process::exit(1);
    });
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn build(flavor: Flavor) -> anyhow::Result<Runtime> {
    let mut builder = match flavor {
        Flavor::Mt => tokio::runtime::Builder::new_multi_thread(),
        Flavor::Ct => tokio::runtime::Builder::new_current_thread(),
    };
    Ok(builder.enable_all().build()?)
}
