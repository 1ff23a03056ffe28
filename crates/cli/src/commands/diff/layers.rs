//! `calypte diff --layers`: what a client of one image downloads for another.

use calypte_pipeline::diff::PackageChange;
use calypte_pipeline::layers::difference::{LayerDifference, LayerState, LayersDifference};

use crate::output::{self, Table};

/// How many packages of a layer are named.
const NAMED: usize = 3;

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

fn why(layer: &LayerDifference) -> String {
    let Some(reason) = layer.reason else { return String::new() };
    if layer.packages.is_empty() {
        return reason.word().to_owned();
    }
    let mut named: Vec<String> = layer.packages.iter().take(NAMED).map(change).collect();
    if layer.packages.len() > NAMED {
        named.push(format!("and {} more", layer.packages.len() - NAMED));
    }
    output::printable(&named.join(", "))
}

/// `openssl 3.5.1 → 3.5.2`, `+zlib1g 1.3`, `-perl-base 5.40`
fn change(change: &PackageChange) -> String {
    let PackageChange { name, from, to } = change;
    match (from, to) {
        (Some(from), Some(to)) => format!("{name} {from} → {to}"),
        (None, Some(to)) => format!("+{name} {to}"),
        (Some(from), None) => format!("-{name} {from}"),
        (None, None) => name.clone(),
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
}
