//! Two images → a delta.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use calypte_base::{Digest, Hasher};
use calypte_formats::oci;
use serde::Serialize;

use crate::bundle::{Draft, NewContent, Packed, draft};
use crate::error::DeltaError;
use crate::frame;
use crate::interrupt;
use crate::layout::{Layout, SingleImage};
use crate::limits::{LARGEST_BUNDLE, LARGEST_PLAN, MOST_FRAMES};
use crate::matching::{Matcher, name};
use crate::plan::{BaseShape, Frame, HeaderFrame, Plan, PlanLayer, PlanMember, Source};
use crate::spool::{Spool, Stored, Taken, is_whole_blocks};

/// Bytes of headers in one frame; as much again on either side of what corresponds in the base is its prefix.
const HEADER_PART: u64 = 16 * 1024 * 1024;

/// How a delta is made. Nothing here but `threads` may differ for two deltas to be the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bundles that are compressed at the same time. Each takes some 600 MiB of memory.
    pub threads: usize,
    /// Most new bytes in a bundle; never more than [`crate::limits::LARGEST_BUNDLE`].
    pub bundle: u64,
    /// Bundles with at most so many new bytes are also tried as one frame with the old bytes as its prefix; the
    /// smaller form is kept. For programs it never is, and it takes ten times as long.
    pub prefix_up_to: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threads: 1, bundle: LARGEST_BUNDLE, prefix_up_to: 8 * 1024 * 1024 }
    }
}

/// A finished delta, not yet written to a layout.
#[derive(Debug)]
pub struct Created {
    /// The image that it leads to.
    pub target: oci::Descriptor,
    /// The image that it is against: digest of its manifest.
    pub base: Digest,
    /// The compressed plan.
    pub plan: Vec<u8>,
    pub(crate) frames: Stored,
    pub(crate) frames_digest: Digest,
    pub(crate) frames_size: u64,
    /// What is in it.
    pub summary: Summary,
}

/// Kinds of files that are told apart in a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Kernel modules.
    Modules,
    /// The kernel and what lies beside it in `/boot` or among the modules.
    Kernel,
    /// What is compressed in the image (`.gz`, `.xz`, `.bz2`, `.zst`).
    Compressed,
    /// All else.
    Other,
}

impl Class {
    fn of(path: &[u8]) -> Self {
        let name = name(path);
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending.as_bytes()));
        if ends(&[".ko", ".ko.xz", ".ko.zst", ".ko.gz"]) {
            Self::Modules
        } else if name.starts_with(b"vmlinuz")
            || name.starts_with(b"initrd")
            || name.starts_with(b"System.map")
        {
            Self::Kernel
        } else if ends(&[".gz", ".xz", ".bz2", ".zst"]) {
            Self::Compressed
        } else {
            Self::Other
        }
    }

    /// As it is called in a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Modules => "modules",
            Self::Kernel => "kernel",
            Self::Compressed => "compressed",
            Self::Other => "other",
        }
    }
}

/// What a delta holds. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// `linux/amd64`.
    pub platform: String,
    /// Layers that the base has too.
    pub layers_unchanged: usize,
    /// Layers that are rebuilt.
    pub layers_rebuilt: usize,
    /// Different contents in the rebuilt layers that the base has too.
    pub contents_unchanged: usize,
    /// Their bytes.
    pub bytes_unchanged: u64,
    /// What the base lacks, by class.
    pub classes: Vec<ClassSummary>,
    /// Headers of the rebuilt layers, in the delta.
    pub headers: u64,
    /// The plan, in the delta.
    pub plan: u64,
    /// The delta: plan and frames.
    pub delta: u64,
    /// What would be downloaded without it: the layers that the base does not have as they are.
    pub layers: u64,
}

/// The contents of one class that the base lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassSummary {
    /// The class.
    pub class: Class,
    /// Contents that are written as what is different from an old one.
    pub patched: usize,
    /// Contents for which no old one was found.
    pub new: usize,
    /// Bytes of both.
    pub bytes: u64,
    /// What they take in the delta.
    pub packed: u64,
}

