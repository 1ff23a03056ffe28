//! `calypte pull` from a real registry: what skopeo pushed comes back byte for byte, also after a kill, and an update
//! fetches little more than what changed.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use calypte_base::Digest;
use calypte_formats::tar::{Entry, EntryKind, Reader, Writer};
use calypte_formats::{oci, zstd_chunked};
use calypte_image::chunked::ChunkedWriter;
use calypte_image::layers::COMPRESSION_ANNOTATION;
use calypte_image::{LayerCompression, Level};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, stdout};

/// A registry, and another program that fills it.
const REGISTRY: &[Need] = &[Need::Program("docker-registry"), Need::Program("skopeo")];

pub const CASES: &[Case] = &[
    Case { name: "what_skopeo_pushed_is_pulled_byte_for_byte", needs: REGISTRY, run: byte_for_byte },
    Case { name: "a_killed_pull_goes_on_where_it_stopped", needs: REGISTRY, run: killed },
    Case { name: "an_update_fetches_little_more_than_what_changed", needs: REGISTRY, run: update },
    Case { name: "a_layer_that_skopeo_chunked_is_pulled_in_parts", needs: REGISTRY, run: foreign },
    Case {
        name: "podman_fetches_an_update_in_parts",
        needs: &[
            Need::Program("docker-registry"),
            Need::Program("skopeo"),
            Need::Program("podman"),
            Need::Program("tar"),
            Need::Root,
        ],
        run: podman,
    },
];

/// Longest time that anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The registry from crates.io; `cargo xtask test` installs it.
pub fn ferro_server() -> PathBuf {
    World::target().join("tools/ferro/bin/ferro-oci-server")
}

