//! What synchronises by hand imports what it does that with from one module, in whose place a model checker has its own.
//!
//! A file that wakes others and has locks or atomics of its own beside that is taken for such a one.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ItemUse, Path, UseTree};

use super::source::{Gate, Gated};
use super::tree::Tree;
use super::{Finding, Verdict};

const CRATES: [&str; 4] = [
    "crates/grid-proto/src/",
    "crates/grid-transport/src/",
    "crates/grid-typed/src/",
    "crates/grid-cli/src/",
];
/// What the others import from.
const MODULE: &str = "crates/grid-transport/src/sync.rs";

/// Files that have both and are not modelled. Why is in decision 8.
const ALLOWED: [&str; 5] = [
    "crates/grid-transport/src/link/shared.rs",
    "crates/grid-transport/src/link/tell.rs",
    "crates/grid-transport/src/session/mod.rs",
    "crates/grid-transport/src/stream/pipe.rs",
    "crates/grid-typed/src/fate.rs",
];

const WAKES: [&str; 3] = ["Waker", "AtomicWaker", "Notify"];
const LOCKS: [&str; 6] = ["Mutex", "RwLock", "Condvar", "OnceLock", "LazyLock", "*"];

pub(super) fn check(tree: &Tree) -> Verdict {
    check_but(tree, &ALLOWED).into()
}

fn check_but(tree: &Tree, allowed: &[&str]) -> Vec<Finding> {
    let gated = Gated::of(tree, Gate::Support);
    let mut findings = Vec::new();
    let mut unused = allowed.to_vec();
    for (path, text) in CRATES
        .iter()
        .flat_map(|start| tree.matching(start, ".rs"))
        .filter(|(path, _)| *path != MODULE && !gated.holds(path))
    {
        let Ok(file) = syn::parse_file(text) else {
            continue;
        };
        let mut named = Named::default();
        named.visit_file(&file);
        let lines = gated.lines(text);
        let first = |of: fn(&[String]) -> bool| {
            let mut found = named.paths.iter().filter(|(line, _)| !lines.contain(*line));
            found.find(|(_, path)| of(path)).map(|(line, _)| *line)
        };
        let (Some(_), Some(line)) = (first(wakes), first(locks)) else {
            continue;
        };
        if unused.contains(&path) {
            unused.retain(|allowed| *allowed != path);
            continue;
        }
        let what = "it wakes others, and has a lock or an atomic that is not from `crate::sync`";
        findings.push(Finding::at(path, line, what));
    }
    for path in unused {
        findings.push(Finding::file(path, "this exception excuses nothing"));
    }
    findings
}

fn wakes(path: &[String]) -> bool {
    path.last()
        .is_some_and(|last| WAKES.contains(&last.as_str()))
}

fn locks(path: &[String]) -> bool {
    match path {
        [krate, ..] if krate == "parking_lot" => true,
        [std, sync, rest @ ..] if (std == "std" || std == "core") && sync == "sync" => {
            rest.first().is_some_and(|first| first == "atomic")
                || rest
                    .last()
                    .is_some_and(|last| LOCKS.contains(&last.as_str()))
        }
        _ => false,
    }
}

/// Every path of a file, by its line; of an import each one that it stands for.
#[derive(Default)]
struct Named {
    paths: Vec<(usize, Vec<String>)>,
}

impl Named {
    fn import(&mut self, before: &[String], tree: &UseTree) {
        let line = tree.span().start().line;
        let with = |last: String| [before, &[last]].concat();
        match tree {
            UseTree::Path(path) => self.import(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) => self.paths.push((line, with(name.ident.to_string()))),
            UseTree::Rename(name) => self.paths.push((line, with(name.ident.to_string()))),
            UseTree::Glob(_) => self.paths.push((line, with("*".to_owned()))),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(before, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_use(&mut self, node: &'ast ItemUse) {
        self.import(&[], &node.tree);
    }

    fn visit_path(&mut self, node: &'ast Path) {
        let names = node.segments.iter().map(|part| part.ident.to_string());
        self.paths.push((node.span().start().line, names.collect()));
        visit::visit_path(self, node);
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    fn findings(text: &str, allowed: &[&str]) -> Vec<String> {
        let tree = Tree::of([("crates/grid-transport/src/link/a.rs", text)]);
        let found = check_but(&tree, allowed);
        found.iter().map(ToString::to_string).collect()
    }

    const FOUND: &str =
        "it wakes others, and has a lock or an atomic that is not from `crate::sync`";

    #[test]
    fn a_lock_and_a_wake_of_ones_own_are_found() {
        for text in [
            "use std::task::{Context, Waker};\nuse parking_lot::Mutex;",
            "use tokio::sync::Notify;\nuse std::{fmt, sync::{Arc, atomic::{AtomicBool, Ordering}}};",
            "use crate::sync::Notify;\nuse std::sync::{Arc, OnceLock as Once};",
            "struct A(std::task::Waker);\nstruct B(std::sync::atomic::AtomicU8);",
            "fn a(waker: &Waker) {}\nuse std::sync::*;",
        ] {
            let expected = format!("crates/grid-transport/src/link/a.rs:2: {FOUND}");
            assert_eq!(findings(text, &[]), [expected], "{text}");
        }
    }

    #[test]
    fn one_of_both_from_the_module_and_in_tests_is_not() {
        for text in [
            "use std::sync::Arc;\nuse tokio::sync::{Notify, Semaphore};",
            "use parking_lot::Mutex;\nuse std::sync::atomic::AtomicU8;",
            "use crate::sync::{Arc, AtomicBool, Mutex, Notify};\nuse std::task::Waker;",
            "use std::task::Waker;\n#[cfg(test)]\nmod tests {\nuse std::sync::atomic::AtomicU8;\n}",
        ] {
            assert!(findings(text, &[]).is_empty(), "{text}");
        }
    }

    #[test]
    fn an_exception_excuses_its_file_and_has_to() {
        let text = "use std::task::Waker;\nuse parking_lot::Mutex;";
        assert!(findings(text, &["crates/grid-transport/src/link/a.rs"]).is_empty());
        assert_eq!(
            findings(
                "use std::task::Waker;",
                &["crates/grid-transport/src/link/a.rs"]
            ),
            ["crates/grid-transport/src/link/a.rs: this exception excuses nothing"]
        );
    }

    #[test]
    fn each_crate_that_is_shipped_is_looked_at() {
        let text = "use std::task::Waker;\nuse std::sync::OnceLock;";
        for name in ["proto", "transport", "typed", "cli"] {
            let path = format!("crates/grid-{name}/src/a.rs");
            let found = check_but(&Tree::of([(&path, text)]), &[]);
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, [format!("{path}:2: {FOUND}")]);
        }
    }
}
