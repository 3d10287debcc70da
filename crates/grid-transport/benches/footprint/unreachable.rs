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
const TIME: Duration = Duration::from_secs(10);
const LOCAL: &str = "http://127.0.0.1:9";

/// The first attempts are in it, which all begin at once.
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
    let (began, before) = (Instant::now(), processor_time()?);
    let manager = runtime.block_on(async { node(LOCAL, &names) })?;
    rest(TIME);
    let used = processor_time()?.saturating_sub(before);
    let part = used.as_secs_f64() / began.elapsed().as_secs_f64();
    let links = manager.stats();
    if links.iter().any(|link| link.state.is_connected()) {
        return Err("somebody was reached".into());
    }
    let attempts: u64 = links.iter().map(|link| link.failed_attempts).sum();
    runtime.block_on(manager.shutdown(Duration::ZERO));
    let what = format!("{COUNT} remotes configured, none reachable");
    Ok(vec![
        Row::new(what, part * 100.0, "% of a core")
            .at_most(2.0, 2.0)
            .note(format!(
                "{attempts} attempts in {} s, all refused",
                TIME.as_secs()
            )),
    ])
}
