//! The status of a running node: one JSON document, as the control socket and `--status` give it, and a page for people.

mod access;
mod answer;
mod args;
mod brief;
mod client;
mod document;
mod events;
mod http;
mod making;
mod mesh;
mod page;
mod places;
mod rates;
mod row;
mod seen;
mod told;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use grid_transport::Manager;

use self::document::VERSION;
#[cfg(test)]
pub(crate) use self::document::sample_status;
pub(crate) use self::{
    access::{TOKEN_OPTION, read_token},
    args::{StatusArgs, StatusConfig},
    client::StatusUrl,
    document::{HandlerStatus, LinkStatus, ProcessStatus, Status, parse_status},
    events::Events,
    http::{StatusServer, bind},
    told::RowSource,
};
use crate::probe::Usage;

/// What the status of a node is made from.
#[derive(Debug)]
pub(crate) struct Facts {
    manager: Manager,
    events: Events,
    since: Instant,
}

impl Facts {
    pub(crate) fn new(manager: Manager, events: Events) -> Self {
        Self {
            manager,
            events,
            since: Instant::now(),
        }
    }

    pub(crate) fn manager(&self) -> &Manager {
        &self.manager
    }

    /// The node as it is now.
    pub(crate) fn status(&self) -> Status {
        let usage = Usage::now().unwrap_or_default();
        Status {
            version: VERSION,
            program: crate::version().to_owned(),
            node: self.manager.local().to_owned(),
            path: self.manager.path().to_owned(),
            instance: self.manager.id().to_string(),
            time_s: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |time| time.as_secs_f64()),
            uptime_s: self.since.elapsed().as_secs_f64(),
            process: ProcessStatus {
                pid: std::process::id(),
                user_s: usage.user_s,
                sys_s: usage.sys_s,
                peak_memory_bytes: usage.peak_bytes,
            },
            links: self.manager.stats().iter().map(LinkStatus::from).collect(),
            handlers: self
                .manager
                .handler_stats()
                .iter()
                .map(HandlerStatus::from)
                .collect(),
            events: self.events.newest(),
            mesh: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use serde_json::Value;

    use super::{seen::MeshStatus, *};

    /// The paths of all fields, as in `links[].remote`.
    fn fields(value: &Value, path: &str, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields_of) => {
                for (name, value) in fields_of {
                    let path = match path {
                        "" => name.clone(),
                        path => format!("{path}.{name}"),
                    };
                    fields(value, &path, into);
                }
            }
            Value::Array(items) => {
                assert!(!items.is_empty(), "{path} shows nothing");
                for item in items {
                    fields(item, &format!("{path}[]"), into);
                }
            }
            _ => {
                into.insert(path.to_owned());
            }
        }
    }

    /// The names in the first cells of the page's first table that begins so behind a heading.
    fn documented(page: &str, heading: &str, head: &str) -> BTreeSet<String> {
        page.lines()
            .skip_while(|line| !line.starts_with(heading))
            .skip_while(|line| !line.starts_with(head))
            .skip(2)
            .map_while(|line| line.strip_prefix('|')?.split('|').next())
            .flat_map(|cell| cell.split(','))
            .map(|name| name.trim().trim_matches('`').to_owned())
            .collect()
    }

    /// Not there where the crate is alone, as in a package of it.
    fn page() -> Option<String> {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let page = docs.is_dir().then(|| docs.join("operations.md"))?;
        Some(fs::read_to_string(page).unwrap())
    }

    #[test]
    fn the_page_has_every_field_and_no_other() {
        let Some(page) = page() else { return };
        let mut status = sample_status(["http://a:1"]);
        let mut mesh = MeshStatus::of(&status, &mesh::Rows::new());
        // What one tells, so that every field is there.
        mesh.rows.retain(|row| row.unknown.is_none());
        status.mesh = Some(mesh);
        let status = serde_json::to_value(status).unwrap();
        let mut told = BTreeSet::new();
        fields(&status, "", &mut told);
        assert_eq!(documented(&page, "", "| status field |"), told);
        let version = format!("| `version` | of this document: {VERSION} |");
        assert!(page.contains(&version), "no row {version}");
    }

    #[test]
    fn it_has_every_number_of_a_link() {
        let Some(page) = page() else { return };
        let link = &serde_json::to_value(sample_status(["http://a:1"])).unwrap()["links"][0];
        let numbers = documented(&page, "**Numbers of a link.**", "| field |");
        assert!(numbers.len() > 20, "{numbers:?}");
        for number in numbers {
            let in_seconds = format!("{number}_s");
            let fields = [number.as_str(), in_seconds.as_str()];
            assert!(
                fields.iter().any(|field| link.get(*field).is_some()),
                "{number}"
            );
        }
    }

    #[test]
    fn a_document_of_before_is_read() {
        let mut status = serde_json::to_value(sample_status(["http://a:1"])).unwrap();
        let link = status["links"][0].as_object_mut().unwrap();
        for later in ["dropped_answers", "unreadable"] {
            link.remove(later).unwrap();
        }
        let handler = status["handlers"][0].as_object_mut().unwrap();
        for later in ["p50_s", "p99_s"] {
            handler.remove(later).unwrap();
        }
        status.as_object_mut().unwrap().remove("events").unwrap();
        assert!(status.get("mesh").is_none());
        let mut wanted = sample_status(["http://a:1"]);
        wanted.events.clear();
        (wanted.handlers[0].p50_s, wanted.handlers[0].p99_s) = (None, None);
        assert_eq!(parse_status(status.to_string().as_bytes()), Ok(wanted));
    }

    #[test]
    fn a_document_of_another_version_is_refused() {
        let mut status = serde_json::to_value(sample_status([])).unwrap();
        status["added_later"] = Value::from(1);
        assert_eq!(
            parse_status(status.to_string().as_bytes()),
            Ok(sample_status([]))
        );
        status["version"] = Value::from(VERSION + 1);
        let why = parse_status(status.to_string().as_bytes()).unwrap_err();
        assert!(why.contains(&format!("version {}", VERSION + 1)), "{why}");
        assert!(parse_status(b"{}").is_err());
    }
}
