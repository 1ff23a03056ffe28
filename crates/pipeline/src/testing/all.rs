//! `calypte test --all`: every image of a universe built, and its tests run in an engine: those for this machine's
//! architecture all, and of emulated ones, which are ten times slower, as many as are asked for. What is not run is
//! counted with its reason.

use std::collections::BTreeSet;

use anyhow::Result;
use calypte_base::Architecture;
use calypte_definition::{DEFAULT_VARIANT, ImageId};
use serde::Serialize;

use super::engine::NoEngine;
use super::{EngineKind, Probe, TestReport};
use crate::build::schedule;
use crate::factory::Factory;
use crate::up::Failure;

/// What is to be tested.
#[derive(Debug, Clone)]
pub struct TestAllRequest {
    /// The universe.
    pub universe: String,
    /// For which machines.
    pub architectures: Vec<Architecture>,
    /// The architecture that needs no emulation.
    pub native: Architecture,
    /// Of the images for other machines, run the default variants of one family in this many; the others are built, with
    /// all the checks on their trees, and looked into.
    pub emulate_one_in: usize,
    /// The engine; the first that works if none is named.
    pub engine: Option<EngineKind>,
    /// Most images that are assembled at the same time.
    pub built_at_once: usize,
    /// Most images whose containers run at the same time.
    pub tested_at_once: usize,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct TestedAll {
    /// The universe.
    pub universe: String,
    /// The images, in the order of the catalog, with their tests.
    pub images: Vec<TestReport>,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that were not run, each with its reason.
    pub skipped: usize,
    /// The images that could not be built or taken into an engine.
    pub failures: Vec<Failure>,
}

impl TestedAll {
    /// Whether every image was built and no test failed.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.failed == 0 && self.failures.is_empty()
    }
}

impl Factory<'_> {
    /// Builds and tests everything. One image's failure is reported and does not stop the others.
    ///
    /// # Errors
    /// Only when nothing at all can be done, or the user wants it to stop.
    pub fn test_all(&self, request: &TestAllRequest, probe: &Probe<'_>) -> Result<TestedAll> {
        let built =
            self.build_everything(&request.universe, &request.architectures, request.built_at_once)?;
        let mut all = TestedAll {
            universe: request.universe.clone(),
            images: Vec::new(),
            passed: 0,
            failed: 0,
            skipped: 0,
            failures: built.failures,
        };
        let names: BTreeSet<(String, Architecture)> =
            built.images.into_iter().map(|image| (image.image, image.built.architecture)).collect();
        let mut images = Vec::new();
        for (number, family) in self.families(&[], &request.universe)?.iter().enumerate() {
            for image in self.images.images_in(family, &request.universe) {
                for architecture in &request.architectures {
                    if names.contains(&(image.to_string(), *architecture)) {
                        images.push((
                            image.clone(),
                            *architecture,
                            request.why_not(number, &image, *architecture),
                        ));
                    }
                }
            }
        }
        let no_claims: Vec<BTreeSet<()>> = vec![BTreeSet::new(); images.len()];
        let outcomes = schedule::run(&no_claims, request.tested_at_once, |number| {
            let Some((image, architecture, why_not)) = images.get(number) else {
                anyhow::bail!("no such image")
            };
            self.stop_if_interrupted()?;
            self.test_or_skip(request, image, *architecture, why_not.as_deref(), probe)
        });
        self.stop_if_interrupted()?;
        for ((image, architecture, _), outcome) in images.iter().zip(outcomes) {
            match outcome {
                Ok(report) => all.add(report),
                Err(error) => all.failures.push(Failure::of(&format!("{image} for {architecture}"), &error)),
            }
        }
        Ok(all)
    }

    fn test_or_skip(
        &self,
        request: &TestAllRequest,
        image: &ImageId,
        architecture: Architecture,
        why_not: Option<&str>,
        probe: &Probe<'_>,
    ) -> Result<TestReport> {
        let tested = |why: Option<&str>| {
            self.test_except(image, &request.universe, architecture, request.engine, why, probe)
        };
        match tested(why_not) {
            Err(error) if error.is::<NoEngine>() => tested(Some(&format!("{error:#}"))),
            other => other,
        }
    }
}

impl TestAllRequest {
    /// Why the containers of an image are not run.
    fn why_not(&self, family: usize, image: &ImageId, architecture: Architecture) -> Option<String> {
        let is_in_sample =
            family.is_multiple_of(self.emulate_one_in.max(1)) && image.variant == DEFAULT_VARIANT;
        let runs = architecture == self.native || self.emulate_one_in == 1 || is_in_sample;
        (!runs).then(|| {
            format!(
                "emulated for the default variants of one family in {} (--emulate-one-in)",
                self.emulate_one_in
            )
        })
    }
}

impl TestedAll {
    fn add(&mut self, report: TestReport) {
        for test in &report.tests {
            match (&test.failure, &test.skipped) {
                (Some(_), _) => self.failed += 1,
                (None, Some(_)) => self.skipped += 1,
                (None, None) => self.passed += 1,
            }
        }
        self.images.push(report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emulated() {
        let mut request = TestAllRequest {
            universe: "u".into(),
            architectures: Vec::new(),
            native: Architecture::Amd64,
            emulate_one_in: 3,
            engine: None,
            built_at_once: 1,
            tested_at_once: 1,
        };
        let id = |variant: &str| ImageId { family: "f".into(), stream: None, variant: variant.into() };
        let runs = |request: &TestAllRequest, family, variant, architecture| {
            request.why_not(family, &id(variant), architecture).is_none()
        };
        for (family, variant, architecture, expected) in [
            (0, "default", Architecture::Arm64, true),
            (0, "builder", Architecture::Arm64, false),
            (1, "default", Architecture::Arm64, false),
            (3, "default", Architecture::Arm64, true),
            (1, "builder", Architecture::Amd64, true),
        ] {
            assert_eq!(runs(&request, family, variant, architecture), expected, "{family} {variant}");
        }
        request.emulate_one_in = 1;
        assert!(runs(&request, 1, "builder", Architecture::Arm64));
    }
}
