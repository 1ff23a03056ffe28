//! The records of any image, read back: which packages it says that it holds. A tree of either format, ours or not.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_formats::deb822;
use calypte_rpmdb::DatabaseError;

use super::{database, rpm, status_d};

/// Whether a file records packages: dpkg's database, one of its single records, or rpm's database.
#[must_use]
pub fn is_record(path: &TreePath) -> bool {
    path.as_str() == database::STATUS
        || path.as_str() == rpm::PATH
        || path
            .parent()
            .is_some_and(|parent| [status_d::DIRECTORY, status_d::OF_HOSTS].contains(&parent.as_str()))
            && !path.as_str().ends_with(".md5sums")
}

/// The packages that records name: name → version. Of a Debian record what cannot be read names nothing.
///
/// # Errors
/// When rpm's database cannot be read.
pub fn packages(records: &BTreeMap<TreePath, Vec<u8>>) -> Result<BTreeMap<String, String>, DatabaseError> {
    let mut packages = BTreeMap::new();
    for (path, bytes) in records {
        if path.as_str() == rpm::PATH {
            for header in calypte_rpmdb::headers(bytes)? {
                if let Ok(identity) = header.identity() {
                    packages.insert(crate::unpack::rpm_name(&identity), identity.version);
                }
            }
            continue;
        }
        for paragraph in deb822::paragraphs(bytes).flatten() {
            if let (Some(name), Some(version)) = (paragraph.get("Package"), paragraph.get("Version")) {
                packages.insert(name.to_owned(), version.to_owned());
            }
        }
    }
    Ok(packages)
}
