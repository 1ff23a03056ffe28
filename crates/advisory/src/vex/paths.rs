//! Whether the `paths` of a reviewed statement name anything: a path that no package has proves of every image that it is not
//! there. So what is proved from paths is checked against the files that the packages have before anything is left out.

use std::collections::BTreeSet;

use super::apply::globs;
use super::model::{Product, Statement, Whole};
use super::purl::Purl;

/// Whether a statement is about a package, in whichever version and image; `source` is the source package's name.
#[must_use]
pub fn is_about(statement: &Statement, package: &Purl, source: &str) -> bool {
    let named = |product: &Product| {
        let Some(named) = (match (&product.part, &product.whole) {
            (Some(part), _) => Some(part.clone()),
            (None, Whole::Package(purl)) => Some(purl.clone()),
            _ => None,
        }) else {
            return false;
        };
        let name = if named.is_source() { source } else { package.name.as_str() };
        let is_vendor = named.namespace.is_empty() || named.vendor() == package.vendor();
        named.kind == package.kind && is_vendor && named.name == name
    };
    statement.products.iter().any(named)
}

/// The paths of a statement that none of these files has.
#[must_use]
pub fn unmatched<'f>(
    statement: &Statement,
    files: impl Iterator<Item = &'f str> + Clone,
) -> BTreeSet<String> {
    let is_missing = |path: &&String| {
        let one = BTreeSet::from([(*path).clone()]);
        globs(&one).is_some_and(|glob| !files.clone().any(|file| glob.is_match(file)))
    };
    statement.paths.iter().filter(is_missing).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::merge::tests::statement;
    use super::*;

    #[test]
    fn a_package_is_named_by_itself_or_by_its_source_in_any_version() {
        let package: Purl = "pkg:deb/debian/perl-base@5.40?arch=amd64".parse().unwrap();
        for (purl, expected) in [
            ("pkg:deb/debian/perl?arch=source", true),
            ("pkg:deb/debian/perl-base@1", true),
            ("pkg:deb/perl-base", true),
            ("pkg:deb/debian/perl", false),
            ("pkg:deb/ubuntu/perl-base", false),
            ("pkg:rpm/debian/perl-base", false),
        ] {
            assert_eq!(is_about(&statement("CVE-2026-0001", purl), &package, "perl"), expected, "{purl}");
        }
    }

    #[test]
    fn each_path_is_looked_for() {
        let mut of = statement("CVE-2026-0001", "pkg:deb/debian/perl");
        of.paths = ["/usr/bin/perl*", "/usr/lib/**/Tar.pm", "/usr/bin/prel"].map(str::to_owned).into();
        let files = ["/usr/bin/perl5.40", "/usr/lib/a/b/Tar.pm"];
        assert_eq!(unmatched(&of, files.into_iter()), BTreeSet::from(["/usr/bin/prel".to_owned()]));
    }
}
