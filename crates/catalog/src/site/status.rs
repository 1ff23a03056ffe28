//! The state of things: the pipeline, ages of the feeds, what could not be gathered.

use maud::{Markup, html};

use super::frame::{self, Part, number};
use super::given::Given;
use super::pipeline;
use super::view::Summary;

/// The page.
pub(super) fn page(all: &[Summary], given: &Given) -> String {
    let scanned = given.manifests.values().filter(|known| known.scan.is_some()).count();
    let content = html! {
        h1 { "Status" }
        dl.pairs {
            dt { "Repositories" } dd { (all.len()) }
            dt { "Images" } dd { (all.iter().map(|summary| summary.images).sum::<usize>()) }
            dt { "Scanned" } dd { (number(scanned, "image of one machine", "images of one machine each")) }
            dt { "Gathered" } dd { @match given.at { Some(at) => { (frame::time(at)) } None => { "not yet" } } }
        }
        @if !given.problems.is_empty() {
            h2 { "What could not be gathered" }
            ul { @for problem in &given.problems { li { (problem) } } }
        }
        (pipeline::part(given.pipeline.as_deref()))
        (feeds(given))
        (documents(given))
    };
    frame::page(Part::Status, "Status", None, &content)
}

fn feeds(given: &Given) -> Markup {
    let rows = html! {
        @for feed in &given.feeds {
            tr {
                th scope="row" { (feed.source.0) }
                td { (frame::time(feed.checked)) }
                td.number { (feed.age_days) " d" }
                td { @if feed.stale { span.word.high { "too old" } } @else { span.word.good { "fresh" } } }
                td { (feed.url) }
            }
        }
    };
    html! {
        h2 id="feeds" { "Feeds of advisories" }
        @if given.feeds.is_empty() { p { "None was read: nothing is known of flaws. " code { "calypte advisories update" } " fetches them." } }
        @else { (frame::table("Feeds of advisories", false, &["Feed", "Checked", "#Age", "State", "From"], &rows)) }
    }
}

fn documents(given: &Given) -> Markup {
    html! {
        h2 id="documents" { "Published statements" }
        @if given.documents.is_some() {
            ul {
                li { a href="/.well-known/csaf/provider-metadata.json" { "CSAF provider" } }
                li { a href="/.well-known/vex-repository.json" { "VEX repository" } }
            }
        } @else {
            p { "None are served here. " code { "calypte vex --all" } " writes them, and " code { "calypte serve --documents" } " serves them." }
        }
    }
}
