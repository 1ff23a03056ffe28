//! Unified kernel images: the same bytes as `ukify`'s, and signatures that `sbverify` takes.

use std::path::Path;

use calypte_disk::uki::{self, Parts, Signer};

use crate::machine::{has, output, run};
use crate::random::Numbers;
use crate::stub;

const SBAT: &str = "calypte,1,Calypte,calypte,1,https://example.org";

/// A kernel that promises nothing about its memory and has generations of its own.
fn kernel() -> Vec<u8> {
    stub::made(&[".text", ".sbat", ".data"])
}

fn parts<'a>(stub: &'a [u8], kernel: &'a [u8], initrd: &'a [u8]) -> Parts<'a> {
    Parts {
        stub,
        kernel,
        initrd,
        command_line: "composefs=0123 rw panic=10",
        os_release: "ID=calypte\nIMAGE_VERSION=1\n",
        kernel_release: "7.2.13-amd64",
        sbat: &[SBAT],
    }
}

#[test]
fn what_goes_in_is_found_in_it() {
    let (stub, kernel, initrd) = (stub::stub(), kernel(), Numbers::new(1).bytes(100_001));
    let image = uki::build(&parts(&stub, &kernel, &initrd)).unwrap();
    let sections = uki::parse(&image).unwrap();
    let find = |name: &str| sections.iter().find(|section| section.name == name).unwrap().data;
    assert!(find(".linux") == kernel && find(".initrd") == initrd);
    assert_eq!(uki::text(&image, ".cmdline").unwrap().unwrap(), "composefs=0123 rw panic=10");
    assert_eq!(uki::text(&image, ".none").unwrap(), None);
    let sbat = uki::text(&image, ".sbat").unwrap().unwrap();
    assert!(
        sbat.starts_with("sbat,1,") && sbat.contains("stub,1,Test") && sbat.ends_with(&format!("{SBAT}\n"))
    );
    assert!(sections.windows(2).all(|pair| pair[0].address < pair[1].address));
    let twice = uki::build(&parts(&image, &kernel, &initrd));
    assert!(twice.is_err() || uki::parse(&twice.unwrap()).is_ok());
}

#[test]
fn ukify_makes_the_same() {
    if !has("ukify") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (stub, kernel, initrd) = (stub::stub(), kernel(), Numbers::new(2).bytes(50_000));
    let parts = parts(&stub, &kernel, &initrd);
    let files: [(&str, &[u8]); 4] = [
        ("stub", &stub),
        ("kernel", &kernel),
        ("initrd", &initrd),
        ("os-release", parts.os_release.as_bytes()),
    ];
    for (name, bytes) in files {
        fs_err::write(at(name), bytes).unwrap();
    }
    let sbat = format!("sbat,1,SBAT Version\n{SBAT}\n");
    run(
        "ukify",
        &[
            "build",
            &format!("--stub={}", at("stub")),
            &format!("--linux={}", at("kernel")),
            &format!("--initrd={}", at("initrd")),
            &format!("--os-release=@{}", at("os-release")),
            &format!("--cmdline={}", parts.command_line),
            &format!("--uname={}", parts.kernel_release),
            &format!("--sbat={sbat}"),
            &format!("--output={}", at("image")),
        ],
    );
    let (theirs, ours) = (fs_err::read(at("image")).unwrap(), uki::build(&parts).unwrap());
    let differing = theirs.iter().zip(&ours).position(|(theirs, ours)| theirs != ours);
    assert_eq!((differing, theirs.len()), (None, ours.len()));
}

#[test]
fn objdump_lists_the_sections() {
    if !has("objdump") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    let (stub, kernel, initrd) = (stub::stub(), kernel(), vec![1; 5000]);
    let image = uki::build(&parts(&stub, &kernel, &initrd)).unwrap();
    fs_err::write(&path, &image).unwrap();
    let listed = run("objdump", &["-h", path.to_str().unwrap()]);
    for section in uki::parse(&image).unwrap() {
        let line = listed.lines().find(|line| line.split_whitespace().nth(1) == Some(section.name.as_str()));
        let size = line.unwrap().split_whitespace().nth(2).unwrap();
        assert_eq!(usize::from_str_radix(size, 16).unwrap(), section.data.len(), "{listed}");
    }
}

