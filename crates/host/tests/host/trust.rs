//! What is refused: unsigned images, other keys, old builds, damaged and tampered layers. Nothing is changed by any of it.

use std::path::Path;

use calypte_formats::oci::{Descriptor, Index, Manifest};

use crate::fixture::{Machine, Os, Packing};

/// The manifest of a layout's image.
fn manifest(layout: &Path) -> Manifest {
    let index: Index = serde_json::from_slice(&fs_err::read(layout.join("index.json")).unwrap()).unwrap();
    serde_json::from_slice(&blob(layout, &index.manifests[0])).unwrap()
}

fn blob(layout: &Path, descriptor: &Descriptor) -> Vec<u8> {
    fs_err::read(layout.join("blobs/sha256").join(descriptor.digest.hex())).unwrap()
}

/// Changes a byte of a blob in its middle, and leaves its name and size.
fn tamper(layout: &Path, descriptor: &Descriptor, offset: Option<usize>) {
    let mut bytes = blob(layout, descriptor);
    let middle = offset.unwrap_or(bytes.len() / 2);
    bytes[middle] ^= 0x55;
    fs_err::write(layout.join("blobs/sha256").join(descriptor.digest.hex()), bytes).unwrap();
}

#[test]
fn images_that_nobody_vouches_for_are_refused() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let cases: [(&str, Option<u8>, &str); 2] = [
        ("unsigned", None, "is not signed"),
        ("another key", Some(2), "which is not among the accepted keys"),
    ];
    for (name, key, expected) in cases {
        Os { key, ..Os::new(2) }.write(&machine.layout());
        let error = machine.refused(1, &["upgrade"]);
        assert!(error.contains(expected) && error.contains("one.pub)"), "{name}: {error}");
        assert!(machine.refused(1, &["upgrade", "--check"]).contains(expected), "{name}");
        let difference = machine.json(&["diff"]);
        assert!(difference["refused"].as_str().unwrap().contains(expected), "{name}");
        assert_eq!(difference["lookedInside"], false, "what nobody vouches for is not unpacked");
        assert_eq!(machine.version("staged"), None, "{name}");
    }
    // The owner may say otherwise, in writing.
    let policy = machine.path("config/etc/calypte/policy.toml");
    fs_err::write(&policy, "accept = [\"everything\"]\n").unwrap();
    assert!(machine.refused(2, &["upgrade"]).contains("policy.toml cannot be understood"));
    fs_err::write(&policy, "accept = [\"insecure\"]\n").unwrap();
    let output = machine.run(&["upgrade"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("warning: nobody vouches for this image"));
    assert_eq!(machine.version("staged").as_deref(), Some("2"));
}

#[test]
fn a_signature_of_another_image_does_not_count() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let good = Os::new(2);
    good.write(&machine.layout());
    let index = machine.layout().join("index.json");
    let signed: Index = serde_json::from_slice(&fs_err::read(&index).unwrap()).unwrap();
    let bundle = blob(&machine.layout(), &signed.manifests[1]);
    // The same referrer, with the evil image as its subject: its bundle is still about the good one.
    let evil = Os { key: None, ..Os::new(3) };
    let digest = evil.write(&machine.layout());
    let mut referrer: Manifest = serde_json::from_slice(&bundle).unwrap();
    referrer.subject.as_mut().unwrap().digest = digest;
    let bytes = serde_json::to_vec(&referrer).unwrap();
    let mut descriptor = signed.manifests[1].clone();
    descriptor.digest = calypte_base::Digest::of(&bytes);
    descriptor.size = bytes.len() as u64;
    let blobs = machine.layout().join("blobs/sha256");
    fs_err::write(blobs.join(descriptor.digest.hex()), bytes).unwrap();
    let other = Machine::new();
    good.write(&other.layout());
    let bundle = &referrer.layers[0];
    fs_err::write(blobs.join(bundle.digest.hex()), blob(&other.layout(), bundle)).unwrap();
    let mut listed: Index = serde_json::from_slice(&fs_err::read(&index).unwrap()).unwrap();
    listed.manifests.push(descriptor);
    fs_err::write(&index, serde_json::to_vec(&listed).unwrap()).unwrap();
    let error = machine.refused(1, &["upgrade"]);
    assert!(error.contains("the signature is good, but for another image"), "{error}");
}

