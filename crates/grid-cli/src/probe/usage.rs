//! The processor time of this process.

use std::time::Duration;

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde::{Deserialize, Serialize};

/// What this process has used so far; handler 46 answers the processor seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// In the process itself.
    pub(crate) user_s: f64,
    /// In the kernel on its behalf.
    pub(crate) sys_s: f64,
    /// The most memory that was resident at any time.
    #[serde(skip)]
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Of this process, all threads together.
    pub(crate) fn now() -> Result<Self, nix::Error> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        Ok(Self {
            user_s: seconds(usage.user_time()),
            sys_s: seconds(usage.system_time()),
            peak_bytes: peak_of_this_program().unwrap_or_else(|| {
                // Counted in KiB by all but Apple's systems.
                let unit = if cfg!(target_vendor = "apple") {
                    1
                } else {
                    1024
                };
                u64::try_from(usage.max_rss()).unwrap_or_default() * unit
            }),
        })
    }
}

/// As Linux tells it: there `getrusage` counts what the process was before it became this program.
fn peak_of_this_program() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn seconds(time: TimeVal) -> f64 {
    let whole = u64::try_from(time.tv_sec()).unwrap_or_default();
    let micros = u64::try_from(time.tv_usec()).unwrap_or_default();
    (Duration::from_secs(whole) + Duration::from_micros(micros)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_time() {
        let before = Usage::now().unwrap();
        let mut sum = 0_u64;
        loop {
            for number in 0..100_000_u64 {
                sum = std::hint::black_box(sum.wrapping_add(number));
            }
            let now = Usage::now().unwrap();
            assert!(now.user_s >= before.user_s && now.sys_s >= before.sys_s);
            if now.user_s + now.sys_s > before.user_s + before.sys_s {
                break;
            }
        }
        // No Rust program fits into a page.
        assert!(before.peak_bytes > 64 * 1024, "{before:?}");
        let json = serde_json::to_value(before).unwrap();
        assert!(json["user_s"].is_f64() && json["sys_s"].is_f64(), "{json}");
    }
}
