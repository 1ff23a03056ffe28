//! What is published, made again from its provenance alone: without the catalog, over an empty store.

use std::io::Read as _;

use anyhow::Result;
use calypte_attest::{PROVENANCE, RECIPE};
use calypte_base::{Architecture, Digest};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci::{Descriptor, ImageConfig, MEDIA_TYPE_LAYER, MEDIA_TYPE_MANIFEST, Manifest};
use calypte_pipeline::rebuild::{RebuildReport, RebuildSettings, What, rebuild};
use calypte_publish::{attach, referrers};
use calypte_store::registry::{Mount, Reference, Registry, Version};
use calypte_store::{FetchSettings, Silent, Store};
use calypte_trust::sigstore::{Bundle, PublicKeys, Referrer, SigningKey, Statement};

use crate::world::{Place, Quiet, World, now};

fn key() -> SigningKey {
    SigningKey::from_secret(&[7; 32]).unwrap()
}

fn keys(secret: u8) -> PublicKeys {
    let mut keys = PublicKeys::default();
    keys.add("release.pub", SigningKey::from_secret(&[secret; 32]).unwrap().public().clone());
    keys
}

/// Makes an image again; what this machine has of it is nothing.
fn again(place: &Place, image: &str, keys: PublicKeys) -> Result<RebuildReport> {
    let store = tempfile::tempdir().unwrap();
    let settings = RebuildSettings {
        registry: place.settings(),
        keys,
        architecture: None,
        store: Store::open(store.path()).unwrap(),
        mirrors: [("sample".to_owned(), vec![place.mirror.clone()])].into(),
        network: FetchSettings { attempts: 1, ..FetchSettings::default() },
        overlay: None,
        now: now(),
        version: "1".to_owned(),
        reporter: &Quiet,
        interrupted: std::sync::Arc::default(),
    };
    let report = rebuild(&format!("{}/{image}", place.registry).parse()?, &settings);
    // What it was made in is gone, and the packages are kept.
    let left: Vec<_> =
        fs_err::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("rebuild")), "{left:?}");
    report
}

/// A world whose images are published and whose catalog and store are gone.
fn published() -> Option<World> {
    let world = crate::world()?;
    world.release(1);
    let report = world.run().unwrap();
    assert!(report.succeeded(), "{report:#?}");
    fs_err::remove_dir_all(world.place.directory.join("catalog")).unwrap();
    fs_err::remove_dir_all(world.store()).unwrap();
    Some(world)
}

#[test]
fn what_is_published_is_made_again_from_its_provenance_alone() {
    let Some(world) = published() else { return };
    let report = again(&world.place, "f0:latest", keys(7)).unwrap();
    assert!(report.identical, "{report:#?}");
    let index = report.index.as_ref().unwrap();
    assert_eq!((index.published, index.rebuilt), (report.digest, report.digest));
    let machine = &report.machines[0];
    assert_eq!((machine.image.as_str(), machine.architecture), ("f0", Architecture::Amd64));
    assert_eq!((machine.provenance.key.as_deref(), machine.provenance.others), (Some("release.pub"), 0));
    assert!(machine.tool.same && machine.differences.is_none());

    // One machine's manifest alone; and whoever names no key is told that nobody's was looked at.
    let report = again(&world.place, &format!("f0@{}", machine.published), PublicKeys::default()).unwrap();
    assert!(report.identical && report.index.is_none());
    assert_eq!(report.machines[0].provenance.key, None);

    let error = format!("{:#}", again(&world.place, "f0:latest", keys(8)).unwrap_err());
    assert!(error.contains("not among the accepted keys"), "{error}");
}

#[test]
fn a_recipe_is_attached_once_and_names_the_same_files_each_time() {
    let Some(world) = crate::world() else { return };
    world.release(1);
    assert!(world.run().unwrap().succeeded());
    let recipes = || {
        let (registry, manifest) = machine(&world.place, "f0");
        let listed = referrers(&registry, &manifest.0).unwrap();
        let kind = |one: &Descriptor| one.artifact_type.as_deref() == Some(RECIPE);
        listed.into_iter().filter(kind).map(|one| one.digest).collect::<Vec<_>>()
    };
    let first = recipes();
    assert_eq!(first.len(), 1);
    // As if nothing had ever been published: all is pushed once more.
    fs_err::remove_dir_all(world.store()).unwrap();
    world.advisories(None);
    assert!(world.run().unwrap().succeeded());
    assert_eq!(recipes(), first);
}

