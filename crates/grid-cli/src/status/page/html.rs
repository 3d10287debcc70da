//! HTML that is made piece by piece.

use std::fmt::{self, Display, Write};

use crate::unruly::is_unruly;

/// A piece of HTML. What is not a part of this program gets into it as text only, so that no name or cause that a peer
/// gives is ever taken for anything else.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a part of the page as this program has it.
    pub(super) fn raw(&mut self, html: &'static str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Adds text, between tags or inside of a quoted attribute.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // A string takes everything.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// Adds another piece.
    pub(super) fn piece(&mut self, html: &Self) -> &mut Self {
        self.0.push_str(&html.0);
        self
    }

    /// Adds a cell of a table with this text.
    pub(super) fn cell(&mut self, class: &'static str, text: impl Display) -> &mut Self {
        self.raw("<td class=\"").raw(class).raw("\">");
        self.text(text).raw("</td>")
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // These are not for showing: some end a line, some turn around what stands beside them.
                c if is_unruly(c) => self.0.extend(c.escape_unicode()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_a_tag_or_the_end_of_an_attribute() {
        let mut html = Html::new();
        html.raw("<b title=\"").text("\"><script>'&").raw("\">");
        html.cell("number", format_args!("<{}>", "\u{202e}\0"));
        let mut moving = Html::new();
        moving.text("\u{61c}\u{2028}\u{2029}\u{2066}");
        assert_eq!(moving.into_string(), "\\u{61c}\\u{2028}\\u{2029}\\u{2066}");
        assert_eq!(
            html.into_string(),
            "<b title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\"><td class=\"number\">&lt;\\u{202e}\\u{0}&gt;</td>"
        );
    }
}
