//! Metadata that createrepo_c made of packages that rpmbuild made: we read in them what `rpm -qp` says of the packages,
//! however they are compressed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_base::Digest;
use calypte_base::version::RpmVersion;
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::rpm_repository::primary::Entry;
use calypte_formats::rpm_repository::repomd::{self, DataFile, Repomd};
use calypte_formats::rpm_repository::{FileKind, RepositoryError, filelists, primary};

const SPEC: &str = "\
Name: full
Epoch: 2
Version: 1.0~rc1
Release: 3.fc44
Summary: Everything that metadata hold <&\"'>
License: MIT
BuildArch: noarch
Provides: bundled(lib) = 1.2, plain, full-compat = 1:4-5
Requires: bare, lower < 1.0, at-most <= 2, same = 0.5-1, at-least >= 3.1~beta, above > 1:1^git2
Requires: libc.so.6(GLIBC_2.34)(64bit), /usr/bin/env
Requires: (one or two >= 2), (three if four else (five and six)), (seven with eight < 8)
Requires(pre): early
Conflicts: foe < 9, (left and right), (this unless that)
Obsoletes: former < 2.0-7
Recommends: nice, (extra if base)
Suggests: maybe > 1
Supplements: (desktop and language)
Enhances: other = 5
%description
Text of the package.
%package other
Version: 7^20260101git
Summary: Another
%description other
None.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/full %{buildroot}/usr/share/'a & <b>'
echo program > %{buildroot}/usr/bin/full
echo setting > %{buildroot}/etc/full/setting
echo text > %{buildroot}/usr/share/'a & <b>'/straße
touch %{buildroot}/etc/full/ghost
%post
echo installed
%files
/usr/bin/full
%dir /etc/full
/etc/full/setting
%ghost /etc/full/ghost
\"/usr/share/a & <b>\"
%files other
";

/// The tools, or why there is nothing to compare with.
fn tools_are_missing() -> bool {
    for tool in ["rpmbuild", "createrepo_c", "rpm"] {
        if Command::new(tool).arg("--version").output().is_err() {
            _ = writeln!(std::io::stderr(), "skipped: there is no {tool} on this machine");
            return true;
        }
    }
    false
}

fn run(command: &mut Command) -> String {
    let output = command.env("TZ", "UTC").env("LC_ALL", "C.UTF-8").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn bytes_of(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    OpenOptions::new().read(true).open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Builds the packages, and gives their directory.
fn packages(directory: &Path) -> PathBuf {
    let spec = directory.join("full.spec");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&spec).unwrap();
    file.write_all(SPEC.as_bytes()).unwrap();
    let top = format!("_topdir {}", directory.join("build").display());
    run(Command::new("rpmbuild").args(["-bb", "--quiet", "--define", &top]).arg(&spec));
    directory.join("build/RPMS")
}

/// What rpm says of each package file, by its path below the repository: texts by their names.
fn said_by_rpm(repository: &Path) -> BTreeMap<String, BTreeMap<&'static str, String>> {
    let mut said = BTreeMap::new();
    for file in repository.join("noarch").read_dir().unwrap() {
        let path = file.unwrap().path();
        let ask = |arguments: &[&str]| run(Command::new("rpm").arg("-qp").args(arguments).arg(&path));
        let format =
            "%{NAME} %{EPOCHNUM} %{VERSION} %{RELEASE} %{ARCH} %{SOURCERPM} %{BUILDTIME} %{LONGSIZE}";
        let answers = [
            ("identity", ask(&["--qf", format])),
            ("provides", ask(&["--provides"])),
            ("requires", ask(&["--requires"])),
            ("conflicts", ask(&["--conflicts"])),
            ("obsoletes", ask(&["--obsoletes"])),
            ("recommends", ask(&["--recommends"])),
            ("suggests", ask(&["--suggests"])),
            ("supplements", ask(&["--supplements"])),
            ("enhances", ask(&["--enhances"])),
            ("files", ask(&["--qf", "[%{FILENAMES} %{FILEMODES:perms} %{FILEFLAGS:fflags}\n]"])),
        ];
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(said.insert(format!("noarch/{name}"), BTreeMap::from(answers)).is_none());
    }
    said
}

/// Makes the metadata, and gives what `repomd.xml` has.
fn metadata(repository: &Path, compression: &str) -> Repomd {
    let arguments = ["--quiet", "--no-database", "--general-compress-type", compression];
    run(Command::new("createrepo_c").args(arguments).arg(repository));
    repomd::parse(&bytes_of(&repository.join("repodata/repomd.xml"))).unwrap()
}

