//! How a file is run: its `#!` line, or what its ELF headers say.
//!
//! The first bytes of every file are kept while it streams by; only ELF files are opened again, in the finished pack,
//! since their dynamic section lies anywhere.

use std::collections::BTreeMap;
use std::io::{self, Read};

use calypte_base::Digest;
use calypte_formats::elf::{self, ElfError};
use calypte_store::Contents;

use crate::package::FileFacts;

/// What the kernel looks at to find the interpreter of a script (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;

/// A file's first bytes, of a file that may be run.
#[derive(Debug)]
pub enum Head {
    /// It begins as an ELF file does.
    Elf,
    /// The line after `#!`, trimmed.
    Script(String),
}

/// Passes a body through and keeps its first bytes.
pub struct HeadReader<'a> {
    body: &'a mut dyn Read,
    bytes: [u8; HEAD],
    filled: usize,
}

impl Head {
    /// Starts to look at this body.
    pub fn over(body: &mut dyn Read) -> HeadReader<'_> {
        HeadReader { body, bytes: [0; HEAD], filled: 0 }
    }
}

impl HeadReader<'_> {
    /// What the first bytes say; nothing for most files.
    pub fn finish(&self) -> Option<Head> {
        let bytes = &self.bytes[..self.filled];
        if bytes.starts_with(b"\x7fELF") {
            return Some(Head::Elf);
        }
        let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
        Some(Head::Script(String::from_utf8_lossy(line).trim().to_owned()))
    }
}

impl Read for HeadReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.body.read(buffer)?;
        if self.filled < HEAD {
            let kept = count.min(HEAD - self.filled);
            self.bytes[self.filled..self.filled + kept].copy_from_slice(&buffer[..kept]);
            self.filled += kept;
        }
        Ok(count)
    }
}

/// The facts of each content that has some. A broken ELF file has none: packages hold them on purpose, as test data.
///
/// # Errors
/// When the pack cannot be read.
pub fn read(heads: BTreeMap<Digest, Head>, contents: &Contents) -> io::Result<BTreeMap<Digest, FileFacts>> {
    let mut facts = BTreeMap::new();
    for (digest, head) in heads {
        let found = match head {
            Head::Script(line) => Some(FileFacts::Script(line)),
            Head::Elf => match elf::facts(contents.open(&digest)?) {
                Ok(facts) => facts.map(FileFacts::Elf),
                Err(ElfError::Io(error)) => return Err(error),
                Err(ElfError::Malformed(_) | ElfError::TooLarge { .. }) => None,
            },
        };
        if let Some(found) = found {
            facts.insert(digest, found);
        }
    }
    Ok(facts)
}