/// Another's registry on a free port of loopback, over a directory of its own. Ended when dropped.
pub struct Registry {
    directory: TempDir,
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Registry {
    /// Starts Debian's `docker-registry`, which does not list referrers.
    pub fn start() -> Result<Self> {
        Self::started_by(|directory, address| {
            let config = directory.join("config.yml");
            let data = directory.join("data");
            let text = format!(
                "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
                 rootdirectory: {}\nhttp:\n  addr: {address}\n",
                data.display()
            );
            fs_err::write(&config, text)?;
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(&config);
            Ok(command)
        })
    }

    /// Starts `ferro-oci-server`, which lists them.
    pub fn start_ferro() -> Result<Self> {
        Self::started_by(|directory, address| {
            let mut command = Command::new(ferro_server());
            command.env("FERRO_OCI_LISTEN", address).env("FERRO_OCI_STORAGE_DIR", directory.join("data"));
            command.env("RUST_LOG", "warn");
            Ok(command)
        })
    }

    fn started_by(command: impl FnOnce(&Path, &str) -> Result<Command>) -> Result<Self> {
        let directory = TempDir::new()?;
        // Free a moment ago; should another process take it in between, the case fails and says so.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let log = fs_err::File::create(directory.path().join("log"))?.into_file();
        let mut command = command(directory.path(), &address)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("{command:?} could not be started"))?;
        let mut registry = Self { directory, child, address };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&mut self) -> Result<()> {
        let start = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > PATIENCE {
                let log = fs_err::read_to_string(self.directory.path().join("log"))?;
                bail!("the registry does not listen: {ended:?}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Has skopeo push the image of a layout, as it is.
    fn push(&self, layout: &Path, tag: &str) -> Result<()> {
        self.push_with(layout, tag, &["--preserve-digests"])
    }

    fn push_with(&self, layout: &Path, tag: &str, options: &[&str]) -> Result<()> {
        run(Command::new("skopeo")
            .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
            .args(options)
            .arg(format!("oci:{}:image", layout.display()))
            .arg(format!("docker://{}/team/app:{tag}", self.address)))?;
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Passes connections on to a server, slowly, so that there is a middle to kill in.
fn slowly(server: &str, bytes_a_second: usize) -> Result<String> {
    Ok(passing(server, bytes_a_second)?.0)
}

/// Passes connections on to a server, and counts the bytes that it sends.
fn passing(server: &str, bytes_a_second: usize) -> Result<(String, Arc<AtomicU64>)> {
    let counter = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&counter);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let server = server.to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(upstream) = TcpStream::connect(&server) else { continue };
            let (Ok(from_client), Ok(to_server)) = (client.try_clone(), upstream.try_clone()) else {
                continue;
            };
            let (sent, ignored) = (Arc::clone(&counted), Arc::new(AtomicU64::new(0)));
            std::thread::spawn(move || copy(from_client, to_server, usize::MAX, &ignored));
            std::thread::spawn(move || copy(upstream, client, bytes_a_second, &sent));
        }
    });
    Ok((address, counter))
}

fn copy(mut from: TcpStream, mut to: TcpStream, bytes_a_second: usize, counter: &AtomicU64) {
    let mut buffer = vec![0; (bytes_a_second / 50).clamp(1, 64 * 1024)];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        counter.fetch_add(count as u64, Ordering::Relaxed);
        if bytes_a_second < usize::MAX {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    // Whichever side is gone already needs no telling.
    drop(from.shutdown(Shutdown::Both));
    drop(to.shutdown(Shutdown::Both));
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..size).map(step).collect()
}

/// A tree in one of its versions: in two large files of four a piece changes, and some small files; one has a second name,
/// one an attribute.
fn tree(version: u64) -> Vec<(Entry, Vec<u8>)> {
    // podman makes files out of the table only where a directory is.
    let directories = ["usr", "usr/lib", "usr/share"];
    let mut members: Vec<(Entry, Vec<u8>)> =
        directories.map(|path| (Entry::new(path, EntryKind::Directory), Vec::new())).into();
    let file = |path: String, content: Vec<u8>| {
        let size = content.len() as u64;
        (Entry { size, ..Entry::new(path, EntryKind::File) }, content)
    };
    for number in 0..4 {
        let mut content = noise(number, 2_000_000);
        if number % 2 == 0 {
            content.splice(500_000..500_100, noise(100 * version + number, 1_000));
        }
        members.push(file(format!("usr/lib/large-{number}"), content));
    }
    for number in 0..200 {
        let seed = if number % 20 == 0 { 10_000 * version + number } else { 1_000 + number };
        members.push(file(format!("usr/share/small-{number:03}"), noise(seed, 2_000)));
    }
    // cap_net_bind_service=ep, as `setcap` writes it.
    let capability = [&[1, 0, 0, 2, 0, 4, 0, 0][..], &[0; 12]].concat();
    let (entry, content) = file("usr/share/with-attribute".to_owned(), noise(version, 500));
    let xattrs = BTreeMap::from([(CAPABILITY.to_owned(), capability)]);
    members.push((Entry { mode: 0o755, xattrs, ..entry }, content));
    let link = EntryKind::HardLink(b"usr/lib/large-0".to_vec());
    members.push((Entry::new("usr/share/large-again", link), Vec::new()));
    members
}

/// The attribute that the kernel and every file system know.
const CAPABILITY: &str = "security.capability";

/// The layer with the tree of this version.
fn layer(version: u64) -> Result<(Vec<u8>, Digest, zstd_chunked::Positions)> {
    let mut writer = ChunkedWriter::new(Vec::new(), Level::FAST.get());
    for (entry, content) in tree(version) {
        writer.append(&entry, &mut content.as_slice())?;
    }
    let finished = writer.finish()?;
    Ok((finished.target, finished.diff_id, finished.positions))
}

/// A small tree as a plain tar: one of its files changes in its middle. Letters, since skopeo 1.9 fails at chunks that do
/// not become smaller.
fn plain_layer(version: u64) -> Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    for number in 0..4 {
        let mut content: Vec<u8> = noise(number, 500_000).iter().map(|byte| b'a' + byte % 16).collect();
        if number == 2 {
            content.splice(250_000..250_001, vec![b'z'; usize::try_from(version)? * 100]);
        }
        let mut entry = Entry::new(format!("usr/text-{number}"), EntryKind::File);
        entry.size = content.len() as u64;
        writer.append_bytes(&entry, &content)?;
    }
    Ok(writer.finish()?)
}

/// How the layer of an image is made.
enum Form {
    /// As ours are.
    Ours,
    /// Not compressed.
    Plain,
}

