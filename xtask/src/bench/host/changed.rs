//! The second state of the host's image: the same packages, of which some come in a newer version that holds other bytes in
//! every file.
//!
//! A mirror has one state of sid. So the kernel's packages and those of every so-manieth other source are unpacked, a line
//! is added to each of their files, and they are packed again with a newer version, into an overlay like that of the
//! programs of hosts. Then the image is locked anew and built with the layers of the first one as they were cut, as an
//! update is. Nobody starts anything of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use calypte_base::Digest;
use serde_json::Value;

use crate::bench::os::Os;
use crate::run;

/// How many packages change, or a few more: as many as in the step that composefs-rs was first measured with.
const PACKAGES: usize = 26;

/// Every so-manieth source by name; with it the kernel's.
const EVERY: usize = 5;

/// What is added to each file.
const LINE: &[u8] = b"\n# the second state\n";

/// What is added to each version.
const NEWER: &str = "+second";

/// Sources whose files the factory puts together with others, line by line; and the programs of hosts.
const LEFT_ALONE: &[&str] = &["base-files", "base-passwd", "calypte-host", "calypte-init"];

/// A package of the lock that changes: where the store keeps it, and its version.
struct Chosen {
    file: PathBuf,
    version: String,
}

/// Makes the changed packages, and an overlay with them beside the programs of hosts; their names.
///
/// # Errors
/// When a package is not in the store, or cannot be packed.
pub fn make_overlay(os: &Os, overlay: &Path) -> Result<Vec<String>> {
    let lock = fs_err::read_to_string(os.path("catalog/locks/debian-sid/os.lock"))?;
    let lock: Value = serde_json::from_str(&lock)?;
    let chosen = choose(os, lock["packages"]["amd64"].as_array().context("the lock has no packages")?)?;
    if overlay.exists() {
        fs_err::remove_dir_all(overlay)?;
    }
    run::succeed(Command::new("cp").arg("-r").arg(Os::overlay()).arg(overlay))?;
    let repository = overlay.join("deb");
    let index = repository.join("dists/calypte/main/binary-amd64/Packages");
    let mut stanzas = fs_err::read_to_string(&index)?;
    let scratch = tempfile::tempdir_in(os.path(""))?;
    for (name, package) in &chosen {
        let directory = scratch.path().join(name);
        let packed = repository.join("pool").join(format!("{name}.deb"));
        repack(&package.file, &directory, &packed, &chosen)?;
        fs_err::remove_dir_all(&directory)?;
        let bytes = fs_err::read(&packed)?;
        let control = run::output(Command::new("dpkg-deb").arg("--field").arg(&packed))?;
        let (size, digest) = (bytes.len(), Digest::of(&bytes).hex());
        write!(
            stanzas,
            "\n{}\nFilename: pool/{name}.deb\nSize: {size}\nSHA256: {digest}\n",
            control.trim_end()
        )?;
    }
    fs_err::write(&index, &stanzas)?;
    run::succeed(Command::new("xz").args(["--force", "--keep", "-1"]).arg(&index))?;
    let mut sums = String::new();
    for name in ["Packages", "Packages.xz"] {
        let bytes = fs_err::read(index.with_file_name(name))?;
        writeln!(sums, " {} {} main/binary-amd64/{name}", Digest::of(&bytes).hex(), bytes.len())?;
    }
    let release = repository.join("dists/calypte/Release");
    let text = fs_err::read_to_string(&release)?;
    let (head, _) = text.split_once("SHA256:").context("the overlay's Release has no sums")?;
    fs_err::write(&release, format!("{head}SHA256:\n{sums}"))?;
    Ok(chosen.into_keys().collect())
}

fn choose(os: &Os, packages: &[Value]) -> Result<BTreeMap<String, Chosen>> {
    // The lock has those of the variants, too.
    let is_in = |package: &&Value| {
        package["in"].as_array().is_some_and(|images| images.iter().any(|image| image == "default"))
    };
    let packages: Vec<&Value> = packages.iter().filter(is_in).collect();
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let sources: BTreeSet<String> = packages.iter().map(|package| text(package, "source")).collect();
    let (kernel, others): (Vec<String>, Vec<String>) = sources
        .into_iter()
        .filter(|source| !LEFT_ALONE.contains(&source.as_str()))
        .partition(|source| source.starts_with("linux"));
    let mut chosen = BTreeMap::new();
    for source in kernel.into_iter().chain(others.into_iter().step_by(EVERY)) {
        if chosen.len() >= PACKAGES {
            break;
        }
        for package in packages.iter().filter(|package| text(package, "source") == source) {
            let digest: Digest = text(package, "sha256").parse()?;
            let hex = digest.hex();
            let file = os.path("store/blobs").join(&hex[..2]).join(&hex);
            ensure!(file.is_file(), "{} is not in the store", file.display());
            chosen.insert(text(package, "id"), Chosen { file, version: text(package, "version") });
        }
    }
    Ok(chosen)
}

/// Unpacks a package into a directory, changes it, and packs it again.
fn repack(package: &Path, directory: &Path, packed: &Path, chosen: &BTreeMap<String, Chosen>) -> Result<()> {
    run::succeed(Command::new("dpkg-deb").arg("--raw-extract").arg(package).arg(directory))?;
    let control = directory.join("DEBIAN/control");
    let mut text = fs_err::read_to_string(&control)?;
    let version =
        text.lines().find_map(|line| line.strip_prefix("Version: ")).context("no version")?.to_owned();
    text = text.replace(&format!("\nVersion: {version}\n"), &format!("\nVersion: {version}{NEWER}\n"));
    // Modules that are not compressed take more than before, which must be said.
    let size = text.lines().find_map(|line| line.strip_prefix("Installed-Size: ")).map(str::to_owned);
    if let Some(kibibytes) = size {
        let more = kibibytes.parse::<u64>()? * 8;
        text = text.replace(&format!("Installed-Size: {kibibytes}\n"), &format!("Installed-Size: {more}\n"));
    }
    for (name, Chosen { version, .. }) in chosen {
        text = text.replace(&format!("{name} (= {version})"), &format!("{name} (= {version}{NEWER})"));
    }
    fs_err::write(&control, text)?;
    let listed = run::output(Command::new("find").arg(directory).args([
        "-type",
        "f",
        "-not",
        "-path",
        "*/DEBIAN/*",
        "-print0",
    ]))?;
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        change(Path::new(path))?;
    }
    // Fast: nobody looks at the package's size.
    let mut pack = Command::new("dpkg-deb");
    run::output(pack.args(["-Zgzip", "-z1", "--build"]).arg(directory).arg(packed))?;
    Ok(())
}

/// Adds the line to a file. A compressed module becomes a plain one, as it does in the image; pages and documents that are
/// compressed are not in the image.
fn change(path: &Path) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name.ends_with(".gz") {
        return Ok(());
    }
    if !name.ends_with(".ko.xz") {
        fs_err::OpenOptions::new().append(true).open(path)?.write_all(LINE)?;
        return Ok(());
    }
    let mut module = Vec::new();
    liblzma::read::XzDecoder::new(fs_err::File::open(path)?).read_to_end(&mut module)?;
    module.extend_from_slice(LINE);
    fs_err::write(path.with_extension(""), module)?;
    Ok(fs_err::remove_file(path)?)
}
