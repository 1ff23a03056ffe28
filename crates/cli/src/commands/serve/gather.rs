//! What the factory knows of the images in the registry, for the site: families as the catalog defines them, bills of
//! materials, findings, statements. Gathered beside serving, again where the registry or the advisories changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use calypte_advisory::database::Database;
use calypte_advisory::matching::FeedAge;
use calypte_base::{Architecture, Digest, Epoch};
use calypte_catalog::registry::{Key, Registry};
use calypte_catalog::site::{DayCount, Family, Given, Kind, Known, Scan, Security, Source, Stream};
use calypte_definition::{Catalog, ImageId};
use calypte_formats::oci::Index;
use calypte_pipeline::scan::{Knowledge, scan};
use calypte_pipeline::vex::{Publisher, decide};
use calypte_pipeline::{Factory, Reporter};
use calypte_sbom::write::{Tool, cyclonedx16, spdx23};
use calypte_store::Progress;

use super::refresh::{self, Stamp};
use crate::session::Session;

/// How often it is asked whether something changed.
const PAUSE: Duration = Duration::from_secs(2);

/// After how long all is gathered again, since days go by and feeds grow old.
const SOON: i64 = 3600;

/// Where the counts of days are kept, beside the registry's token.
const HISTORY: &str = "flaws-by-day.json";

/// How long it is said that whom to tell of flaws holds, in seconds.
const HALF_A_YEAR: i64 = 182 * 86_400;

/// How problems with the pipeline's state begin.
const PIPELINE: &str = "the pipeline";

/// How many days are kept.
const DAYS: usize = 400;

/// What the site shows now.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown(Arc<Mutex<Arc<Given>>>);

impl Shown {
    fn set(&self, given: Given) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(given);
    }
}

impl Source for Shown {
    fn given(&self) -> Arc<Given> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Says nothing: whoever serves has a terminal for other things.
#[derive(Debug)]
struct Quiet;

impl Reporter for Quiet {
    fn step(&self, _: &str) {}

    fn warn(&self, _: &str) {}

    fn downloads(&self) -> &dyn Progress {
        &calypte_store::Silent
    }
}

/// What is gathered from.
pub(super) struct Gatherer<'a> {
    pub(super) session: &'a Session,
    pub(super) registry: Registry,
    pub(super) universe: String,
    pub(super) documents: Option<PathBuf>,
    pub(super) contacts: Vec<String>,
    pub(super) shown: Shown,
}

/// What may change between two looks.
#[derive(Debug, PartialEq, Eq)]
struct State {
    tags: BTreeMap<(String, String), Digest>,
    advisories: Option<std::time::SystemTime>,
    hour: i64,
}

