//! What a process has used, and a port that tells it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike as _},
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "count")]
#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Since the process began.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Processor time of user and system in microseconds.
    pub(crate) cpu_us: u64,
    /// Allocations and reallocations, where they are counted.
    pub(crate) allocations: Option<u64>,
    /// The most memory that was resident, in bytes.
    pub(crate) peak_bytes: u64,
}

impl Usage {
    pub(crate) fn now() -> anyhow::Result<Self> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let micros = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
        let status = fs::read_to_string("/proc/self/status")?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|line| line.trim().strip_suffix("kB"))
            .context("the kernel tells no peak of memory")?;
        Ok(Self {
            cpu_us: micros(usage.user_time()) + micros(usage.system_time()),
            allocations: allocations(),
            peak_bytes: peak.trim().parse::<u64>()? * 1024,
        })
    }

    /// That of the process behind a port.
    pub(crate) fn of(addr: SocketAddr) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut told = Vec::new();
        stream.read_to_end(&mut told)?;
        Ok(serde_json::from_slice(&told)?)
    }
}

/// Tells everyone who connects to the port that is returned, until the process ends.
pub(crate) fn tell() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let _detached = thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let told = Usage::now().and_then(|usage| Ok(serde_json::to_vec(&usage)?));
            if let Ok(told) = told {
                // Whoever asked and went away has its reasons.
                let _ = stream.write_all(&told);
            }
        }
    });
    Ok(port)
}

#[cfg(feature = "count")]
fn allocations() -> Option<u64> {
    let stats = ALLOCATOR.stats();
    u64::try_from(stats.allocations + stats.reallocations).ok()
}

#[cfg(not(feature = "count"))]
fn allocations() -> Option<u64> {
    None
}
