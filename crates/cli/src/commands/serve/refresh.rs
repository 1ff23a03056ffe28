//! What the loop over the pipeline tells, as the site shows it: runs, what waits and why, how long fixes took.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use calypte_base::Epoch;
use calypte_catalog::site::pipeline::{DayTimes, Fix, Image, Pipeline, Run, RunImage, Times, Wait};
use calypte_refresh::{Fixed, ImageReport, Overview, RunReport, Single, State, TimeToFix, sentence};

/// Most runs that are read.
const RUNS: usize = 50;

/// What changes when a run does something: when files of the pipeline were written last, and whether one is at work.
pub(super) type Stamp = (Vec<Option<std::time::SystemTime>>, bool);

/// The stamp of a store's pipeline.
pub(super) fn stamp(store: &Path) -> Stamp {
    let state = State::path(store);
    // SQLite writes beside its file first.
    let beside = state.with_extension("sqlite-wal");
    let files = [state, beside, RunReport::directory(store)];
    let written =
        |file: &std::path::PathBuf| fs_err::metadata(file).and_then(|metadata| metadata.modified()).ok();
    (files.iter().map(written).collect(), Single::is_taken(&store.join("pipeline/lock")))
}

/// The pipeline of a store; none where none ever ran.
///
/// # Errors
/// When its state cannot be read.
pub(super) fn read(store: &Path, universe: &str, now: Epoch) -> Result<Option<Pipeline>> {
    Ok(Overview::read(store, universe, now, RUNS)?.map(shown))
}

fn shown(overview: Overview) -> Pipeline {
    let mut names: BTreeSet<String> = overview.fixes.keys().cloned().collect();
    names.extend(overview.history.keys().cloned());
    let waiting = waiting(&overview);
    let image = |name: String| {
        let fixes = overview.fixes.get(&name).map_or(&[][..], Vec::as_slice);
        let history = overview.history.get(&name).into_iter().flatten();
        let image = Image {
            time_to_fix: times(&TimeToFix::of(fixes.iter().filter_map(Fixed::seconds).collect())),
            fixes: fixes.iter().map(fix).collect(),
            published: history.map(|one| (one.digest, one.at)).collect(),
        };
        (name, image)
    };
    Pipeline {
        running: overview.running,
        paused: overview.summary.paused.clone(),
        waiting,
        time_to_fix: times(&overview.summary.time_to_fix),
        by_day: overview
            .by_day
            .iter()
            .map(|day| DayTimes { day: day.day.clone(), times: times(&day.times) })
            .collect(),
        images: names.into_iter().map(image).collect(),
        runs: overview
            .runs
            .iter()
            .zip(0..)
            .map(|(report, place)| run(report, overview.running && place == 0))
            .collect(),
    }
}

/// Images in the order in which their first machine comes up, then those that stand still for another reason.
fn waiting(overview: &Overview) -> Vec<Wait> {
    let mut all: Vec<Wait> = Vec::new();
    for key in &overview.summary.dirty {
        let architecture = key.architecture.to_string();
        if let Some(wait) = all.iter_mut().find(|wait| wait.image == key.image) {
            wait.architectures.push(architecture);
            wait.since = wait.since.min(key.since);
            continue;
        }
        let stopped = overview.stopped.get(&key.image);
        all.push(Wait {
            image: key.image.clone(),
            architectures: vec![architecture],
            since: key.since,
            urgency: key.class.word().to_owned(),
            reason: key.reason.clone(),
            obstacles: stopped.map(|stopped| stopped.reasons.clone()).unwrap_or_default(),
            next: stopped.and_then(|stopped| stopped.next),
        });
    }
    let known: BTreeSet<String> = all.iter().map(|wait| wait.image.clone()).collect();
    let others = overview.stopped.iter().filter(|(image, _)| !known.contains(*image));
    all.extend(others.map(|(image, stopped)| Wait {
        image: image.clone(),
        architectures: Vec::new(),
        since: stopped.since,
        urgency: "–".to_owned(),
        reason: "it was not published when it was last tried".to_owned(),
        obstacles: stopped.reasons.clone(),
        next: stopped.next,
    }));
    all
}

fn times(times: &TimeToFix) -> Times {
    Times {
        count: times.count,
        median: times.median,
        ninth_decile: times.ninth_decile,
        longest: times.longest,
    }
}

fn fix(fixed: &Fixed) -> Fix {
    Fix {
        flaw: fixed.flaw.clone(),
        package: fixed.package.clone(),
        version: fixed.version.clone(),
        severity: fixed.severity.clone(),
        architecture: fixed.architecture.to_string(),
        available: fixed.available,
        published: fixed.published,
        seconds: fixed.seconds(),
    }
}

fn run(report: &RunReport, is_at_work: bool) -> Run {
    let seconds = |ended: Epoch| u64::try_from(ended.0.saturating_sub(report.started.0)).unwrap_or(0);
    let mut remarks: Vec<String> = report
        .held
        .iter()
        .map(|held| format!("the family {} keeps its lock: {}", held.family, held.reason))
        .collect();
    remarks.extend(report.paused.iter().map(|reason| format!("it paused itself: {reason}")));
    remarks.extend(report.not_committed.iter().map(|why| format!("locks are not committed: {why}")));
    Run {
        id: report.id.clone(),
        began: report.started,
        seconds: report.ended.map(seconds),
        outcome: outcome(report, is_at_work),
        images: report.images.iter().map(run_image).collect(),
        remarks,
    }
}