/// Makes the delta from one image to another. Files without a name in `directory` take as much room as what both
/// images' layers hold; `progress` hears what is being done; the work ends soon once `interrupted` is set.
///
/// # Errors
/// When an image cannot be read, is no image that can be rebuilt, or is larger than the format allows; or when the work
/// was interrupted.
pub fn create(
    old: (&Layout, &SingleImage),
    new: (&Layout, &SingleImage),
    settings: &Settings,
    directory: &Path,
    interrupted: &AtomicBool,
    progress: &dyn Fn(&str),
) -> Result<Created, DeltaError> {
    interrupt::verdict(compare(old, new, settings, directory, interrupted, progress), interrupted)
}

fn compare(
    (old_layout, old): (&Layout, &SingleImage),
    (new_layout, new): (&Layout, &SingleImage),
    settings: &Settings,
    directory: &Path,
    interrupted: &AtomicBool,
    progress: &dyn Fn(&str),
) -> Result<Created, DeltaError> {
    progress(&format!("reading the old image for {}", old.platform()));
    let old_taken = take_apart(old_layout, old, directory, true, interrupted, &|_| true)?;
    let known: BTreeSet<Digest> = old.config.rootfs.diff_ids.iter().copied().collect();
    progress(&format!("reading the new image for {}", new.platform()));
    let wanted = |diff_id| !known.contains(&diff_id);
    let new_taken = take_apart(new_layout, new, directory, true, interrupted, &wanted)?;
    let mut work = Work {
        old: &old_taken,
        new: &new_taken,
        settings,
        interrupted,
        frames: Stored::new(directory)?,
        hasher: Hasher::new(),
        size: 0,
        summary: Summary { platform: new.platform(), ..Summary::default() },
    };
    let headers = work.headers()?;
    let (bundles, numbers) = work.contents(progress)?;
    let base = BaseShape {
        diff_ids: old.config.rootfs.diff_ids.clone(),
        files: old_taken.members.len() as u64,
        header_bytes: old_taken.headers.len() as u64,
    };
    let layers = layers(old, new, &old_taken, &new_taken, &numbers);
    let (manifest, config) = (new.manifest_bytes.clone(), new.config_bytes.clone());
    let plan = Plan { manifest, config, base, headers, bundles, layers }.encode();
    if plan.len() as u64 > LARGEST_PLAN {
        return Err(DeltaError::TooMuch { what: "bytes in a plan", limit: LARGEST_PLAN });
    }
    let plan = frame::compress(&[], &plan)?;
    let Work { frames, hasher, size, mut summary, .. } = work;
    let same = |layer: &&oci::Descriptor| old.manifest.layers.iter().all(|old| old.digest != layer.digest);
    summary.layers = new.manifest.layers.iter().filter(same).map(|layer| layer.size).sum();
    summary.layers_rebuilt = new_taken.layers.len();
    summary.layers_unchanged = new.manifest.layers.len() - new_taken.layers.len();
    summary.plan = plan.len() as u64;
    summary.delta = summary.plan + size;
    Ok(Created {
        target: new.descriptor.clone(),
        base: old.descriptor.digest,
        plan,
        frames,
        frames_digest: hasher.finish(),
        frames_size: size,
        summary,
    })
}

/// Takes the layers with a wanted diff id apart, each diff id once per layer.
pub(crate) fn take_apart(
    layout: &Layout,
    image: &SingleImage,
    directory: &Path,
    with_digests: bool,
    interrupted: &AtomicBool,
    wanted: &dyn Fn(Digest) -> bool,
) -> Result<Taken, DeltaError> {
    let mut spool = Spool::new(directory, with_digests)?;
    for (layer, expected) in image.layers().filter(|(_, diff_id)| wanted(*diff_id)) {
        let (path, digest) = (layout.path().to_owned(), layer.digest);
        match layout.layer(layer, interrupted, |archive| spool.add(archive))? {
            Err(source) => return Err(DeltaError::Layer { path, digest, source }),
            Ok(found) if found != expected => {
                return Err(DeltaError::DiffId { path, digest, expected, found });
            }
            Ok(_) => {}
        }
    }
    spool.finish()
}

