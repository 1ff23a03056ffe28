//! `assumed.yaml`: the dependencies that an image does without, each with the reason.
//!
//! Many packages depend on others only for their maintainer scripts, or for tools that an administrator would run.
//! No script is run here, so those dependencies would fill a distroless image with shells and interpreters.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kernel::any_kernel;

/// Packages that count as present without being in the image, unless the definition names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Assumed {
    /// Package → reason: present for whatever depends on it, or on something that it provides, in any version.
    #[serde(default)]
    pub everywhere: BTreeMap<String, String>,
    /// Package (`linux-image-{kernel}`: of any kernel) → package that it depends on → reason: that dependency alone is left out; the package that it names
    /// is real for all others.
    #[serde(default)]
    pub only_for: BTreeMap<String, BTreeMap<String, String>>,
    /// Package or path → reason: present for the dependencies that only scriptlets have, which RPM tells apart
    /// (`Requires(post)`); real for all others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only_for_scripts: BTreeMap<String, String>,
}

impl Assumed {
    /// Whether nothing at all is assumed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.everywhere.is_empty() && self.only_for.is_empty() && self.only_for_scripts.is_empty()
    }

    /// Why `dependency` need not be there when `package` depends on it; none when it must be.
    #[must_use]
    pub fn reason(&self, package: &str, dependency: &str) -> Option<&str> {
        let scoped = self.of(package).and_then(|dependencies| dependencies.get(dependency));
        scoped.or_else(|| self.everywhere.get(dependency)).map(String::as_str)
    }

    /// The rules for one package; for the packages of a kernel those that are written for any kernel.
    fn of(&self, package: &str) -> Option<&BTreeMap<String, String>> {
        self.only_for.get(package).or_else(|| self.only_for.get(&any_kernel(package)?))
    }

    /// Why `dependency` need not be there for the scriptlets of any package; none when it must be.
    #[must_use]
    pub fn reason_for_scripts(&self, dependency: &str) -> Option<&str> {
        self.only_for_scripts.get(dependency).map(String::as_str)
    }
}
