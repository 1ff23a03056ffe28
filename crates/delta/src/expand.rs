//! An image + a delta → the tar streams of the other image's layers, each checked against its diff id. A host needs
//! no more than these; the compressed blobs are made of them by `apply`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use calypte_base::{Digest, Hasher};
use calypte_formats::compression::{Compression, decoder};
use calypte_formats::oci;

use crate::artifact::Artifact;
use crate::bundle::prefix;
use crate::create::take_apart;
use crate::difference::StreamReader;
use crate::error::DeltaError;
use crate::frame;
use crate::interrupt::{self, Interruptible};
use crate::layout::{Layout, SingleImage};
use crate::limits::{LARGEST_PLAN, padding};
use crate::plan::{Body, Bundle, Frame, Plan, PlanLayer, Source};
use crate::spool::{Stored, Taken};

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// A delta whose plan was read; its frames not yet.
#[derive(Debug)]
pub struct Delta {
    plan: Plan,
    artifact: Artifact,
    target: SingleImage,
}

impl Delta {
    /// Reads the plan of the delta with this manifest.
    ///
    /// # Errors
    /// When it is no delta, is cut off or was changed, or contradicts itself.
    pub fn read(layout: &Layout, descriptor: &oci::Descriptor, manifest: &[u8]) -> Result<Self, DeltaError> {
        let artifact = Artifact::parse(layout, descriptor, manifest)?;
        let packed = layout.bytes(&artifact.plan, LARGEST_PLAN)?;
        let mut bytes = Vec::new();
        decoder(Compression::Zstd, packed.as_slice(), LARGEST_PLAN)
            .and_then(|mut decoder| decoder.read_to_end(&mut bytes))
            .map_err(|error| DeltaError::damaged("plan", "one zstd stream", error))?;
        let plan = Plan::decode(&bytes)?;
        let found = Digest::of(&plan.manifest);
        if found != artifact.target.digest {
            return Err(DeltaError::damaged(
                "plan, manifest of the new image",
                artifact.target.digest,
                found,
            ));
        }
        let target = SingleImage::parse(artifact.target.clone(), plan.manifest.clone(), plan.config.clone())
            .map_err(|reason| DeltaError::damaged("plan, new image", "manifest and config", reason))?;
        if target.manifest.layers.len() != plan.layers.len() {
            let (expected, found) = (target.manifest.layers.len(), plan.layers.len());
            return Err(DeltaError::damaged("plan, layers", expected, found));
        }
        Ok(Self { plan, artifact, target })
    }

    /// The image that it leads to.
    #[must_use]
    pub const fn target(&self) -> &SingleImage {
        &self.target
    }

    /// The digest of the manifest of the image that it is against.
    #[must_use]
    pub const fn base(&self) -> Digest {
        self.artifact.base
    }

    /// Whether an image has the layers that the delta is against. An image that is compressed otherwise has them too.
    #[must_use]
    pub fn fits(&self, base: &SingleImage) -> bool {
        self.plan.base.diff_ids == base.config.rootfs.diff_ids
    }

