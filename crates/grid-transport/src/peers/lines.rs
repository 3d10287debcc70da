//! What stands in a file of peers.

use std::{collections::HashMap, path::Path};

use super::error::{LineError, SourceError};
use crate::{
    io::Target,
    pattern::{self, MOST_NAMES},
};

/// The longest line that is looked at; a name of DNS has 255 bytes.
pub(super) const MOST_LINE: usize = 1_024;
/// How much of a line is told.
const MOST_TOLD: usize = 256;

/// The names of a file with this content, in order.
pub(super) fn names(path: &Path, content: &[u8]) -> Result<Vec<String>, SourceError> {
    // Some editors begin a file with a mark that it is in UTF-8.
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let mut seen = HashMap::new();
    let mut names = Vec::new();
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let fault = |value: &str, source| {
            let end = value.floor_char_boundary(MOST_TOLD);
            SourceError::Line {
                path: path.to_owned(),
                line: index + 1,
                value: value.get(..end).unwrap_or_default().into(),
                source,
            }
        };
        let Ok(line) = std::str::from_utf8(line) else {
            return Err(fault(&String::from_utf8_lossy(line), LineError::NotText));
        };
        // Names have no such sign.
        let value = line.split('#').next().unwrap_or_default().trim();
        if value.is_empty() {
            continue;
        }
        let expanded = expand(value, index + 1, &mut seen).map_err(|error| fault(value, error))?;
        names.extend(expanded);
    }
    Ok(names)
}

fn expand(
    value: &str,
    line: usize,
    seen: &mut HashMap<String, usize>,
) -> Result<Vec<String>, LineError> {
    if value.len() > MOST_LINE {
        return Err(LineError::TooLong { most: MOST_LINE });
    }
    let names = pattern::expand(value).map_err(LineError::Pattern)?;
    if seen.len() + names.len() > MOST_NAMES {
        return Err(LineError::TooMany { most: MOST_NAMES });
    }
    for name in &names {
        Target::new(name).map_err(|fault| LineError::Name {
            name: name.as_str().into(),
            reason: fault.text(),
        })?;
        if let Some(first) = seen.insert(name.clone(), line) {
            let name = name.as_str().into();
            return Err(LineError::Twice { name, first });
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(content: impl AsRef<[u8]>) -> Result<Vec<String>, SourceError> {
        names(Path::new("/etc/grid/peers"), content.as_ref())
    }

    /// The number of the line, what is told of it, and what is wrong.
    fn fault(content: impl AsRef<[u8]>) -> (usize, String, LineError) {
        match parse(content).unwrap_err() {
            SourceError::Line {
                line,
                value,
                source,
                ..
            } => (line, value.into(), source),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn names_patterns_and_comments() {
        let content = "\u{feff}# the first rack\r\n\
            http://a{1...2}:9000   # two of them\r\n\
            \r\n   \t\n\
            \thttp://b:9000\n#http://c:9000\nhttps://[::1]:9000";
        assert_eq!(
            parse(content).unwrap(),
            [
                "http://a1:9000",
                "http://a2:9000",
                "http://b:9000",
                "https://[::1]:9000"
            ]
        );
        assert!(parse("").unwrap().is_empty());
        assert!(parse("# nobody\n").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_wrong_is_named_with_its_number_and_value() {
        let (line, value, error) = fault("http://a:9000\n\nhttp://b{1..2}:9000 # here\n");
        assert_eq!((line, &*value), (3, "http://b{1..2}:9000"));
        assert!(matches!(error, LineError::Pattern(_)), "{error}");
        let error = parse("http://a:9000\nnode-b:9000").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/etc/grid/peers, line 2: \"node-b:9000\": \"node-b:9000\" can't be used: it must begin \
             with http:// or https://"
        );
        let (line, _, error) = fault("http://a1:9000\nhttp://a{0...3}:9000");
        let twice = LineError::Twice {
            name: "http://a1:9000".into(),
            first: 1,
        };
        assert_eq!((line, error), (2, twice));
        let (line, _, error) = fault(b"http://a:9000\nhttp://\xff:9000");
        assert_eq!((line, error), (2, LineError::NotText));
        // Two names in a line.
        let (line, value, error) = fault("http://a:9000 http://b:9000");
        assert_eq!((line, &*value), (1, "http://a:9000 http://b:9000"));
        assert!(matches!(error, LineError::Name { .. }), "{error}");
    }

    #[test]
    fn nobody_has_so_many_nodes_or_so_long_a_name() {
        let full = "http://a{1...10000}:9000";
        assert_eq!(parse(full).unwrap().len(), MOST_NAMES);
        let (line, _, error) = fault(format!("{full}\nhttp://b:9000"));
        assert_eq!((line, error), (2, LineError::TooMany { most: MOST_NAMES }));
        let long = format!("http://{}", "\u{e9}".repeat(MOST_LINE));
        let (_, value, error) = fault(&long);
        assert_eq!(error, LineError::TooLong { most: MOST_LINE });
        assert!(long.starts_with(&value) && value.len() <= MOST_TOLD);
    }
}