#[test]
fn an_older_build_is_refused_unless_it_is_asked_for() {
    let machine = Machine::new();
    machine.install(&Os::new(5));
    Os::new(4).write(&machine.layout());
    let error = machine.refused(1, &["upgrade"]);
    assert!(error.contains("built on 2026-01-04") && error.contains("--allow-older"), "{error}");
    Os { created: "soon".into(), ..Os::new(6) }.write(&machine.layout());
    assert!(machine.refused(1, &["upgrade"]).contains("does not say when it was built"));
    Os::new(4).write(&machine.layout());
    machine.done(&["upgrade", "--allow-older"]);
    assert_eq!(machine.version("staged").as_deref(), Some("4"));
    // That an older one was taken does not make the next old one acceptable.
    Os::new(3).write(&machine.layout());
    assert!(machine.refused(1, &["upgrade"]).contains("of 2026-01-05"));
}

#[test]
fn a_clock_far_in_the_past_changes_nothing() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    Os::new(2).write(&machine.layout());
    let faked = std::process::Command::new("faketime").arg("--version").output();
    if faked.is_err() {
        crate::fixture::skipped("a_clock_far_in_the_past_changes_nothing: faketime is not on this machine");
        return;
    }
    let program = machine.command(&["upgrade"]);
    let mut command = std::process::Command::new("faketime");
    command.arg("1970-01-02 00:00:00").arg(program.get_program()).args(program.get_args());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", crate::fixture::shown(&output));
    assert_eq!(machine.version("staged").as_deref(), Some("2"));
}

#[test]
fn damaged_and_tampered_layers_are_refused() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    for packing in [Packing::Plain, Packing::Zstd] {
        let os = Os { packing, ..Os::new(2) };
        os.write(&machine.layout());
        let layer = manifest(&machine.layout()).layers[1].clone();
        // In a plain tar: within the contents of a file, where nothing else would notice.
        let kernel = (packing == Packing::Plain).then_some(512 * 4 + 100);
        tamper(&machine.layout(), &layer, kernel);
        let error = machine.refused(2, &["upgrade"]);
        assert!(error.contains("is damaged or was tampered with"), "{packing:?}: {error}");
        assert_eq!(machine.version("staged"), None);
        machine.fsck();
        // The good one is then taken.
        os.write(&machine.layout());
        machine.done(&["upgrade", "--check"]);
    }
    machine.done(&["upgrade"]);
    machine.fsck();
}

#[test]
fn layers_that_are_not_what_the_config_says_are_refused() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    // A manifest of another's layers: the compressed digests are right, the contents are not those of the config.
    Os::new(3).write(&machine.layout());
    let foreign = manifest(&machine.layout()).layers[1].clone();
    let bytes = blob(&machine.layout(), &foreign);
    Os { key: None, ..Os::new(2) }.write(&machine.layout());
    let blobs = machine.layout().join("blobs/sha256");
    fs_err::write(blobs.join(foreign.digest.hex()), bytes).unwrap();
    let mut changed = manifest(&machine.layout());
    changed.layers[1] = foreign;
    let bytes = serde_json::to_vec(&changed).unwrap();
    let index = machine.layout().join("index.json");
    let mut listed: Index = serde_json::from_slice(&fs_err::read(&index).unwrap()).unwrap();
    listed.manifests[0].digest = calypte_base::Digest::of(&bytes);
    listed.manifests[0].size = bytes.len() as u64;
    fs_err::write(blobs.join(listed.manifests[0].digest.hex()), bytes).unwrap();
    fs_err::write(&index, serde_json::to_vec(&listed).unwrap()).unwrap();
    fs_err::write(machine.path("config/etc/calypte/policy.toml"), "accept = [\"insecure\"]\n").unwrap();
    let error = machine.refused(2, &["upgrade"]);
    assert!(error.contains("the contents of layer"), "{error}");
}