    /// Reads base and frames. What the new layers hold lies in files without a name in `directory` afterwards. This and
    /// the reading of the layers end soon once `interrupted` is set.
    ///
    /// # Errors
    /// When the base is another, delta or base are cut off or were changed, or the work was interrupted.
    pub fn expand<'a>(
        &'a self,
        layout: &Layout,
        base: (&'a Layout, &'a SingleImage),
        directory: &Path,
        interrupted: &'a AtomicBool,
        progress: &dyn Fn(&str),
    ) -> Result<Expanded<'a>, DeltaError> {
        interrupt::verdict(self.unpack(layout, base, directory, interrupted, progress), interrupted)
    }

    fn unpack<'a>(
        &'a self,
        layout: &Layout,
        (base_layout, base): (&'a Layout, &'a SingleImage),
        directory: &Path,
        interrupted: &'a AtomicBool,
        progress: &dyn Fn(&str),
    ) -> Result<Expanded<'a>, DeltaError> {
        self.check_base(base)?;
        progress(&format!("reading the base for {}", base.platform()));
        let old = take_apart(base_layout, base, directory, false, interrupted, &|_| true)?;
        let shape = &self.plan.base;
        let found = (old.members.len() as u64, old.headers.len() as u64);
        if found != (shape.files, shape.header_bytes) {
            return Err(DeltaError::damaged(
                "plan, base",
                format!("{} files and {} bytes of headers", found.0, found.1),
                format!("{} and {}", shape.files, shape.header_bytes),
            ));
        }
        let contents = Places::new(&self.plan);
        self.check_sizes(&old, &contents)?;
        progress("unpacking the delta");
        let mut frames = Frames::open(layout, self, interrupted)?;
        let mut headers = Stored::new(directory)?;
        for header in &self.plan.headers {
            interrupt::check(interrupted)?;
            let start = header.prefix_start as usize;
            let prefix = old.headers.get(start..start + header.prefix_length as usize).unwrap_or_default();
            headers.write(&frames.next(header.frame, prefix, "frame of headers")?)?;
        }
        let mut fresh = Stored::new(directory)?;
        for bundle in &self.plan.bundles {
            interrupt::check(interrupted)?;
            fresh.write(&unpack(bundle, &old, &mut frames)?)?;
        }
        frames.check_end()?;
        Ok(Expanded { delta: self, base_layout, base, old, headers, fresh, contents, interrupted })
    }

    fn check_base(&self, base: &SingleImage) -> Result<(), DeltaError> {
        if self.fits(base) {
            return Ok(());
        }
        let (expected, found) = (&self.plan.base.diff_ids, &base.config.rootfs.diff_ids);
        let differing = expected.iter().zip(found).position(|(expected, found)| expected != found);
        let reason =
            match differing.and_then(|number| Some((number, expected.get(number)?, found.get(number)?))) {
                Some((number, expected, found)) => {
                    format!("its layer {number} has the diff id {found} instead of {expected}")
                }
                None => format!("it has {} layers instead of {}", found.len(), expected.len()),
            };
        Err(DeltaError::WrongBase { expected: self.artifact.base, found: base.descriptor.digest, reason })
    }

    /// Whether the parts of each layer are as long together as the plan says, before anything is written.
    fn check_sizes(&self, old: &Taken, contents: &Places) -> Result<(), DeltaError> {
        for (number, layer) in self.plan.layers.iter().enumerate() {
            let PlanLayer::Rebuilt { size, members, tail } = layer else { continue };
            let mut total = *tail;
            for member in members {
                let content = match member.source {
                    Source::Old(file) => old.members.get(file as usize).map_or(0, |member| member.size),
                    Source::New(content) => contents.get(content).1,
                };
                total = total.saturating_add(member.header + content + padding(content));
            }
            if total != *size {
                return Err(DeltaError::damaged(format!("plan, layer {number}"), size, total));
            }
        }
        Ok(())
    }
}

/// Where each new content lies among all of them.
#[derive(Debug)]
struct Places(Vec<(u64, u64)>);

impl Places {
    fn new(plan: &Plan) -> Self {
        let mut start = 0;
        let place = |size| {
            let place = (start, size);
            start += size;
            place
        };
        Self(plan.content_sizes().into_iter().map(place).collect())
    }

    fn get(&self, content: u64) -> (u64, u64) {
        self.0.get(content as usize).copied().unwrap_or_default()
    }
}

/// The blob of frames, one frame after the other.
struct Frames {
    blob: Option<BufReader<io::Take<File>>>,
    left: u64,
    path: std::path::PathBuf,
}

impl Frames {
    /// Opens the blob once its digest is known to be right: the decoder sees nothing that was changed on the way.
    fn open(layout: &Layout, delta: &Delta, interrupted: &AtomicBool) -> Result<Self, DeltaError> {
        let frames: Vec<Frame> = delta.plan.headers.iter().map(|header| header.frame).collect();
        let bundles = delta.plan.bundles.iter().flat_map(|bundle| bundle.body.frames());
        let expected: u64 = frames.into_iter().chain(bundles).map(|frame| frame.packed).sum();
        let found = delta.artifact.frames.as_ref().map_or(0, |descriptor| descriptor.size);
        if expected != found {
            return Err(DeltaError::damaged("frames", format!("{expected} bytes"), found));
        }
        let path = layout.path().to_owned();
        let Some(descriptor) = &delta.artifact.frames else { return Ok(Self { blob: None, left: 0, path }) };
        let mut hasher = Hasher::new();
        let mut blob = Interruptible { inner: layout.blob(descriptor)?, interrupted };
        io::copy(&mut blob, &mut hasher).map_err(DeltaError::io("read", &path))?;
        let digest = hasher.finish();
        if digest != descriptor.digest {
            return Err(DeltaError::damaged("frames", descriptor.digest, digest));
        }
        let blob = Some(BufReader::with_capacity(BUFFER, layout.blob(descriptor)?));
        Ok(Self { blob, left: expected, path })
    }

