//! Which images stay. Those that a tag leads to do, always; the others can be forgotten when nobody has pushed them and no tag
//! has led to them for long. With an image goes what refers to it: signatures, bills, statements.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use calypte_base::{Digest, Epoch};

use super::manifests::Named;
use super::{Key, Problem, Registry, files};

/// What would be forgotten, and what stays.
#[derive(Debug, Default)]
pub struct Retention {
    /// Blobs and manifests that the repositories have and keep: their bytes must stay in the store.
    pub keep: BTreeSet<Digest>,
    /// How many manifests go.
    pub manifests: usize,
    /// The files that say that a repository has them; what leads to a manifest before the manifest's own, so that one that is
    /// cut leaves nothing that leads nowhere.
    files: Vec<PathBuf>,
}

/// A tag that stands for what refers to an image, in the way of registries without the referrers API.
struct Fallback {
    tag: String,
    subject: Digest,
    leads_to: Digest,
}

/// A repository, while it is decided what stays.
struct Walk<'a> {
    registry: &'a Registry,
    name: &'a str,
    directory: PathBuf,
    fallback: Vec<Fallback>,
    /// All manifests that the repository has.
    known: BTreeSet<Digest>,
    /// Those that stay, and the blobs that they name.
    manifests: BTreeSet<Digest>,
    blobs: BTreeSet<Digest>,
}

/// The image that a tag like `sha256-HEX` or `sha256-HEX.sig` speaks of.
fn subject_of_tag(tag: &str) -> Option<Digest> {
    let hex = tag.strip_prefix("sha256-")?.split('.').next()?;
    format!("sha256:{hex}").parse().ok()
}

fn digests(directory: &Path) -> io::Result<Vec<Digest>> {
    let names = files::list(directory)?;
    Ok(names.iter().filter_map(|name| format!("sha256:{name}").parse().ok()).collect())
}

fn is_young(path: &Path, since: Epoch) -> bool {
    files::changed(path).is_some_and(|changed| changed >= since)
}

impl Walk<'_> {
    /// The manifest that a tag leads to.
    fn tagged(&self, tag: &str) -> Result<Digest, Problem> {
        let tagged = self.registry.tagged(self.name, tag)?;
        // No manifest must go because nobody knows that a tag leads to it.
        let damaged = || io::Error::other(format!("the tag {tag} of {} cannot be read", self.name));
        tagged.map(|(digest, _)| digest).ok_or_else(|| damaged().into())
    }

    fn named(&self, digest: &Digest) -> Result<Named, Problem> {
        let found = self.registry.manifest(self.name, &Key::Digest(*digest))?;
        Named::read(&found.media_type, &found.bytes)
    }

    /// Keeps a manifest with all that it names and all that refers to it.
    fn keep(&mut self, digest: Digest) -> Result<(), Problem> {
        let mut open = vec![digest];
        while let Some(digest) = open.pop() {
            // One that somebody deleted is no damage.
            if !self.known.contains(&digest) || !self.manifests.insert(digest) {
                continue;
            }
            let named = self.named(&digest)?;
            self.blobs.extend(named.blobs.into_iter().chain(named.elsewhere));
            open.extend(named.manifests);
            open.extend(digests(&self.directory.join("_referrers").join(digest.hex()))?);
            let of_it = self.fallback.iter().filter(|fallback| fallback.subject == digest);
            open.extend(of_it.map(|fallback| fallback.leads_to));
        }
        Ok(())
    }

    /// The files by which a repository has a manifest.
    fn files_of(&self, digest: &Digest) -> Result<Vec<PathBuf>, Problem> {
        let (hex, below) = (digest.hex(), |name: &str| self.directory.join(name));
        let referrers = below("_referrers").join(&hex);
        let mut all: Vec<PathBuf> =
            files::list(&referrers)?.iter().map(|name| referrers.join(name)).collect();
        // Of one that is damaged it is not known what it refers to; a list that names it still is passed over.
        if let Some(subject) = self.named(digest).ok().and_then(|named| named.subject) {
            all.push(below("_referrers").join(subject.hex()).join(&hex));
        }
        all.extend([below("_before").join(&hex), below("_manifests").join(&hex)]);
        Ok(all)
    }
}

