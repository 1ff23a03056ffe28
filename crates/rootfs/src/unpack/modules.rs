//! Kernel modules: compressed files of a package → uncompressed files of an image.
//!
//! Layers are compressed as a whole, so a module that is compressed by itself saves nothing on the way; but a module of
//! which one function changed shares nothing with its older self when it is compressed, and modules are most of what a
//! kernel's update carries. So they lie in the tree as the kernel's build made them: `x.ko.xz` as `x.ko`. The kernel and
//! kmod load either. Links to modules follow them; what lists modules by name (`modules.dep`) stays as it is.

use std::io::{self, Read};

use calypte_base::TreePath;
use calypte_formats::compression::{self, Compression};

use crate::aliases;

/// Below it each kernel has a directory of its own.
const DIRECTORY: &str = "usr/lib/modules/";

const ENDING: &str = ".ko";

/// The largest module, in bytes. Graphics drivers with all their tables have some 30 MiB.
const MODULE_LIMIT: u64 = 512 << 20;

/// All modules of one package, in bytes. Those of a whole kernel have some 500 MiB.
pub const PACKAGE_LIMIT: u64 = 8 << 30;

/// Where a compressed module goes, and how it is compressed; none for every other path.
pub fn uncompressed(path: &TreePath) -> Option<(TreePath, Compression)> {
    let (release, _) = path.as_str().strip_prefix(DIRECTORY)?.split_once('/')?;
    let (plain, extension) = path.as_str().rsplit_once('.')?;
    let compression = Compression::from_extension(extension)?;
    let named = path.file_name().strip_suffix(extension)?.strip_suffix('.')?.strip_suffix(ENDING)?;
    if release.is_empty() || named.is_empty() || compression == Compression::None {
        return None;
    }
    Some((TreePath::new(plain).ok()?, compression))
}

/// The target of a symlink at `path`, when it is a compressed module: as it is to be now.
pub fn uncompressed_target(path: &TreePath, target: &str) -> Option<String> {
    let end = aliases::real_path(path.resolve_link(target).ok()?);
    uncompressed(&end)?;
    let (plain, _) = target.rsplit_once('.').filter(|_| target.ends_with(end.file_name()))?;
    Some(plain.to_owned())
}

/// The bytes of a module, of which a package has already brought `before` bytes.
///
/// # Errors
/// When it is damaged, or larger than one may be.
pub fn unpack(compression: Compression, packed: &[u8], before: u64) -> io::Result<Vec<u8>> {
    let limit = PACKAGE_LIMIT.saturating_sub(before).min(MODULE_LIMIT);
    let mut bytes = Vec::new();
    compression::decoder(compression, packed, limit)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::path;

    #[test]
    fn only_modules_of_a_kernel_are_uncompressed() {
        for (name, plain) in [
            ("usr/lib/modules/6.1/kernel/fs/ext4.ko.xz", Some("/usr/lib/modules/6.1/kernel/fs/ext4.ko")),
            ("usr/lib/modules/6.1/ext4.ko.gz", Some("/usr/lib/modules/6.1/ext4.ko")),
            ("usr/lib/modules/6.1/a.b.ko.zst", Some("/usr/lib/modules/6.1/a.b.ko")),
            ("usr/lib/modules/6.1/ext4.ko", None),
            ("usr/lib/modules/6.1/ext4.ko.bz2", None),
            ("usr/lib/modules/6.1/ext4.ko.", None),
            ("usr/lib/modules/6.1/.ko.xz", None),
            ("usr/lib/modules/6.1/symvers.xz", None),
            ("usr/lib/modules/ext4.ko.xz", None),
            ("usr/lib/modules-load.d/6.1/ext4.ko.xz", None),
            ("usr/share/ext4.ko.xz", None),
        ] {
            assert_eq!(
                uncompressed(&path(name)).map(|(path, _)| path.to_string()).as_deref(),
                plain,
                "{name}"
            );
        }
    }

    #[test]
    fn targets_follow_however_they_are_written() {
        let target = |at: &str, target: &str| uncompressed_target(&path(at), target);
        let link = "usr/lib/modules/6.1/weak/x.ko.xz";
        assert_eq!(target(link, "../../6.0/x.ko.xz").as_deref(), Some("../../6.0/x.ko"));
        assert_eq!(target(link, "/lib/modules/6.0/x.ko.xz").as_deref(), Some("/lib/modules/6.0/x.ko"));
        assert_eq!(
            target("etc/x", "../usr/lib/modules/6.0/x.ko.gz").as_deref(),
            Some("../usr/lib/modules/6.0/x.ko")
        );
        for other in ["/opt/x.ko.xz", "../x.ko", "../../../x.ko.xz", "x.ko.xz/."] {
            assert_eq!(target(link, other), None, "{other}");
        }
    }

    #[test]
    fn a_package_has_no_more_than_its_share() {
        let packed = zstd::encode_all(&[7; 1000][..], 1).unwrap();
        assert_eq!(unpack(Compression::Zstd, &packed, 0).unwrap(), [7; 1000]);
        assert_eq!(unpack(Compression::Zstd, &packed, PACKAGE_LIMIT - 1000).unwrap().len(), 1000);
        let error = unpack(Compression::Zstd, &packed, PACKAGE_LIMIT - 999).unwrap_err();
        assert_eq!(error.to_string(), "zstd data unpacks to more than the allowed 999 bytes");
        assert!(unpack(Compression::Xz, b"", 0).is_err());
    }
}
