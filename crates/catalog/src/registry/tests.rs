//! The registry's rules without a network.

use calypte_formats::oci::{MEDIA_TYPE_CONFIG, MEDIA_TYPE_INDEX, MEDIA_TYPE_MANIFEST, Manifest};
use tempfile::TempDir;

use super::*;

pub(super) fn registry(directory: &TempDir) -> Registry {
    let store = Store::open(directory.path().join("store")).unwrap();
    Registry::new(store, directory.path().join("registry"), 1000)
}

pub(super) fn upload(registry: &Registry, name: &str, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let id = registry.begin_upload(name).unwrap();
    let mut upload = registry.resume_upload(&id, Some(0)).unwrap();
    upload.append(bytes).unwrap();
    registry.finish_upload(name, upload, &digest).unwrap();
    digest
}

pub(super) fn manifest(config: Digest, subject: Option<Digest>) -> Vec<u8> {
    let descriptor = |media_type: &str, digest| Descriptor {
        media_type: media_type.to_owned(),
        digest,
        ..Descriptor::default()
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MEDIA_TYPE_MANIFEST.to_owned()),
        config: descriptor(MEDIA_TYPE_CONFIG, config),
        subject: subject.map(|digest| descriptor(MEDIA_TYPE_MANIFEST, digest)),
        artifact_type: subject.map(|_| "application/example".to_owned()),
        ..Manifest::default()
    };
    serde_json::to_vec(&manifest).unwrap()
}

#[test]
fn what_is_pushed_is_found() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let config = upload(&registry, "a/b", b"{}");
    let bytes = manifest(config, None);
    let tag = Key::Tag("1.0".into());
    let pushed = registry.put_manifest("a/b", &tag, MEDIA_TYPE_MANIFEST, &bytes).unwrap();
    assert_eq!(pushed.digest, Digest::of(&bytes));
    assert_eq!(registry.manifest("a/b", &tag).unwrap().bytes, bytes);
    assert_eq!(registry.manifest("a/b", &Key::Digest(pushed.digest)).unwrap().bytes, bytes);
    assert_eq!(registry.names().unwrap(), ["a/b"]);
    assert_eq!(registry.tags("a/b").unwrap(), ["1.0"]);
    registry.delete_manifest("a/b", &Key::Digest(pushed.digest)).unwrap();
    assert!(registry.tags("a/b").unwrap().is_empty());
    assert!(matches!(registry.manifest("a/b", &tag), Err(Problem::ManifestUnknown(_))));
}

#[test]
fn what_a_tag_led_to_before_is_remembered() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let put = |text: &[u8], tag: &str| {
        let bytes = manifest(upload(&registry, "a/b", text), None);
        registry.put_manifest("a/b", &Key::Tag(tag.into()), MEDIA_TYPE_MANIFEST, &bytes).unwrap().digest
    };
    let before = |digest| registry.before("a/b", digest).unwrap().map(|(digest, _)| digest);
    let first = put(b"{}", "latest");
    assert_eq!(before(&first), None);
    assert_eq!(put(b"{}", "latest"), first);
    assert_eq!(before(&first), None, "an image came before itself");
    // A tag of its own was nowhere before; the moving one was.
    let second = put(b"[]", "2");
    assert_eq!(before(&second), None);
    put(b"[]", "latest");
    assert_eq!(before(&second), Some(first));
    let third = put(b"1", "latest");
    assert_eq!(before(&third), Some(second));
    // Back and forth again: what was first remembered stays.
    put(b"[]", "latest");
    put(b"1", "latest");
    assert_eq!((before(&second), before(&third)), (Some(first), Some(second)));
    registry.delete_manifest("a/b", &Key::Digest(third)).unwrap();
    assert_eq!(before(&third), None);
}

