//! What `cargo xtask gate` counts the instructions of.
//!
//! A scenario runs as often as it is told, after a fixed number of times to warm up. Two counts of one scenario differ by
//! what it does and nothing else: whatever happens before is the same in both. So there is no clock in here, no chance
//! and no second thread.

mod link;
mod wire;

use std::{env, hint::black_box, process::ExitCode};

/// Enough for every table and buffer to have its size.
const WARM_UP: u64 = 256;

/// One thing to count.
struct Scenario {
    what: &'static str,
    /// Messages, requests or items that go together.
    count: usize,
    /// Bytes of the application in each of them.
    len: usize,
    /// How often so many are done for one figure.
    times: u64,
    run: fn(count: usize, len: usize, times: u64),
}

const SCENARIOS: [Scenario; 14] = [
    scenario("encode", 1, 16, 10_000, wire::encode),
    scenario("encode", 1, 512, 10_000, wire::encode),
    scenario("encode", 1, 65_536, 200, wire::encode),
    scenario("encode", 32, 512, 300, wire::encode),
    scenario("decode", 1, 16, 10_000, wire::decode),
    scenario("decode", 1, 512, 10_000, wire::decode),
    scenario("decode", 1, 65_536, 200, wire::decode),
    scenario("decode", 32, 512, 300, wire::decode),
    scenario("request", 1, 512, 2_000, link::requests),
    scenario("request", 64, 512, 50, link::requests),
    scenario("request", 1, 65_536, 100, link::requests),
    scenario("item-in", 32, 512, 100, link::items_in),
    scenario("item-out", 32, 512, 100, link::items_out),
    scenario("item-out", 1, 65_536, 100, link::items_out),
];

const fn scenario(
    what: &'static str,
    count: usize,
    len: usize,
    times: u64,
    run: fn(usize, usize, u64),
) -> Scenario {
    Scenario {
        what,
        count,
        len,
        times,
        run,
    }
}

impl Scenario {
    /// What the figure is called.
    fn name(&self) -> String {
        format!("{}/{}x{}", self.what, self.count, self.len)
    }

    fn run(&self, times: u64) {
        (self.run)(self.count, self.len, times);
    }
}

/// Does something again and again, after the warm-up.
fn repeat(times: u64, mut what: impl FnMut()) {
    for _ in 0..WARM_UP + times {
        what();
    }
}

/// Bytes that are not all the same; the compiler does not get to see them.
fn payload(len: usize) -> bytes::Bytes {
    let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
    black_box(bytes).into()
}

#[allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of the command line talks to its terminal"
)]
fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["list"] => {
            for scenario in &SCENARIOS {
                let Scenario {
                    count, len, times, ..
                } = scenario;
                println!("{} {count} {len} {times}", scenario.name());
            }
        }
        ["run", name, times] => {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name() == *name);
            let (Some(scenario), Ok(times)) = (scenario, times.parse()) else {
                eprintln!("there is no scenario {name:?}, or {times:?} is no number");
                return ExitCode::from(2);
            };
            scenario.run(times);
        }
        // With the arguments of other benches, when all of them run.
        _ => {
            for scenario in &SCENARIOS {
                scenario.run(1);
            }
            println!("every scenario runs; `cargo xtask gate` counts what it takes");
        }
    }
    ExitCode::SUCCESS
}
