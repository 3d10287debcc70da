//! Every public async function says what happens when it is dropped, and every public function of
//! a library that can fail says how.

use syn::visit::{self, Visit};
use syn::{Attribute, Signature, Visibility};

use super::source::{Gate, Gated, Lines};
use super::tree::Tree;
use super::{Finding, Verdict};

/// Its functions are called by nobody but itself, so only `# Cancel safety` is asked for there.
const PROGRAM: &str = "crates/grid-cli/";

pub(super) fn check(tree: &Tree) -> Verdict {
    let gated = Gated::of(tree, Gate::Test);
    let mut findings = Vec::new();
    for (path, text) in tree.sources().filter(|(path, _)| !gated.holds(path)) {
        match syn::parse_file(text) {
            Ok(file) => {
                let lines = gated.lines(text);
                let mut visitor = Functions {
                    path,
                    lines: &lines,
                    findings: &mut findings,
                };
                visitor.visit_file(&file);
            }
            Err(error) => {
                let line = error.span().start().line;
                findings.push(Finding::at(path, line, format!("can't be parsed: {error}")));
            }
        }
    }
    findings.into()
}

struct Functions<'a> {
    path: &'a str,
    lines: &'a Lines,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_> {
    fn function(&mut self, visibility: &Visibility, attributes: &[Attribute], sig: &Signature) {
        let line = sig.ident.span().start().line;
        if !matches!(visibility, Visibility::Public(_)) || self.lines.contain(line) {
            return;
        }
        let docs = docs_of(attributes);
        let mut ask = |section: &str, why: &str| {
            if !docs.lines().any(|line| line.trim() == section) {
                let what = format!("`{}` {why} and has no section `{section}`", sig.ident);
                self.findings.push(Finding::at(self.path, line, what));
            }
        };
        if sig.asyncness.is_some() {
            ask("# Cancel safety", "is async");
        }
        if returns_result(sig) && !self.path.starts_with(PROGRAM) {
            ask("# Errors", "returns a result");
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        self.function(&node.vis, &node.attrs, &node.sig);
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        self.function(&node.vis, &node.attrs, &node.sig);
        visit::visit_impl_item_fn(self, node);
    }
}

fn docs_of(attributes: &[Attribute]) -> String {
    let mut docs = String::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
    {
        if let syn::Meta::NameValue(pair) = &attribute.meta
            && let syn::Expr::Lit(literal) = &pair.value
            && let syn::Lit::Str(text) = &literal.lit
        {
            docs.push_str(&text.value());
            docs.push('\n');
        }
    }
    docs
}

fn returns_result(sig: &Signature) -> bool {
    let syn::ReturnType::Type(_, output) = &sig.output else {
        return false;
    };
    let syn::Type::Path(path) = output.as_ref() else {
        return false;
    };
    path.path
        .segments
        .last()
        .is_some_and(|last| last.ident.to_string().ends_with("Result"))
}

#[cfg(test)]
mod unit {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of([(path, text)]))
            .findings()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    const LIB: &str = "crates/grid-proto/src/lib.rs";

    #[test]
    fn asks_for_what_is_missing() {
        let text = "/// A.\npub async fn a() {}\n/// B.\npub fn b() -> io::Result<()> {}\n";
        let found = findings(LIB, text);
        assert_eq!(found.len(), 2);
        assert!(found[0].contains(":2: `a` is async"), "{found:?}");
        assert!(found[1].contains(":4: `b` returns a result"), "{found:?}");
    }

    #[test]
    fn is_content_with_sections_and_with_what_is_not_public() {
        let text = "/// A.\n///\n/// # Errors\n///\n/// Never.\n///\n/// # Cancel safety\n///\n/// Is.\n\
            pub async fn a() -> Result<(), E> {}\npub(crate) async fn b() -> Result<(), E> {}\n\
            #[cfg(test)] mod t { pub async fn c() {} }\n\
            impl T for X { async fn d() -> Result<(), E> {} }";
        assert_eq!(findings(LIB, text), Vec::<String>::new());
    }

    #[test]
    fn a_program_needs_no_errors_section() {
        let path = "crates/grid-cli/src/main.rs";
        assert_eq!(
            findings(path, "pub fn a() -> Result<(), E> {}"),
            Vec::<String>::new()
        );
        assert_eq!(findings(path, "pub async fn a() {}").len(), 1);
    }

    #[test]
    fn what_is_no_rust_is_said() {
        assert!(findings(LIB, "pub fn fn")[0].contains("can't be parsed"));
    }
}
