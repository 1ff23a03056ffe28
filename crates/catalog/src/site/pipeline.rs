//! The pipeline as whoever starts the server tells of it, and as pages show it: whether it goes on, what waits and why, its runs,
//! how long fixes took.

use std::collections::BTreeMap;

use calypte_base::epoch::span;
use calypte_base::{Digest, Epoch};
use maud::{Markup, html};
use serde::Serialize;

use super::frame;
use super::image::flaw_link;

/// Most runs, and most fixes of an image, that are shown.
const RUNS: usize = 50;
const FIXES: usize = 200;

/// Most days that are shown, and the size of their chart.
const DAYS: usize = 90;
const WIDTH: usize = 720;
const HEIGHT: usize = 120;

/// The pipeline.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Pipeline {
    /// Whether a run is at work.
    pub running: bool,
    /// Why it paused itself.
    pub paused: Option<String>,
    /// What is to be done, in the order in which it will be.
    pub waiting: Vec<Wait>,
    /// How long all fixes took.
    pub time_to_fix: Times,
    /// How long those took that were published on a day, the first day first.
    pub by_day: Vec<DayTimes>,
    /// What it knows of images, by their names in the catalog.
    pub images: BTreeMap<String, Image>,
    /// Its runs, the newest first.
    pub runs: Vec<Run>,
}

/// An image that is to be made anew, or that stands still.
#[derive(Debug, Clone, Serialize)]
pub struct Wait {
    /// The image.
    pub image: String,
    /// The machines for which it is to be made.
    pub architectures: Vec<String>,
    /// Since when.
    pub since: Epoch,
    /// How urgent it is, in a word.
    pub urgency: String,
    /// Why it is to be made anew.
    pub reason: String,
    /// What the gate refused, or what failed; nothing where it only waits for its turn.
    pub obstacles: Vec<String>,
    /// When it is tried again; none: with the next run, or where there are obstacles when something changes.
    pub next: Option<Epoch>,
}

/// How long it took from a fix to the image with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// How many flaws.
    pub count: usize,
    /// Half of them took at most so many seconds.
    pub median: Option<i64>,
    /// Nine in ten took at most so many.
    pub ninth_decile: Option<i64>,
    /// The longest.
    pub longest: Option<i64>,
}

/// How long the fixes of a day took.
#[derive(Debug, Clone, Serialize)]
pub struct DayTimes {
    /// The day on which their images were published: `2026-10-31`.
    pub day: String,
    /// How long they took.
    #[serde(flatten)]
    pub times: Times,
}

/// What the pipeline knows of an image.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Image {
    /// How long its fixes took.
    pub time_to_fix: Times,
    /// The flaws that it lost, or loses once it is published; these first, then the latest.
    pub fixes: Vec<Fix>,
    /// The digests of its index and when they were published, the first first.
    pub published: Vec<(Digest, Epoch)>,
}

/// A flaw that an image lost.
#[derive(Debug, Clone, Serialize)]
pub struct Fix {
    /// The flaw.
    pub flaw: String,
    /// The package.
    pub package: String,
    /// The version that had it.
    pub version: String,
    /// How bad it was.
    pub severity: String,
    /// The machine.
    pub architecture: String,
    /// Since when there was a fix.
    pub available: Epoch,
    /// When the image with it was published; none: not yet.
    pub published: Option<Epoch>,
    /// Seconds from the one to the other.
    pub seconds: Option<i64>,
}

/// A run.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// When it began.
    pub began: Epoch,
    /// How long it took, in seconds; none while it goes on, and where it was cut.
    pub seconds: Option<u64>,
    /// What it came to, in a few words.
    pub outcome: String,
    /// What became of each image, in the order of the run.
    pub images: Vec<RunImage>,
    /// What else there is to say: families that keep their locks, why it paused.
    pub remarks: Vec<String>,
}

/// What became of an image in a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunImage {
    /// The image.
    pub image: String,
    /// `published`, `unchanged`, `refused`, `broken`, `postponed` or `waiting`.
    pub outcome: String,
    /// Why it was to be made anew.
    pub reason: String,
    /// How many flaws it lost.
    pub fixed: usize,
    /// What the gate refused, or what failed.
    pub obstacles: Vec<String>,
}

