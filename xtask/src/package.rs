//! The libraries as they would be published: each builds alone, and what its tests read is inside.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use crate::outside::PROFILE;
use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::workspace::{Metadata, Package};

/// What must travel with a crate when it is there.
const TRAVELS: [&str; 5] = ["src", "tests", "benches", "examples", "fuzz-seeds"];

/// What a test says that reads a file of its crate.
const READS: [&str; 4] = [
    "CARGO_MANIFEST_DIR",
    "include_str!",
    "include_bytes!",
    "fuzz-seeds",
];

/// Packages the libraries together, builds each from its package, and runs the tests that read
/// files from unpacked packages.
pub(crate) fn run() -> Outcome {
    let metadata = Metadata::load()?;
    let libraries = metadata.libraries();
    for library in &libraries {
        all_files_travel(library)?;
    }
    let packing = packing_directory(&metadata, &libraries)?;
    let mut command = process::cargo(["package", "--allow-dirty", "--locked", "--target-dir"]);
    command.arg(&packing);
    // Whether it builds is the question, and the dependencies are built once more for it.
    command.args(["--config", "profile.dev.debug=false"]);
    for library in &libraries {
        command.args(["--package", &library.name]);
    }
    process::run(&mut command)?;

    let unpacked = metadata.target_directory.join("unpacked");
    let mut tested = Vec::new();
    for library in &libraries {
        unpack(library, &packing.join("package"), &unpacked)?;
        let readers = tests_that_read(library)?;
        if readers.is_empty() {
            continue;
        }
        let mut command = process::cargo(["test", "--all-features", "--manifest-path"]);
        command
            .arg(unpacked.join(&library.name).join("Cargo.toml"))
            .args(PROFILE);
        command.arg("--target-dir").arg(&metadata.target_directory);
        for other in libraries.iter().filter(|other| library.uses(&other.name)) {
            let path = unpacked
                .join(&other.name)
                .display()
                .to_string()
                .replace('\\', "/");
            command.arg("--config");
            command.arg(format!("patch.crates-io.{}.path=\"{path}\"", other.name));
        }
        for reader in &readers {
            command.args(["--test", reader]);
        }
        process::run(&mut command)?;
        tested.push(format!("{} ({})", library.name, readers.join(", ")));
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

/// A folder to pack in whose name follows from what is packed.
///
/// Cargo takes a version of a package to be the same for ever, in its home and among what it has built. It knows the
/// packages of one workspace by the folder that they were packed in, so that a folder used twice gives the second
/// time what the first had.
fn packing_directory(metadata: &Metadata, libraries: &[&Package]) -> Result<PathBuf, Stop> {
    let mut hasher = DefaultHasher::new();
    for library in libraries {
        let mut files = files_below(library.folder()).map_err(failed(library.folder()))?;
        files.sort();
        for file in files {
            file.hash(&mut hasher);
            fs::read(&file).map_err(failed(&file))?.hash(&mut hasher);
        }
    }
    let all = metadata.target_directory.join("packing");
    let this = all.join(format!("{:016x}", hasher.finish()));
    if !this.exists() && all.exists() {
        fs::remove_dir_all(&all).map_err(failed(&all))?;
    }
    Ok(this)
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

/// Unpacks what `cargo package` has made, into a place where cargo sees no workspace around it.
fn unpack(library: &Package, packages: &Path, unpacked: &Path) -> Result<(), Stop> {
    let named = format!("{}-{}", library.name, library.version);
    let target = unpacked.join(&library.name);
    if target.exists() {
        fs::remove_dir_all(&target).map_err(failed(&target))?;
    }
    fs::create_dir_all(unpacked).map_err(failed(unpacked))?;
    let archive = packages.join(format!("{named}.crate"));
    process::run(
        process::program("tar")
            .arg("xzf")
            .arg(archive)
            .arg("-C")
            .arg(unpacked),
    )?;
    fs::rename(unpacked.join(&named), &target).map_err(failed(&target))?;
    let manifest = target.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).map_err(failed(&manifest))?;
    fs::write(&manifest, text + "\n[workspace]\n").map_err(failed(&manifest))
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
