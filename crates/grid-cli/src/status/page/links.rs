//! The links of this node, with what went over them lately.

use std::{collections::VecDeque, time::Duration};

use super::{html::Html, matrix::class};
use crate::{
    status::{
        LinkStatus, Status,
        rates::{Curves, EVERY, POINTS, Point, Rate},
    },
    table::{age, bytes, count, duration},
};

/// The size of a curve in its own units: one for each step from point to point.
const WIDTH: f64 = (POINTS - 1) as f64;
const HEIGHT: f64 = 20.0;

/// Links in the table; others are only counted.
const MOST_LINKS: usize = 512;

pub(super) fn links(status: &Status, curves: &Curves) -> Html {
    let mut html = Html::new();
    html.raw("<h2 id=\"links-title\">Links</h2>\n");
    if status.links.is_empty() {
        html.raw("<p class=\"none scroll\">There are none.</p>\n");
        return html;
    }
    html.raw("<div class=\"scroll\" role=\"region\" aria-labelledby=\"links-title\" tabindex=\"0\">\n<table>\n");
    html.raw("<caption>Bytes a second: <span class=\"in-key\">in</span> and <span class=\"out-key\">out</span>, with a curve of the last ");
    html.text(EVERY.as_secs() * POINTS as u64 / 60);
    html.raw(" minutes. Calls and streams are open ones, ours/theirs.");
    let more = status.links.len().saturating_sub(MOST_LINKS);
    if more > 0 {
        html.raw(" ").text(more).raw(" more links are not shown.");
    }
    html.raw("</caption>\n");
    html.raw("<thead><tr><th scope=\"col\">Remote</th><th scope=\"col\">State</th><th scope=\"col\" class=\"number\">For</th><th scope=\"col\" class=\"number\">Round trip</th><th scope=\"col\" class=\"number\">In/s</th><th scope=\"col\" class=\"number\">Out/s</th><th scope=\"col\">Curve</th><th scope=\"col\" class=\"number\">Calls</th><th scope=\"col\" class=\"number\">Streams</th><th scope=\"col\" class=\"number\">Queued</th><th scope=\"col\" class=\"number\">Reconnects</th><th scope=\"col\">Last cause</th></tr></thead>\n<tbody>\n");
    let mut links: Vec<&LinkStatus> = status.links.iter().collect();
    // Those that need somebody to look come first; the others stay in their order.
    links.sort_by_key(|link| link.state == "connected");
    for link in links.into_iter().take(MOST_LINKS) {
        row(&mut html, link, curves.get(&link.remote));
    }
    html.raw("</tbody>\n</table>\n</div>\n");
    html
}

fn row(html: &mut Html, link: &LinkStatus, curve: Option<&VecDeque<Point>>) {
    html.raw("<tr><th scope=\"row\" class=\"keep\">")
        .text(&link.remote);
    html.raw("</th><td><span class=\"state ")
        .raw(class(&link.state));
    html.raw("\">").text(&link.state).raw("</span></td>");
    html.cell("number", age(link.since_s));
    let round_trip = link.round_trip_s.map(|time| duration(seconds(time)));
    html.cell("number", round_trip.as_deref().unwrap_or("–"));
    let now = curve.and_then(|curve| curve.back().copied().flatten());
    let rate = |of: fn(&Rate) -> f64| now.as_ref().map(|rate| bytes(of(rate) as u64));
    html.cell(
        "number",
        rate(|rate| rate.bytes_in).as_deref().unwrap_or("–"),
    );
    html.cell(
        "number",
        rate(|rate| rate.bytes_out).as_deref().unwrap_or("–"),
    );
    html.raw("<td>");
    draw(html, curve);
    html.raw("</td>");
    let pair = |ours: u64, theirs: u64| format!("{ours}/{theirs}");
    html.cell("number", pair(link.open_requests, link.serving_requests));
    html.cell("number", pair(link.open_streams, link.serving_streams));
    html.cell("number", bytes(link.queued_bytes));
    html.cell("number", count(link.reconnects));
    html.cell("text", link.last_cause.as_deref().unwrap_or("–"));
    html.raw("</tr>\n");
}

