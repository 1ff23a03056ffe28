//! Images from a registry: only what is missing is fetched, and a network that goes away is survived.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use calypte_base::Digest;
use calypte_formats::oci::{self, Descriptor, Index, Manifest};
use calypte_formats::tar::{EntryKind, header};
use calypte_formats::zstd_chunked::{Chunk, Position, Positions, Toc, TocEntry, skippable_frame};

use crate::fixture::{Machine, Os, file, key, noise};

/// A registry on loopback that has one layout.
struct Registry {
    host: String,
    /// Bytes of blobs that were given.
    given: Arc<AtomicU64>,
    /// After so many bytes of blobs the connection ends, and every later one at once.
    cut_after: Arc<AtomicU64>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    fn start(layout: PathBuf, with_referrers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let given = Arc::new(AtomicU64::new(0));
        let cut_after = Arc::new(AtomicU64::new(u64::MAX));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (given_too, cut_too, log) = (Arc::clone(&given), Arc::clone(&cut_after), Arc::clone(&requests));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (given, cut, log) = (Arc::clone(&given_too), Arc::clone(&cut_too), Arc::clone(&log));
                let layout = layout.clone();
                std::thread::spawn(move || {
                    drop(serve(&connection.unwrap(), &layout, with_referrers, &given, &cut, &log));
                });
            }
        });
        Self { host, given, cut_after, requests }
    }

    fn take_given(&self) -> u64 {
        self.given.swap(0, Ordering::SeqCst)
    }
}

fn serve(
    connection: &TcpStream,
    layout: &Path,
    with_referrers: bool,
    given: &AtomicU64,
    cut: &AtomicU64,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let (mut line, mut range) = (String::new(), None);
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        log.lock().unwrap().push(path.clone());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                let (from, to) = value.trim().split_once('-').unwrap();
                range = Some((from.parse::<usize>().unwrap(), to.parse::<usize>().ok()));
            }
        }
        let (status, body) = answer(layout, &path, with_referrers);
        let total = body.len();
        let (status, body, extra) = match range {
            Some((from, to)) if status == 200 => {
                let last = to.unwrap_or(usize::MAX).min(total - 1);
                (206, body[from..=last].to_vec(), format!("Content-Range: bytes {from}-{last}/{total}\r\n"))
            }
            _ => (status, body, String::new()),
        };
        let mut writer = connection;
        write!(writer, "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n{extra}\r\n", body.len())?;
        if !path.contains("/blobs/") {
            writer.write_all(&body)?;
            continue;
        }
        for piece in body.chunks(4096) {
            if given.load(Ordering::SeqCst) >= cut.load(Ordering::SeqCst) {
                return connection.shutdown(std::net::Shutdown::Both);
            }
            writer.write_all(piece)?;
            given.fetch_add(piece.len() as u64, Ordering::SeqCst);
        }
    }
}

fn answer(layout: &Path, path: &str, with_referrers: bool) -> (u16, Vec<u8>) {
    let index: Index = serde_json::from_slice(&fs_err::read(layout.join("index.json")).unwrap()).unwrap();
    let name = path.rsplit('/').next().unwrap();
    let blob = |name: &str| {
        let hex = name.strip_prefix("sha256:")?;
        fs_err::read(layout.join("blobs/sha256").join(hex)).ok()
    };
    let listed = |subject: &str| {
        let about = |entry: &&Descriptor| {
            let bytes = blob(&entry.digest.to_string()).unwrap();
            let manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
            manifest.subject.is_some_and(|found| found.digest.to_string() == subject)
        };
        let manifests = index.manifests.iter().filter(about).cloned().collect();
        serde_json::to_vec(&Index { schema_version: 2, manifests, ..Index::default() }).unwrap()
    };
    let body = if path.contains("/referrers/") {
        with_referrers.then(|| listed(name))
    } else if let Some(hex) = name.strip_prefix("sha256-") {
        Some(listed(&format!("sha256:{hex}")))
    } else if name == "latest" {
        blob(&index.manifests[0].digest.to_string())
    } else {
        blob(name)
    };
    body.map_or((404, b"{}".to_vec()), |body| (200, body))
}

fn layer_size(layout: &Path, number: usize) -> u64 {
    let index: Index = serde_json::from_slice(&fs_err::read(layout.join("index.json")).unwrap()).unwrap();
    let path = layout.join("blobs/sha256").join(index.manifests[0].digest.hex());
    let manifest: Manifest = serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    manifest.layers[number].size
}

