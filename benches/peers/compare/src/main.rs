//! Runs the programs of this workspace, and `grid`, in turn, and compares what they reach.
//!
//! Each point is run in rounds (A B C A B C), so that whatever else the machine does hits all of them; medians are
//! shown with the least and the most.

mod bars;
mod peers;
mod plot;
mod point;
mod ratios;
mod results;
mod run;
mod setting;
mod table;

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use clap::Parser;

use crate::{
    peers::{PEERS, Peer},
    point::Point,
    results::Results,
    run::Plan,
    setting::Setting,
};

/// Compare this grid with others on one connection over loopback.
#[derive(Parser)]
struct Args {
    /// Where the programs of this workspace were built.
    #[arg(long)]
    programs: PathBuf,
    /// The binary `grid`.
    #[arg(long)]
    grid: PathBuf,
    /// The programs again, in a build that counts allocations.
    #[arg(long)]
    counting: Option<PathBuf>,
    /// Fewer programs and points, less than a second each: under two minutes.
    #[arg(long)]
    quick: bool,
    /// The seconds that each run of a point is measured [default: 3, or 0.8 with --quick].
    #[arg(long)]
    seconds: Option<f64>,
    /// The seconds before that [default: 0.5, or 0.2 with --quick].
    #[arg(long)]
    warmup: Option<f64>,
    /// How often each point is run.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Only programs whose name contains one of these; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Only points whose description contains one of these, as `echo mt 512 B × 64`; may be given several times.
    #[arg(long)]
    point: Vec<String>,
    /// The folder of the tables, the JSON and the plots.
    #[arg(long)]
    out: PathBuf,
    /// Copy the JSON and the plots here as well.
    #[arg(long)]
    keep: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let (seconds, warmup) = if args.quick { (0.8, 0.2) } else { (3.0, 0.5) };
    let plan = Plan {
        programs: args.programs.clone(),
        grid: args.grid.clone(),
        seconds: args.seconds.unwrap_or(seconds),
        warmup: args.warmup.unwrap_or(warmup),
    };
    let setting = Setting::of(&plan, args.rounds)?;
    let runs = args.runs();
    ensure!(!runs.is_empty(), "nothing is left to measure");
    fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let mut results = Results::default();
    let mut failed = Vec::new();
    let mut progress = Progress::new(runs.len() * args.rounds);
    for (index, &(point, _)) in runs.iter().enumerate() {
        // All that is run at a point stands together; begin with the first of them.
        if index > 0 && runs.get(index - 1).is_some_and(|before| before.0 == point) {
            continue;
        }
        for round in 1..=args.rounds {
            for (_, peer) in runs.iter().filter(|run| run.0 == point) {
                progress.next(&format!("{point}, round {round}: {}", peer.name));
                match run::run(&plan, peer, point) {
                    Ok(run) => results.add(peer.name, point, run),
                    Err(error) => failed.push(format!("{error:#}")),
                }
            }
        }
        // What was measured within an hour outlives whatever ends it early.
        save(&args.out, &setting, &results, &failed)?;
    }
    if let Some(programs) = &args.counting {
        let plan = Plan {
            programs: programs.clone(),
            grid: args.grid.clone(),
            seconds: 0.5,
            warmup: 0.3,
        };
        let counted: Vec<_> = runs.iter().filter(|run| run.1.is_ours()).collect();
        let mut progress = Progress::new(counted.len());
        for &&(point, peer) in &counted {
            progress.next(&format!("{point}, allocations: {}", peer.name));
            match run::run(&plan, peer, point) {
                // Counting costs time, so that the rates of these runs count for nothing.
                Ok(run) => results.count(peer.name, point, &run),
                Err(error) => failed.push(format!("{error:#}")),
            }
        }
        save(&args.out, &setting, &results, &failed)?;
    }
    progress.end();
    let text = [
        setting.to_string(),
        table::render(&results),
        ratios::render(&results),
        bars::render(&results),
    ]
    .join("\n");
    println!("{text}");
    fs::write(args.out.join("peers.md"), &text)?;
    let mut files = plot::draw(&results, &args.out)?;
    files.push("peers.json".to_owned());
    if let Some(keep) = &args.keep {
        fs::create_dir_all(keep).with_context(|| keep.display().to_string())?;
        for file in &files {
            fs::copy(args.out.join(file), keep.join(file))
                .with_context(|| keep.join(file).display().to_string())?;
        }
    }
    for failure in &failed {
        eprintln!("failed: {failure}");
    }
    Ok(if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Args {
    /// What is run at which point, point by point.
    fn runs(&self) -> Vec<(Point, &'static Peer)> {
        let chosen = |words: &[String], name: &str| {
            words.is_empty() || words.iter().any(|word| name.contains(word.as_str()))
        };
        let points = Point::all(self.quick).into_iter();
        points
            .filter(|point| chosen(&self.point, &point.to_string()))
            .flat_map(|point| {
                PEERS
                    .iter()
                    .filter(move |peer| peer.takes(point) && (!self.quick || peer.quick))
                    .filter(move |peer| chosen(&self.only, peer.name))
                    .map(move |peer| (point, peer))
            })
            .collect()
    }
}

fn save(
    folder: &Path,
    setting: &Setting,
    results: &Results,
    failed: &[String],
) -> anyhow::Result<()> {
    let path = folder.join("peers.json");
    // A line for each result, as it is kept beside what is written of it.
    let results: Vec<String> = results
        .entries()
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let text = format!(
        "{{\"setting\":{},\"failed\":{},\"results\":[\n{}\n]}}\n",
        serde_json::to_string(setting)?,
        serde_json::to_string(failed)?,
        results.join(",\n"),
    );
    fs::write(&path, text).with_context(|| path.display().to_string())
}

/// What runs, and how long the rest will take.
struct Progress {
    began: Instant,
    done: usize,
    all: usize,
}

impl Progress {
    fn new(all: usize) -> Self {
        Self {
            began: Instant::now(),
            done: 0,
            all,
        }
    }

    fn next(&mut self, what: &str) {
        let left = match self.done {
            0 => String::new(),
            done => {
                let each = self.began.elapsed().as_secs_f64() / done as f64;
                format!(", {:.0} s left", each * (self.all - done) as f64)
            }
        };
        self.done += 1;
        if io::stderr().is_terminal() {
            eprint!("\r\x1b[K{} of {}{left}: {what}", self.done, self.all);
        }
    }

    fn end(&self) {
        if io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
    }
}
