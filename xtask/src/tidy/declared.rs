//! Names that a file declares by a macro of its own, as `ops! { Ping = 3, … }` does.

use proc_macro2::{TokenStream, TokenTree};
use syn::Item;

/// One entry in the body of such a macro call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) line: usize,
    /// The literal behind `NAME =`.
    pub(super) value: Option<String>,
}

/// The entries of all calls of a macro at the top of a file; each may have attributes before it.
pub(super) fn entries(text: &str, name: &str, separator: char) -> Vec<Entry> {
    let Ok(file) = syn::parse_file(text) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for item in file.items {
        if let Item::Macro(call) = item
            && call.ident.is_none()
            && call.mac.path.is_ident(name)
        {
            collect(call.mac.tokens, separator, &mut out);
        }
    }
    out
}

fn collect(tokens: TokenStream, separator: char, out: &mut Vec<Entry>) {
    let mut begins = true;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == separator => begins = true,
            TokenTree::Ident(ident) if begins => {
                begins = false;
                let mut value = None;
                let is =
                    |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == '=');
                if tokens.next_if(is).is_some()
                    && let Some(TokenTree::Literal(literal)) = tokens.peek()
                {
                    value = Some(literal.to_string());
                }
                let line = ident.span().start().line;
                out.push(Entry {
                    name: ident.to_string(),
                    line,
                    value,
                });
            }
            // Attributes before the name, or the rest of the entry.
            _ => {}
        }
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn names_and_values_without_attributes() {
        let text = "macro_rules! ops { ($a:ident) => { x = 1 } }\n\
            ops! {\n /// Asks; politely.\n Ping = 3,\n Pong = 4,\n}\n\
            other! { Not = 5 }";
        let entry = |name: &str, line, value: &str| Entry {
            name: name.to_owned(),
            line,
            value: Some(value.to_owned()),
        };
        assert_eq!(
            entries(text, "ops", ','),
            [entry("Ping", 4, "3"), entry("Pong", 5, "4")]
        );
    }

    #[test]
    fn types_and_defaults_are_no_names() {
        let text = "settings! {\n #[x]\n first: Option<A> = None;\n ping: Duration = d(1, 2);\n}";
        let names: Vec<_> = entries(text, "settings", ';')
            .into_iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["first", "ping"]);
    }
}
