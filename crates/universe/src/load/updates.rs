//! The security advisories that an RPM repository publishes beside its packages (`updateinfo`), so that a new lock can
//! say which of them its updates bring. Rawhide itself has none; branches and overlays do.

use std::collections::BTreeSet;
use std::io::BufReader;

use calypte_formats::rpm_repository::updateinfo::{self, Update};
use calypte_store::Store;

use super::Packed;
use crate::error::UniverseError;
use crate::table::TableError;
use crate::table::rpm::evr;

/// What a repository says of a security fix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecurityUpdate {
    /// Its name (`FEDORA-2026-0123456789`).
    pub id: String,
    /// How grave it is, in the publisher's words; empty when it does not say.
    pub severity: String,
    /// The vulnerabilities that it names (`CVE-2026-1234`).
    pub vulnerabilities: BTreeSet<String>,
    /// Name and version of each package that brings the fix.
    pub packages: BTreeSet<(String, String)>,
}

/// Reads the security advisories of a repository; the others are passed over.
pub(super) fn read(store: &Store, packed: &Packed) -> Result<Vec<SecurityUpdate>, UniverseError> {
    let mut updates = Vec::new();
    let reader = BufReader::new(packed.open(store)?);
    let result: Result<(), TableError> = updateinfo::read(reader, &mut |update: &Update| {
        if update.kind == "security" {
            updates.push(security(update));
        }
        Ok(())
    });
    result.map_err(|source| packed.failed(source))?;
    Ok(updates)
}

fn security(update: &Update) -> SecurityUpdate {
    // Bodhi names the vulnerabilities in the titles of bugs, others as references of their own.
    let texts =
        update.references.iter().map(|reference| reference.id.as_str()).chain([update.title.as_str()]);
    let words =
        texts.flat_map(|text| text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-'));
    SecurityUpdate {
        id: update.id.clone(),
        severity: update.severity.clone().unwrap_or_default(),
        vulnerabilities: words.filter(|word| word.starts_with("CVE-")).map(str::to_owned).collect(),
        packages: update
            .packages
            .iter()
            .map(|package| {
                let version = evr(package.epoch, &package.version, Some(&package.release));
                (package.name.clone(), version)
            })
            .collect(),
    }
}
