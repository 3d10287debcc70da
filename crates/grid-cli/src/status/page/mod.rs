//! The status as a page for people: one document without outside assets. It is made here, whole, each time; its script
//! takes over what has changed, and without one a browser loads it again.

mod events;
mod handlers;
mod html;
mod links;
mod matrix;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};

use self::html::Html;
use super::{Status, rates::Curves, seen::MeshStatus};
use crate::table::{age, bytes};

const FRAME: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the page is made from.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) status: &'a Status,
    pub(super) mesh: &'a MeshStatus,
    pub(super) curves: &'a Curves,
}

/// What a browser may do for the page: apply its own style, run its own script, ask its own server, and nothing else.
pub(super) fn policy() -> String {
    let hash = |text| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

/// The page.
pub(super) fn render(view: &View<'_>) -> String {
    let mut html = Html::new();
    let mut rest = FRAME;
    while let Some((fixed, behind)) = rest.split_once("{{") {
        let (place, after) = behind.split_once("}}").unwrap_or((behind, ""));
        html.raw(fixed);
        match place {
            "title" => html.text(&view.status.node).raw(" – grid"),
            "style" => html.raw(STYLE),
            "script" => html.raw(SCRIPT),
            _ => html.piece(&main(view)),
        };
        rest = after;
    }
    html.raw(rest);
    html.into_string()
}

fn main(view: &View<'_>) -> Html {
    let status = view.status;
    let up = status.links.iter().filter(|link| link.state == "connected");
    let (up, all) = (up.count(), status.links.len());
    let mut html = Html::new();
    html.raw("<h1>")
        .text(&status.node)
        .raw("</h1>\n<dl class=\"facts\">");
    let memory = bytes(status.process.peak_memory_bytes);
    fact(&mut html, "Links up", &format!("{up} of {all}"));
    fact(&mut html, "Up for", &age(status.uptime_s));
    fact(&mut html, "Peak memory", &memory);
    fact(&mut html, "Route", &status.path);
    fact(&mut html, "Program", &status.program);
    fact(&mut html, "Instance", &status.instance);
    html.raw("</dl>\n");
    html.piece(&matrix::matrix(&status.node, view.mesh));
    html.piece(&links::links(status, view.curves));
    html.piece(&handlers::handlers(status));
    html.piece(&events::events(status));
    html
}

fn fact(html: &mut Html, name: &'static str, value: &str) {
    html.raw("<div><dt>").raw(name).raw("</dt><dd>");
    html.text(value).raw("</dd></div>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{mesh::Rows, sample_status};

    fn page(status: &Status) -> String {
        render(&View {
            status,
            mesh: &MeshStatus::of(status, &Rows::new()),
            curves: &Curves::new(),
        })
    }

    #[test]
    fn every_place_of_the_frame_is_filled_and_nothing_comes_from_outside() {
        let html = page(&sample_status(["http://a:1"]));
        assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>\n"));
        assert!(html.contains("<title>http://node:1 – grid</title>"));
        for title in ["Who sees whom", "Links", "Handlers", "Events"] {
            assert!(html.contains(&format!(">{title}</h2>")), "{title}");
        }
        for outside in ["src=", "@import", "url(", "//cdn", "style=\"", "onclick="] {
            assert!(!html.contains(outside), "{outside}");
        }
        let hrefs: Vec<&str> = html.split("href=\"").skip(1).collect();
        assert!(
            hrefs
                .iter()
                .all(|href| href.starts_with("data:,") || href.starts_with('#'))
        );
        assert!(!FRAME.contains("{{content}}") && FRAME.matches("{{").count() == 4);
    }

    #[test]
    fn whatever_a_peer_says_is_text() {
        let evil = "</td><script>alert(1)</script>{{script}}\"'";
        let mut status = sample_status([evil]);
        let quiet = page(&sample_status(["x"]));
        status.node = format!("{evil}, too");
        status.path = evil.into();
        status.links[0].state = evil.into();
        status.links[0].last_cause = Some(evil.into());
        status.handlers[0].subroute = Some(evil.into());
        status.events[0].event = evil.into();
        status.events[0].target = evil.into();
        status.events[0].level = evil.into();
        status.events[0].cause = Some(evil.into());
        status.events[0].remote = Some(evil.into());
        status.events[0].detail = evil.into();
        let html = page(&status);
        for tag in ["<script>", "</script>", "<style>", "</td>"] {
            let counts = (html.matches(tag).count(), quiet.matches(tag).count());
            assert_eq!(counts.0, counts.1, "{tag}");
        }
        assert!(
            html.contains("&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{script}}&quot;&#39;")
        );
    }
}
