//! `calypte up`: lock what is not locked, build every image for every architecture, test, and lay the images out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use calypte_base::{Architecture, Digest, Epoch};
use calypte_definition::ImageId;
use calypte_image::{Index, Output};
use calypte_store::FetchError;
use serde::Serialize;

use crate::build::BuildRequest;
use crate::factory::Factory;
use crate::hints::hint;
use crate::tags;
use crate::testing::Probe;
use crate::testing::engine::NoEngine;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct UpRequest {
    /// The families.
    pub families: Vec<String>,
    /// The universe.
    pub universe: String,
    /// Where the layouts go, one directory each family.
    pub output: PathBuf,
    /// The architectures whose images are tested.
    pub test: Vec<Architecture>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct UpReport {
    /// The universe.
    pub universe: String,
    /// Whether a lock was made from an index past its Valid-Until.
    pub stale: bool,
    /// Where the layouts are.
    pub output: PathBuf,
    /// The images that there are now.
    pub images: Vec<UpImage>,
    /// What could not be done, in the order in which it was tried.
    pub failures: Vec<Failure>,
}

/// One image for one architecture.
#[derive(Debug, Clone, Serialize)]
pub struct UpImage {
    /// The image.
    pub image: String,
    /// For which machine.
    pub architecture: Architecture,
    /// How many packages are in it.
    pub packages: usize,
    /// Bytes to download.
    pub size: u64,
    /// Bytes of the layers as tar archives.
    pub unpacked_size: u64,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Tags under which the layout lists it.
    pub tags: Vec<String>,
    /// The reference under which engines find it.
    pub reference: String,
    /// What its tests came to.
    pub tests: Tests,
    /// Whether it has a program that starts by itself.
    #[serde(skip)]
    pub starts: bool,
}

/// What an image's tests came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tests {
    /// How many passed.
    pub passed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were not run: not asked for, or nothing here can run them.
    pub skipped: usize,
}

impl std::fmt::Display for Tests {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [(self.passed, "passed"), (self.failed, "FAILED"), (self.skipped, "skipped")];
        let told: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        formatter.write_str(if told.is_empty() { "none" } else { "" })?;
        formatter.write_str(&told.join(", "))
    }
}

/// Something that could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The image or family that it is about.
    pub image: String,
    /// What went wrong, with the cure.
    pub error: String,
}

impl UpReport {
    /// Whether everything was done and every test passed.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.failures.is_empty() && self.images.iter().all(|image| image.tests.failed == 0)
    }
}

