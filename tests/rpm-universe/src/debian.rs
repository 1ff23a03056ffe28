//! The real files: Debian packages for two architectures, fetched by apt in a root of its own from the mirror that this
//! machine's apt uses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{Failure, files_below, run};

/// The release that the files come from. One that changes rarely: the fixture is about RPM, not about news.
const SUITE: &str = "bookworm";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian packages on the disk.
#[derive(Debug, Default)]
pub struct Packages {
    /// File and version by name and architecture (`amd64`, `arm64`, `all`).
    files: BTreeMap<(String, String), (PathBuf, String)>,
}

impl Packages {
    /// The file of a package and its upstream version, for an architecture or for all of them.
    pub fn get(&self, name: &str, architecture: &str) -> Result<&(PathBuf, String), Failure> {
        let key = |architecture: &str| (name.to_owned(), architecture.to_owned());
        self.files
            .get(&key(architecture))
            .or_else(|| self.files.get(&key("all")))
            .ok_or_else(|| Failure::Failed(format!("{name} for {architecture} was not fetched")))
    }

    /// The upstream version of a package, whatever its architecture.
    pub fn version(&self, name: &str) -> Result<&str, Failure> {
        let found = self.files.iter().find(|((package, _), _)| package == name);
        found
            .map(|(_, (_, version))| version.as_str())
            .ok_or_else(|| Failure::Failed(format!("{name} was not fetched")))
    }
}

/// These packages, named as apt names them (`libc6:arm64`, `tzdata`), in a directory: fetched into it if it is not there.
pub fn packages(names: &BTreeSet<String>, directory: &Path) -> Result<Packages, Failure> {
    if !directory.exists() {
        let new = directory.with_extension("new");
        if new.exists() {
            fs_err::remove_dir_all(&new)?;
        }
        fs_err::create_dir_all(&new)?;
        fetch(names, &new)?;
        fs_err::rename(&new, directory)?;
    }
    let mut packages = Packages::default();
    for path in files_below(directory)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // `zlib1g_1%3a1.2.13.dfsg-1_amd64`
        let [package, version, architecture] = name.split('_').collect::<Vec<_>>()[..] else { continue };
        let key = (package.to_owned(), architecture.to_owned());
        packages.files.insert(key, (path.clone(), upstream(version)));
    }
    Ok(packages)
}

fn fetch(names: &BTreeSet<String>, files: &Path) -> Result<(), Failure> {
    let mirror = configured_mirror()
        .ok_or_else(|| Failure::Missing("a Debian mirror in the sources of this machine's apt".to_owned()))?;
    let root = tempfile::tempdir()?;
    let configuration = configure(root.path(), &mirror)?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", &configuration).env("LC_ALL", "C").arg("-q").args(arguments);
        command
    };
    let missing = |what: &str, failure| Failure::Missing(format!("{what} of Debian {SUITE}: {failure}"));
    run(&mut apt(&["update"])).map_err(|failure| missing("an index", failure))?;
    run(apt(&["download"]).args(names).current_dir(files)).map_err(|failure| missing("packages", failure))?;
    Ok(())
}

/// What stands between the epoch and the revision.
fn upstream(version: &str) -> String {
    let version = version.split_once("%3a").map_or(version, |(_, version)| version);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    version.split(['+', '~']).next().unwrap_or_default().to_owned()
}

fn configure(directory: &Path, mirror: &str) -> Result<PathBuf, Failure> {
    for part in [
        "etc/apt.conf.d",
        "etc/preferences.d",
        "etc/sources.list.d",
        "state/lists/partial",
        "cache/archives/partial",
    ] {
        fs_err::create_dir_all(directory.join(part))?;
    }
    fs_err::write(directory.join("state/status"), "")?;
    fs_err::write(
        directory.join("etc/sources.list"),
        format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"),
    )?;
    let root = directory.display();
    let text = format!(
        "Dir::Etc \"{root}/etc\";\nDir::Etc::parts \"{root}/etc/apt.conf.d\";\nDir::State \"{root}/state\";\n\
         Dir::State::status \"{root}/state/status\";\nDir::Cache \"{root}/cache\";\nAcquire::Languages \"none\";\n\
         Acquire::Check-Valid-Until \"false\";\nAPT::Architecture \"amd64\";\n\
         APT::Architectures {{ \"amd64\"; \"arm64\"; }};\nAPT::Sandbox::User \"\";\nDebug::NoLocking \"true\";\n"
    );
    let path = directory.join("apt.conf");
    fs_err::write(&path, text)?;
    Ok(path)
}

/// The Debian mirror in the sources of this machine's apt.
/// The mirror of Debian that this machine's apt uses.
pub fn configured_mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(files_below(Path::new("/etc/apt/sources.list.d")).unwrap_or_default());
    let texts = files.iter().filter_map(|file| fs_err::read_to_string(file).ok());
    let words: Vec<String> = texts
        .flat_map(|text| {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.flat_map(str::split_whitespace).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let is_mirror =
        |word: &&String| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian");
    words.iter().find(is_mirror).filter(|_| Path::new(KEYRING).exists()).cloned()
}
