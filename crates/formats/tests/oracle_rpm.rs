//! rpm's own tools say what is in packages that rpmbuild made, and in the committed ones of format 6.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use calypte_formats::rpm::{self, FileEntry, Header, Limits, RpmError, RpmVisitor, ScriptletKind};
use calypte_formats::rpm_dependency::parse;
use calypte_formats::tar::{self, EntryKind};
use calypte_formats::xattr;

/// Whether all of these programs are here; otherwise says why the test did nothing.
fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| {
        let output = Command::new(program).arg("--version").output();
        // rpm2archive knows no `--version`, and says so.
        output.is_err()
    });
    if let Some(missing) = missing {
        _ = writeln!(std::io::stderr(), "skipped: {missing} is not installed");
    }
    missing.is_none()
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rpm").join(name)
}

fn read_file(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::OpenOptions::new().read(true).open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Builds the specimen with this payload setting of rpmbuild.
fn specimen(directory: &Path, payload: &str) -> PathBuf {
    let output = Command::new("rpmbuild")
        .args(["-bb", "--quiet", "--define", &format!("_topdir {}", directory.display())])
        .args(["--define", &format!("_binary_payload {payload}")])
        .args(["--define", "_rpmfilename specimen.rpm"])
        .arg(data("specimen.spec"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    directory.join("RPMS/specimen.rpm")
}

fn query(package: &Path, format: &str) -> Vec<String> {
    let output =
        Command::new("rpm").args(["-qp", "--nosignature", "--qf", format]).arg(package).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The files that rpm2archive unpacks, by path; hard links as the path that they point to.
fn archive(package: &Path) -> BTreeMap<String, (EntryKind, Vec<u8>)> {
    let input = std::fs::OpenOptions::new().read(true).open(package).unwrap();
    let output = Command::new("rpm2archive")
        .args(["-n", "-"])
        .stdin(Stdio::from(input))
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let mut reader = tar::Reader::new(&output.stdout[..]);
    let mut files = BTreeMap::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut body = Vec::new();
        reader.body().read_to_end(&mut body).unwrap();
        let path = String::from_utf8(entry.path).unwrap();
        let path = if path == "." { "" } else { path.trim_start_matches("./") };
        files.insert(path.to_owned(), (entry.kind, body));
    }
    files
}

#[derive(Default)]
struct Collector {
    headers: Option<(Header, Header)>,
    files: Vec<(FileEntry, Vec<u8>)>,
}

impl RpmVisitor for Collector {
    type Error = RpmError;

    fn headers(&mut self, signature: &Header, header: &Header) -> Result<(), RpmError> {
        self.headers = Some((signature.clone(), header.clone()));
        Ok(())
    }

    fn file(&mut self, file: &FileEntry, body: &mut dyn Read) -> Result<(), RpmError> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(RpmError::PayloadIo)?;
        assert_eq!(bytes.len() as u64, file.entry.size);
        self.files.push((file.clone(), bytes));
        Ok(())
    }
}

fn collect(package: &Path) -> (Header, Vec<(FileEntry, Vec<u8>)>) {
    let mut collector = Collector::default();
    rpm::read(&read_file(package)[..], &Limits::default(), &mut collector).unwrap();
    (collector.headers.unwrap().1, collector.files)
}

/// Everything that rpm says of a package, held against what is read of it.
fn compare(package: &Path) {
    let name = package.display();
    let (header, files) = collect(package);
    let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();

    let identity = header.identity().unwrap();
    let wanted = query(package, "%{NAME} %{EVR} %{ARCH} %{BUILDTIME} %{LONGSIZE}\n");
    // An epoch of 0 that is given and one that is not are the same version, and we write them alike.
    let wanted: Vec<String> = wanted.iter().map(|line| line.replace(" 0:", " ")).collect();
    let found = format!(
        "{} {} {} {} {}",
        identity.name, identity.version, identity.architecture, identity.build_time, identity.installed_size
    );
    assert_eq!([found], *wanted, "{name}");

    let format = "[%{FILENAMES}\t%{FILEMODES:octal}\t%{FILEUSERNAME}\t%{FILEGROUPNAME}\t%{FILEFLAGS}\t%{FILEMTIMES}\t%{FILELINKTOS}\n]";
    let listed = header.files().unwrap();
    let line = |file: &FileEntry| {
        let (kind, target) = match &file.entry.kind {
            EntryKind::File | EntryKind::HardLink(_) => (0o100_000, ""),
            EntryKind::Directory => (0o040_000, ""),
            EntryKind::Symlink(target) => (0o120_000, std::str::from_utf8(target).unwrap()),
            EntryKind::CharDevice { major, minor } => {
                assert_eq!((*major, *minor), (1, 3));
                (0o020_000, "")
            }
            EntryKind::BlockDevice { major, minor } => {
                assert_eq!((*major, *minor), (8, 16));
                (0o060_000, "")
            }
            EntryKind::Fifo => (0o010_000, ""),
        };
        format!(
            "/{}\t{:o}\t{}\t{}\t{}\t{}\t{target}",
            text(&file.entry.path),
            kind | file.entry.mode,
            file.user,
            file.group,
            file.flags.0,
            file.entry.mtime
        )
    };
    let wanted = query(package, format);
    let wanted = if wanted == ["(none)"] { Vec::new() } else { wanted };
    assert_eq!(listed.iter().map(line).collect::<Vec<_>>(), wanted, "{name}");

    let format = "[%{FILENAMES}\t%{FILECAPS}\n]";
    for (line, file) in query(package, format).iter().zip(&listed) {
        let capabilities = line.split_once('\t').unwrap().1;
        let found = file.entry.xattrs.get(xattr::CAPABILITY);
        match capabilities {
            "" | "(none)" => assert_eq!(found, None, "{name}: {line}"),
            "=" => assert_eq!(found.unwrap()[..], [&[0, 0, 0, 2][..], &[0; 16]].concat(), "{name}: {line}"),
            text => assert_eq!(found, xattr::capability(text).ok().as_ref(), "{name}: {line}"),
        }
    }

    compare_contents(package, &files);
    let emitted = files.iter().filter(|(file, _)| !file.flags.is_ghost()).count();
    let ghosts = listed.iter().filter(|file| file.flags.is_ghost()).count();
    assert_eq!(emitted + ghosts, listed.len(), "{name}");
}

fn compare_contents(package: &Path, files: &[(FileEntry, Vec<u8>)]) {
    let mut wanted = archive(package);
    let mut contents: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
    for (file, body) in files {
        let path = std::str::from_utf8(&file.entry.path).unwrap();
        // A hard link comes after the file that it is a name of.
        let body = match &file.entry.kind {
            EntryKind::HardLink(target) => contents[&target[..]],
            _ => &body[..],
        };
        contents.insert(&file.entry.path, body);
        let (mut kind, mut unpacked) =
            wanted.remove(path).unwrap_or_else(|| panic!("{path} is not unpacked"));
        // rpm2archive may have put the contents under another of the names.
        if let EntryKind::HardLink(target) = &kind {
            let target = std::str::from_utf8(target).unwrap().trim_start_matches("./");
            let seen = contents.get(target.as_bytes()).map(|body| body.to_vec());
            unpacked = seen.unwrap_or_else(|| wanted[target].1.clone());
            kind = EntryKind::File;
        }
        if !matches!(file.entry.kind, EntryKind::HardLink(_)) {
            assert_eq!(file.entry.kind, kind, "{path}");
        }
        assert!(body == unpacked, "{path} has {} bytes, not {}", body.len(), unpacked.len());
    }
    assert!(wanted.is_empty(), "not read: {:?}", wanted.keys());
}

/// See the README beside them.
const COMMITTED: [&str; 10] = [
    "v4-empty.rpm",
    "v6-file-attributes.rpm",
    "v6-file-types.rpm",
    "v6-gzip.rpm",
    "v6-hardlinks.rpm",
    "v6-languages.rpm",
    "v6-rich-dependencies.rpm",
    "v6-scriptlets.rpm",
    "v6-xz.rpm",
    "v6-zstd.rpm",
];

#[test]
fn oracle_rpm_and_the_reader_see_the_same() {
    if !installed(&["rpm", "rpmbuild", "rpm2archive"]) {
        return;
    }
    for payload in ["w9.gzdio", "w7.xzdio", "w3.zstdio", "w.ufdio"] {
        let directory = tempfile::tempdir().unwrap();
        compare(&specimen(directory.path(), payload));
    }
    for committed in COMMITTED {
        compare(&data(committed));
    }
}

#[test]
fn oracle_payloads_that_are_not_supported_are_named() {
    if !installed(&["rpmbuild"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let package = read_file(&specimen(directory.path(), "w9.lzdio"));
    let error = rpm::read(&package[..], &Limits::default(), &mut Collector::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "payload compression `lzma` is not supported (known: none, gzip, xz, zstd)"
    );
    assert!(error.hint().is_some());
}

#[test]
fn oracle_scriptlets_are_those_that_rpm_lists() {
    if !installed(&["rpm", "rpmbuild"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for package in [specimen(directory.path(), "w3.zstdio"), data("v6-scriptlets.rpm")] {
        let (header, _) = collect(&package);
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for script in header.scriptlets().unwrap() {
            let text = String::from_utf8(script.text).unwrap();
            let Some(condition) = &script.condition else {
                let line = format!("{}|{text}", script.interpreter.join(" "));
                found.entry(script.kind.to_string()).or_default().push(line);
                continue;
            };
            let kind = script.kind.to_string();
            let (family, when) = kind.split_once("trigger").unwrap();
            let line = format!("{}|{when}|{condition}|{text}", script.interpreter.join(" "));
            found.entry(format!("{family}trigger")).or_default().push(line);
        }
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let plain = [
            ("pretrans", "PRETRANS"),
            ("pre", "PREIN"),
            ("post", "POSTIN"),
            ("posttrans", "POSTTRANS"),
            ("preun", "PREUN"),
            ("postun", "POSTUN"),
            ("verify", "VERIFYSCRIPT"),
        ];
        let ask = |format: &str| query(&package, format).join("\n");
        for (kind, tag) in plain {
            let program = ask(&format!("[%{{{tag}PROG}} ]"));
            let text = ask(&format!("%|{tag}?{{%{{{tag}}}}}|"));
            if program != "(none) " {
                wanted.insert(kind.to_owned(), vec![format!("{}|{text}", program.trim_end())]);
            }
        }
        for (family, tag) in [("", ""), ("file", "FILE"), ("transfile", "TRANSFILE")] {
            let programs = format!("{tag}TRIGGERSCRIPTPROG");
            let format = format!(
                "[%{{{programs}}}|%{{{tag}TRIGGERTYPE}}|%{{{tag}TRIGGERCONDS}}|%{{{tag}TRIGGERSCRIPTS}}\x01]"
            );
            let lines = ask(&format);
            let lines = lines.split_terminator('\x01').map(str::to_owned).collect();
            wanted.insert(format!("{family}trigger"), lines);
        }
        assert_eq!(found, wanted, "{}", package.display());
    }
}

#[test]
fn accounts_come_out_of_provides() {
    let (header, _) = collect(&data("v6-file-attributes.rpm"));
    assert_eq!(
        rpm::accounts(&header).unwrap(),
        ["g bob - \"Bob group\"", "u bob - \"Bob user\"", "u jane - \"Jane user\""]
    );
}

#[test]
fn kinds_of_files_and_scriptlets_are_told_apart() {
    let (header, files) = collect(&data("v6-hardlinks.rpm"));
    let shown: Vec<String> = files
        .iter()
        .map(|(file, _)| {
            let path = std::str::from_utf8(&file.entry.path).unwrap().rsplit('/').next().unwrap();
            format!("{path} is {}", file.entry.kind.noun())
        })
        .collect();
    // The name with the contents comes before its other names.
    let expected = [
        "standalone is a file",
        "alpha-3 is a file",
        "alpha-1 is a hard link",
        "alpha-2 is a hard link",
        "beta-2 is a file",
        "beta-1 is a hard link",
    ];
    assert_eq!(shown, expected);
    assert_eq!(header.u32(rpm::tag::RPM_FORMAT), Some(6));

    let (header, _) = collect(&data("v6-scriptlets.rpm"));
    let scriptlets = header.scriptlets().unwrap();
    assert_eq!(scriptlets.len(), 17);
    let at_installation: Vec<ScriptletKind> =
        scriptlets.iter().map(|script| script.kind).filter(|kind| kind.runs_at_installation()).collect();
    assert_eq!(at_installation.len(), 8);
}

#[test]
fn a_payload_of_format_6_is_the_same_whatever_compresses_it() {
    let read = |compressor: &str| {
        let (header, files) = collect(&data(&format!("v6-{compressor}.rpm")));
        assert_eq!(header.u32(rpm::tag::RPM_FORMAT), Some(6));
        assert_eq!(header.string(rpm::tag::PAYLOAD_COMPRESSOR), Some(compressor));
        files
    };
    let files = read("gzip");
    assert_eq!(files.len(), 10);
    assert!(files.iter().any(|(file, body)| file.entry.path == b"usr/bin/rpm-basic" && body.len() == 120));
    assert!(files == read("xz") && files == read("zstd"));
}

#[test]
fn rich_dependencies_of_a_package_are_read_and_written_as_they_stand() {
    const REQUIRES: u32 = 1049;
    const RECOMMENDS: u32 = 5046;
    let (header, _) = collect(&data("v6-rich-dependencies.rpm"));
    let mut rich = header.strings(REQUIRES);
    rich.extend(header.strings(RECOMMENDS));
    rich.retain(|text| text.starts_with('('));
    assert_eq!(rich.len(), 13, "{rich:?}");
    for text in &rich {
        assert_eq!(&parse(text).unwrap().to_string(), text);
    }
    assert!(rich.contains(&"(pkgFF >= 2.0 if pkgGG >= 1.0)") && rich.contains(&"(pkgQ without pkgR)"));
}

#[test]
fn names_with_spaces_empty_files_and_pictures_come_out_whole() {
    let (_, files) = collect(&data("v6-file-types.rpm"));
    let body = |name: &str| {
        let path = format!("opt/rpm-file-types/{name}");
        let found = files.iter().find(|(file, _)| file.entry.path == path.as_bytes());
        &found.unwrap_or_else(|| panic!("no {name}")).1[..]
    };
    assert_eq!(body("empty_file"), b"");
    assert_eq!(body("file with spaces & special (chars).txt").len(), 31);
    let picture = body("rpm-rs-logo.png");
    assert!(picture.starts_with(b"\x89PNG\r\n") && picture.ends_with(b"IEND\xaeB`\x82"));
}

#[test]
fn translations_do_not_hide_what_a_package_says() {
    const SUMMARY: u32 = 1004;
    const FILE_LANGUAGES: u32 = 1097;
    let (header, files) = collect(&data("v6-languages.rpm"));
    assert_eq!(header.strings(rpm::tag::I18N_TABLE), ["C", "de", "ja", "fr", "zh_CN"]);
    // One for each language, the untranslated one first.
    let summaries = header.strings(SUMMARY);
    assert_eq!((summaries.len(), summaries[0]), (5, "Test RPM internationalization features"));
    assert_eq!(header.strings(FILE_LANGUAGES), ["", "de", "en", "fr", "ja", "zh_CN"]);
    let (_, japanese) =
        files.iter().find(|(file, _)| file.entry.path.ends_with(b"/ja/messages.txt")).unwrap();
    assert_eq!(std::str::from_utf8(japanese).unwrap().chars().count(), 6);
}

#[test]
fn headers_alone_are_enough_to_know_a_package() {
    let bytes = read_file(&data("v6-hardlinks.rpm"));
    let mut reader = &bytes[..];
    let (signature, header, ranges) = rpm::read_headers(&mut reader).unwrap();
    assert_eq!(ranges.payload as usize, bytes.len() - reader.len());
    assert_eq!(bytes[ranges.header.start as usize..ranges.header.end as usize], *header.bytes());
    let digest = calypte_base::Digest::of(header.bytes()).hex();
    assert_eq!(signature.string(rpm::tag::SHA256_HEADER), Some(&*digest));
    assert_eq!(header.identity().unwrap().source, "rpm-hardlinks");
    let again = Header::parse(rpm::Part::Main, header.bytes()).unwrap();
    assert_eq!(again, header);
}

/// A binary package; rpm lists the files of source packages without a directory.
fn is_binary(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with(".rpm") && !name.ends_with(".src.rpm")
}

/// The packages of Fedora, openSUSE and others that rpmlint brings as its own test data, from 2003 to today.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test asks whether it may use the network")]
fn oracle_rpm_says_the_same_of_packages_of_real_distributions() {
    if std::env::var_os("CALYPTE_TEST_NETWORK").is_none() {
        drop(writeln!(
            std::io::stderr(),
            "skipped: CALYPTE_TEST_NETWORK is not set, and PyPI has the packages"
        ));
        return;
    }
    if !installed(&["rpm", "rpm2archive", "pip", "tar"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let fetch = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", "rpmlint==2.10.0", "--dest"];
    let output = Command::new("pip").args(fetch).arg(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let archive = directory.path().join("rpmlint-2.10.0.tar.gz");
    let output =
        Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mut open, mut count) = (vec![directory.path().to_path_buf()], 0);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs_err::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if is_binary(&path) {
            // Compressors of another age are refused in words; see the test above.
            let refused = rpm::read(&read_file(&path)[..], &Limits::default(), &mut Collector::default());
            if !matches!(refused, Err(RpmError::Unsupported { what: "compression", .. })) {
                compare(&path);
                count += 1;
            }
        }
    }
    assert!(count > 50, "rpmlint brought only {count} packages");
}
