//! Runs the tools of this machine, and mounts what was written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Whether a tool is there; prints that a test is skipped where it is not.
pub fn has(tool: &str) -> bool {
    let found =
        ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|place| Path::new(place).join(tool).exists());
    if !found {
        skipped(&format!("{tool} is not installed"));
    }
    found
}

/// Says that a test, or the rest of it, could not be run.
#[expect(clippy::print_stderr, reason = "how tests say that they could not run")]
pub fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// What a tool said.
pub fn output(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool)
        .args(arguments)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

/// What a tool wrote to its standard output; it must have said that all is well.
pub fn run(tool: &str, arguments: &[&str]) -> String {
    let output = output(tool, arguments);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{tool} {arguments:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// A mounted file system, which is unmounted when this goes.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts an image, where that is allowed.
    pub fn new(image: &Path, place: &Path, options: &str) -> Option<Self> {
        fs_err::create_dir_all(place).unwrap();
        let (image, at) = (image.to_str().unwrap(), place.to_str().unwrap());
        let tried = output("mount", &["-t", "ext4", "-o", options, image, at]);
        let text = String::from_utf8_lossy(&tried.stderr).into_owned();
        if text.contains("must be superuser")
            || text.contains("permission denied")
            || text.contains("loop device")
        {
            skipped(&format!("mounting is not allowed here: {text}"));
            return None;
        }
        assert!(tried.status.success(), "mount {image}: {text}");
        Some(Self(place.to_path_buf()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        run("umount", &[self.0.to_str().unwrap()]);
    }
}
