//! The header of an installed package, as rpm stores it: the main header of the package as it is, byte for byte, and
//! after its region what came with the signature header and what the installation adds.
//!
//! The region stays whole so that its digests and signatures can be checked in the database too.

use std::collections::BTreeMap;

use calypte_formats::rpm::header::Kind;
use calypte_formats::rpm::{Header, tag};

use crate::FileState;
use crate::error::DatabaseError;

/// When it was installed, in seconds since 1970.
pub(crate) const INSTALL_TIME: u32 = 1008;
const FILE_STATES: u32 = 1029;
const INSTALL_COLOR: u32 = 1127;
/// Which transaction it came with.
pub(crate) const INSTALL_TID: u32 = 1128;

/// Both 32-bit and 64-bit files may come: what rpm notes on architectures that can run both, and no reader looks at.
const COLOR: u32 = 3;

/// What comes before the index: number of entries and size of the store.
const INTRO_SIZE: usize = 8;
const ENTRY_SIZE: usize = 16;
/// Length of a header's magic, which the database leaves out.
const MAGIC_SIZE: usize = 8;

/// Each tag of a signature header that is kept, its tag in the main header, and the type that it must have. The others
/// are space for later signatures, or as old as the signature header.
const KEPT: [(u32, u32, Kind); 17] = [
    (tag::SIGNATURE_SIZE, 257, Kind::Int32),
    (tag::SIGNATURE_PGP, 259, Kind::Binary),
    (tag::SIGNATURE_MD5, SIGNATURE_MD5, Kind::Binary),
    (tag::SIGNATURE_GPG, 262, Kind::Binary),
    (tag::SIGNATURE_PAYLOAD_SIZE, 1046, Kind::Int32),
    (tag::SIGNATURE_FILE_SIGNATURES, 5090, Kind::StringArray),
    (tag::SIGNATURE_FILE_SIGNATURE_LENGTH, 5091, Kind::Int32),
    (tag::VERITY_SIGNATURES, tag::VERITY_SIGNATURES, Kind::StringArray),
    (tag::VERITY_SIGNATURE_ALGORITHM, tag::VERITY_SIGNATURE_ALGORITHM, Kind::Int32),
    (tag::SHA1_HEADER, tag::SHA1_HEADER, Kind::String),
    (tag::SHA256_HEADER, tag::SHA256_HEADER, Kind::String),
    (tag::DSA_HEADER, tag::DSA_HEADER, Kind::Binary),
    (tag::RSA_HEADER, tag::RSA_HEADER, Kind::Binary),
    (tag::LONG_SIGNATURE_SIZE, tag::LONG_SIGNATURE_SIZE, Kind::Int64),
    (tag::LONG_ARCHIVE_SIZE, tag::LONG_ARCHIVE_SIZE, Kind::Int64),
    // The last two came with format 6.
    (tag::OPENPGP, tag::OPENPGP, Kind::StringArray),
    (tag::SHA3_256_HEADER, tag::SHA3_256_HEADER, Kind::String),
];

/// Tag of the MD5 of header and payload in the main header.
pub(crate) const SIGNATURE_MD5: u32 = 261;

/// A value that is added to a header.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    kind: Kind,
    count: u32,
    data: Vec<u8>,
}

/// A main header and what is added to it.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    header: &'a Header,
    added: BTreeMap<u32, Value>,
}

impl<'a> Merged<'a> {
    pub(crate) fn new(
        signature: &Header,
        header: &'a Header,
        states: &[FileState],
        time: u32,
    ) -> Result<Self, DatabaseError> {
        let files = header.byte_strings(tag::BASE_NAMES).len();
        if states.len() != files {
            return Err(DatabaseError::States { package: name(header), files, states: states.len() });
        }
        let mut added = BTreeMap::new();
        for entry in signature.entries() {
            let Some((_, to, kind)) = KEPT.iter().find(|(from, _, _)| *from == entry.tag) else { continue };
            if entry.kind != *kind {
                return Err(DatabaseError::SignatureTag { package: name(header), tag: entry.tag });
            }
            // What the main header says counts.
            if !header.has(*to) {
                let value = Value { kind: entry.kind, count: entry.count, data: entry.data.to_vec() };
                added.insert(*to, value);
            }
        }
        let number = |number: u32| Value { kind: Kind::Int32, count: 1, data: number.to_be_bytes().to_vec() };
        added.insert(INSTALL_TIME, number(time));
        added.insert(INSTALL_COLOR, number(COLOR));
        added.insert(INSTALL_TID, number(time));
        if !states.is_empty() {
            let data: Vec<u8> = states.iter().map(|state| state.number()).collect();
            let count = u32::try_from(data.len()).map_err(|_| too_large(header))?;
            added.insert(FILE_STATES, Value { kind: Kind::Char, count, data });
        }
        Ok(Self { header, added })
    }

    /// The bytes of a value that was added, as they are stored.
    pub(crate) fn added(&self, tag: u32) -> Option<&[u8]> {
        self.added.get(&tag).map(|value| &*value.data)
    }

    /// The header without its magic: sizes, index, store.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, DatabaseError> {
        let package = self.header.bytes().get(MAGIC_SIZE..).unwrap_or_default();
        let (intro, rest) = package.split_at_checked(INTRO_SIZE).unwrap_or_default();
        let word = |at| {
            intro.get(at..).and_then(<[u8]>::first_chunk::<4>).map_or(0, |word| u32::from_be_bytes(*word))
        };
        let entries = word(0) as usize;
        let (index, store) = rest.split_at_checked(entries * ENTRY_SIZE).unwrap_or_default();

        let mut index = index.to_vec();
        let mut store = store.to_vec();
        for (tag, value) in &self.added {
            store.resize(store.len().next_multiple_of(value.kind.alignment()), 0);
            let offset = u32::try_from(store.len()).map_err(|_| too_large(self.header))?;
            for word in [*tag, value.kind.number(), offset, value.count] {
                index.extend(word.to_be_bytes());
            }
            store.extend(&value.data);
        }
        let entries = u32::try_from(entries + self.added.len()).map_err(|_| too_large(self.header))?;
        // Offsets are signed in this format.
        let size = i32::try_from(store.len()).map_err(|_| too_large(self.header))?;
        Ok([&entries.to_be_bytes()[..], &size.to_be_bytes(), &index, &store].concat())
    }
}

fn name(header: &Header) -> String {
    header.string(tag::NAME).unwrap_or("without a name").to_owned()
}

fn too_large(header: &Header) -> DatabaseError {
    DatabaseError::TooLarge { package: name(header) }
}
