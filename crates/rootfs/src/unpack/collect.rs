//! What the collectors of both formats share: the pack that contents go into, the entries as they come, the limits.

use std::collections::BTreeMap;
use std::io::{self, Read};

use calypte_base::{Digest, Epoch};
use calypte_formats::deb::DebError;
use calypte_formats::rpm::RpmError;
use calypte_formats::tar::Entry;
use calypte_store::{PackWriter, StoreError};

use super::facts::Head;
use super::members::{self, Members, Said};
use super::modules;
use super::problem::{MemberProblem, UnpackError};
use crate::package::{FileFacts, UnpackedEntry, UnpackedPackage};
use crate::tree::NodeKind;

/// A package unpacks to about the size that it says: dpkg counts whole KiB for each file, rpm each hard link or one.
/// Sparse counting and old tools are off by less than this factor…
const SIZE_FACTOR: u64 = 4;
/// …and this much is let to small packages, whose figure says little.
const SIZE_ALLOWANCE: u64 = 16 << 20;

/// Why a package cannot be unpacked, not yet naming its file.
#[derive(Debug)]
pub enum Failure {
    Deb(DebError),
    Rpm(RpmError),
    Member { member: String, problem: MemberProblem },
    Control(String),
    Payload(String),
    Store(StoreError),
}

impl From<DebError> for Failure {
    fn from(error: DebError) -> Self {
        Self::Deb(error)
    }
}

impl From<RpmError> for Failure {
    fn from(error: RpmError) -> Self {
        Self::Rpm(error)
    }
}

impl Failure {
    /// The same with the package's file name.
    pub fn named(self, file: &str) -> UnpackError {
        let file = file.to_owned();
        match self {
            Self::Deb(source) => UnpackError::Archive { file, source },
            Self::Rpm(source) => UnpackError::Rpm { file, source },
            Self::Member { member, problem } => UnpackError::Member { file, member, problem },
            Self::Control(problem) => UnpackError::Control { file, problem: printable(&problem) },
            Self::Payload(problem) => UnpackError::Payload { file, problem: printable(&problem) },
            Self::Store(source) => UnpackError::Store { file, source },
        }
    }
}

/// It may quote the package, and what that says is not for a terminal.
fn printable(problem: &str) -> String {
    problem.replace(|letter: char| letter.is_control(), "�")
}

/// What was collected, the pack not yet published.
#[derive(Debug)]
pub struct Collected {
    /// The pack with all contents.
    pub writer: PackWriter,
    /// The package without its files' facts.
    pub package: UnpackedPackage,
    /// The first bytes of the contents that may be run.
    pub heads: BTreeMap<Digest, Head>,
}

/// The files of one package, as they stream by.
#[derive(Debug)]
pub struct Gathering {
    pub writer: PackWriter,
    pub heads: BTreeMap<Digest, Head>,
    members: Members,
    newest: i64,
    size: u64,
    /// The size of the kernel modules that were uncompressed.
    modules: u64,
    /// The size that the package says that it unpacks to, in KiB.
    installed: u64,
}

/// All files of one package.
#[derive(Debug)]
pub struct Gathered {
    /// In path order.
    pub entries: Vec<UnpackedEntry>,
    /// The newest modification time among them.
    pub newest: Epoch,
    /// The pack with their contents.
    pub writer: PackWriter,
    /// The first bytes of the contents that may be run.
    pub heads: BTreeMap<Digest, Head>,
}

impl Gathering {
    /// Gathers into this pack.
    pub fn new(writer: PackWriter) -> Self {
        Self {
            writer,
            heads: BTreeMap::new(),
            members: Members::new(""),
            newest: 0,
            size: 0,
            modules: 0,
            installed: 0,
        }
    }

    /// Learns whose files are to come, and how many KiB the package says that they have.
    pub fn begin(&mut self, package: &str, installed: u64) {
        self.members = Members::new(package);
        self.installed = installed;
    }

    /// Takes one file in. `unreadable` says what a body that cannot be read tells of the package.
    pub fn take(
        &mut self,
        entry: &Entry,
        said: Said,
        body: &mut dyn Read,
        unreadable: fn(io::Error) -> Failure,
    ) -> Result<(), Failure> {
        let refused = |problem| Failure::Member { member: members::shown(&entry.path), problem };
        let accepted = self.members.accept(entry).map_err(refused)?;
        self.count_size(entry).map_err(refused)?;
        self.newest = self.newest.max(entry.mtime);
        let content = if accepted.is_file() {
            let module = match accepted.module() {
                None => None,
                Some(compression) => {
                    let packed = read(body, entry.size).map_err(unreadable)?;
                    let bytes = modules::unpack(compression, &packed, self.modules);
                    let bytes = bytes.map_err(|error| refused(MemberProblem::Module(error.to_string())))?;
                    self.modules = self.modules.saturating_add(bytes.len() as u64);
                    Some(bytes)
                }
            };
            let mut module = module.as_deref();
            let (body, size): (&mut dyn Read, u64) = match &mut module {
                None => (body, entry.size),
                Some(bytes) => {
                    let size = bytes.len() as u64;
                    (bytes, size)
                }
            };
            let mut head = Head::over(body);
            // A failed copy is the disk's fault when the store says so, and the package's otherwise.
            let failed = |error: io::Error| match error.downcast::<StoreError>() {
                Ok(source) => Failure::Store(source),
                Err(source) => unreadable(source),
            };
            let content = self.writer.append(&mut head, size).map_err(failed)?;
            if let Some(head) = head.finish() {
                self.heads.insert(content.digest, head);
            }
            Some(content)
        } else {
            None
        };
        self.members.add(entry, accepted, said, content);
        Ok(())
    }

    fn count_size(&mut self, entry: &Entry) -> Result<(), MemberProblem> {
        let installed = self.installed;
        let limit = installed.saturating_mul(1024).saturating_mul(SIZE_FACTOR).saturating_add(SIZE_ALLOWANCE);
        self.size = self.size.saturating_add(entry.size);
        if self.size > limit { Err(MemberProblem::TooLarge { limit, installed }) } else { Ok(()) }
    }

    /// The files, the newest modification time among them, and where the contents went.
    pub fn finish(self) -> Result<Gathered, Failure> {
        let entries = self
            .members
            .finish()
            .map_err(|(path, problem)| Failure::Member { member: path.as_str().to_owned(), problem })?;
        Ok(Gathered { entries, newest: Epoch(self.newest), writer: self.writer, heads: self.heads })
    }
}

/// All of a body that has this size. Memory is taken as the bytes come.
fn read(body: &mut dyn Read, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.take(size).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Puts the facts of each content to all files that have it.
pub fn add_facts(package: &mut UnpackedPackage, facts: &BTreeMap<Digest, FileFacts>) {
    for entry in &mut package.entries {
        if let NodeKind::File(content) = &entry.node.kind {
            entry.facts = facts.get(&content.digest).cloned();
        }
    }
}
