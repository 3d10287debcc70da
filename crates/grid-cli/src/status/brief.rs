//! The beginning of a text that a peer may have made as long as it likes.

use std::fmt::{self, Display, Write};

/// What stands where the rest was.
const CUT: char = '…';

/// At most so many bytes of a value, and never half a character. No more than that is formatted.
pub(super) fn brief(value: impl Display, most: usize) -> String {
    let mut room = Room {
        text: String::new(),
        most,
    };
    if write!(room, "{value}").is_err() {
        let end = most.saturating_sub(CUT.len_utf8());
        room.text.truncate(room.text.floor_char_boundary(end));
        room.text.push(CUT);
    }
    room.text
}

struct Room {
    text: String,
    most: usize,
}

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.most.saturating_sub(self.text.len());
        let fits = text.floor_char_boundary(room);
        self.text.push_str(text.get(..fits).unwrap_or_default());
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
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(brief("no link", 256), "no link");
        let fits = "x".repeat(256);
        assert_eq!(brief(&fits, 256), fits);
        let long = format_args!("{}{}", "é".repeat(1_000), "x".repeat(1 << 20)).to_string();
        assert_eq!(brief(long, 256), format!("{}…", "é".repeat(126)));
        let cut = brief("x".repeat(257), 256);
        assert_eq!(cut, format!("{}…", "x".repeat(253)));
    }

    #[test]
    fn no_more_is_formatted_than_is_kept() {
        struct Endless;

        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("ab")?;
                }
            }
        }

        assert_eq!(brief(Endless, 9), "ababab…");
    }
}
