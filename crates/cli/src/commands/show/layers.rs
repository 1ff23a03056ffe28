//! `calypte show --layers`: the layers of an image in their order, with a picture of their sizes on terminals.

use calypte_pipeline::layers::{LayersShown, ShownLayer};

use crate::output::{self, Table};

/// How many groups of a layer are named.
const NAMED: usize = 3;

/// Characters of the longest bar.
const WIDTH: u64 = 30;

/// Parts into which a character of a bar can be cut, and the blocks that are so many parts wide.
const PARTS: u64 = 8;
const BLOCKS: [&str; PARTS as usize] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The table; with a bar for each layer, as long as its share of the largest.
pub fn text(shown: &LayersShown, bars: bool) -> String {
    let mut titles = vec!["#", "LAYER", "PACKAGES", "DOWNLOAD", "UNPACKED", "FILES"];
    if bars {
        titles.push("");
    }
    let mut table = Table::new(&titles, &[0, 3, 4, 5]);
    let largest = shown.layers.iter().map(|layer| layer.size).max().unwrap_or(0);
    for layer in &shown.layers {
        let mut row = vec![
            layer.number.to_string(),
            layer.name.as_deref().map_or_else(unknown, output::printable),
            packages(layer),
            output::bytes(layer.size),
            layer.unpacked_size.map_or_else(unknown, output::bytes),
            layer.files.map_or_else(unknown, |files| files.to_string()),
        ];
        if bars {
            row.push(bar(layer.size, largest));
        }
        table.row(row);
    }
    format!(
        "{} for {}: {}, {} to download, {} unpacked, {} files\n{}\n\n{}",
        shown.image,
        shown.architecture,
        match shown.layers.len() {
            1 => "1 layer".to_owned(),
            count => format!("{count} layers"),
        },
        output::bytes(shown.size),
        output::bytes(shown.unpacked_size),
        shown.files,
        shown.digest,
        table.render()
    )
}

/// What stands where nothing is known.
fn unknown() -> String {
    "-".to_owned()
}

/// `12: acl, attr, bzip2, …`
fn packages(layer: &ShownLayer) -> String {
    let Some(groups) = &layer.groups else { return unknown() };
    if groups.is_empty() {
        return "0".to_owned();
    }
    let named: Vec<String> = groups.iter().take(NAMED).map(|group| output::printable(group)).collect();
    let more = if groups.len() > NAMED { ", …" } else { "" };
    format!("{}: {}{more}", groups.len(), named.join(", "))
}

/// A bar of at least one part.
fn bar(size: u64, largest: u64) -> String {
    let full = u128::from(WIDTH * PARTS);
    let parts = (u128::from(size) * full / u128::from(largest.max(1))).max(1);
    // Not more than `full`, which fits.
    let parts = u64::try_from(parts.min(full)).unwrap_or(0);
    let rest = usize::try_from(parts % PARTS).ok().and_then(|rest| BLOCKS.get(rest));
    (0..parts / PARTS).map(|_| "█").chain(rest.copied()).collect()
}

#[cfg(test)]
mod tests {
    use calypte_base::{Architecture, Digest};

    use super::*;

    fn layer(number: usize, name: Option<&str>, groups: Option<&[&str]>, size: u64) -> ShownLayer {
        ShownLayer {
            number,
            name: name.map(str::to_owned),
            groups: groups.map(|groups| groups.iter().map(ToString::to_string).collect()),
            digest: Digest::of(b""),
            size,
            unpacked_size: name.map(|_| 3 * size),
            files: name.map(|_| 12),
        }
    }

    #[test]
    fn a_table_with_and_without_bars() {
        let layers = vec![
            layer(1, Some("glibc"), Some(&["glibc"]), 2_000_000),
            layer(2, Some("shared/seldom-1"), Some(&["acl", "attr", "bzip2", "zlib"]), 700_000),
            layer(3, Some("image/generated"), Some(&[]), 900),
            layer(4, None, None, 1_000_000),
        ];
        let shown = LayersShown {
            image: "base".into(),
            architecture: Architecture::Amd64,
            digest: Digest::of(b""),
            size: 3_700_900,
            unpacked_size: 8_102_700,
            files: 36,
            layers,
        };
        let plain = |bars| anstream::adapter::strip_str(&text(&shown, bars)).to_string();
        insta::assert_snapshot!("layers", plain(false));
        insta::assert_snapshot!("layers_with_bars", plain(true));
    }
}