impl Factory<'_> {
    /// Makes everything there is to make. One image's failure is reported and does not stop the others.
    ///
    /// # Errors
    /// Only when nothing at all can be done.
    pub fn up(&self, request: &UpRequest, probe: &Probe<'_>) -> Result<UpReport> {
        let mut report = UpReport {
            universe: request.universe.clone(),
            stale: false,
            output: request.output.clone(),
            images: Vec::new(),
            failures: Vec::new(),
        };
        let failed = self.lock_what_needs_it(request)?;
        report.failures.extend(failed.iter().map(|(family, error)| Failure::of(family, error)));
        fs_err::create_dir_all(&request.output)?;
        // Each image of a family that failed would wait for the same mirror and say the same once more; what is in the
        // store already is tried where no mirror is asked.
        let may_work = |family: &&String| self.settings.network.offline || !failed.contains_key(*family);
        for family in request.families.iter().filter(may_work) {
            for image in self.images.images_in(family, &request.universe) {
                self.stop_if_interrupted()?;
                if let Err(error) = self.one(request, &image, probe, &mut report) {
                    report.failures.push(Failure::of(&image.to_string(), &error));
                }
            }
        }
        Ok(report)
    }

    /// Locks each family whose lock is missing, out of date, or names a package that no mirror has any more.
    fn lock_what_needs_it(&self, request: &UpRequest) -> Result<BTreeMap<String, anyhow::Error>> {
        let (definition, _) = self.universe(&request.universe)?;
        let mut failed = BTreeMap::new();
        let mut outdated = Vec::new();
        for family in &request.families {
            match self.settings.catalog.read_lock(&request.universe, family)? {
                Some(lock) if self.lock_problem(&lock)?.is_none() => {
                    if let Err(error) = self.fetch(definition, lock.packages.values().flatten()) {
                        self.stop_if_interrupted()?;
                        // Only what no mirror has is a reason for other versions: a network that fails may be back.
                        if !error.downcast_ref::<FetchError>().is_some_and(FetchError::is_gone) {
                            failed.insert(family.clone(), error);
                            continue;
                        }
                        let text = format!(
                            "{family} is locked anew, since no mirror has a package of its lock any more: {error:#}"
                        );
                        self.settings.reporter.warn(&text);
                        outdated.push(family.clone());
                    }
                }
                _ => outdated.push(family.clone()),
            }
        }
        if outdated.is_empty() {
            return Ok(failed);
        }
        // All at once reads the universe once; if that fails, one by one, so that one family does not stop the others.
        if self.lock(&request.universe, &outdated).is_err() {
            for family in outdated {
                self.stop_if_interrupted()?;
                if let Err(error) = self.lock(&request.universe, std::slice::from_ref(&family)) {
                    failed.insert(family, error);
                }
            }
        }
        Ok(failed)
    }

    fn one(
        &self,
        request: &UpRequest,
        image: &ImageId,
        probe: &Probe<'_>,
        report: &mut UpReport,
    ) -> Result<()> {
        let build = BuildRequest {
            image: image.clone(),
            universe: request.universe.clone(),
            architectures: Vec::new(),
            layers: self.layer_options(),
        };
        let built = self.build(&build)?;
        report.stale |= built.stale;
        let date = built.images.iter().map(|image| image.created).max().unwrap_or_default();
        let tags = self.lay_out(image, &built.index, date, &request.output)?;
        let definition = self.images.image(image)?;
        let format = self.universe(&request.universe)?.0.format;
        let directory = request.output.join(&image.family);
        for made in &built.images {
            let mut tests = Tests::default();
            if request.test.contains(&made.architecture) {
                self.test_for_report(image, request, made.architecture, probe, &mut tests, report)?;
            } else {
                tests.skipped = definition.tests_of(format).count();
            }
            report.images.push(UpImage {
                image: image.to_string(),
                architecture: made.architecture,
                packages: made.packages,
                size: made.size,
                unpacked_size: made.unpacked_size,
                digest: made.digest,
                tags: tags.clone(),
                reference: format!("oci:{}:{}", directory.display(), tags.first().map_or("", String::as_str)),
                tests,
                starts: !definition.run.entrypoint.is_empty(),
            });
        }
        Ok(())
    }

    fn test_for_report(
        &self,
        image: &ImageId,
        request: &UpRequest,
        architecture: Architecture,
        probe: &Probe<'_>,
        tests: &mut Tests,
        report: &mut UpReport,
    ) -> Result<()> {
        match self.test_unless_passed(image, &request.universe, architecture, probe) {
            Ok(outcome) => {
                for test in &outcome.tests {
                    match &test.failure {
                        None if test.skipped.is_some() => tests.skipped += 1,
                        None => tests.passed += 1,
                        Some(why) => {
                            tests.failed += 1;
                            let image = format!("{image} for {architecture}, test `{}`", test.name);
                            report.failures.push(Failure { image, error: why.clone() });
                        }
                    }
                }
            }
            Err(error) if !error.is::<NoEngine>() => return Err(error),
            Err(error) => {
                let format = self.universe(&request.universe)?.0.format;
                tests.skipped = self.images.image(image)?.tests_of(format).count();
                self.settings
                    .reporter
                    .warn(&format!("the tests of {image} for {architecture} were not run: {error:#}"));
            }
        }
        Ok(())
    }

    /// Writes an image into the layout of its family below `output`, under each of its tags; gives the tags.
    ///
    /// # Errors
    /// When the layout cannot be written.
    pub(crate) fn lay_out(
        &self,
        image: &ImageId,
        index: &Index,
        date: Epoch,
        output: &Path,
    ) -> Result<Vec<String>> {
        let tags = self.tags(image, index, date)?;
        fs_err::create_dir_all(output)?;
        for tag in &tags {
            let directory = output.join(&image.family);
            Output::Oci { directory, tag: tag.clone() }.write(index, self.store())?;
        }
        Ok(tags)
    }

    /// The tags of an image: those of its definition, or the stream and variant where it has none that apply.
    fn tags(&self, image: &ImageId, index: &Index, date: Epoch) -> Result<Vec<String>> {
        let definition = self.images.image(image)?;
        let version = index
            .images()
            .first()
            .and_then(|image| image.annotations().get("org.opencontainers.image.version"));
        Ok(tags::expanded(definition, image, version.map(String::as_str), date))
    }
}

impl Failure {
    /// An error about an image, with its cure.
    #[must_use]
    pub fn of(image: &str, error: &anyhow::Error) -> Self {
        let cure = hint(error).map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        Self { image: image.to_owned(), error: format!("{error:#}{cure}") }
    }
}
