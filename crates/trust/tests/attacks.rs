//! Every folder of `tests/data` is a message that an attacker, or an accident, made: each must get its own refusal,
//! and the good ones their text. gpgv is the oracle, where it is installed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_base::Epoch;
use calypte_trust::{KeyRing, TrustError, Verified, verify_clearsigned};

/// 2024-06-01, after every fixture was made and the expiring ones expired.
const NOW: Epoch = Epoch(1_717_200_000);

/// Folder, the accepted key, whether it is verified, and what gpgv says where it differs from us.
const CASES: [(&str, &str, bool, Option<&str>); 24] = [
    ("good", "archive", true, None),
    ("crlf", "archive", true, None),
    ("trailing-space", "archive", true, None),
    ("several", "archive", true, None),
    ("altered-text", "archive", false, None),
    ("other-message", "archive", false, None),
    ("good-and-bad", "archive", false, None),
    ("truncated", "archive", false, None),
    ("not-signed", "archive", false, None),
    ("unknown-key", "archive", false, None),
    ("expired-key", "expired", false, None),
    ("revoked-key", "revoked", false, None),
    ("expired-signature", "archive", false, None),
    ("good", "forged-binding", false, None),
    ("good", "forged-back-signature", false, None),
    ("good", "other", false, None),
    ("second-message", "archive", false, Some("gpgv checks the first message, then fails on the second")),
    ("damaged-armor", "archive", false, Some("gpgv skips characters that are no base64")),
    ("appended-text", "archive", false, Some("gpgv ignores text outside; apt refuses it")),
    ("prepended-text", "archive", false, Some("gpgv ignores text outside; apt refuses it")),
    ("not-escaped", "archive", false, Some("gpgv is lenient; apt refuses it")),
    ("weak-hash", "archive", false, Some("gpgv takes SHA-1 over data; apt does not")),
    ("weak-key", "weak", false, Some("gpgv takes RSA of any size; apt does not")),
    ("from-the-future", "archive", false, Some("gpgv does not compare with the clock")),
];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn verify(folder: &str, key: &str) -> Result<Verified, TrustError> {
    let ring = KeyRing::from_binary(key, &fs_err::read(data(&format!("keys/{key}.gpg"))).unwrap()).unwrap();
    verify_clearsigned(&fs_err::read(data(&format!("{folder}/InRelease"))).unwrap(), &ring, NOW)
}

#[test]
fn every_attack_is_refused_with_its_reason() {
    for (folder, key, good, _) in CASES {
        let name = if matches!(folder, "good") { format!("{folder}-{key}") } else { folder.to_owned() };
        match verify(folder, key) {
            Ok(verified) => {
                assert!(good, "{name} was accepted");
                let text = "Origin: Example\nSuite: test\nDate: Thu, 02 Jan 2020 00:00:00 UTC\nSHA256:\n - a line that is escaped\n-- another\n";
                assert_eq!(verified.text, text, "{name}");
                assert_eq!(verified.signers.len(), 1, "{name}");
                assert_eq!(verified.signers[0].user, "archive (throw-away) <archive@example.org>");
                assert_ne!(verified.signers[0].certificate, verified.signers[0].key, "a subkey signs");
            }
            Err(error) => {
                assert!(!good, "{name} was refused: {error}");
                let report = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
                insta::assert_snapshot!(name, report);
            }
        }
    }
}

#[test]
fn a_signature_by_a_foreign_key_beside_a_good_one_is_told() {
    let verified = verify("several", "archive").unwrap();
    assert_eq!(verified.rejections.len(), 1);
    assert!(verified.rejections[0].to_string().ends_with(": the key is not among the accepted keys"));
}

#[test]
fn an_expired_key_was_good_before_its_end() {
    let ring = KeyRing::from_binary("expired", &fs_err::read(data("keys/expired.gpg")).unwrap()).unwrap();
    let message = fs_err::read(data("expired-key/InRelease")).unwrap();
    let (before, after) = (Epoch(1_609_400_000), Epoch(1_609_600_000));
    assert!(verify_clearsigned(&message, &ring, before).is_ok());
    assert!(verify_clearsigned(&message, &ring, after).is_err());
}

