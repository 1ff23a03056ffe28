//! Two states of images' sizes: what grew, and by how much more than is let pass.

use std::collections::BTreeMap;

use calypte_base::Architecture;
use serde::Serialize;

use super::explained::Explanation;
use super::record::{Size, SizeRecord};

/// Growth that is let pass: this much, or a fiftieth of the size, whichever is more.
const SLACK: u64 = 100_000;

/// The share of the size that is let pass: one in so many.
const SHARE: u64 = 50;

/// An image now and before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The image.
    pub image: String,
    /// For which machine.
    pub architecture: Architecture,
    /// Its size.
    pub now: Size,
    /// Its size before; none of an image that is new.
    pub before: Option<Size>,
    /// Whether its download can be held against the one before: the compressor is the same.
    pub same_compressor: bool,
    /// How it grew, if it did by more than is let pass.
    pub growth: Option<Growth>,
}

/// More than is let pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// By how many bytes, of unpacked and download the larger.
    pub by: u64,
    /// Why, if that is explained.
    pub reason: Option<String>,
}

/// Compares sizes with a record that has this name.
#[must_use]
pub fn compare(
    now: &SizeRecord,
    before: Option<(&SizeRecord, &str)>,
    explained: &[Explanation],
) -> Vec<Compared> {
    let mut all = Vec::new();
    for (image, architectures) in &now.images {
        for (architecture, size) in architectures {
            let old = before.and_then(|(record, name)| {
                Some((record.images.get(image)?.get(architecture).copied()?, record, name))
            });
            let same_compressor = old.is_some_and(|(_, record, _)| record.compressor == now.compressor);
            let growth = old.and_then(|(old, _, name)| {
                let by = grown(&old, size, same_compressor)?;
                let explanation = explained.iter().find(|explanation| explanation.covers(image, by, name));
                Some(Growth { by, reason: explanation.map(|explanation| explanation.reason.clone()) })
            });
            all.push(Compared {
                image: image.clone(),
                architecture: *architecture,
                now: *size,
                before: old.map(|(old, _, _)| old),
                same_compressor,
                growth,
            });
        }
    }
    all
}

/// The larger of what is more than is let pass.
fn grown(before: &Size, now: &Size, same_compressor: bool) -> Option<u64> {
    let more = |before: u64, now: u64| {
        let growth = now.saturating_sub(before);
        (growth > SLACK.max(before / SHARE)).then_some(growth)
    };
    let unpacked = more(before.unpacked, now.unpacked);
    let download = more(before.download, now.download).filter(|_| same_compressor);
    unpacked.max(download)
}

/// The images of the record that are there no more.
#[must_use]
pub fn gone(now: &SizeRecord, before: &SizeRecord) -> BTreeMap<String, Vec<Architecture>> {
    let mut gone: BTreeMap<String, Vec<Architecture>> = BTreeMap::new();
    for (image, architectures) in &before.images {
        for architecture in architectures.keys() {
            if !now.images.get(image).is_some_and(|now| now.contains_key(architecture)) {
                gone.entry(image.clone()).or_default().push(*architecture);
            }
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::super::explained::name_of;
    use super::super::record::SCHEMA;
    use super::*;

    fn record(compressor: &str, images: &[(&str, u64, u64)]) -> SizeRecord {
        let of = |(image, download, unpacked): &(&str, u64, u64)| {
            let size = Size { download: *download, unpacked: *unpacked, packages: 3 };
            ((*image).to_owned(), BTreeMap::from([(Architecture::Amd64, size)]))
        };
        SizeRecord {
            schema: SCHEMA.to_owned(),
            universe: "u".to_owned(),
            compressor: compressor.to_owned(),
            images: images.iter().map(of).collect(),
        }
    }

    #[test]
    fn a_fiftieth_or_a_hundred_kilobytes_pass_and_more_does_not() {
        for (before, now, expected) in [
            ((1_000, 1_000), (101_000, 101_000), None),
            ((1_000, 1_000), (1_000, 101_001), Some(100_001)),
            ((1_000, 1_000), (101_001, 1_000), Some(100_001)),
            ((10_000_000, 50_000_000), (10_200_000, 51_000_000), None),
            ((10_000_000, 50_000_000), (10_200_001, 51_000_000), Some(200_001)),
            ((10_000_000, 50_000_000), (10_200_001, 51_000_001), Some(1_000_001)),
            ((10_000_000, 50_000_000), (1, 1), None),
        ] {
            let (old, new) = (record("c", &[("x", before.0, before.1)]), record("c", &[("x", now.0, now.1)]));
            let compared = compare(&new, Some((&old, "n")), &[]);
            let growth = compared[0].growth.clone().map(|growth| growth.by);
            assert_eq!(growth, expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn downloads_of_another_compressor_are_not_held_against_each_other() {
        let (old, new) = (record("zstd 19", &[("x", 1, 1)]), record("zstd 1", &[("x", 5_000_000, 1)]));
        let compared = compare(&new, Some((&old, "n")), &[]);
        assert_eq!((compared[0].growth.clone(), compared[0].same_compressor), (None, false));
        let bigger = record("zstd 1", &[("x", 5_000_000, 5_000_000)]);
        assert!(compare(&bigger, Some((&old, "n")), &[])[0].growth.is_some());
    }

    #[test]
    fn an_explanation_excuses_one_growth_and_new_images_need_none() {
        let old = record("c", &[("x", 0, 0), ("gone", 1, 1)]);
        let new = record("c", &[("x", 0, 300_000), ("new", 9_000_000, 9_000_000)]);
        let name = name_of(&old.to_text().unwrap());
        let explanation = Explanation {
            images: vec!["x".to_owned()],
            by: 300_000,
            record: name.clone(),
            reason: "more locales".to_owned(),
        };
        let compared = compare(&new, Some((&old, &name)), std::slice::from_ref(&explanation));
        assert_eq!((compared[0].before, compared[0].growth.clone()), (None, None));
        assert_eq!(compared[1].growth.as_ref().unwrap().reason.as_deref(), Some("more locales"));
        let other = compare(&new, Some((&old, "another")), &[explanation]);
        assert_eq!(other[1].growth, Some(Growth { by: 300_000, reason: None }));
        assert_eq!(gone(&new, &old), BTreeMap::from([("gone".to_owned(), vec![Architecture::Amd64])]));
    }
}
