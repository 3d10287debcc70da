//! What the payloads of the probe handlers say.

use std::borrow::Cow;

/// `k` or `k:rest`: decimal digits, a colon, anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered<'a> {
    pub(crate) number: u64,
    pub(crate) rest: Option<&'a [u8]>,
}

/// Reads the payload of a handler that wants a number.
pub(crate) fn numbered(payload: &[u8]) -> Result<Numbered<'_>, String> {
    let colon = payload.iter().position(|byte| *byte == b':');
    let (digits, rest) = match colon {
        Some(at) => (payload.get(..at).unwrap_or_default(), payload.get(at + 1..)),
        None => (payload, None),
    };
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok());
    let number = number.ok_or_else(|| format!("'{}' is not a number", shown(digits)))?;
    Ok(Numbered { number, rest })
}

/// The beginning of a payload as text.
fn shown(payload: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(payload.get(..64).unwrap_or(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_before_the_colon() {
        assert_eq!(
            numbered(b"12"),
            Ok(Numbered {
                number: 12,
                rest: None
            })
        );
        assert_eq!(
            numbered(b"12:"),
            Ok(Numbered {
                number: 12,
                rest: Some(b"")
            })
        );
        assert_eq!(
            numbered(b"0:a:b"),
            Ok(Numbered {
                number: 0,
                rest: Some(b"a:b")
            })
        );
    }

    #[test]
    fn what_is_no_number_is_quoted() {
        for payload in [
            &b""[..],
            b":",
            b"x:1",
            b"-1",
            b"\xff",
            b"99999999999999999999999",
        ] {
            assert!(numbered(payload).is_err(), "{payload:?}");
        }
        assert_eq!(numbered(b"ten:1").unwrap_err(), "'ten' is not a number");
        assert!(numbered(&[b'x'; 1000]).unwrap_err().len() < 100);
    }
}
