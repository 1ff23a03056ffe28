//! Runs the real tools, and tells a tool that is not there from one that failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why something could not be made.
#[derive(Debug)]
pub enum Failure {
    /// A program or a mirror is not there.
    Missing(String),
    /// It is there and failed, or a file could not be read or written.
    Failed(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(what) => write!(formatter, "missing: {what}"),
            Self::Failed(why) => formatter.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The programs that make the fixture, and the Debian packages that have them.
pub const PROGRAMS: &[(&str, &str)] = &[
    ("apt-get", "apt"),
    ("createrepo_c", "createrepo-c"),
    ("dpkg-deb", "dpkg"),
    ("gpg", "gnupg"),
    ("modifyrepo_c", "createrepo-c"),
    ("rpmbuild", "rpm"),
    ("rpmsign", "rpm"),
    ("tar", "tar"),
    ("zstd", "zstd"),
];

/// Fails with the first program that is not there.
pub fn check_programs() -> Result<(), Failure> {
    for (program, package) in PROGRAMS {
        if !is_installed(program) {
            return Err(Failure::Missing(format!("{program} (Debian package {package})")));
        }
    }
    Ok(())
}

/// Whether a program can be started.
pub fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Runs a command that must succeed; what it prints to standard output.
pub fn run(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure::Failed(format!("{command:?} could not be started: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Failure::Failed(format!(
        "{}: {}\n{}{}",
        command.get_program().display(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}

/// A file as text.
pub fn read(path: &Path) -> Result<String, Failure> {
    Ok(fs_err::read_to_string(path)?)
}

/// Every file below a directory, sorted.
pub fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A name for a file in two places.
pub fn link_file(from: &Path, to: &Path) -> Result<(), Failure> {
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent)?;
    }
    Ok(fs_err::hard_link(from, to)?)
}
