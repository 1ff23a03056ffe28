//! `calypte build --all`: every image that a universe has, for every architecture, over one store. Each package is
//! fetched and unpacked once, each layer and each segment compressed once, whatever number of images hold it; of an image
//! whose inputs are those of an earlier run, nothing is looked at but its lock and whether its blobs are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, Digest};
use calypte_definition::ImageId;
use calypte_image::{Image, Index, cache};
use calypte_resolve::Lock;
use serde::Serialize;

use super::{BuiltImage, Inputs, LayerOptions, schedule};
use crate::factory::Factory;
use crate::up::Failure;

/// What is to be built.
#[derive(Debug, Clone)]
pub struct BuildAllRequest {
    /// The universe.
    pub universe: String,
    /// The families; empty: all that the universe has.
    pub families: Vec<String>,
    /// For which machines; empty: all that the locks have.
    pub architectures: Vec<Architecture>,
    /// How layers are packed and compressed.
    pub layers: LayerOptions,
    /// Where the layouts go, one directory each family, as those of `calypte up`.
    pub output: Option<PathBuf>,
    /// Most images that are assembled at the same time: each holds its tree and a compressor in memory.
    pub at_once: usize,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct BuiltAll {
    /// The universe.
    pub universe: String,
    /// Whether a lock was made from an index past its Valid-Until.
    pub stale: bool,
    /// Where the layouts are.
    pub output: Option<PathBuf>,
    /// The images that there are now, by name and architecture.
    pub images: Vec<OneOfAll>,
    /// Bytes to download of all images, each for itself.
    pub size: u64,
    /// Bytes of their layers, each layer once.
    pub distinct_size: u64,
    /// The images that could not be built or written, and why.
    pub failures: Vec<Failure>,
}

/// One image for one architecture.
#[derive(Debug, Clone, Serialize)]
pub struct OneOfAll {
    /// The image (`nginx-builder`).
    pub image: String,
    /// The rest.
    #[serde(flatten)]
    pub built: BuiltImage,
    /// Whether anything had to be done.
    pub state: State,
}

/// Whether an image had to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It was assembled in this run.
    Built,
    /// What it is made from is what it was in an earlier run.
    Unchanged,
}

impl State {
    /// As it is shown.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Unchanged => "unchanged",
        }
    }
}

/// One image for one architecture, as it is worked on.
struct Task<'a> {
    inputs: Inputs<'a>,
    key: Digest,
    /// The image, and whether it was made now; `None` when that failed.
    image: Option<(Image, State)>,
}

/// What an image makes that other images may hold too: a package unpacked, and its segment with these slices.
type Claim<'a> = (&'a Digest, Option<&'a BTreeSet<String>>);

