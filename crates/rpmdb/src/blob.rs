//! The header of an installed package, as rpm stores it: the main header of the package as it is, byte for byte, and
//! after its region what came with the signature header and what the installation adds.
//!
//! The region stays whole so that its digests and signatures can be checked in the database too. Nothing protects a
//! signature header: whoever passed the package on could write into it. So only what the main header vouches for comes
//! into the database:
//!
//! - digests of the main header (SHA-1, SHA-256, SHA3-256), each compared with it here; one that is wrong is an error;
//! - OpenPGP signatures of the main header, which the trust in the package comes from and which any reader can check
//!   again; together no larger than [`SIGNATURES_LIMIT`].
//!
//! All else is left out: what is about the payload (its MD5, sizes, signatures of the old kind), which is not here to
//! be compared, signatures of files, and space for later signatures.

use std::collections::BTreeMap;

use calypte_formats::rpm::header::{Entry, Kind};
use calypte_formats::rpm::{Header, tag};
use sha2::Digest;

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

/// Each digest of the main header that is kept.
const DIGESTS: [(u32, HexDigest); 3] = [
    (tag::SHA1_HEADER, hex_digest::<sha1::Sha1>),
    (tag::SHA256_HEADER, hex_digest::<sha2::Sha256>),
    // Came with format 6.
    (tag::SHA3_256_HEADER, hex_digest::<sha3::Sha3_256>),
];

type HexDigest = fn(&[u8]) -> String;

/// Each signature of the main header that is kept, and the type that it must have.
const SIGNATURES: [(u32, Kind); 3] = [
    (tag::DSA_HEADER, Kind::Binary),
    (tag::RSA_HEADER, Kind::Binary),
    // Came with format 6.
    (tag::OPENPGP, Kind::StringArray),
];

/// All signatures of a package together, in bytes. One by RSA takes half a kilobyte, the largest of those that
/// withstand quantum computers 50.
const SIGNATURES_LIMIT: usize = 128 << 10;

/// Tag of the MD5 of header and payload, by which rpm looks packages up. It is never kept, so its table stays empty.
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
        for entry in kept(signature, header)? {
            // What the main header says counts.
            if !header.has(entry.tag) {
                let value = Value { kind: entry.kind, count: entry.count, data: entry.data.to_vec() };
                added.insert(entry.tag, value);
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

/// The entries of the signature header that come into the database.
fn kept<'s>(signature: &'s Header, header: &Header) -> Result<Vec<Entry<'s>>, DatabaseError> {
    let mut kept = Vec::new();
    let mut size = 0;
    for entry in signature.entries() {
        let digest = DIGESTS.iter().find(|(tag, _)| *tag == entry.tag).map(|(_, digest)| digest);
        let kind = match SIGNATURES.iter().find(|(tag, _)| *tag == entry.tag) {
            Some((_, kind)) => *kind,
            None if digest.is_some() => Kind::String,
            None => continue,
        };
        if entry.kind != kind {
            return Err(DatabaseError::SignatureTag { package: name(header), tag: entry.tag });
        }
        match digest {
            Some(digest) => {
                let expected = digest(header.bytes());
                if entry.data.strip_suffix(b"\0") != Some(expected.as_bytes()) {
                    return Err(DatabaseError::Digest { package: name(header), tag: entry.tag, expected });
                }
            }
            None => size += entry.data.len(),
        }
        kept.push(entry);
    }
    if size > SIGNATURES_LIMIT {
        return Err(DatabaseError::Signatures { package: name(header), size, limit: SIGNATURES_LIMIT });
    }
    Ok(kept)
}

fn hex_digest<D: Digest>(bytes: &[u8]) -> String {
    D::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn name(header: &Header) -> String {
    header.string(tag::NAME).unwrap_or("without a name").to_owned()
}

fn too_large(header: &Header) -> DatabaseError {
    DatabaseError::TooLarge { package: name(header) }
}
