//! Values of fields, cut and made harmless.

use std::fmt::{self, Display, Write as _};

/// The most that a field shows of a value, in bytes.
const MAX_FIELD: usize = 1_024;

/// What stands at the end of a value that was cut.
const CUT: char = '…';

/// Shows at most 1 KiB of a value, and never half a character: texts of peers may be as long as a message. What would end
/// a line or speak to a terminal is written out, so that no text looks like a line of the log or hides one.
pub(crate) struct Cut<T>(pub(crate) T);

impl<T: Display> Display for Cut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = Bounded(String::new());
        if write!(shown, "{}", self.0).is_ok() {
            return f.write_str(&shown.0);
        }
        let end = shown.0.floor_char_boundary(MAX_FIELD - CUT.len_utf8());
        f.write_str(shown.0.get(..end).unwrap_or_default())?;
        f.write_char(CUT)
    }
}

/// Takes no more than fits into a field, so that nobody formats megabytes for it.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(speaks) {
            let (plain, special) = rest.split_at(at);
            self.push(plain)?;
            let mut chars = special.chars();
            for c in chars.next().into_iter().flat_map(char::escape_default) {
                self.push(c.encode_utf8(&mut [0; 4]))?;
            }
            rest = chars.as_str();
        }
        self.push(rest)
    }
}

/// Whether a character does something else than being shown: controls, ends of lines, and changes of direction.
fn speaks(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl Bounded {
    fn push(&mut self, text: &str) -> fmt::Result {
        let room = MAX_FIELD - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(text.get(..fits).unwrap_or_default());
        if fits < text.len() {
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t05_what_speaks_to_a_terminal_is_written_out_unit() {
        let text = "a\r\nb\t\u{1b}[2K\u{7f}\u{9b}1m\0\u{2028}\u{202e}\u{2066}\u{61c}\u{200e}\u{200f}é\\n🦀";
        let shown = Cut(text).to_string();
        let wanted = "a\\r\\nb\\t\\u{1b}[2K\\u{7f}\\u{9b}1m\\u{0}\\u{2028}\\u{202e}\\u{2066}\\u{61c}\\u{200e}\\u{200f}é\\n🦀";
        assert_eq!(shown, wanted);
        // Written out it is longer, and cut all the same.
        for len in [511, 512, 513, 1 << 20] {
            let cut = Cut("\n".repeat(len)).to_string();
            assert_eq!(cut.len() == 2 * len, len <= 512, "{len}");
            assert!(cut.len() <= 1_024 && !cut.contains('\n'));
        }
    }

    #[test]
    fn t03_a_kibibyte_is_shown_and_no_half_character_unit() {
        for len in [0, 1, 1_023, 1_024] {
            let text = "x".repeat(len);
            assert_eq!(Cut(&text).to_string(), text);
        }
        for (text, shown) in [
            ("x".repeat(1_025), "x".repeat(1_021)),
            // Of 2, 3 and 4 bytes: 1,021 is inside of one.
            ("é".repeat(600), "é".repeat(510)),
            ("€".repeat(400), "€".repeat(340)),
            ("🦀".repeat(300), "🦀".repeat(255)),
            ("x".repeat(1 << 20), "x".repeat(1_021)),
        ] {
            let cut = Cut(&text).to_string();
            assert_eq!(cut, format!("{shown}…"));
            assert!(cut.len() <= 1_024 && cut.len() > 1_024 - 4);
        }
        // A value that comes in pieces is cut at the same place.
        struct Pieces;
        impl Display for Pieces {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                (0..1_000).try_for_each(|_| f.write_str("ab€"))
            }
        }
        let cut = Cut(Pieces).to_string();
        assert_eq!(
            cut,
            format!("{}…", "ab€".repeat(204).as_str().to_owned() + "a")
        );
    }
}
