//! Packages of Python, npm, Go, Rust and Java, alone and as parts of a distribution's packages.

use std::io::Write as _;
use std::process::Command;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::Options;
use super::{Root, bill_of, file, ids, layout, owner};

const OS_RELEASE: &str = "ID=debian\n";

#[test]
fn python_packages_own_what_their_lists_name() {
    let root = Root::new();
    let site = "usr/lib/python3/site-packages";
    root.file(
        &format!("{site}/Zope.Interface-5.0.dist-info/METADATA"),
        "Name: Zope.Interface\nVersion: 5.0\nLicense-Expression: ZPL-2.1\nAuthor: A\nSummary: short\n\nText",
    );
    root.file(
        &format!("{site}/Zope.Interface-5.0.dist-info/RECORD"),
        "zope/interface.py,,\n../../../../usr/bin/zope,,\n../../../../../../../etc/passwd,,\ngone.py,,\n",
    );
    root.file(&format!("{site}/zope/interface.py"), "");
    root.file("usr/bin/zope", "");
    root.file(&format!("{site}/old-1.egg-info"), "Name: old\nVersion: 1\n");
    root.file(&format!("{site}/older-1.egg-info/PKG-INFO"), "Name: older\nVersion: 1\nLicense: MIT\n");
    root.file(&format!("{site}/older-1.egg-info/installed-files.txt"), "../older.py\nPKG-INFO\n");
    root.file(&format!("{site}/older.py"), "");
    root.file(&format!("{site}/bad-1.dist-info/METADATA"), "Name: bad\n");
    let bill = root.bill();
    let zope = format!("pypi/zope-interface@5.0#/{site}/Zope.Interface-5.0.dist-info/METADATA");
    let older = format!("pypi/older@1#/{site}/older-1.egg-info/PKG-INFO");
    assert_eq!(ids(&bill), [format!("pypi/old@1#/{site}/old-1.egg-info"), older.clone(), zope.clone()]);
    assert_eq!(owner(&bill, "/usr/bin/zope"), zope);
    assert_eq!(owner(&bill, &format!("/{site}/zope/interface.py")), zope);
    assert_eq!(owner(&bill, &format!("/{site}/older.py")), older);
    let component = &bill.sbom.components[&zope];
    assert_eq!(component.purl, "pkg:pypi/zope-interface@5.0");
    assert_eq!(component.licences.declared.as_deref(), Some("ZPL-2.1"));
    assert_eq!(bill.gaps, [format!("/{site}/bad-1.dist-info/METADATA names no package or no version")]);
}

#[test]
fn what_a_package_of_the_distribution_owns_is_part_of_it() {
    let root = Root::new();
    let site = "usr/lib/python3/dist-packages";
    root.file("etc/os-release", OS_RELEASE);
    root.file(
        "var/lib/dpkg/status",
        "Package: python3-requests\nStatus: install ok installed\nVersion: 2.0-1\nArchitecture: all\n",
    );
    root.file(
        "var/lib/dpkg/info/python3-requests.list",
        format!("/{site}/requests-2.0.dist-info/METADATA\n/{site}/requests.py\n"),
    );
    root.file(&format!("{site}/requests-2.0.dist-info/METADATA"), "Name: requests\nVersion: 2.0\n");
    root.file(&format!("{site}/requests-2.0.dist-info/RECORD"), "requests.py,,\nextra.py,,\n");
    root.file(&format!("{site}/requests.py"), "");
    root.file(&format!("{site}/extra.py"), "");
    let bill = root.bill();
    let deb = "deb/python3-requests@2.0-1.all";
    let python = format!("pypi/requests@2.0#/{site}/requests-2.0.dist-info/METADATA");
    assert_eq!(bill.sbom.components[&python].part_of.as_deref(), Some(deb));
    assert_eq!(owner(&bill, &format!("/{site}/requests.py")), deb);
    assert_eq!(owner(&bill, &format!("/{site}/extra.py")), python);
    assert_eq!(bill.gaps, Vec::<String>::new());
}

