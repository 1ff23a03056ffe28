//! What an ELF file says about how it is loaded: a seekable file comes in, its loader, needed libraries and search
//! paths go out.
//!
//! Only headers, the dynamic segment and single strings are read, as the dynamic loader does it; section headers may
//! be stripped or wrong. Debug files and libraries of 150 MB cost a few kilobytes.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};
use object::{Endianness, ReadCache, ReadRef};
use serde::{Deserialize, Serialize};

/// Most program headers that are looked at. Real files have about a dozen.
pub const SEGMENT_LIMIT: u16 = 1024;

/// Largest dynamic segment in bytes: 65,536 entries of 16 bytes. The largest real ones have some hundreds.
pub const DYNAMIC_LIMIT: u64 = 1024 * 1024;

/// Most names (needed libraries and search paths) in one file.
pub const NAME_LIMIT: usize = 4096;

/// Longest path or name in bytes, as for all paths.
pub const STRING_LIMIT: u64 = 4096;

/// What an ELF file says about how it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElfFacts {
    /// 32 or 64 bit.
    pub class: ElfClass,
    /// Whether numbers are little-endian.
    pub little_endian: bool,
    /// `e_machine`: 62 is amd64, 183 is arm64.
    pub machine: u16,
    /// What kind of file it is.
    pub kind: ElfKind,
    /// Path of the loader (`PT_INTERP`): there in all dynamically linked programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// Whether there is a dynamic segment. Statically linked programs have none, unless they are relocatable
    /// (static-pie): those have one, but no interpreter.
    #[serde(default)]
    pub dynamic: bool,
    /// The name under which other files need this library (`DT_SONAME`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soname: Option<String>,
    /// The libraries that must be loaded with it (`DT_NEEDED`), in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<String>,
    /// Directories to search before `LD_LIBRARY_PATH` (`DT_RPATH`); the loader takes no notice of them when there is a
    /// runpath. May start with `$ORIGIN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rpath: Vec<String>,
    /// Directories to search after `LD_LIBRARY_PATH` (`DT_RUNPATH`). May start with `$ORIGIN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runpath: Vec<String>,
    /// Whether the default directories and the cache are not searched (`DF_1_NODEFLIB`).
    #[serde(default)]
    pub no_default_libraries: bool,
}

/// Width of an ELF file's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElfClass {
    /// 32 bit.
    Elf32,
    /// 64 bit.
    Elf64,
}

/// `e_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElfKind {
    /// `ET_REL`: object files and kernel modules.
    Relocatable,
    /// `ET_EXEC`: a program at a fixed address.
    Executable,
    /// `ET_DYN`: a library, or a program that runs at any address.
    SharedObject,
    /// `ET_CORE`: memory of a process that crashed.
    Core,
    /// Anything else.
    Other(u16),
}

/// Why an ELF file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It starts like an ELF file, but what follows contradicts itself.
    #[error("broken ELF file: {0}")]
    Malformed(&'static str),
    /// More or longer entries than any real file has.
    #[error("ELF file with {what} beyond the allowed {limit}")]
    TooLarge {
        /// What is too large or too many.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The file could not be read.
    #[error("cannot read the ELF file: {0}")]
    Io(#[from] io::Error),
}

/// Reads the facts of an ELF file; none for all other files.
///
/// # Errors
/// When it starts like an ELF file but is broken or cut off, and when reading fails.
pub fn facts<R: Read + Seek>(mut reader: R) -> Result<Option<ElfFacts>, ElfError> {
    let mut start = Vec::new();
    reader.seek(SeekFrom::Start(0))?;
    (&mut reader).take(5).read_to_end(&mut start)?;
    if !start.starts_with(&elf::ELFMAG) {
        return Ok(None);
    }
    let failure = RefCell::new(None);
    let data = ReadCache::new(Recorder { inner: reader, failure: &failure });
    let result = match start.get(4) {
        Some(1) => parse::<FileHeader32<Endianness>, _>(&data, ElfClass::Elf32),
        Some(2) => parse::<FileHeader64<Endianness>, _>(&data, ElfClass::Elf64),
        _ => Err(ElfError::Malformed("its class is neither 32 nor 64 bit")),
    };
    drop(data);
    match failure.into_inner() {
        Some(error) => Err(ElfError::Io(error)),
        None => result.map(Some),
    }
}

/// Keeps the error that `object` throws away, so that a failing disk is not taken for a broken file.
struct Recorder<'a, R> {
    inner: R,
    failure: &'a RefCell<Option<io::Error>>,
}

impl<R> Recorder<'_, R> {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            if !matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::Interrupted) {
                *self.failure.borrow_mut() = Some(error);
            }
            io::Error::from(kind)
        })
    }
}

impl<R: Read> Read for Recorder<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        self.note(result)
    }
}

impl<R: Seek> Seek for Recorder<'_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let result = self.inner.seek(position);
        self.note(result)
    }
}

