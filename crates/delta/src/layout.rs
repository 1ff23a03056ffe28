//! OCI image layouts, as a directory or a tar archive of one, read blob by blob: manifests keep their bytes, which the
//! images' digests are about, and artifacts are seen too. Every blob is checked against its size and digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use calypte_base::{Digest, Hasher, TreePath};
use calypte_formats::compression::{Compression, Decoder, decoder};
use calypte_formats::{oci, tar};

use crate::error::DeltaError;
use crate::interrupt::Interruptible;
use crate::limits::{LARGEST_DOCUMENT, LARGEST_DOCUMENTS, MOST_LAYER_BYTES, MOST_LAYERS, MOST_MANIFESTS};

/// The annotation that names an entry of a layout.
pub(crate) const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// Media type of a config that Docker wrote.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// Most tags that an error names.
const MOST_TAGS: usize = 20;

/// Most members of an archive that is a layout.
const MOST_MEMBERS: usize = 100_000;

/// Offset and size of each blob of an archive.
type Places = BTreeMap<Digest, (u64, u64)>;

/// An opened layout.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    index: oci::Index,
    /// Where blobs lie in an archive; `None` in a directory.
    places: Option<Places>,
}

/// What one entry of a layout stands for.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// The index that lists several; its bytes, and its descriptor.
    pub index: Option<(oci::Descriptor, Vec<u8>)>,
    /// The manifests, each once, in the index's order.
    pub manifests: Vec<(oci::Descriptor, Vec<u8>)>,
}

/// An image for one platform.
#[derive(Debug, Clone)]
pub struct SingleImage {
    /// Its manifest's descriptor, with the platform.
    pub descriptor: oci::Descriptor,
    /// Its manifest.
    pub manifest: oci::Manifest,
    /// The manifest, byte for byte.
    pub manifest_bytes: Vec<u8>,
    /// Its config.
    pub config: oci::ImageConfig,
    /// The config, byte for byte.
    pub config_bytes: Vec<u8>,
}

impl SingleImage {
    /// Out of the two documents; `descriptor` is the manifest's.
    ///
    /// # Errors
    /// A reason, when they are no manifest and config of an image, or the one does not name the other.
    pub fn parse(
        mut descriptor: oci::Descriptor,
        manifest_bytes: Vec<u8>,
        config_bytes: Vec<u8>,
    ) -> Result<Self, String> {
        let manifest: oci::Manifest =
            serde_json::from_slice(&manifest_bytes).map_err(|error| format!("manifest: {error}"))?;
        let found = Digest::of(&config_bytes);
        if found != manifest.config.digest {
            return Err(format!(
                "the manifest names the config {}, but it is {found}",
                manifest.config.digest
            ));
        }
        let config: oci::ImageConfig =
            serde_json::from_slice(&config_bytes).map_err(|error| format!("config: {error}"))?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids || layers > MOST_LAYERS {
            return Err(format!(
                "it has {layers} layers and its config {diff_ids} (at most {MOST_LAYERS} are read)"
            ));
        }
        descriptor.platform.get_or_insert_with(|| oci::Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
            ..oci::Platform::default()
        });
        Ok(Self { descriptor, manifest, manifest_bytes, config, config_bytes })
    }

    /// `architecture[/variant]`.
    #[must_use]
    pub fn platform(&self) -> String {
        let variant = self.config.variant.as_deref().map_or_else(String::new, |text| format!("/{text}"));
        format!("{}/{}{variant}", self.config.os, self.config.architecture)
    }

    /// The layers, each with its diff id.
    pub fn layers(&self) -> impl Iterator<Item = (&oci::Descriptor, Digest)> {
        self.manifest.layers.iter().zip(self.config.rootfs.diff_ids.iter().copied())
    }
}

