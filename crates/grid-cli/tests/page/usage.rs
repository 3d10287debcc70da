//! The page in a browser: it keeps itself up to date, is used by keys, and does without a script.

use serde_json::json;

use crate::{browser::Browser, common::TempDir, nodes::Nodes};

/// How many cells of the mesh have this class.
fn cells(class: &str) -> String {
    format!("document.querySelectorAll('.matrix td.{class}').length")
}

#[test]
fn it_follows_the_mesh_and_is_used_by_keys() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut nodes = Nodes::start(3, 0, &["--ping", "0.5"]);
    browser.open(&nodes.page());
    // Each sees both others, the rows of the others too, with times where there are some.
    browser.wait_until(&format!("{} === 6", cells("up")));
    browser.wait_until(
        "/^[0-9]+[.][0-9]+$/.test(document.querySelector('.matrix td.up').textContent)",
    );
    browser.wait_until("document.documentElement.dataset.updates > 1");
    browser.wait_until("document.querySelector('.curve .in')");

    // Arrows go from cell to cell, and say what each means.
    browser.eval("document.getElementById('mesh').focus()");
    browser.press("ArrowRight", 39);
    browser.press("ArrowRight", 39);
    browser.press("ArrowDown", 40);
    let at =
        "[document.activeElement.parentElement.sectionRowIndex, document.activeElement.cellIndex]";
    assert_eq!(browser.eval(at), json!([1, 2]));
    browser.press("ArrowLeft", 37);
    assert_eq!(browser.eval(at), json!([1, 1]));
    let names =
        browser.eval("[...document.querySelectorAll('.matrix abbr')].map((each) => each.title)");
    let arrow = format!(
        "{} → {}: connected",
        names[1].as_str().expect("a name"),
        names[0].as_str().expect("a name")
    );
    browser.wait_until(&format!(
        "document.getElementById('sight').textContent.startsWith('{arrow}')"
    ));
    // The page changes below without taking the focus away.
    let updates = browser.eval("Number(document.documentElement.dataset.updates)");
    browser.wait_until(&format!(
        "document.documentElement.dataset.updates > {updates} + 1"
    ));
    assert_eq!(browser.eval(at), json!([1, 1]));

    // The mouse shows cells too. The corner above the names is none, and what was shown stays.
    let over = |place: &str| {
        format!(
            "document.querySelector('.matrix {place}').dispatchEvent(new MouseEvent('mouseover', {{ bubbles: true }}))"
        )
    };
    browser.eval(&over("thead td"));
    let updates = browser.eval("Number(document.documentElement.dataset.updates)");
    browser.wait_until(&format!(
        "document.documentElement.dataset.updates > {updates} + 1"
    ));
    assert_eq!(
        browser.eval("document.getElementById('live').textContent"),
        "live"
    );
    browser.wait_until(&format!(
        "document.getElementById('sight').textContent.startsWith('{arrow}')"
    ));
    browser.eval(&over("tbody td:last-child"));
    browser.wait_until(&format!(
        "!document.getElementById('sight').textContent.startsWith('{arrow}')"
    ));

    // A node goes: nobody knows its row, the others have lost it, and the events say why.
    let gone = nodes.names[2].clone();
    nodes.all.remove(2).kill();
    browser.wait_until(&format!(
        "{} === 2 && {} === 2",
        cells("up"),
        cells("unknown")
    ));
    let row = "[...document.querySelectorAll('main table:not(.matrix) tr')].filter((row) =>";
    browser.wait_until(&format!(
        "{row} row.closest('div').getAttribute('aria-labelledby') === 'events-title' \
         && row.textContent.includes('{gone}') && row.textContent.includes('connection lost')).length"
    ));
    browser.wait_until(&format!(
        "{row} row.textContent.includes('{gone}') && row.querySelector('.state:not(.up)')).length === 1"
    ));

    // A pause is a pause, by the space bar.
    browser.eval("document.getElementById('pause').focus()");
    browser.press(" ", 32);
    assert_eq!(
        browser.eval("document.getElementById('live').textContent"),
        "paused"
    );
    assert_eq!(
        browser.eval("document.activeElement.getAttribute('aria-pressed')"),
        "true"
    );
    browser.press(" ", 32);
    let updates = browser.eval("Number(document.documentElement.dataset.updates)");
    browser.wait_until(&format!(
        "document.documentElement.dataset.updates > {updates}"
    ));
    // One that begins while a load is under way is one too, once that has ended.
    browser.eval(
        "(() => {
            const ask = window.fetch;
            window.fetch = async (...what) => {
                window.fetch = ask;
                window.paused = document.documentElement.dataset.updates;
                document.getElementById('pause').click();
                return ask(...what);
            };
        })()",
    );
    browser.wait_until("document.documentElement.dataset.updates > window.paused");
    assert_eq!(
        browser.eval("document.getElementById('live').textContent"),
        "paused"
    );
    browser.eval("document.getElementById('pause').click()");
    assert_eq!(browser.complaints(), [""; 0]);

    // The node itself goes: the page says so and keeps what it has.
    nodes.all.remove(0).kill();
    browser.wait_until("document.getElementById('live').textContent.startsWith('no answer since')");
    assert_eq!(
        browser.eval("document.querySelectorAll('.matrix tbody tr').length"),
        3
    );
}

#[test]
fn without_a_script_it_is_tables_that_are_loaded_again() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let nodes = Nodes::start(2, 1, &[]);
    let disabled = json!({"value": true});
    browser.call("Emulation.setScriptExecutionDisabled", disabled);
    browser.open(&nodes.page());
    let first = browser.eval("performance.timeOrigin");
    assert_eq!(
        browser.eval("document.documentElement.dataset.updates ?? null"),
        json!(null)
    );
    assert_eq!(
        browser.eval("document.getElementById('pause').hidden"),
        true
    );
    assert_eq!(
        browser.eval("document.querySelectorAll('.matrix tbody tr').length"),
        3
    );
    assert_eq!(
        browser.eval("getComputedStyle(document.querySelector('table')).display"),
        "table"
    );
    let live = browser.eval("document.getElementById('live').innerText");
    assert!(
        live.as_str()
            .is_some_and(|text| text.contains("every 5 seconds")),
        "{live}"
    );
    // By itself.
    browser.loaded();
    assert_ne!(browser.eval("performance.timeOrigin"), first);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_browser_shows_the_token_as_a_password() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let dir = TempDir::new();
    let file = dir.write("token", "s3cret-status\n");
    let nodes = Nodes::start(1, 0, &["--status-token-file", file.to_str().expect("text")]);
    let wrong = nodes.page().replace("http://", "http://me:wrong@");
    browser.open(&wrong);
    assert_eq!(browser.eval("document.getElementById('main')"), json!(null));
    let right = nodes.page().replace("http://", "http://me:s3cret-status@");
    browser.open(&right);
    // And so does its script.
    browser.wait_until("document.documentElement.dataset.updates > 0");
    assert_eq!(browser.complaints(), [""; 0]);
}
