//! What a service looks like on the wire, kept in a file: so that a change which another node would not understand fails a
//! test before it fails a cluster.
//!
//! Nodes of two versions talk to each other while they are updated. What they have to agree on is nowhere on the wire: the
//! ids of handlers, their kind, the capacities of streams, and the shapes of messages. `XClient::describe()`, which
//! `#[grid_typed::service]` writes, gives all of it, and [`check`] compares it with a file beside the tests:
//!
//! ```no_run
//! use grid_typed::golden::{self, Description};
//!
//! # struct LocksClient;
//! # impl LocksClient { fn describe() -> Description { Description::new("Locks") } }
//! #[test]
//! fn the_wire_is_as_it_was() {
//!     golden::check("tests/wire.txt", &[LocksClient::describe()]).unwrap();
//! }
//! ```
//!
//! Where the change is meant, or the file is not there yet, the test is run once with `GRID_GOLDEN=write`, and the new
//! file is part of the commit, for whoever reviews it. There it shows as a line that came, went or is another one; whether
//! old nodes understand it is for the reviewer to say: a field that came needs `#[serde(default)]`.
//!
//! A [`Shape`] is found out by reading: the type's own `Deserialize` is given one value of each kind that it asks for, and
//! is read again until every variant of every enum has been given. So it sees names and types of fields as they are on the
//! wire, and not those of the source; of an enum all variants, and what each of them holds:
//!
//! | in a shape | is |
//! | --- | --- |
//! | `{name: str, parent: ?u64}` | a struct, with an option |
//! | `(u8, bool)`, `[u8]`, `map<str: u8>` | a tuple, an array of any length, a map |
//! | <code>enum(Unit \| Newtype: u8 \| Tuple: (u8, u8) \| Struct: {x: u8})</code> | an enum, with what stands behind the name of each variant |
//! | `^`, `^^` | a type inside itself: the one around it that has a name of its own, or the next one out |
//! | `u8 / str` | either, by what was read before, as of enums with a tag and content |
//! | `opaque`, `...` | what could not be read, and what was not: collections more than 6 deep, and what is beyond 4096 parts or readings |
//!
//! Types that refuse such values, as enums with a tag inside or without any do and structs with an alias of a field, and
//! messages that are not serde's, are known by their names only. Beside a variant that does, the others are seen all the same.

mod access;
mod shape;
#[cfg(test)]
mod shape_tests;
mod tree;

use std::{collections::BTreeMap, env, fmt, fs, io, path::PathBuf};

pub use self::shape::Shape;
use crate::Message;

/// The variable that has [`check`] write the file.
const VARIABLE: &str = "GRID_GOLDEN";

/// The shape of a message.
#[must_use]
pub fn shape<M: Message>() -> Shape {
    M::shape()
}

/// What a service looks like on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    service: String,
    /// Ids, names, and what the file says of each.
    handlers: Vec<(u8, String, String)>,
}

impl Description {
    /// Of a service with this name, without any handler.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            handlers: Vec::new(),
        }
    }

    /// With a handler of single requests.
    #[must_use]
    pub fn single(self, id: u8, name: &str, request: Shape, answer: Shape) -> Self {
        self.with(id, name, format!("single {name}({request}) -> {answer}"))
    }

    /// With a handler of streams, with the capacities and items of both directions.
    #[must_use]
    pub fn stream(
        self,
        id: u8,
        name: &str,
        (input, output): (u32, u32),
        init: Shape,
        items_in: Option<Shape>,
        items_out: Option<Shape>,
    ) -> Self {
        let items = |capacity, shape: Option<Shape>| match shape {
            Some(shape) => format!("{capacity} × {shape}"),
            None => "none".to_owned(),
        };
        let (input, output) = (items(input, items_in), items(output, items_out));
        self.with(
            id,
            name,
            format!("stream {name}({init}) in {input} out {output}"),
        )
    }

    fn with(mut self, id: u8, name: &str, line: String) -> Self {
        self.handlers.push((id, name.to_owned(), line));
        self.handlers.sort();
        self
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let line = |(id, _, line): &(u8, String, String)| format!("{} {id} {line}", self.service);
        self.handlers
            .iter()
            .map(line)
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// Why services do not look as a file says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GoldenError {
    /// The file can't be read or written.
    #[error("{}: {source}{}", path.display(), hint(source))]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Two handlers have one id, so that no node can have both.
    #[error("handler id {id} is that of {first} and of {second}: one of them needs another")]
    Clash {
        /// The id.
        id: u8,
        /// One of them, as `Locks.lock`.
        first: String,
        /// The other one.
        second: String,
    },
    /// Something is another than in the file, or is gone: nodes that were built before would not understand it, as far as can
    /// be told.
    #[error("{} has what is no longer so; if nodes of both versions understand it run this once with {VARIABLE}=write:{changes}", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The lines that differ.
        changes: Changes,
    },
    /// Something has come that the file does not have yet, which hurts nobody; it is to be kept as well.
    #[error("{} does not have all of it yet; run this once with {VARIABLE}=write:{changes}", path.display())]
    New {
        /// The file.
        path: PathBuf,
        /// The lines that came.
        changes: Changes,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => " (run this once with GRID_GOLDEN=write to make it)",
        _ => "",
    }
}

