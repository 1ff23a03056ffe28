//! What changed from one image to another of the same repository: packages, by their bills of materials, and layers, which are
//! what an update costs whoever has the first. An image's predecessor is what a tag led to before.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Digest, Epoch};
use maud::{Markup, html};
use serde::Serialize;

use super::address;
use super::evidence::{Evidence, Package};
use super::frame::{self, Part, number};
use super::shelf::{Layer, Platform};

/// What changed from one image to another.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    /// The repository.
    pub repository: String,
    /// The earlier image; none where nothing earlier is known.
    pub from: Option<Digest>,
    /// The later one.
    pub to: Digest,
    /// For each machine of the later one.
    pub machines: Vec<Machine>,
    /// The images before the later one, the latest first, each with when it was replaced.
    pub earlier: Vec<Earlier>,
}

/// An image that a tag led to before.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Earlier {
    /// Its digest.
    pub digest: Digest,
    /// When the one after it took its place.
    pub replaced: Option<Epoch>,
}

/// What changed for one machine.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// `linux/arm64`.
    pub platform: String,
    /// Digest of the earlier manifest; none where there was none for this machine.
    pub from: Option<Digest>,
    /// Digest of the later manifest.
    pub to: Digest,
    /// Bytes to download of the whole image.
    pub size: u64,
    /// Bytes to download for whoever has the earlier one.
    pub update: u64,
    /// The layers that the earlier one does not have.
    pub layers: Vec<Layer>,
    /// The packages that changed, by name; none where one of the two has no bill of materials.
    pub packages: Option<Vec<Change>>,
}

/// How a package changed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Change {
    /// Its name.
    pub name: String,
    /// The versions in the earlier image; none where it was not there.
    pub before: Vec<String>,
    /// The versions in the later one; none where it is not there any more.
    pub after: Vec<String>,
}

impl Machine {
    /// Compares one machine's images.
    pub(super) fn of(from: Option<(&Platform, &Evidence)>, to: (&Platform, &Evidence)) -> Self {
        let (platform, evidence) = to;
        let had: BTreeSet<Digest> =
            from.into_iter().flat_map(|(platform, _)| &platform.layers).map(|layer| layer.digest).collect();
        let is_new = |layer: &&Layer| !had.contains(&layer.digest);
        let layers: Vec<Layer> = platform.layers.iter().filter(is_new).cloned().collect();
        // What is not layers is the config: new wherever anything is.
        let kept = platform.layers.iter().filter(|layer| !is_new(layer)).map(|layer| layer.size);
        let is_same = from.is_some_and(|(earlier, _)| earlier.digest == platform.digest);
        let update =
            if is_same { 0 } else { kept.fold(platform.size, |size, kept| size.saturating_sub(kept)) };
        let packages = from.and_then(|(_, earlier)| changes(&earlier.packages, &evidence.packages));
        Self {
            platform: platform.platform.clone(),
            from: from.map(|(platform, _)| platform.digest),
            to: platform.digest,
            size: platform.size,
            update,
            layers,
            packages,
        }
    }
}

/// The packages that changed; none where one of the lists is empty, which says that nobody knows.
fn changes(before: &[Package], after: &[Package]) -> Option<Vec<Change>> {
    if before.is_empty() || after.is_empty() {
        return None;
    }
    let mut all: BTreeMap<Name<'_>, [BTreeSet<&str>; 2]> = BTreeMap::new();
    for (side, packages) in [before, after].into_iter().enumerate() {
        for package in packages {
            if let Some(versions) = all.entry(Name::of(package)).or_default().get_mut(side) {
                versions.insert(&package.version);
            }
        }
    }
    let owned = |versions: &BTreeSet<&str>| versions.iter().map(ToString::to_string).collect();
    let changed = all.iter().filter(|(_, [before, after])| before != after);
    let changed = changed.map(|(name, [before, after])| Change {
        name: name.name.to_owned(),
        before: owned(before),
        after: owned(after),
    });
    Some(changed.collect())
}

