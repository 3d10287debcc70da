//! Where the bytes come from: a file, stdin, or the command line.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Cursor, IsTerminal, Read},
};

use crate::failure::{Failure, printable};

const CHUNK: usize = 64 << 10;

/// What is read, in chunks, after a look at its beginning.
pub(super) struct Input {
    name: String,
    reader: Box<dyn Read>,
    chunk: Vec<u8>,
    /// How much of the chunk has been read by [`Input::begin`] and not been given out.
    ahead: usize,
}

impl Input {
    /// Opens what the argument names; stdin where there is none.
    pub(super) fn open(argument: Option<&OsString>) -> Result<Self, Failure> {
        let stdin = || Self::of("stdin", Box::new(io::stdin().lock()));
        let Some(argument) = argument else {
            if io::stdin().is_terminal() {
                return Err(Failure::bad(
                    "nothing to decode: give a file, 'hex:…', or '-' for stdin",
                ));
            }
            return Ok(stdin());
        };
        if argument == "-" {
            return Ok(stdin());
        }
        if let Some(digits) = argument.to_str().and_then(|text| text.strip_prefix("hex:")) {
            let bytes = unhex(digits.as_bytes())
                .map_err(|reason| Failure::bad(format!("'hex:…': {reason}")))?;
            if bytes.is_empty() {
                return Err(Failure::bad("'hex:': no digits"));
            }
            return Ok(Self::of("hex", Box::new(Cursor::new(bytes))));
        }
        let name = format!("'{}'", printable(&argument.to_string_lossy()));
        match File::open(argument) {
            Ok(file) => Ok(Self::of(&name, Box::new(file))),
            Err(error) => Err(Failure::bad(format!("{name}: {error}"))),
        }
    }

    fn of(name: &str, reader: Box<dyn Read>) -> Self {
        Self {
            name: name.to_owned(),
            reader,
            chunk: vec![0; CHUNK],
            ahead: 0,
        }
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes, to look at: a chunk, or what comes at once where there is less.
    pub(super) fn begin(&mut self) -> Result<&[u8], Failure> {
        // Enough for every mark that tells what the bytes are, even from a pipe that gives them singly.
        const ENOUGH: usize = 32;
        while self.ahead < ENOUGH {
            let space = self.chunk.get_mut(self.ahead..).unwrap_or_default();
            match read(self.reader.as_mut(), space) {
                Ok(0) => break,
                Ok(len) => self.ahead += len,
                Err(error) => return Err(Failure::bad(format!("{}: {error}", self.name))),
            }
        }
        Ok(self.chunk.get(..self.ahead).unwrap_or_default())
    }

    /// The next bytes; none at the end.
    pub(super) fn next(&mut self) -> Result<&[u8], Failure> {
        let len = match std::mem::take(&mut self.ahead) {
            0 => read(self.reader.as_mut(), &mut self.chunk)
                .map_err(|error| Failure::failed(format!("{}: {error}", self.name)))?,
            ahead => ahead,
        };
        Ok(self.chunk.get(..len).unwrap_or_default())
    }
}

fn read(reader: &mut dyn Read, space: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(space) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// The bytes of hexadecimal digits, with white space between them wherever it stands.
pub(super) fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for (at, digit) in text.iter().enumerate() {
        if digit.is_ascii_whitespace() {
            continue;
        }
        let Some(value) = char::from(*digit)
            .to_digit(16)
            .and_then(|v| u8::try_from(v).ok())
        else {
            let shown = digit.escape_ascii();
            return Err(format!(
                "'{shown}' at character {} is no hexadecimal digit",
                at + 1
            ));
        };
        high = match high {
            None => Some(value),
            Some(high) => {
                bytes.push(high << 4 | value);
                None
            }
        };
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err("an odd number of hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_with_spaces_is_bytes() {
        assert_eq!(unhex(b"97 0A\tfF\n"), Ok(vec![0x97, 0x0a, 0xff]));
        assert_eq!(unhex(b"9 7"), Ok(vec![0x97]));
        assert_eq!(unhex(b""), Ok(vec![]));
        assert!(unhex(b"970").unwrap_err().contains("odd"));
        assert!(
            unhex(b"97\xff0")
                .unwrap_err()
                .contains("'\\xff' at character 3")
        );
    }
}
