//! A container image's tree made a host's, as composefs-rs does it (its `transform_for_oci` and `transform_for_boot`), so
//! that the digest is the one that its tools compute.

use calypte_base::TreePath;

use crate::{ImageError, Tree};

/// What is filled at run time, or holds what is not part of the tree: the kernel image in `/boot` has the tree's digest
/// inside.
const EMPTIED: [&str; 3] = ["boot", "run", "sysroot"];

/// The one extended attribute that stays: the others are mostly those of the machine that built the image.
const KEPT_ATTRIBUTE: &str = "security.capability";

impl Tree {
    /// Empties `/boot`, `/run` and `/sysroot`, gives them the time of `/usr` and the root directory all of its attributes
    /// (layers often have no entry for the root), and leaves out extended attributes but file capabilities.
    ///
    /// # Errors
    /// When there is no `/usr`.
    pub fn prepare_for_boot(&mut self) -> Result<(), ImageError> {
        let missing = ImageError::Missing { name: "usr" };
        let path = |name| TreePath::new(name).map_err(ImageError::invalid);
        let usr = self.get(&path("usr")?).cloned().ok_or(missing)?;
        for name in EMPTIED {
            let directory = path(name)?;
            self.clear(&directory);
            if let Some(node) = self.get_mut(&directory) {
                node.mtime = usr.mtime;
            }
        }
        self.insert(TreePath::root(), usr);
        let paths: Vec<TreePath> = self.iter().map(|(path, _)| path.clone()).collect();
        for path in paths {
            if let Some(node) = self.get_mut(&path) {
                node.xattrs.retain(|name, _| name == KEPT_ATTRIBUTE);
            }
        }
        Ok(())
    }
}
