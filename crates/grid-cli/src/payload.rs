//! The PAYLOAD of a command line: text, a file, stdin, hex, or JSON that is sent as msgpack.

use std::{
    fs,
    io::{self, Read},
};

use bytes::Bytes;
use grid_transport::Payload;

use crate::failure::Failure;

/// No message is larger, so nothing larger is read.
const MOST: u64 = 64 * 1024 * 1024;

/// What `PAYLOAD` may be, for the help of each command that takes one.
pub(crate) const HELP: &str = "Text; @FILE; - for stdin; hex:BYTES; or msgpack: (or json:) followed \
by JSON, which is sent as msgpack. Absent where nothing is given";

/// Reads the payload that an argument asks for; absent without one.
pub(crate) fn read(argument: Option<&str>) -> Result<Payload, Failure> {
    let Some(text) = argument else {
        return Ok(Payload::Absent);
    };
    let bytes = if text == "-" {
        limited(io::stdin().lock(), "stdin")?
    } else if let Some(path) = text.strip_prefix('@') {
        let what = format!("'{path}'");
        let file = fs::File::open(path).map_err(|error| unreadable(&what, &error))?;
        limited(file, &what)?
    } else if let Some(digits) = text.strip_prefix("hex:") {
        from_hex(digits)?
    } else if let Some(json) = text
        .strip_prefix("msgpack:")
        .or_else(|| text.strip_prefix("json:"))
    {
        from_json(json)?
    } else {
        text.as_bytes().to_vec()
    };
    Ok(Payload::Present(Bytes::from(bytes)))
}

/// Bytes from hex digits, white space between them allowed.
pub(crate) fn from_hex(digits: &str) -> Result<Vec<u8>, Failure> {
    let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
    hex::decode(digits).map_err(|error| Failure::bad(format!("hex: {error}")))
}

fn from_json(json: &str) -> Result<Vec<u8>, Failure> {
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| Failure::bad(format!("'{json}': {error}")))?;
    grid_typed::msgpack::to_vec(&value)
        .map_err(|error| Failure::bad(format!("'{json}' has no msgpack form: {error}")))
}

fn limited(from: impl Read, what: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    from.take(MOST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(what, &error))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::bad(format!(
            "{what} has more than the {MOST} bytes that a message can have"
        )));
    }
    Ok(bytes)
}

fn unreadable(what: &str, error: &io::Error) -> Failure {
    Failure::bad(format!("{what} can't be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(argument: &str) -> Vec<u8> {
        read(Some(argument)).unwrap().as_slice().to_vec()
    }

    #[test]
    fn every_form_gives_bytes() {
        assert_eq!(read(None).unwrap(), Payload::Absent);
        assert_eq!(read(Some("")).unwrap(), Payload::from(""));
        assert_eq!(bytes("hello @x"), b"hello @x");
        assert_eq!(bytes("hex:00 fF"), [0, 255]);
        assert_eq!(bytes("hex:"), b"");
        let map = [0x81, 0xa1, b'a', 0x92, 1, 0xc0];
        assert_eq!(bytes(r#"msgpack:{"a": [1, null]}"#), map);
        assert_eq!(bytes(r#"json:{"a": [1, null]}"#), map);
    }

    #[test]
    fn a_file_is_read_and_one_that_is_not_there_is_named() {
        let path = std::env::temp_dir().join(format!("grid-payload-{}", std::process::id()));
        fs::write(&path, [1, 2, 3]).unwrap();
        assert_eq!(bytes(&format!("@{}", path.display())), [1, 2, 3]);
        fs::remove_file(&path).unwrap();
        for (argument, part) in [
            (format!("@{}", path.display()), "grid-payload-"),
            ("hex:0".into(), "hex"),
            ("hex:zz".into(), "hex"),
            ("msgpack:{".into(), "'{'"),
            ("@/dev/zero".into(), "more than"),
        ] {
            let failure = read(Some(&argument)).unwrap_err();
            assert!(matches!(failure, Failure::BadInput(_)), "{failure:?}");
            assert!(failure.line().contains(part), "{failure:?}");
        }
    }
}