#[test]
fn npm_packages_are_those_that_were_installed() {
    let root = Root::new();
    let package = |name: &str| {
        format!("{{\"name\":\"{name}\",\"version\":\"1.0.0\",\"license\":{{\"type\":\"MIT\"}}}}")
    };
    root.file("app/package.json", package("app"));
    root.file("app/node_modules/a/package.json", package("a"));
    root.file("app/node_modules/a/index.js", "");
    root.file("app/node_modules/a/esm/package.json", "{\"type\":\"module\"}");
    root.file("app/node_modules/a/test/package.json", package("fixture"));
    root.file("app/node_modules/a/node_modules/@s/b/package.json", package("@s/b"));
    root.file("app/node_modules/a/node_modules/@s/b/b.js", "");
    root.file("app/node_modules/nameless/package.json", "{}");
    root.file("app/node_modules/bad/package.json", "[".repeat(100_000));
    let bill = root.bill();
    let (a, b) = (
        "npm/a@1.0.0#/app/node_modules/a/package.json",
        "npm/@s/b@1.0.0#/app/node_modules/a/node_modules/@s/b/package.json",
    );
    assert_eq!(ids(&bill), [b, a]);
    assert_eq!(bill.sbom.components[b].purl, "pkg:npm/%40s/b@1.0.0");
    assert_eq!(bill.sbom.components[a].licences.declared.as_deref(), Some("MIT"));
    assert_eq!(owner(&bill, "/app/node_modules/a/esm/package.json"), a);
    assert_eq!(owner(&bill, "/app/node_modules/a/node_modules/@s/b/b.js"), b);
    assert_eq!(owner(&bill, "/app/package.json"), "");
    assert_eq!(bill.gaps.len(), 1);
    assert!(bill.gaps[0].starts_with("/app/node_modules/bad/package.json cannot be read: recursion limit"));
}

/// An ELF file of no segments and one section of this name.
fn elf(section: &str, data: &[u8]) -> Vec<u8> {
    let names = format!("\0{section}\0.shstrtab\0");
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    let table = 64 + data.len() + names.len();
    for word in [0_u64, 0, table as u64] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 0, 64, 3, 2] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(data);
    bytes.extend(names.as_bytes());
    bytes.extend([0; 64]);
    let mut header = |name: u32, kind: u32, place: usize, size: usize| {
        bytes.extend(name.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        for word in [0, 0, place as u64, size as u64, 0, 1, 0] {
            bytes.extend(word.to_le_bytes());
        }
    };
    header(1, 1, 64, data.len());
    header(2 + section.len() as u32, 3, 64 + data.len(), names.len());
    // Seven words and two halves are the 64 bytes of a header.
    bytes
}

#[test]
fn crates_of_rust_tell_what_they_need() {
    let json = r#"{"packages":[{"name":"adler","version":"0.2.3","source":"crates.io"},
        {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
        {"name":"app","version":"0.1.0","source":"local","dependencies":[0,1],"root":true}]}"#;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(json.as_bytes()).unwrap();
    let section = encoder.finish().unwrap();
    let members = vec![
        file("usr/bin/app", &elf(".dep-v0", &section)),
        file("usr/bin/bad", &elf(".dep-v0", b"nonsense")),
        file("usr/bin/other", &elf(".text", b"")),
    ];
    let place = layout(&[members]);
    let bill = bill_of(place.path(), Options::default());
    let (adler, app) = ("cargo/adler@0.2.3#/usr/bin/app", "cargo/app@0.1.0#/usr/bin/app");
    assert_eq!(ids(&bill), [adler, app]);
    assert_eq!(bill.sbom.components[adler].purl, "pkg:cargo/adler@0.2.3");
    assert_eq!(bill.sbom.dependencies[app].on.iter().collect::<Vec<_>>(), [adler]);
    assert_eq!(owner(&bill, "/usr/bin/app"), app);
    assert_eq!(bill.gaps.len(), 1);
    assert!(
        bill.gaps[0].starts_with("/usr/bin/bad: the list of crates cannot be unpacked"),
        "{:?}",
        bill.gaps
    );
}