struct Work<'a> {
    old: &'a Taken,
    new: &'a Taken,
    settings: &'a Settings,
    interrupted: &'a AtomicBool,
    frames: Stored,
    hasher: Hasher,
    size: u64,
    summary: Summary,
}

impl Work<'_> {
    fn write(&mut self, frame: &[u8]) -> Result<(), DeltaError> {
        self.hasher.update(frame);
        self.size += frame.len() as u64;
        self.frames.write(frame)
    }

    /// The literal bytes, cut into parts, each against what stands at the same place in the base and around it.
    fn headers(&mut self) -> Result<Vec<HeaderFrame>, DeltaError> {
        if !is_whole_blocks(self.new) {
            return Err(DeltaError::Compress {
                reason: "a layer does not end with a whole block".to_owned(),
            });
        }
        let (old, new) = (&self.old.headers, &self.new.headers);
        let mut frames = Vec::new();
        for (number, part) in new.chunks(HEADER_PART as usize).enumerate() {
            interrupt::check(self.interrupted)?;
            let start = number as u64 * HEADER_PART;
            let scale = |place: u64| place * old.len() as u64 / new.len().max(1) as u64;
            let from = scale(start).saturating_sub(HEADER_PART);
            let to = scale(start + part.len() as u64).saturating_add(HEADER_PART).min(old.len() as u64);
            let length = (to - from).min(3 * HEADER_PART);
            let prefix = old.get(from as usize..(from + length) as usize).unwrap_or_default();
            let packed = frame::compress(prefix, part)?;
            let frame = Frame { packed: packed.len() as u64, size: part.len() as u64 };
            frames.push((HeaderFrame { prefix_start: from, prefix_length: length, frame }, packed));
        }
        let mut headers = Vec::new();
        for (header, packed) in frames {
            self.write(&packed)?;
            headers.push(header);
        }
        self.summary.headers = self.size;
        Ok(headers)
    }

    /// The contents that the base lacks; their numbers by digest.
    fn contents(
        &mut self,
        progress: &dyn Fn(&str),
    ) -> Result<(Vec<crate::plan::Bundle>, BTreeMap<Digest, u64>), DeltaError> {
        let contents = new_contents(self.old, self.new, self.interrupted, &mut self.summary)?;
        let drafts = draft(&contents, self.settings);
        if drafts.len() > MOST_FRAMES {
            return Err(DeltaError::TooMuch { what: "bundles", limit: MOST_FRAMES as u64 });
        }
        let numbered = contents.iter().zip(0_u64..);
        let numbers =
            numbered.filter_map(|(content, number)| Some((content.member.digest?, number))).collect();
        let mut packed_by_class: BTreeMap<Class, u64> = BTreeMap::new();
        let mut bundles = Vec::new();
        for batch in drafts.chunks(self.settings.threads.max(1)) {
            progress(&format!(
                "comparing contents, bundle {} of {}",
                bundles.len() + batch.len(),
                drafts.len()
            ));
            for (draft, packed) in batch.iter().zip(self.pack(batch)) {
                let Packed { bundle, frames } = packed?;
                for frame in &frames {
                    self.write(frame)?;
                    *packed_by_class.entry(draft.class).or_default() += frame.len() as u64;
                }
                bundles.push(bundle);
            }
        }
        self.summary.classes = classes(&contents, &packed_by_class);
        Ok((bundles, numbers))
    }

    /// Packs each on a thread of its own; they come in their order.
    fn pack(&self, drafts: &[Draft]) -> Vec<Result<Packed, DeltaError>> {
        let (old, new, settings, interrupted) = (self.old, self.new, self.settings, self.interrupted);
        std::thread::scope(|scope| {
            let pack = |draft| scope.spawn(move || Draft::pack(draft, old, new, settings, interrupted));
            let threads: Vec<_> = drafts.iter().map(pack).collect();
            let died = |_| Err(DeltaError::Compress { reason: "a thread ended early".to_owned() });
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(died)).collect()
        })
    }
}

