//! The page of an image: for each machine its packages, flaws, statements, layers and documents.

use calypte_advisory::Finding;
use maud::{Markup, html};

use super::Asked;
use super::address;
use super::changes::{self, Changes};
use super::evidence::{Evidence, Provenance, Vex};
use super::frame::{self, Part, number};
use super::given::{Given, Kind, Known, Scan};
use super::pipeline::{self, Pipeline};
use super::shelf::{Image, Layer, Platform};
use super::view;

/// One machine's image with what is said of it.
pub(super) struct Machine<'a> {
    /// The image.
    pub platform: &'a Platform,
    /// What is said.
    pub evidence: &'a Evidence,
    /// What the factory knows.
    pub known: Option<&'a Known>,
    /// The documents that can be downloaded.
    pub documents: &'a [Kind],
    /// The pipeline.
    pub pipeline: Option<&'a Pipeline>,
    /// What its last update changed.
    pub changes: &'a Changes,
}

/// An index over several machines with what is said of it.
pub(super) struct Over<'a> {
    /// The index.
    pub image: &'a Image,
    /// Whether somebody signed it.
    pub signed: bool,
    /// What its last update changed.
    pub changes: &'a Changes,
}

/// The page of an index over several machines: what they have in common, and the way to each.
pub(super) fn index(name: &str, key: &str, over: &Over<'_>, given: &Given, asked: &Asked<'_>) -> String {
    let Over { image, signed, changes } = *over;
    let title = format!("{name} {}", shorter(key));
    let rows = html! {
        @for platform in &image.platforms {
            tr {
                th scope="row" { a href=(address::of_image(name, platform.digest)) { (platform.platform) } }
                td.number { (frame::bytes(platform.size)) }
                td.number { (platform.layers.len()) }
                td { (frame::counts(view::counts(platform, given).as_ref())) }
                td { (frame::digest(&platform.digest)) }
            }
        }
    };
    let content = html! {
        (way(name, key))
        h1 { (title) }
        (pull(name, &image.digest.to_string(), signed, asked))
        h2 id="machines" { "Machines" }
        p { "Packages, flaws, statements and layers are those of one machine's image." }
        (frame::table("Machines", false, &["Machine", "#Download", "#Layers", "Flaws", "Digest"], &rows))
        @if let (Some(known), Some(pipeline)) = (view::known(image, given), given.pipeline.as_deref()) { (pipeline::of_image(&known.image, pipeline)) }
        (changes::part(name, key, changes))
        (annotations(image))
        p { a href=(format!("/api/v1/images/{name}/-/{key}")) { "As JSON" } }
    };
    frame::page(Part::Images, &title, Some(&format!("/feeds/images/{name}.atom")), &content)
}

/// The page of one machine's image.
pub(super) fn machine(name: &str, key: &str, machine: &Machine<'_>, asked: &Asked<'_>) -> String {
    let platform = machine.platform;
    let title = format!("{name} {} for {}", shorter(key), platform.platform);
    let signed = machine.evidence.statements.iter().any(super::evidence::Said::is_signature);
    let scan = machine.known.and_then(|known| known.scan.as_ref());
    let content = html! {
        (way(name, key))
        h1 { (title) }
        (facts(machine))
        (pull(name, &platform.digest.to_string(), signed, asked))
        (flaws(scan))
        @if let (Some(known), Some(pipeline)) = (machine.known, machine.pipeline) { (pipeline::of_image(&known.image, pipeline)) }
        (changes::part(name, key, machine.changes))
        (vex(&machine.evidence.vex))
        (packages(machine))
        (documents(name, machine))
        (provenance(machine.evidence.provenance.as_ref()))
        (tests(machine.evidence))
        (layers(&platform.layers))
    };
    frame::page(Part::Images, &title, Some(&format!("/feeds/images/{name}.atom")), &content)
}

pub(super) fn shorter(key: &str) -> String {
    if key.len() > 24 && key.starts_with("sha256:") {
        format!("{}…", key.get(..19).unwrap_or(key))
    } else {
        key.to_owned()
    }
}

fn way(name: &str, key: &str) -> Markup {
    let steps = [("/".to_owned(), "Images".to_owned()), (address::repository(name), name.to_owned())];
    frame::crumbs(&steps, &shorter(key))
}

