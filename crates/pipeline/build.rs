//! Gives the program a name for itself: the digest of the sources of all crates of the line and of the lock of their
//! dependencies. Images are cached under it, so that a changed finisher never finds an image of the old one.

use std::path::{Path, PathBuf};

use calypte_base::Hasher;

fn main() -> std::io::Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = crates.join("..");
    let mut files = vec![workspace.join("Cargo.lock")];
    collect(&crates, &mut files)?;
    files.sort();
    let mut hasher = Hasher::new();
    for file in &files {
        let name = file.strip_prefix(&workspace).unwrap_or(file).to_string_lossy().into_owned();
        let bytes = fs_err::read(file)?;
        for field in [name.as_bytes(), &bytes] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        emit(&format!("rerun-if-changed={}", file.display()));
    }
    emit(&format!("rustc-env=CALYPTE_SOURCES={}", hasher.finish()));
    Ok(())
}

/// The source files below a directory; what is only for tests decides nothing in an image.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "snapshots" && name != "cli" {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn emit(line: &str) {
    println!("cargo::{line}");
}
