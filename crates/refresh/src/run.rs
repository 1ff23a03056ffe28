//! One run: plan, then one image after the other, the most urgent first. One that fails stops no other; where most fail, it
//! is not the images that are broken, and the run pauses itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use calypte_advisory::database::Database;
use calypte_base::{Architecture, Digest, Epoch};
use calypte_definition::ImageId;
use calypte_pipeline::advisories::database;
use calypte_pipeline::evidence::{Facts, state as database_state};
use calypte_pipeline::gate::Asked;
use calypte_pipeline::publish::Target;
use calypte_pipeline::{Factory, hinted, is_refusal};
use calypte_policy::{Policy, Verdict};
use calypte_publish::PublishError;
use calypte_resolve::Lock;
use calypte_store::registry::RegistryError;
use calypte_store::{FetchError, StoreError};

use crate::action::{Action, Executor};
use crate::commit::Committer;
use crate::git::{GitTarget, Repository};
use crate::plan::{Plan, Planner, shown};
use crate::report::{Ended, ImageReport, RunReport};
use crate::risk::Class;
use crate::single::Single;
use crate::state::{Dirty, Machine, State, Waiting};

/// The first pause after something around an image failed, in seconds; it doubles with each time.
const FIRST_PAUSE: i64 = 60;

/// The longest such pause.
const LONGEST_PAUSE: i64 = 6 * 3600;

/// After so many failures of what is around images, one after the other, a run goes no further.
const FAILURES_IN_A_ROW: usize = 3;

/// So many families or images must fail before that can be a mass failure.
const MASS: usize = 3;

/// What is to be kept fresh.
#[derive(Debug)]
pub struct RunRequest<'a> {
    /// The universe.
    pub universe: String,
    /// The families.
    pub families: Vec<String>,
    /// Where images are published.
    pub target: &'a Target,
    /// Whether each image is built a second time.
    pub rebuild: bool,
    /// Whether to go on although the pipeline paused itself.
    pub resume: bool,
    /// Where locks are committed; none: nowhere.
    pub git: Option<&'a GitTarget>,
}

/// Keeps what is published fresh.
pub struct Refresh<'a> {
    /// What locks and publishes.
    pub factory: &'a Factory<'a>,
    /// What runs actions.
    pub executor: &'a dyn Executor,
    /// Tells the time.
    pub clock: &'a dyn Fn() -> Epoch,
    /// Hears of each step, before it: tests end the process there.
    pub step: &'a dyn Fn(&str),
    /// Set when the work is to stop.
    pub interrupted: &'a AtomicBool,
}

impl std::fmt::Debug for Refresh<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Refresh").field("factory", &self.factory).finish_non_exhaustive()
    }
}

/// What all images of a run have in common.
struct Run<'a> {
    request: &'a RunRequest<'a>,
    policy: Policy,
    database: Option<Database>,
    /// A digest over the feeds.
    feeds: Digest,
    /// Where locks are committed.
    repository: Option<Repository>,
    report: RunReport,
}

/// How work on an image ended, with what is to be told.
enum Done {
    Published { digest: Digest, references: Vec<String>, fixed: Vec<crate::Fixed> },
    Unchanged { digest: Digest },
    Refused { verdict: Verdict },
}

