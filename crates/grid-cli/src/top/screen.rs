//! The terminal while a live table is on it.

use std::{
    io::{self, Write},
    panic, thread,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    queue,
    style::Print,
    terminal::{
        Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen,
        LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size,
    },
};

use crate::{failure::Failure, output};

/// The size where the terminal knows none.
const SIZE: (u16, u16) = (80, 24);

/// The other screen of the terminal, without a cursor, and keys as they come. Dropping it gives the
/// terminal back as it was.
#[derive(Debug)]
pub(super) struct Screen(());

impl Screen {
    pub(super) fn enter() -> Result<Self, Failure> {
        enable_raw_mode()
            .map_err(|error| Failure::failed(format!("the terminal can't be set: {error}")))?;
        // From here on its end gives the terminal back.
        let screen = Self(());
        tell_panics_on_the_first_screen();
        let mut bytes = Vec::new();
        // A line that is wider than was thought is cut by the terminal, and moves no other.
        queue!(bytes, EnterAlternateScreen, Hide, DisableLineWrap).map_err(|error| lost(&error))?;
        write(&bytes)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        let known = size()
            .ok()
            .filter(|(width, height)| *width > 0 && *height > 0);
        let (width, height) = known.unwrap_or(SIZE);
        (usize::from(width), usize::from(height))
    }

    /// Puts the lines in the place of those before. Nothing is cleared that is written again, so
    /// that nothing flickers.
    pub(super) fn draw(&mut self, lines: &[String]) -> Result<(), Failure> {
        let (width, height) = self.size();
        let mut bytes = Vec::new();
        let mut draw = || -> io::Result<()> {
            for (row, line) in (0_u16..).zip(lines) {
                queue!(bytes, MoveTo(0, row), Print(line))?;
                // After a line that fills its row the cursor stands on its last character.
                if line.chars().count() < width {
                    queue!(bytes, Clear(ClearType::UntilNewLine))?;
                }
            }
            match u16::try_from(lines.len()) {
                Ok(row) if lines.len() < height => {
                    queue!(bytes, MoveTo(0, row), Clear(ClearType::FromCursorDown))
                }
                _ => Ok(()),
            }
        };
        draw().map_err(|error| lost(&error))?;
        write(&bytes)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Undoes what [`Screen::enter`] did. Where that fails, the terminal has gone.
fn give_back() {
    let mut bytes = Vec::new();
    let _ = queue!(bytes, EnableLineWrap, Show, LeaveAlternateScreen);
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(&bytes).and_then(|()| stdout.flush());
    let _ = disable_raw_mode();
}

/// What a panic says would go away with the other screen.
fn tell_panics_on_the_first_screen() {
    let drawing = thread::current().id();
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().id() == drawing {
            give_back();
        }
        tell(panic);
    }));
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    output::print(bytes, WHAT)
}

fn lost(error: &io::Error) -> Failure {
    output::lost(error, WHAT)
}

const WHAT: &str = "the table ends";