/// The registry of an image, and its only machine's manifest.
fn machine(place: &Place, image: &str) -> (Registry, (Digest, Vec<u8>)) {
    let reference: Reference = format!("{}/{image}:latest", place.registry).parse().unwrap();
    let registry = Registry::for_push(&reference, place.settings(), &[]).unwrap();
    let index = registry.manifest(&reference.version).unwrap();
    let index: calypte_formats::oci::Index = serde_json::from_slice(&index.bytes).unwrap();
    let digest = index.manifests[0].digest;
    let bytes = registry.manifest(&Version::Digest(digest)).unwrap().bytes;
    (registry, (digest, bytes))
}

/// What is signed of a manifest: its provenance.
fn provenance(registry: &Registry, manifest: &Digest) -> Statement {
    for listed in referrers(registry, manifest).unwrap() {
        let document = registry.manifest(&Version::Digest(listed.digest)).unwrap();
        let document: Manifest = serde_json::from_slice(&document.bytes).unwrap();
        let Some(layer) = document.layers.first() else { continue };
        let bytes = registry.small_blob(&layer.digest, layer.size).unwrap();
        let Ok(statement) = Bundle::parse(&bytes).and_then(|bundle| bundle.unverified()) else { continue };
        if statement.predicate_type == PROVENANCE {
            return statement;
        }
    }
    panic!("no provenance");
}

/// Publishes a manifest of which the key says that it was made as another was.
fn claim(registry: &Registry, store: &Store, manifest: &[u8], predicate: serde_json::Value) -> Digest {
    let digest = Digest::of(manifest);
    registry.push_manifest(&Version::Digest(digest), MEDIA_TYPE_MANIFEST, manifest).unwrap();
    let bundle = Bundle::sign(&Statement::about(&digest, PROVENANCE, predicate), &key());
    let (media_type, size) = (MEDIA_TYPE_MANIFEST.to_owned(), manifest.len() as u64);
    let subject = Descriptor { media_type, digest, size, ..Descriptor::default() };
    attach(registry, store, &digest, &Referrer::new(bundle.to_json(), PROVENANCE, &subject), &Silent)
        .unwrap();
    digest
}

fn push(registry: &Registry, store: &Store, bytes: &[u8]) -> (Digest, u64) {
    let digest = store.put(bytes).unwrap();
    registry.push_blob(store, &digest, Mount::No, &Silent).unwrap();
    (digest, bytes.len() as u64)
}

#[test]
fn what_was_changed_under_a_signed_provenance_is_named() {
    let Some(world) = published() else { return };
    let (registry, (digest, bytes)) = machine(&world.place, "f0");
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
    let config = registry.small_blob(&manifest.config.digest, manifest.config.size).unwrap();
    let mut config: ImageConfig = serde_json::from_slice(&config).unwrap();
    let mut changed = 0;
    for (layer, diff_id) in manifest.layers.iter_mut().zip(&mut config.rootfs.diff_ids) {
        let blob = registry.small_blob(&layer.digest, layer.size).unwrap();
        let mut archive = Vec::new();
        decoder(Compression::Zstd, blob.as_slice(), 1 << 24).unwrap().read_to_end(&mut archive).unwrap();
        let Some(place) = archive.windows(7).position(|window| window == b"own0 1\n") else { continue };
        archive[place + 5] = b'6';
        (layer.digest, layer.size) = push(&registry, &store, &archive);
        (layer.media_type, *diff_id) = (MEDIA_TYPE_LAYER.to_owned(), layer.digest);
        changed += 1;
    }
    assert_eq!(changed, 1);
    config.config.as_mut().unwrap().env.push("EVIL=1".to_owned());
    (manifest.config.digest, manifest.config.size) =
        push(&registry, &store, &serde_json::to_vec(&config).unwrap());
    manifest.annotations.insert("of".to_owned(), "mine".to_owned());
    let predicate = provenance(&registry, &digest).predicate;
    let tampered = claim(&registry, &store, &serde_json::to_vec(&manifest).unwrap(), predicate.clone());

    let report = again(&world.place, &format!("f0@{tampered}"), keys(7)).unwrap();
    assert!(!report.identical);
    let machine = &report.machines[0];
    assert_eq!((machine.published, machine.rebuilt), (tampered, digest));
    let found = machine.differences.as_ref().unwrap();
    assert_eq!((found.layers.len(), &found.unread), (1, &None), "{found:#?}");
    let files: Vec<_> = found.files.iter().map(|file| (file.path.as_str(), file.what.as_slice())).collect();
    assert_eq!(files, [("usr/share/own0/version", [What::Content].as_slice())]);
    let fields: Vec<_> =
        found.config.iter().chain(&found.manifest).map(|field| field.field.as_str()).collect();
    assert!(fields.iter().any(|field| field.starts_with("/config/Env")), "{fields:?}");
    assert_eq!(fields.last(), Some(&"/annotations/of"));

    // A published image that is none: different, and why nothing more is told.
    manifest.config.size += 1;
    let none = claim(&registry, &store, &serde_json::to_vec(&manifest).unwrap(), predicate);
    let report = again(&world.place, &format!("f0@{none}"), keys(7)).unwrap();
    let found = report.machines[0].differences.as_ref().unwrap();
    assert!(!report.identical && found.unread.is_some(), "{found:#?}");
}

