//! What has happened lately.

use std::time::{Duration, UNIX_EPOCH};

use super::html::Html;
use crate::status::{Status, events::EventStatus};

pub(super) fn events(status: &Status) -> Html {
    let mut html = Html::new();
    html.raw("<h2 id=\"events-title\">Events</h2>\n");
    if status.events.is_empty() {
        html.raw("<p class=\"none scroll\">Nothing has happened yet.</p>\n");
        return html;
    }
    html.raw("<div class=\"scroll\" role=\"region\" aria-labelledby=\"events-title\" tabindex=\"0\">\n<table>\n");
    html.raw("<caption>The newest first; times are UTC.</caption>\n<thead><tr><th scope=\"col\">Time</th><th scope=\"col\">Level</th><th scope=\"col\">Event</th><th scope=\"col\">Remote</th><th scope=\"col\">State or cause</th></tr></thead>\n<tbody>\n");
    for event in &status.events {
        row(&mut html, event);
    }
    html.raw("</tbody>\n</table>\n</div>\n");
    html
}

fn row(html: &mut Html, event: &EventStatus) {
    let (class, level) = match &*event.level {
        "error" => ("error", "error"),
        "warn" => ("warn", "warn"),
        _ => ("info", "info"),
    };
    html.raw("<tr class=\"").raw(class).raw("\">");
    html.cell("number", time(event.time_s));
    html.cell("", level);
    html.raw("<td class=\"keep\">").text(&event.event);
    html.raw(" <span class=\"faint\">")
        .text(&event.target)
        .raw("</span></td>");
    html.cell("keep", event.remote.as_deref().unwrap_or("–"));
    html.raw("<td class=\"text\">");
    html.text(event.cause.as_deref().unwrap_or_default());
    if !event.detail.is_empty() {
        html.raw(" <span class=\"faint\">")
            .text(&event.detail)
            .raw("</span>");
    }
    html.raw("</td></tr>\n");
}

/// As in `2026-11-28 00:24:46`.
fn time(seconds: f64) -> String {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let time = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.trim_end_matches('Z').replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::sample_status;

    #[test]
    fn an_event_has_its_time_and_cause_and_is_only_text() {
        let mut status = sample_status([]);
        status.events[0] = EventStatus {
            time_s: 1_700_000_000.5,
            level: "warn".into(),
            target: "grid::accept".into(),
            remote: Some("<img src=x>".into()),
            event: "connection rejected".into(),
            cause: Some("auth token: <b>".into()),
            detail: "from=10.0.0.66".into(),
        };
        let html = events(&status).into_string();
        for part in [
            "<tr class=\"warn\">",
            "2023-11-14 22:13:20",
            "&lt;img src=x&gt;",
            "auth token: &lt;b&gt;",
            "from=10.0.0.66",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        status.events.clear();
        assert!(events(&status).into_string().contains("Nothing"));
    }
}
