//! Puts together what is checked: the files of grid-transport as they are shipped, and copies of them with one fault.
//!
//! A copy differs from its file in the one place that `faults.txt` names, and the build fails where that place is not
//! there exactly once: a fault can't silently become none when the file changes.

use std::{
    env, fs,
    io::Error,
    path::{Path, PathBuf},
};

/// What is checked together: its name, which is also that of its file of checks, and the files that these use.
const SUBJECTS: [(&str, &[&str]); 10] = [
    ("guard", &["link/guard.rs"]),
    ("monitor", &["session/monitor.rs"]),
    ("pen", &["session/pen.rs", "session/monitor.rs"]),
    ("waiter", &["session/waiter.rs"]),
    ("inbox", &["stream/inbox.rs"]),
    ("place", &["link/place.rs"]),
    ("room", &["link/room.rs"]),
    ("permits", &["session/permits.rs"]),
    ("control", &["ws/control.rs"]),
    (
        "reconnect",
        &[
            "link/reconnect.rs",
            "link/place.rs",
            "link/guard.rs",
            "session/monitor.rs",
            "stream/inbox.rs",
        ],
    ),
];

/// One fault: in which file of which subject, and what is there instead of what.
struct Fault {
    subject: String,
    name: String,
    file: String,
    from: String,
    to: String,
}

fn main() -> Result<(), Error> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(Error::other)?);
    let out = PathBuf::from(env::var("OUT_DIR").map_err(Error::other)?);
    let sources = here.join("../crates/grid-transport/src").canonicalize()?;
    println!("cargo::rerun-if-changed=faults.txt");
    println!("cargo::rerun-if-changed={}", sources.display());

    let mut modules = String::new();
    let mut table = String::from("pub(crate) const VARIANTS: &[Variant] = &[\n");
    let mut add = |subject: &str, fault: &str, files: &[PathBuf]| {
        let module = format!("{subject}_{fault}");
        modules += &format!("mod {module} {{\n");
        let checks = here.join(format!("src/scenarios/{subject}.rs"));
        for path in files.iter().chain([&checks]) {
            let own = path.file_stem().unwrap_or_default().to_string_lossy();
            let name = if *path == checks { "checks" } else { &*own };
            modules += &format!("    #[path = {path:?}]\n    pub(crate) mod {name};\n");
        }
        modules += "}\n";
        table += &format!(
            "    Variant {{ subject: {subject:?}, fault: {fault:?}, checks: {module}::checks::CHECKS }},\n"
        );
    };

    for (subject, files) in SUBJECTS {
        let paths: Vec<_> = files.iter().map(|file| sources.join(file)).collect();
        add(subject, "shipped", &paths);
    }
    for fault in faults(&fs::read_to_string(here.join("faults.txt"))?)? {
        let (_, files) = SUBJECTS
            .iter()
            .find(|(subject, _)| *subject == fault.subject)
            .ok_or_else(|| Error::other(format!("there is no subject {}", fault.subject)))?;
        if !files.contains(&&*fault.file) {
            return Err(Error::other(format!(
                "{}: not in {}",
                fault.file, fault.subject
            )));
        }
        let folder = out.join(format!("{}_{}", fault.subject, fault.name));
        fs::create_dir_all(&folder)?;
        let mut paths = Vec::new();
        for file in *files {
            let source = sources.join(file);
            if *file != fault.file {
                paths.push(source);
                continue;
            }
            let copy = folder.join(source.file_name().unwrap_or_default());
            fs::write(&copy, broken(&source, &fault)?)?;
            paths.push(copy);
        }
        add(&fault.subject, &fault.name, &paths);
    }
    table += "];\n";
    fs::write(out.join("variants.rs"), modules + &table)
}

fn broken(source: &Path, fault: &Fault) -> Result<String, Error> {
    let text = fs::read_to_string(source)?;
    let places = text.matches(&fault.from).count();
    if places == 1 {
        return Ok(text.replacen(&fault.from, &fault.to, 1));
    }
    Err(Error::other(format!(
        "fault {} of {}: its place is there {places} times",
        fault.name, fault.file
    )))
}

/// `=== subject fault file`, the lines that are replaced, `---`, the lines that take their place.
fn faults(text: &str) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for part in text.split("\n=== ").skip(1) {
        let malformed = || Error::other(format!("malformed fault: {part}"));
        let (head, body) = part.split_once('\n').ok_or_else(malformed)?;
        let (from, to) = body.split_once("\n---\n").ok_or_else(malformed)?;
        let mut words = head.split_whitespace().map(str::to_owned);
        let mut word = || words.next().ok_or_else(malformed);
        faults.push(Fault {
            subject: word()?,
            name: word()?,
            file: word()?,
            from: from.to_owned(),
            to: to.trim_end_matches('\n').to_owned(),
        });
    }
    Ok(faults)
}
