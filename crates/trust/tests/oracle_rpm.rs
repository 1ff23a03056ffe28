//! Packages that rpmbuild makes and rpmsign signs, and what becomes of them on the way: `rpm -K` and we say the same,
//! but for what this rpm does not look at.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use calypte_base::Epoch;
use calypte_formats::rpm as format;
use calypte_trust::rpm::{RpmTrustError, VerifiedPackage, verify_headers, verify_package};
use calypte_trust::{KeyRing, TrustError, Why, verify_detached};

/// 2024-06-01, after the keys were made, and after the end of the one that ends.
const NOW: Epoch = Epoch(1_717_200_000);

const SPEC: &str = "Name: signed\nVersion: 1\nRelease: 1\nSummary: Something to sign\nLicense: MIT\nBuildArch: noarch\n\
    %description\nWords to sign.\n%install\nmkdir -p %{buildroot}/usr/share\necho contents > %{buildroot}/usr/share/signed\n\
    %files\n/usr/share/signed\n";

fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(missing) = missing {
        drop(writeln!(std::io::stderr(), "skipped: {missing} is not installed"));
    }
    missing.is_none()
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A directory with three keys, made on the first of January 2024, and a package.
struct Workshop {
    directory: tempfile::TempDir,
}

impl Workshop {
    fn new() -> Self {
        let workshop = Self { directory: tempfile::tempdir().unwrap() };
        fs_err::create_dir(workshop.path("gnupg")).unwrap();
        succeed(Command::new("chmod").arg("700").arg(workshop.path("gnupg")));
        for (name, algorithm, expiry) in
            [("good", "rsa3072", "never"), ("other", "ed25519", "never"), ("ended", "rsa2048", "2m")]
        {
            let user = format!("{name} <{name}@example.org>");
            let mut generate = workshop.gpg();
            generate.args(["--faked-system-time", "20240101T000000!", "--passphrase", ""]);
            succeed(generate.args(["--quick-gen-key", &user, algorithm, "sign", expiry]));
            let key = succeed(workshop.gpg().args(["--armor", "--export", &user])).stdout;
            fs_err::write(workshop.path(&format!("{name}.asc")), key).unwrap();
        }
        fs_err::write(workshop.path("signed.spec"), SPEC).unwrap();
        succeed(
            Command::new("rpmbuild")
                .args(["-bb", "--quiet", "--define"])
                .arg(format!("_topdir {}", workshop.directory.path().display()))
                .args(["--define", "_rpmfilename unsigned.rpm"])
                .arg(workshop.path("signed.spec")),
        );
        fs_err::rename(workshop.path("RPMS/unsigned.rpm"), workshop.path("unsigned.rpm")).unwrap();
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn gpg(&self) -> Command {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--yes", "--quiet", "--homedir"]).arg(self.path("gnupg"));
        gpg
    }

    fn ring(&self, key: &str) -> KeyRing {
        let file = format!("{key}.asc");
        KeyRing::from_armored(&file, &fs_err::read(self.path(&file)).unwrap()).unwrap()
    }

    /// A copy of the package, signed on the first of February 2024.
    fn sign(&self, key: &str) -> PathBuf {
        let package = self.path(&format!("signed-by-{key}.rpm"));
        fs_err::copy(self.path("unsigned.rpm"), &package).unwrap();
        // rpmsign wants to know where gpg is, and Debian's does not.
        let gpg = succeed(Command::new("sh").args(["-c", "command -v gpg"])).stdout;
        let gpg = format!("__gpg {}", String::from_utf8(gpg).unwrap().trim());
        succeed(
            Command::new("rpmsign")
                .args(["--define", &gpg])
                .env("GNUPGHOME", self.path("gnupg"))
                .args(["--define", &format!("_gpg_name {key}@example.org"), "--define"])
                .arg("_gpg_sign_cmd_extra_args --faked-system-time 20240201T000000!")
                .arg("--addsign")
                .arg(&package),
        );
        package
    }

    fn changed(&self, name: &str, original: &Path, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
        let mut bytes = fs_err::read(original).unwrap();
        change(&mut bytes);
        let path = self.path(name);
        fs_err::write(&path, bytes).unwrap();
        path
    }

    /// What rpm says when it accepts this key only.
    fn rpm(&self, package: &Path, key: &str) -> Output {
        let database = self.path(&format!("rpmdb-{key}"));
        if !database.exists() {
            fs_err::create_dir(&database).unwrap();
            let mut import = Command::new("rpmkeys");
            succeed(
                import.arg("--dbpath").arg(&database).arg("--import").arg(self.path(&format!("{key}.asc"))),
            );
        }
        let mut check = Command::new("rpmkeys");
        check.args(["-Kv", "--define", "_pkgverify_level all", "--dbpath"]).arg(&database).arg(package);
        check.output().unwrap()
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // The agent would outlive its directory.
        drop(
            Command::new("gpgconf").arg("--homedir").arg(self.path("gnupg")).args(["--kill", "all"]).output(),
        );
    }
}

/// Turns the first of these byte sequences into the second, of the same length.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let place = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[place..place + to.len()].copy_from_slice(to);
}

