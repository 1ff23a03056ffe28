//! What `docker save` and `podman save` write (docker-archive): the file `manifest.json` of a tar archive comes in, images go
//! out. There is no manifest in it that a registry would know; an image's descriptor is that of its config, whose digest is
//! what Docker calls the image's id. Archives that hold an OCI layout too are read as such.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use calypte_base::{Digest, Hasher, TreePath};
use calypte_formats::compression::Compression;
use calypte_formats::oci;
use serde::Deserialize;

use super::source::{failed, read_bounded};
use super::{LayoutImage, MOST_LAYERS, MOST_MANIFESTS, ReadError};

/// Media type of the configs.
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Most links from one member to another that are followed: old archives have one where images share a layer.
const MOST_LINKS: usize = 8;

/// An image in `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    /// The member with its config.
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    /// The members with its layers, lowest first.
    layers: Vec<String>,
}

/// A member of the archive.
#[derive(Debug)]
pub(super) enum Member {
    /// A file: offset and size.
    File(u64, u64),
    /// A name for another member.
    Link(TreePath),
}

/// The members of an archive by their names.
pub(super) type Members = BTreeMap<TreePath, Member>;

/// A symbolic link among the members; none when its name or target could be no member's.
pub(super) fn link(name: &[u8], target: &[u8]) -> Option<(TreePath, Member)> {
    let name = TreePath::from_bytes(name).ok()?;
    let target = name.resolve_link(std::str::from_utf8(target).ok()?).ok()?;
    Some((name, Member::Link(target)))
}

/// What an archive holds.
#[derive(Debug, Default)]
pub(super) struct Docker {
    /// The images, one for each of its tags.
    pub(super) images: Vec<LayoutImage>,
    /// Offset and size of each config and layer.
    pub(super) places: BTreeMap<Digest, (u64, u64)>,
}

/// Reads the images of an archive.
pub(super) fn read(path: &Path, manifest: &[u8], members: &Members) -> Result<Docker, ReadError> {
    let bad = |reason| ReadError::NotALayout { path: path.to_owned(), reason };
    let entries: Vec<Entry> =
        serde_json::from_slice(manifest).map_err(|error| bad(format!("manifest.json: {error}")))?;
    let names: usize = entries.iter().map(|entry| entry.repo_tags.as_ref().map_or(1, Vec::len).max(1)).sum();
    if entries.is_empty() {
        return Err(bad("manifest.json lists no image".to_owned()));
    }
    if names > MOST_MANIFESTS || entries.iter().any(|entry| entry.layers.len() > MOST_LAYERS) {
        return Err(bad("manifest.json lists more images or layers than any archive has".to_owned()));
    }
    let file = fs_err::File::open(path).map_err(failed(path))?.into_file();
    let mut reader = Reader { path, file, members, docker: Docker::default() };
    for entry in entries {
        reader.image(entry)?;
    }
    Ok(reader.docker)
}

struct Reader<'a> {
    path: &'a Path,
    file: std::fs::File,
    members: &'a Members,
    docker: Docker,
}

impl Reader<'_> {
    fn bad(&self, reason: String) -> ReadError {
        ReadError::NotALayout { path: self.path.to_owned(), reason }
    }

    fn image(&mut self, entry: Entry) -> Result<(), ReadError> {
        let place = self.place(&entry.config)?;
        let bytes = self.at(place).and_then(|mut config| read_bounded(&mut config));
        let bytes = bytes.map_err(|error| self.bad(format!("{}: {error}", entry.config)))?;
        let digest = Digest::of(&bytes);
        self.docker.places.insert(digest, place);
        let config: oci::ImageConfig =
            serde_json::from_slice(&bytes).map_err(|error| self.bad(format!("{}: {error}", entry.config)))?;
        let mut layers = Vec::new();
        for (number, name) in entry.layers.iter().enumerate() {
            layers.push(self.layer(name, config.rootfs.diff_ids.get(number))?);
        }
        let platform = oci::Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
            ..oci::Platform::default()
        };
        let described = oci::Descriptor {
            media_type: CONFIG.to_owned(),
            digest,
            size: place.1,
            ..oci::Descriptor::default()
        };
        let descriptor = oci::Descriptor { platform: Some(platform), ..described.clone() };
        let manifest =
            oci::Manifest { schema_version: 2, config: described, layers, ..oci::Manifest::default() };
        let mut names: Vec<Option<String>> = entry.repo_tags.into_iter().flatten().map(Some).collect();
        if names.is_empty() {
            names.push(None);
        }
        self.docker.images.extend(names.into_iter().map(|name| LayoutImage {
            name,
            descriptor: descriptor.clone(),
            manifest: manifest.clone(),
            config: config.clone(),
        }));
        Ok(())
    }

    /// A layer that is not compressed has the digest that the config names, which is checked when it is read; of others
    /// nothing names the digest.
    fn layer(&mut self, name: &str, diff_id: Option<&Digest>) -> Result<oci::Descriptor, ReadError> {
        let place = self.place(name)?;
        let failed = |error: io::Error| self.bad(format!("{name}: {error}"));
        let mut start = Vec::new();
        self.at(place).and_then(|blob| blob.take(6).read_to_end(&mut start)).map_err(failed)?;
        let media_type = match Compression::detect(&start) {
            Compression::None => oci::MEDIA_TYPE_LAYER,
            Compression::Gzip => oci::MEDIA_TYPE_LAYER_GZIP,
            Compression::Zstd => oci::MEDIA_TYPE_LAYER_ZSTD,
            Compression::Xz => return Err(self.bad(format!("{name}: layers in xz are not known"))),
        };
        let digest = match diff_id.filter(|_| media_type == oci::MEDIA_TYPE_LAYER) {
            Some(diff_id) => *diff_id,
            None => {
                let mut hasher = Hasher::new();
                self.at(place).and_then(|mut blob| io::copy(&mut blob, &mut hasher)).map_err(failed)?;
                hasher.finish()
            }
        };
        self.docker.places.insert(digest, place);
        Ok(oci::Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size: place.1,
            ..oci::Descriptor::default()
        })
    }

    /// Where a member lies.
    fn place(&self, name: &str) -> Result<(u64, u64), ReadError> {
        let mut path = TreePath::new(name).map_err(|error| self.bad(error.to_string()))?;
        for _ in 0..MOST_LINKS {
            match self.members.get(&path) {
                Some(Member::File(offset, size)) => return Ok((*offset, *size)),
                Some(Member::Link(target)) => path = target.clone(),
                None => break,
            }
        }
        Err(self.bad(format!("manifest.json names {name}, which is not there")))
    }

    fn at(&self, (offset, size): (u64, u64)) -> io::Result<io::Take<&std::fs::File>> {
        (&self.file).seek(SeekFrom::Start(offset))?;
        Ok((&self.file).take(size))
    }
}
