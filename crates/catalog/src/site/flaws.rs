//! The list of flaws, and the page of one: which images have it, where it counts, what is said of it.

use maud::{Markup, html};

use super::address;
use super::evidence::Vex;
use super::frame::{self, Part, number};
use super::home::select;
use super::view::{Filter, Flaw, SEVERITIES};

/// Most flaws on one page.
const MOST: usize = 500;

/// What the list is narrowed by.
#[derive(Debug, Default)]
pub(super) struct FlawFilter {
    /// The search as it was typed.
    pub text: String,
    /// One severity.
    pub severity: String,
}

impl FlawFilter {
    /// Reads the parameters of a query.
    pub(super) fn read(parameter: impl Fn(&str) -> Option<String>) -> Self {
        let severity = parameter("severity").unwrap_or_default();
        Self { text: Filter::read(parameter).text, severity }
    }

    /// Whether a flaw passes.
    pub(super) fn passes(&self, flaw: &Flaw) -> bool {
        let words = self.text.to_lowercase();
        let in_text = |word: &str| {
            let names = std::iter::once(&flaw.name).chain(&flaw.aliases);
            let places = flaw.places.iter().flat_map(|place| [&place.package, &place.repository]);
            names.chain(places).any(|text| text.to_lowercase().contains(word))
        };
        (self.severity.is_empty() || self.severity == flaw.severity) && words.split_whitespace().all(in_text)
    }
}

/// The list.
pub(super) fn list(flaws: &[&Flaw], all: usize, filter: &FlawFilter, scanned: bool) -> String {
    let rows = html! {
        @for flaw in flaws.iter().take(MOST) {
            tr {
                th scope="row" { (super::image::flaw_link(&flaw.name)) }
                td { (frame::severity(&flaw.severity)) @if flaw.exploited { " " span.word.critical { "exploited" } } }
                td.number { (flaw.counting()) }
                td.number { (flaw.places.len() - flaw.counting()) }
                td { @if flaw.fixable { "yes" } @else { "no" } }
                td.number { @if let Some(epss) = flaw.epss { (format!("{:.1} %", epss * 100.0)) } @else { "–" } }
                td { @if let Some(published) = flaw.published { (frame::time(published)) } @else { "–" } }
            }
        }
    };
    let content = html! {
        h1 { "Known flaws" }
        p.lead { "What advisories say of the packages in these images, now." }
        (form(filter))
        h2 { (number(flaws.len(), "flaw", "flaws")) @if flaws.len() != all { " of " (all) } }
        @if !scanned {
            p.note { "No image here was scanned. " code { "calypte advisories update" } " fetches what is known of flaws; images of the catalog are scanned then." }
        } @else if flaws.is_empty() { p { "None." } }
        @else {
            @if flaws.len() > MOST { p { "The first " (MOST) " are shown; search for others." } }
            (frame::table("Known flaws", false, &["Flaw", "Severity", "#Counts in", "#Does not in", "Fix", "#EPSS", "Disclosed"], &rows))
        }
        p { a href="/feeds/flaws.atom" { "Feed of flaws" } " · " a href="/api/v1/flaws" { "As JSON" } }
    };
    frame::page(Part::Flaws, "Known flaws", Some("/feeds/flaws.atom"), &content)
}

fn form(filter: &FlawFilter) -> Markup {
    html! {
        form.search.short role="search" method="get" action="/flaws" aria-label="Flaws" {
            div.first {
                label for="q" { "Flaw, package or image" }
                input type="search" id="q" name="q" value=(filter.text) maxlength="200" autocomplete="off";
            }
            (select("severity", "Severity", "any", SEVERITIES.iter().map(|word| (*word, *word)), &filter.severity))
            div.last { button type="submit" { "Show" } }
        }
    }
}

/// The page of one flaw. `said` are statements about it, with the repository whose image they are about.
pub(super) fn one(flaw: Option<&Flaw>, name: &str, said: &[(String, Vex)]) -> String {
    let content = html! {
        (frame::crumbs(&[("/flaws".to_owned(), "Known flaws".to_owned())], name))
        h1 { (name) }
        @if let Some(flaw) = flaw { (facts(flaw)) (places(flaw)) }
        @else { p.lead { "No scan found it in an image that is published here." } }
        @if !said.is_empty() { (statements(said)) }
        p { a href=(format!("/api/v1/flaws/{name}")) { "As JSON" } }
    };
    frame::page(Part::Flaws, name, Some("/feeds/flaws.atom"), &content)
}

fn facts(flaw: &Flaw) -> Markup {
    html! {
        dl.pairs {
            dt { "Severity" } dd { (frame::severity(&flaw.severity)) @if flaw.exploited { " " span.word.critical { "exploited, says CISA" } } }
            @if !flaw.aliases.is_empty() { dt { "Also called" } dd { (flaw.aliases.iter().cloned().collect::<Vec<_>>().join(", ")) } }
            @if let Some(epss) = flaw.epss { dt { "EPSS" } dd { (format!("{:.2} %", epss * 100.0)) " to be exploited within 30 days" } }
            @if let Some(published) = flaw.published { dt { "Disclosed" } dd { (frame::time(published)) } }
            dt { "Fix" } dd { @if flaw.fixable { "There is one." } @else { "None is known." } }
        }
        @let links: Vec<_> = flaw.references.iter().filter(|link| link.starts_with("https://") || link.starts_with("http://")).collect();
        @if !links.is_empty() { ul { @for link in links { li { a href=(link) rel="noreferrer" { (link) } } } } }
    }
}

fn places(flaw: &Flaw) -> Markup {
    let rows = html! {
        @for place in &flaw.places {
            tr {
                th scope="row" { a href=(address::of_image(&place.repository, place.digest)) { (place.repository) ":" (place.tag) } }
                td { (place.platform) }
                td { (place.package) " " span.quiet { (place.version) } }
                td { (place.fix) }
                td { @match &place.suppressed { Some(reason) => { (reason) } None => { span.word.high { "counts" } } } }
            }
        }
    };
    html! {
        h2 { (number(flaw.places.len(), "place", "places")) ", " (flaw.counting()) " in which it counts" }
        (frame::table("Images with this flaw", flaw.places.len() > 20, &["Image", "For", "Package", "Fixed in", "State"], &rows))
    }
}

fn statements(said: &[(String, Vex)]) -> Markup {
    let rows = html! {
        @for (repository, vex) in said {
            tr {
                th scope="row" { a href=(address::repository(repository)) { (repository) } }
                td { (vex.status.replace('_', " ")) }
                td { @if let Some(why) = &vex.justification { (why.replace('_', " ")) } }
                td { (vex.note.as_deref().unwrap_or_default()) }
            }
        }
    };
    html! {
        h2 { "What is said of it" }
        (frame::table("VEX statements", said.len() > 20, &["Repository", "Status", "Because", "Evidence"], &rows))
    }
}

/// Reads nothing and tells which words a list may be narrowed by, for the API's description.
pub(super) const fn severities() -> [&'static str; 6] {
    SEVERITIES
}
