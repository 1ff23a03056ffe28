//! fs-verity: the bytes of a file come in, its Merkle tree, descriptor and digest go out.
//!
//! As the kernel's `Documentation/filesystems/fsverity.rst` has it, with the one set of parameters that composefs uses:
//! SHA-512, blocks of 4096 bytes, no salt. A tree takes a 63rd of its file and is held in memory while it is built.

use std::fmt;

use sha2::{Digest as _, Sha512};

/// Size of a block of data and of the tree, in bytes.
pub const BLOCK_SIZE: usize = 4096;

/// Size of a hash in bytes.
pub const HASH_SIZE: usize = 64;

/// Size of the descriptor in bytes.
pub const DESCRIPTOR_SIZE: usize = 256;

const HASHES_PER_BLOCK: u64 = (BLOCK_SIZE / HASH_SIZE) as u64;

/// A file's fs-verity digest (SHA-512). Displays as 128 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerityDigest(pub [u8; HASH_SIZE]);

impl fmt::Display for VerityDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for VerityDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What was found out about a file.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The blocks of the Merkle tree as file systems store them: the level of the root first.
    pub tree: Vec<u8>,
    /// The descriptor, without a signature.
    pub descriptor: [u8; DESCRIPTOR_SIZE],
    /// The file's digest: the hash of the descriptor.
    pub digest: VerityDigest,
}

/// Takes the bytes of a file in, piece by piece.
#[derive(Debug, Clone, Default)]
pub struct Sealer {
    block: Vec<u8>,
    leaves: Vec<u8>,
    size: u64,
}

/// Size in bytes of the Merkle tree of a file of this size.
#[must_use]
pub const fn tree_size(size: u64) -> u64 {
    let mut blocks = size.div_ceil(BLOCK_SIZE as u64);
    let mut tree = 0;
    while blocks > 1 {
        blocks = blocks.div_ceil(HASHES_PER_BLOCK);
        tree += blocks;
    }
    tree * BLOCK_SIZE as u64
}

impl Sealer {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        if !self.block.is_empty() {
            let taken = bytes.len().min(BLOCK_SIZE - self.block.len());
            self.block.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.block.len() < BLOCK_SIZE {
                return;
            }
            self.leaves.extend_from_slice(&Sha512::digest(&self.block));
            self.block.clear();
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK_SIZE>();
        for block in blocks {
            self.leaves.extend_from_slice(&Sha512::digest(block));
        }
        self.block.extend_from_slice(rest);
    }

    /// Everything was taken in.
    #[must_use]
    pub fn finish(mut self) -> Sealed {
        if !self.block.is_empty() {
            self.block.resize(BLOCK_SIZE, 0);
            self.leaves.extend_from_slice(&Sha512::digest(&self.block));
        }
        let mut levels = Vec::new();
        let mut hashes = self.leaves;
        while hashes.len() > HASH_SIZE {
            hashes.resize(hashes.len().next_multiple_of(BLOCK_SIZE), 0);
            let above = hashes.as_chunks::<BLOCK_SIZE>().0.iter().flat_map(Sha512::digest).collect();
            levels.push(std::mem::replace(&mut hashes, above));
        }
        // An empty file has no block, and a root of zeros.
        hashes.resize(HASH_SIZE, 0);
        let tree = levels.into_iter().rev().flatten().collect();
        let descriptor = descriptor(self.size, &hashes);
        Sealed { tree, descriptor, digest: VerityDigest(Sha512::digest(descriptor).into()) }
    }
}

/// `struct fsverity_descriptor`: version, algorithm, size of blocks, no salt, no signature, size of the data, root hash.
fn descriptor(size: u64, root: &[u8]) -> [u8; DESCRIPTOR_SIZE] {
    const SHA512: u8 = 2;
    let mut bytes = [0; DESCRIPTOR_SIZE];
    bytes[..3].copy_from_slice(&[1, SHA512, 12]);
    bytes[8..16].copy_from_slice(&size.to_le_bytes());
    bytes[16..16 + HASH_SIZE].copy_from_slice(root);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference_and_the_tree_is_as_large_as_foretold() {
        let bytes: Vec<u8> = (0..700_000_u32).map(|number| (number % 251) as u8).collect();
        for size in [0, 1, 4095, 4096, 4097, 262_144, 262_145, 700_000] {
            let mut whole = Sealer::new();
            whole.update(&bytes[..size]);
            let mut pieces = Sealer::new();
            bytes[..size].chunks(1013).for_each(|piece| pieces.update(piece));
            let (whole, pieces) = (whole.finish(), pieces.finish());
            assert_eq!(whole.digest, pieces.digest);
            assert_eq!(whole.tree, pieces.tree);
            assert_eq!(whole.tree.len() as u64, tree_size(size as u64), "{size}");
        }
    }
}