/// Writes the image of a tree into a layout, under the tag `image`; the layer's size.
fn write_image(version: u64, form: Form, directory: &Path) -> Result<u64> {
    let blobs = directory.join("blobs/sha256");
    fs_err::create_dir_all(&blobs)?;
    let put = |media_type: &str, bytes: &[u8], annotations: BTreeMap<String, String>| -> Result<_> {
        let digest = Digest::of(bytes);
        fs_err::write(blobs.join(digest.hex()), bytes)?;
        let (media_type, size) = (media_type.to_owned(), bytes.len() as u64);
        Ok(oci::Descriptor { media_type, digest, size, annotations, ..oci::Descriptor::default() })
    };
    let (media_type, annotations, bytes, diff_id) = match form {
        Form::Ours => {
            let (bytes, diff_id, positions) = layer(version)?;
            let mut annotations = positions.annotations();
            let identity = LayerCompression::Zstd(Level::FAST).identity();
            annotations.insert(COMPRESSION_ANNOTATION.to_owned(), identity);
            (oci::MEDIA_TYPE_LAYER_ZSTD, annotations, bytes, diff_id)
        }
        Form::Plain => {
            let bytes = plain_layer(version)?;
            let diff_id = Digest::of(&bytes);
            (oci::MEDIA_TYPE_LAYER, BTreeMap::new(), bytes, diff_id)
        }
    };
    let layer = put(media_type, &bytes, annotations)?;
    let config = oci::ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        rootfs: oci::RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] },
        ..oci::ImageConfig::default()
    };
    let size = layer.size;
    let manifest = oci::Manifest {
        schema_version: 2,
        media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
        config: put(oci::MEDIA_TYPE_CONFIG, &serde_json::to_vec(&config)?, BTreeMap::new())?,
        layers: vec![layer],
        ..oci::Manifest::default()
    };
    let tag = BTreeMap::from([("org.opencontainers.image.ref.name".to_owned(), "image".to_owned())]);
    let index = oci::Index {
        schema_version: 2,
        manifests: vec![put(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest)?, tag)?],
        ..oci::Index::default()
    };
    fs_err::write(directory.join("index.json"), serde_json::to_vec(&index)?)?;
    fs_err::write(directory.join("oci-layout"), serde_json::to_vec(&oci::Layout::default())?)?;
    Ok(size)
}

/// The program over a store of its own, pulling from this address to `pulled` below the directory.
fn pull(directory: &Path, address: &str, tag: &str, more: &[&str]) -> Command {
    let mut command = Command::new(World::program());
    command.args(["--quiet", "--format", "json", "--store"]).arg(directory.join("store"));
    command.args(["pull", "--plain-http", &format!("docker://{address}/team/app:{tag}")]);
    command.arg("--output").arg(format!("oci:{}", pulled(directory).display()));
    command.args(more).stdin(Stdio::null());
    command
}

fn pulled(directory: &Path) -> PathBuf {
    directory.join("pulled")
}

fn report(mut command: Command) -> Result<Value> {
    let text = stdout(&mut command)?;
    serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
}

/// Whether each blob of the one layout is in the other, and skopeo finds the other good.
fn ensure_same(layout: &Path, other: &Path, directory: &Path) -> Result<()> {
    for entry in fs_err::read_dir(layout.join("blobs/sha256"))? {
        let entry = entry?;
        let copy = fs_err::read(other.join("blobs/sha256").join(entry.file_name()))?;
        ensure!(copy == fs_err::read(entry.path())?, "{} differs", entry.path().display());
    }
    // It checks every digest, and that the layer is a tar whose digest the config names.
    let copy = format!("dir:{}", directory.join("copy").display());
    let form = ["--quiet", "--insecure-policy", "--dest-decompress"];
    run(Command::new("skopeo").arg("copy").args(form).arg(format!("oci:{}", other.display())).arg(copy))?;
    Ok(())
}

fn number(report: &Value, key: &str) -> Result<u64> {
    report[key].as_u64().with_context(|| format!("`{key}` is missing in {report:#}"))
}

fn byte_for_byte(_: &World) -> Result<()> {
    let registry = Registry::start()?;
    let directory = TempDir::new()?;
    let layout = directory.path().join("layout");
    let size = write_image(1, Form::Ours, &layout)?;
    registry.push(&layout, "1")?;
    let first = report(pull(directory.path(), &registry.address, "1", &[]))?;
    ensure!(first["schema"] == "calypte.pull/1" && number(&first, "fetched")? >= size, "{first:#}");
    ensure_same(&layout, &pulled(directory.path()), directory.path())?;
    // What is not there, and what wants https.
    let missing = pull(directory.path(), &registry.address, "2", &[]).output()?;
    let text = String::from_utf8_lossy(&missing.stderr).into_owned();
    ensure!(missing.status.code() == Some(2) && text.contains("404"), "{}\n{text}", missing.status);
    let mut over_tls = Command::new(World::program());
    over_tls.args(["--quiet", "--store"]).arg(directory.path().join("store"));
    over_tls.args(["pull", &format!("{}/team/app:1", registry.address), "--output"]);
    let refused = over_tls.arg(format!("oci:{}", directory.path().join("no").display())).output()?;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(2) && text.contains("--plain-http"), "{}\n{text}", refused.status);
    Ok(())
}

