//! The handlers of this node, with how long they take.

use std::time::Duration;

use super::html::Html;
use crate::{
    status::{HandlerStatus, Status},
    table::{count, duration},
};

pub(super) fn handlers(status: &Status) -> Html {
    let mut html = Html::new();
    html.raw("<h2 id=\"handlers-title\">Handlers</h2>\n");
    let called: Vec<_> = status
        .handlers
        .iter()
        .filter(|each| each.calls > 0)
        .collect();
    let idle = status.handlers.len() - called.len();
    if called.is_empty() {
        html.raw("<p class=\"none scroll\">None of ").text(idle);
        html.raw(" was called yet.</p>\n");
        return html;
    }
    html.raw("<div class=\"scroll\" role=\"region\" aria-labelledby=\"handlers-title\" tabindex=\"0\">\n<table>\n");
    html.raw("<caption>Times from call to end, of all calls since the node has started; those of streams are how long they were open.");
    if idle > 0 {
        html.raw(" ").text(idle).raw(" more were not called yet.");
    }
    html.raw("</caption>\n<thead><tr><th scope=\"col\">Handler</th><th scope=\"col\">Subroute</th><th scope=\"col\">Kind</th><th scope=\"col\" class=\"number\">Calls</th><th scope=\"col\" class=\"number\">Running</th><th scope=\"col\" class=\"number\">p50</th><th scope=\"col\" class=\"number\">p99</th><th scope=\"col\" class=\"number\">Errors</th><th scope=\"col\" class=\"number\">Panics</th><th scope=\"col\" class=\"number\">Slow polls</th></tr></thead>\n<tbody>\n");
    for each in called {
        row(&mut html, each);
    }
    html.raw("</tbody>\n</table>\n</div>\n");
    html
}

fn row(html: &mut Html, each: &HandlerStatus) {
    html.raw("<tr><th scope=\"row\">")
        .text(each.handler)
        .raw("</th>");
    html.cell("", each.subroute.as_deref().unwrap_or("–"));
    html.cell("", if each.stream { "stream" } else { "single" });
    html.cell("number", count(each.calls));
    html.cell("number", count(each.running));
    for quantile in [each.p50_s, each.p99_s] {
        let time = quantile.and_then(|time| Duration::try_from_secs_f64(time).ok());
        html.cell("number", time.map(duration).as_deref().unwrap_or("–"));
    }
    html.cell("number", count(each.errors));
    html.cell("number", count(each.panics));
    html.cell("number", count(each.slow_polls));
    html.raw("</tr>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::sample_status;

    #[test]
    fn those_that_were_called_have_times_and_the_others_are_counted() {
        let mut status = sample_status([]);
        status.handlers[0].p50_s = Some(0.001_2);
        status.handlers[0].p99_s = Some(2.0);
        status.handlers[0].subroute = Some("<i>".into());
        let mut idle = status.handlers[0].clone();
        idle.calls = 0;
        idle.handler = 77;
        status.handlers.push(idle);
        let html = handlers(&status).into_string();
        for part in [">1.20 ms<", ">2.00 s<", " 1 more were not", "&lt;i&gt;"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains(">77<"), "{html}");
        status.handlers.iter_mut().for_each(|each| each.calls = 0);
        let html = handlers(&status).into_string();
        assert!(html.contains("None of 2 was called yet"), "{html}");
    }
}
