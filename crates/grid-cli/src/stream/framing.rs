//! How the items of a stream stand in a file: as lines, or behind their lengths.

use std::io::{self, BufRead, Read};

use crate::failure::Failure;

/// No message is larger.
const MOST: usize = 64 * 1024 * 1024;

/// How items are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Each ends with a line feed, the last perhaps without.
    Lines,
    /// Each stands behind its length: 4 bytes, big endian.
    Lengths,
}

impl Framing {
    /// The next item; `None` at the end.
    pub(super) fn next(self, from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Lines => line(from),
            Self::Lengths => framed(from),
        }
    }
}

fn line(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut item = Vec::new();
    // A line end may come after the largest item.
    let most = MOST as u64 + 1;
    if from.take(most).read_until(b'\n', &mut item)? == 0 {
        return Ok(None);
    }
    if item.last() == Some(&b'\n') {
        item.pop();
    } else if item.len() > MOST {
        return Err(too_long());
    }
    Ok(Some(item))
}

fn framed(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    if from.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut head = [0; 4];
    from.read_exact(&mut head)?;
    let len = u32::from_be_bytes(head);
    if usize::try_from(len).map_or(true, |len| len > MOST) {
        return Err(too_long());
    }
    // Grows with what is there, whatever the length says.
    let mut item = Vec::new();
    from.take(len.into()).read_to_end(&mut item)?;
    if (item.len() as u64) < u64::from(len) {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("an item of {len} bytes ends after {}", item.len()),
        ));
    }
    Ok(Some(item))
}

fn too_long() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("an item has more than {MOST} bytes"),
    )
}

/// The item behind its length.
pub(super) fn frame(item: &[u8]) -> Result<Vec<u8>, Failure> {
    let len = u32::try_from(item.len())
        .map_err(|_| Failure::failed("an item is too long to be framed"))?;
    let mut framed = Vec::with_capacity(4 + item.len());
    framed.extend_from_slice(&len.to_be_bytes());
    framed.extend_from_slice(item);
    Ok(framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: Framing, mut bytes: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut items = Vec::new();
        while let Some(item) = framing.next(&mut bytes)? {
            items.push(item);
        }
        Ok(items)
    }

    #[test]
    fn lines_are_items() {
        let items = all(Framing::Lines, b"a\n\nb\r\nlast").unwrap();
        assert_eq!(items, [&b"a"[..], b"", b"b\r", b"last"]);
        assert!(all(Framing::Lines, b"").unwrap().is_empty());
    }

    #[test]
    fn framed_items_come_back() {
        let items = [&b"one\n"[..], b"", &[0, 255]];
        let bytes: Vec<u8> = items.iter().flat_map(|item| frame(item).unwrap()).collect();
        assert_eq!(all(Framing::Lengths, &bytes).unwrap(), items);
        for cut in [1, 3, 5, bytes.len() - 1] {
            assert!(all(Framing::Lengths, &bytes[..cut]).is_err(), "{cut}");
        }
        let error = all(Framing::Lengths, &[0xff; 8]).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut zeros = io::BufReader::new(io::repeat(0));
        assert!(Framing::Lines.next(&mut zeros).is_err());
    }
}