/// Packages of the same name and of other kinds are others: `requests` of Debian and of PyPI.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a> {
    name: &'a str,
    kind: &'a str,
}

impl<'a> Name<'a> {
    fn of(package: &'a Package) -> Self {
        let purl = package.purl.as_deref().unwrap_or_default();
        Self { name: &package.name, kind: purl.split('/').next().unwrap_or_default() }
    }
}

/// The page.
pub(super) fn page(name: &str, key: &str, changes: &Changes, others: &[String]) -> String {
    let title = format!("Changes of {name} {}", super::image::shorter(key));
    let address = address::of_image(name, key);
    let steps = [
        ("/".to_owned(), "Images".to_owned()),
        (address::repository(name), name.to_owned()),
        (address.clone(), super::image::shorter(key)),
    ];
    let content = html! {
        (frame::crumbs(&steps, "Changes"))
        h1 { (title) }
        (form(&address, others))
        @match changes.from {
            None => { p { "No tag led to another image before this one." } }
            Some(from) if from == changes.to => { p { "The two are the same image." } }
            Some(from) => {
                p { "From " a href=(address::of_image(name, from)) { (frame::digest(&from)) } " to " a href=(address::of_image(name, changes.to)) { (frame::digest(&changes.to)) } "." }
                @for machine in &changes.machines { (of_machine(machine)) }
            }
        }
        (earlier(&address, &changes.earlier))
        p { a href=(format!("/api/v1{address}/changes")) { "As JSON" } }
    };
    frame::page(Part::Images, &title, None, &content)
}

fn form(address: &str, others: &[String]) -> Markup {
    html! {
        form.search.short method="get" action=(format!("{address}/changes")) aria-label="Compare" {
            div.first {
                label for="from" { "Compared with" }
                select id="from" name="from" {
                    option value="" { "the image before" }
                    @for tag in others { option value=(tag) { (tag) } }
                }
            }
            div.last { button type="submit" { "Compare" } }
        }
    }
}

fn of_machine(machine: &Machine) -> Markup {
    let rows = html! {
        @for layer in &machine.layers {
            tr {
                th scope="row" { (layer.title.as_deref().unwrap_or("–")) }
                td.number { (frame::bytes(layer.size)) }
                td { (frame::digest(&layer.digest)) }
            }
        }
    };
    let label = format!("New layers for {}", machine.platform);
    html! {
        h2 { (machine.platform) }
        p { (cost(machine)) }
        (packages(machine))
        @if !machine.layers.is_empty() {
            h3 { "New layers" }
            (frame::table(&label, machine.layers.len() > 12, &["What it is of", "#Download", "Digest"], &rows))
        }
    }
}

/// What an update costs, as a sentence.
fn cost(machine: &Machine) -> String {
    match machine.from {
        None => {
            format!("There was no image for this machine; all of it is new: {}.", frame::bytes(machine.size))
        }
        Some(_) => format!(
            "Whoever has the image before downloads {} of {}, in {}.",
            frame::bytes(machine.update),
            frame::bytes(machine.size),
            number(machine.layers.len(), "new layer", "new layers")
        ),
    }
}

fn packages(machine: &Machine) -> Markup {
    let Some(changed) = &machine.packages else {
        return html! {
            @if machine.from.is_some() { p { "Which packages changed is not known: one of the two has no bill of materials here." } }
        };
    };
    let versions =
        |versions: &[String]| if versions.is_empty() { "–".to_owned() } else { versions.join(", ") };
    let rows = html! {
        @for change in changed {
            tr {
                th scope="row" { (change.name) }
                td { (versions(&change.before)) }
                td { (versions(&change.after)) }
                td { @match (change.before.is_empty(), change.after.is_empty()) { (true, _) => { "added" } (_, true) => { "removed" } _ => { "changed" } } }
            }
        }
    };
    let label = format!("Packages that changed for {}", machine.platform);
    html! {
        @if changed.is_empty() { p { "No package changed." } }
        @else { (frame::table(&label, changed.len() > 24, &["Package", "Before", "After", "How"], &rows)) }
    }
}

