//! Processor time of a node none of whose remotes can be reached.

use std::time::{Duration, Instant};

use grid_proto::local_dials;
use tokio::runtime::Runtime;

use crate::{
    Fault,
    node::node,
    table::Row,
    usage::{processor_time, rest},
};

const COUNT: usize = 500;
/// From the start: the first attempts are in it, which all begin at once.
const FIRST: Duration = Duration::from_secs(20);
/// And then, when each goes on with its share of attempts.
const LATER: Duration = Duration::from_secs(20);
const LOCAL: &str = "http://127.0.0.1:9";

pub(crate) fn measure(runtime: &Runtime) -> Result<Vec<Row>, Fault> {
    // All of these refuse, as nobody listens there; and of each pair this node dials.
    let mut names: Vec<_> = (0..=u16::MAX)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            format!("http://127.1.{high}.{low}:9")
        })
        .filter(|name| local_dials(LOCAL, name))
        .take(COUNT)
        .collect();
    names.push(LOCAL.to_owned());
    let mut began = (Instant::now(), processor_time()?, 0);
    let manager = runtime.block_on(async { node(LOCAL, &names) })?;
    let mut rows = Vec::new();
    for (what, time) in [("from the start", FIRST), ("after that", LATER)] {
        rest(time);
        let (now, used) = (Instant::now(), processor_time()?);
        let links = manager.stats();
        if links.iter().any(|link| link.state.is_connected()) {
            return Err("somebody was reached".into());
        }
        let attempts: u64 = links.iter().map(|link| link.failed_attempts).sum();
        let took = now - began.0;
        let part = used.saturating_sub(began.1).as_secs_f64() / took.as_secs_f64();
        let what = format!("{COUNT} remotes configured, none reachable, {what}");
        rows.push(
            Row::new(what, part * 100.0, "% of a core")
                .at_most(2.0, 2.0)
                .note(format!(
                    "{} attempts in {:.0} s, all refused",
                    attempts - began.2,
                    took.as_secs_f64(),
                )),
        );
        began = (now, used, attempts);
    }
    runtime.block_on(manager.shutdown(Duration::ZERO));
    Ok(rows)
}
