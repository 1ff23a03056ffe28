//! `calypte rebuild`: what is published is made again by one who has neither its catalog nor its lock nor its store, and what
//! was changed under the same provenance is found.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use calypte_base::Digest;
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci::{
    Descriptor, ImageConfig, Index, MEDIA_TYPE_INDEX, MEDIA_TYPE_LAYER, MEDIA_TYPE_MANIFEST, Manifest,
};
use calypte_store::registry::{Mount, Reference, Registry, RegistrySettings, Version};
use calypte_store::{Silent, Store};
use calypte_trust::sigstore::{Bundle, Referrer, SigningKey, Statement};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::publish::{Served, login};
use crate::world::{World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case { name: "rebuild_from_the_provenance_alone", needs: &[Need::Mirror], run: alone },
    Case { name: "rebuild_finds_what_was_tampered_with", needs: &[Need::Mirror], run: tampered },
];

/// Small, for both machines.
const SMALL: &str = "static";

/// One that stands on others and holds a program of the catalog.
const WITH_PROGRAM: &str = "nginx";

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A registry in which images are published by a key, by one who has the catalog and a store of the case's own.
pub struct Published {
    pub directory: TempDir,
    served: Served,
    /// Where in the registry: what other keys said of the same images before is not there.
    place: String,
}

/// The program over that catalog and store.
fn publisher(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(World::program());
    command.arg("--quiet").arg("--catalog").arg(directory.join("catalog"));
    command.arg("--store").arg(directory.join("publisher")).args(arguments);
    command.env_remove("SOURCE_DATE_EPOCH");
    command
}

impl Published {
    pub fn new() -> Result<Self> {
        let directory = TempDir::new()?;
        let path = directory.path();
        World::copy_catalog(path)?;
        run(publisher(path, &["key"]).arg(path.join("key")))?;
        let public = fs_err::read(path.join("key.pub"))?;
        let serve = publisher(path, &["serve", "--listen", "127.0.0.1:0"]);
        let served = Served::over(serve, &path.join("publisher"))?;
        login(path, &served.host, &served.token)?;
        let place = Digest::of(&public).hex().get(..12).unwrap_or_default().to_owned();
        Ok(Self { directory, served, place })
    }

    /// The publisher's program, which may write to the registry.
    pub fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = publisher(self.directory.path(), arguments);
        command.env("REGISTRY_AUTH_FILE", self.directory.path().join("auth.json"));
        command
    }

    pub fn push(&self, image: &str) -> Result<()> {
        let to = format!("{}/{}", self.served.host, self.place);
        let mut command = self.calypte(&["push", image, "--to", &to, "--plain-http", "--key"]);
        run(command.arg(self.directory.path().join("key"))).map(drop)
    }

    pub fn reference(&self, image: &str) -> String {
        format!("{}/{}/{image}", self.served.host, self.place)
    }

    /// `calypte rebuild` by somebody else, whose store is empty at first.
    fn rebuild(&self, reference: &str, store: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--store").arg(store);
        command.args(["rebuild", reference, "--plain-http"]);
        // Where it looks for a catalog there is none, unless one is named.
        command.env("CALYPTE_CATALOG", "/nonexistent").args(more);
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("CALYPTE_COMPRESSION").current_dir("/");
        command
    }

    pub fn public(&self) -> String {
        self.directory.path().join("key.pub").display().to_string()
    }
}

