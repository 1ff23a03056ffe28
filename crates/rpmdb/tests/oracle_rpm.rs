//! rpm itself reads what is written, and fills a database of its own with the same packages: both hold the same.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use calypte_formats::rpm;
use calypte_rpmdb::{DatabaseError, FileState, Installed, database};
use rusqlite::Connection;
use rusqlite::types::Value;

const TIME: u32 = 1_700_000_000;

/// Tags that rpm 4.18 does not know, and so does not store: signatures and digests of format 6.
const NEWER_TAGS: [u32; 2] = [278, 279];

/// Tags that rpm copies out of the signature header though nothing protects them, and that are not kept here: sizes and
/// the MD5 of header and payload.
const UNPROTECTED_TAGS: [u32; 5] = [257, 261, 270, 271, 1046];

fn installed(programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| Command::new(program).arg("--version").output().is_err());
    if let Some(missing) = missing {
        drop(writeln!(std::io::stderr(), "skipped: {missing} is not installed"));
    }
    missing.is_none()
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The packages: one of everything, and real ones of both formats.
fn packages(directory: &Path) -> Vec<PathBuf> {
    succeed(
        Command::new("rpmbuild")
            .args(["-bb", "--quiet", "--define", &format!("_topdir {}", directory.display())])
            .args(["--define", "_rpmfilename specimen.rpm"])
            .arg(data("formats/tests/data/rpm/specimen.spec")),
    );
    // In the order of their names, which is that in which rpm installs what does not depend on each other.
    let mut packages =
        vec![directory.join("RPMS/specimen.rpm"), data("trust/tests/data/rpm/v6-two-signatures.rpm")];
    for name in ["v4-empty", "v6-file-attributes", "v6-hardlinks", "v6-scriptlets"] {
        packages.push(data(&format!("formats/tests/data/rpm/{name}.rpm")));
    }
    packages
}

struct Package {
    signature: Vec<u8>,
    header: Vec<u8>,
    states: Vec<FileState>,
}

fn read(path: &Path) -> Package {
    let bytes = fs_err::read(path).unwrap();
    let (signature, header, _) = rpm::read_headers(&bytes[..]).unwrap();
    let states = vec![FileState::Normal; header.files().unwrap().len()];
    Package { signature: signature.bytes().to_vec(), header: header.bytes().to_vec(), states }
}

fn make(packages: &[Package]) -> Vec<u8> {
    let packages: Vec<Installed<'_>> = packages
        .iter()
        .map(|package| Installed {
            signature: &package.signature,
            header: &package.header,
            states: &package.states,
        })
        .collect();
    database(&packages, TIME).unwrap()
}

/// A root directory with this database in it, at the place where rpm of this machine looks for it.
fn root(directory: &Path, bytes: &[u8]) -> PathBuf {
    let root = directory.join("root");
    let database = root.join("usr/lib/sysimage/rpm");
    fs_err::create_dir_all(&database).unwrap();
    fs_err::write(database.join("rpmdb.sqlite"), bytes).unwrap();
    root
}

fn rpm_in(root: &Path) -> Command {
    let mut command = Command::new("rpm");
    command.env("LC_ALL", "C.UTF-8").arg("--root").arg(root).args(["--dbpath", "/usr/lib/sysimage/rpm"]);
    command
}

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{command:?}: {errors}");
    let mut lines: Vec<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The headers by name, and the rows of each table with the package's name for its number.
type Contents = (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<(Value, String, i64)>>);

fn contents(path: &Path) -> Contents {
    let connection = Connection::open(path).unwrap();
    let mut names: BTreeMap<i64, String> = BTreeMap::new();
    let mut statement = connection.prepare("SELECT hnum, key FROM Name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    names.extend(rows.map(Result::unwrap));
    let mut blobs = BTreeMap::new();
    let mut statement = connection.prepare("SELECT hnum, blob FROM Packages").unwrap();
    for row in statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).unwrap() {
        let (number, blob) = row.unwrap();
        blobs.insert(names[&number].clone(), blob);
    }
    let mut tables = BTreeMap::new();
    let mut statement = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").unwrap();
    let listed: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in listed.into_iter().filter(|table| table != "Packages" && !table.starts_with("sqlite_")) {
        let mut statement = connection
            .prepare(&format!("SELECT key, hnum, idx FROM '{table}' ORDER BY hnum, rowid"))
            .unwrap();
        let row = |row: &rusqlite::Row<'_>| {
            // Each transaction has its own number.
            let key = if table == "Installtid" { Value::Null } else { row.get(0)? };
            Ok((key, names[&row.get::<_, i64>(1)?].clone(), row.get(2)?))
        };
        let mut rows: Vec<_> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
        rows.sort_by(|one: &(Value, String, i64), other| one.1.cmp(&other.1));
        tables.insert(table, rows);
    }
    (blobs, tables)
}