fn killed(_: &World) -> Result<()> {
    const ENOUGH: u64 = 2_000_000;
    let registry = Registry::start()?;
    let directory = TempDir::new()?;
    let layout = directory.path().join("layout");
    let size = write_image(1, Form::Ours, &layout)?;
    registry.push(&layout, "1")?;
    let slow = slowly(&registry.address, 2_000_000)?;
    let mut child =
        pull(directory.path(), &slow, "1", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let partial = directory.path().join("store/partial");
    let start = Instant::now();
    let length = || -> u64 {
        let files = fs_err::read_dir(&partial).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.len()).max().unwrap_or(0)
    };
    while length() < ENOUGH {
        ensure!(child.try_wait()?.is_none() && start.elapsed() < PATIENCE, "there was no middle to kill in");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    let kept = length();
    ensure!(kept < size && !pulled(directory.path()).exists(), "it was done already");
    let resumed = report(pull(directory.path(), &registry.address, "1", &[]))?;
    let fetched = number(&resumed, "fetched")?;
    ensure!(
        fetched < size - ENOUGH + 10_000,
        "{fetched} bytes were fetched, though {kept} of {size} were there"
    );
    ensure_same(&layout, &pulled(directory.path()), directory.path())
}

fn update(_: &World) -> Result<()> {
    let registry = Registry::start()?;
    let directory = TempDir::new()?;
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    write_image(1, Form::Ours, &old)?;
    let size = write_image(2, Form::Ours, &new)?;
    registry.push(&new, "2")?;
    let from = format!("oci:{}:image", old.display());
    let updated = report(pull(directory.path(), &registry.address, "2", &["--from", &from]))?;
    ensure_same(&new, &pulled(directory.path()), directory.path())?;
    let (fetched, requests) = (number(&updated, "fetched")?, number(&updated, "requests")?);
    ensure!(fetched < size / 10 && requests < 20, "{fetched} of {size} bytes in {requests} requests");
    ensure!(number(&updated, "local")? > size * 9 / 10, "{updated:#}");
    // The same update, cut in its middle by a kill, is whole after a second run.
    let second = TempDir::new()?;
    let (slow, sent) = passing(&registry.address, 20_000)?;
    let mut child = pull(second.path(), &slow, "2", &["--from", &from])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let start = Instant::now();
    while sent.load(Ordering::Relaxed) < fetched / 2 && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = child.try_wait()?;
    child.kill()?;
    child.wait()?;
    let sent = sent.load(Ordering::Relaxed);
    ensure!(
        ended.is_none() && sent >= fetched / 2 && !pulled(second.path()).exists(),
        "there was no middle to kill in: {ended:?}, {sent} of {fetched} bytes were sent"
    );
    report(pull(second.path(), &registry.address, "2", &["--from", &from]))?;
    ensure_same(&new, &pulled(second.path()), second.path())
}

fn foreign(_: &World) -> Result<()> {
    let registry = Registry::start()?;
    let directory = TempDir::new()?;
    let mut layouts = Vec::new();
    for version in [1, 2] {
        let tag = format!("skopeo-{version}");
        let work = directory.path().join(&tag);
        write_image(version, Form::Plain, &work.join("plain"))?;
        let form = ["--dest-compress-format", "zstd:chunked"];
        registry.push_with(&work.join("plain"), &tag, &form)?;
        report(pull(&work, &registry.address, &tag, &[]))?;
        layouts.push(pulled(&work));
    }
    // The tag `image` is what is pushed.
    let [old, new] = &layouts[..] else { bail!("two versions were made") };
    let copy = directory.path().join("new");
    run(Command::new("skopeo")
        .args(["copy", "--quiet", "--insecure-policy", "--preserve-digests"])
        .arg(format!("oci:{}:latest", new.display()))
        .arg(format!("oci:{}:image", copy.display())))?;
    registry.push(&copy, "new")?;
    let from = format!("oci:{}", old.display());
    let updated = report(pull(directory.path(), &registry.address, "new", &["--from", &from]))?;
    let blobs = updated["blobs"].as_array().context("no blobs")?;
    let layer = blobs.iter().find(|blob| blob["way"] == "parts").with_context(|| format!("{updated:#}"))?;
    let (size, local) = (number(layer, "size")?, number(layer, "local")?);
    ensure!(local > size * 7 / 10, "{local} of {size} bytes were local");
    ensure_same(&copy, &pulled(directory.path()), directory.path())
}

/// What a name is: kind, mode, size and digest of the content, attributes.
type Is = (EntryKind, u32, u64, Digest, BTreeMap<String, Vec<u8>>);

fn flat(members: Vec<(Entry, Vec<u8>)>) -> BTreeMap<String, Is> {
    let plain = |path: &[u8]| {
        let path = String::from_utf8_lossy(path).into_owned();
        path.strip_prefix("./").map_or(path.clone(), str::to_owned)
    };
    let is = |(entry, content): (Entry, Vec<u8>)| {
        let path = plain(&entry.path);
        let kind = match entry.kind {
            EntryKind::HardLink(target) => EntryKind::HardLink(plain(&target).into_bytes()),
            other => other,
        };
        (path, (kind, entry.mode, entry.size, Digest::of(&content), entry.xattrs))
    };
    members.into_iter().map(is).collect()
}

/// The tree in a directory, as GNU tar sees it; the directory itself left out.
fn on_disk(root: &Path) -> Result<BTreeMap<String, Is>> {
    let mut tar = Command::new("tar")
        .args(["--create", "--format=posix", "--sort=name", "--xattrs"])
        .arg(format!("--xattrs-include={CAPABILITY}"))
        .arg("--directory")
        .arg(root)
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut reader = Reader::new(tar.stdout.take().context("no output")?);
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.body().read_to_end(&mut content)?;
        // In the order of their names, the other name of a file comes later: it is the link.
        if entry.path != b"." && entry.path != b"./" {
            members.push((entry, content));
        }
    }
    let status = tar.wait()?;
    ensure!(status.success(), "tar: {status}");
    Ok(flat(members))
}

