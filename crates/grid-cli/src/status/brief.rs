//! The beginning of a text that a peer may have made as long as it likes.

use std::fmt::{self, Display, Write};

/// The most of it, in bytes.
const MOST: usize = 256;

/// What stands where the rest was.
const CUT: char = '…';

/// At most 256 bytes of a value, and never half a character. No more than that is formatted.
pub(super) fn brief(value: &impl Display) -> String {
    let mut room = Room(String::new());
    if write!(room, "{value}").is_err() {
        let end = room.0.floor_char_boundary(MOST - CUT.len_utf8());
        room.0.truncate(end);
        room.0.push(CUT);
    }
    room.0
}

struct Room(String);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(MOST.saturating_sub(self.0.len()));
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
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(brief(&"no link"), "no link");
        let fits = "x".repeat(MOST);
        assert_eq!(brief(&fits), fits);
        let cut = brief(&format_args!(
            "{}{}",
            "é".repeat(1_000),
            "x".repeat(1 << 20)
        ));
        assert_eq!(cut, format!("{}…", "é".repeat(126)));
        let cut = brief(&"x".repeat(MOST + 1));
        assert_eq!(cut, format!("{}…", "x".repeat(MOST - 3)));
    }
}
