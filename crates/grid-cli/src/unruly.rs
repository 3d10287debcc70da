//! Characters that do something else than being shown, wherever others have chosen the text.

use std::fmt::Write;

/// Whether a terminal obeys a character, or it changes the order in which its neighbours are shown.
pub(crate) fn is_unruly(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with these written out, as JSON does: a JSON text on one line stays the same value, as they stand in its
/// strings only.
pub(crate) fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if is_unruly(c) {
            // Writing to a string does not fail; all of these are below U+10000.
            let _ = write!(tame, "\\u{:04x}", u32::from(c));
        } else {
            tame.push(c);
        }
    }
    tame
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_json_text_stays_the_same_value() {
        let value = json!({"a\u{7f}": "b\u{9b}31m\u{202e}\u{2066}\u{feff}é🦀\"\\\n\0"});
        let tame = tame(&value.to_string());
        assert!(!tame.contains(is_unruly), "{tame}");
        assert!(
            tame.contains("b\\u009b31m\\u202e\\u2066\\ufeffé🦀"),
            "{tame}"
        );
        assert_eq!(serde_json::from_str::<Value>(&tame).unwrap(), value);
    }
}