/// A file of metadata, checked against `repomd.xml` and unpacked.
fn unpacked(repository: &Path, file: &DataFile) -> Vec<u8> {
    let bytes = bytes_of(&repository.join(&file.location));
    assert_eq!((Digest::of(&bytes), bytes.len() as u64), (file.checksum, file.size));
    let compression = Compression::from_extension(file.location.rsplit('.').next().unwrap()).unwrap();
    let mut plain = Vec::new();
    decoder(compression, &bytes[..], 1 << 20).unwrap().read_to_end(&mut plain).unwrap();
    assert_eq!((Some(Digest::of(&plain)), Some(plain.len() as u64)), (file.open_checksum, file.open_size));
    plain
}

/// As rpm prints it.
fn line(entry: &Entry<'_>) -> String {
    let Some(operator) = entry.flags else { return entry.name.to_owned() };
    let version = RpmVersion::new(entry.epoch, entry.version.unwrap(), entry.release).unwrap();
    format!("{} {operator} {version}", entry.name)
}

/// The lines in order, without what createrepo_c leaves out on purpose.
fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.starts_with("rpmlib(")).collect()
}

#[test]
fn oracle_rpm_says_of_packages_what_is_read_in_metadata() {
    if tools_are_missing() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let repository = packages(directory.path());
    let said = said_by_rpm(&repository);
    assert_eq!(said.len(), 2);
    for compression in ["gz", "xz"] {
        let repomd = metadata(&repository, compression);
        assert!(repomd.timestamp > 1_700_000_000 && repomd.revision.is_some());
        let mut checksums = BTreeMap::new();
        let xml = unpacked(&repository, &repomd.data["primary"]);
        primary::read(BufReader::with_capacity(7, &xml[..]), &mut |package| {
            let rpm = &said[package.location];
            let identity = format!(
                "{} {} {} {} {} {} {} {}",
                package.name,
                package.epoch,
                package.version,
                package.release,
                package.arch,
                package.sourcerpm.unwrap(),
                package.build_time,
                package.installed_size,
            );
            assert_eq!(identity, rpm["identity"]);
            let file = bytes_of(&repository.join(package.location));
            assert_eq!((Digest::of(&file), file.len() as u64), (package.checksum, package.size));
            for (kind, entries) in [
                ("provides", &package.provides),
                ("requires", &package.requires),
                ("conflicts", &package.conflicts),
                ("obsoletes", &package.obsoletes),
                ("recommends", &package.recommends),
                ("suggests", &package.suggests),
                ("supplements", &package.supplements),
                ("enhances", &package.enhances),
            ] {
                let read: BTreeSet<String> = entries.iter().map(line).collect();
                assert_eq!(read, lines(&rpm[kind]), "{kind} of {}", package.name);
            }
            if package.name == "full" {
                let early = package.requires.iter().filter(|entry| entry.pre).map(|entry| entry.name);
                assert_eq!(early.collect::<Vec<_>>(), ["/bin/sh", "early"]);
                let files: Vec<_> = package.files.iter().map(|file| (file.path, file.kind)).collect();
                assert_eq!(
                    files,
                    [
                        ("/etc/full", FileKind::Directory),
                        ("/etc/full/ghost", FileKind::Ghost),
                        ("/etc/full/setting", FileKind::File),
                        ("/usr/bin/full", FileKind::File),
                    ]
                );
            }
            checksums.insert(package.checksum, package.location.to_owned());
            Ok::<(), RepositoryError>(())
        })
        .unwrap();
        assert_eq!(checksums.len(), said.len());
        let xml = unpacked(&repository, &repomd.data["filelists"]);
        filelists::read(BufReader::with_capacity(7, &xml[..]), &mut |package| {
            let rpm = &said[&checksums.remove(&package.pkgid).unwrap()];
            let (name, epoch, version) = (package.name, package.epoch, package.version);
            let identity = format!("{name} {epoch} {version} {} {} ", package.release, package.arch);
            assert!(rpm["identity"].starts_with(&identity));
            let files: BTreeSet<String> = package
                .files
                .iter()
                .map(|file| {
                    let kind = match file.kind {
                        FileKind::File => "-rw-r--r-- ",
                        FileKind::Directory => "drwxr-xr-x ",
                        FileKind::Ghost => "-rw-r--r-- g",
                    };
                    format!("{} {kind}", file.path).trim().to_owned()
                })
                .collect();
            assert_eq!(files, lines(&rpm["files"]));
            Ok::<(), RepositoryError>(())
        })
        .unwrap();
        assert!(checksums.is_empty());
    }
}