/// The part of the status page.
pub(super) fn part(pipeline: Option<&Pipeline>) -> Markup {
    let Some(pipeline) = pipeline else {
        return html! {
            h2 id="pipeline" { "Pipeline" }
            p { "No run of a pipeline is recorded here. " code { "calypte pipeline run" } " keeps images fresh." }
        };
    };
    html! {
        h2 id="pipeline" { "Pipeline" }
        @if let Some(reason) = &pipeline.paused {
            p.note.bad { strong { "Paused: " } (reason) ". It goes on with " code { "calypte pipeline run --resume" } "." }
        }
        p { @if pipeline.running { span.word.good { "at work" } } @else { "No run is at work now." } }
        h3 id="waiting" { "What waits" }
        @if pipeline.waiting.is_empty() { p { "Nothing: what is published is what would be made now." } }
        @else { (waiting(&pipeline.waiting)) }
        h3 id="time-to-fix" { "Time to fix" }
        p { "From the time that a fix was there to the time that the image with it was published." }
        (times(&pipeline.time_to_fix))
        (days(&pipeline.by_day))
        (by_image(pipeline))
        h3 id="runs" { "Runs" }
        @if pipeline.runs.is_empty() { p { "None is recorded." } } @else { (runs(&pipeline.runs)) }
    }
}

/// The part of an image's page; nothing where the pipeline knows no such image.
pub(super) fn of_image(name: &str, pipeline: &Pipeline) -> Markup {
    let waits: Vec<&Wait> = pipeline.waiting.iter().filter(|wait| wait.image == name).collect();
    let image = pipeline.images.get(name);
    if waits.is_empty() && image.is_none() {
        return html! {};
    }
    html! {
        h2 id="time-to-fix" { "Time to fix" }
        @for wait in waits {
            p.note {
                "To be made anew since " (frame::time(wait.since)) ": " (wait.reason) ". "
                @for obstacle in &wait.obstacles { br; (obstacle) }
            }
        }
        @if let Some(image) = image {
            (times(&image.time_to_fix))
            @if !image.fixes.is_empty() { (fixes(&image.fixes)) }
        }
    }
}

fn waiting(all: &[Wait]) -> Markup {
    let rows = html! {
        @for wait in all {
            tr {
                th scope="row" { (wait.image) }
                td { (wait.architectures.join(", ")) }
                td { (frame::time(wait.since)) }
                td { (wait.urgency) }
                td { (wait.reason) }
                td {
                    @if !wait.obstacles.is_empty() {
                        details {
                            summary { (frame::number(wait.obstacles.len(), "obstacle", "obstacles")) }
                            ul { @for obstacle in &wait.obstacles { li { (obstacle) } } }
                        }
                    }
                    @match (wait.next, wait.obstacles.is_empty()) {
                        (Some(next), _) => { "Tried again " (frame::time(next)) }
                        (None, true) => { "The next run" }
                        (None, false) => { span.quiet { "Tried again when something changes." } }
                    }
                }
            }
        }
    };
    frame::table(
        "What waits",
        all.len() > 12,
        &["Image", "For", "Since", "Urgency", "Why", "Waits for"],
        &rows,
    )
}

fn times(times: &Times) -> Markup {
    html! {
        @if times.count == 0 { p { "No fix was published yet." } } @else {
            dl.pairs {
                dt { "Fixes" } dd { (times.count) }
                @for (name, seconds) in [("Half within", times.median), ("Nine in ten within", times.ninth_decile), ("All within", times.longest)] {
                    @if let Some(seconds) = seconds { dt { (name) } dd { (span(seconds)) } }
                }
            }
        }
    }
}