/// podman, told to (`enable_partial_images`), reads our table of contents and fetches the files that it has not.
fn podman(_: &World) -> Result<()> {
    let registry = Registry::start()?;
    let directory = TempDir::new()?;
    let (address, sent) = passing(&registry.address, usize::MAX)?;
    let config = directory.path().join("storage.conf");
    let storage = directory.path().join("storage");
    fs_err::write(
        &config,
        format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n[storage.options]\n\
             pull_options = {{enable_partial_images = \"true\"}}\n",
            storage.join("root").display(),
            storage.join("run").display()
        ),
    )?;
    let podman = |arguments: &[&str]| {
        let mut command = Command::new("podman");
        command.args(["--log-level", "debug"]).args(arguments).env("CONTAINERS_STORAGE_CONF", &config);
        command
    };
    let mut sizes = Vec::new();
    for version in [1, 2] {
        let layout = directory.path().join(version.to_string());
        sizes.push(write_image(version, Form::Ours, &layout)?);
        registry.push(&layout, &version.to_string())?;
        sent.store(0, Ordering::Relaxed);
        let image = format!("{address}/team/app:{version}");
        let output = podman(&["pull", "--tls-verify=false", &image]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{said}");
        ensure!(said.contains("Retrieved partial blob"), "podman fetched the whole layer:\n{said}");
        sizes.push(sent.load(Ordering::Relaxed));
        // What it has put together, out of what it fetched and what it had, is the tree.
        let mount = stdout(&mut podman(&["image", "mount", &image]))?;
        let found = on_disk(Path::new(mount.trim()));
        run(&mut podman(&["image", "unmount", &image]))?;
        let (found, expected) = (found?, flat(tree(version)));
        for (path, is) in &expected {
            let found = found.get(path);
            ensure!(found == Some(is), "version {version}, {path}: expected {is:?}, found {found:?}");
        }
        ensure!(found.len() == expected.len(), "version {version}: {:?}", found.keys());
    }
    let [size, first, new_size, update] = sizes[..] else { bail!("two images were pulled") };
    ensure!(first > size / 2, "the first pull brought {first} of {size} bytes");
    ensure!(update < new_size * 6 / 10, "the update brought {update} of {new_size} bytes");
    Ok(())
}