fn parse<'data, Elf, R>(data: R, class: ElfClass) -> Result<ElfFacts, ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let header = Elf::parse(data)
        .map_err(|_| ElfError::Malformed("its header is cut off or of an unknown version"))?;
    let endian = header.endian().map_err(|_| ElfError::Malformed("its byte order is unknown"))?;
    if header.e_phnum(endian) > SEGMENT_LIMIT {
        return Err(ElfError::TooLarge { what: "program headers", limit: u64::from(SEGMENT_LIMIT) });
    }
    let segments = header
        .program_headers(endian, data)
        .map_err(|_| ElfError::Malformed("its program headers lie outside of the file"))?;
    let mut facts = ElfFacts {
        class,
        little_endian: endian == Endianness::Little,
        machine: header.e_machine(endian).0,
        kind: kind(header.e_type(endian)),
        interpreter: None,
        dynamic: false,
        soname: None,
        needed: Vec::new(),
        rpath: Vec::new(),
        runpath: Vec::new(),
        no_default_libraries: false,
    };
    for segment in segments {
        let (offset, size) = segment.file_range(endian);
        if segment.p_type(endian) == elf::PT_INTERP && facts.interpreter.is_none() {
            let end = offset.saturating_add(size.min(STRING_LIMIT));
            facts.interpreter =
                Some(string(data, offset, end, "the name of its loader is empty, cut off or no text")?);
        } else if segment.p_type(endian) == elf::PT_DYNAMIC && !facts.dynamic {
            if size > DYNAMIC_LIMIT {
                return Err(ElfError::TooLarge { what: "a dynamic segment", limit: DYNAMIC_LIMIT });
            }
            let entries = segment
                .dynamic(endian, data)
                .map_err(|_| ElfError::Malformed("its dynamic segment lies outside of the file"))?;
            facts.dynamic = true;
            read_dynamic::<Elf, R>(&mut facts, entries.unwrap_or_default(), segments, endian, data)?;
        }
    }
    Ok(facts)
}

fn kind(file_type: elf::FileType) -> ElfKind {
    match file_type {
        elf::ET_REL => ElfKind::Relocatable,
        elf::ET_EXEC => ElfKind::Executable,
        elf::ET_DYN => ElfKind::SharedObject,
        elf::ET_CORE => ElfKind::Core,
        other => ElfKind::Other(other.0),
    }
}

fn read_dynamic<'data, Elf, R>(
    facts: &mut ElfFacts,
    entries: &[Elf::Dyn],
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
    data: R,
) -> Result<(), ElfError>
where
    Elf: FileHeader<Endian = Endianness>,
    R: ReadRef<'data>,
{
    let entries = || entries.iter().take_while(|entry| entry.tag(endian) != elf::DT_NULL);
    let value = |tag| entries().find(|entry| entry.tag(endian) == tag).map(|entry| entry.val(endian));
    let mut names = entries()
        .filter(|entry| {
            matches!(entry.tag(endian), elf::DT_NEEDED | elf::DT_SONAME | elf::DT_RPATH | elf::DT_RUNPATH)
        })
        .peekable();
    if let Some(flags) = value(elf::DT_FLAGS_1) {
        /// `DF_1_NODEFLIB` of the System V ABI's Solaris extensions.
        const NO_DEFAULT_LIBRARIES: u64 = 0x800;
        facts.no_default_libraries = flags & NO_DEFAULT_LIBRARIES != 0;
    }
    if names.peek().is_none() {
        return Ok(());
    }
    let address =
        value(elf::DT_STRTAB).ok_or(ElfError::Malformed("it names libraries but has no string table"))?;
    let (start, segment_end) = segments
        .iter()
        .find_map(|segment| file_place(segment, endian, address))
        .ok_or(ElfError::Malformed("its string table lies in no loaded segment"))?;
    let size = value(elf::DT_STRSZ).unwrap_or(u64::MAX);
    let end = start.saturating_add(size).min(segment_end);
    for (count, entry) in names.enumerate() {
        if count == NAME_LIMIT {
            return Err(ElfError::TooLarge {
                what: "names in its dynamic segment",
                limit: NAME_LIMIT as u64,
            });
        }
        let place = start.saturating_add(entry.val(endian));
        let name = string(data, place, end, "a name in its dynamic segment is empty, cut off or no text")?;
        let paths = || name.split(':').filter(|path| !path.is_empty()).map(str::to_owned);
        match entry.tag(endian) {
            elf::DT_NEEDED => facts.needed.push(name),
            elf::DT_SONAME => facts.soname = Some(name),
            elf::DT_RPATH => facts.rpath = paths().collect(),
            _ => facts.runpath = paths().collect(),
        }
    }
    Ok(())
}

/// Where in the file a virtual address lies, and where the segment that holds it ends there.
fn file_place<P>(segment: &P, endian: Endianness, address: u64) -> Option<(u64, u64)>
where
    P: object::read::elf::ProgramHeader<Endian = Endianness>,
{
    if segment.p_type(endian) != elf::PT_LOAD {
        return None;
    }
    let (offset, size) = segment.file_range(endian);
    let inside = address.checked_sub(segment.p_vaddr(endian).into()).filter(|inside| *inside < size)?;
    Some((offset.checked_add(inside)?, offset.checked_add(size)?))
}

/// A string that ends with a NUL before `end`.
fn string<'data, R: ReadRef<'data>>(
    data: R,
    start: u64,
    end: u64,
    otherwise: &'static str,
) -> Result<String, ElfError> {
    let length = data.len().map_err(|()| ElfError::Malformed("its length is unknown"))?;
    let end = end.min(length);
    let bytes = if start < end { data.read_bytes_at_until(start..end, 0).ok() } else { None };
    let text = bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(ElfError::Malformed(otherwise)),
    }
}
