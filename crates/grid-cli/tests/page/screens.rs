//! How the page looks: at 1, 6 and 32 nodes, dark and light.

use std::{env, fs, path::PathBuf};

use crate::{browser::Browser, nodes::Nodes};

/// Where the pictures go: for whoever wants to look at them.
fn folder() -> PathBuf {
    let given = env::var_os("GRID_SCREENSHOTS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("page"));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn is_readable_with(count: usize, missing: usize) {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let nodes = Nodes::start(count, missing, &["--ping", "0.5"]);
    browser.look(1440, 900, "light");
    browser.open(&nodes.page());
    let all = count + missing;
    if all > 1 {
        let seen = "document.querySelectorAll('.matrix tbody td:not(.unknown)').length";
        browser.wait_until(&format!("{seen} === {count} * {all} + {missing}"));
        let times = "[...document.querySelectorAll('.matrix .own ~ td.up')].every((td) => /[0-9]/.test(td.textContent))";
        browser.wait_until(times);
    }
    browser.wait_until("document.documentElement.dataset.updates > 4");
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.look(1440, 900, scheme);
        let picture = browser.screenshot();
        assert!(picture.starts_with(b"\x89PNG"));
        let name = format!("{count}-{scheme}.png");
        fs::write(folder().join(name), picture).expect("a picture is kept");
        // Text stands out from what is below it, in each kind of cell: 4.5 to 1, as WCAG asks of small text.
        let least = browser.eval(CONTRAST);
        assert!(
            least.as_f64().is_some_and(|least| least >= 4.5),
            "{scheme}: {least}"
        );
        grounds.push(browser.eval("getComputedStyle(document.body).backgroundColor"));
    }
    assert_ne!(grounds[0], grounds[1]);
    // Wide tables scroll in their frame; the page itself never does sideways, on a phone neither.
    for width in [1440, 800, 360] {
        browser.look(width, 800, "light");
        let wide = browser.eval("document.documentElement.scrollWidth");
        assert!(
            wide.as_u64().is_some_and(|wide| wide <= u64::from(width)),
            "{wide} of {width}"
        );
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// The least contrast of all text on the page.
const CONTRAST: &str = "(() => {
    const parse = (text) => text.match(/[0-9.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const color = parse(getComputedStyle(node).backgroundColor);
            if (color.length < 4 || color[3] > 0) return color;
        }
        return [255, 255, 255];
    };
    const all = document.querySelectorAll('h1, h2, th, td, dt, dd, caption, li, p, span, button, output');
    return Math.min(...[...all].filter((node) => node.textContent.trim()).map((node) => {
        const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }));
})()";

#[test]
fn it_is_readable_with_one_node() {
    is_readable_with(1, 0);
}

#[test]
fn it_is_readable_with_six_nodes_and_one_that_is_missing() {
    is_readable_with(6, 1);
}

#[test]
fn it_is_readable_with_many_nodes() {
    is_readable_with(32, 0);
}