fn facts(machine: &Machine<'_>) -> Markup {
    let platform = machine.platform;
    html! {
        dl.pairs {
            dt { "Digest" } dd { code { (platform.digest) } }
            dt { "To download" } dd { (frame::bytes(platform.size)) " in " (number(platform.layers.len(), "layer", "layers")) }
            @if !machine.evidence.packages.is_empty() { dt { "Packages" } dd { (machine.evidence.packages.len()) } }
            @if let Some(created) = &platform.created { dt { "Newest content" } dd { time datetime=(created) { (created) } } }
            @if let Some(known) = machine.known {
                dt { "Image of the catalog" } dd { code { (known.image) } " in " (known.universe) }
                dt { "Its packages" } dd { (known.packages_support) }
            }
            @if !platform.run.command.is_empty() { dt { "Starts" } dd { code { (platform.run.command.join(" ")) } } }
            @if let Some(user) = &platform.run.user { dt { "Runs as" } dd { code { (user) } } }
            @if !platform.run.ports.is_empty() { dt { "Ports" } dd { code { (platform.run.ports.join(", ")) } } }
        }
    }
}

fn pull(name: &str, digest: &str, signed: bool, asked: &Asked<'_>) -> Markup {
    let reference = format!("{}/{name}@{digest}", asked.host);
    let (ours, cosigns) = if asked.https { ("", "") } else { ("--plain-http ", "--allow-http-registry ") };
    html! {
        h2 id="pull" { "Pull and verify" }
        (frame::command(&format!("podman pull {}{reference}", frame::plain(asked))))
        @if signed {
            p { "With the public key of whoever publishes here:" }
            (frame::command(&format!("calypte verify {reference} {ours}--key release.key.pub\ncosign verify {cosigns}--insecure-ignore-tlog=true --key release.key.pub {reference}")))
        } @else {
            p.note { "Nobody has signed this image here. Its digest can still be compared with that of a build from the same lock." }
        }
    }
}

fn annotations(image: &Image) -> Markup {
    html! {
        @if !image.annotations.is_empty() {
            h2 id="annotations" { "Annotations" }
            dl.pairs { @for (name, value) in &image.annotations { dt { code { (name) } } dd { (value) } } }
        }
    }
}

fn flaws(scan: Option<&Scan>) -> Markup {
    let Some(scan) = scan else {
        return html! {
            h2 id="flaws" { "Known flaws" }
            p { "This image was not scanned. " code { "calypte advisories update" } " fetches what is known of flaws; images of the catalog are scanned then." }
        };
    };
    let (counting, quiet): (Vec<_>, Vec<_>) =
        scan.findings.iter().partition(|finding| finding.suppressed.is_none());
    html! {
        h2 id="flaws" { "Known flaws" }
        @if counting.is_empty() && scan.unknown.is_empty() { p { span.word.good { "no known flaws" } } }
        @if counting.is_empty() && !scan.unknown.is_empty() { p { "None was found, which proves nothing of these:" } }
        @if !scan.unknown.is_empty() { ul { @for reason in &scan.unknown { li { (reason) } } } }
        @if !counting.is_empty() { (findings("Known flaws", &counting)) }
        @if !quiet.is_empty() {
            h3 id="suppressed" { "Flaws that do not count here (" (quiet.len()) ")" }
            (findings("Flaws that do not count here", &quiet))
        }
    }
}

fn findings(label: &str, findings: &[&Finding]) -> Markup {
    let rows = html! {
        @for finding in findings {
            tr {
                th scope="row" { (flaw_link(&finding.vulnerability)) }
                td { (frame::severity(&finding.severity)) @if finding.exploited.is_some() { " " span.word.critical { "exploited" } } }
                td { (finding.name) " " span.quiet { (finding.version) } }
                td { (view::fix(&finding.state)) }
                td {
                    @match &finding.suppressed {
                        Some(suppressed) => { (suppressed.reason) @if !suppressed.evidence.is_empty() { " " span.quiet { "(" (suppressed.evidence) ")" } } }
                        None => { "in " (finding.range) ", says " (finding.source.0) }
                    }
                }
            }
        }
    };
    frame::table(label, findings.len() > 12, &["Flaw", "Severity", "Package", "Fixed in", "Why"], &rows)
}

