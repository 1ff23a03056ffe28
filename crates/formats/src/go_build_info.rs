//! What Go's linker notes in a program (`debug/buildinfo` of Go's library): an ELF file in, the version of Go and the
//! modules out.
//!
//! The note begins with a magic at a multiple of 16, in a section of its own or, where sections were stripped, in the first
//! writable segment. Since Go 1.18 the two texts follow; before, pointers to Go's strings.

use memchr::memmem;

use crate::elf_contents::{self, Contents};

/// What the note begins with.
const MAGIC: &[u8; 14] = b"\xff Go buildinf:";

/// Size of the note without the texts.
const HEADER: usize = 32;

/// The note lies at a multiple of this.
const ALIGNMENT: usize = 16;

/// Where sections were stripped, how far it is looked for.
const SEARCHED: usize = 1 << 20;

/// Longest text of modules; the largest programs have 100 kB.
const LONGEST: usize = 16 << 20;

/// Most modules of a program.
const MOST_MODULES: usize = 50_000;

const SECTION: &[u8] = b".go.buildinfo";

/// What a Go program was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version of Go, as it is written (`go1.26.8`, `devel go1.27-abc …`).
    pub go: String,
    /// The path of the main package.
    pub path: Option<String>,
    /// The module that the main package is in.
    pub main: Option<GoModule>,
    /// All others.
    pub modules: Vec<GoModule>,
}

/// A module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoModule {
    /// Its path.
    pub path: String,
    /// Its version (`v1.2.3`, `(devel)`); empty for a directory that replaces another module.
    pub version: String,
    /// What was taken instead of it.
    pub replaced_by: Option<Box<Self>>,
}

/// Why a note cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildInfoError {
    /// It is cut off or points to nowhere.
    #[error("Go's build information is cut off or points outside of the file")]
    CutOff,
    /// It is longer or has more in it than any.
    #[error("Go's build information is larger than any that Go's linker writes")]
    TooLarge,
}

impl BuildInfo {
    /// The version of Go's library, as its vulnerability database writes it: `go1.20` is 1.20.0, `go1.21rc2` is
    /// 1.21.0-rc.2. None for what no release is.
    #[must_use]
    pub fn library_version(&self) -> Option<String> {
        let word = self.go.split_whitespace().next()?.strip_prefix("go")?;
        // What a distributor adds stands behind a blank, a dash or a plus.
        let word = word.split(['-', '+']).next()?;
        let (numbers, early) = match word.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) => word.split_at(at),
            None => (word, ""),
        };
        let mut parts: Vec<&str> = numbers.split('.').collect();
        if parts.iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
            return None;
        }
        parts.resize(3, "0");
        let early = early.find(|c: char| c.is_ascii_digit()).map(|at| early.split_at(at));
        let early = early.map_or_else(String::new, |(word, number)| format!("-{word}.{number}"));
        Some(format!("{}{early}", parts.join(".")))
    }
}

/// Reads the note of a program; none for files that have none.
///
/// # Errors
/// When there is one that is malformed.
pub fn read(bytes: &[u8]) -> Result<Option<BuildInfo>, BuildInfoError> {
    let Some(elf) = elf_contents::contents(bytes, &[SECTION]) else { return Ok(None) };
    let Some(note) = note(&elf) else { return Ok(None) };
    let (go, modules) = texts(note, &elf)?;
    let mut info = modules_of(&modules)?;
    info.go = String::from_utf8_lossy(&go).into_owned();
    Ok(Some(info))
}

fn note<'d>(elf: &Contents<'d>) -> Option<&'d [u8]> {
    let data = match elf.section(SECTION) {
        Some(section) => section,
        None => {
            let segment = elf.segments.iter().find(|segment| segment.writable)?.data;
            segment.get(..segment.len().min(SEARCHED))?
        }
    };
    let mut places = memmem::find_iter(data, MAGIC);
    data.get(places.find(|place| place % ALIGNMENT == 0)?..)
}