/// Names, kinds and definitions of all that is in the database, but for the statistics that rpm takes when it closes.
fn definitions(path: &Path) -> BTreeMap<String, String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).filter(|(name, _): &(String, String)| !name.contains("sqlite_stat")).collect()
}

/// The entries of a stored header by tag, as type, count and first bytes; and the part that must not change.
fn entries(blob: &[u8]) -> (BTreeMap<u32, Vec<u8>>, Vec<u8>) {
    let word = |at: usize| u32::from_be_bytes(*blob[at..].first_chunk().unwrap());
    let (count, size) = (word(0) as usize, word(4) as usize);
    let store = 8 + 16 * count;
    assert_eq!(blob.len(), store + size);
    let mut entries = BTreeMap::new();
    let region = word(8 + 8) as usize + 16;
    for number in 0..count {
        let place = 8 + 16 * number;
        let offset = store + word(place + 8) as usize;
        let following = if number + 1 < count { store + word(place + 24) as usize } else { blob.len() };
        // The padding before the next entry depends on where it lies.
        let width = match (word(place + 4), word(place + 12) as usize) {
            (1 | 2 | 7, count) => count,
            (3, count) => 2 * count,
            (4, count) => 4 * count,
            (5, count) => 8 * count,
            _ => following - offset,
        };
        let mut value = blob[place + 4..place + 8].to_vec();
        value.extend(&blob[place + 12..place + 16]);
        if number > 0 {
            let end = (offset + width).min(blob.len());
            let text = &blob[offset..end];
            let texts = word(place + 12) as usize;
            let text = match word(place + 4) {
                6 => text.split(|byte| *byte == 0).next().unwrap(),
                8 | 9 => &text[..text.split_inclusive(|byte| *byte == 0).take(texts).map(<[u8]>::len).sum()],
                _ => text,
            };
            value.extend(text);
        }
        entries.insert(word(place), value);
    }
    (entries, blob[store..store + region].to_vec())
}

