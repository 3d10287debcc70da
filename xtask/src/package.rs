//! The packages as they would be published: they build from what is packed, and what their tests read is inside.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{self, Metadata, Package};

/// Where the packages stand in the workspace that they are built in, as they do in ours.
const CRATES: &str = "crates";

/// What must travel with a crate when it is there.
const TRAVELS: [&str; 5] = ["src", "tests", "benches", "examples", "fuzz-seeds"];

/// What a test says that reads a file of its crate.
const READS: [&str; 4] = [
    "CARGO_MANIFEST_DIR",
    "include_str!",
    "include_bytes!",
    "fuzz-seeds",
];

/// Packs them, builds them from what was unpacked, and runs the tests that read files. In a workspace like ours, so that
/// nothing else is built again; that each builds with its own features is for `features` and `outside`.
pub(crate) fn run() -> Outcome {
    let metadata = Metadata::load()?;
    let libraries = metadata.libraries();
    for library in &libraries {
        all_files_travel(library)?;
    }
    let packing = metadata.target_directory.join("packing");
    let mut command = process::cargo(["package", "--allow-dirty", "--locked", "--no-verify"]);
    command.arg("--target-dir").arg(&packing);
    for library in &libraries {
        command.args(["--package", &library.name]);
    }
    process::run(&mut command)?;

    let unpacked = metadata.target_directory.join("unpacked");
    // What an earlier run has left might be a crate that there is no longer.
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).map_err(failed(&unpacked))?;
    }
    let (mut tested, mut tests) = (Vec::new(), BTreeSet::new());
    join(&metadata, &libraries, &unpacked)?;
    for library in &libraries {
        unpack(library, &packing.join("package"), &unpacked.join(CRATES))?;
        let readers = tests_that_read(library)?;
        if !readers.is_empty() {
            tested.push(format!("{} ({})", library.name, readers.join(", ")));
            tests.extend(readers);
        }
    }
    let manifest = unpacked.join("Cargo.toml");
    // All of them, whether a test reads or not; with the tests at once, as what these depend on counts for all.
    for (task, targets) in [("build", &["--lib", "--bins"][..]), ("test", &[])] {
        let mut command = process::cargo([task, "--workspace", "--all-features"]);
        command.arg("--manifest-path").arg(&manifest).args(targets);
        // With the workspace's target folder: what is compiled alike is compiled once. All else is never debugged.
        command.arg("--target-dir").arg(&metadata.target_directory);
        command.env("CARGO_PROFILE_DEV_DEBUG", "false");
        tests.iter().for_each(|test| {
            command.args(["--test", test]);
        });
        process::run(&mut command)?;
    }
    let names: Vec<_> = libraries
        .iter()
        .map(|library| library.name.as_str())
        .collect();
    let tested = if tested.is_empty() {
        "none".to_owned()
    } else {
        tested.join("; ")
    };
    Ok(Done::With(format!(
        "{}; tests run from packages: {tested}",
        names.join(", ")
    )))
}

/// Makes a workspace like ours around what will be unpacked, in which each package finds the others where a registry would
/// have them. All else of ours is in it too, so that dependencies are asked for the same features.
fn join(metadata: &Metadata, libraries: &[&Package], unpacked: &Path) -> Result<(), Stop> {
    let root = workspace::root();
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(failed(&manifest))?;
    let patches: String = libraries
        .iter()
        .map(|library| format!("{0} = {{ path = \"{CRATES}/{0}\" }}\n", library.name))
        .collect();
    let manifest = unpacked.join("Cargo.toml");
    fs::create_dir_all(unpacked)
        .and_then(|()| fs::write(&manifest, format!("{text}\n[patch.crates-io]\n{patches}")))
        .map_err(failed(&manifest))?;
    let lock = unpacked.join("Cargo.lock");
    fs::copy(root.join("Cargo.lock"), &lock).map_err(failed(&lock))?;
    let is_packed = |package: &&Package| libraries.iter().any(|other| other.name == package.name);
    for other in metadata.packages.iter().filter(|other| !is_packed(other)) {
        let folder = other.folder();
        let copy = unpacked.join(folder.strip_prefix(&root).unwrap_or(folder));
        for file in files_below(folder).map_err(failed(folder))? {
            let to = copy.join(file.strip_prefix(folder).unwrap_or(&file));
            fs::create_dir_all(to.parent().unwrap_or(&copy))
                .and_then(|()| fs::copy(&file, &to))
                .map_err(failed(&to))?;
        }
    }
    Ok(())
}

