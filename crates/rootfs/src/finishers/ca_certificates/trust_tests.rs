//! Fedora's store of trust, and the same from `trust extract` of p11-kit.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::certificate::Certificate;
use super::tests::CERTIFICATE;
use super::*;
use crate::finishers::tests::{Bench, EPOCH, path, read_back, tool, write_out};

const ANCHORS: &str = "usr/share/pki/ca-trust-source/anchors";
const PLAIN: &str = "usr/share/pki/ca-trust-source";
const EXTRACTED: &str = "etc/pki/ca-trust/extracted";
const TLS: &str = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";

fn key() -> String {
    let body: String = CERTIFICATE.lines().filter(|line| !line.starts_with("---")).collect();
    let der = STANDARD.decode(body).unwrap();
    let key = STANDARD.encode(Certificate::read(&der).unwrap().0.public_key);
    format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n")
}

/// An object with the certificate, and the purposes (`\x01` for servers) that are attached to its key.
fn persisted(trusted: &str, purposes: &[u8]) -> String {
    let mut text =
        format!("# comment\n[p11-kit-object-v1]\nlabel: \"The%20Root\"\n{trusted}\n{CERTIFICATE}\n");
    if !purposes.is_empty() {
        let listed: String =
            purposes.iter().map(|number| format!("%06%08%2B%06%01%05%05%07%03%{number:02x}")).collect();
        let size = purposes.len() * 10;
        text.push_str(&format!(
            "[p11-kit-object-v1]\nclass: x-certificate-extension\nlabel: \"The%20Root\"\nobject-id: 2.5.29.37\n\
             value: \"0%{:02x}%06%03U%1D%25%01%01%FF%04%{:02x}0%{:02x}{listed}\"\nmodifiable: false\n{}\n",
            size + 12,
            size + 2,
            size,
            key()
        ));
    }
    text
}

#[test]
fn everything_that_update_ca_trust_makes() {
    let mut bench = Bench::new()
        .file(&format!("{PLAIN}/ca-bundle.trust.p11-kit"), persisted("trusted: true", &[1, 4]))
        .file(&format!("{PLAIN}/README"), "no certificate")
        .file("usr/share/pki/ca-trust-legacy/ca-bundle.legacy.default.crt", "")
        .directory("etc/pki/tls/certs")
        .link("etc/ssl/certs", "/etc/pki/tls/certs");
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0755 0:0 /etc/pki/ca-trust/
    0755 0:0 /etc/pki/ca-trust/extracted/
    0755 0:0 /etc/pki/ca-trust/extracted/edk2/
    0444 0:0 /etc/pki/ca-trust/extracted/edk2/cacerts.bin
    0755 0:0 /etc/pki/ca-trust/extracted/java/
    0444 0:0 /etc/pki/ca-trust/extracted/java/cacerts
    0755 0:0 /etc/pki/ca-trust/extracted/openssl/
    0444 0:0 /etc/pki/ca-trust/extracted/openssl/ca-bundle.trust.crt
    0755 0:0 /etc/pki/ca-trust/extracted/pem/
    0555 0:0 /etc/pki/ca-trust/extracted/pem/directory-hash/
    0777 0:0 /etc/pki/ca-trust/extracted/pem/directory-hash/0b9bc432.0 -> The_Root.pem
    0777 0:0 /etc/pki/ca-trust/extracted/pem/directory-hash/8794b4e3.0 -> The_Root.pem
    0444 0:0 /etc/pki/ca-trust/extracted/pem/directory-hash/The_Root.pem
    0444 0:0 /etc/pki/ca-trust/extracted/pem/email-ca-bundle.pem
    0444 0:0 /etc/pki/ca-trust/extracted/pem/objsign-ca-bundle.pem
    0444 0:0 /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
    0755 0:0 /etc/pki/ca-trust/source/
    0777 0:0 /etc/pki/ca-trust/source/ca-bundle.legacy.crt -> /usr/share/pki/ca-trust-legacy/ca-bundle.legacy.default.crt
    0777 0:0 /etc/pki/tls/certs/0b9bc432.0 -> /etc/pki/ca-trust/extracted/pem/directory-hash/The_Root.pem
    0777 0:0 /etc/pki/tls/certs/8794b4e3.0 -> /etc/pki/ca-trust/extracted/pem/directory-hash/The_Root.pem
    0777 0:0 /etc/pki/tls/certs/ca-bundle.crt -> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
    0777 0:0 /etc/pki/tls/certs/ca-certificates.crt -> /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
    ");
    assert_eq!(bench.text("etc/ssl/certs/ca-certificates.crt"), format!("# The Root\n{CERTIFICATE}"));
    assert_eq!(bench.text(&format!("{EXTRACTED}/pem/email-ca-bundle.pem")), bench.text(TLS));
    assert_eq!(bench.text(&format!("{EXTRACTED}/pem/objsign-ca-bundle.pem")), "");
    assert_eq!(bench.owner(TLS), "finisher ca-certificates, for package p");
    let mut bench = bench.file("etc/pki/ca-trust/source/anchors/own.pem", CERTIFICATE);
    bench = bench.given_to("etc/pki/ca-trust/source/anchors/own.pem", "q");
    bench.run(apply).unwrap();
    assert_eq!(bench.owner(TLS), "finisher ca-certificates");
}