/// The version, and the text of the modules without the marks around it.
fn texts(note: &[u8], elf: &Contents<'_>) -> Result<(Vec<u8>, Vec<u8>), BuildInfoError> {
    let flags = *note.get(15).ok_or(BuildInfoError::CutOff)?;
    let (go, modules) = if flags & 2 != 0 {
        let (go, rest) = counted(note.get(HEADER..).ok_or(BuildInfoError::CutOff)?)?;
        (go, counted(rest)?.0)
    } else {
        let size = usize::from(*note.get(14).ok_or(BuildInfoError::CutOff)?);
        let pointers = Pointers { size, big: flags & 1 != 0, elf };
        let at = |place: usize| pointers.string(note.get(place..).unwrap_or_default());
        // A program without modules has an empty string, or none.
        (at(ALIGNMENT)?, at(ALIGNMENT + size).unwrap_or_default())
    };
    if go.len() > LONGEST || modules.len() > LONGEST {
        return Err(BuildInfoError::TooLarge);
    }
    // 16 bytes before and behind tell the linker's text from others.
    let inner = modules.len().checked_sub(17).filter(|end| *end >= 16 && modules.get(*end) == Some(&b'\n'));
    let modules = inner.and_then(|end| modules.get(16..=end)).unwrap_or_default();
    Ok((go.to_vec(), modules.to_vec()))
}

/// Bytes behind their number, which is in groups of seven bits, the lowest first.
fn counted(bytes: &[u8]) -> Result<(&[u8], &[u8]), BuildInfoError> {
    let mut length: u64 = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        length |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let length = usize::try_from(length).map_err(|_| BuildInfoError::CutOff)?;
            let rest = bytes.get(place + 1..).unwrap_or_default();
            return rest.split_at_checked(length).ok_or(BuildInfoError::CutOff);
        }
    }
    Err(BuildInfoError::CutOff)
}

/// How pointers are written.
struct Pointers<'e, 'd> {
    size: usize,
    big: bool,
    elf: &'e Contents<'d>,
}

impl<'d> Pointers<'_, 'd> {
    /// The text of the Go string (address, length) that the pointer in front of these bytes leads to.
    fn string(&self, bytes: &[u8]) -> Result<&'d [u8], BuildInfoError> {
        let header = self.elf.at(self.number(bytes)?).ok_or(BuildInfoError::CutOff)?;
        let address = self.number(header)?;
        let length = self.number(header.get(self.size..).unwrap_or_default())?;
        let length = usize::try_from(length).map_err(|_| BuildInfoError::CutOff)?;
        if length == 0 {
            return Ok(&[]);
        }
        self.elf.at(address).and_then(|data| data.get(..length)).ok_or(BuildInfoError::CutOff)
    }

    fn number(&self, bytes: &[u8]) -> Result<u64, BuildInfoError> {
        if !matches!(self.size, 4 | 8) {
            return Err(BuildInfoError::CutOff);
        }
        let bytes = bytes.get(..self.size).ok_or(BuildInfoError::CutOff)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Ok(if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }
}

fn modules_of(text: &[u8]) -> Result<BuildInfo, BuildInfoError> {
    let text = String::from_utf8_lossy(text);
    let mut info = BuildInfo::default();
    let mut last_is_main = false;
    for line in text.lines() {
        let mut words = line.split('\t');
        let kind = words.next().unwrap_or_default();
        let path = words.next().unwrap_or_default().to_owned();
        let version = words.next().unwrap_or_default().to_owned();
        let module = GoModule { path, version, replaced_by: None };
        match kind {
            "path" => info.path = Some(module.path),
            "mod" => {
                info.main = Some(module);
                last_is_main = true;
            }
            "dep" => {
                if info.modules.len() == MOST_MODULES {
                    return Err(BuildInfoError::TooLarge);
                }
                info.modules.push(module);
                last_is_main = false;
            }
            "=>" => {
                let replaced = if last_is_main { info.main.as_mut() } else { info.modules.last_mut() };
                if let Some(replaced) = replaced {
                    replaced.replaced_by = Some(Box::new(module));
                }
            }
            _ => {}
        }
    }
    Ok(info)
}

#[cfg(test)]
mod tests;
