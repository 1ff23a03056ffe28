//! What `cargo auditable` leaves in a program (its section `.dep-v0`, JSON compressed with zlib): an ELF file in, the crates
//! out.

use std::io::Read as _;

use serde::Deserialize;

use crate::elf_contents;

const SECTION: &[u8] = b".dep-v0";

/// Most bytes of the JSON, unpacked; what its own reader takes.
const LONGEST: u64 = 8 << 20;

/// The crates of a program.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuditableCrates {
    /// The crates; dependencies are numbers in this list.
    pub packages: Vec<AuditableCrate>,
}

/// A crate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuditableCrate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it came from: `crates.io`, `git`, `local`, `registry`, or another word.
    #[serde(default)]
    pub source: String,
    /// Whether it is in the program or only helped to build it.
    #[serde(default)]
    pub kind: CrateKind,
    /// What it depends on, by place in the list.
    #[serde(default)]
    pub dependencies: Vec<usize>,
    /// Whether it is the one that the program was built from.
    #[serde(default)]
    pub root: bool,
}

/// What a crate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrateKind {
    /// It is in the program.
    #[default]
    Runtime,
    /// It was run while building.
    Build,
}

/// Why the section cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditableError {
    /// It is no zlib stream.
    #[error("the list of crates cannot be unpacked: {0}")]
    Zlib(#[from] std::io::Error),
    /// It is longer than any.
    #[error("the list of crates unpacks to more than {LONGEST} bytes")]
    TooLarge,
    /// It is not the JSON that it should be.
    #[error("the list of crates cannot be understood: {0}")]
    Json(#[from] serde_json::Error),
    /// A dependency is on a crate that is not in the list.
    #[error("the list of crates has {crates}, and one of them depends on number {number}")]
    Dependency {
        /// How many there are.
        crates: usize,
        /// The number.
        number: usize,
    },
}

/// Reads the crates of a program; none for files without that section.
///
/// # Errors
/// When there is one that is malformed.
pub fn read(bytes: &[u8]) -> Result<Option<AuditableCrates>, AuditableError> {
    let section = elf_contents::contents(bytes, &[SECTION]).and_then(|elf| elf.section(SECTION));
    section.map(parse).transpose()
}

/// Reads the section itself.
///
/// # Errors
/// When it is malformed.
pub fn parse(section: &[u8]) -> Result<AuditableCrates, AuditableError> {
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(section).take(LONGEST + 1).read_to_end(&mut json)?;
    if json.len() as u64 > LONGEST {
        return Err(AuditableError::TooLarge);
    }
    let crates: AuditableCrates = serde_json::from_slice(&json)?;
    let count = crates.packages.len();
    match crates.packages.iter().flat_map(|package| &package.dependencies).find(|number| **number >= count) {
        Some(number) => Err(AuditableError::Dependency { crates: count, number: *number }),
        None => Ok(crates),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn pack(json: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(json).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn crates_are_read() {
        let json =
            br#"{"packages":[{"name":"adler","version":"0.2.3","source":"crates.io","dependencies":[]},
            {"name":"cc","version":"1.0","source":"registry","kind":"build","features":["x"]},
            {"name":"app","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}],"format":1}"#;
        let packages = parse(&pack(json)).unwrap().packages;
        assert_eq!(packages.len(), 3);
        assert_eq!((packages[0].source.as_str(), packages[0].kind), ("crates.io", CrateKind::Runtime));
        assert_eq!(packages[1].kind, CrateKind::Build);
        assert!(packages[2].root);
        assert_eq!(packages[2].dependencies, [0, 1]);
    }

    #[test]
    fn bad_lists_are_refused() {
        let deep = [b"{\"packages\":[],\"more\":".as_slice(), &[b'['; 100_000]].concat();
        let large = vec![b' '; (LONGEST + 1) as usize];
        let outside = br#"{"packages":[{"name":"a","version":"1","source":"x","dependencies":[1]}]}"#;
        for (section, expected) in [
            (b"nonsense".to_vec(), "the list of crates cannot be unpacked"),
            (pack(b"{}"), "the list of crates cannot be understood"),
            (pack(&deep), "the list of crates cannot be understood: EOF"),
            (pack(&large), "the list of crates unpacks to more than"),
            (pack(outside), "the list of crates has 1, and one of them depends on number 1"),
            (pack(b"{\"packages\":[]}")[..10].to_vec(), "the list of crates cannot be unpacked"),
        ] {
            let error = parse(&section).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(read(b"\x7fELF\x02").unwrap().is_none());
    }
}