impl Registry {
    /// What stays when images are forgotten that no tag leads to, and that were neither pushed nor under a tag since then;
    /// without a time, all stays. Nothing is removed yet.
    ///
    /// # Errors
    /// When a file cannot be read, or a manifest is damaged: what it names is not known then.
    pub fn retention(&self, since: Option<Epoch>) -> Result<Retention, Problem> {
        let mut retention = Retention::default();
        for name in self.names()? {
            self.decide(&name, since, &mut retention)?;
        }
        Ok(retention)
    }

    /// Forgets images. Nobody pushes a manifest between the decision and this, which is why both are one.
    ///
    /// # Errors
    /// As [`Registry::retention`], and when a file cannot be removed: what is left goes the next time.
    pub fn forget(&self, since: Epoch) -> Result<Retention, Problem> {
        let _lock = held(self.lock_file()?, std::fs::File::lock)?;
        let retention = self.retention(Some(since))?;
        for file in &retention.files {
            files::remove(file)?;
            // That of the referrers of an image, once it is empty; any other stays.
            if let Some(directory) = file.parent().filter(|it| it.parent().is_some_and(is_of_referrers)) {
                drop(fs_err::remove_dir(directory));
            }
        }
        Ok(retention)
    }

    fn decide(&self, name: &str, since: Option<Epoch>, retention: &mut Retention) -> Result<(), Problem> {
        let directory = self.existing(name)?;
        let (manifests, blobs) =
            (digests(&directory.join("_manifests"))?, digests(&directory.join("_blobs"))?);
        let Some(since) = since else {
            retention.keep.extend(manifests.into_iter().chain(blobs));
            return Ok(());
        };
        let mut walk = Walk {
            registry: self,
            name,
            directory: directory.clone(),
            fallback: Vec::new(),
            known: manifests.iter().copied().collect(),
            manifests: BTreeSet::new(),
            blobs: BTreeSet::new(),
        };
        let mut roots = Vec::new();
        for tag in self.tags(name)? {
            let leads_to = walk.tagged(&tag)?;
            // A tag that leads to the very image that it names is one like any other.
            match subject_of_tag(&tag).filter(|subject| *subject != leads_to && walk.known.contains(subject))
            {
                Some(subject) => walk.fallback.push(Fallback { tag, subject, leads_to }),
                None => roots.push(leads_to),
            }
        }
        for root in roots {
            walk.keep(root)?;
        }
        for digest in &manifests {
            // What refers to an image that is here lives as long as that.
            if is_young(&directory.join("_manifests").join(digest.hex()), since)
                && walk.named(digest)?.subject.is_none_or(|subject| !walk.known.contains(&subject))
            {
                walk.keep(*digest)?;
            }
        }
        let gone = walk.fallback.iter().filter(|fallback| !walk.manifests.contains(&fallback.subject));
        retention.files.extend(gone.map(|fallback| directory.join("_tags").join(&fallback.tag)));
        for digest in manifests.iter().filter(|digest| !walk.manifests.contains(digest)) {
            retention.manifests += 1;
            retention.files.extend(walk.files_of(digest)?);
        }
        for digest in blobs {
            let link = directory.join("_blobs").join(digest.hex());
            // The manifest of one that came just now is still to come.
            if walk.blobs.contains(&digest) || is_young(&link, since) {
                retention.keep.insert(digest);
            } else {
                retention.files.push(link);
            }
        }
        retention.keep.extend(walk.manifests);
        Ok(())
    }

    /// Held by whoever pushes a manifest (many) or forgets images (one): an image of which a part was just forgotten is no
    /// longer taken, and one that was just taken keeps its parts.
    pub(super) fn shared_lock(&self) -> io::Result<std::fs::File> {
        held(self.lock_file()?, std::fs::File::lock_shared)
    }

    fn lock_file(&self) -> io::Result<std::fs::File> {
        fs_err::create_dir_all(&self.root)?;
        let path = self.root.join("_lock");
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        Ok(file.into_file())
    }
}

fn held(file: std::fs::File, lock: fn(&std::fs::File) -> io::Result<()>) -> io::Result<std::fs::File> {
    match lock(&file) {
        // Some network file systems have no locks.
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
        _ => Ok(file),
    }
}

fn is_of_referrers(directory: &Path) -> bool {
    directory.file_name().is_some_and(|name| name == "_referrers")
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "files get times before now")]
mod tests {
    use calypte_formats::oci::{Descriptor, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Manifest};
    use tempfile::TempDir;