impl Layout {
    /// Opens the layout at a path.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(path: &Path) -> Result<Self, DeltaError> {
        let bad = |reason: String| DeltaError::NotALayout { path: path.to_owned(), reason };
        let metadata = fs_err::metadata(path).map_err(|error| bad(error.kind().to_string()))?;
        let (places, index) = if metadata.is_dir() {
            let file = fs_err::File::open(path.join(INDEX)).map_err(|error| bad(error.to_string()))?;
            (None, document(&mut file.into_file(), LARGEST_DOCUMENT).map_err(|error| bad(error.to_string()))?)
        } else {
            let (places, index) = archive(path)?;
            (Some(places), index)
        };
        let index = serde_json::from_slice(&index).map_err(|error| bad(format!("{INDEX}: {error}")))?;
        Ok(Self { path: path.to_owned(), index, places })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor of the entry with this tag; without a tag the only one.
    ///
    /// # Errors
    /// When there is none, or there are several.
    pub fn descriptor(&self, tag: Option<&str>) -> Result<&oci::Descriptor, DeltaError> {
        let fits = |entry: &&oci::Descriptor| tag.is_none() || name(entry) == tag;
        let fitting: Vec<&oci::Descriptor> = self.index.manifests.iter().filter(fits).collect();
        let reason = match (fitting.as_slice(), tag) {
            ([entry], _) => return Ok(entry),
            ([], None) => "has no entry".to_owned(),
            ([], Some(tag)) => match self.tags() {
                tags if tags.is_empty() => format!("has no entry `{tag}` and no other tag"),
                tags => format!("has no entry `{tag}`; its tags are {tags}"),
            },
            _ => format!("has several entries; name one of the tags {}", self.tags()),
        };
        Err(DeltaError::NoImage { path: self.path.clone(), reason })
    }

    /// The tags, as an error names them.
    fn tags(&self) -> String {
        let tags: BTreeSet<&str> = self.index.manifests.iter().filter_map(name).collect();
        let more = tags.len().saturating_sub(MOST_TAGS);
        let named = tags.into_iter().take(MOST_TAGS).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    }

    /// The entry with this tag; without a tag the only one.
    ///
    /// # Errors
    /// When there is none, there are several, or its documents cannot be read.
    pub fn entry(&self, tag: Option<&str>) -> Result<ImageSet, DeltaError> {
        self.set(self.descriptor(tag)?)
    }

    /// What a manifest or index of the layout stands for, whether an entry leads to it or not.
    ///
    /// # Errors
    /// When a document is missing, damaged, or there are more of them than [`crate::limits`] allows.
    pub fn set(&self, entry: &oci::Descriptor) -> Result<ImageSet, DeltaError> {
        let bytes = self.document(entry)?;
        if entry.media_type != oci::MEDIA_TYPE_INDEX {
            return Ok(ImageSet { index: None, manifests: vec![(entry.clone(), bytes)] });
        }
        let index: oci::Index = self.parse(entry, &bytes)?;
        let known = |platform: &oci::Platform| platform.architecture != "unknown";
        let mut seen = BTreeSet::new();
        let listed: Vec<oci::Descriptor> = index
            .manifests
            .into_iter()
            .filter(|manifest| manifest.platform.as_ref().is_none_or(known) && seen.insert(manifest.digest))
            .collect();
        if listed.len() > MOST_MANIFESTS {
            return Err(self.misfit(entry, format!("it lists more than {MOST_MANIFESTS} manifests")));
        }
        let mut room = LARGEST_DOCUMENTS;
        listed.iter().try_for_each(|manifest| self.count(entry, manifest, &mut room))?;
        let read = |manifest: oci::Descriptor| {
            let bytes = self.document(&manifest)?;
            Ok((manifest, bytes))
        };
        let manifests: Result<Vec<_>, DeltaError> = listed.into_iter().map(read).collect();
        Ok(ImageSet { index: Some((entry.clone(), bytes)), manifests: manifests? })
    }