impl Factory<'_> {
    /// Builds everything that the locks of a universe have. One image's failure is reported and does not stop the others.
    ///
    /// # Errors
    /// Only when nothing at all can be done, or the user wants it to stop.
    pub fn build_all(&self, request: &BuildAllRequest) -> Result<BuiltAll> {
        let mut report = BuiltAll {
            universe: request.universe.clone(),
            stale: false,
            output: request.output.clone(),
            images: Vec::new(),
            size: 0,
            distinct_size: 0,
            failures: Vec::new(),
        };
        let locks = self.locks(request, &mut report)?;
        let mut tasks = Vec::new();
        for lock in &locks {
            for image in self.images.images_in(&lock.family, &request.universe) {
                let name = image.to_string();
                match self.tasks(request, lock, &image) {
                    Ok(of_image) => tasks.extend(of_image),
                    Err(error) => report.failures.push(Failure::of(&name, &error)),
                }
            }
        }
        self.make_missing(request, &mut tasks, &mut report)?;
        self.gather(request, tasks, &mut report)?;
        Ok(report)
    }

    /// The same for all families of a universe, packed as this run's settings say, and laid out nowhere.
    ///
    /// # Errors
    /// As [`Self::build_all`].
    pub fn build_everything(
        &self,
        universe: &str,
        architectures: &[Architecture],
        at_once: usize,
    ) -> Result<BuiltAll> {
        self.build_all(&BuildAllRequest {
            universe: universe.to_owned(),
            families: Vec::new(),
            architectures: architectures.to_vec(),
            layers: self.layer_options(),
            output: None,
            at_once,
        })
    }

    /// The locks of all families; the images of a family without a usable one are failures.
    fn locks(&self, request: &BuildAllRequest, report: &mut BuiltAll) -> Result<Vec<Lock>> {
        let mut locks = Vec::new();
        for family in self.families(&request.families, &request.universe)? {
            match self.current_lock(&request.universe, &family) {
                Ok(lock) => {
                    report.stale |= self.warn_if_stale(&lock);
                    locks.push(lock);
                }
                Err(error) => {
                    let images = self.images.images_in(&family, &request.universe);
                    report
                        .failures
                        .extend(images.iter().map(|image| Failure::of(&image.to_string(), &error)));
                }
            }
        }
        Ok(locks)
    }

    /// What is to be done for an image; what an earlier run did is found here.
    fn tasks<'l>(
        &'l self,
        request: &BuildAllRequest,
        lock: &'l Lock,
        image: &ImageId,
    ) -> Result<Vec<Task<'l>>> {
        let architectures = match request.architectures.as_slice() {
            [] => lock.packages.keys().copied().collect(),
            some => some.to_vec(),
        };
        let task = |architecture| {
            let inputs = self.inputs(lock, image, architecture)?;
            let key = self.key(&inputs, &request.layers)?;
            let image = cache::get(self.store(), &key).map(|image| (image, State::Unchanged));
            Ok(Task { inputs, key, image })
        };
        architectures.into_iter().map(task).collect()
    }

    /// Makes the images that no earlier run has made.
    fn make_missing(
        &self,
        request: &BuildAllRequest,
        tasks: &mut [Task<'_>],
        report: &mut BuiltAll,
    ) -> Result<()> {
        let mut missing: Vec<&mut Task<'_>> = tasks.iter_mut().filter(|task| task.image.is_none()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let packages = missing.iter().flat_map(|task| task.inputs.packages.iter().copied());
        // All at once keeps the line busy. What cannot be had is said by the image that wants it, which tries again.
        let fetched = self.fetch(&self.universe(&request.universe)?.0, packages);
        self.stop_if_interrupted()?;
        drop(fetched);
        let claims: Vec<BTreeSet<Claim<'_>>> = missing.iter().map(|task| claims(&task.inputs)).collect();
        let made = schedule::run(&claims, request.at_once, |number| {
            let task = missing.get(number).context("no such image")?;
            self.stop_if_interrupted()?;
            self.make(&task.inputs, &request.layers, &task.key)
        });
        self.stop_if_interrupted()?;
        for (task, made) in missing.iter_mut().zip(made) {
            match made {
                Ok(image) => task.image = Some((image, State::Built)),
                Err(error) => {
                    let name = format!("{} for {}", task.inputs.definition.id, task.inputs.architecture);
                    report.failures.push(Failure::of(&name, &error));
                }
            }
        }
        Ok(())
    }

    /// Lists what there is, and writes each image that there is for all the architectures.
    fn gather(&self, request: &BuildAllRequest, tasks: Vec<Task<'_>>, report: &mut BuiltAll) -> Result<()> {
        let mut layers = BTreeMap::new();
        let mut by_image: BTreeMap<&ImageId, Vec<Task<'_>>> = BTreeMap::new();
        for task in tasks {
            by_image.entry(&task.inputs.definition.id).or_default().push(task);
        }
        for (id, tasks) in by_image {
            self.stop_if_interrupted()?;
            let count = tasks.len();
            let date = tasks.iter().map(|task| task.inputs.epoch).max().unwrap_or_default();
            let mut images = Vec::new();
            for Task { inputs, image, .. } in tasks {
                let Some((image, state)) = image else { continue };
                let built = BuiltImage::of(&image, &inputs);
                layers.extend(image.layers().as_slice().iter().map(|layer| (layer.digest, layer.size)));
                report.size += built.size;
                report.images.push(OneOfAll { image: id.to_string(), built, state });
                images.push(image);
            }
            if let Some(output) = request.output.as_ref().filter(|_| images.len() == count) {
                let index = Index::new(images, self.store()).map_err(anyhow::Error::from);
                if let Err(error) = index.and_then(|index| self.lay_out(id, &index, date, output)) {
                    report.failures.push(Failure::of(&id.to_string(), &error));
                }
            }
        }
        report.distinct_size = layers.values().sum();
        Ok(())
    }
}

fn claims<'a>(inputs: &Inputs<'a>) -> BTreeSet<Claim<'a>> {
    let slices = &inputs.definition.slices;
    let packages = inputs.packages.iter();
    packages.flat_map(|package| [(&package.sha256, None), (&package.sha256, Some(slices))]).collect()
}