#[test]
fn oracle_rpm_agrees_on_what_is_trusted() {
    if !installed(&["rpm", "rpmbuild", "rpmsign", "rpmkeys", "gpg", "gpgconf"]) {
        return;
    }
    let workshop = Workshop::new();
    let [good, other, ended] = ["good", "other", "ended"].map(|key| workshop.sign(key));
    let stripped = workshop.changed("stripped.rpm", &good, |_| {});
    succeed(Command::new("rpmsign").arg("--delsign").arg(&stripped));
    let header = |bytes: &mut Vec<u8>| replace(bytes, b"Words to sign.", b"Words to sing.");
    let payload = |bytes: &mut Vec<u8>| *bytes.iter_mut().nth_back(9).unwrap() ^= 1;
    // The tag of the signature over the header becomes that of the old one over everything.
    let legacy =
        |bytes: &mut Vec<u8>| replace(bytes, &[0, 0, 1, 12, 0, 0, 0, 7], &[0, 0, 3, 234, 0, 0, 0, 7]);
    let digest = |bytes: &mut Vec<u8>| {
        let place = bytes.windows(8).position(|window| window == [0, 0, 1, 17, 0, 0, 0, 6]).unwrap();
        let store = 96 + 16 + 16 * usize::from(bytes[96 + 11]);
        let offset = u32::from_be_bytes(*bytes[place + 8..].first_chunk().unwrap()) as usize;
        bytes[store + offset] = if bytes[store + offset] == b'0' { b'1' } else { b'0' };
    };
    let only_ours = "rpm 4.18 does not look at the end of a key";
    let cases: [(&str, PathBuf, &str, &str, Option<&str>); 11] = [
        ("good", good.clone(), "good", "", None),
        ("another algorithm", other.clone(), "other", "", None),
        ("unsigned", workshop.path("unsigned.rpm"), "good", "not signed", None),
        ("by another key", other, "good", "not among the accepted keys", None),
        ("by a key that ended", ended, "ended", "the key expired on 2024-03-01", Some(only_ours)),
        ("header altered", workshop.changed("header.rpm", &good, header), "good", "does not match", None),
        ("payload altered", workshop.changed("payload.rpm", &good, payload), "good", "the payload has", None),
        ("signature stripped", stripped, "good", "not signed", None),
        ("only an old signature", workshop.changed("legacy.rpm", &good, legacy), "good", "old way", None),
        (
            "digest altered",
            workshop.changed("digest.rpm", &good, digest),
            "good",
            "the header has the digest",
            None,
        ),
        (
            "cut off",
            workshop.changed("cut.rpm", &good, |bytes| bytes.truncate(bytes.len() - 1)),
            "good",
            "the payload has",
            None,
        ),
    ];
    for (name, package, key, refusal, difference) in cases {
        let bytes = fs_err::read(&package).unwrap();
        let ours = verify_package(&bytes[..], &workshop.ring(key), NOW);
        match &ours {
            Ok(VerifiedPackage { signer, .. }) => {
                assert!(refusal.is_empty(), "{name} was accepted");
                assert_eq!(signer.user, format!("{key} <{key}@example.org>"));
                assert_eq!(signer.made.to_string(), "2024-02-01T00:00:00Z");
            }
            Err(error) => {
                assert!(!refusal.is_empty() && error.to_string().contains(refusal), "{name}: {error}");
                assert!(error.hint().is_some(), "{name}");
            }
        }
        let rpm = workshop.rpm(&package, key);
        let agrees = rpm.status.success() == ours.is_ok();
        let said = String::from_utf8_lossy(&rpm.stdout);
        assert_eq!(agrees, difference.is_none(), "{name}: rpm says\n{said}");
    }
    let bytes = fs_err::read(workshop.path("signed-by-ended.rpm")).unwrap();
    let before = Epoch(1_707_000_000);
    assert!(verify_package(&bytes[..], &workshop.ring("ended"), before).is_ok(), "good before its key ended");
}

#[test]
fn oracle_no_changed_byte_of_a_header_is_trusted() {
    if !installed(&["rpmbuild", "rpmsign", "gpg", "gpgconf"]) {
        return;
    }
    let workshop = Workshop::new();
    let bytes = fs_err::read(workshop.sign("other")).unwrap();
    let ring = workshop.ring("other");
    let (_, _, ranges) = format::read_headers(&bytes[..]).unwrap();
    let signed = ranges.header.start as usize..bytes.len();
    for place in signed.step_by(7) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        assert!(verify_package(&changed[..], &ring, NOW).is_err(), "byte {place}");
    }
}

