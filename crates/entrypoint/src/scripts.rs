//! `/docker-entrypoint-initdb.d`: what a user has run once, when the data are made. Looked at before anything is made, so
//! that what cannot be run leaves nothing behind.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::files;

/// Where the images of well-known databases look.
pub const DIRECTORY: &str = "/docker-entrypoint-initdb.d";

/// Longest `#!` line that is looked at, as the kernel does.
const LINE: u64 = 256;

/// Something to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// Text for the server's own client.
    Sql(PathBuf),
    /// A program.
    Program(PathBuf),
}

/// The scripts of a directory by their names; none where there is no directory.
///
/// # Errors
/// When one of them needs what the image does not hold: a shell, or a decompressor.
pub fn list(directory: &Path) -> Result<Vec<Script>> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut scripts = Vec::new();
    for path in files::entries(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".sql") {
            scripts.push(Script::Sql(path));
        } else if [".sql.gz", ".sql.xz", ".sql.zst"].iter().any(|suffix| name.ends_with(suffix)) {
            return Err(Failure::new(format!(
                "{} is compressed, and this image holds nothing to decompress it",
                path.display()
            ))
            .hint("decompress it before you mount it"));
        } else if name.ends_with(".sh") {
            scripts.push(program(path)?);
        } else if !name.starts_with('.') {
            eprintln!("entrypoint: {} is ignored: its name does not end in .sql or .sh", path.display());
        }
    }
    Ok(scripts)
}

/// A file that the kernel can run: a binary, or a script whose interpreter is in the image.
fn program(path: PathBuf) -> Result<Script> {
    let mut start = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LINE).read_to_end(&mut start));
    read.map_err(|error| files::failed("read", &path, &error))?;
    let runnable = match interpreter(&start) {
        Some(interpreter) => is_there(&interpreter),
        None => start.starts_with(b"\x7fELF"),
    };
    if runnable && files::mode(&path)? & 0o111 != 0 {
        return Ok(Script::Program(path));
    }
    Err(Failure::new(format!("{} cannot be run: this image holds no shell", path.display())).hint(
        "write it as .sql, or mount an executable program in its place; the image's debug variant holds a shell, for executable scripts",
    ))
}

/// The program that a `#!` line names.
fn interpreter(start: &[u8]) -> Option<PathBuf> {
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(std::str::from_utf8(line).ok()?.split_ascii_whitespace().next()?.into())
}

/// Whether the interpreter is in the image and more than this program under another name.
fn is_there(interpreter: &Path) -> bool {
    let real = interpreter.canonicalize();
    let own = std::env::current_exe().and_then(|own| own.canonicalize());
    real.is_ok_and(|real| own.is_ok_and(|own| own != real))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &[u8], u32)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes, mode) in files {
            let path = directory.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            files::set_mode(&path, *mode).unwrap();
        }
        directory
    }

    #[test]
    fn scripts_in_the_order_of_their_names() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let directory = directory(&[
            ("b.sql", b"select 1", 0o644),
            ("a.sh", &own[..64], 0o755),
            ("10.sql", b"", 0o644),
            ("README", b"", 0o644),
        ]);
        let path = |name: &str| directory.path().join(name);
        let expected =
            [Script::Sql(path("10.sql")), Script::Program(path("a.sh")), Script::Sql(path("b.sql"))];
        assert_eq!(list(directory.path()).unwrap(), expected);
        assert_eq!(list(Path::new("/nonexistent")).unwrap(), []);
    }

    #[test]
    fn what_needs_more_is_refused() {
        let own = format!("#!{}\n", std::env::current_exe().unwrap().display());
        for (name, bytes, mode) in [
            ("a.sh", &b"#!/nonexistent/sh\n"[..], 0o755),
            ("a.sh", own.as_bytes(), 0o755),
            ("a.sh", b"echo", 0o755),
            ("a.sh", b"\x7fELF", 0o644),
            ("a.sql.gz", b"", 0o644),
            ("a.sql.zst", b"", 0o644),
        ] {
            assert!(list(directory(&[(name, bytes, mode)]).path()).is_err(), "{name} {bytes:?}");
        }
    }
}
