//! `calypte diff --layers`: what a client of one image downloads for another.

use std::collections::BTreeMap;

use calypte_pipeline::diff::PackageChange;
use calypte_pipeline::layers::difference::{LayerDifference, LayerState, LayersDifference};

use crate::output::{self, Table};

/// How many packages of a layer are named.
const NAMED: usize = 3;

/// Characters after which no further package of a layer is named.
const WIDEST: usize = 100;

/// The table, and the sums.
pub fn text(difference: &LayersDifference) -> String {
    let mut table = Table::new(&["#", "LAYER", "STATE", "DOWNLOAD", "CHUNKED", "WHY"], &[0, 3, 4]);
    for layer in &difference.layers {
        let size = |bytes| match layer.state {
            LayerState::Kept => "-".to_owned(),
            LayerState::New => output::bytes(bytes),
        };
        table.row(vec![
            layer.number.to_string(),
            layer.name.as_deref().map_or_else(|| "-".to_owned(), output::printable),
            layer.state.word().to_owned(),
            size(layer.whole),
            size(layer.chunked),
            why(layer),
        ]);
    }
    let new = difference.layers.iter().filter(|layer| layer.state == LayerState::New).count();
    let head = format!("from {}\n  to {} for {}\n", difference.from, difference.to, difference.architecture);
    if difference.is_empty() {
        return head + "nothing to download\n";
    }
    format!(
        "{head}\n{}\nto download: {} of {}, in {new} of {} layers\nby chunks:   {}, where a client reads the tables of \
         zstd:chunked layers\nbeside them: {} of manifest and config\n",
        table.render(),
        output::bytes(difference.whole),
        output::bytes(difference.size),
        difference.layers.len(),
        output::bytes(difference.chunked),
        output::bytes(difference.documents)
    )
}

/// Why a layer is new: `openssl 3.5.1 → 3.5.2, libssl3, +zlib1g 1.3, and 2 more`. The package that the layer is called
/// after comes first, and a package with the versions of the one before it goes without.
fn why(layer: &LayerDifference) -> String {
    let Some(reason) = layer.reason else { return String::new() };
    if layer.packages.is_empty() {
        return reason.word().to_owned();
    }
    let mut packages: Vec<&PackageChange> = layer.packages.iter().collect();
    packages.sort_by_key(|package| Some(&package.name) != layer.name.as_ref());
    let mut places = BTreeMap::new();
    for (place, package) in packages.iter().enumerate() {
        places.entry((&package.from, &package.to)).or_insert(place);
    }
    packages.sort_by_key(|package| places.get(&(&package.from, &package.to)));
    let mut text = String::new();
    let mut before = None;
    for (named, package) in packages.iter().enumerate() {
        let versions = (&package.from, &package.to);
        let item = match before == Some(versions) {
            true => format!("{}{}", sign(package), package.name),
            false => change(package),
        };
        if named > 0 {
            if named == NAMED || text.chars().count() + item.chars().count() > WIDEST {
                text.push_str(&format!(", and {} more", packages.len() - named));
                break;
            }
            text.push_str(", ");
        }
        text.push_str(&item);
        before = Some(versions);
    }
    output::printable(&text)
}

/// `openssl 3.5.1 → 3.5.2`, `+zlib1g 1.3`, `-perl-base 5.40`
fn change(package: &PackageChange) -> String {
    let versions: Vec<&str> = package.from.iter().chain(&package.to).map(String::as_str).collect();
    format!("{}{} {}", sign(package), package.name, versions.join(" → "))
}

const fn sign(package: &PackageChange) -> &'static str {
    match (&package.from, &package.to) {
        (None, Some(_)) => "+",
        (Some(_), None) => "-",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use calypte_base::{Architecture, Digest};
    use calypte_pipeline::layers::difference::Reason;

    use super::*;

    fn layer(
        number: usize,
        reason: Option<Reason>,
        packages: &[(&str, Option<&str>, Option<&str>)],
    ) -> LayerDifference {
        let is_new = reason.is_some();
        let change = |(name, from, to): &(&str, Option<&str>, Option<&str>)| PackageChange {
            name: (*name).to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        LayerDifference {
            number,
            name: (reason != Some(Reason::Unknown)).then(|| format!("layer-{number}")),
            digest: Digest::of(b""),
            size: 2_000_000,
            state: if is_new { LayerState::New } else { LayerState::Kept },
            reason,
            packages: packages.iter().map(change).collect(),
            whole: if is_new { 2_000_000 } else { 0 },
            chunked: if is_new { 40_000 } else { 0 },
        }
    }

    #[test]
    fn a_table_of_an_update_and_of_none() {
        let (old, new) = (Some("1-1"), Some("2-1"));
        let mut difference = LayersDifference {
            from: "oci:old".into(),
            to: "nginx".into(),
            architecture: Architecture::Amd64,
            size: 10_000_000,
            whole: 8_000_000,
            chunked: 160_000,
            documents: 5_000,
            layers: vec![
                layer(1, None, &[]),
                layer(
                    2,
                    Some(Reason::Packages),
                    &[("openssl", old, new), ("perl", old, None), ("zlib", None, new)],
                ),
                layer(
                    3,
                    Some(Reason::Packages),
                    &[("a", old, new), ("b", old, new), ("c", old, new), ("d", old, new)],
                ),
                layer(4, Some(Reason::Packing), &[]),
                layer(5, Some(Reason::Unknown), &[]),
            ],
        };
        let plain = |difference: &_| anstream::adapter::strip_str(&text(difference)).to_string();
        insta::assert_snapshot!("update", plain(&difference));
        (difference.whole, difference.documents) = (0, 0);
        insta::assert_snapshot!("none", plain(&difference));
    }
    #[test]
    fn packages_of_one_source_share_its_version() {
        let versions = (Some("3.11.2-6+deb12u5"), Some("3.11.2-6+deb12u6"));
        let name = |name: &'static str| (name, versions.0, versions.1);
        let packages = [
            ("libpython3.11", versions.0, None),
            name("libpython3.11-minimal"),
            name("libpython3.11-stdlib"),
            name("python3.11"),
            name("python3.11-minimal"),
        ];
        let why = |name: &str, packages: &[_]| {
            let layer = layer(1, Some(Reason::Packages), packages);
            super::why(&LayerDifference { name: Some(name.to_owned()), ..layer })
        };
        assert_eq!(
            why("python3.11", &packages),
            "python3.11 3.11.2-6+deb12u5 → 3.11.2-6+deb12u6, libpython3.11-minimal, libpython3.11-stdlib, and 2 more"
        );
        // Those of other versions keep theirs, and what would be too long is counted.
        assert_eq!(
            why("shared/1", &packages[..3]),
            "-libpython3.11 3.11.2-6+deb12u5, libpython3.11-minimal 3.11.2-6+deb12u5 → 3.11.2-6+deb12u6, and 1 more"
        );
    }
}
