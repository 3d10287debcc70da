//! The items that a command sends, read by a thread of their own: a read of stdin can't be
//! cancelled.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader},
    thread,
};

use grid_transport::Payload;
use tokio::sync::mpsc;

use super::framing::Framing;
use crate::failure::Failure;

/// Where items come from.
pub(super) struct Source {
    name: String,
    framing: Framing,
    from: Box<dyn BufRead + Send>,
}

impl Source {
    /// Opens `-` or `@FILE`.
    pub(super) fn open(text: &str, framing: Framing) -> Result<Self, Failure> {
        let (name, from): (_, Box<dyn BufRead + Send>) = match text.strip_prefix('@') {
            Some(path) => {
                let file = fs::File::open(path).map_err(|error| {
                    Failure::bad(format!("--items: '{path}' can't be read: {error}"))
                })?;
                (format!("'{path}'"), Box::new(BufReader::new(file)))
            }
            None if text == "-" => ("stdin".to_owned(), Box::new(BufReader::new(io::stdin()))),
            None => {
                return Err(Failure::bad(format!(
                    "--items: '{text}' is neither @FILE nor -"
                )));
            }
        };
        Ok(Self {
            name,
            framing,
            from,
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.name).finish()
    }
}

/// Items on their way from a source.
pub(super) struct Input(mpsc::Receiver<Result<Payload, Failure>>);

impl Input {
    pub(super) fn start(mut source: Source) -> Self {
        let (sender, items) = mpsc::channel(16);
        // Ends with its source, or when nobody takes its items any more; the process doesn't wait
        // for it.
        thread::spawn(move || {
            loop {
                let item = match source.framing.next(&mut source.from) {
                    Ok(Some(item)) => Ok(Payload::from(item)),
                    Ok(None) => return,
                    Err(error) => Err(Failure::failed(format!(
                        "{} can't be read: {error}; the stream was cancelled",
                        source.name
                    ))),
                };
                let last = item.is_err();
                if sender.blocking_send(item).is_err() || last {
                    return;
                }
            }
        });
        Self(items)
    }

    /// The next item; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Safe: no item is lost.
    pub(super) async fn next(&mut self) -> Option<Result<Payload, Failure>> {
        self.0.recv().await
    }
}
