//! The list of images, with its search and filters.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::address;
use super::frame::{self, Part, number};
use super::view::{Filter, Summary};

/// The page. `all` are the repositories before they are narrowed.
pub(super) fn page(all: &[Summary], filter: &Filter, gathering: bool) -> String {
    let shown: Vec<&Summary> = all.iter().filter(|summary| filter.passes(summary)).collect();
    let content = html! {
        h1 { "Container images" }
        p.lead { "Small images out of a distribution's packages, with what is in them and what is known of them." }
        (form(all, filter))
        @if gathering { p.note { "What the catalog and the scans tell is being gathered; until then, this is what the registry holds." } }
        h2 { (heading(shown.len(), all.len(), filter)) }
        @if all.is_empty() {
            p { "Nothing is published here yet. " code { "calypte up" } " builds images and serves them; " code { "calypte push" } " publishes those that are built." }
        } @else if shown.is_empty() {
            p { "Nothing fits. " a href="/" { "Show all images" } "." }
        } @else {
            ul.cards { @for summary in shown { li.card { (card(summary)) } } }
        }
    };
    frame::page(Part::Images, "Images", Some("/feeds/images.atom"), &content)
}

fn heading(shown: usize, all: usize, filter: &Filter) -> String {
    let repositories = number(shown, "repository", "repositories");
    if filter.is_empty() { repositories } else { format!("{repositories} of {all}") }
}

fn form(all: &[Summary], filter: &Filter) -> Markup {
    let categories: BTreeSet<&str> = all.iter().filter_map(|summary| summary.category.as_deref()).collect();
    let architectures: BTreeSet<&str> =
        all.iter().flat_map(|summary| &summary.architectures).map(String::as_str).collect();
    let flaws =
        [("none", "no known flaws"), ("some", "with known flaws"), ("fixable", "with a fix to be had")];
    html! {
        form.search role="search" method="get" action="/" aria-label="Images" {
            div.first {
                label for="q" { "Search" }
                input type="search" id="q" name="q" value=(filter.text) maxlength="200" autocomplete="off";
            }
            (select("category", "Shelf", "all", categories.iter().map(|name| (*name, *name)), &filter.category))
            (select("architecture", "Architecture", "all", architectures.iter().map(|name| (*name, *name)), &filter.architecture))
            (select("flaws", "Flaws", "any", flaws.into_iter(), &filter.flaws))
            div.last { button type="submit" { "Show" } }
        }
    }
}

/// A choice; `whole` is that which narrows nothing.
pub(super) fn select<'a>(
    name: &str,
    label: &str,
    whole: &str,
    choices: impl Iterator<Item = (&'a str, &'a str)>,
    chosen: &str,
) -> Markup {
    html! {
        div {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                option value="" { (whole) }
                @for (value, text) in choices { option value=(value) selected[value == chosen] { (text) } }
            }
        }
    }
}

fn card(summary: &Summary) -> Markup {
    html! {
        h3 { a href=(address::repository(&summary.name)) { (summary.title) } }
        @if summary.title != summary.name { p { code { (summary.name) } } }
        @if !summary.description.is_empty() { p.about { (summary.description) } }
        p { (frame::counts(summary.flaws.as_ref())) @if summary.ended { " " span.word.high { "end of life" } } }
        p.facts {
            @if let Some(version) = &summary.version { span { (version) } }
            @if let Some(size) = summary.size { span { (frame::bytes(size)) } }
            span { (summary.architectures.iter().cloned().collect::<Vec<_>>().join(", ")) }
            span { (number(summary.tags, "tag", "tags")) }
            @if let Some(category) = &summary.category { span { (category) } }
        }
    }
}