#[test]
fn programs_of_go_tell_their_modules() {
    if Command::new("go").arg("version").output().is_err() {
        return drop(writeln!(std::io::stderr(), "skipped: go is not installed"));
    }
    let source = Root::new();
    source.file("lib/go.mod", "module example.org/lib\n\ngo 1.18\n");
    source.file("lib/lib.go", "package lib\n\nfunc One() int { return 1 }\n");
    source.file(
        "app/go.mod",
        "module example.org/team/app\n\ngo 1.18\n\nrequire example.org/lib v1.2.3\n\nreplace example.org/lib => ../lib\n",
    );
    source.file(
        "app/main.go",
        "package main\n\nimport \"example.org/lib\"\n\nfunc main() { println(lib.One()) }\n",
    );
    let output = Command::new("go")
        .args(["build", "-buildvcs=false", "-o", "program"])
        .current_dir(source.path().join("app"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = Root::new();
    root.file("usr/bin/app", fs_err::read(source.path().join("app/program")).unwrap());
    let bill = root.bill();
    let ids = ids(&bill);
    let [lib, app, library] = ids.as_slice() else { panic!("{ids:?}") };
    assert_eq!(*lib, "golang/example.org/lib@v1.2.3#/usr/bin/app");
    assert_eq!(*app, "golang/example.org/team/app@(devel)#/usr/bin/app");
    assert!(library.starts_with("golang/stdlib@1."), "{library}");
    assert_eq!(bill.sbom.components[*app].purl, "pkg:golang/example.org/team/app");
    assert_eq!(bill.sbom.components[*lib].purl, "pkg:golang/example.org/lib@v1.2.3");
    assert_eq!(bill.sbom.dependencies[*app].on.len(), 2);
    assert_eq!(owner(&bill, "/usr/bin/app"), *app);
}

/// The empty zip file.
const EMPTY_ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A zip file of one entry that is not packed.
fn zip(name: &str, data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    let mut common = Vec::new();
    common.extend(20_u16.to_le_bytes());
    common.extend([0; 8]);
    common.extend(crc.sum().to_le_bytes());
    for size in [data.len(), data.len()] {
        common.extend(u32::try_from(size).unwrap().to_le_bytes());
    }
    common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    common.extend([0; 2]);
    let local = [b"PK\x03\x04", &common[..], name.as_bytes(), data].concat();
    let central = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], name.as_bytes()].concat();
    let mut end = EMPTY_ZIP.to_vec();
    end[8] = 1;
    end[10] = 1;
    end[12..16].copy_from_slice(&u32::try_from(central.len()).unwrap().to_le_bytes());
    end[16..20].copy_from_slice(&u32::try_from(local.len()).unwrap().to_le_bytes());
    [local, central, end].concat()
}

#[test]
fn archives_of_java_are_maven_s() {
    let pom = b"groupId=org.example\nartifactId=lib\nversion=1.2\n";
    let lib = zip("META-INF/maven/org.example/lib/pom.properties", pom);
    let manifest = b"Implementation-Title: web\nImplementation-Version: 3\n";
    let members = vec![
        file("app/web.war", &zip("WEB-INF/lib/lib-1.2.jar", &lib)),
        file("app/web.jar", &zip("META-INF/MANIFEST.MF", manifest)),
        file("app/lib.jar", &lib),
        file("app/not-a-jar.zip", &lib),
        file("app/bad.jar", b"PK\x03\x04"),
        file("app/text.jar", b"text"),
    ];
    let place = layout(&[members]);
    let bill = bill_of(place.path(), Options::default());
    assert_eq!(
        ids(&bill),
        [
            "maven/org.example:lib@1.2#/app/lib.jar",
            "maven/org.example:lib@1.2#/app/web.war!/WEB-INF/lib/lib-1.2.jar",
            "maven/web@3#/app/web.jar"
        ]
    );
    assert_eq!(
        bill.sbom.components["maven/org.example:lib@1.2#/app/lib.jar"].purl,
        "pkg:maven/org.example/lib@1.2"
    );
    assert_eq!(owner(&bill, "/app/lib.jar"), "maven/org.example:lib@1.2#/app/lib.jar");
    assert_eq!(owner(&bill, "/app/web.war"), "");
    assert!(bill.sbom.files["/app/lib.jar"].sha1.is_some());
    assert_eq!(bill.sbom.files["/app/text.jar"].sha1, None);
    assert_eq!(bill.gaps.len(), 1, "{:?}", bill.gaps);
    assert!(bill.gaps[0].starts_with("/app/bad.jar: it is no zip file that can be read"));
}
