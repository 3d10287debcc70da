//! Rust sources as the checks see them: tokens, and what is compiled for tests only.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item};

use super::tree::Tree;

/// One token of a file. A group appears twice: as its opening sign, and by what is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// The tokens of a file in order, comments left out; those of macro calls are among them.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    // What does not even consist of tokens is the compiler's business.
    if let Ok(stream) = TokenStream::from_str(text) {
        flatten(stream, &mut out);
    }
    out
}

fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let open = match group.delimiter() {
                    Delimiter::Parenthesis => "(",
                    Delimiter::Brace => "{",
                    Delimiter::Bracket => "[",
                    Delimiter::None => "",
                };
                out.push(Token {
                    text: open.to_owned(),
                    line,
                });
                flatten(group.stream(), out);
            }
            other => out.push(Token {
                text: other.to_string(),
                line,
            }),
        }
    }
}

/// Where a run of tokens begins, for each time that it occurs.
pub(super) fn find(tokens: &[Token], run: &[&str]) -> Vec<usize> {
    let same = |window: &[Token]| {
        window
            .iter()
            .zip(run)
            .all(|(token, text)| token.text == *text)
    };
    tokens
        .windows(run.len())
        .enumerate()
        .filter(|(_, window)| same(window))
        .map(|(index, _)| index)
        .collect()
}

/// What a gate like `#[cfg(test)]` may name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gate {
    /// Only `test`, and test functions.
    Test,
    /// Tests, and what only helps them: fuzz bodies, planted faults, test helpers.
    Support,
}

impl Gate {
    fn closes(self, attributes: &[Attribute]) -> bool {
        attributes.iter().any(|attribute| {
            let path = attribute.path();
            let last = path
                .segments
                .last()
                .map(|segment| segment.ident.to_string());
            if last.as_deref() == Some("test") {
                return true;
            }
            if !path.is_ident("cfg") {
                return false;
            }
            let syn::Meta::List(list) = &attribute.meta else {
                return false;
            };
            let condition = list.tokens.to_string();
            if condition.contains("not") {
                return false;
            }
            let test = condition
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "test");
            let support = ["fuzzing", "__faults", "test-util"];
            let plain_test = test && !condition.contains("test-util");
            match self {
                Self::Test => plain_test && !support.iter().any(|name| condition.contains(name)),
                Self::Support => test || support.iter().any(|name| condition.contains(name)),
            }
        })
    }
}

/// What of a tree is compiled behind a gate.
pub(super) struct Gated {
    gate: Gate,
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Gated {
    /// Follows the gated `mod name;` of all sources.
    pub(super) fn of(tree: &Tree, gate: Gate) -> Self {
        let mut gated = Self {
            gate,
            files: BTreeSet::new(),
            folders: BTreeSet::new(),
        };
        for (path, text) in tree.sources() {
            let Ok(file) = syn::parse_file(text) else {
                continue;
            };
            if gate.closes(&file.attrs) {
                gated.files.insert(path.to_owned());
            }
            let beside = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            gated.follow(&children_folder(path), beside, &file.items, false);
        }
        gated
    }

    /// `beside` is what a `#[path]` counts from.
    fn follow(&mut self, folder: &str, beside: &str, items: &[Item], outer: bool) {
        for item in items {
            let Item::Mod(module) = item else {
                continue;
            };
            let closed = outer || self.gate.closes(&module.attrs);
            let name = module.ident.to_string();
            match &module.content {
                Some((_, items)) => {
                    let inner = format!("{folder}/{name}");
                    self.follow(&inner, &inner, items, closed);
                }
                None if closed => {
                    self.files.insert(format!("{folder}/{name}.rs"));
                    self.folders.insert(format!("{folder}/{name}/"));
                    if let Some(other) = path_attribute(&module.attrs) {
                        self.files.insert(format!("{beside}/{other}"));
                    }
                }
                None => {}
            }
        }
    }

    /// Whether the whole file is behind the gate.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.files.contains(path) || self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// The lines of a file that are behind the gate.
    pub(super) fn lines(&self, text: &str) -> Lines {
        let mut lines = Lines {
            gate: self.gate,
            ranges: Vec::new(),
        };
        if let Ok(file) = syn::parse_file(text) {
            lines.visit_file(&file);
        }
        lines
    }
}

/// Where the modules of a file lie: beside `lib.rs`, `main.rs` and `mod.rs`, else in its folder.
fn children_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        _ => format!("{folder}/{}", name.trim_end_matches(".rs")),
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    attributes
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))
        .and_then(|attribute| {
            let syn::Meta::NameValue(pair) = &attribute.meta else {
                return None;
            };
            let syn::Expr::Lit(literal) = &pair.value else {
                return None;
            };
            let syn::Lit::Str(text) = &literal.lit else {
                return None;
            };
            Some(text.value())
        })
}

/// Ranges of lines behind a gate.
pub(super) struct Lines {
    gate: Gate,
    ranges: Vec<RangeInclusive<usize>>,
}

impl Lines {
    pub(super) fn contain(&self, line: usize) -> bool {
        self.ranges.iter().any(|range| range.contains(&line))
    }

    fn add(&mut self, spanned: &impl Spanned, attributes: &[Attribute]) {
        if self.gate.closes(attributes) {
            let span = spanned.span();
            self.ranges.push(span.start().line..=span.end().line);
        }
    }
}

impl<'ast> Visit<'ast> for Lines {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Fn(node) => self.add(node, &node.attrs),
            Item::Impl(node) => self.add(node, &node.attrs),
            Item::Mod(node) => self.add(node, &node.attrs),
            Item::Const(node) => self.add(node, &node.attrs),
            Item::Macro(node) => self.add(node, &node.attrs),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.add(node, &node.attrs);
        visit::visit_impl_item_fn(self, node);
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn tokens_leave_comments_out_and_go_into_macros() {
        let tokens = tokens("fn a() {\n// b.unwrap()\nselect! { c => d.unwrap() }\n}");
        let hits = find(&tokens, &[".", "unwrap", "("]);
        assert_eq!(
            hits.iter().map(|&hit| tokens[hit].line).collect::<Vec<_>>(),
            [3]
        );
    }

    #[test]
    fn modules_for_tests_are_found_in_other_files() {
        let tree = Tree::of([
            (
                "crates/a/src/lib.rs",
                "#[cfg(test)] mod tests; mod inner; #[cfg(not(test))] mod no;",
            ),
            (
                "crates/a/src/inner.rs",
                "#[cfg(all(test, unix))] mod proofs;\n#[cfg(test)] #[path = \"far.rs\"] mod near;",
            ),
        ]);
        let gated = Gated::of(&tree, Gate::Test);
        assert!(gated.holds("crates/a/src/tests.rs"));
        assert!(gated.holds("crates/a/src/tests/more.rs"));
        assert!(gated.holds("crates/a/src/inner/proofs.rs"));
        assert!(gated.holds("crates/a/src/far.rs"));
        assert!(!gated.holds("crates/a/src/inner.rs"));
        assert!(!gated.holds("crates/a/src/no.rs"));
    }

    #[test]
    fn test_helpers_are_support_and_no_test() {
        let text = "#[cfg(feature = \"test-util\")]\nmod testing {\n}\nfn outer() {}\n#[test]\nfn t() {\n}\n";
        let tree = Tree::of([]);
        let support = Gated::of(&tree, Gate::Support).lines(text);
        assert!(support.contain(2) && support.contain(6) && !support.contain(4));
        let test = Gated::of(&tree, Gate::Test).lines(text);
        assert!(!test.contain(2) && test.contain(6));
    }
}