fn alone(_: &World) -> Result<()> {
    let published = Published::new()?;
    let (public, store) = (published.public(), published.directory.path().join("store"));
    for image in [SMALL, WITH_PROGRAM] {
        published.push(image)?;
        let reference = published.reference(image);
        let text = stdout(&mut published.rebuild(&reference, &store, &["--key", &public]))?;
        ensure!(text.ends_with("\nidentical\n") && text.contains("provenance signed by"), "{text}");
        for machine in ["amd64: identical", "arm64: identical", "index: identical"] {
            ensure!(text.contains(machine), "no `{machine}` in {text}");
        }
    }
    // A second push attaches no other recipe, and whoever checks the image does not stumble over it.
    published.push(SMALL)?;
    let reference = published.reference(SMALL);
    run(&mut published.calypte(&["verify", &reference, "--plain-http", "--key", &public]))?;
    let text = stdout(&mut published.rebuild(&reference, &store, &["--arch", "arm64", "--format", "json"]))?;
    let report: Value = serde_json::from_str(&text)?;
    let machine = &report["machines"][0];
    ensure!(report["identical"] == true && machine["architecture"] == "arm64", "{report}");
    ensure!(report["index"].is_null() && machine["provenance"]["key"].is_null(), "{report}");
    ensure!(machine["provenance"]["others"] == 0, "the second push attached another provenance: {report}");
    // The publisher's own catalog may go its way.
    let definition = published.directory.path().join(format!("catalog/images/{SMALL}.yaml"));
    fs_err::write(&definition, "image: other\n")?;
    let catalog = published.directory.path().join("catalog").display().to_string();
    let mut command = published.rebuild(&reference, &store, &["--catalog", &catalog]);
    ensure!(stdout(&mut command)?.ends_with("\nidentical\n"), "a changed catalog makes a difference");
    fs_err::copy(World::repository().join(format!("catalog/images/{SMALL}.yaml")), &definition)?;
    // Nobody says of an image that was only pushed how it was made.
    let to = format!("{}/{}/bare", published.served.host, published.place);
    run(&mut published.calypte(&["push", SMALL, "--to", &to, "--plain-http"]))?;
    let error = fails(&mut published.rebuild(&format!("{to}/{SMALL}"), &store, &[]), 2)?;
    ensure!(error.contains("no provenance is attached") && error.contains("hint:"), "{error}");
    Ok(())
}

/// Puts other contents under the same provenance, by hand, with the key of who published.
struct Forger {
    registry: Registry,
    store: Store,
    key: SigningKey,
}

impl Forger {
    fn push(&self, bytes: &[u8]) -> Result<(Digest, u64)> {
        let digest = self.store.put(bytes)?;
        self.registry.push_blob(&self.store, &digest, Mount::No, &Silent)?;
        Ok((digest, bytes.len() as u64))
    }

    /// The predicate of a manifest's provenance.
    fn provenance(&self, manifest: &Digest) -> Result<Value> {
        let pages = self.registry.referrers(manifest)?.context("no referrers")?;
        let pages = pages.iter().map(|page| Ok(serde_json::from_slice::<Index>(page)?.manifests));
        for listed in pages.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            let document = self.registry.manifest(&Version::Digest(listed.digest))?;
            let document: Manifest = serde_json::from_slice(&document.bytes)?;
            let layer = document.layers.first().context("no blob")?;
            let bytes = self.registry.small_blob(&layer.digest, layer.size)?;
            let Ok(statement) = Bundle::parse(&bytes).and_then(|bundle| bundle.unverified()) else {
                continue;
            };
            if statement.predicate_type == PROVENANCE {
                return Ok(statement.predicate);
            }
        }
        anyhow::bail!("no provenance")
    }

    /// Puts a manifest into the registry, of which it says what was said of another.
    fn publish(&self, manifest: &Manifest, predicate: Value) -> Result<Descriptor> {
        let bytes = serde_json::to_vec(manifest)?;
        let digest = Digest::of(&bytes);
        self.registry.push_manifest(&Version::Digest(digest), MEDIA_TYPE_MANIFEST, &bytes)?;
        let (media_type, size) = (MEDIA_TYPE_MANIFEST.to_owned(), bytes.len() as u64);
        let subject = Descriptor { media_type, digest, size, ..Descriptor::default() };
        let bundle = Bundle::sign(&Statement::about(&digest, PROVENANCE, predicate), &self.key);
        let referrer = Referrer::new(bundle.to_json(), PROVENANCE, &subject);
        for blob in &referrer.blobs {
            self.push(blob)?;
        }
        let version = Version::Digest(referrer.descriptor.digest);
        self.registry.push_manifest(&version, MEDIA_TYPE_MANIFEST, &referrer.manifest)?;
        Ok(subject)
    }
}