#[test]
fn oracle_detached_signatures_of_gpg_are_verified() {
    if !installed(&["gpg", "gpgconf", "rpmbuild"]) {
        return;
    }
    let workshop = Workshop::new();
    let file = workshop.path("repomd.xml");
    fs_err::write(&file, "<repomd/>\r\n").unwrap();
    let sign = |kind: &str| {
        let mut gpg = workshop.gpg();
        gpg.args([
            "--faked-system-time",
            "20240201T000000!",
            "--local-user",
            "good@example.org",
            "--output",
            "-",
        ]);
        succeed(gpg.args(kind.split(' ')).arg(&file)).stdout
    };
    let (signature, textual) = (sign("--detach-sign"), sign("--textmode --detach-sign"));
    let verify =
        |signature: &[u8], data: &[u8], key| verify_detached(signature, data, &workshop.ring(key), NOW);
    assert_eq!(verify(&signature, b"<repomd/>\r\n", "good").unwrap().user, "good <good@example.org>");
    let why = |signature: &[u8], data: &[u8], key| match verify(signature, data, key) {
        Err(TrustError::Refused { rejections, .. }) => rejections[0].why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&signature, b"<repomd/>\n", "good"), Why::Bad);
    assert_eq!(why(&signature, b"<repomd/>\r\n", "other"), Why::UnknownKey);
    assert_eq!(why(&textual, b"<repomd/>\r\n", "good"), Why::WrongKind);
    assert!(matches!(why(b"", b"<repomd/>\r\n", "good"), Why::Unreadable(_)));
    assert!(matches!(why(b"rubbish", b"<repomd/>\r\n", "good"), Why::Unreadable(_)));
    for cut in 0..signature.len() {
        assert!(verify(&signature[..cut], b"<repomd/>\r\n", "good").is_err(), "cut at {cut}");
    }
}

fn data(name: &str) -> Vec<u8> {
    fs_err::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rpm").join(name)).unwrap()
}

fn ring(key: &str) -> KeyRing {
    KeyRing::from_armored(key, &data(key)).unwrap()
}

/// After all committed packages were signed.
const LATER: Epoch = Epoch(1_800_000_000);

#[test]
fn packages_of_format_4_are_verified_by_rsa_ecdsa_and_eddsa() {
    let kinds = ["rsa4096", "ecdsa", "ed25519"];
    for kind in kinds {
        let package = data(&format!("v4-{kind}.rpm"));
        let signer = verify_package(&package[..], &ring(&format!("v4-{kind}.asc")), LATER).unwrap().signer;
        assert!(signer.user.starts_with(&format!("rpm-testkey-v4-{kind}")), "{}", signer.user);
        for other in kinds.into_iter().filter(|other| *other != kind) {
            let error = verify_package(&package[..], &ring(&format!("v4-{other}.asc")), LATER).unwrap_err();
            assert!(error.to_string().contains("not among the accepted keys"), "{error}");
        }
        // A bit of the signed header.
        let (_, _, ranges) = format::read_headers(&package[..]).unwrap();
        let mut changed = package;
        changed[ranges.header.end as usize - 5] ^= 1;
        assert!(verify_package(&changed[..], &ring(&format!("v4-{kind}.asc")), LATER).is_err());
    }
}

#[test]
fn a_package_of_format_6_is_verified_by_either_of_its_signatures() {
    let bytes = data("v6-two-signatures.rpm");
    let now = LATER;
    for (key, user) in [("v6-ed25519.asc", "ed25519"), ("v6-rsa4096.asc", "rsa4k")] {
        let signer = verify_package(&bytes[..], &ring(key), now).unwrap().signer;
        assert!(signer.user.contains(user), "{}", signer.user);
        let (signature, header, _) = format::read_headers(&bytes[..]).unwrap();
        assert_eq!(verify_headers(&signature, &header, &ring(key), now).unwrap(), signer);
    }
    let error = verify_package(&bytes[..], &KeyRing::new(), now).unwrap_err();
    let RpmTrustError::Signature(TrustError::Refused { rejections, .. }) = error else { panic!("{error}") };
    assert_eq!(rejections.len(), 2);
    let last = bytes.len() - 1;
    let mut changed = bytes;
    changed[last] ^= 1;
    let error = verify_package(&changed[..], &ring("v6-ed25519.asc"), now).unwrap_err();
    assert!(matches!(error, RpmTrustError::PayloadDigest { .. }), "{error}");
}

/// Keys that withstand quantum computers are not taken yet: they are refused for what they are, and what is signed by one of
/// them alone is signed by nobody who is known.
#[test]
fn an_algorithm_of_tomorrow_is_refused_by_its_name() {
    let file = "v6-mldsa65-ed25519.asc";
    let error = KeyRing::from_armored(file, &data(file)).unwrap_err();
    let key = "E52B3CB536BE98A1BD19500647E069157085E6F70608F0D32E0CDDD4720227E6";
    let reason = "is of OpenPGP algorithm 30, which is not supported (known: RSA, ECDSA, EdDSA)";
    assert_eq!(error.to_string(), format!("key {key} in {file} {reason}"));
    assert!(error.hint().is_some());
    let package = data("v6-mldsa65-ed25519.rpm");
    let error = verify_package(&package[..], &ring("v6-ed25519.asc"), LATER).unwrap_err();
    assert!(error.to_string().contains("not among the accepted keys"), "{error}");
}
