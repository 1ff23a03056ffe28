//! A Debian package, as it streams by, → its pack and what is to be remembered of it.

use std::collections::BTreeMap;
use std::io::Read;

use calypte_base::version::DebVersion;
use calypte_base::{Digest, TreePath};
use calypte_formats::deb::{DebError, DebVisitor};
use calypte_formats::deb822;
use calypte_formats::tar::Entry;
use calypte_store::PackWriter;

use super::changes::{Changelogs, Copying};
use super::collect::{Collected, Failure, Gathered, Gathering};
use super::members::Said;
use crate::aliases;
use crate::package::{DebDescription, Description, Script, UnpackedPackage};

/// The maintainer scripts (`deb-preinst(5)` and its siblings, and debconf's `config`).
const SCRIPTS: [&str; 5] = ["config", "postinst", "postrm", "preinst", "prerm"];

/// Takes what the archive holds.
#[derive(Debug)]
pub struct DebCollector {
    gathering: Gathering,
    control: BTreeMap<String, Vec<u8>>,
    identity: Option<Identity>,
    changelogs: Changelogs,
}

#[derive(Debug, Clone)]
struct Identity {
    name: String,
    version: String,
    architecture: String,
    source: String,
    source_version: String,
    control: String,
    installed: u64,
}

impl DebCollector {
    /// Collects into this pack.
    pub fn new(writer: PackWriter) -> Self {
        Self {
            gathering: Gathering::new(writer),
            control: BTreeMap::new(),
            identity: None,
            changelogs: Changelogs::default(),
        }
    }

    /// What was collected of the package with this digest.
    pub fn finish(mut self, digest: Digest) -> Result<Collected, Failure> {
        let identity =
            self.identity.take().ok_or_else(|| Failure::Control("`control` is missing".to_owned()))?;
        let mut scripts = BTreeMap::new();
        for name in SCRIPTS {
            if let Some(bytes) = self.control.remove(name) {
                scripts.insert(name.to_owned(), Script::from(bytes));
            }
        }
        let mut control_files = BTreeMap::new();
        for (name, bytes) in self.control {
            let text =
                String::from_utf8(bytes).map_err(|_| Failure::Control(format!("`{name}` is not UTF-8")))?;
            control_files.insert(name, text);
        }
        let conffiles = conffiles(control_files.get("conffiles").map_or("", String::as_str))?;
        let description = DebDescription {
            control: identity.control,
            triggers: control_files.remove("triggers").unwrap_or_default(),
            md5sums: control_files.remove("md5sums").unwrap_or_default(),
            control_files,
        };
        let Gathered { entries, newest: date, writer, heads } = self.gathering.finish()?;
        let package = UnpackedPackage {
            name: identity.name,
            version: identity.version,
            architecture: identity.architecture,
            source: identity.source,
            source_version: identity.source_version,
            digest,
            description: Description::Deb(description),
            scripts,
            conffiles,
            accounts: Vec::new(),
            entries,
            date,
            changes: self.changelogs.changes(),
        };
        Ok(Collected { writer, package, heads })
    }
}

impl DebVisitor for DebCollector {
    type Error = Failure;

    fn control_file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        if name == "control" {
            let identity = Identity::read(bytes)?;
            self.gathering.begin(&identity.name, identity.installed);
            self.changelogs = Changelogs::of(&identity.name, &identity.architecture);
            self.identity = Some(identity);
        } else {
            self.control.insert(name.to_owned(), bytes.to_vec());
        }
        Ok(())
    }

    fn data_entry(&mut self, entry: &Entry, body: &mut dyn Read) -> Result<(), Failure> {
        let unreadable = |source| Failure::Deb(DebError::Io { member: "data.tar".to_owned(), source });
        let Some(which) = self.changelogs.which(entry) else {
            return self.gathering.take(entry, Said::default(), body, unreadable);
        };
        let mut copying = Copying::of(body);
        self.gathering.take(entry, Said::default(), &mut copying, unreadable)?;
        self.changelogs.add(which, copying.kept());
        Ok(())
    }
}

impl Identity {
    /// Reads the control paragraph. What goes into file names and records later is checked here once.
    fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut paragraphs = deb822::paragraphs(bytes);
        let paragraph = match (paragraphs.next(), paragraphs.next()) {
            (Some(paragraph), None) => {
                paragraph.map_err(|error| Failure::Control(format!("`control`: {error}")))?
            }
            _ => return Err(Failure::Control("`control` is not exactly one paragraph".to_owned())),
        };
        let field = |name: &str, valid: fn(&str) -> bool| {
            let value =
                paragraph.get(name).ok_or_else(|| Failure::Control(format!("`control` has no {name}")))?;
            if valid(value) { Ok(value.to_owned()) } else { Err(bad_field(name, value)) }
        };
        let name = field("Package", is_package_name)?;
        let version = field("Version", is_version)?;
        let (source, source_version) = match paragraph.get("Source") {
            None => (name.clone(), version.clone()),
            Some(text) => read_source(text, &version).ok_or_else(|| bad_field("Source", text))?,
        };
        Ok(Self {
            architecture: field("Architecture", is_package_name)?,
            control: paragraph.as_str().trim_end().to_owned(),
            installed: paragraph.get("Installed-Size").and_then(|text| text.parse().ok()).unwrap_or(0),
            name,
            version,
            source,
            source_version,
        })
    }
}

fn bad_field(name: &str, value: &str) -> Failure {
    let shown: String = value.chars().take(100).collect();
    Failure::Control(format!("`control` has the {name} `{shown}`, which is none"))
}

/// The names of Debian policy 5.6.1; architectures have no other letters.
fn is_package_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    text.len() <= 200
        && text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    text.parse::<DebVersion>().is_ok()
}

/// `name` or `name (version)`.
fn read_source(text: &str, version: &str) -> Option<(String, String)> {
    let (name, version) = match text.split_once(' ') {
        None => (text, version),
        Some((name, rest)) => (name, rest.trim().strip_prefix('(')?.strip_suffix(')')?),
    };
    (is_package_name(name) && is_version(version)).then(|| (name.to_owned(), version.to_owned()))
}

/// The paths of a `conffiles` file, deb-conffiles(5). Those that are to be removed on an upgrade are not in the
/// package.
fn conffiles(text: &str) -> Result<Vec<TreePath>, Failure> {
    let mut paths = Vec::new();
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if line.starts_with('/') {
            let path =
                TreePath::new(line).map_err(|error| Failure::Control(format!("`conffiles`: {error}")))?;
            paths.push(aliases::real_path(path));
        } else if !line.starts_with("remove-on-upgrade ") {
            let shown: String = line.chars().take(100).collect();
            return Err(Failure::Control(format!("`conffiles`: `{shown}` is no absolute path")));
        }
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}