impl Gatherer<'_> {
    /// Gathers until the user interrupts. What cannot be gathered is told on the status page.
    pub(super) fn run(&self) {
        let mut seen: Option<State> = None;
        let mut told: Option<Stamp> = None;
        self.shown.set(self.given());
        while !self.session.was_interrupted() {
            self.look_at_pipeline(&mut told);
            let state = self.state();
            if state.is_some() && state != seen {
                let is_same = |state: &State, seen: &State| {
                    state.advisories == seen.advisories && state.hour == seen.hour
                };
                let keeps =
                    state.as_ref().zip(seen.as_ref()).is_some_and(|(state, seen)| is_same(state, seen));
                if let Err(error) = self.gather(keeps) {
                    let mut given = Given::clone(&self.shown.given());
                    given.problems = vec![format!("{error:#}")];
                    given.at = Some(self.session.now());
                    given.documents.clone_from(&self.documents);
                    given.security = self.security();
                    self.shown.set(given);
                }
                seen = state;
            }
            self.wait();
        }
    }

    /// Tells of the pipeline where it did something since it was `told` of last.
    fn look_at_pipeline(&self, told: &mut Option<Stamp>) {
        let Ok(store) = self.session.store_directory() else { return };
        let stamp = refresh::stamp(&store);
        if told.as_ref() == Some(&stamp) {
            return;
        }
        let mut given = Given::clone(&self.shown.given());
        given.problems.retain(|problem| !problem.starts_with(PIPELINE));
        match refresh::read(&store, &self.universe, self.session.now()) {
            Ok(pipeline) => given.pipeline = pipeline.map(Arc::new),
            Err(error) => given.problems.push(format!("{PIPELINE}: {error:#}")),
        }
        self.shown.set(given);
        *told = Some(stamp);
    }

    /// Waits, and not for long where the user interrupts.
    fn wait(&self) {
        let end = Instant::now() + PAUSE;
        while Instant::now() < end && !self.session.was_interrupted() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn state(&self) -> Option<State> {
        let mut tags = BTreeMap::new();
        for name in self.registry.names().ok()? {
            for tag in self.registry.tags(&name).ok()? {
                if let Some((digest, _)) = self.registry.tagged(&name, &tag).ok()? {
                    tags.insert((name.clone(), tag), digest);
                }
            }
        }
        let database = calypte_pipeline::advisories::database_path(self.registry.store());
        let advisories = fs_err::metadata(database).and_then(|metadata| metadata.modified()).ok();
        Some(State { tags, advisories, hour: self.session.now().0 / SOON })
    }

    fn given(&self) -> Given {
        let shown = self.shown.given();
        let problems = shown.problems.iter().filter(|problem| problem.starts_with(PIPELINE)).cloned();
        Given {
            documents: self.documents.clone(),
            security: self.security(),
            pipeline: shown.pipeline.clone(),
            problems: problems.collect(),
            ..Given::default()
        }
    }

    /// Whom to tell of flaws. That it holds is said for half a year from now: less than the year that it may be.
    fn security(&self) -> Option<Security> {
        let now = self.session.now().0;
        let expires = Epoch(now.saturating_sub(now.rem_euclid(86_400)).saturating_add(HALF_A_YEAR));
        (!self.contacts.is_empty()).then(|| Security { contacts: self.contacts.clone(), expires })
    }

    /// Gathers all once; `keeps`: what was scanned before needs no new scan.
    fn gather(&self, keeps: bool) -> Result<()> {
        let before = self.shown.given();
        let factory = self.session.quiet_factory(&Quiet)?;
        let catalog = self.session.catalog()?.images()?;
        let here: BTreeSet<String> = self.registry.names()?.into_iter().collect();
        let mut given = self.given();
        let families = factory.families(&[], &self.universe)?;
        let families: Vec<String> = families.into_iter().filter(|family| here.contains(family)).collect();
        given.families = self.families(&factory, &catalog, &families)?;
        // What the definitions say is shown at once; bills and scans take longer.
        let quick = Given { families: given.families.clone(), ..self.given() };
        if self.shown.given().at.is_none() {
            self.shown.set(quick);
        }
        let database = calypte_pipeline::advisories::database(self.registry.store()).ok();
        let knowledge = Knowledge::read(Some(&self.session.catalog()?), &[], &[])?;
        for family in &families {
            for image in factory.images_of(family, &self.universe) {
                if self.session.was_interrupted() {
                    return Ok(());
                }
                if keeps && self.keep(&factory, &image, &before, &mut given) {
                    continue;
                }
                if let Err(error) = self.image(&factory, &image, database.as_ref(), &knowledge, &mut given) {
                    given.problems.push(format!("{image}: {error:#}"));
                }
            }
        }
        given.history = self.history(&given)?;
        given.at = Some(self.session.now());
        self.shown.set(given);
        Ok(())
    }

    /// What was counted on days before, and today: kept beside the registry. Of an image's machines the one with most flaws counts.
    fn history(&self, given: &Given) -> Result<BTreeMap<String, Vec<DayCount>>> {
        let file = self.session.store_directory()?.join("registry").join(HISTORY);
        // One that cannot be read is begun anew: it is no more than a picture.
        let text = fs_err::read_to_string(&file).unwrap_or_default();
        let before: BTreeMap<String, Vec<DayCount>> = serde_json::from_str(&text).unwrap_or_default();
        let today = self.session.now().to_string().chars().take(10).collect::<String>();
        let mut counted = BTreeMap::new();
        for known in given.manifests.values() {
            if let Some(scan) = &known.scan {
                let count = DayCount::of(today.clone(), &scan.findings);
                let most: &mut DayCount = counted.entry(known.image.clone()).or_default();
                if most.day.is_empty() || most.all() < count.all() {
                    *most = count;
                }
            }
        }
        let mut history = before.clone();
        for (image, count) in counted {
            let days = history.entry(image).or_default();
            days.retain(|day| day.day < today);
            days.push(count);
            days.drain(..days.len().saturating_sub(DAYS));
        }
        if history != before {
            calypte_pipeline::catalog::write_whole(&file, &serde_json::to_string(&history)?)?;
        }
        Ok(history)
    }

    fn families(
        &self,
        factory: &Factory<'_>,
        catalog: &Catalog,
        names: &[String],
    ) -> Result<BTreeMap<String, Family>> {
        let mut readmes = factory.readmes(names, &self.universe)?;
        let overview = factory.overview(names, &self.universe)?;
        let mut families = BTreeMap::new();
        for family in overview.families {
            let first = factory.images_of(&family.family, &self.universe).into_iter().next();
            let definition = first.as_ref().map(|id| catalog.image(id)).transpose()?;
            let definition = definition.with_context(|| format!("{} has no image", family.family))?;
            let streams = family.streams.iter().map(|stream| Stream {
                name: stream.stream.clone(),
                support: stream
                    .support
                    .map_or_else(|| "nobody says until when".to_owned(), |support| support.to_string()),
                ended: stream.support.is_some_and(|support| support.has_ended()),
            });
            let shown = Family {
                title: family.title,
                description: definition.description.trim().to_owned(),
                category: family.category.to_string(),
                home: definition.url.clone(),
                licence: definition.licenses.clone(),
                readme: readmes.remove(&format!("{}.md", family.family)).unwrap_or_default(),
                streams: streams.collect(),
            };
            families.insert(family.family, shown);
        }
        Ok(families)
    }

    /// Takes over what is known of an image, if all that its tags lead to is known; whether it did.
    fn keep(&self, factory: &Factory<'_>, image: &ImageId, before: &Given, given: &mut Given) -> bool {
        let tags = self.tags(factory, image).unwrap_or_default();
        let digests: Vec<Digest> = tags.iter().flat_map(|tag| self.machines(&image.family, tag)).collect();
        let known: Option<Vec<_>> =
            digests.iter().map(|digest| Some((*digest, Arc::clone(before.manifests.get(digest)?)))).collect();
        let Some(known) = known.filter(|known| !known.is_empty()) else { return false };
        given.manifests.extend(known);
        feeds(&mut given.feeds, before.feeds.clone());
        true
    }

    /// The tags of an image as its lock gives them; none where it is not locked.
    fn tags(&self, factory: &Factory<'_>, image: &ImageId) -> Result<Vec<String>> {
        let lock = self.session.catalog()?.read_lock(&self.universe, &image.family)?;
        let lock = lock.filter(|lock| lock.images.contains_key(&image.key()));
        lock.map_or_else(|| Ok(Vec::new()), |lock| Ok(factory.locked_tags(&lock, image)?.tags))
    }

    /// The manifests that a tag's index lists.
    fn machines(&self, name: &str, tag: &str) -> Vec<Digest> {
        let found = self.registry.manifest(name, &Key::Tag(tag.to_owned()));
        let index = found.ok().and_then(|found| serde_json::from_slice::<Index>(&found.bytes).ok());
        index.into_iter().flat_map(|index| index.manifests).map(|entry| entry.digest).collect()
    }

    /// What is known of the machines' images of one image of the catalog, where they are what the registry has.
    fn image(
        &self,
        factory: &Factory<'_>,
        image: &ImageId,
        database: Option<&Database>,
        knowledge: &Knowledge,
        given: &mut Given,
    ) -> Result<()> {
        let Some(lock) = self.session.catalog()?.read_lock(&self.universe, &image.family)? else {
            return Ok(());
        };
        if !lock.images.contains_key(&image.key()) {
            return Ok(());
        }
        let tags = self.tags(factory, image)?;
        let is_here = tags
            .iter()
            .any(|tag| self.registry.tagged(&image.family, tag).is_ok_and(|found| found.is_some()));
        if !is_here {
            return Ok(());
        }
        let support = factory.lifecycle_of(image, &self.universe)?.packages.to_string();
        for architecture in lock.packages.keys() {
            self.machine(factory, (image, *architecture), &support, (database, knowledge), given)?;
        }
        Ok(())
    }

    fn machine(
        &self,
        factory: &Factory<'_>,
        (image, architecture): (&ImageId, Architecture),
        support: &str,
        (database, knowledge): (Option<&Database>, &Knowledge),
        given: &mut Given,
    ) -> Result<()> {
        let bill = factory.bill(image, &self.universe, architecture)?;
        let digest = bill.sbom.subject.digest.context("its bill has no digest")?;
        if !self.registry.has_manifest(&image.family, &digest)? {
            return Ok(());
        }
        let publisher = publisher();
        let store = self.registry.store();
        let mut documents = BTreeMap::from([
            (Kind::Spdx, store.put(&spdx23(&bill.sbom, &publisher.tool))?),
            (Kind::Cyclonedx, store.put(&cyclonedx16(&bill.sbom, &publisher.tool))?),
        ]);
        let mut known = Known {
            image: image.to_string(),
            universe: self.universe.clone(),
            packages_support: support.to_owned(),
            documents: BTreeMap::new(),
            scan: None,
        };
        if let Some(database) = database {
            let now = self.session.now();
            let mut report = scan(&bill, database, knowledge, now)?;
            // Which files have a flaw is in the bill; pages do not show it.
            report.findings.iter_mut().for_each(|finding| finding.files = Vec::new());
            feeds(&mut given.feeds, report.feeds);
            known.scan = Some(Scan { findings: report.findings, unknown: report.unknown });
            let vex = decide(&bill, database, knowledge, Some(&image.family), now)?;
            documents.insert(Kind::Openvex, store.put(&publisher.openvex(&vex.decided))?);
        }
        known.documents = documents;
        given.manifests.insert(digest, Arc::new(known));
        Ok(())
    }
}

/// Adds the feeds that are not there yet.
fn feeds(all: &mut Vec<FeedAge>, more: Vec<FeedAge>) {
    for feed in more {
        if !all.iter().any(|known| known.source == feed.source) {
            all.push(feed);
        }
    }
    all.sort_by(|left, right| left.source.cmp(&right.source));
}

/// Who answers for documents that nobody signs.
fn publisher() -> Publisher {
    Publisher {
        name: "Calypte".to_owned(),
        namespace: crate::commands::vex::NAMESPACE.to_owned(),
        tool: Tool {
            name: "calypte".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            organization: "Calypte".to_owned(),
        },
        repositories: None,
    }
}