    /// Takes the size of a document off what those of one entry may have together.
    fn count(
        &self,
        entry: &oci::Descriptor,
        document: &oci::Descriptor,
        room: &mut u64,
    ) -> Result<(), DeltaError> {
        let left = room.checked_sub(document.size).ok_or_else(|| {
            self.misfit(entry, format!("its documents have more than {LARGEST_DOCUMENTS} bytes together"))
        });
        *room = left?;
        Ok(())
    }

    fn misfit(&self, descriptor: &oci::Descriptor, reason: String) -> DeltaError {
        DeltaError::Document { path: self.path.clone(), digest: descriptor.digest, reason }
    }

    /// The images of an entry.
    ///
    /// # Errors
    /// When a config is missing or damaged, or a manifest is no image's.
    pub fn images(&self, set: &ImageSet) -> Result<Vec<SingleImage>, DeltaError> {
        let mut room = LARGEST_DOCUMENTS;
        let image = |(descriptor, bytes): &(oci::Descriptor, Vec<u8>)| {
            let manifest: oci::Manifest = self.parse(descriptor, bytes)?;
            let kind = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
            if ![oci::MEDIA_TYPE_CONFIG, DOCKER_CONFIG].contains(&kind.as_str()) {
                return Err(self.misfit(descriptor, format!("expected an image, found `{kind}`")));
            }
            self.count(descriptor, &manifest.config, &mut room)?;
            let config = self.document(&manifest.config)?;
            SingleImage::parse(descriptor.clone(), bytes.clone(), config)
                .map_err(|reason| self.misfit(descriptor, reason))
        };
        set.manifests.iter().map(image).collect()
    }

    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        descriptor: &oci::Descriptor,
        bytes: &[u8],
    ) -> Result<T, DeltaError> {
        serde_json::from_slice(bytes).map_err(|error| self.misfit(descriptor, error.to_string()))
    }

    /// A small document, checked.
    ///
    /// # Errors
    /// When it is missing, too large or not what its digest names.
    pub fn document(&self, descriptor: &oci::Descriptor) -> Result<Vec<u8>, DeltaError> {
        self.bytes(descriptor, LARGEST_DOCUMENT)
    }

    /// A whole blob, checked; not larger than `limit`.
    pub(crate) fn bytes(&self, descriptor: &oci::Descriptor, limit: u64) -> Result<Vec<u8>, DeltaError> {
        if descriptor.size > limit {
            return Err(self.wrong(
                descriptor,
                format!("at most {limit} bytes"),
                descriptor.size.to_string(),
            ));
        }
        let failed = DeltaError::io("read", &self.path);
        let bytes = document(&mut self.blob(descriptor)?, limit).map_err(failed)?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(self.wrong(descriptor, "that digest".to_owned(), found.to_string()));
        }
        Ok(bytes)
    }

    fn wrong(&self, descriptor: &oci::Descriptor, expected: String, found: String) -> DeltaError {
        DeltaError::Blob { path: self.path.clone(), digest: descriptor.digest, expected, found }
    }

    /// Opens a blob that has the size which its descriptor says. Its digest is up to the reader.
    ///
    /// # Errors
    /// When it is missing or of another size.
    pub fn blob(&self, descriptor: &oci::Descriptor) -> Result<io::Take<File>, DeltaError> {
        let missing = || self.wrong(descriptor, "a blob".to_owned(), "none".to_owned());
        let (path, place) = match &self.places {
            None => (self.path.join("blobs/sha256").join(descriptor.digest.hex()), None),
            Some(places) => (self.path.clone(), Some(*places.get(&descriptor.digest).ok_or_else(missing)?)),
        };
        let mut file = match fs_err::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            result => result.map_err(DeltaError::io("read", &path))?.into_file(),
        };
        let (offset, size) = match place {
            Some(place) => place,
            None => (0, file.metadata().map_err(DeltaError::io("read", &path))?.len()),
        };
        if size != descriptor.size {
            let bytes = |size| format!("{size} bytes");
            return Err(self.wrong(descriptor, bytes(descriptor.size), bytes(size)));
        }
        file.seek(SeekFrom::Start(offset)).map_err(DeltaError::io("read", &path))?;
        Ok(file.take(size))
    }

    /// Gives a layer's tar archive to `read`, and checks the blob's digest when it is done; a changed blob is the
    /// reason for whatever its reader stumbled over.
    pub(crate) fn layer<T>(
        &self,
        layer: &oci::Descriptor,
        interrupted: &AtomicBool,
        read: impl FnOnce(&mut dyn Read) -> Result<T, DeltaError>,
    ) -> Result<T, DeltaError> {
        let failed = || DeltaError::io("read", &self.path);
        let mut blob =
            Hashing { inner: Interruptible { inner: self.blob(layer)?, interrupted }, hasher: Hasher::new() };
        let mut archive: Decoder<_> =
            decoder(compression(layer)?, &mut blob, MOST_LAYER_BYTES).map_err(failed())?;
        let result = read(&mut archive);
        drop(archive);
        io::copy(&mut blob, &mut io::sink()).map_err(failed())?;
        let found = blob.hasher.finish();
        if found != layer.digest {
            return Err(self.wrong(layer, "that digest".to_owned(), found.to_string()));
        }
        result
    }
}