/// `2 published, 1 refused`, and what there is to say of the whole.
fn outcome(report: &RunReport, is_at_work: bool) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for image in &report.images {
        *counts.entry(image.ended.word()).or_default() += 1;
    }
    let mut parts: Vec<String> = counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    match report.ended {
        Some(_) if report.paused.is_some() => parts.push("paused".to_owned()),
        Some(_) => {}
        None if is_at_work => parts = vec!["goes on".to_owned()],
        None => parts.push("cut; the next goes on from there".to_owned()),
    }
    parts.join(", ")
}

fn run_image(report: &ImageReport) -> RunImage {
    let mut obstacles: Vec<String> = report.refusals.iter().map(sentence).collect();
    if obstacles.is_empty() {
        obstacles.extend(report.error.clone());
    }
    RunImage {
        image: report.image.clone(),
        outcome: report.ended.word().to_owned(),
        reason: report.reason.clone(),
        fixed: report.fixed.len(),
        obstacles,
    }
}

#[cfg(test)]
mod tests {
    use calypte_base::{Architecture, Digest};
    use calypte_refresh::{Class, Dirty, Ended, Held, Publication, Stopped, Summary};

    use super::*;

    fn dirty(image: &str, architecture: Architecture, since: i64) -> Dirty {
        Dirty {
            image: image.to_owned(),
            architecture,
            key: Digest::of(image.as_bytes()),
            since: Epoch(since),
            reason: "zlib1g changed".to_owned(),
            class: Class::Critical,
            fan_out: 1,
        }
    }

    fn report(ended: Option<i64>, images: &[Ended]) -> RunReport {
        let image = |ended: &Ended| ImageReport {
            image: "web".to_owned(),
            reason: "zlib1g changed".to_owned(),
            class: Class::High,
            architectures: Vec::new(),
            ended: *ended,
            digest: None,
            references: Vec::new(),
            refusals: Vec::new(),
            error: Some("no route to host".to_owned()),
            fixed: Vec::new(),
        };
        RunReport {
            schema: "calypte.pipeline-run/1".to_owned(),
            id: "r".to_owned(),
            universe: "sid".to_owned(),
            started: Epoch(100),
            ended: ended.map(Epoch),
            families: 1,
            locked: Vec::new(),
            held: vec![Held { family: "go".to_owned(), reason: "its mirror is away".to_owned() }],
            images: images.iter().map(image).collect(),
            fresh: 0,
            paused: None,
            committed: Vec::new(),
            not_committed: None,
        }
    }

    fn overview() -> Overview {
        let fixed = |published: Option<i64>| Fixed {
            flaw: "CVE-1".to_owned(),
            package: "zlib1g".to_owned(),
            version: "1.3".to_owned(),
            severity: "high".to_owned(),
            architecture: Architecture::Amd64,
            available: Epoch(10),
            published: published.map(Epoch),
        };
        let stopped = |next: Option<i64>| Stopped {
            attempts: 1,
            next: next.map(Epoch),
            since: Epoch(50),
            reasons: vec!["no route to host".to_owned()],
        };
        let summary = Summary {
            universe: "sid".to_owned(),
            paused: None,
            published: Vec::new(),
            dirty: vec![
                dirty("web", Architecture::Arm64, 30),
                dirty("shell", Architecture::Amd64, 20),
                dirty("web", Architecture::Amd64, 25),
            ],
            time_to_fix: TimeToFix::of(vec![40]),
        };
        Overview {
            running: true,
            summary,
            stopped: BTreeMap::from([
                ("web".to_owned(), stopped(Some(90))),
                ("old".to_owned(), stopped(None)),
            ]),
            fixes: BTreeMap::from([("web".to_owned(), vec![fixed(None), fixed(Some(50))])]),
            by_day: Vec::new(),
            history: BTreeMap::from([(
                "shell".to_owned(),
                vec![Publication { digest: Digest::of(b"x"), at: Epoch(5), run: "r".to_owned() }],
            )]),
            runs: vec![
                report(None, &[]),
                report(None, &[]),
                report(Some(160), &[Ended::Published, Ended::Broken]),
            ],
        }
    }

    #[test]
    fn each_image_waits_once_and_says_for_what() {
        let all = shown(overview()).waiting;
        let names: Vec<_> = all.iter().map(|wait| wait.image.as_str()).collect();
        assert_eq!(names, ["web", "shell", "old"]);
        assert_eq!(
            (&all[0].architectures[..], all[0].since),
            (&["arm64".to_owned(), "amd64".to_owned()][..], Epoch(25))
        );
        assert_eq!((all[0].next, all[0].obstacles.len()), (Some(Epoch(90)), 1));
        assert_eq!((all[1].next, all[1].obstacles.len()), (None, 0));
        assert_eq!((all[2].urgency.as_str(), all[2].obstacles.len()), ("–", 1));
    }

    #[test]
    fn runs_say_what_they_came_to() {
        let pipeline = shown(overview());
        let outcomes: Vec<_> = pipeline.runs.iter().map(|run| run.outcome.as_str()).collect();
        assert_eq!(
            outcomes,
            ["goes on", "nothing to do, cut; the next goes on from there", "1 broken, 1 published"]
        );
        assert_eq!(pipeline.runs[2].seconds, Some(60));
        assert_eq!(pipeline.runs[2].images[1].obstacles, ["no route to host"]);
        assert_eq!(pipeline.runs[2].remarks, ["the family go keeps its lock: its mirror is away"]);
    }

    #[test]
    fn only_fixes_that_are_published_are_counted() {
        let images = shown(overview()).images;
        assert_eq!((images["web"].time_to_fix.count, images["web"].time_to_fix.median), (1, Some(40)));
        assert_eq!(images["web"].fixes.len(), 2);
        assert_eq!(images["shell"].published.len(), 1);
    }
}