#[test]
fn a_provenance_that_lies_is_not_followed() {
    let Some(world) = published() else { return };
    let (registry, (digest, bytes)) = machine(&world.place, "f0");
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(scratch.path()).unwrap();
    let predicate = provenance(&registry, &digest).predicate;
    let mut number = 0;
    let mut error = |change: &dyn Fn(&mut Vec<serde_json::Value>)| {
        let mut predicate = predicate.clone();
        let materials = predicate["buildDefinition"]["resolvedDependencies"].as_array_mut().unwrap();
        change(materials);
        // Each about a manifest of its own, so that none of the others is found.
        let mut manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
        number += 1;
        manifest.annotations.insert("number".to_owned(), number.to_string());
        let other = claim(&registry, &store, &serde_json::to_vec(&manifest).unwrap(), predicate);
        format!("{:#}", again(&world.place, &format!("f0@{other}"), keys(7)).unwrap_err())
    };
    let is_package = |material: &serde_json::Value| material["uri"].as_str().unwrap().starts_with("pkg:");
    let of = |materials: &mut Vec<serde_json::Value>, end: &str| {
        materials.iter().position(|one| one["uri"].as_str().unwrap().ends_with(end)).unwrap()
    };

    let text = error(&|materials| materials.retain(|material| !is_package(material)));
    assert!(text.contains("which it does not name"), "{text}");
    let text = error(&|materials| {
        let mut package = materials.iter().find(|material| is_package(material)).unwrap().clone();
        package["digest"]["sha256"] = Digest::of(b"more").hex().into();
        materials.push(package);
    });
    assert!(text.contains("which its lock does not have"), "{text}");
    let text = error(&|materials| {
        let place = of(materials, "images/f0.yaml");
        materials[place]["uri"] = "urn:calypte:catalog:images/../../f0.yaml".into();
    });
    assert!(text.contains("which is no file of a catalog"), "{text}");
    let text = error(&|materials| {
        let place = of(materials, "images/f0.yaml");
        materials[place]["annotations"]["size"] = "300000000".into();
    });
    assert!(text.contains("more than 268435456 bytes"), "{text}");
    let text = error(&|materials| {
        let place = of(materials, "images/f0.yaml");
        materials[place]["digest"]["sha256"] = Digest::of(b"elsewhere").hex().into();
    });
    assert!(text.contains("images/f0.yaml of the recipe"), "{text}");
    // Another definition than the lock is of.
    let (other, size) = push(&registry, &store, crate::world::family("f0", &["release"]).as_bytes());
    let text = error(&|materials| {
        let place = of(materials, "images/f0.yaml");
        materials[place]["digest"]["sha256"] = other.hex().into();
        materials[place]["annotations"]["size"] = size.to_string().into();
    });
    assert!(text.contains("is not what its definition asks for"), "{text}");
    let text = error(&|materials| materials.retain(is_package));
    assert!(text.contains("names no recipe"), "{text}");
}