#[test]
fn a_manifest_whose_parts_are_missing_is_refused() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let config = upload(&registry, "a", b"{}");
    let bytes = manifest(config, None);
    let tag = Key::Tag("1".into());
    // The store has the blob; this repository was never given it.
    let problem = registry.put_manifest("b", &tag, MEDIA_TYPE_MANIFEST, &bytes).unwrap_err();
    assert!(matches!(problem, Problem::ManifestBlobUnknown(digest) if digest == config), "{problem}");
    registry.link_blob("b", &config).unwrap();
    registry.put_manifest("b", &tag, MEDIA_TYPE_MANIFEST, &bytes).unwrap();
    for (media_type, bytes) in [
        (MEDIA_TYPE_MANIFEST, &b"{}"[..]),
        (MEDIA_TYPE_INDEX, &bytes),
        ("text/plain", &bytes),
        (MEDIA_TYPE_MANIFEST, b"no json"),
    ] {
        let problem = registry.put_manifest("b", &tag, media_type, bytes).unwrap_err();
        assert!(matches!(problem, Problem::ManifestInvalid(_)), "{media_type}: {problem}");
    }
}

#[test]
fn referrers_are_listed_even_before_their_subject_comes() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let config = upload(&registry, "a", b"{}");
    let subject = Digest::of(b"later");
    let bytes = manifest(config, Some(subject));
    let key = Key::Digest(Digest::of(&bytes));
    let pushed = registry.put_manifest("a", &key, MEDIA_TYPE_MANIFEST, &bytes).unwrap();
    assert_eq!(pushed.subject, Some(subject));
    let referrers = registry.referrers("a", &subject).unwrap();
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].digest, pushed.digest);
    assert_eq!(referrers[0].artifact_type.as_deref(), Some("application/example"));
    assert!(registry.referrers("a", &config).unwrap().is_empty());
    registry.delete_manifest("a", &key).unwrap();
    assert!(registry.referrers("a", &subject).unwrap().is_empty());
}

#[test]
fn uploads_are_held_against_digest_order_and_limit() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    let id = registry.begin_upload("a").unwrap();
    let mut first = registry.resume_upload(&id, None).unwrap();
    first.append(b"one").unwrap();
    assert!(matches!(registry.resume_upload(&id, None), Err(Problem::Request(_))), "two writers");
    drop(first);
    assert!(matches!(registry.resume_upload(&id, Some(2)), Err(Problem::Range { has: 3, at: 2 })));
    let mut second = registry.resume_upload(&id, Some(3)).unwrap();
    second.append(b"two").unwrap();
    let problem = registry.finish_upload("a", second, &Digest::of(b"other")).unwrap_err();
    assert!(matches!(problem, Problem::WrongDigest { .. }));
    assert!(matches!(registry.upload_size(&id), Err(Problem::UploadUnknown(_))), "it is given up");
    let id = registry.begin_upload("a").unwrap();
    let mut large = registry.resume_upload(&id, None).unwrap();
    assert!(matches!(large.append(&[0; 1001]), Err(Problem::TooLarge { limit: 1000 })));
    for bad in ["../../etc/passwd", "", &"0".repeat(31), &"g".repeat(32)] {
        assert!(matches!(registry.upload_size(bad), Err(Problem::UploadUnknown(_))), "{bad}");
    }
}

#[test]
fn names_cannot_lead_out_of_the_registry() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory);
    for bad in ["", "..", "../a", "a/../b", "a//b", "/a", "a/", "A", "a/_tags", "_uploads", "a\0b", "a/./b"] {
        assert!(matches!(registry.begin_upload(bad), Err(Problem::Name(_))), "{bad:?}");
        assert!(registry.tags(bad).is_err(), "{bad:?}");
        assert!(registry.blob_size(bad, &Digest::of(b"")).is_err(), "{bad:?}");
    }
    for bad in ["..", ".", "a/b", "", "-a", &"a".repeat(129)] {
        assert!(Key::parse(bad).is_err(), "{bad:?}");
    }
    assert!(Key::parse("sha256:00").is_err());
    assert!(Key::parse(&format!("sha512:{}", "0".repeat(128))).is_err());
}