    use super::super::tests::{manifest, registry, upload};
    use super::*;

    const DAY: i64 = 86_400;

    /// As if all that a registry has were so many days older.
    fn age(directory: &TempDir, days: i64) {
        let mut open = vec![directory.path().join("registry")];
        while let Some(path) = open.pop() {
            for entry in fs_err::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                    continue;
                }
                let file = std::fs::File::open(entry.path()).unwrap();
                let time = file.metadata().unwrap().modified().unwrap();
                file.set_modified(time - std::time::Duration::from_secs(u64::try_from(days * DAY).unwrap()))
                    .unwrap();
            }
        }
    }

    fn days_ago(days: i64) -> Epoch {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        Epoch(i64::try_from(now).unwrap() - days * DAY)
    }

    /// An index over one manifest, with a signature of the index; the digests of index, manifest, layer and signature.
    fn image(registry: &Registry, text: &[u8], tag: &str) -> [Digest; 4] {
        let layer = upload(registry, "a", text);
        let bytes = manifest(layer, None);
        let by_digest = |bytes: &[u8]| Key::Digest(Digest::of(bytes));
        let one = registry.put_manifest("a", &by_digest(&bytes), MEDIA_TYPE_MANIFEST, &bytes).unwrap().digest;
        let child =
            Descriptor { media_type: MEDIA_TYPE_MANIFEST.to_owned(), digest: one, ..Descriptor::default() };
        let index = Index { schema_version: 2, manifests: vec![child], ..Index::default() };
        let bytes = serde_json::to_vec(&index).unwrap();
        let all = registry.put_manifest("a", &Key::Tag(tag.into()), MEDIA_TYPE_INDEX, &bytes).unwrap().digest;
        let bytes = manifest(upload(registry, "a", b"signature"), Some(all));
        let signature =
            registry.put_manifest("a", &by_digest(&bytes), MEDIA_TYPE_MANIFEST, &bytes).unwrap().digest;
        [all, one, layer, signature]
    }

    #[test]
    fn images_that_no_tag_leads_to_go_with_what_refers_to_them_after_their_time() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let first = image(&registry, b"1", "latest");
        let pinned = image(&registry, b"2", "2.0");
        age(&directory, 100);
        let second = image(&registry, b"3", "latest");
        // It was under a tag until just now.
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 0);
        age(&directory, 40);
        assert_eq!(registry.retention(None).unwrap().manifests, 0);
        let would = registry.retention(Some(days_ago(30))).unwrap();
        assert!(registry.has_manifest("a", &first[0]).unwrap());
        let retention = registry.forget(days_ago(30)).unwrap();
        assert_eq!((retention.manifests, &retention.keep), (3, &would.keep));
        for digest in [&first[0], &first[1], &first[3]] {
            assert!(!registry.has_manifest("a", digest).unwrap());
            assert!(!retention.keep.contains(digest));
        }
        assert!(registry.blob_size("a", &first[2]).is_err());
        assert!(registry.referrers("a", &first[0]).unwrap().is_empty());
        assert!(!directory.path().join("registry/a/_referrers").join(first[0].hex()).exists());
        for [all, one, layer, signature] in [pinned, second] {
            assert!([all, one, layer, signature].iter().all(|digest| retention.keep.contains(digest)));
            assert!(registry.manifest("a", &Key::Digest(one)).is_ok() && registry.blob("a", &layer).is_ok());
            assert_eq!(registry.referrers("a", &all).unwrap()[0].digest, signature);
        }
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 0);
    }

    #[test]
    fn the_time_begins_when_no_tag_leads_there_any_more() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let first = image(&registry, b"1", "latest");
        let second = image(&registry, b"2", "1.0");
        age(&directory, 100);
        // One loses its tag to another image, one has it taken away.
        image(&registry, b"3", "latest");
        registry.delete_manifest("a", &Key::Tag("1.0".into())).unwrap();
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 0);
        // It comes back, and goes again.
        age(&directory, 20);
        image(&registry, b"1", "latest");
        image(&registry, b"3", "latest");
        age(&directory, 20);
        let forgotten = registry.forget(days_ago(30)).unwrap();
        assert_eq!(forgotten.manifests, 3);
        assert!(registry.has_manifest("a", &first[0]).unwrap());
        assert!(!registry.has_manifest("a", &second[0]).unwrap());
    }

    #[test]
    fn what_somebody_deleted_keeps_nothing_from_being_forgotten() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let [deleted, child, _, signature] = image(&registry, b"1", "latest");
        registry.delete_manifest("a", &Key::Digest(deleted)).unwrap();
        let kept = image(&registry, b"2", "2");
        registry.delete_manifest("a", &Key::Digest(kept[1])).unwrap();
        age(&directory, 40);
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 2);
        assert!(!registry.has_manifest("a", &child).unwrap());
        assert!(!registry.has_manifest("a", &signature).unwrap());
        // Whoever pushes the same image again does not find it signed by what is gone.
        assert!(registry.referrers("a", &deleted).unwrap().is_empty());
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 0);
    }

    #[test]
    fn layers_of_other_hosts_and_tags_named_after_their_image_stay() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let foreign = upload(&registry, "a", b"foreign");
        let mut document: Manifest =
            serde_json::from_slice(&manifest(upload(&registry, "a", b"{}"), None)).unwrap();
        document.layers = vec![Descriptor {
            digest: foreign,
            urls: vec!["https://example.org/layer".to_owned()],
            ..Descriptor::default()
        }];
        let bytes = serde_json::to_vec(&document).unwrap();
        let tag = Key::Tag(format!("sha256-{}", Digest::of(&bytes).hex()));
        registry.put_manifest("a", &tag, MEDIA_TYPE_MANIFEST, &bytes).unwrap();
        age(&directory, 40);
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 0);
        assert!(registry.manifest("a", &tag).is_ok() && registry.blob("a", &foreign).is_ok());
    }

    #[test]
    fn tags_of_statements_keep_no_image_and_go_with_it() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let old = image(&registry, b"1", "latest");
        let kept = image(&registry, b"2", "2");
        let signature = manifest(upload(&registry, "a", b"sig"), None);
        let tag = |digest: &Digest| Key::Tag(format!("sha256-{}.sig", digest.hex()));
        for digest in [&old[0], &kept[0]] {
            registry.put_manifest("a", &tag(digest), MEDIA_TYPE_MANIFEST, &signature).unwrap();
        }
        registry.delete_manifest("a", &Key::Tag("latest".into())).unwrap();
        age(&directory, 40);
        registry.forget(days_ago(30)).unwrap();
        assert_eq!(registry.tags("a").unwrap(), ["2".to_owned(), format!("sha256-{}.sig", kept[0].hex())]);
        assert!(registry.has_manifest("a", &Digest::of(&signature)).unwrap());
        assert!(!registry.has_manifest("a", &old[0]).unwrap());
    }

    #[test]
    fn what_was_just_pushed_waits_for_the_rest() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        image(&registry, b"1", "latest");
        age(&directory, 40);
        // A layer whose manifest is still to come, and a statement that came before its image.
        let layer = upload(&registry, "a", b"2");
        let early = manifest(upload(&registry, "a", b"3"), Some(Digest::of(b"to come")));
        let key = Key::Digest(Digest::of(&early));
        registry.put_manifest("a", &key, MEDIA_TYPE_MANIFEST, &early).unwrap();
        assert_eq!(registry.forget(days_ago(30)).unwrap().manifests, 0);
        assert!(registry.blob("a", &layer).is_ok() && registry.manifest("a", &key).is_ok());
    }

    #[test]
    fn while_a_manifest_or_a_tag_cannot_be_read_nothing_is_forgotten() {
        let directory = TempDir::new().unwrap();
        let registry = registry(&directory);
        let old = image(&registry, b"1", "latest");
        let kept = image(&registry, b"2", "latest");
        age(&directory, 40);
        fs_err::remove_file(registry.store().blob_path(&kept[0])).unwrap();
        assert!(registry.forget(days_ago(30)).is_err());
        image(&registry, b"2", "latest");
        age(&directory, 40);
        fs_err::write(directory.path().join("registry/a/_tags/latest"), "").unwrap();
        assert!(registry.forget(days_ago(30)).is_err());
        assert!(registry.blob("a", &old[2]).is_ok() && registry.blob("a", &kept[2]).is_ok());
    }
}