/// A flaw's name, as a link where there can be a page of it.
pub(super) fn flaw_link(name: &str) -> Markup {
    html! {
        @match address::of_flaw(name) {
            Some(address) => { a href=(address) { (name) } }
            None => { (name) }
        }
    }
}

fn vex(statements: &[Vex]) -> Markup {
    let rows = html! {
        @for statement in statements {
            tr {
                th scope="row" { (flaw_link(&statement.flaw)) }
                td { (statement.status.replace('_', " ")) }
                td { @if let Some(justification) = &statement.justification { (justification.replace('_', " ")) } }
                td { @for package in &statement.packages { code { (package) } " " } }
                td { (statement.note.as_deref().unwrap_or_default()) }
            }
        }
    };
    html! {
        h2 id="vex" { "VEX statements" }
        @if statements.is_empty() { p { "None." } }
        @else { (frame::table("VEX statements", statements.len() > 12, &["Flaw", "Status", "Because", "In", "Evidence"], &rows)) }
    }
}

fn packages(machine: &Machine<'_>) -> Markup {
    let packages = &machine.evidence.packages;
    let rows = html! {
        @for package in packages {
            tr {
                th scope="row" { (package.name) }
                td { (package.version) }
                td { (package.licence.as_deref().unwrap_or("–")) }
                td { @if let Some(purl) = &package.purl { code { (purl) } } }
            }
        }
    };
    html! {
        h2 id="packages" { "Packages" }
        @if packages.is_empty() { p { "Nothing says what is in this image: no bill of materials is attached, and the catalog has no such image." } }
        @else { (frame::table("Packages", packages.len() > 12, &["Package", "Version", "Licence", "Package URL"], &rows)) }
    }
}

fn documents(name: &str, machine: &Machine<'_>) -> Markup {
    html! {
        h2 id="documents" { "Documents" }
        @if machine.documents.is_empty() { p { "None." } } @else {
            ul { @for kind in machine.documents {
                li { a href=(format!("{}/{}", address::of_image(name, machine.platform.digest), kind.file())) { (kind.title()) } }
            } }
        }
        @if !machine.evidence.statements.is_empty() {
            h3 { "Signed statements" }
            @let rows = html! {
                @for said in &machine.evidence.statements {
                    tr {
                        th scope="row" { @if said.is_signature() { "signature" } @else { code { (said.kind) } } }
                        td { @if let Some(key) = &said.key { code { (key) } } @else { "–" } }
                        td { (frame::digest(&said.referrer)) }
                    }
                }
            };
            (frame::table("Signed statements", false, &["What", "Key, as it calls itself", "Referrer"], &rows))
        }
    }
}

fn provenance(provenance: Option<&Provenance>) -> Markup {
    let Some(provenance) = provenance else {
        return html! { h2 id="provenance" { "Provenance" } p { "None is attached." } };
    };
    let rows = html! {
        @for (uri, digest) in &provenance.materials { tr { th scope="row" { (uri) } td { code { (digest) } } } }
    };
    html! {
        h2 id="provenance" { "Provenance" }
        dl.pairs {
            dt { "Builder" } dd { code { (provenance.builder) } }
            @for (name, value) in &provenance.parameters { dt { (name) } dd { code { (value) } } }
        }
        (frame::table("What it was made of", true, &["Material", "SHA-256"], &rows))
    }
}

fn tests(evidence: &Evidence) -> Markup {
    html! {
        @if !evidence.tests.is_empty() {
            h2 id="tests" { "Tests" }
            ul { @for test in &evidence.tests {
                @let class = match test.outcome { "passed" => "word good", "failed" => "word critical", _ => "word medium" };
                li { span class=(class) { (test.outcome) } " " (test.name) }
            } }
        }
    }
}

fn layers(layers: &[Layer]) -> Markup {
    let rows = html! {
        @for (place, layer) in layers.iter().enumerate() {
            tr {
                th scope="row" { (place + 1) }
                td { (layer.title.as_deref().unwrap_or("–")) }
                td.number { (frame::bytes(layer.size)) }
                td { (frame::digest(&layer.digest)) }
            }
        }
    };
    html! {
        h2 id="layers" { "Layers" }
        @if layers.is_empty() { p { "None." } }
        @else { (frame::table("Layers", layers.len() > 12, &["Layer", "What it is of", "#Download", "Digest"], &rows)) }
    }
}
