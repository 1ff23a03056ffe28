//! Runs a definition's tests on the built image, in whichever container engine the machine has.

pub mod all;
mod bundle;
pub mod engine;
mod extract;
mod podman;
pub mod probe;
pub mod process;
pub mod runner;

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use calypte_base::Architecture;
use calypte_definition::ImageId;
use calypte_definition::test::Test;
use calypte_image::Output;
use serde::{Deserialize, Serialize};

pub use engine::{EngineKind, ImageUnderTest};
pub use runner::{Probe, TestOutcome};

use crate::build::BuildRequest;
use crate::factory::Factory;

/// With what the reason begins why a test was not run on a machine of another kind, where its definition says so.
pub const NOT_EMULATED: &str = "cannot be emulated: ";

/// The kind of the store's cache under which reports of passed tests are kept.
const PASSED: &str = "passed-tests";

/// Whether this machine's processor runs the architecture's programs itself.
fn is_native(architecture: Architecture) -> bool {
    architecture.rpm() == std::env::consts::ARCH
}

/// A name that no other test run on this machine uses at the same time.
fn unique_tag() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("localhost/calypte-test:{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What an image's tests came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// The image.
    pub image: String,
    /// The universe.
    pub universe: String,
    /// For which machine.
    pub architecture: Architecture,
    /// What ran it, with its version; `None` when no test needed a container.
    pub engine: Option<String>,
    /// The tests, in the order of the definition.
    pub tests: Vec<TestOutcome>,
}

impl TestReport {
    /// Whether every test passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.tests.iter().all(|test| test.failure.is_none())
    }
}

impl Factory<'_> {
    /// Builds an image and runs its tests in an engine, or in the first that can run it.
    ///
    /// # Errors
    /// When the image cannot be built, or no engine can run it. A failed test is no error.
    pub fn test(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
        wanted: Option<EngineKind>,
        probe: &Probe<'_>,
    ) -> Result<TestReport> {
        self.test_except(image, universe, architecture, wanted, None, probe)
    }

    /// As [`Factory::test`], unless all tests of the very image passed before: then that report is given again. Tests are
    /// part of what an image is made from.
    ///
    /// # Errors
    /// As [`Factory::test`].
    pub fn test_unless_passed(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
        probe: &Probe<'_>,
    ) -> Result<TestReport> {
        let lock = self.lock_of(universe, &image.family)?;
        let key = self.build_key(&lock, image, architecture)?;
        let kept = self.store().cache_get(PASSED, &key);
        if let Some(report) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok(report);
        }
        let report = self.test(image, universe, architecture, None, probe)?;
        if report.passed() {
            self.store().cache_put(PASSED, &key, &serde_json::to_vec(&report)?)?;
        }
        Ok(report)
    }

    /// As [`Factory::test`]; the tests that need containers are skipped if there is a reason for it.
    pub(crate) fn test_except(
        &self,
        image: &ImageId,
        universe: &str,
        architecture: Architecture,
        wanted: Option<EngineKind>,
        why_no_containers: Option<&str>,
        probe: &Probe<'_>,
    ) -> Result<TestReport> {
        let request = BuildRequest {
            image: image.clone(),
            universe: universe.to_owned(),
            architectures: vec![architecture],
            layers: self.layer_options(),
        };
        let built = self.build(&request)?;
        let definition = self.images.image(image)?;
        let format = self.universe(universe)?.0.format;
        let rootfs = self.rootfs(image, universe, architecture)?;
        let scratch = tempfile::Builder::new().prefix("calypte-test-").tempdir()?;
        let archive = scratch.path().join("image.tar");
        let tag = unique_tag();
        Output::OciArchive { file: archive.clone(), tag: tag.clone() }.write(&built.index, self.store())?;
        let under_test =
            ImageUnderTest { archive: &archive, tag: &tag, architecture, definition, rootfs: &rootfs };
        self.settings.reporter.step(&format!("testing {image} for {architecture}"));
        let engine = if why_no_containers.is_none() && definition.tests_of(format).any(Test::needs_container)
        {
            Some(engine::open(&under_test, wanted, scratch.path())?)
        } else {
            None
        };
        let mut tests = Vec::new();
        for (number, test) in definition.tests_of(format).enumerate() {
            self.stop_if_interrupted()?;
            if let Some(why) = why_no_containers.filter(|_| test.needs_container()) {
                tests.push(TestOutcome::skipped(test, why));
                continue;
            }
            if let Some(why) = test.sandbox.native.as_deref().filter(|_| !is_native(architecture)) {
                tests.push(TestOutcome::skipped(test, &format!("{NOT_EMULATED}{why}")));
                continue;
            }
            let directory = scratch.path().join(format!("test-{number}"));
            fs_err::create_dir(&directory)?;
            tests.push(runner::run_test(test, &under_test, engine.as_deref(), probe, &directory));
        }
        Ok(TestReport {
            image: image.to_string(),
            universe: universe.to_owned(),
            architecture,
            engine: engine.map(|engine| engine.name().to_owned()),
            tests,
        })
    }
}
