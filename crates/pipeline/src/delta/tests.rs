//! What becomes of a delta that cannot be used.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use calypte_formats::tar;
use calypte_store::{Progress, Silent};
use tempfile::TempDir;

use super::*;

/// Keeps the warnings; sets a flag at a step if it is told to.
#[derive(Debug, Default)]
struct Listener {
    warnings: Mutex<Vec<String>>,
    interrupt_at: Option<&'static str>,
    interrupted: AtomicBool,
}

impl Reporter for Listener {
    fn step(&self, what: &str) {
        if self.interrupt_at.is_some_and(|step| what.starts_with(step)) {
            self.interrupted.store(true, Ordering::Relaxed);
        }
    }

    fn warn(&self, text: &str) {
        self.warnings.lock().unwrap().push(text.to_owned());
    }

    fn downloads(&self) -> &dyn Progress {
        &Silent
    }
}

/// Layouts `old` and `new`, of one image or of one for each of two platforms, `other`, and the delta between the former.
struct World {
    directory: TempDir,
    target: Digest,
}

const PLATFORMS: [&str; 2] = ["amd64", "arm64"];

impl World {
    fn new(platforms: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let image = |name: &str, content| write(&directory.path().join(name), platforms, content);
        let [_, _, target] = [image("old", 1), image("other", 2), image("new", 3)];
        let world = Self { directory, target };
        let listener = Listener::default();
        let (old, new, to) = (world.place("old"), world.place("new"), world.place("delta"));
        make(&old, &new, &to, 1, &listener.interrupted, &listener).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn place(&self, name: &str) -> String {
        format!("oci:{}", self.path(name).display())
    }

    fn apply(&self, base: &str, fallback: Option<&str>, listener: &Listener) -> Result<Rebuilt> {
        let (delta, base) = (self.place("delta"), self.place(base));
        let fallback = fallback.map(|name| self.place(name));
        let to = self.place("result");
        apply(&delta, &base, fallback.as_deref(), &to, &listener.interrupted, listener)
    }

    /// Applies with `new` as the fallback; the warnings.
    fn falls_back(&self, base: &str) -> String {
        let listener = Listener::default();
        let rebuilt = self.apply(base, Some("new"), &listener).unwrap();
        assert_eq!(rebuilt.digest, self.target);
        let (result, new) = (blobs(&self.path("result")), blobs(&self.path("new")));
        assert_eq!(result, new);
        for blob in result {
            assert_eq!(Digest::of(&fs_err::read(self.blob("result", &blob)).unwrap()).hex(), blob);
        }
        assert!(rebuilt.images.iter().all(|image| image.from_fallback == 1), "{rebuilt:?}");
        fs_err::remove_dir_all(self.path("result")).unwrap();
        listener.warnings.into_inner().unwrap().join("\n")
    }

    fn blob(&self, layout: &str, name: &str) -> PathBuf {
        self.path(layout).join("blobs/sha256").join(name)
    }

    /// The error, and what it says to do.
    fn refused(&self, base: &str, fallback: Option<&str>) -> (String, String) {
        let error = self.apply(base, fallback, &Listener::default()).unwrap_err();
        assert!(!self.path("result").exists());
        (error.to_string(), hint(&error).unwrap_or_default())
    }
}

fn blobs(layout: &Path) -> Vec<String> {
    let names = fs_err::read_dir(layout.join("blobs/sha256")).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Writes an image with one file; the digest of its manifest or index.
fn write(directory: &Path, platforms: usize, content: u8) -> Digest {
    let writer = LayoutWriter::new(directory).unwrap();
    let blob = |media_type: &str, bytes: &[u8]| {
        let (digest, size) = writer.bytes(bytes).unwrap();
        oci::Descriptor { media_type: media_type.to_owned(), digest, size, ..oci::Descriptor::default() }
    };
    let manifest = |architecture: &&str| {
        let content = [architecture.as_bytes(), &[content; 3_000]].concat();
        let mut layer = tar::Writer::new(Vec::new());
        let mut entry = tar::Entry::new("file", tar::EntryKind::File);
        entry.size = content.len() as u64;
        layer.append_bytes(&entry, &content).unwrap();
        let layer = layer.finish().unwrap();
        let config = oci::ImageConfig {
            architecture: (*architecture).to_owned(),
            os: "linux".to_owned(),
            rootfs: oci::RootFs { kind: "layers".to_owned(), diff_ids: vec![Digest::of(&layer)] },
            ..oci::ImageConfig::default()
        };
        let manifest = oci::Manifest {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
            config: blob(oci::MEDIA_TYPE_CONFIG, &serde_json::to_vec(&config).unwrap()),
            layers: vec![blob(oci::MEDIA_TYPE_LAYER, &layer)],
            ..oci::Manifest::default()
        };
        blob(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest).unwrap())
    };
    let manifests: Vec<_> = PLATFORMS.iter().take(platforms).map(manifest).collect();
    let entry = if platforms == 1 {
        manifests.into_iter().next().unwrap()
    } else {
        let index = oci::Index { schema_version: 2, manifests, ..oci::Index::default() };
        blob(oci::MEDIA_TYPE_INDEX, &serde_json::to_vec(&index).unwrap())
    };
    let digest = entry.digest;
    writer.finish(entry, "latest").unwrap();
    digest
}

#[test]
fn a_wrong_base() {
    for platforms in [1, 2] {
        let world = World::new(platforms);
        let warning = world.falls_back("other");
        for text in ["the delta is against image", "but the base is", "the new image sha256:"] {
            assert!(warning.contains(text), "`{text}` in: {warning}");
        }
        let (error, hint) = world.refused("other", None);
        assert!(error.starts_with("the delta is against image"), "{error}");
        assert!(hint.contains("--base") && hint.contains("--fallback"), "{hint}");
        assert!(hint.contains("calypte pull"), "{hint}");
        let (error, _) = world.refused("other", Some("old"));
        assert!(error.contains("the fallback does not give the image either"), "{error}");
    }
}

/// The fallback's own tag has no part in it as long as the delta says what it leads to.
#[test]
fn every_damaged_blob() {
    for platforms in [1, 2] {
        let world = World::new(platforms);
        let index = fs_err::read_to_string(world.path("delta/index.json")).unwrap();
        for name in blobs(&world.path("delta")) {
            let path = world.blob("delta", &name);
            let bytes = fs_err::read(&path).unwrap();
            if bytes == b"{}" {
                continue;
            }
            let is_entry = index.contains(&name);
            for wrong in [None, Some(&bytes[..bytes.len() / 2]), Some(&vec![b' '; bytes.len()][..])] {
                match wrong {
                    Some(wrong) => fs_err::write(&path, wrong).unwrap(),
                    None => fs_err::remove_file(&path).unwrap(),
                }
                let warning = world.falls_back("old");
                let (expected, found) = (warning.contains("expected"), warning.contains("found"));
                assert!(expected && found, "{warning}");
                assert_eq!(warning.contains("what it leads to is not known"), is_entry, "{warning}");
                let (error, hint) = world.refused("old", None);
                assert!(error.contains("expected") && hint.contains("--fallback"), "{error} {hint}");
            }
            fs_err::write(&path, &bytes).unwrap();
        }
        let listener = Listener::default();
        world.apply("old", Some("new"), &listener).unwrap();
        assert!(listener.warnings.into_inner().unwrap().is_empty());
    }
}

#[test]
fn no_delta_at_all() {
    let world = World::new(1);
    fs_err::rename(world.path("delta"), world.path("gone")).unwrap();
    let warning = world.falls_back("old");
    assert!(warning.contains("is no OCI image layout"), "{warning}");
    assert!(warning.contains("what it leads to is not known"), "{warning}");
    let (error, hint) = world.refused("old", None);
    assert!(error.contains("is no OCI image layout") && hint.contains("--fallback"), "{error} {hint}");
    // An image is no delta, and a base that is missing is another mistake.
    fs_err::rename(world.path("other"), world.path("delta")).unwrap();
    assert!(world.falls_back("old").contains("expected a delta"));
    assert!(world.refused("gone-too", Some("new")).0.contains("gone-too is no OCI image layout"));
}

#[test]
fn a_damaged_fallback_is_refused() {
    let world = World::new(1);
    let image = Side::open(Place::parse(&world.place("new")).unwrap()).unwrap().images().unwrap().remove(0);
    let layer = world.blob("new", &image.manifest.layers[0].digest.hex());
    let size = fs_err::metadata(&layer).unwrap().len();
    fs_err::write(&layer, vec![0; size as usize]).unwrap();
    let (error, _) = world.refused("other", Some("new"));
    assert!(error.contains("expected that digest, found"), "{error}");
}

#[test]
fn an_interrupt_is_no_reason_to_fall_back() {
    let world = World::new(1);
    for step in ["reading the base", "unpacking", "writing layer"] {
        let listener = Listener { interrupt_at: Some(step), ..Listener::default() };
        let error = world.apply("old", Some("new"), &listener).unwrap_err();
        assert_eq!(error.to_string(), "interrupted");
        assert!(listener.warnings.into_inner().unwrap().is_empty());
        assert!(!world.path("result").exists());
    }
    let listener = Listener { interrupt_at: Some("reading the new"), ..Listener::default() };
    let (old, new, to) = (world.place("old"), world.place("new"), world.place("result"));
    let error = make(&old, &new, &to, 1, &listener.interrupted, &listener).unwrap_err();
    assert_eq!(error.to_string(), "interrupted");
    assert_eq!(fs_err::read_dir(world.directory.path()).unwrap().count(), 4);
}