#[test]
fn what_is_distrusted_anywhere_is_trusted_nowhere() {
    let trusted = persisted("trusted: true", &[]);
    let cases = [
        ("anchors/x.crt", CERTIFICATE.to_owned(), true),
        ("x.crt", CERTIFICATE.to_owned(), false),
        ("x.p11-kit", trusted.clone(), true),
        ("blocklist/x.p11-kit", trusted, false),
        ("x.p11-kit", persisted("x-distrusted: true", &[]), false),
        ("x.p11-kit", persisted("trusted: true\ncertificate-category: other-entity", &[]), false),
        ("x.p11-kit", persisted("trusted: true", &[3]), false),
        ("x.p11-kit", persisted("trusted: true", &[1]), true),
    ];
    for (name, text, expected) in cases {
        let mut bench = Bench::new().file(&format!("{PLAIN}/{name}"), &text);
        bench.run(apply).unwrap();
        assert_eq!(bench.text(TLS).contains("BEGIN CERTIFICATE"), expected, "{name}: {text}");
    }
    let mut bench = Bench::new()
        .file(&format!("{ANCHORS}/x.crt"), CERTIFICATE)
        .file("etc/pki/ca-trust/source/blocklist/x.crt", CERTIFICATE);
    bench.run(apply).unwrap();
    assert_eq!(bench.text(TLS), "");
}

#[test]
fn what_cannot_be_read_names_the_file() {
    let mut bench = Bench::new().file(&format!("{PLAIN}/x.p11-kit"), "[p11-kit-object-v1]\nsurprise: true\n");
    let error = bench.run(apply).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"/usr/share/pki/ca-trust-source/x.p11-kit cannot be used: line 2: the attribute `surprise` is not known");
}

/// This machine's roots as Fedora would ship them: one file in each directory, since p11-kit reads the files of a
/// directory in the order of their names only since 0.25.
fn of_this_machine() -> Option<Bench> {
    let mut files: Vec<_> = fs_err::read_dir("/usr/share/ca-certificates/mozilla")
        .ok()?
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "crt"))
        .collect();
    files.sort();
    let (mut ours, mut theirs, mut blocked, mut bundle) =
        (String::new(), String::new(), String::new(), String::new());
    for (number, file) in files.iter().enumerate() {
        let text = fs_err::read_to_string(file).unwrap();
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        match number % 5 {
            0 => ours.push_str(&text),
            1 => theirs.push_str(&text),
            2 if number < 20 => {
                blocked.push_str(&text);
                ours.push_str(&text);
            }
            _ => bundle.push_str(&format!(
                "[p11-kit-object-v1]\nlabel: \"{}\"\ntrusted: {}\nnss-mozilla-ca-policy: true\n{text}\n",
                name.replace('_', "%20"),
                number % 7 != 0
            )),
        }
    }
    bundle.push_str(&persisted("trusted: true", &[1, 3]));
    // OpenSSL's own form: one for servers alone, one for nothing at all.
    let mut legacy = String::new();
    for (file, arguments) in files.iter().rev().zip([
        &["-addtrust", "serverAuth", "-addreject", "emailProtection", "-setalias", "An Old One"][..],
        &["-setalias", "No Longer"][..],
    ]) {
        let mut command = Command::new("openssl");
        command.args(["x509", "-trustout", "-in"]).arg(file).args(arguments);
        legacy.push_str(&tool(&mut command).unwrap_or_default());
    }
    let bench = Bench::new()
        .file("etc/pki/ca-trust/source/anchors/ours.pem", ours)
        .file("etc/pki/ca-trust/source/legacy.crt", legacy)
        .file(&format!("{ANCHORS}/theirs.pem"), theirs)
        .file(&format!("{PLAIN}/blocklist/blocked.pem"), blocked)
        .file(&format!("{PLAIN}/ca-bundle.trust.p11-kit"), bundle);
    Some(bench)
}