#[test]
fn only_layers_that_are_missing_are_fetched() {
    for with_referrers in [true, false] {
        let machine = Machine::new();
        Os::new(1).write(&machine.layout());
        let registry = Registry::start(machine.layout(), with_referrers);
        let source = format!("http://{}/test/os:latest", registry.host);
        machine.done(&["install", "to-filesystem", machine.root().to_str().unwrap(), "--source", &source]);
        assert!(registry.take_given() > 5_000_000);
        Os::new(2).write(&machine.layout());
        let check = machine.json(&["upgrade", "--check"]);
        assert_eq!(
            (check["outcome"].as_str(), check["fetched"].as_u64()),
            (Some("available"), Some(layer_size(&machine.layout(), 1)))
        );
        assert!(registry.take_given() < 4096, "a look costs a config and a signature");
        let upgraded = machine.json(&["upgrade"]);
        assert_eq!(upgraded["outcome"], "staged");
        let given = registry.take_given();
        assert!(given < layer_size(&machine.layout(), 1) + 8192, "{given}");
        machine.done(&["finalize"]);
        machine.fsck();
        machine.done(&["gc"]);
        assert!(!machine.root().join("state/downloads").exists());
        assert_eq!(machine.status()["booted"]["image"]["image"]["transport"], "registry");
    }
}

#[test]
fn a_network_that_goes_away_is_survived_and_the_next_run_goes_on() {
    let machine = Machine::new();
    Os::new(1).write(&machine.layout());
    let registry = Registry::start(machine.layout(), true);
    let source = format!("http://{}/test/os:latest", registry.host);
    machine.done(&["install", "to-filesystem", machine.root().to_str().unwrap(), "--source", &source]);
    let mut second = Os::new(2);
    second.top.push(file("usr/bin/new", noise(77, 3_000_000)));
    second.write(&machine.layout());
    registry.take_given();
    registry.cut_after.store(2_000_000, Ordering::SeqCst);
    let error = machine.refused(2, &["upgrade"]);
    assert!(error.contains("error: cannot fetch") && error.contains("hint: "), "{error}");
    assert_eq!(machine.version("staged"), None);
    machine.fsck();
    registry.cut_after.store(u64::MAX, Ordering::SeqCst);
    registry.take_given();
    machine.done(&["upgrade", "--download-only"]);
    let given = registry.take_given();
    assert!(given < 1_300_000, "{given} bytes came, though most was there");
    machine.done(&["upgrade", "--from-downloaded"]);
    assert!(registry.take_given() < 4096);
    machine.done(&["finalize"]);
    machine.fsck();
    // A registry that is not there at all.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = machine.refused(2, &["switch", &format!("http://{gone}/a/b:1")]);
    assert!(error.contains("check the network"), "{error}");
}