fn days(all: &[DayTimes]) -> Markup {
    let all = all.get(all.len().saturating_sub(DAYS)..).unwrap_or_default();
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return html! {} };
    let median = |day: &DayTimes| usize::try_from(day.times.median.unwrap_or(0)).unwrap_or(0);
    let most = all.iter().map(median).max().unwrap_or(0).max(1);
    let step = WIDTH / all.len().max(12);
    let label = format!("Median time to fix by day, from {} to {}", first.day, last.day);
    let rows = html! {
        @for day in all.iter().rev() {
            tr {
                th scope="row" { (day.day) }
                td.number { (day.times.count) }
                @for seconds in [day.times.median, day.times.ninth_decile, day.times.longest] {
                    td.number { (seconds.map_or_else(|| "–".to_owned(), span)) }
                }
            }
        }
    };
    html! {
        svg.chart role="img" aria-label=(label) viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + 2)) {
            @for (place, day) in all.iter().enumerate() {
                // In two steps: seconds of years times the height fit into no small number.
                @let height = usize::try_from(median(day) as u128 * HEIGHT as u128 / most as u128).unwrap_or(HEIGHT).max(1);
                rect.low x=(place * step) y=(HEIGHT - height) width=(step.saturating_sub(1).max(1)) height=(height) fill="currentColor" {}
            }
            rect.base x="0" y=(HEIGHT) width=(WIDTH) height="1" fill="currentColor" {}
        }
        p.quiet { "Medians of the days on which fixes were published, " (first.day) " to " (last.day) "; at most " (span(i64::try_from(most).unwrap_or(i64::MAX))) "." }
        details {
            summary { "As a table" }
            (frame::table("Time to fix by day", true, &["Day", "#Fixes", "#Median", "#Nine in ten", "#Longest"], &rows))
        }
    }
}

fn by_image(pipeline: &Pipeline) -> Markup {
    let measured: Vec<_> = pipeline.images.iter().filter(|(_, image)| image.time_to_fix.count > 0).collect();
    let rows = html! {
        @for (name, image) in &measured {
            tr {
                th scope="row" { (name) }
                td.number { (image.published.len()) }
                td.number { (image.time_to_fix.count) }
                @for seconds in [image.time_to_fix.median, image.time_to_fix.ninth_decile, image.time_to_fix.longest] {
                    td.number { (seconds.map_or_else(|| "–".to_owned(), span)) }
                }
            }
        }
    };
    let heads = ["Image", "#Published", "#Fixes", "#Median", "#Nine in ten", "#Longest"];
    html! { @if !measured.is_empty() { (frame::table("Time to fix by image", measured.len() > 12, &heads, &rows)) } }
}

fn fixes(all: &[Fix]) -> Markup {
    let rows = html! {
        @for fix in all.iter().take(FIXES) {
            tr {
                th scope="row" { (flaw_link(&fix.flaw)) }
                td { (frame::severity(&fix.severity)) }
                td { (fix.package) " " span.quiet { (fix.version) } }
                td { (fix.architecture) }
                td { (frame::time(fix.available)) }
                td { @match fix.published { Some(at) => { (frame::time(at)) } None => { "not yet" } } }
                td.number { (fix.seconds.map_or_else(|| "–".to_owned(), span)) }
            }
        }
    };
    let heads = ["Flaw", "Severity", "Package", "For", "Fix", "Published", "#Took"];
    frame::table("Flaws that it lost", all.len() > 12, &heads, &rows)
}

fn runs(all: &[Run]) -> Markup {
    let rows = html! {
        @for run in all.iter().take(RUNS) {
            tr {
                th scope="row" { (frame::time(run.began)) }
                td { (run.outcome) }
                td.number { @match run.seconds { Some(seconds) => { (span(i64::try_from(seconds).unwrap_or(i64::MAX))) } None => { "–" } } }
                td {
                    @for image in &run.images {
                        div {
                            (image.image) ": " (image.outcome) " " span.quiet { "(" (image.reason) ")" }
                            @if image.fixed > 0 { ", " (frame::number(image.fixed, "fix", "fixes")) }
                        }
                        @if !image.obstacles.is_empty() {
                            details {
                                summary { "Why " (image.image) " is " (image.outcome) }
                                ul { @for obstacle in &image.obstacles { li { (obstacle) } } }
                            }
                        }
                    }
                    @for remark in &run.remarks { div { (remark) } }
                }
            }
        }
    };
    frame::table("Runs of the pipeline", true, &["Began", "Outcome", "#Took", "Images"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_length_are_told_and_drawn() {
        let told = [0, 119, 120, 7_200, 172_800].map(span);
        assert_eq!(told, ["0 s", "119 s", "2.0 min", "2.0 hours", "2.0 days"]);
        let day = |median| DayTimes {
            day: "2026-01-01".to_owned(),
            times: Times { count: 1, median, ..Times::default() },
        };
        let text = days(&[day(Some(i64::MAX)), day(Some(1)), day(Some(-5)), day(None)]).into_string();
        assert_eq!(text.matches("<rect class=\"low\"").count(), 4, "{text}");
        assert!(text.contains("y=\"0\"") && text.contains("height=\"1\""), "{text}");
    }
}