    fn next(&mut self, frame: Frame, prefix: &[u8], what: &'static str) -> Result<Vec<u8>, DeltaError> {
        let mut packed = Vec::new();
        if let Some(blob) = &mut self.blob {
            let failed = DeltaError::io("read", &self.path);
            blob.take(frame.packed).read_to_end(&mut packed).map_err(failed)?;
        }
        if packed.len() as u64 != frame.packed {
            return Err(DeltaError::damaged(what, format!("{} bytes", frame.packed), packed.len()));
        }
        self.left -= frame.packed;
        frame::decompress(prefix, &packed, frame.size, what)
    }

    fn check_end(&self) -> Result<(), DeltaError> {
        if self.left > 0 {
            return Err(DeltaError::damaged("frames", "their end", format!("{} more bytes", self.left)));
        }
        Ok(())
    }
}

/// The new bytes of a bundle.
fn unpack(bundle: &Bundle, old: &Taken, frames: &mut Frames) -> Result<Vec<u8>, DeltaError> {
    let (prefix, starts) = prefix(old, &bundle.pieces)?;
    let (controls, runs, added, fresh) = match bundle.body {
        Body::Prefix(frame) => return frames.next(frame, &prefix, "bundle"),
        Body::Difference { controls, runs, added, fresh } => (
            frames.next(controls, &[], "controls of a bundle")?,
            frames.next(runs, &[], "runs of a bundle")?,
            frames.next(added, &[], "added bytes of a bundle")?,
            frames.next(fresh, &prefix, "fresh bytes of a bundle")?,
        ),
    };
    let mut reader = StreamReader::new(&controls, &runs, &added, &fresh);
    // The plan bounds the items of a bundle together.
    let mut bytes = Vec::new();
    for item in &bundle.items {
        let range = item.piece.and_then(|piece| starts.get(piece));
        let old = range.and_then(|(start, end)| prefix.get(*start..*end));
        reader.read(old, item.length, &mut bytes)?;
    }
    reader.check_end()?;
    Ok(bytes)
}

/// A delta and its base, unpacked: the new image's layers can be read.
#[derive(Debug)]
pub struct Expanded<'a> {
    delta: &'a Delta,
    base_layout: &'a Layout,
    base: &'a SingleImage,
    old: Taken,
    headers: Stored,
    fresh: Stored,
    contents: Places,
    interrupted: &'a AtomicBool,
}

/// A part of a tar stream.
#[derive(Debug, Clone, Copy)]
enum Segment {
    Header(u64, u64),
    Old(u64, u64),
    Fresh(u64, u64),
    Zeros(u64),
}

impl Segment {
    const fn length(self) -> u64 {
        match self {
            Self::Header(_, length) | Self::Old(_, length) | Self::Fresh(_, length) | Self::Zeros(length) => {
                length
            }
        }
    }
}

