//! What two images hold → the paths that differ, and in what.

use std::collections::BTreeSet;

use calypte_base::TreePath;
use calypte_image::read::{ImageFile, ImageFileKind, Listing};
use serde::Serialize;

/// Most paths that are told.
const MOST: usize = 100;

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileDifference {
    /// The path.
    pub path: TreePath,
    /// In what.
    pub what: Vec<What>,
    /// The layer of the published image that has it, from 1; none where only the rebuilt one has it.
    pub layer: Option<usize>,
}

/// In what a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Only the published image has it.
    OnlyPublished,
    /// Only the rebuilt image has it.
    OnlyRebuilt,
    /// It is a file here and a link there, or the like.
    Kind,
    /// Its bytes.
    Content,
    /// Where a link points to, or which device it is.
    Target,
    /// Its permissions.
    Mode,
    /// Its owner or group.
    Owner,
    /// Its extended attributes.
    Attributes,
    /// Its time.
    Time,
    /// The layer that it is in.
    Layer,
}

impl What {
    /// As it is shown.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OnlyPublished => "only in the published image",
            Self::OnlyRebuilt => "only in the rebuilt image",
            Self::Kind => "kind",
            Self::Content => "content",
            Self::Target => "target",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Attributes => "attributes",
            Self::Time => "time",
            Self::Layer => "layer",
        }
    }
}

impl FileDifference {
    /// Whether it is one that a running program sees, rather than in times and places alone.
    fn is_grave(&self) -> bool {
        self.what.iter().any(|what| !matches!(what, What::Time | What::Layer))
    }
}

/// The paths that differ, the grave ones first, and how many more there are. `in_layers` says whether the place in the layers
/// counts: where one image has more layers, it tells nothing.
pub(super) fn between(
    published: &Listing,
    rebuilt: &Listing,
    in_layers: bool,
) -> (Vec<FileDifference>, usize) {
    let paths: BTreeSet<&TreePath> = published.files.keys().chain(rebuilt.files.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let (theirs, ours) = (published.files.get(path), rebuilt.files.get(path));
        let what = match (theirs, ours) {
            (Some(theirs), Some(ours)) => compare(theirs, ours, in_layers),
            (Some(_), None) => vec![What::OnlyPublished],
            (None, _) => vec![What::OnlyRebuilt],
        };
        if !what.is_empty() {
            let layer = theirs.map(|file| file.layer + 1);
            found.push(FileDifference { path: path.clone(), what, layer });
        }
    }
    found.sort_by_key(|difference| !difference.is_grave());
    let further = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    (found, further)
}

fn compare(published: &ImageFile, rebuilt: &ImageFile, in_layers: bool) -> Vec<What> {
    use ImageFileKind::{BlockDevice, CharDevice, File, Symlink};
    let of_kind = match (&published.kind, &rebuilt.kind) {
        (left, right) if left == right => None,
        (File { digest: left, .. }, File { digest: right, .. }) => {
            // The same bytes under another first name are another kind of entry.
            Some(if left == right { What::Kind } else { What::Content })
        }
        (Symlink(_), Symlink(_)) | (CharDevice(..), CharDevice(..)) | (BlockDevice(..), BlockDevice(..)) => {
            Some(What::Target)
        }
        _ => Some(What::Kind),
    };
    let owner = |file: &ImageFile| (file.uid, file.gid);
    let checks = [
        (published.mode != rebuilt.mode, What::Mode),
        (owner(published) != owner(rebuilt), What::Owner),
        (published.xattrs != rebuilt.xattrs, What::Attributes),
        (published.mtime != rebuilt.mtime, What::Time),
        (in_layers && published.layer != rebuilt.layer, What::Layer),
    ];
    let others = checks.into_iter().filter_map(|(differs, what)| differs.then_some(what));
    of_kind.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use calypte_base::Digest;

    use super::*;

    fn file(content: &[u8]) -> ImageFile {
        let (digest, size) = (Digest::of(content), content.len() as u64);
        let kind = ImageFileKind::File { digest, size, hard_link: None };
        ImageFile { kind, mode: 0o644, uid: 0, gid: 0, mtime: 1, xattrs: BTreeMap::new(), layer: 0 }
    }

    fn listing(files: &[(&str, ImageFile)]) -> Listing {
        let files = files.iter().map(|(path, file)| (TreePath::new(path).unwrap(), file.clone()));
        Listing { files: files.collect(), contents: BTreeMap::new() }
    }

    #[test]
    fn each_path_is_told_with_all_in_which_it_differs() {
        let link = |target: &str| ImageFile { kind: ImageFileKind::Symlink(target.to_owned()), ..file(b"") };
        let published = listing(&[
            ("a/time", file(b"1")),
            ("b/same", file(b"1")),
            ("c/bytes", ImageFile { mode: 0o4755, layer: 2, ..file(b"1") }),
            ("d/link", link("x")),
            ("e/kind", link("x")),
            ("f/added", file(b"1")),
        ]);
        let attributes = BTreeMap::from([("user.x".to_owned(), Vec::new())]);
        let rebuilt = listing(&[
            ("a/time", ImageFile { mtime: 2, ..file(b"1") }),
            ("b/same", file(b"1")),
            ("c/bytes", ImageFile { gid: 7, xattrs: attributes, layer: 1, ..file(b"2") }),
            ("d/link", link("y")),
            ("e/kind", file(b"x")),
            ("g/lacking", file(b"1")),
        ]);
        let (found, further) = between(&published, &rebuilt, true);
        let found: Vec<_> =
            found.iter().map(|one| (one.path.as_str(), one.what.as_slice(), one.layer)).collect();
        let bytes = [What::Content, What::Mode, What::Owner, What::Attributes, What::Layer];
        let expected: [(&str, &[What], Option<usize>); 6] = [
            ("c/bytes", &bytes, Some(3)),
            ("d/link", &[What::Target], Some(1)),
            ("e/kind", &[What::Kind], Some(1)),
            ("f/added", &[What::OnlyPublished], Some(1)),
            ("g/lacking", &[What::OnlyRebuilt], None),
            ("a/time", &[What::Time], Some(1)),
        ];
        assert_eq!((found.as_slice(), further), (expected.as_slice(), 0));
        assert!(between(&published, &published, true).0.is_empty());
    }

    #[test]
    fn the_list_is_bounded_and_the_grave_stand_first() {
        let paths: Vec<String> = (0..150).map(|number| format!("{number:03}")).collect();
        let of = |time: i64| -> Vec<(&str, ImageFile)> {
            paths.iter().map(|path| (path.as_str(), ImageFile { mtime: time, ..file(b"1") })).collect()
        };
        let mut changed = of(2);
        changed[149].1 = file(b"2");
        let (found, further) = between(&listing(&of(1)), &listing(&changed), true);
        assert_eq!((found.len(), further), (MOST, 50));
        assert_eq!((found[0].path.as_str(), found[0].what[0]), ("149", What::Content));
    }
}