/// What the base lacks, each content once, what is alike standing together; and how much of the rest there is.
fn new_contents<'a>(
    old: &'a Taken,
    new: &'a Taken,
    interrupted: &AtomicBool,
    summary: &mut Summary,
) -> Result<Vec<NewContent<'a>>, DeltaError> {
    let known: BTreeSet<Digest> = old.members.iter().filter_map(|member| member.digest).collect();
    let mut seen = BTreeSet::new();
    let mut lacking = Vec::new();
    for member in &new.members {
        let Some(digest) = member.digest.filter(|digest| seen.insert(*digest)) else { continue };
        if known.contains(&digest) {
            summary.contents_unchanged += 1;
            summary.bytes_unchanged += member.size;
        } else {
            lacking.push(member);
        }
    }
    let chosen = Matcher::new(old).choose(new, &lacking, interrupted)?;
    let mut contents: Vec<NewContent<'a>> = lacking
        .into_iter()
        .zip(chosen)
        .map(|(member, number)| {
            let old = number.and_then(|number| Some((number, old.members.get(number)?)));
            NewContent { member, old, class: Class::of(&member.path) }
        })
        .collect();
    let ending = |path: &'a [u8]| name(path).rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    contents.sort_by_key(|content| (content.class, ending(&content.member.path), &content.member.path));
    Ok(contents)
}

fn classes(contents: &[NewContent<'_>], packed: &BTreeMap<Class, u64>) -> Vec<ClassSummary> {
    let mut classes: BTreeMap<Class, ClassSummary> = BTreeMap::new();
    for content in contents {
        let class = content.class;
        let packed = packed.get(&class).copied().unwrap_or(0);
        let summary =
            classes.entry(class).or_insert(ClassSummary { class, patched: 0, new: 0, bytes: 0, packed });
        summary.bytes += content.member.size;
        let count = if content.old.is_some() { &mut summary.patched } else { &mut summary.new };
        *count += 1;
    }
    classes.into_values().collect()
}

/// How each layer of the new image is put together.
fn layers(
    old: &SingleImage,
    new: &SingleImage,
    old_taken: &Taken,
    new_taken: &Taken,
    numbers: &BTreeMap<Digest, u64>,
) -> Vec<PlanLayer> {
    let mut old_numbers: BTreeMap<Digest, Vec<u64>> = BTreeMap::new();
    for (member, number) in old_taken.members.iter().zip(0..) {
        if let Some(digest) = member.digest {
            old_numbers.entry(digest).or_default().push(number);
        }
    }
    let (mut spooled, mut start) = (new_taken.layers.iter(), 0);
    let mut layers = Vec::new();
    for diff_id in &new.config.rootfs.diff_ids {
        let same = old.config.rootfs.diff_ids.iter().position(|old| old == diff_id);
        if let Some(index) = same {
            layers.push(PlanLayer::Same(index as u64));
            continue;
        }
        let Some(layer) = spooled.next() else { break };
        let own = new_taken.members.get(start..layer.end).unwrap_or_default();
        start = layer.end;
        let mut expected = 0;
        let member = |member: &crate::spool::Member| {
            let digest = member.digest?;
            let source = match (old_numbers.get(&digest), numbers.get(&digest)) {
                (Some(same), _) => {
                    // The one after the last named costs nothing to name.
                    let next = same.binary_search(&expected).ok().and_then(|place| same.get(place));
                    let number = *next.or_else(|| same.first())?;
                    expected = number + 1;
                    Source::Old(number)
                }
                (None, number) => Source::New(*number?),
            };
            Some(PlanMember { header: member.header, source })
        };
        let members = own.iter().filter_map(member).collect();
        layers.push(PlanLayer::Rebuilt { size: layer.size, members, tail: layer.tail });
    }
    layers
}