impl Expanded<'_> {
    /// The image whose layers these are.
    #[must_use]
    pub const fn target(&self) -> &SingleImage {
        &self.delta.target
    }

    /// The base's blob for a layer of the new image, when the base has the same blob.
    #[must_use]
    pub fn blob_of_base(&self, number: usize) -> Option<&oci::Descriptor> {
        let wanted = self.target().manifest.layers.get(number)?;
        self.base.manifest.layers.iter().find(|layer| layer.digest == wanted.digest)
    }

    /// Gives the tar stream of a layer (0 is the lowest) to `read`, and then checks all of it against the diff id:
    /// only when this function gives `Ok` are the bytes those of the image.
    ///
    /// # Errors
    /// What `read` gives, when bytes cannot be read, or when they are not those of the image.
    pub fn layer<T, E: From<DeltaError>>(
        &self,
        number: usize,
        read: impl FnOnce(&mut dyn Read) -> Result<T, E>,
    ) -> Result<T, E> {
        let expected = self.target().config.rootfs.diff_ids.get(number).copied();
        let expected =
            expected.ok_or_else(|| DeltaError::damaged("layers", "a layer of the image", number))?;
        let check = |stream: &mut dyn Read| -> Result<(Result<T, E>, Digest), DeltaError> {
            let mut hashing = Hashing { inner: stream, hasher: Hasher::new() };
            let result = read(&mut hashing);
            if result.is_ok() {
                let failed = DeltaError::io("read", &self.old.contents.directory);
                io::copy(&mut hashing, &mut io::sink()).map_err(failed)?;
            }
            Ok((result, hashing.hasher.finish()))
        };
        let (result, found) = match self.delta.plan.layers.get(number) {
            Some(PlanLayer::Same(index)) => {
                let layer = self.base.manifest.layers.get(*index as usize);
                let layer = layer.ok_or_else(|| DeltaError::damaged("plan", "a layer of the base", index))?;
                self.base_layout.layer(layer, self.interrupted, |stream| check(stream))?
            }
            _ => check(&mut Interruptible { inner: self.stream(number), interrupted: self.interrupted })?,
        };
        let value = result?;
        if found != expected {
            return Err(DeltaError::RebuiltOther { layer: number, expected, found }.into());
        }
        Ok(value)
    }

    fn stream(&self, number: usize) -> BufReader<Stream<'_>> {
        let own = |layer: &PlanLayer| match layer {
            PlanLayer::Rebuilt { members, tail, .. } => {
                members.iter().map(|member| member.header).sum::<u64>() + tail
            }
            PlanLayer::Same(_) => 0,
        };
        let mut header = self.delta.plan.layers.iter().take(number).map(own).sum();
        let (members, tail) = match self.delta.plan.layers.get(number) {
            Some(PlanLayer::Rebuilt { members, tail, .. }) => (members.as_slice(), *tail),
            _ => (&[][..], 0),
        };
        let end = Segment::Header(header + members.iter().map(|member| member.header).sum::<u64>(), tail);
        let segments = members.iter().flat_map(move |member| {
            let start = header;
            header += member.header;
            let content = match member.source {
                Source::Old(file) => self
                    .old
                    .members
                    .get(file as usize)
                    .map_or(Segment::Zeros(0), |member| Segment::Old(member.place, member.size)),
                Source::New(content) => {
                    let (place, size) = self.contents.get(content);
                    Segment::Fresh(place, size)
                }
            };
            [Segment::Header(start, member.header), content, Segment::Zeros(padding(content.length()))]
        });
        let segments = Box::new(segments.chain(std::iter::once(end)));
        let stream = Stream { expanded: self, segments, current: Segment::Zeros(0) };
        BufReader::with_capacity(BUFFER, stream)
    }
}

/// The tar stream of a rebuilt layer.
struct Stream<'a> {
    expanded: &'a Expanded<'a>,
    segments: Box<dyn Iterator<Item = Segment> + 'a>,
    current: Segment,
}

impl Stream<'_> {
    /// Reads from the current segment, which is not empty.
    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.current.length()).unwrap_or(usize::MAX).min(buffer.len());
        let part = buffer.get_mut(..room).unwrap_or_default();
        let (file, place) = match &mut self.current {
            Segment::Zeros(length) => {
                part.fill(0);
                *length -= room as u64;
                return Ok(room);
            }
            Segment::Header(place, length) => (&self.expanded.headers.file, (place, length)),
            Segment::Old(place, length) => (&self.expanded.old.contents.file, (place, length)),
            Segment::Fresh(place, length) => (&self.expanded.fresh.file, (place, length)),
        };
        file.read_exact_at(part, *place.0)?;
        *place.0 += room as u64;
        *place.1 -= room as u64;
        Ok(room)
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        // Many segments are short: one read is filled from as many as it takes.
        while filled < buffer.len() {
            if self.current.length() == 0 {
                match self.segments.next() {
                    Some(segment) => self.current = segment,
                    None => break,
                }
                continue;
            }
            filled += self.read_some(buffer.get_mut(filled..).unwrap_or_default())?;
        }
        Ok(filled)
    }
}

/// Hashes what is read through it.
struct Hashing<'a> {
    inner: &'a mut dyn Read,
    hasher: Hasher,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
