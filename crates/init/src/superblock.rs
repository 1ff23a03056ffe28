//! The first bytes of a file system → its UUID and label, by which `root=` may name it. Of ext4, which hosts use; what
//! is not known here is found by its partition instead.

use crate::uuid;

/// Name of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Its UUID, in small letters.
    pub uuid: String,
    /// Its label, which may be empty.
    pub label: String,
}

/// How much of a device [`parse`] wants.
pub const READ: usize = 2048;

/// Reads the superblock of ext2, ext3 or ext4; `None` for anything else.
#[must_use]
pub fn parse(start: &[u8]) -> Option<Superblock> {
    let block = start.get(1024..2048)?;
    if block.get(0x38..0x3a)? != [0x53, 0xef] {
        return None;
    }
    let label = block.get(0x78..0x88)?;
    let end = label.iter().position(|byte| *byte == 0).unwrap_or(label.len());
    Some(Superblock {
        uuid: uuid::in_order(block.get(0x68..0x78)?.try_into().ok()?),
        label: String::from_utf8_lossy(&label[..end]).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_file_system_is_read_as_mke2fs_wrote_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let uuid = "01234567-89ab-4cde-8f01-23456789abcd";
        let mut command = Command::new("/usr/sbin/mke2fs");
        command.args(["-q", "-t", "ext4", "-L", "sixteen letters!", "-U", uuid]).arg(file.path());
        let Ok(status) = command.status() else {
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: mke2fs is not installed\n").unwrap();
            return;
        };
        assert!(status.success());
        let bytes = fs_err::read(file.path()).unwrap();
        let expected = Superblock { uuid: uuid.to_owned(), label: "sixteen letters!".to_owned() };
        assert_eq!(parse(&bytes[..READ]), Some(expected));
        assert_eq!(parse(&bytes[..READ - 1]), None);
        assert_eq!(parse(&[0; READ]), None);
    }
}
