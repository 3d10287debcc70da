//! The tests whose names begin with an id, by the sources: what a filter leaves out or a feature hides is found too.

use std::fs;
use std::io;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn};

use super::rows::is_id;

/// A test that shows a row.
pub(super) struct Shown {
    pub(super) row: String,
    pub(super) name: String,
    pub(super) layer: &'static str,
    /// Whether its clock stands still.
    pub(super) paused: bool,
    /// Crate and file.
    pub(super) home: String,
}

impl Shown {
    /// Whether its name says that it goes over TCP, which nothing does under a clock that stands still.
    pub(super) fn is_misnamed(&self) -> bool {
        self.paused && self.layer == "tcp"
    }

    /// The test program that it is in, as nextest calls it.
    pub(super) fn program(&self) -> String {
        let mut parts = self.home.split('/');
        let package = parts.next().unwrap_or_default();
        match (parts.next(), parts.next()) {
            (Some("tests"), Some(name)) => format!("{package}::{}", name.trim_end_matches(".rs")),
            _ => package.to_owned(),
        }
    }
}

/// All of them in the crates of the workspace.
pub(super) fn below(root: &Path) -> io::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    folder(&root.join("crates"), "", &mut shown)?;
    shown.sort_by(|a, b| (&a.row, &a.home, &a.name).cmp(&(&b.row, &b.home, &b.name)));
    Ok(shown)
}

fn folder(path: &Path, prefix: &str, shown: &mut Vec<Shown>) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let home = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            if name != "target" {
                folder(&entry.path(), &format!("{home}/"), shown)?;
            }
        } else if name.ends_with(".rs") {
            shown.extend(in_file(&home, &fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

/// The tests of a file that run: the names of their functions, and whether their clocks stand still.
pub(crate) fn tests(text: &str) -> Vec<(String, bool)> {
    let mut tests = Tests::default();
    // What does not parse is the compiler's business.
    if let Ok(file) = syn::parse_file(text) {
        tests.visit_file(&file);
    }
    tests.found
}

fn in_file(home: &str, text: &str) -> Vec<Shown> {
    let machine = home.starts_with("grid-proto/");
    let shown = tests(text).into_iter().filter_map(|(name, paused)| {
        let row = name.get(..3)?.to_uppercase();
        if !is_id(&row) || name.as_bytes().get(3) != Some(&b'_') {
            return None;
        }
        let layer = match name.rsplit('_').next() {
            _ if machine => "machine",
            Some("pair") => "pair",
            Some("unit") => "unit",
            _ => "tcp",
        };
        let home = home.to_owned();
        Some(Shown {
            row,
            name,
            layer,
            paused,
            home,
        })
    });
    shown.collect()
}

#[derive(Default)]
struct Tests {
    /// Names, and whether their clocks stand still.
    found: Vec<(String, bool)>,
}

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, node: &'ast ItemFn) {
        if node.attrs.iter().any(is_test) && !node.attrs.iter().any(is_ignore) {
            let paused = node.attrs.iter().any(is_paused);
            self.found.push((node.sig.ident.to_string(), paused));
        }
        visit::visit_item_fn(self, node);
    }
}

fn is_test(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|segment| segment.ident == "test")
}

fn is_paused(attribute: &Attribute) -> bool {
    let arguments = attribute.meta.require_list();
    is_test(attribute)
        && arguments.is_ok_and(|list| list.tokens.to_string().contains("start_paused"))
}

/// One that nobody runs shows nothing.
fn is_ignore(attribute: &Attribute) -> bool {
    attribute.path().is_ident("ignore")
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn the_program_of_a_test_is_its_file_or_folder() {
        let program = |home: &str| {
            let name = "c01_a".to_owned();
            let (row, home) = ("C01".to_owned(), home.to_owned());
            let layer = "tcp";
            Shown {
                row,
                name,
                layer,
                paused: false,
                home,
            }
            .program()
        };
        assert_eq!(program("a/tests/b.rs"), "a::b");
        assert_eq!(program("a/tests/b/c.rs"), "a::b");
        assert_eq!(program("a/src/b/c.rs"), "a");
    }

    #[test]
    fn only_tests_that_run_and_begin_with_an_id() {
        let text = "#[test] fn c01_a() {}\n fn c02_b() {}\n #[tokio::test(start_paused = true)] async fn l03_c_pair() {}
            #[test] #[ignore] fn h04_d() {}\n #[test] fn c5_e() {}\n #[test] fn x01_f() {}\n mod m { #[test] fn t06_g() {} }
            #[test] fn c22_h_unit() {}";
        let found: Vec<_> = in_file("grid-transport/tests/a.rs", text)
            .into_iter()
            .map(|shown| (shown.row, shown.name, shown.layer))
            .collect();
        let wanted = [
            ("C01", "c01_a", "tcp"),
            ("L03", "l03_c_pair", "pair"),
            ("T06", "t06_g", "tcp"),
            ("C22", "c22_h_unit", "unit"),
        ];
        assert_eq!(
            found,
            wanted.map(|(row, name, layer)| (row.to_owned(), name.to_owned(), layer))
        );
        let paused = in_file(
            "grid-transport/tests/a.rs",
            "#[tokio::test(start_paused = true)] async fn l01_a() {}
            #[tokio::test(start_paused = true)] async fn l01_b_pair() {}
            #[tokio::test(start_paused = true)] async fn l01_c_unit() {}
            #[tokio::test(flavor = \"multi_thread\")] async fn l01_d() {}",
        );
        let misnamed: Vec<_> = paused.iter().filter(|shown| shown.is_misnamed()).collect();
        assert_eq!(misnamed.len(), 1);
        assert_eq!(misnamed[0].name, "l01_a");
        let machine = in_file("grid-proto/tests/a.rs", "#[test] fn c01_a() {}");
        assert_eq!(machine[0].layer, "machine");
    }
}
