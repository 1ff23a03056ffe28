//! Keys and values → the bytes of a bbolt file, as the program itself would have written them once and closed: two meta
//! pages, an empty freelist, and for each bucket a tree of leaf and branch pages, or its one leaf in place of an address
//! where it is small. All numbers are little-endian (bbolt, `internal/common/{page,meta,bucket,inode}.go`).

use std::collections::BTreeMap;

/// What a bucket holds.
pub type Bucket = BTreeMap<Vec<u8>, Item>;

/// What stands under a key.
pub enum Item {
    Value(Vec<u8>),
    Bucket(Bucket),
}

/// Bytes of a page.
const PAGE: usize = 4096;

/// Bytes before the elements of a page: its number, kind, how many elements, how many pages more it takes.
const HEADER: usize = 16;

/// Bytes of an element, before keys and values: the same for leaves and branches.
const ELEMENT: usize = 16;

/// A bucket up to this size stands where it is named.
const INLINE: usize = PAGE / 4;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const META: u16 = 0x04;
const FREELIST: u16 = 0x10;

/// Marks an element of a leaf whose value is a bucket.
const IS_BUCKET: u32 = 0x01;

/// The pages before the first tree: two metas and the freelist.
const FIRST: usize = 3;

/// The bytes of a file with this root.
pub fn file(root: &Bucket) -> Vec<u8> {
    let mut pages = Pages { bytes: vec![0; FIRST * PAGE] };
    let root = pages.tree(root);
    let count = pages.bytes.len() / PAGE;
    for transaction in 0..2 {
        let mut page = header(transaction, META, 0, 0);
        page.extend(meta(root, count as u64, transaction));
        pages.put(transaction as usize, &page);
    }
    pages.put(2, &header(2, FREELIST, 0, 0));
    pages.bytes
}

/// The file as it grows.
struct Pages {
    bytes: Vec<u8>,
}

/// An element of a leaf, its value already in bytes.
struct Leaf<'a> {
    flags: u32,
    key: &'a [u8],
    value: Vec<u8>,
}

impl Leaf<'_> {
    fn size(&self) -> usize {
        ELEMENT + self.key.len() + self.value.len()
    }
}

impl Pages {
    fn put(&mut self, number: usize, page: &[u8]) {
        self.bytes[number * PAGE..][..page.len()].copy_from_slice(page);
    }

    /// Writes a bucket's tree; the number of its root's page.
    fn tree(&mut self, bucket: &Bucket) -> u64 {
        let elements = self.leaves(bucket);
        let mut level: Vec<(Vec<u8>, u64)> = Vec::new();
        for leaf in runs(&elements, Leaf::size) {
            let first = leaf.first().map(|element| element.key.to_vec()).unwrap_or_default();
            level.push((first, self.append(|number| leaf_page(number, leaf))));
        }
        while level.len() > 1 {
            let mut above = Vec::new();
            for branch in runs(&level, |(key, _)| ELEMENT + key.len()) {
                let first = branch.first().map(|(key, _)| key.clone()).unwrap_or_default();
                above.push((first, self.append(|number| branch_page(number, branch))));
            }
            level = above;
        }
        level.first().map_or_else(|| self.append(|number| leaf_page(number, &[])), |(_, number)| *number)
    }

    fn leaves<'a>(&mut self, bucket: &'a Bucket) -> Vec<Leaf<'a>> {
        let mut elements = Vec::new();
        for (key, item) in bucket {
            elements.push(match item {
                Item::Value(value) => Leaf { flags: 0, key, value: value.clone() },
                Item::Bucket(inner) => Leaf { flags: IS_BUCKET, key, value: self.bucket(inner) },
            });
        }
        elements
    }

    /// What stands for a bucket in the leaf that names it: the address of its root, or nought and its only leaf.
    fn bucket(&mut self, bucket: &Bucket) -> Vec<u8> {
        let reference = |root: u64| [root.to_le_bytes(), 0_u64.to_le_bytes()].concat();
        let is_flat = bucket.values().all(|item| matches!(item, Item::Value(_)));
        if is_flat {
            let elements = self.leaves(bucket);
            if HEADER + elements.iter().map(Leaf::size).sum::<usize>() <= INLINE {
                return [reference(0), leaf_page(0, &elements)].concat();
            }
        }
        reference(self.tree(bucket))
    }

    /// Adds a page behind the others, with as many more as it needs; its number.
    fn append(&mut self, page: impl FnOnce(u64) -> Vec<u8>) -> u64 {
        let number = (self.bytes.len() / PAGE) as u64;
        let page = page(number);
        self.bytes.extend(&page);
        self.bytes.resize(self.bytes.len().next_multiple_of(PAGE), 0);
        number
    }
}

/// Parts elements into runs that each fill a page; an element that is larger has a run of its own.
fn runs<T>(elements: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut runs = Vec::new();
    let (mut start, mut filled) = (0, HEADER);
    for (place, element) in elements.iter().enumerate() {
        let size = size(element);
        if place > start && filled + size > PAGE {
            runs.push(&elements[start..place]);
            (start, filled) = (place, HEADER);
        }
        filled += size;
    }
    if start < elements.len() {
        runs.push(&elements[start..]);
    }
    runs
}

fn header(number: u64, kind: u16, count: usize, bytes: usize) -> Vec<u8> {
    let more = bytes.saturating_sub(1) / PAGE;
    let mut header = number.to_le_bytes().to_vec();
    header.extend(kind.to_le_bytes());
    header.extend((count as u16).to_le_bytes());
    header.extend((more as u32).to_le_bytes());
    header
}

fn leaf_page(number: u64, elements: &[Leaf<'_>]) -> Vec<u8> {
    let bytes = HEADER + elements.iter().map(Leaf::size).sum::<usize>();
    let mut page = header(number, LEAF, elements.len(), bytes);
    let mut data = HEADER + elements.len() * ELEMENT;
    for (place, element) in elements.iter().enumerate() {
        // A position counts from the element itself.
        let position = data - (HEADER + place * ELEMENT);
        for word in [element.flags, position as u32, element.key.len() as u32, element.value.len() as u32] {
            page.extend(word.to_le_bytes());
        }
        data += element.key.len() + element.value.len();
    }
    for element in elements {
        page.extend(element.key);
        page.extend(&element.value);
    }
    page
}

fn branch_page(number: u64, elements: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let bytes = HEADER + elements.iter().map(|(key, _)| ELEMENT + key.len()).sum::<usize>();
    let mut page = header(number, BRANCH, elements.len(), bytes);
    let mut data = HEADER + elements.len() * ELEMENT;
    for (place, (key, child)) in elements.iter().enumerate() {
        let position = data - (HEADER + place * ELEMENT);
        page.extend((position as u32).to_le_bytes());
        page.extend((key.len() as u32).to_le_bytes());
        page.extend(child.to_le_bytes());
        data += key.len();
    }
    for (key, _) in elements {
        page.extend(key);
    }
    page
}

fn meta(root: u64, count: u64, transaction: u64) -> Vec<u8> {
    let mut meta = Vec::new();
    for word in [0xED0C_DAED_u32, 2, PAGE as u32, 0] {
        meta.extend(word.to_le_bytes());
    }
    for word in [root, 0, 2, count, transaction] {
        meta.extend(word.to_le_bytes());
    }
    // FNV-1a, 64 bits, over all before it.
    let sum = meta
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    meta.extend(sum.to_le_bytes());
    meta
}