/// `trust`, which reads these sources alone. It takes a user's configuration, but never root's.
fn trust(root: &Path, arguments: &[&str], target: &Path) -> Command {
    let modules = root.join("home/.config/pkcs11/modules");
    fs_err::create_dir_all(&modules).unwrap();
    let paths =
        [format!("{}/etc/pki/ca-trust/source", root.display()), format!("{}/{PLAIN}", root.display())];
    let module = format!(
        "module: p11-kit-trust.so\npriority: 1\ntrust-policy: yes\nx-init-reserved: paths='{}'\n",
        paths.join(":")
    );
    fs_err::write(modules.join("p11-kit-trust.module"), module).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--clear-groups", "trust", "extract", "--overwrite"]);
    command.env("HOME", root.join("home")).env("SOURCE_DATE_EPOCH", EPOCH.0.to_string());
    command.args(arguments).arg(target);
    command
}

#[test]
fn oracle_trust_extracts_the_same() {
    let Some(mut bench) = of_this_machine() else {
        drop(writeln!(std::io::stderr(), "skipped: this machine has no certificates where Debian has them"));
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    write_out(&bench, directory.path());
    let out = directory.path().join("out");
    fs_err::create_dir(&out).unwrap();
    for (place, mode) in [(directory.path(), 0o755), (out.as_path(), 0o777)] {
        fs_err::set_permissions(place, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    bench.run(apply).unwrap();
    let forms: [(&str, &[&str]); 7] = [
        (
            "pem/tls-ca-bundle.pem",
            &["pem-bundle", "--filter=ca-anchors", "--comment", "--purpose=server-auth"],
        ),
        ("pem/email-ca-bundle.pem", &["pem-bundle", "--filter=ca-anchors", "--comment", "--purpose=email"]),
        (
            "pem/objsign-ca-bundle.pem",
            &["pem-bundle", "--filter=ca-anchors", "--comment", "--purpose=code-signing"],
        ),
        ("openssl/ca-bundle.trust.crt", &["openssl-bundle", "--filter=certificates", "--comment"]),
        ("edk2/cacerts.bin", &["edk2-cacerts", "--filter=ca-anchors", "--purpose=server-auth"]),
        ("java/cacerts", &["java-cacerts", "--filter=ca-anchors", "--purpose=server-auth"]),
        ("pem/directory-hash", &["pem-directory-hash", "--filter=ca-anchors", "--purpose=server-auth"]),
    ];
    for (name, arguments) in forms {
        let target = out.join("made");
        let format = format!("--format={}", arguments[0]);
        let arguments: Vec<&str> =
            [format.as_str()].into_iter().chain(arguments[1..].iter().copied()).collect();
        if tool(&mut trust(directory.path(), &arguments, &target)).is_none() {
            return;
        }
        if target.is_dir() {
            let theirs = read_back(&target, "");
            let ours = tempfile::tempdir().unwrap();
            write_out(&bench, ours.path());
            assert_eq!(read_back(&ours.path().join(EXTRACTED).join(name), ""), theirs, "{name}");
        } else {
            let content = bench.tree.file(&path(&format!("{EXTRACTED}/{name}"))).unwrap();
            let (ours, theirs) =
                (bench.contents.read(&content.digest).unwrap(), fs_err::read(&target).unwrap());
            assert!(ours == theirs, "{name}:\n{}", first_difference(&ours, &theirs));
            fs_err::remove_file(&target).unwrap();
        }
    }
}

fn first_difference(ours: &[u8], theirs: &[u8]) -> String {
    let same = ours.iter().zip(theirs).take_while(|(one, other)| one == other).count();
    let show = |bytes: &[u8]| String::from_utf8_lossy(&bytes[same..bytes.len().min(same + 200)]).into_owned();
    format!("{} and {} bytes, from {same}:\n{}\n---\n{}", ours.len(), theirs.len(), show(ours), show(theirs))
}