impl Refresh<'_> {
    /// Runs once.
    ///
    /// # Errors
    /// When another run is at work, the pipeline is paused, or nothing at all can be done: the universe cannot be had, the
    /// state not be written.
    pub fn run(&self, request: &RunRequest<'_>) -> Result<RunReport> {
        self.once(request).map_err(|error| explained(error, self.factory.store().root()))
    }

    fn once(&self, request: &RunRequest<'_>) -> Result<RunReport> {
        let root = self.factory.store().root().to_owned();
        fs_err::create_dir_all(root.join("pipeline"))?;
        let _single = Single::take(&root.join("pipeline/lock"))?;
        let mut state = State::open(&root)?;
        if let Some(reason) = state.paused()? {
            if !request.resume {
                bail!(
                    "the pipeline paused itself: {reason}\nhint: when what was wrong is mended, go on with `calypte pipeline run \
                     --resume`"
                );
            }
            state.pause(None)?;
        }
        let mut run = self.begin(request)?;
        run.report.write(&root)?;
        let plan = self.plan(&run, &mut state)?;
        run.report.held.clone_from(&plan.held);
        run.report.fresh = plan.fresh;
        (self.step)("locks");
        for lock in &plan.locks {
            self.factory.accept(lock)?;
            run.report.locked.push(lock.family.clone());
            (self.step)("lock written");
        }
        if let Some(reason) = mass(plan.failed, request.families.len(), "families cannot be locked") {
            self.pause(&state, &mut run.report, reason)?;
        } else {
            self.work(&mut run, &plan, &mut state)?;
        }
        // All of them: also what a run before did not come to.
        self.commit(&mut run, &state, &request.families);
        self.push(&mut run);
        run.report.ended = Some((self.clock)());
        run.report.write(&root)?;
        Ok(run.report)
    }

    fn begin<'r>(&self, request: &'r RunRequest<'r>) -> Result<Run<'r>> {
        let started = (self.clock)();
        let catalog = self.factory.lock_place(&request.universe, "").0;
        let repository = request.git.map(|target| Repository::open(&catalog, target)).transpose()?;
        // A mistake in it is told before anything is begun, and is no fault of the families.
        self.factory.blocked()?;
        let database = database(self.factory.store()).ok();
        let feeds = database.as_ref().map(database_state).transpose()?.unwrap_or_default();
        Ok(Run {
            policy: self.factory.policy()?,
            feeds: Digest::of(feeds.as_bytes()),
            database,
            report: RunReport {
                schema: "calypte.pipeline-run/1".to_owned(),
                id: RunReport::next_id(self.factory.store().root(), started)?,
                universe: request.universe.clone(),
                started,
                ended: None,
                families: request.families.len(),
                locked: Vec::new(),
                held: Vec::new(),
                images: Vec::new(),
                fresh: 0,
                paused: None,
                committed: Vec::new(),
                not_committed: None,
            },
            repository,
            request,
        })
    }

    /// Finds what is to be done, and writes it down before any lock is: a run that is cut here finds it there.
    fn plan(&self, run: &Run<'_>, state: &mut State) -> Result<Plan> {
        let universe = &run.request.universe;
        (self.step)("propose");
        let proposals = self.factory.propose(universe, &run.request.families)?;
        (self.step)("plan");
        let planner = Planner {
            factory: self.factory,
            universe,
            state,
            database: run.database.as_ref(),
            now: (self.clock)(),
        };
        let plan = planner.plan(proposals)?;
        (self.step)("mark");
        state.mark(universe, &plan.dirty, &plan.fixes)?;
        state.clean(universe, &plan.clean)?;
        state.drop_unknown(universe, &self.factory.image_names(universe))?;
        Ok(plan)
    }

    fn work(&self, run: &mut Run<'_>, plan: &Plan, state: &mut State) -> Result<()> {
        let universe = run.request.universe.clone();
        let root = self.factory.store().root().to_owned();
        let now = (self.clock)();
        let mut images: BTreeMap<String, Vec<Dirty>> = BTreeMap::new();
        for key in state.dirty(&universe)? {
            images.entry(key.image.clone()).or_default().push(key);
        }
        let mut order: Vec<(ImageId, Vec<Dirty>)> = images
            .into_iter()
            .filter_map(|(name, keys)| Some((plan.images.get(&name)?.clone(), keys)))
            .collect();
        order.sort_by_key(|(_, keys)| keys.iter().map(|key| key.risk().place(now)).min());
        let (mut tried, mut broken, mut in_a_row) = (0, 0, 0);
        for (place, (image, keys)) in order.iter().enumerate() {
            if self.interrupted.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            // What never worked tells nothing of the universe: it must not keep others from being published.
            let has_worked = state.published(&universe, &image.to_string())?.is_some();
            let report = self.image(run, image, keys, state)?;
            let is_broken = match report.ended {
                Ended::Broken => true,
                Ended::Refused => is_test_failure(&report),
                _ => false,
            };
            in_a_row = if report.ended == Ended::Postponed { in_a_row + 1 } else { 0 };
            broken += usize::from(is_broken && has_worked);
            tried += usize::from(report.ended != Ended::Waiting && has_worked);
            run.report.images.push(report);
            run.report.write(&root)?;
            let is_last = !order.iter().skip(place + 1).any(|(other, _)| other.family == image.family);
            if is_last {
                self.commit(run, state, std::slice::from_ref(&image.family));
            }
            if let Some(reason) = mass(broken, tried, "images cannot be built or fail their tests") {
                return self.pause(state, &mut run.report, reason);
            }
            if in_a_row >= FAILURES_IN_A_ROW {
                break;
            }
        }
        Ok(())
    }

    /// Commits what is published of these families. What git does not take keeps no image from being published: it is told,
    /// and the next run tries again.
    fn commit(&self, run: &mut Run<'_>, state: &State, families: &[String]) {
        let Some(repository) = run.repository.as_ref().filter(|_| run.report.not_committed.is_none()) else {
            return;
        };
        (self.step)("commit");
        let universe = run.request.universe.as_str();
        let committer = Committer { factory: self.factory, repository, state, universe };
        match committer.commit(families, (self.clock)()) {
            Ok(committed) => run.report.committed.extend(committed),
            Err(error) => run.report.not_committed = Some(shown(&error)),
        }
    }

    fn push(&self, run: &mut Run<'_>) {
        let Some(repository) = &run.repository else { return };
        (self.step)("push commits");
        if let Err(error) = repository.push() {
            run.report.not_committed.get_or_insert_with(|| shown(&error));
        }
    }

    fn pause(&self, state: &State, report: &mut RunReport, reason: String) -> Result<()> {
        state.pause(Some(&reason))?;
        report.paused = Some(reason);
        Ok(())
    }

    /// Works on one image, and notes what came of it.
    fn image(
        &self,
        run: &Run<'_>,
        image: &ImageId,
        keys: &[Dirty],
        state: &mut State,
    ) -> Result<ImageReport> {
        let name = image.to_string();
        let about = (run.request.universe.as_str(), name.as_str());
        let worst = keys.iter().min_by_key(|key| key.class);
        let mut report = ImageReport {
            image: name.clone(),
            reason: worst.map(|key| key.reason.clone()).unwrap_or_default(),
            class: worst.map_or(Class::Schedule, |key| key.class),
            architectures: keys.iter().map(|key| key.architecture).collect(),
            ended: Ended::Waiting,
            digest: None,
            references: Vec::new(),
            refusals: Vec::new(),
            error: None,
            fixed: Vec::new(),
        };
        let lock = self.factory.lock_of(about.0, &image.family).ok();
        let inputs = inputs(keys, lock.as_ref(), &run.policy, &run.feeds)?;
        let waiting = state.waiting(about.0, about.1)?;
        let now = (self.clock)();
        if let Some(waiting) = waiting.as_ref().filter(|waiting| is_past(waiting.at, now))
            && (waiting.inputs == Some(inputs) || is_ahead(waiting.not_before, now))
        {
            report.error = state.why_not(about.0, about.1)?;
            return Ok(report);
        }
        match self.make(run, image, state, &inputs) {
            Ok(Done::Published { digest, references, fixed }) => {
                report.ended = Ended::Published;
                report.digest = Some(digest);
                report.references = references;
                report.fixed = fixed;
            }
            Ok(Done::Unchanged { digest }) => {
                report.ended = Ended::Unchanged;
                report.digest = Some(digest);
            }
            Ok(Done::Refused { verdict }) => {
                let until = Waiting { attempts: 0, not_before: now, inputs: Some(inputs), at: now };
                state.wait(about, &until, (Some(&verdict), None))?;
                report.ended = Ended::Refused;
                report.digest = Some(verdict.digest);
                report.refusals = verdict.refusals;
            }
            Err(_) if self.interrupted.load(Ordering::Relaxed) => bail!("interrupted"),
            Err(error) => {
                let text = shown(&error);
                let attempts = waiting.map_or(0, |waiting| waiting.attempts) + 1;
                let until = match is_around(&error) {
                    true => {
                        let not_before = Epoch(now.0.saturating_add(pause(attempts)));
                        Waiting { attempts, not_before, inputs: None, at: now }
                    }
                    false => Waiting { attempts, not_before: now, inputs: Some(inputs), at: now },
                };
                report.ended = if until.inputs.is_none() { Ended::Postponed } else { Ended::Broken };
                state.wait(about, &until, (None, Some(&text)))?;
                report.error = Some(text);
            }
        }
        Ok(report)
    }

    /// Build, bill, scan, tests, gate, publication of one image.
    fn make(&self, run: &Run<'_>, image: &ImageId, state: &mut State, inputs: &Digest) -> Result<Done> {
        let universe = run.request.universe.as_str();
        let name = image.to_string();
        let lock = self.factory.lock_of(universe, &image.family)?;
        let before = state.machines(universe, &name)?;
        let mut facts =
            Facts { at: Some(state.decide(universe, &name, inputs, (self.clock)())?), ..Facts::default() };
        let mut machines = BTreeMap::new();
        for architecture in lock.packages.keys().copied() {
            let key = self.factory.build_key(&lock, image, architecture)?;
            let manifest = self.actions(run, &name, architecture, key, &mut facts)?;
            machines.insert(architecture, Machine { key, digest: manifest, size: 0 });
        }
        (self.step)("second build");
        let made = machines.iter().map(|(architecture, machine)| (*architecture, machine.digest)).collect();
        let rebuilt = match run.request.rebuild {
            true => self.second(image, universe, &made)?,
            false => BTreeMap::new(),
        };
        (self.step)("gate");
        let asked = Asked {
            evidence: run.request.target.evidence.as_ref(),
            facts,
            before: before.iter().map(|(architecture, machine)| (*architecture, machine.size)).collect(),
            rebuilt,
        };
        let subject = self.factory.subject(image, universe, &asked)?;
        for (architecture, size) in subject.sizes() {
            if let Some(machine) = machines.get_mut(&architecture) {
                machine.size = size;
            }
        }
        let verdict = run.policy.judge(&subject)?;
        if !verdict.passed {
            return Ok(Done::Refused { verdict });
        }
        let digest = verdict.digest;
        let about = (universe, name.as_str());
        let when = (run.report.id.as_str(), (self.clock)());
        if state.published(universe, &name)? == Some(digest) {
            state.publish(about, &digest, &machines, when, false)?;
            return Ok(Done::Unchanged { digest });
        }
        let facts = Facts { verdict: Some(verdict), ..asked.facts };
        (self.step)("publish");
        let published = self.factory.publish(image, universe, run.request.target, &facts)?;
        (self.step)("published");
        let fixed = state.publish(about, &digest, &machines, (when.0, (self.clock)()), true)?;
        (self.step)("noted");
        let reference =
            |tag: &calypte_pipeline::publish::PublishedTag| format!("{}:{}", published.repository, tag.tag);
        Ok(Done::Published { digest, references: published.tags.iter().map(reference).collect(), fixed })
    }

    /// A second build. Its store is kept, so that it costs what changed: what is in there was made by second builds alone.
    /// Where it gives something else than the first, it is asked once more with nothing kept: a file there may be damaged.
    fn second(
        &self,
        image: &ImageId,
        universe: &str,
        first: &BTreeMap<Architecture, Digest>,
    ) -> Result<BTreeMap<Architecture, Digest>> {
        let kept = second_store(self.factory.store().root());
        if let Ok(rebuilt) = self.factory.build_again(image, universe, &kept)
            && rebuilt == *first
        {
            return Ok(rebuilt);
        }
        if self.interrupted.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        if kept.exists() {
            fs_err::remove_dir_all(&kept)?;
        }
        self.factory.build_again(image, universe, &kept)
    }

    /// The actions on one machine's image; its manifest.
    fn actions(
        &self,
        run: &Run<'_>,
        name: &str,
        architecture: Architecture,
        key: Digest,
        facts: &mut Facts,
    ) -> Result<Digest> {
        let store = self.factory.store();
        let universe = run.request.universe.as_str();
        let action = |verb: &str, inputs: &[(&str, Digest)], output: &str| {
            (self.step)(verb);
            let words = [verb, name, "--universe", universe];
            Action::new(&words, architecture, inputs, &[output]).outcome(self.executor, store)
        };
        let built = action("build", &[("image", key)], "manifest")?;
        let manifest = *built.outputs.get("manifest").context("no manifest")?;
        action("sbom", &[("manifest", manifest), ("image", key)], "packages")?;
        if run.database.is_some() {
            // What was found at another time says nothing about now.
            let now = Digest::of(run.report.id.as_bytes());
            let scanned =
                action("scan", &[("image", key), ("advisories", run.feeds), ("time", now)], "report")?;
            facts.scans.insert(architecture, scanned.json("report", store)?);
        }
        let tested = action("test", &[("manifest", manifest), ("image", key)], "report")?;
        facts.tests.insert(architecture, tested.json("report", store)?);
        Ok(manifest)
    }
}