fn earlier(address: &str, earlier: &[Earlier]) -> Markup {
    html! {
        @if !earlier.is_empty() {
            h2 id="earlier" { "Images before" }
            ul { @for one in earlier {
                li {
                    a href=(format!("{address}/changes?from={}", one.digest)) { "changes since " (frame::digest(&one.digest)) }
                    @if let Some(at) = one.replaced { ", replaced " (frame::time(at)) }
                }
            } }
        }
    }
}

/// The part of an image's page: what the last update changed and cost; nothing where there was none.
pub(super) fn part(name: &str, key: &str, changes: &Changes) -> Markup {
    html! {
        @if changes.from.is_some() {
            h2 id="update" { "The last update" }
            @for machine in &changes.machines {
                p {
                    @if changes.machines.len() > 1 { (machine.platform) ": " }
                    (cost(machine)) " "
                    @match &machine.packages {
                        Some(packages) => { (number(packages.len(), "package changed.", "packages changed.")) }
                        None => {}
                    }
                }
            }
            p { a href=(format!("{}/changes", address::of_image(name, key))) { "What changed" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::shelf::Run;
    use super::*;

    fn package(name: &str, version: &str, purl: &str) -> Package {
        let purl = Some(format!("{purl}/{name}@{version}"));
        Package { name: name.to_owned(), version: version.to_owned(), licence: None, purl }
    }

    fn platform(layers: &[(&str, u64)]) -> Platform {
        let layer = |(text, size): &(&str, u64)| Layer {
            digest: Digest::of(text.as_bytes()),
            size: *size,
            title: Some((*text).to_owned()),
        };
        let text: String = layers.iter().map(|(text, _)| *text).collect();
        Platform {
            platform: "linux/amd64".to_owned(),
            digest: Digest::of(text.as_bytes()),
            size: layers.iter().map(|(_, size)| size).sum::<u64>() + 7,
            layers: layers.iter().map(layer).collect(),
            created: None,
            run: Run::default(),
        }
    }

    #[test]
    fn versions_are_compared_by_name_and_kind() {
        let before = [
            package("zlib1g", "1.2", "pkg:deb"),
            package("gone", "1", "pkg:deb"),
            package("requests", "2", "pkg:deb"),
            package("requests", "3", "pkg:pypi"),
        ];
        let after = [
            package("new", "1", "pkg:deb"),
            package("requests", "2", "pkg:deb"),
            package("requests", "4", "pkg:pypi"),
            package("zlib1g", "1.3", "pkg:deb"),
            package("zlib1g", "1.4", "pkg:deb"),
        ];
        let found = changes(&before, &after).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|change| format!("{} {}>{}", change.name, change.before.join("+"), change.after.join("+")))
            .collect();
        assert_eq!(told, ["gone 1>", "new >1", "requests 3>4", "zlib1g 1.2>1.3+1.4"]);
        assert_eq!(changes(&before, &before), Some(Vec::new()));
        // A list that nobody made is no list of nothing.
        assert_eq!(changes(&[], &after), None);
    }

    #[test]
    fn an_update_costs_the_layers_that_are_new_and_the_config() {
        let evidence = Evidence::default();
        let (old, new) = (platform(&[("base", 100), ("app", 10)]), platform(&[("base", 100), ("app2", 20)]));
        let update = Machine::of(Some((&old, &evidence)), (&new, &evidence));
        assert_eq!((update.size, update.update, update.layers.len()), (127, 27, 1));
        let same = Machine::of(Some((&new, &evidence)), (&new, &evidence));
        assert_eq!((same.update, same.layers.len()), (0, 0));
        let first = Machine::of(None, (&new, &evidence));
        assert_eq!((first.update, first.layers.len()), (127, 2));
    }
}