/// Packs the layers of a layout's image as zstd:chunked, signs it anew, and gives the size of the upper one.
fn chunk(os: &Os, layout: &Path) -> u64 {
    os.write(layout);
    let index: Index = serde_json::from_slice(&fs_err::read(layout.join("index.json")).unwrap()).unwrap();
    let blobs = layout.join("blobs/sha256");
    let read = |digest: &Digest| fs_err::read(blobs.join(digest.hex())).unwrap();
    let mut manifest: Manifest = serde_json::from_slice(&read(&index.manifests[0].digest)).unwrap();
    let mut size = 0;
    for (layer, entries) in manifest.layers.iter_mut().zip([&os.base, &os.top]) {
        let (mut blob, mut toc, mut pending) = (Vec::new(), Toc::default(), Vec::new());
        let frame = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
        for (entry, bytes) in entries {
            pending.extend(header(entry).unwrap());
            let mut listed = TocEntry { member: entry.clone(), digest: None, chunks: Vec::new() };
            if entry.kind == EntryKind::File && !bytes.is_empty() {
                blob.extend(frame(&pending));
                pending.clear();
                let offset = blob.len() as u64;
                blob.extend(frame(bytes));
                let (digest, end) = (Digest::of(bytes), blob.len() as u64);
                listed.digest = Some(digest);
                listed.chunks.push(Chunk { size: bytes.len() as u64, offset, end, digest });
                pending.resize(bytes.len().wrapping_neg() % 512, 0);
            }
            toc.entries.push(listed);
        }
        pending.resize(pending.len() + 1024, 0);
        blob.extend(frame(&pending));
        let json = toc.to_json();
        let table = frame(&json);
        let positions = Positions {
            toc: Position {
                offset: blob.len() as u64 + 8,
                length: table.len() as u64,
                uncompressed: json.len() as u64,
            },
            toc_digest: Digest::of(&table),
            tar_split: None,
        };
        blob.extend(skippable_frame(&table));
        size = blob.len() as u64;
        *layer = Descriptor {
            media_type: oci::MEDIA_TYPE_LAYER_ZSTD.to_owned(),
            digest: Digest::of(&blob),
            size,
            annotations: positions.annotations(),
            ..Descriptor::default()
        };
        fs_err::write(blobs.join(layer.digest.hex()), blob).unwrap();
    }
    // The same image with other layers: its index is made anew with the same functions as the first.
    let bytes = serde_json::to_vec(&manifest).unwrap();
    let image = Descriptor {
        media_type: oci::MEDIA_TYPE_MANIFEST.to_owned(),
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        ..Descriptor::default()
    };
    fs_err::write(blobs.join(image.digest.hex()), bytes).unwrap();
    let bundle = calypte_trust::sigstore::Bundle::sign_image(&image.digest, &key(1)).to_json();
    let referrer =
        calypte_trust::sigstore::Referrer::new(bundle, calypte_trust::sigstore::PREDICATE_SIGN, &image);
    for blob in referrer.blobs.iter().chain([&referrer.manifest]) {
        fs_err::write(blobs.join(Digest::of(blob).hex()), blob).unwrap();
    }
    let manifests = vec![image, referrer.descriptor];
    let index = Index { schema_version: 2, manifests, ..Index::default() };
    fs_err::write(layout.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    size
}

/// A layer of which most stays: 40 files of 50 kB, and the one with the number 7 is new.
fn many(number: u64) -> Os {
    let mut os = Os::new(number);
    os.top.extend((0..40).map(|file_number| {
        let seed = if file_number == 7 { 500 + number } else { 600 + file_number };
        file(&format!("usr/lib/data-{file_number}"), noise(seed, 50_000))
    }));
    os
}

#[test]
fn of_a_chunked_layer_only_files_that_are_missing_are_fetched() {
    let machine = Machine::new();
    chunk(&many(1), &machine.layout());
    let registry = Registry::start(machine.layout(), true);
    let source = format!("http://{}/test/os:latest", registry.host);
    machine.done(&["install", "to-filesystem", machine.root().to_str().unwrap(), "--source", &source]);
    let size = chunk(&many(2), &machine.layout());
    assert!(size > 2_000_000);
    registry.take_given();
    let output = machine.run(&["upgrade"]);
    assert!(output.status.success(), "{}", crate::fixture::shown(&output));
    let given = registry.take_given();
    assert!(given < 200_000, "{given} of {size} bytes came");
    let in_parts = machine.digest("staged");
    // It is the same tree as the one of the whole layers.
    let whole = Machine::new();
    whole.install(&many(2));
    assert_eq!(whole.digest("booted"), in_parts);
    machine.done(&["finalize"]);
    machine.fsck();
    assert!(registry.requests.lock().unwrap().iter().any(|path| path.contains("/referrers/")));
}

/// Changes a byte of a file's content in the blobs that hold it: content that does not compress lies there as it is.
fn damage(layout: &Path, content: &[u8]) {
    let mut found = false;
    for entry in fs_err::read_dir(layout.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs_err::read(&path).unwrap();
        if let Some(place) = bytes.windows(64).position(|window| window == &content[1000..1064]) {
            bytes[place] ^= 1;
            fs_err::write(path, bytes).unwrap();
            found = true;
        }
    }
    assert!(found, "no blob has this content");
}

#[test]
fn of_a_chunked_layer_on_this_machine_only_files_that_are_missing_are_read() {
    let machine = Machine::new();
    chunk(&many(1), &machine.layout());
    let source = format!("oci:{}", machine.layout().display());
    machine.done(&["install", "to-filesystem", machine.root().to_str().unwrap(), "--source", &source]);
    chunk(&many(2), &machine.layout());
    // What is read is checked, and a layer in which it is damaged is no better as a whole.
    damage(&machine.layout(), &noise(502, 50_000));
    let error = machine.refused(2, &["upgrade"]);
    assert!(
        error.contains("is taken as a whole") && error.contains("is damaged or was tampered with"),
        "{error}"
    );
    assert_eq!(machine.version("staged"), None);
    // What is here already is not looked at.
    chunk(&many(2), &machine.layout());
    damage(&machine.layout(), &noise(603, 50_000));
    machine.done(&["upgrade"]);
    let whole = Machine::new();
    whole.install(&many(2));
    assert_eq!(whole.digest("booted"), machine.digest("staged"));
    machine.done(&["finalize"]);
    machine.fsck();
}
