//! The table without a terminal, and JSON.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::{report, sample::Sample, source::Source};
use crate::{failure::Failure, output, unruly::tame};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Json,
}

/// Looks twice, an interval apart, and tells of it once.
pub(super) async fn once(source: &mut Source, every: Duration, form: Form) -> Result<(), Failure> {
    let mut pace = interval(every);
    pace.tick().await;
    let before = source.fetch().await?;
    pace.tick().await;
    let sample = Sample::after(&before, source.fetch().await?);
    let text = match form {
        Form::Table => table(&sample),
        Form::Json => json(&sample)?,
    };
    say(&text)
}

/// Writes a line of JSON after each interval, until the node can't be reached.
pub(super) async fn lines(source: &mut Source, every: Duration) -> Result<(), Failure> {
    let mut pace = interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace.tick().await;
    let mut before = source.fetch().await?;
    loop {
        pace.tick().await;
        let sample = Sample::after(&before, source.fetch().await?);
        say(&json(&sample)?)?;
        before = sample.status;
    }
}

fn say(text: &str) -> Result<(), Failure> {
    output::print(text.as_bytes(), "watching ends")
}

fn table(sample: &Sample) -> String {
    let mut text = String::new();
    for line in report::heading(sample) {
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    for line in report::table(sample, 0) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The status document, with the rates in each of its links, on one line.
fn json(sample: &Sample) -> Result<String, Failure> {
    let failed = |error: serde_json::Error| Failure::failed(error.to_string());
    let mut document = serde_json::to_value(&sample.status).map_err(failed)?;
    if let Some(Value::Array(links)) = document.get_mut("links") {
        for (link, (_, rates)) in links.iter_mut().zip(sample.links()) {
            if let Value::Object(link) = link {
                let rates = serde_json::to_value(rates).map_err(failed)?;
                link.insert("rates".to_owned(), rates);
            }
        }
    }
    let mut json = tame(&document.to_string());
    json.push('\n');
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{parse_status, sample_status};

    #[test]
    fn json_is_the_document_and_the_rates() {
        let before = sample_status(["http://a:1", "http://b:1"]);
        let mut now = before.clone();
        now.uptime_s += 2.0;
        now.links[1].bytes_out += 5;
        now.links[0].bytes_out -= 1;
        let line = json(&Sample::after(&before, now.clone())).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        // Whoever reads the document reads this too.
        assert_eq!(parse_status(line.as_bytes()), Ok(now));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["links"][0]["rates"], Value::Null);
        assert_eq!(value["links"][1]["rates"]["bytes_out_s"], 2.5);
    }
}
