//! What is asked of the solver: an image's packages, and the rules under which their dependencies are met.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, PackageFormat};
use calypte_universe::rules::Assumed;
use calypte_universe::rules::kernel::any_kernel;
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
    /// What no image may get.
    pub blocked: Blocked,
}

/// Versions of packages that must not be chosen: name → version → why not.
pub type Blocked = BTreeMap<String, BTreeMap<String, String>>;

impl Request<'_> {
    /// The digest of all that the answer depends on beside the repositories, where `chosen` is the answer: the names of
    /// the image's packages. A lock holds it for each image, so that `lock --check` sees a changed definition or a changed
    /// list of assumed packages without any repository. What is assumed for the dependencies of a package that was not
    /// chosen is no part of it, and nor are reasons: else each new rule would put every lock of a universe out of date.
    #[must_use]
    pub fn digest(&self, format: PackageFormat, chosen: &BTreeSet<&str>) -> Digest {
        #[derive(Serialize)]
        struct Canonical<'a> {
            /// Changes when the same request is answered differently.
            rules: u32,
            format: PackageFormat,
            packages: &'a BTreeSet<String>,
            prefer: &'a BTreeMap<String, String>,
            everywhere: Vec<&'a String>,
            only_for: BTreeMap<&'a String, Vec<&'a String>>,
            only_for_scripts: Vec<&'a String>,
        }
        // What is blocked is no part of it: a lock from before stays good until there is another answer.
        let Self { packages, prefer, assumed, blocked: _ } = self;
        let kernels: BTreeSet<String> = chosen.iter().filter_map(|name| any_kernel(name)).collect();
        let is_chosen = |name: &String| chosen.contains(name.as_str()) || kernels.contains(name);
        let of_chosen = assumed.only_for.iter().filter(|(depender, _)| is_chosen(depender));
        let canonical = Canonical {
            rules: 2,
            format,
            packages,
            prefer,
            everywhere: assumed.everywhere.keys().collect(),
            only_for: of_chosen.map(|(depender, names)| (depender, names.keys().collect())).collect(),
            only_for_scripts: assumed.only_for_scripts.keys().collect(),
        };
        // Strings in ordered maps: there is nothing in it that JSON cannot hold.
        let text = serde_json::to_vec(&canonical).unwrap_or_default();
        Digest::of(&text)
    }

    /// Why a dependency on this name need not be met by a package of the image.
    pub(crate) fn assumed(&self, depender: Option<&str>, name: &str) -> bool {
        !self.packages.contains(name) && self.assumed.reason(depender.unwrap_or_default(), name).is_some()
    }

    /// Why a version of a package must not be chosen; none where it may.
    pub(crate) fn blocked(&self, name: &str, version: &str) -> Option<&str> {
        self.blocked.get(name)?.get(version).map(String::as_str)
    }

    /// Whether scriptlets need not have this.
    pub(crate) fn assumed_for_scripts(&self, name: &str) -> bool {
        !self.packages.contains(name) && self.assumed.reason_for_scripts(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(packages: &[&str], prefer: &[(&str, &str)], assumed: &'a Assumed) -> Request<'a> {
        let pair = |(name, package): &(&str, &str)| ((*name).to_owned(), (*package).to_owned());
        Request {
            packages: packages.iter().map(|name| (*name).to_owned()).collect(),
            prefer: prefer.iter().map(pair).collect(),
            assumed,
            blocked: Blocked::new(),
        }
    }

    #[test]
    fn the_digest_changes_with_each_part_of_the_request() {
        let (none, mut some) = (Assumed::default(), Assumed::default());
        some.everywhere.insert("dpkg".to_owned(), "reason".to_owned());
        let chosen = BTreeSet::from(["a"]);
        let digests: BTreeSet<Digest> = [
            request(&["a"], &[], &none).digest(PackageFormat::Deb, &chosen),
            request(&["a"], &[], &none).digest(PackageFormat::Rpm, &chosen),
            request(&["a", "b"], &[], &none).digest(PackageFormat::Deb, &chosen),
            request(&["a"], &[("x", "y")], &none).digest(PackageFormat::Deb, &chosen),
            request(&["a"], &[], &some).digest(PackageFormat::Deb, &chosen),
        ]
        .into();
        assert_eq!(digests.len(), 5);
        let again = request(&["b", "a"], &[], &none).digest(PackageFormat::Deb, &chosen);
        assert_eq!(again, request(&["a", "b"], &[], &none).digest(PackageFormat::Deb, &chosen));
        // What is assumed for one package is nothing to the images that do not have it.
        let only_for = |depender: &str, reason: &str| {
            let rule = BTreeMap::from([("perl".to_owned(), reason.to_owned())]);
            Assumed { only_for: [(depender.to_owned(), rule)].into(), ..Assumed::default() }
        };
        let of = |assumed: &Assumed| request(&["a"], &[], assumed).digest(PackageFormat::Deb, &chosen);
        assert_eq!(of(&only_for("other", "reason")), of(&none));
        assert_ne!(of(&only_for("a", "reason")), of(&none));
        assert_eq!(of(&only_for("a", "reason")), of(&only_for("a", "better said")));
        // Pinned: another digest for the same request would call every lock out of date.
        assert_eq!(again.hex()[..12], *"e8e59ce46931");
    }
}
