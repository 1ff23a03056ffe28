//! An image of the catalog into a registry: built, pushed, its tags moved.

use anyhow::{Context as _, Result};
use calypte_base::Digest;
use calypte_definition::ImageId;
use calypte_publish::{Move, Published, check, move_tag, push_index};
use calypte_store::Silent;
use calypte_store::registry::{Mount, Reference, Registry, RegistrySettings};
use serde::Serialize;

use crate::build::BuildRequest;
use crate::evidence::{Evidence, Facts};
use crate::factory::Factory;
use crate::hints::hinted;

/// Where images are published.
#[derive(Debug)]
pub struct Target {
    /// The registry, and the repositories' common beginning where they have one: `quay.io/team`, `localhost:5080`.
    pub prefix: String,
    /// How to reach it.
    pub settings: RegistrySettings,
    /// What is said of each image; none: it is only pushed.
    pub evidence: Option<Evidence>,
    /// Whether it lies over the same store, and so has every blob already.
    pub same_store: bool,
}

/// One published image.
#[derive(Debug, Clone, Serialize)]
pub struct PublishedImage {
    /// The image (`nginx-builder`).
    pub image: String,
    /// The repository with its registry.
    pub repository: String,
    /// Digest of the index, by which it can be pulled for ever.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<PublishedTag>,
    /// Statements about it that were signed and attached.
    pub statements: usize,
    /// What it took.
    #[serde(flatten)]
    pub published: Published,
}

/// One tag of a published image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedTag {
    /// The tag.
    pub tag: String,
    /// `new`, `kept` or `moved`.
    pub outcome: &'static str,
    /// What had it before, where that was another image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Digest>,
}

impl Target {
    /// The repository of a family.
    ///
    /// # Errors
    /// When the prefix makes no name of a repository.
    pub fn repository(&self, family: &str) -> Result<Reference> {
        let text = format!("{}/{family}", self.prefix.trim_end_matches('/'));
        text.parse().map_err(|error| {
            hinted(
                format!("{error}"),
                "write HOST[:PORT] or HOST[:PORT]/NAME, such as localhost:5080".to_owned(),
            )
        })
    }
}

impl Factory<'_> {
    /// Builds an image from its lock and publishes it under all its tags. What is there already is not sent again.
    ///
    /// # Errors
    /// When it cannot be built, the registry does not take it, or a tag would go back in time.
    pub fn publish(
        &self,
        image: &ImageId,
        universe: &str,
        target: &Target,
        facts: &Facts,
    ) -> Result<PublishedImage> {
        let request = BuildRequest {
            image: image.clone(),
            universe: universe.to_owned(),
            architectures: Vec::new(),
            layers: self.layer_options(),
        };
        let built = self.build(&request)?;
        let lock = self.current_lock(universe, &image.family)?;
        let tags = self.locked_tags(&lock, image)?.tags;
        let reference = target.repository(&image.family)?;
        let registry = Registry::for_push(&reference, target.settings.clone(), &[])?;
        self.settings.reporter.step(&format!("pushing {image} to {}/{}", reference.host, reference.name));
        let mount = if target.same_store { Mount::Anywhere } else { Mount::No };
        let context = || format!("{image} was not published");
        let published =
            push_index(&registry, self.store(), &built.index, mount, &Silent).with_context(context)?;
        let repository = format!("{}/{}", reference.host, reference.name);
        let attached = match &target.evidence {
            None => Vec::new(),
            Some(evidence) => self
                .attach_evidence((image, universe), &built.index, &registry, &repository, evidence, facts)
                .with_context(context)?,
        };
        // A tag says that all of it is there: whoever follows one finds it.
        check(&registry, &built.index, &attached).with_context(context)?;
        let mut moved = Vec::new();
        for tag in tags {
            self.stop_if_interrupted()?;
            let outcome = move_tag(&registry, self.store(), &built.digest, &tag).with_context(context)?;
            let (outcome, from) = match outcome {
                Move::Made => ("new", None),
                Move::Kept => ("kept", None),
                Move::Moved { from } => ("moved", Some(from)),
            };
            moved.push(PublishedTag { tag, outcome, from });
        }
        Ok(PublishedImage {
            image: image.to_string(),
            repository,
            digest: built.digest,
            tags: moved,
            statements: attached.len(),
            published,
        })
    }
}
