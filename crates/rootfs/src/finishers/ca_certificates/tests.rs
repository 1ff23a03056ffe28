//! The bundle and the links, and the same from `update-ca-certificates` and `openssl rehash`.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::finishers::tests::{Bench, path, read_back, tool};

/// ISRG Root X2: a real certificate that is short.
pub(super) const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIICGzCCAaGgAwIBAgIQQdKd0XLq7qeAwSxs6S+HUjAKBggqhkjOPQQDAzBPMQsw\n\
CQYDVQQGEwJVUzEpMCcGA1UEChMgSW50ZXJuZXQgU2VjdXJpdHkgUmVzZWFyY2gg\n\
R3JvdXAxFTATBgNVBAMTDElTUkcgUm9vdCBYMjAeFw0yMDA5MDQwMDAwMDBaFw00\n\
MDA5MTcxNjAwMDBaME8xCzAJBgNVBAYTAlVTMSkwJwYDVQQKEyBJbnRlcm5ldCBT\n\
ZWN1cml0eSBSZXNlYXJjaCBHcm91cDEVMBMGA1UEAxMMSVNSRyBSb290IFgyMHYw\n\
EAYHKoZIzj0CAQYFK4EEACIDYgAEzZvVn4CDCuwJSvMWSj5cz3es3mcFDR0HttwW\n\
+1qLFNvicWDEukWVEYmO6gbf9yoWHKS5xcUy4APgHoIYOIvXRdgKam7mAHf7AlF9\n\
ItgKbppbd9/w+kHsOdx1ymgHDB/qo0IwQDAOBgNVHQ8BAf8EBAMCAQYwDwYDVR0T\n\
AQH/BAUwAwEB/zAdBgNVHQ4EFgQUfEKWrt5LSDv6kviejM9ti6lyN5UwCgYIKoZI\n\
zj0EAwMDaAAwZQIwe3lORlCEwkSHRhtFcP9Ymd70/aTSVaYgLXTWNLxBo1BfASdW\n\
tL4ndQavEi51mI38AjEAi/V3bNTIZargCyzuFJ0nN6T5U6VR5CmD1/iQMVtCnwr1\n\
/q4AaOeMSQ+2b1tbFfLn\n\
-----END CERTIFICATE-----\n\
";

#[test]
fn one_bundle_and_links_by_name_and_hash() {
    let mut bench = Bench::new()
        .file("usr/share/ca-certificates/mozilla/A (one), x.crt", CERTIFICATE.trim_end())
        .file("usr/share/ca-certificates/mozilla/B.crt", CERTIFICATE)
        .file("usr/share/ca-certificates/README", "no certificate");
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0755 0:0 /etc/
    0755 0:0 /etc/ssl/
    0755 0:0 /etc/ssl/certs/
    0777 0:0 /etc/ssl/certs/0b9bc432.0 -> A_=one=__x.pem
    0777 0:0 /etc/ssl/certs/0b9bc432.1 -> B.pem
    0777 0:0 /etc/ssl/certs/A_=one=__x.pem -> /usr/share/ca-certificates/mozilla/A (one), x.crt
    0777 0:0 /etc/ssl/certs/B.pem -> /usr/share/ca-certificates/mozilla/B.crt
    0644 0:0 /etc/ssl/certs/ca-certificates.crt
    ");
    assert_eq!(bench.text(BUNDLE), CERTIFICATE.repeat(2));
    let mut bench = bench.file_with(SCRIPT, "", 0o755);
    bench.run(apply).unwrap();
    assert!(bench.text(SELECTION).ends_with("#\nmozilla/A (one), x.crt\nmozilla/B.crt\n"));
}

#[test]
fn each_link_is_its_certificates_package_s_and_the_bundle_is_the_only_one_s() {
    let bench = || {
        Bench::new()
            .file("usr/share/ca-certificates/mozilla/A.crt", CERTIFICATE)
            .file("usr/share/ca-certificates/mozilla/B.crt", CERTIFICATE)
    };
    let mut alone = bench();
    alone.run(apply).unwrap();
    assert_eq!(alone.owner(BUNDLE), "finisher ca-certificates, for package p");
    let mut two = bench().given_to("usr/share/ca-certificates/mozilla/B.crt", "q");
    two.run(apply).unwrap();
    assert_eq!(two.owner(BUNDLE), "finisher ca-certificates");
    for (link, package) in [("A.pem", "p"), ("0b9bc432.0", "p"), ("B.pem", "q"), ("0b9bc432.1", "q")] {
        let owner = two.owner(&format!("{TARGET}/{link}"));
        assert_eq!(owner, format!("finisher ca-certificates, for package {package}"), "{link}");
    }
}

#[test]
fn what_is_no_certificate_names_the_file() {
    let mut bench = Bench::new().file("usr/share/ca-certificates/x.crt", "x");
    let error = bench.run(apply).unwrap_err();
    insta::assert_snapshot!(error.to_string(), @"/usr/share/ca-certificates/x.crt cannot be used: not a PEM certificate: no begin line");
}

/// This machine's certificates as a tree.
fn of_this_machine() -> Option<Bench> {
    let mut bench = Bench::new();
    for entry in fs_err::read_dir(Path::new("/").join(SOURCE).join("mozilla")).ok()? {
        let file = entry.ok()?.path();
        bench = bench.file(&format!("{}", file.display()), fs_err::read(&file).ok()?);
    }
    Some(bench)
}

#[test]
fn oracle_update_ca_certificates_makes_the_same() {
    let Some(mut bench) = of_this_machine() else {
        drop(writeln!(std::io::stderr(), "skipped: ca-certificates is not installed"));
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    let (tree, context) = bench.context();
    let found = certificates(&Site::new(tree, context.dates(), context.contents, NAME), &path(SOURCE));
    let names: String = found.iter().map(|path| format!("mozilla/{}\n", path.file_name())).collect();
    fs_err::write(&list, names).unwrap();
    let target = directory.path().join("certs");
    fs_err::create_dir(&target).unwrap();
    let mut command = Command::new("update-ca-certificates");
    command.arg("--certsconf").arg(&list).arg("--etccertsdir").arg(&target);
    command.args(["--localcertsdir", "/nonexistent", "--hooksdir", "/nonexistent"]);
    if tool(&mut command).is_none() {
        return;
    }
    bench.run(apply).unwrap();
    let ours: BTreeMap<String, String> = bench
        .tree
        .below(&path(TARGET))
        .map(|(path, node)| match &node.kind {
            crate::tree::NodeKind::Symlink(target) => (path.file_name().to_owned(), format!("-> {target}")),
            _ => (path.file_name().to_owned(), bench.text(path.as_str())),
        })
        .collect();
    let theirs: BTreeMap<String, String> = read_back(&target, "").into_iter().collect();
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    assert_eq!(ours, theirs);
}
