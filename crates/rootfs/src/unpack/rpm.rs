//! An RPM package, as it streams by, → its pack and what is to be remembered of it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use calypte_base::{Architecture, Digest, Epoch, TreePath};
use calypte_formats::rpm::{self, FileEntry, FileFlags, Header, Identity, RpmVisitor, Scriptlet, tag};
use calypte_store::PackWriter;

use super::changes;
use super::collect::{Collected, Failure, Gathered, Gathering};
use super::members::Said;
use super::modules;
use crate::aliases;
use crate::package::{Description, Mark, RpmDescription, Script, UnpackedEntry, UnpackedPackage};

/// Who owns what no one else does; its id is the same everywhere.
const ROOT: &str = "root";

/// Takes what the package holds.
#[derive(Debug)]
pub struct RpmCollector {
    gathering: Gathering,
    said: Option<Headers>,
}

/// What the headers say.
#[derive(Debug)]
struct Headers {
    identity: Identity,
    description: RpmDescription,
    scripts: BTreeMap<String, Script>,
    accounts: Vec<String>,
    conffiles: Vec<TreePath>,
    changes: u32,
}

impl RpmCollector {
    /// Collects into this pack.
    pub fn new(writer: PackWriter) -> Self {
        Self { gathering: Gathering::new(writer), said: None }
    }

    /// What was collected of the package with this digest.
    pub fn finish(self, digest: Digest) -> Result<Collected, Failure> {
        // The reader gives the headers before anything else, or an error.
        let said = self.said.ok_or_else(|| Failure::Payload("it has no header".to_owned()))?;
        let Headers { identity, mut description, scripts, accounts, conffiles, changes } = said;
        let Gathered { entries, newest, writer, heads } = self.gathering.finish()?;
        for file in &mut description.files {
            let moved = |path: &TreePath| {
                modules::uncompressed(path)
                    .is_some_and(|(plain, _)| !has(&entries, path) && has(&entries, &plain))
            };
            if file.as_ref().is_some_and(moved) {
                *file = None;
            }
        }
        // A package without files has at least been built at some time.
        let date = if entries.is_empty() { Epoch(identity.build_time) } else { newest };
        let package = UnpackedPackage {
            name: name(&identity),
            version: identity.version,
            architecture: identity.architecture,
            source: identity.source,
            source_version: identity.source_version,
            digest,
            description: Description::Rpm(description),
            scripts,
            conffiles,
            accounts,
            entries,
            date,
            changes,
        };
        Ok(Collected { writer, package, heads })
    }
}

impl RpmVisitor for RpmCollector {
    type Error = Failure;

    fn headers(&mut self, signature: &Header, header: &Header) -> Result<(), Failure> {
        let identity = header.identity()?;
        self.gathering.begin(&name(&identity), identity.installed_size / 1024);
        let (mut files, mut conffiles) = (Vec::new(), Vec::new());
        for file in header.files()? {
            let path = place(&file)?;
            if file.flags.is_config() && !file.flags.is_ghost() {
                conffiles.push(path.clone());
            }
            files.push(path);
        }
        conffiles.sort();
        let changelog: Vec<i64> = header.u32s(tag::CHANGELOG_TIME).into_iter().map(i64::from).collect();
        self.said = Some(Headers {
            description: RpmDescription {
                signature: BASE64.encode(signature.bytes()),
                header: BASE64.encode(header.bytes()),
                files: files.into_iter().map(Some).collect(),
            },
            scripts: scripts(header.scriptlets()?),
            accounts: rpm::accounts(header)?,
            conffiles,
            changes: changes::count(&changelog),
            identity,
        });
        Ok(())
    }

    fn file(&mut self, file: &FileEntry, body: &mut dyn Read) -> Result<(), Failure> {
        let named = |name: &String| Some(name.clone()).filter(|name| name != ROOT);
        let said = Said { user: named(&file.user), group: named(&file.group), mark: mark(file.flags) };
        let unreadable = |error: io::Error| Failure::Payload(format!("payload: {error}"));
        self.gathering.take(&file.entry, said, body, unreadable)
    }
}

/// The package's name; with its architecture where that is one that only ever stands beside another.
pub fn name(identity: &Identity) -> String {
    let secondary = Architecture::ALL.into_iter().filter_map(Architecture::secondary_rpm);
    match secondary.into_iter().find(|secondary| *secondary == identity.architecture) {
        Some(secondary) => format!("{}.{secondary}", identity.name),
        None => identity.name.clone(),
    }
}

fn has(entries: &[UnpackedEntry], path: &TreePath) -> bool {
    entries.binary_search_by(|entry| entry.path.cmp(path)).is_ok()
}

fn place(file: &FileEntry) -> Result<TreePath, Failure> {
    TreePath::from_bytes(&file.entry.path)
        .map(aliases::real_path)
        .map_err(|error| Failure::Payload(format!("file list: {error}")))
}

const fn mark(flags: FileFlags) -> Option<Mark> {
    // A licence among the documentation is a licence.
    if flags.is_license() {
        Some(Mark::License)
    } else if flags.is_doc() || flags.is_readme() {
        Some(Mark::Doc)
    } else if flags.is_config() {
        Some(Mark::Config)
    } else {
        None
    }
}

/// The scriptlets by the names of their kinds, each with its interpreter as a `#!` line, and what a trigger waits for
/// as the line after that: a change in either needs a new review as well.
fn scripts(scriptlets: Vec<Scriptlet>) -> BTreeMap<String, Script> {
    let mut scripts = BTreeMap::new();
    for Scriptlet { kind, interpreter, text, condition } in scriptlets {
        let mut script = format!("#!{}\n", interpreter.join(" "));
        if let Some(condition) = condition {
            script.push_str(&format!(": {condition}\n"));
        }
        let script = [script.as_bytes(), &text].concat();
        let first = kind.to_string();
        let several = (2..).map(|number| format!("{kind}.{number}"));
        let name = std::iter::once(first).chain(several).find(|name| !scripts.contains_key(name));
        scripts.insert(name.unwrap_or_default(), Script::from(script));
    }
    scripts
}