fn failed(what: &Path) -> impl FnOnce(io::Error) -> Stop {
    let what = what.display().to_string();
    move |error| Stop::Failed(format!("{what}: {error}"))
}

/// Compares what cargo would pack with what is there.
fn all_files_travel(library: &Package) -> Result<(), Stop> {
    let list = process::capture(&mut process::cargo([
        "package",
        "--list",
        "--allow-dirty",
        "--package",
        &library.name,
    ]))?;
    let packed: BTreeSet<_> = list.lines().map(|line| line.replace('\\', "/")).collect();
    let mut missing = Vec::new();
    for folder in TRAVELS {
        let start = library.folder().join(folder);
        for file in files_below(&start).map_err(failed(&start))? {
            let relative = file.strip_prefix(library.folder()).unwrap_or(&file);
            let relative = relative.display().to_string().replace('\\', "/");
            if !packed.contains(&relative) {
                missing.push(relative);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Stop::Failed(format!(
        "not in the package of {}: {}",
        library.name,
        missing.join(", ")
    )))
}

/// All files below a folder, none if there is no such folder.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.is_dir() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// Unpacks what `cargo package` has made.
fn unpack(library: &Package, packages: &Path, unpacked: &Path) -> Result<(), Stop> {
    let named = format!("{}-{}", library.name, library.version);
    let target = unpacked.join(&library.name);
    fs::create_dir_all(unpacked).map_err(failed(unpacked))?;
    let archive = packages.join(format!("{named}.crate"));
    // With the times of now: all files of a package have the same one, by which cargo would not see that one has changed.
    process::run(
        process::program("tar")
            .arg("xzmf")
            .arg(archive)
            .arg("-C")
            .arg(unpacked),
    )?;
    fs::rename(unpacked.join(&named), &target).map_err(failed(&target))
}

/// The integration tests that read files, by what they and the modules beside them say.
fn tests_that_read(library: &Package) -> Result<Vec<String>, Stop> {
    let mut readers = Vec::new();
    for target in library.targets.iter().filter(|target| target.is("test")) {
        let text = text_of_test(&target.src_path).map_err(failed(&target.src_path))?;
        if READS.iter().any(|sign| text.contains(sign)) {
            readers.push(target.name.clone());
        }
    }
    Ok(readers)
}

/// A test's own file, its folder, and the modules beside it that it names.
fn text_of_test(src_path: &Path) -> io::Result<String> {
    let mut text = fs::read_to_string(src_path)?;
    let beside = src_path.parent().unwrap_or_else(|| Path::new(""));
    let own = if src_path.ends_with("main.rs") {
        beside.to_path_buf()
    } else {
        src_path.with_extension("")
    };
    let mut more = files_below(&own)?;
    for name in text.lines().filter_map(module_name) {
        more.push(beside.join(format!("{name}.rs")));
        more.extend(files_below(&beside.join(name))?);
    }
    for file in more {
        let is_rust = file.extension().is_some_and(|extension| extension == "rs");
        if is_rust && file.is_file() {
            text.push_str(&fs::read_to_string(&file)?);
        }
    }
    Ok(text)
}

fn module_name(line: &str) -> Option<&str> {
    let declaration = line
        .trim()
        .trim_start_matches("pub ")
        .strip_prefix("mod ")?;
    declaration.strip_suffix(';')
}

#[cfg(test)]
mod unit {
    use super::module_name;

    #[test]
    fn knows_a_module_of_its_own_file() {
        assert_eq!(module_name("mod common;"), Some("common"));
        assert_eq!(module_name("  pub mod common;"), Some("common"));
        assert_eq!(module_name("mod inline {"), None);
        assert_eq!(module_name("// mod of thought;"), None);
    }
}