const INDEX: &str = "index.json";

/// The tag of an entry.
fn name(entry: &oci::Descriptor) -> Option<&str> {
    entry.annotations.get(REFERENCE_NAME).map(String::as_str)
}

/// How a layer is compressed, by its media type.
fn compression(layer: &oci::Descriptor) -> Result<Compression, DeltaError> {
    match layer.media_type.as_str() {
        oci::MEDIA_TYPE_LAYER => Ok(Compression::None),
        oci::MEDIA_TYPE_LAYER_GZIP | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok(Compression::Gzip)
        }
        oci::MEDIA_TYPE_LAYER_ZSTD => Ok(Compression::Zstd),
        other => Err(DeltaError::CannotRemake {
            layer: 0,
            digest: layer.digest,
            reason: format!("layers of type `{other}` are not supported"),
        }),
    }
}

fn document(reader: &mut dyn Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

/// Where the blobs of an archive lie, and its index.
fn archive(path: &Path) -> Result<(Places, Vec<u8>), DeltaError> {
    let bad = |reason: String| DeltaError::NotALayout { path: path.to_owned(), reason };
    let file = fs_err::File::open(path).map_err(DeltaError::io("read", path))?.into_file();
    let offset = std::cell::Cell::new(0);
    let counting = Counting { inner: BufReader::new(file), offset: &offset };
    let mut reader = tar::Reader::new(counting);
    let (mut places, mut index, mut members) = (BTreeMap::new(), None, 0);
    while let Some(entry) = reader.next_entry().map_err(|error| bad(error.to_string()))? {
        members += 1;
        if members > MOST_MEMBERS {
            return Err(bad(format!("it has more than {MOST_MEMBERS} members")));
        }
        let name = TreePath::from_bytes(&entry.path).map_err(|error| bad(error.to_string()))?;
        if entry.kind != tar::EntryKind::File {
            continue;
        }
        if name.as_str() == INDEX {
            let bytes = document(&mut reader.body(), LARGEST_DOCUMENT);
            index = Some(bytes.map_err(|error| bad(error.to_string()))?);
        } else if let Some(digest) =
            name.as_str().strip_prefix("blobs/sha256/").and_then(|hex| hex.parse().ok())
        {
            places.insert(digest, (offset.get(), entry.size));
        }
    }
    Ok((places, index.ok_or_else(|| bad(format!("it has no {INDEX}")))?))
}

/// Tells how far an archive was read: after a header that is where the body begins.
struct Counting<'a, R> {
    inner: R,
    offset: &'a std::cell::Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.offset.set(self.offset.get() + count as u64);
        Ok(count)
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
