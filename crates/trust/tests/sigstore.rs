//! Signatures of images: keys and signatures of `openssl` are taken and given, and every attack has its own refusal.

use std::io::Write as _;
use std::process::Command;

use calypte_base::Digest;
use calypte_formats::oci::{Descriptor, Manifest};
use calypte_trust::sigstore::{
    Bundle, KeyFileError, MEDIA_TYPE_BUNDLE, PREDICATE_SIGN, PublicKey, PublicKeys, Referrer, SigningKey,
    Statement, fallback_tag,
};

fn key(number: u8) -> SigningKey {
    SigningKey::from_secret(&[number; 32]).unwrap()
}

fn accepting(numbers: &[u8]) -> PublicKeys {
    let mut keys = PublicKeys::default();
    for number in numbers {
        keys.add(format!("key-{number}.pub"), key(*number).public().clone());
    }
    keys
}

#[test]
fn what_is_signed_is_verified_and_all_else_is_refused() {
    let (image, other) = (Digest::of(b"image"), Digest::of(b"other"));
    let good = Bundle::sign_image(&image, &key(1)).to_json();
    let text = String::from_utf8(good.clone()).unwrap();
    let keys = accepting(&[2, 1]);
    assert_eq!(
        Bundle::verify_image(std::slice::from_ref(&good), &image, &keys).unwrap().id(),
        key(1).public().id()
    );
    // The same bytes each time, so that what is attached to an image is the same.
    assert_eq!(Bundle::sign_image(&image, &key(1)).to_json(), good);

    let swapped = {
        // The envelope of another image's signature, with this one's payload.
        let mut one: serde_json::Value = serde_json::from_slice(&good).unwrap();
        let two: serde_json::Value =
            serde_json::from_slice(&Bundle::sign_image(&other, &key(1)).to_json()).unwrap();
        one["dsseEnvelope"]["signatures"] = two["dsseEnvelope"]["signatures"].clone();
        serde_json::to_vec(&one).unwrap()
    };
    let statement = Statement::about(&image, "https://slsa.dev/provenance/v1", serde_json::json!({}));
    let cases: [(&str, Vec<Vec<u8>>, PublicKeys, &str); 8] = [
        ("no signature", vec![], keys.clone(), "is not signed"),
        ("no key", vec![good.clone()], PublicKeys::default(), "no keys are accepted"),
        ("another key", vec![good.clone()], accepting(&[2]), "which is not among the accepted keys"),
        (
            "another image",
            vec![Bundle::sign_image(&other, &key(1)).to_json()],
            keys.clone(),
            "for another image",
        ),
        (
            "another statement",
            vec![Bundle::sign(&statement, &key(1)).to_json()],
            keys.clone(),
            "of another kind",
        ),
        ("another's signature", vec![swapped], keys.clone(), "does not match what was signed"),
        ("no bundle", vec![b"{}".to_vec()], keys.clone(), "cannot be understood"),
        (
            "an older bundle",
            vec![text.replace("v0.3", "v0.1").into_bytes()],
            keys.clone(),
            "it is a application/vnd.dev.sigstore.bundle.v0.1+json",
        ),
    ];
    for (name, bundles, keys, expected) in cases {
        let error = Bundle::verify_image(&bundles, &image, &keys).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert!(error.hint().is_some());
    }
    // One bad signature does no harm beside a good one: anybody can attach some.
    assert!(Bundle::verify_image(&[b"{}".to_vec(), good], &image, &keys).is_ok());
}

#[test]
fn a_bundle_is_attached_as_cosign_attaches_it() {
    let subject = Descriptor { digest: Digest::of(b"image"), size: 5, ..Descriptor::default() };
    let bundle = Bundle::sign_image(&subject.digest, &key(1)).to_json();
    let referrer = Referrer::new(bundle.clone(), PREDICATE_SIGN, &subject);
    let manifest: Manifest = serde_json::from_slice(&referrer.manifest).unwrap();
    assert_eq!(referrer.descriptor.digest, Digest::of(&referrer.manifest));
    assert_eq!(manifest.subject.unwrap().digest, subject.digest);
    assert_eq!(manifest.artifact_type.as_deref(), Some(MEDIA_TYPE_BUNDLE));
    assert_eq!(manifest.layers[0].digest, Digest::of(&bundle));
    assert_eq!(manifest.config.digest, Digest::of(&referrer.blobs[0]));
    assert_eq!(fallback_tag(&subject.digest), format!("sha256-{}", subject.digest.hex()));
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let pem = key(1).public().to_pem();
    let private = key(1).to_pem();
    assert_eq!(SigningKey::from_pem(private.as_bytes(), "key").unwrap().public(), key(1).public());
    assert_eq!(&PublicKey::from_pem(pem.as_bytes(), "key").unwrap(), key(1).public());
    for bad in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", private.as_str()] {
        let error = PublicKey::from_pem(bad.as_bytes(), "bad.pub").unwrap_err();
        assert!(error.to_string().starts_with("bad.pub holds no ECDSA P-256 public key"), "{error}");
    }
    let encrypted = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n";
    let error = SigningKey::from_pem(encrypted.as_bytes(), "cosign.key").unwrap_err();
    assert!(matches!(error, KeyFileError::Encrypted { .. }), "{error}");
    assert!(SigningKey::from_pem(pem.as_bytes(), "key").is_err());
}

/// `openssl` makes the keys, verifies our signature and makes one that we verify.
#[test]
fn openssl_is_understood_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(directory.path()).output();
        output.ok().filter(|output| output.status.success())
    };
    if openssl(&["version"]).is_none() {
        drop(writeln!(std::io::stderr(), "skipped: openssl is not installed"));
        return;
    }
    let read = |name: &str| fs_err::read(directory.path().join(name)).unwrap();
    let curve = "ec_paramgen_curve:P-256";
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", "pkcs8.pem"]).unwrap();
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-out", "sec1.pem"]).unwrap();
    fs_err::write(directory.path().join("message"), b"message").unwrap();
    for name in ["pkcs8.pem", "sec1.pem"] {
        openssl(&["pkey", "-in", name, "-pubout", "-out", "public.pem"]).unwrap();
        let (key, public) = (
            SigningKey::from_pem(&read(name), name).unwrap(),
            PublicKey::from_pem(&read("public.pem"), name).unwrap(),
        );
        assert_eq!(key.public(), &public, "{name}");
        fs_err::write(directory.path().join("ours.sig"), key.sign(b"message")).unwrap();
        let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "ours.sig", "message"];
        openssl(&verify).unwrap();
        openssl(&["dgst", "-sha256", "-sign", name, "-out", "theirs.sig", "message"]).unwrap();
        assert!(public.verifies(b"message", &read("theirs.sig")), "{name}");
        assert!(!public.verifies(b"massage", &read("theirs.sig")), "{name}");
    }
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "other.pem"])
        .unwrap();
    assert!(SigningKey::from_pem(&read("other.pem"), "other.pem").is_err());
}