#[test]
fn oracle_rpm_fills_a_database_with_the_same() {
    if !installed(&["rpm", "rpmbuild", "rpmdb"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let paths = packages(directory.path());
    let own = directory.path().join("ours.sqlite");
    fs_err::write(&own, make(&paths.iter().map(|path| read(path)).collect::<Vec<_>>())).unwrap();
    let theirs = directory.path().join("theirs");
    let mut install = Command::new("rpm");
    install.args(["-i", "--justdb", "--nodeps", "--noscripts", "--notriggers", "--ignorearch", "--ignoreos"]);
    succeed(install.arg("--nosignature").arg("--dbpath").arg(&theirs).args(&paths));
    let theirs = theirs.join("rpmdb.sqlite");

    assert_eq!(definitions(&own), definitions(&theirs));
    let (our_blobs, our_tables) = contents(&own);
    let (their_blobs, their_tables) = contents(&theirs);
    assert_eq!(our_blobs.keys().collect::<Vec<_>>(), their_blobs.keys().collect::<Vec<_>>());
    assert_eq!(our_blobs.len(), paths.len());
    for (name, blob) in &our_blobs {
        let (mut ours, our_region) = entries(blob);
        let (mut theirs, their_region) = entries(&their_blobs[name]);
        assert_eq!(our_region, their_region, "{name}");
        for newer in NEWER_TAGS {
            ours.remove(&newer);
        }
        for unprotected in UNPROTECTED_TAGS {
            assert!(!ours.contains_key(&unprotected), "{name} {unprotected}");
            theirs.remove(&unprotected);
        }
        // Install time and transaction.
        for tag in [1008, 1128] {
            let (ours, theirs) = (ours.remove(&tag).unwrap(), theirs.remove(&tag).unwrap());
            assert_eq!(ours[..8], theirs[..8], "{name} {tag}");
        }
        assert_eq!(ours, theirs, "{name}");
    }
    for (table, rows) in &our_tables {
        if table == "Sigmd5" {
            assert!(rows.is_empty());
            continue;
        }
        assert!(!rows.is_empty(), "{table} is not tested");
        assert_eq!(rows, &their_tables[table], "{table}");
    }
    assert_eq!(our_tables.len(), their_tables.len());
}

#[test]
fn oracle_rpm_reads_the_database() {
    if !installed(&["rpm", "rpmbuild", "rpmdb"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let paths = packages(directory.path());
    let mut packages: Vec<Package> = paths.iter().map(|path| read(path)).collect();
    // Nothing of all this is on the disk, and rpm is told so of all but one file.
    packages.iter_mut().for_each(|package| package.states.fill(FileState::NotInstalled));
    let (_, header, _) = rpm::read_headers(&fs_err::read(&paths[0]).unwrap()[..]).unwrap();
    let one = header.files().unwrap().iter().position(|file| file.entry.path == b"usr/bin/one").unwrap();
    packages[0].states[one] = FileState::Normal;
    let bytes = make(&packages);
    let root = root(directory.path(), &bytes);
    let rpm = |arguments: &[&str]| lines(rpm_in(&root).args(arguments));
    let from_file = |arguments: &[&str]| {
        lines(
            Command::new("rpm")
                .env("LC_ALL", "C.UTF-8")
                .args(["--nosignature", "-qp"])
                .args(arguments)
                .arg(&paths[0]),
        )
    };

    assert_eq!(
        rpm(&["-qa"]),
        [
            "rpm-basic-2.3.4-5.el9.noarch",
            "rpm-empty-0-0.x86_64",
            "rpm-file-attrs-1.0-1.noarch",
            "rpm-hardlinks-1.0-1.noarch",
            "rpm-scriptlets-1.0-1.noarch",
            "specimen-1.2~rc1-4.noarch",
        ]
    );
    assert_eq!(rpm(&["-q", "-l", "specimen"]), from_file(&["-l"]));
    assert_eq!(rpm(&["-q", "--requires", "specimen"]), from_file(&["--requires"]));
    assert_eq!(rpm(&["-q", "--triggers", "specimen"]), from_file(&["--triggers"]));
    let information = rpm(&["-q", "-i", "specimen"]).join("\n");
    assert!(information.contains("Install Date: Tue Nov 14 22:13:20 2023"), "{information}");
    assert_eq!(rpm(&["-q", "--whatprovides", "specimen(feature)"]), ["specimen-1.2~rc1-4.noarch"]);
    assert_eq!(rpm(&["-q", "--whatrequires", "zsh"]), ["specimen-1.2~rc1-4.noarch"]);
    assert_eq!(rpm(&["-q", "--whatconflicts", "unspecimen"]), ["specimen-1.2~rc1-4.noarch"]);
    assert_eq!(rpm(&["-q", "-f", "/usr/bin/one"]), ["specimen-1.2~rc1-4.noarch"]);
    assert_eq!(rpm(&["-q", "-g", "Testing"]), ["specimen-1.2~rc1-4.noarch"]);
    assert_eq!(rpm(&["-V", "--nodeps", "--noscripts", "-a"]), ["missing     /usr/bin/one"]);
    let digests = rpm(&["-q", "--qf", "%{SHA256HEADER}\n", "specimen"]);
    assert_eq!(digests, from_file(&["--qf", "%{SHA256HEADER}\n"]));

    let mut verify = Command::new("rpmdb");
    succeed(verify.arg("--root").arg(&root).args(["--dbpath", "/usr/lib/sysimage/rpm", "--verifydb"]));
    // rpm checks each header's digest when it rebuilds, and drops those that are bad.
    let mut rebuild = Command::new("rpmdb");
    succeed(rebuild.arg("--root").arg(&root).args(["--dbpath", "/usr/lib/sysimage/rpm", "--rebuilddb"]));
    assert_eq!(rpm(&["-qa"]).len(), paths.len());
}

#[test]
fn the_same_packages_give_the_same_bytes() {
    let paths = ["v4-empty", "v6-hardlinks"].map(|name| data(&format!("formats/tests/data/rpm/{name}.rpm")));
    let packages: Vec<Package> = paths.iter().map(|path| read(path)).collect();
    let bytes = make(&packages);
    assert_eq!(bytes, make(&packages));
    assert!(bytes.starts_with(b"SQLite format 3\0"));
    // Pages of 4 KiB, and a journal that is deleted: what a reader may open without writing beside it.
    assert_eq!(bytes[16..20], [0x10, 0, 1, 1]);
    assert_eq!(bytes.len() % 4096, 0);
}

#[test]
fn wrong_arguments_are_named() {
    let package = read(&data("formats/tests/data/rpm/v6-hardlinks.rpm"));
    let refusal = |signature: &[u8], header: &[u8], states: &[FileState]| {
        database(&[Installed { signature, header, states }], TIME).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(&package.signature, &package.header, &[]),
        "package rpm-hardlinks has 6 files, but 0 states are given for them"
    );
    assert_eq!(
        refusal(&package.signature, &package.header[..40], &package.states),
        "package number 1: main header: it is not of the size that it says"
    );
    assert!(refusal(&package.header, &package.header, &package.states).contains("signature header"));
    let error = database(&[Installed { signature: b"", header: b"", states: &[] }], TIME).unwrap_err();
    assert!(matches!(error, DatabaseError::Header { number: 1, .. }));
}

/// A signature header of these entries: tag, type, count, values.
fn signature_header(entries: &[(u32, u32, u32, Vec<u8>)]) -> Vec<u8> {
    let row = |words: [u32; 4]| words.map(u32::to_be_bytes).concat();
    let (mut index, mut store) = (Vec::new(), Vec::new());
    for (tag, kind, count, data) in entries {
        index.extend(row([*tag, *kind, u32::try_from(store.len()).unwrap(), *count]));
        store.extend(data);
    }
    let count = u32::try_from(entries.len()).unwrap() + 1;
    let region = row([62, 7, u32::try_from(store.len()).unwrap(), 16]);
    store.extend(row([62, 7, (16 * count).wrapping_neg(), 16]));
    let sizes = [count, u32::try_from(store.len()).unwrap()].map(u32::to_be_bytes).concat();
    [&rpm::header::MAGIC[..], &sizes, &region, &index, &store].concat()
}

#[test]
fn of_a_signature_header_only_what_the_main_header_vouches_for_is_kept() {
    let package = read(&data("formats/tests/data/rpm/v6-hardlinks.rpm"));
    let (real, ..) =
        rpm::read_headers(&fs_err::read(data("formats/tests/data/rpm/v6-hardlinks.rpm")).unwrap()[..])
            .unwrap();
    let stored = |entries: &[(u32, u32, u32, Vec<u8>)]| {
        let signature = signature_header(entries);
        let installed = Installed { signature: &signature, header: &package.header, states: &package.states };
        database(&[installed], TIME).map(|bytes| calypte_rpmdb::headers(&bytes).unwrap().remove(0))
    };
    let digest = |tag| (tag, 6, 1, [real.string(tag).unwrap().as_bytes(), b"\0"].concat());
    let binary = |tag, size: usize| (tag, 7, u32::try_from(size).unwrap(), vec![b'x'; size]);
    let header = stored(&[
        binary(259, 40),
        binary(268, 512),
        digest(273),
        (278, 8, 2, b"eA==\0eQ==\0".to_vec()),
        digest(279),
        (999, 6, 1, b"stowaway\0".to_vec()),
        binary(1004, 16),
        (5090, 8, 1, b"stowaway\0".to_vec()),
    ])
    .unwrap();
    for (tag, is_kept) in [
        (257, false),
        (259, false),
        (261, false),
        (268, true),
        (273, true),
        (278, true),
        (279, true),
        (999, false),
    ] {
        assert_eq!(header.has(tag), is_kept, "{tag}");
    }

    let zeros = |length: usize| [vec![b'0'; length], vec![0]].concat();
    for (tag, length) in [(269, 40), (273, 64), (279, 64), (273, 0)] {
        let refusal = stored(&[(tag, 6, 1, zeros(length))]).unwrap_err().to_string();
        let start = format!("package rpm-hardlinks: tag {tag} of its signature header is not the digest ");
        assert!(refusal.starts_with(&start), "{refusal}");
    }
    assert_eq!(
        stored(&[binary(267, 128 << 10), binary(268, 1)]).unwrap_err().to_string(),
        "package rpm-hardlinks: its signatures have 131073 bytes together; the most are 131072"
    );
    assert!(stored(&[binary(268, 128 << 10)]).is_ok());
    assert!(matches!(stored(&[binary(273, 32)]), Err(DatabaseError::SignatureTag { tag: 273, .. })));
}