/// Both directions to one scale. For who does not see it there are words.
fn draw(html: &mut Html, curve: Option<&VecDeque<Point>>) {
    let points = curve.map(|curve| curve.iter().copied().collect());
    let points: Vec<Point> = points.unwrap_or_default();
    let most = |of: fn(&Rate) -> f64| points.iter().flatten().map(of).fold(0.0, f64::max);
    let (most_in, most_out) = (most(|rate| rate.bytes_in), most(|rate| rate.bytes_out));
    html.raw("<svg class=\"curve\" role=\"img\" viewBox=\"0 0 ")
        .text(WIDTH);
    html.raw(" ").text(HEIGHT);
    html.raw("\" preserveAspectRatio=\"none\" aria-label=\"at the most ");
    html.text(bytes(most_in as u64)).raw("/s in and ");
    html.text(bytes(most_out as u64))
        .raw("/s out\"><line x1=\"0\" y1=\"");
    html.text(HEIGHT).raw("\" x2=\"").text(WIDTH);
    html.raw("\" y2=\"").text(HEIGHT).raw("\"/>");
    let most = most_in.max(most_out).max(1.0);
    for (class, of) in [
        ("in", (|rate: &Rate| rate.bytes_in) as fn(&Rate) -> f64),
        ("out", |rate: &Rate| rate.bytes_out),
    ] {
        // The newest point is at the right edge; where nothing was measured there is a gap.
        let first = POINTS.saturating_sub(points.len());
        let numbered: Vec<(usize, &Point)> = (first..).zip(&points).collect();
        for run in numbered.split(|(_, point)| point.is_none()) {
            if run.len() < 2 {
                continue;
            }
            html.raw("<polyline class=\"")
                .raw(class)
                .raw("\" points=\"");
            for &(x, point) in run {
                let share = point.as_ref().map_or(0.0, of) / most;
                html.text(x).raw(",");
                html.text(format_args!("{:.1} ", 1.0 + (HEIGHT - 2.0) * (1.0 - share)));
            }
            html.raw("\"/>");
        }
    }
    html.raw("</svg>");
}

/// Whatever the number is.
fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::sample_status;

    #[test]
    fn links_that_are_down_come_first_with_their_cause() {
        let mut status = sample_status(["http://a:1", "http://b:1"]);
        status.links[1].state = "waiting".into();
        status.links[1].last_cause = Some("closed by the remote: <script>".into());
        let html = links(&status, &Curves::new()).into_string();
        assert!(html.find("http://b:1") < html.find("http://a:1"), "{html}");
        assert!(
            html.contains("<span class=\"state wait\">waiting</span>"),
            "{html}"
        );
        assert!(
            html.contains("closed by the remote: &lt;script&gt;"),
            "{html}"
        );
        assert!(!html.contains("<script>"), "{html}");
    }

    #[test]
    fn of_many_links_those_that_are_down_are_shown_and_the_rest_is_counted() {
        let names: Vec<String> = (0..MOST_LINKS + 3)
            .map(|n| format!("http://m{n:04}:1"))
            .collect();
        let mut status = sample_status(names.iter().map(String::as_str));
        status.links[MOST_LINKS + 2].state = "waiting".into();
        let html = links(&status, &Curves::new()).into_string();
        assert_eq!(html.matches("scope=\"row\"").count(), MOST_LINKS);
        assert!(html.contains(names[MOST_LINKS + 2].as_str()));
        assert!(!html.contains(names[MOST_LINKS + 1].as_str()));
        assert!(html.contains(" 3 more links are not shown."), "{html}");
    }

    #[test]
    fn a_curve_ends_at_the_right_and_has_gaps() {
        let point = |bytes_in| {
            Some(Rate {
                bytes_in,
                bytes_out: 0.0,
            })
        };
        let curve: VecDeque<Point> =
            [point(100.0), point(50.0), None, point(0.0), point(25.0)].into();
        let mut html = Html::new();
        draw(&mut html, Some(&curve));
        let html = html.into_string();
        let of_in: Vec<&str> = html
            .split("<polyline class=\"in\" points=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().trim())
            .collect();
        assert_eq!(of_in, ["55,1.0 56,10.0", "58,19.0 59,14.5"]);
        assert!(
            html.contains("at the most 100 B/s in and 0 B/s out"),
            "{html}"
        );
    }
}
