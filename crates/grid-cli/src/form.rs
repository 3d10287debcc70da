//! In which form a command writes what came from a remote.

use std::io::{self, IsTerminal};

use clap::Args;

use crate::{failure::Failure, show};

#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
pub(crate) struct FormArgs {
    /// Write the bytes as they came [default where stdout is no terminal].
    #[arg(long)]
    raw: bool,
    /// Write hex digits.
    #[arg(long)]
    hex: bool,
    /// Write JSON: msgpack as JSON, JSON as it is, null where there is no byte.
    #[arg(long)]
    json: bool,
}

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people: JSON where it is msgpack, text where it is text, else hex.
    Readable,
    Raw,
    Hex,
    Json,
}

impl FormArgs {
    /// The form that was asked for, or the one that suits stdout.
    pub(crate) fn form(self) -> Form {
        match (self.raw, self.hex, self.json) {
            (true, _, _) => Form::Raw,
            (_, true, _) => Form::Hex,
            (_, _, true) => Form::Json,
            _ if io::stdout().is_terminal() => Form::Readable,
            _ => Form::Raw,
        }
    }

    /// Whether one was asked for.
    pub(crate) fn is_given(self) -> bool {
        self.raw || self.hex || self.json
    }
}

impl Form {
    /// The bytes in this form, on a line of their own unless they are raw.
    pub(crate) fn write(self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut text = match self {
            Self::Raw => return Ok(bytes.to_vec()),
            Self::Readable => show::readable(bytes),
            Self::Hex => hex::encode(bytes),
            Self::Json => json(bytes)?,
        };
        text.push('\n');
        Ok(text.into_bytes())
    }
}

fn json(bytes: &[u8]) -> Result<String, Failure> {
    if bytes.is_empty() {
        return Ok("null".to_owned());
    }
    if let Some(json) = show::msgpack(bytes) {
        return Ok(json);
    }
    let text = std::str::from_utf8(bytes).ok().map(str::trim);
    match text {
        Some(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => {
            // Its own line breaks would make several lines of one value.
            Ok(text.replace(['\n', '\r'], " "))
        }
        _ => Err(Failure::failed(format!(
            "an answer came, and --json can't show it: its {} bytes are neither msgpack nor JSON",
            bytes.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_writes_as_it_says() {
        let map = [0x81, 0xa1, b'a', 1];
        assert_eq!(Form::Raw.write(&map).unwrap(), map);
        assert_eq!(Form::Hex.write(&map).unwrap(), b"81a16101\n");
        assert_eq!(Form::Json.write(&map).unwrap(), b"{\"a\": 1}\n");
        assert_eq!(Form::Readable.write(&map).unwrap(), b"{\"a\": 1}\n");
        assert_eq!(Form::Readable.write(b"a b").unwrap(), b"a b\n");
        assert_eq!(Form::Readable.write(&[0, 1]).unwrap(), b"0001\n");
        assert_eq!(Form::Json.write(b"{\"a\":\n1}\n").unwrap(), b"{\"a\": 1}\n");
        assert_eq!(Form::Json.write(b"").unwrap(), b"null\n");
        assert!(Form::Json.write(b"hello").is_err());
    }
}