/// Changes a word of a file in whichever layer has it; the layer is no longer compressed.
fn tamper(forger: &Forger, manifest: &mut Manifest) -> Result<()> {
    let config = forger.registry.small_blob(&manifest.config.digest, manifest.config.size)?;
    let mut config: ImageConfig = serde_json::from_slice(&config)?;
    let word = b"PRETTY_NAME=\"Debian";
    for (layer, diff_id) in manifest.layers.iter_mut().zip(&mut config.rootfs.diff_ids) {
        let blob = forger.registry.small_blob(&layer.digest, layer.size)?;
        let mut archive = Vec::new();
        decoder(Compression::Zstd, blob.as_slice(), 1 << 30)?.read_to_end(&mut archive)?;
        let Some(place) = archive.windows(word.len()).position(|window| window == word) else { continue };
        *archive.get_mut(place + word.len() - 1).context("no letter")? = b'm';
        (layer.digest, layer.size) = forger.push(&archive)?;
        (layer.media_type, *diff_id) = (MEDIA_TYPE_LAYER.to_owned(), layer.digest);
        (manifest.config.digest, manifest.config.size) = forger.push(&serde_json::to_vec(&config)?)?;
        return Ok(());
    }
    anyhow::bail!("no layer has the word")
}

fn tampered(_: &World) -> Result<()> {
    let published = Published::new()?;
    published.push(SMALL)?;
    let reference: Reference = published.reference(SMALL).parse()?;
    let settings = RegistrySettings {
        plain_http: true,
        auth_files: vec![fs_err::read(published.directory.path().join("auth.json"))?],
        ..RegistrySettings::default()
    };
    let key = fs_err::read(published.directory.path().join("key"))?;
    let forger = Forger {
        registry: Registry::for_push(&reference, settings, &[])?,
        store: Store::open(published.directory.path().join("forger"))?,
        key: SigningKey::from_pem(&key, "key")?,
    };
    let index = forger.registry.manifest(&reference.version)?;
    let mut index: Index = serde_json::from_slice(&index.bytes)?;
    let entry = index.manifests.first_mut().context("no manifest")?;
    let manifest = forger.registry.manifest(&Version::Digest(entry.digest))?;
    let predicate = forger.provenance(&entry.digest)?;
    let mut manifest: Manifest = serde_json::from_slice(&manifest.bytes)?;
    tamper(&forger, &mut manifest)?;
    let forged = forger.publish(&manifest, predicate)?;
    (entry.digest, entry.size) = (forged.digest, forged.size);
    let tag = Version::Tag("tampered".to_owned());
    forger.registry.push_manifest(&tag, MEDIA_TYPE_INDEX, &serde_json::to_vec(&index)?)?;

    let reference = format!("{}:tampered", published.reference(SMALL));
    let (store, public) = (published.directory.path().join("store"), published.public());
    let output = published.rebuild(&reference, &store, &["--key", &public]).output()?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.code() == Some(1) && text.ends_with("\ndifferent\n"), "{}: {text}", output.status);
    ensure!(text.contains("/usr/lib/os-release: content"), "{text}");
    ensure!(text.contains("amd64: different") && text.contains("arm64: identical"), "{text}");
    let output = published.rebuild(&reference, &store, &["--format", "json"]).output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let files = report["machines"][0]["differences"]["files"].as_array().context("no files")?;
    let paths: Vec<&str> = files.iter().filter_map(|file| file["path"].as_str()).collect();
    ensure!(paths.len() == 1 && paths.iter().all(|path| path.ends_with("usr/lib/os-release")), "{report:#}");
    // Another's key: nobody whom one trusts says how it was made.
    run(published.calypte(&["key"]).arg(published.directory.path().join("other")))?;
    let other = published.directory.path().join("other.pub").display().to_string();
    let error = fails(&mut published.rebuild(&reference, &store, &["--key", &other]), 2)?;
    ensure!(error.contains("not among the accepted keys"), "{error}");
    Ok(())
}