/// A key and its certificate in PEM, made by OpenSSL.
fn key(directory: &Path, name: &str, kind: &str) -> (String, String) {
    let at = |ending: &str| directory.join(format!("{name}.{ending}")).to_str().unwrap().to_owned();
    let (key, certificate) = (at("key"), at("pem"));
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            kind,
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &certificate,
            "-days",
            "3650",
            "-subj",
            "/O=Calypte/CN=Test",
        ],
    );
    (fs_err::read_to_string(key).unwrap(), fs_err::read_to_string(certificate).unwrap())
}

#[test]
fn sbverify_takes_the_signature_and_no_other() {
    if !has("openssl") || !has("sbverify") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (stub, kernel) = (stub::stub(), kernel());
    for (name, kind) in [("small", "rsa:2048"), ("large", "rsa:4096")] {
        let (key, certificate) = key(directory.path(), name, kind);
        let signer = Signer::from_pem(&key, &certificate).unwrap();
        for length in [0, 1, 4, 777] {
            let mut image = uki::build(&parts(&stub, &kernel, &[1; 3000])).unwrap();
            // Also of what does not end with a whole word.
            image.extend(vec![7; length]);
            let signed = uki::sign(&image, &signer).unwrap();
            assert!(signed == uki::sign(&signed, &signer).unwrap(), "signed again, and the same");
            assert_eq!(uki::authenticode_digest(&signed).unwrap(), {
                image.resize(image.len().next_multiple_of(8), 0);
                uki::authenticode_digest(&image).unwrap()
            });
            fs_err::write(at("signed"), &signed).unwrap();
            let said = run("sbverify", &["--cert", &at(&format!("{name}.pem")), &at("signed")]);
            assert!(said.contains("Signature verification OK"), "{said}");
            let mut broken = signed.clone();
            let place = broken.len() / 2;
            broken[place] ^= 1;
            fs_err::write(at("broken"), &broken).unwrap();
            let said = output("sbverify", &["--cert", &at(&format!("{name}.pem")), &at("broken")]);
            assert!(!said.status.success());
        }
    }
    let said = output("sbverify", &["--cert", &at("small.pem"), &at("signed")]);
    assert!(!said.status.success(), "of another key");
}

#[test]
fn sbsign_signs_the_same_digest() {
    if !has("openssl") || !has("sbsign") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    key(directory.path(), "key", "rsa:2048");
    let image = uki::build(&parts(&stub::stub(), &kernel(), &[1; 3000])).unwrap();
    fs_err::write(at("image"), &image).unwrap();
    run(
        "sbsign",
        &["--key", &at("key.key"), "--cert", &at("key.pem"), "--output", &at("signed"), &at("image")],
    );
    let signed = fs_err::read(at("signed")).unwrap();
    let digest = uki::authenticode_digest(&image).unwrap();
    assert_eq!(uki::authenticode_digest(&signed).unwrap(), digest);
    assert!(signed.windows(32).any(|bytes| bytes == digest), "the digest stands in its message");
}

#[test]
fn keys_that_cannot_sign_are_refused() {
    if !has("openssl") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (good, certificate) = key(directory.path(), "good", "rsa:2048");
    let (_, other) = key(directory.path(), "other", "rsa:2048");
    let (small, small_certificate) = key(directory.path(), "small", "rsa:1024");
    let refused = |key: &str, certificate: &str| Signer::from_pem(key, certificate).unwrap_err().to_string();
    assert_eq!(refused(&good, &other), "signing key: the certificate is of another key");
    assert_eq!(refused(&small, &small_certificate), "signing key: it has less than 2048 bits");
    assert!(refused("x", &certificate).starts_with("signing key: no RSA key in PEM"));
    assert!(refused(&good, "x").starts_with("signing key: no certificate in PEM"));
}