/// Where, below a store, the one for second builds lies.
#[must_use]
pub fn second_store(store: &Path) -> PathBuf {
    store.join("pipeline/second")
}

/// All that decides what becomes of an image: while it is the same, what refused it refuses it again. The gate asks how old
/// the lock's index is, too.
fn inputs(keys: &[Dirty], lock: Option<&Lock>, policy: &Policy, feeds: &Digest) -> Result<Digest> {
    let keys: Vec<String> = keys.iter().map(|key| format!("{} {}", key.architecture, key.key)).collect();
    let index = serde_json::to_string(&lock.map(|lock| &lock.repositories))?;
    Ok(Digest::of(format!("{} {feeds} {} {index}", policy.digest(), keys.join(" ")).as_bytes()))
}

/// What a disk that is full needs, said once for whatever could not be written.
fn explained(error: anyhow::Error, store: &Path) -> anyhow::Error {
    let is_full = |cause: &(dyn std::error::Error + 'static)| {
        let full = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded];
        let in_database =
            cause.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| full.contains(&error.kind()))
            || in_database == Some(rusqlite::ErrorCode::DiskFull)
    };
    if !error.chain().any(is_full) {
        return error;
    }
    let hint = format!(
        "free some space on the file system that holds {}, and run the same command again: finished work is kept",
        store.display()
    );
    hinted(format!("the disk is full: {error:#}"), hint)
}