/// The lines that went and came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// Those of the file that are no longer so.
    pub gone: Vec<String>,
    /// Those that the file does not have.
    pub came: Vec<String>,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, lines) in [('-', &self.gone), ('+', &self.came)] {
            for line in lines {
                write!(f, "\n{sign} {line}")?;
            }
        }
        Ok(())
    }
}

/// Compares the services with what a file says of them, a line for each handler; with `GRID_GOLDEN=write` in the
/// environment writes the file in place of it. A relative path is relative to the package that is tested.
///
/// The services are those of one node: no two handlers of theirs may have one id. Services that are never together, or under
/// subroutes of their own, have a file each.
///
/// # Errors
///
/// Where an id is there twice, which is not written either; and where the file has something else, or can't be read.
pub fn check(path: impl Into<PathBuf>, services: &[Description]) -> Result<(), GoldenError> {
    let write = env::var_os(VARIABLE).is_some_and(|value| value == "write");
    compare(path.into(), services, write)
}

fn compare(path: PathBuf, services: &[Description], write: bool) -> Result<(), GoldenError> {
    check_ids(services)?;
    let now: Vec<String> = services.iter().flat_map(Description::lines).collect();
    if write {
        let mut text = now.join("\n");
        text.push('\n');
        return fs::write(&path, text).map_err(|source| GoldenError::File { path, source });
    }
    let file = match fs::read_to_string(&path) {
        Ok(file) => file,
        Err(source) => return Err(GoldenError::File { path, source }),
    };
    let then: Vec<&str> = file.lines().filter(|line| !line.is_empty()).collect();
    let gone = then
        .iter()
        .filter(|line| now.iter().all(|other| other != *line));
    let came = now.iter().filter(|line| !then.contains(&line.as_str()));
    let changes = Changes {
        gone: gone.map(|line| (*line).to_owned()).collect(),
        came: came.cloned().collect(),
    };
    match (changes.gone.is_empty(), changes.came.is_empty()) {
        (true, true) => Ok(()),
        (true, false) => Err(GoldenError::New { path, changes }),
        (false, _) => Err(GoldenError::Changed { path, changes }),
    }
}

fn check_ids(services: &[Description]) -> Result<(), GoldenError> {
    let mut seen = BTreeMap::new();
    for service in services {
        for (id, name, _) in &service.handlers {
            let second = format!("{}.{name}", service.service);
            if let Some(first) = seen.insert(*id, second.clone()) {
                return Err(GoldenError::Clash {
                    id: *id,
                    first,
                    second,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape counts")]
    enum Answer<T> {
        Free,
        Held(T),
    }

    fn locks(request: Shape) -> Description {
        Description::new("Locks")
            .stream(
                201,
                "held",
                (0, 16),
                shape::<String>(),
                None,
                Some(shape::<(u8, bool)>()),
            )
            .single(200, "lock", request, shape::<bool>())
    }

    #[test]
    fn a_file_has_what_was_written_and_tells_what_changed() {
        let folder = env::temp_dir().join(format!("grid-golden-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("wire.txt");
        let check = |services: &[Description]| compare(path.clone(), services, false);
        let before = locks(shape::<String>());
        let missing = check(std::slice::from_ref(&before))
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("GRID_GOLDEN=write to make it"),
            "{missing}"
        );

        compare(path.clone(), std::slice::from_ref(&before), true).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "Locks 200 single lock(str) -> bool\n\
             Locks 201 stream held(str) in none out 16 × (u8, bool)\n"
        );
        check(std::slice::from_ref(&before)).unwrap();

        let more = Description::new("More").single(9, "more", shape::<u8>(), shape::<u8>());
        let error = check(&[before, more]).unwrap_err();
        assert!(matches!(error, GoldenError::New { .. }));
        assert!(
            error
                .to_string()
                .ends_with("write:\n+ More 9 single more(u8) -> u8")
        );

        let error = check(&[locks(shape::<Vec<String>>())]).unwrap_err();
        let GoldenError::Changed { changes, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(
            changes.to_string(),
            "\n- Locks 200 single lock(str) -> bool\n+ Locks 200 single lock([str]) -> bool"
        );
        assert!(matches!(check(&[]), Err(GoldenError::Changed { .. })));

        // What the second variant of an enum holds counts as much as what the first does.
        let before = locks(Shape::of::<Answer<u32>>());
        compare(path.clone(), std::slice::from_ref(&before), true).unwrap();
        check(&[before]).unwrap();
        let error = check(&[locks(Shape::of::<Answer<String>>())]).unwrap_err();
        let GoldenError::Changed { changes, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(
            changes.to_string(),
            "\n- Locks 200 single lock(enum(Free | Held: u32)) -> bool\
             \n+ Locks 200 single lock(enum(Free | Held: str)) -> bool"
        );

        // Two services, each of which is right by itself.
        let kept = fs::read_to_string(&path).unwrap();
        let both = [
            locks(shape::<String>()),
            Description::new("Log").single(201, "append", shape::<u8>(), shape::<u8>()),
        ];
        for write in [false, true] {
            let error = compare(path.clone(), &both, write).unwrap_err();
            assert_eq!(
                error.to_string(),
                "handler id 201 is that of Locks.held and of Log.append: one of them needs another"
            );
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), kept);
        fs::remove_dir_all(&folder).unwrap();
    }
}