#[test]
fn no_changed_byte_of_the_message_is_given_out() {
    let good = fs_err::read(data("good/InRelease")).unwrap();
    let ring = KeyRing::from_binary("archive", &fs_err::read(data("keys/archive.gpg")).unwrap()).unwrap();
    let text = verify_clearsigned(&good, &ring, NOW).unwrap().text;
    for place in 0..good.len() {
        let mut changed = good.clone();
        changed[place] ^= 1 << (place % 8);
        if let Ok(verified) = verify_clearsigned(&changed, &ring, NOW) {
            assert_eq!(verified.text, text, "byte {place}");
        }
    }
}

#[test]
fn debian_is_verified_with_the_keys_of_the_catalog() {
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/keys");
    let ring = |name: &str| {
        let file = format!("debian-archive-{name}.asc");
        KeyRing::from_armored(&file, &fs_err::read(catalog.join(&file)).unwrap()).unwrap()
    };
    let message = fs_err::read(data("real-trixie-updates/InRelease")).unwrap();
    let now = Epoch(1_795_500_000);
    for name in ["bookworm-automatic", "trixie-automatic"] {
        let verified = verify_clearsigned(&message, &ring(name), now).unwrap();
        assert_eq!((verified.signers.len(), verified.rejections.len()), (1, 1));
        assert!(verified.text.starts_with("Origin: Debian\n"));
    }
    let mut both = ring("bookworm-automatic");
    both.extend(ring("trixie-automatic"));
    assert_eq!(verify_clearsigned(&message, &both, now).unwrap().signers.len(), 2);
    for name in
        ["bookworm-security-automatic", "trixie-security-automatic", "bookworm-stable", "trixie-stable"]
    {
        assert!(verify_clearsigned(&message, &ring(name), now).is_err(), "{name}");
    }
    // After the end of a key: 2031-01-19 and 2035-03-28.
    let later = Epoch(1_930_000_000);
    assert!(verify_clearsigned(&message, &ring("bookworm-automatic"), later).is_err());
    assert!(verify_clearsigned(&message, &ring("trixie-automatic"), later).is_ok());
}

#[test]
fn armour_and_binary_give_the_same_key_and_rubbish_none() {
    let armored = fs_err::read(data("keys/archive.asc")).unwrap();
    let binary = fs_err::read(data("keys/archive.gpg")).unwrap();
    let ring = KeyRing::from_armored("archive.asc", &armored).unwrap();
    assert_eq!(ring.names(), KeyRing::from_binary("archive.gpg", &binary).unwrap().names());
    let twice = [b"Some words.\n".as_slice(), &armored, b"more\n", &armored].concat();
    assert_eq!(KeyRing::from_armored("twice", &twice).unwrap().names().len(), 2);

    let errors = [
        KeyRing::from_armored("empty.asc", b"").unwrap_err().to_string(),
        KeyRing::from_armored("binary.asc", &binary).unwrap_err().to_string(),
        KeyRing::from_armored("cut.asc", &armored[..armored.len() / 2]).unwrap_err().to_string(),
        KeyRing::from_binary("empty.gpg", b"").unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(errors.join("\n"), @r"
    empty.asc holds no OpenPGP public key
    binary.asc holds a damaged OpenPGP key: it is not text; is it a binary key?
    cut.asc holds a damaged OpenPGP key: the key block has no end
    empty.gpg holds no OpenPGP public key
    ");
    for length in 1..binary.len() {
        // Whatever is cut off, nothing panics; what is left may be a whole key without its subkey.
        drop(KeyRing::from_binary("cut", &binary[..length]));
    }
}

#[test]
fn oracle_gpgv_agrees() {
    if Command::new("gpgv").arg("--version").output().is_err() {
        drop(writeln!(std::io::stderr(), "skipped: gpgv is not installed (apt-get install gpgv)"));
        return;
    }
    for (folder, key, good, difference) in CASES {
        let output = Command::new("gpgv")
            .args(["--status-fd", "1", "--keyring"])
            .arg(data(&format!("keys/{key}.gpg")))
            .arg(data(&format!("{folder}/InRelease")))
            .output()
            .unwrap();
        let status = String::from_utf8_lossy(&output.stdout);
        let says = |word: &str| status.lines().any(|line| line.starts_with(&format!("[GNUPG:] {word} ")));
        let accepted = says("GOODSIG") && !says("BADSIG");
        assert_eq!(accepted, good || difference.is_some(), "{folder} with {key}: gpgv says\n{status}");
    }
}