/// Whether it is what is around an image that failed, and may work at another time: network, registry, disk.
pub(crate) fn is_around(error: &anyhow::Error) -> bool {
    !is_refusal(error)
        && error.chain().any(|cause| {
            cause.is::<FetchError>()
                || cause.is::<RegistryError>()
                || cause.is::<StoreError>()
                || cause.is::<std::io::Error>()
                || cause.is::<rusqlite::Error>()
                || matches!(
                    cause.downcast_ref(),
                    Some(PublishError::Raced { .. } | PublishError::Lost { .. } | PublishError::Registry(_))
                )
        })
}

/// Whether a time has not come. One that is further away than any pause was noted by a clock that was wrong.
fn is_ahead(time: Epoch, now: Epoch) -> bool {
    (1..=LONGEST_PAUSE).contains(&(time.0.saturating_sub(now.0)))
}

/// Whether something was noted by the clock as it goes now: what one that was ahead noted counts no more.
fn is_past(at: Epoch, now: Epoch) -> bool {
    at.0 <= now.0
}

/// Seconds until the next time.
fn pause(attempts: u32) -> i64 {
    FIRST_PAUSE.saturating_mul(1_i64 << attempts.saturating_sub(1).min(20)).min(LONGEST_PAUSE)
}

fn is_test_failure(report: &ImageReport) -> bool {
    report.refusals.iter().any(|refusal| refusal.rule == "test.no_failed_tests")
}

/// Why so many failures are one: at least three, and more than half.
fn mass(failed: usize, all: usize, what: &str) -> Option<String> {
    (failed >= MASS && failed * 2 > all).then(|| format!("{failed} of {all} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit() {
        assert_eq!([1, 2, 3].map(pause), [60, 120, 240]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
        let now = Epoch(1_000_000);
        assert!(is_ahead(Epoch(now.0 + LONGEST_PAUSE), now) && !is_ahead(now, now));
        // A clock that was set back makes nobody wait for it.
        assert!(!is_ahead(Epoch(now.0 + 86_400), now));
    }

    #[test]
    fn a_few_failures_are_no_mass_failure() {
        assert_eq!(mass(2, 2, "x"), None);
        assert_eq!(mass(3, 6, "x"), None);
        assert_eq!(mass(3, 5, "fail").as_deref(), Some("3 of 5 fail"));
    }
}
