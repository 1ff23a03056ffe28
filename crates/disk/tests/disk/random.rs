//! Trees out of a number: every kind of node, attributes of every size, names and contents that meet the edges.

use calypte_base::{Epoch, TreePath};
use calypte_disk::{Kind, Node, Tree};

/// Numbers that follow from a seed (xorshift).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }

    /// Bytes that look like nothing.
    pub fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length.div_ceil(4))
            .flat_map(|_| (self.below(1 << 32) as u32).to_le_bytes())
            .take(length as usize)
            .collect()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// Contents at the edges of blocks, of the verity tree's levels, with zeros in between.
fn content(numbers: &mut Numbers) -> Vec<u8> {
    let size = *numbers
        .pick(&[0, 1, 100, 4095, 4096, 4097, 8192, 65_535, 65_536, 65_537, 262_144, 262_145, 1_500_000]);
    let mut bytes = numbers.bytes(size);
    if size > 20_000 && numbers.below(2) == 0 {
        bytes[5_000..17_000].fill(0);
    }
    bytes
}

fn name(numbers: &mut Numbers, number: u64) -> String {
    match numbers.below(12) {
        0 => format!("{number}-{}", "x".repeat(240)),
        1 => format!("{number} größe ✓"),
        2 => format!(".{number}"),
        _ => format!("name{number}"),
    }
}

fn kind(numbers: &mut Numbers, files: &[TreePath]) -> Kind {
    match numbers.below(14) {
        0..4 => Kind::Directory,
        4 => Kind::Symlink("t".repeat(*numbers.pick(&[1, 59, 60, 61, 500, 4000]))),
        5 if !files.is_empty() => Kind::HardLink(numbers.pick(files).clone()),
        6 => Kind::CharacterDevice(*numbers.pick(&[1, 255, 300]), *numbers.pick(&[3, 255, 256, 70_000])),
        7 => Kind::BlockDevice(8, numbers.below(1000) as u32),
        8 => Kind::Fifo,
        9 => Kind::Socket,
        place => Kind::File { content: std::sync::Arc::new(content(numbers)), verity: place > 11 },
    }
}

fn attributes(numbers: &mut Numbers, node: &mut Node) {
    if !matches!(node.kind, Kind::Directory | Kind::File { .. }) {
        return;
    }
    if numbers.below(3) == 0 {
        let label = b"system_u:object_r:bin_t:s0\0".to_vec();
        node.xattrs.insert("security.selinux".to_owned(), label);
    }
    if numbers.below(4) == 0 {
        let size = *numbers.pick(&[0, 1, 3, 4, 20, 90, 1000, 3000]);
        node.xattrs.insert("user.note".to_owned(), numbers.bytes(size));
        node.xattrs.insert("trusted.overlay.redirect".to_owned(), b"/x".to_vec());
    }
    if numbers.below(5) == 0 {
        let mut list = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in
            [(1, 6, u32::MAX), (2, 4, 1000), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 4, u32::MAX)]
        {
            list.extend_from_slice(&u16::to_le_bytes(tag));
            list.extend_from_slice(&u16::to_le_bytes(permissions));
            list.extend_from_slice(&u32::to_le_bytes(id));
        }
        node.xattrs.insert("system.posix_acl_access".to_owned(), list);
        node.mode = node.mode & !0o777 | 0o644;
    }
    if matches!(node.kind, Kind::File { .. }) && numbers.below(5) == 0 {
        // Version 2 of `struct vfs_cap_data`: effective, and net_bind_service.
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        node.xattrs.insert("security.capability".to_owned(), capability.to_vec());
    }
}

/// A tree of about so many nodes.
pub fn tree(seed: u64, nodes: u64) -> Tree {
    let mut numbers = Numbers::new(seed);
    let mut tree = Tree::new();
    let mut directories = vec![TreePath::root()];
    let mut files = Vec::new();
    for number in 0..nodes {
        let mut node = Node::new(kind(&mut numbers, &files), numbers.below(0o10000) as u32);
        node.uid = *numbers.pick(&[0, 1, 1000, 65_536, 4_000_000_000]);
        node.gid = *numbers.pick(&[0, 5, 70_000]);
        node.mtime = Epoch(*numbers.pick(&[0, 1, -5, 1_700_000_000, 4_000_000_000, 9_000_000_000]));
        attributes(&mut numbers, &mut node);
        let path = numbers.pick(&directories).join(&name(&mut numbers, number)).unwrap();
        match node.kind {
            Kind::Directory => directories.push(path.clone()),
            Kind::File { .. } | Kind::Fifo | Kind::CharacterDevice(..) => files.push(path.clone()),
            _ => {}
        }
        tree.insert(path, node).unwrap();
    }
    tree
}
