//! What is asked of the solver: an image's packages, and the rules under which their dependencies are met.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, PackageFormat};
use calypte_universe::rules::Assumed;
use serde::Serialize;

/// The request of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// The packages that the definition names.
    pub packages: BTreeSet<String>,
    /// Name that several packages provide, or an alternative among others → the package to take for it.
    pub prefer: BTreeMap<String, String>,
    /// The packages that count as present, unless `packages` names them.
    pub assumed: &'a Assumed,
}

impl Request<'_> {
    /// The digest of all that the answer depends on beside the repositories. A lock holds it for each image, so that
    /// `lock --check` sees a changed definition or a changed list of assumed packages without any repository.
    #[must_use]
    pub fn digest(&self, format: PackageFormat) -> Digest {
        #[derive(Serialize)]
        struct Canonical<'a> {
            /// Changes when the same request is answered differently.
            rules: u32,
            format: PackageFormat,
            packages: &'a BTreeSet<String>,
            prefer: &'a BTreeMap<String, String>,
            assumed: &'a Assumed,
        }
        let Self { packages, prefer, assumed } = self;
        let canonical = Canonical { rules: 1, format, packages, prefer, assumed };
        // Strings in ordered maps: there is nothing in it that JSON cannot hold.
        let text = serde_json::to_vec(&canonical).unwrap_or_default();
        Digest::of(&text)
    }

    /// Why a dependency on this name need not be met by a package of the image.
    pub(crate) fn assumed(&self, depender: Option<&str>, name: &str) -> bool {
        !self.packages.contains(name) && self.assumed.reason(depender.unwrap_or_default(), name).is_some()
    }

    /// Whether scriptlets need not have this.
    pub(crate) fn assumed_for_scripts(&self, name: &str) -> bool {
        !self.packages.contains(name) && self.assumed.reason_for_scripts(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_changes_with_each_part_of_the_request() {
        let (none, mut some) = (Assumed::default(), Assumed::default());
        some.everywhere.insert("dpkg".to_owned(), "reason".to_owned());
        let request = |packages: &[&str], prefer: &[(&str, &str)], assumed| Request {
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
            prefer: prefer
                .iter()
                .map(|(name, package)| ((*name).to_owned(), (*package).to_owned()))
                .collect(),
            assumed,
        };
        let digests: BTreeSet<Digest> = [
            request(&["a"], &[], &none).digest(PackageFormat::Deb),
            request(&["a"], &[], &none).digest(PackageFormat::Rpm),
            request(&["a", "b"], &[], &none).digest(PackageFormat::Deb),
            request(&["a"], &[("x", "y")], &none).digest(PackageFormat::Deb),
            request(&["a"], &[], &some).digest(PackageFormat::Deb),
        ]
        .into();
        assert_eq!(digests.len(), 5);
        let again = request(&["b", "a"], &[], &none).digest(PackageFormat::Deb);
        assert_eq!(again, request(&["a", "b"], &[], &none).digest(PackageFormat::Deb));
        // Pinned: another digest for the same request would call every lock out of date.
        assert_eq!(again.hex()[..12], *"18b88b3d1da0");
    }
}
