//! The other side of what is measured, in a process of its own, which is asked for its figures by lines of text.

use std::{
    env,
    io::{self, BufRead, BufReader, Lines, Write},
    iter,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use grid_proto::local_dials;
use grid_transport::Manager;
use tokio::runtime::Runtime;

use crate::{
    Fault,
    node::{self, node},
    usage::{self, Memory},
};

/// With this as the first argument the program is the other side.
pub(crate) const ARGUMENT: &str = "other-side";

/// The process, seen from the one that measures.
pub(crate) struct Other {
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// The names of its nodes.
    pub(crate) names: Vec<String>,
}

impl Other {
    /// Starts nodes that know nobody but `name`: so many, all of which dial, or are dialed, or either.
    pub(crate) fn start(name: &str, count: usize, dials: Option<bool>) -> Result<Self, Fault> {
        let dials = match dials {
            None => "either",
            Some(true) => "dials",
            Some(false) => "is-dialed",
        };
        let mut process = Command::new(env::current_exe()?)
            .args([ARGUMENT, name, &count.to_string(), dials])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or("no output of the other side")?;
        let mut other = Self {
            process,
            input,
            output: BufReader::new(output).lines(),
            names: Vec::new(),
        };
        other.names = other.line()?.split(' ').map(str::to_owned).collect();
        Ok(other)
    }

    /// What it takes, once it rests.
    pub(crate) fn memory_at_rest(&mut self) -> Result<Memory, Fault> {
        self.ask("rest")?.parse()
    }

    pub(crate) fn memory(&mut self) -> Result<Memory, Fault> {
        self.ask("memory")?.parse()
    }

    /// How many streams it serves.
    pub(crate) fn serving(&mut self) -> Result<usize, Fault> {
        Ok(self.ask("serving")?.parse()?)
    }

    fn ask(&mut self, question: &str) -> Result<String, Fault> {
        let input = self.input.as_mut().ok_or("no input of the other side")?;
        writeln!(input, "{question}")?;
        self.line()
    }

    fn line(&mut self) -> Result<String, Fault> {
        Ok(self.output.next().ok_or("the other side has ended")??)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // It ends with its input.
        drop(self.input.take());
        drop(self.process.wait());
    }
}

/// Is the other side until the input ends.
pub(crate) fn serve(args: &[String]) -> Result<(), Fault> {
    let [name, count, dials] = args else {
        return Err("not called by itself".into());
    };
    let count = count.parse()?;
    let dials = match dials.as_str() {
        "dials" => Some(true),
        "is-dialed" => Some(false),
        _ => None,
    };
    usage::allow_many_sockets()?;
    let runtime = Runtime::new()?;
    let nodes = runtime.block_on(nodes(name, count, dials))?;
    let names: Vec<_> = nodes.iter().map(Manager::local).collect();
    println!("{}", names.join(" "));
    for line in io::stdin().lines() {
        match line?.as_str() {
            "memory" => println!("{}", Memory::now()),
            "rest" => println!("{}", Memory::at_rest()),
            "serving" => {
                let links = nodes.iter().flat_map(Manager::stats);
                println!("{}", links.map(|link| link.serving_streams).sum::<usize>());
            }
            other => return Err(format!("asked for {other:?}").into()),
        }
    }
    Ok(())
}

async fn nodes(remote: &str, count: usize, dials: Option<bool>) -> Result<Vec<Manager>, Fault> {
    let remote = remote.to_owned();
    let mut nodes = Vec::with_capacity(count);
    // Names are taken until one has the right direction; those that have not are kept, so as not to be given again.
    let mut kept = Vec::new();
    while nodes.len() < count {
        let (socket, name) = node::socket().await?;
        if dials.is_some_and(|dials| dials != local_dials(&name, &remote)) {
            kept.push(socket);
            continue;
        }
        let manager = node(&name, iter::once(&remote).chain([&name]))?;
        manager.serve(socket)?;
        nodes.push(manager);
    }
    Ok(nodes)
}
