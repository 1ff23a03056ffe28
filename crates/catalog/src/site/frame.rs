//! What all pages have in common: head, navigation, footer, and the small pieces that they are made of.

use calypte_base::{Digest, Epoch};
use maud::{DOCTYPE, Markup, html};

use super::Asked;
use super::view::{Counts, SEVERITIES};

/// Which part of the site a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The images.
    Images,
    /// The flaws.
    Flaws,
    /// The state of things.
    Status,
    /// What programs find.
    Api,
    /// None.
    None,
}

const PARTS: [(Part, &str, &str); 4] = [
    (Part::Images, "/", "Images"),
    (Part::Flaws, "/flaws", "Flaws"),
    (Part::Status, "/status", "Status"),
    (Part::Api, "/api", "API"),
];

/// A whole page. `feed` is the Atom feed of what it shows.
pub(super) fn page(part: Part, title: &str, feed: Option<&str>, content: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – Calypte" }
                link rel="stylesheet" href="/style.css";
                link rel="icon" type="image/svg+xml" href="/icon.svg";
                @if let Some(feed) = feed {
                    link rel="alternate" type="application/atom+xml" title=(title) href=(feed);
                }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    div.frame {
                        a.brand href="/" { "Calypte" }
                        nav aria-label="Main" {
                            ul {
                                @for (of, address, name) in PARTS {
                                    li {
                                        @if of == part { a href=(address) aria-current="page" { (name) } }
                                        @else { a href=(address) { (name) } }
                                    }
                                }
                            }
                        }
                    }
                }
                main id="content" tabindex="-1" { div.frame { (content) } }
                footer {
                    div.frame {
                        "Made and served by Calypte. Every image is pulled by its digest, and checked with the key of whom you trust. "
                        a href="/feeds/images.atom" { "Feed of images" } " · "
                        a href="/feeds/flaws.atom" { "Feed of flaws" } " · "
                        a href="/api" { "API" }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// A page that says that something is not here.
pub(super) fn missing(what: &str) -> String {
    let content = html! {
        h1 { "Not here" }
        p.lead { (what) }
        p { a href="/" { "All images" } " · " a href="/flaws" { "All flaws" } }
    };
    page(Part::None, "Not here", None, &content)
}

/// The way from the start to a page.
pub(super) fn crumbs(steps: &[(String, String)], here: &str) -> Markup {
    html! {
        nav.crumbs aria-label="Breadcrumb" {
            ol {
                @for (address, name) in steps { li { a href=(address) { (name) } } }
                li aria-current="page" { (here) }
            }
        }
    }
}

/// A table that scrolls by itself where it is wider than the page, also by keyboard.
pub(super) fn table(label: &str, long: bool, heads: &[&str], rows: &Markup) -> Markup {
    html! {
        div.wide.long[long] role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr {
                    @for head in heads {
                        @match head.strip_prefix('#') {
                            Some(head) => { th.number scope="col" { (head) } }
                            None => { th scope="col" { (head) } }
                        }
                    }
                } }
                tbody { (rows) }
            }
        }
    }
}

/// A command to be copied.
pub(super) fn command(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (text) } } }
}

/// Bytes for readers: `12.3 MB`.
pub(super) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = count as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// The beginning of a digest, and all of it for who points at it.
pub(super) fn digest(digest: &Digest) -> Markup {
    let text = digest.to_string();
    let short: String = text.chars().take(19).collect();
    html! { code.digest title=(text) { (short) "…" } }
}

/// A time as its day and minute.
pub(super) fn time(at: Epoch) -> Markup {
    let text = at.to_string();
    let shown: String = text.chars().take(16).collect::<String>().replace('T', " ");
    html! { time datetime=(text) { (shown) } }
}

/// A severity as a word with a colour.
pub(super) fn severity(word: &str) -> Markup {
    // Only words that the style sheet knows become classes.
    let class = SEVERITIES.iter().find(|known| **known == word).copied().unwrap_or("unknown");
    html! { span class=(format!("word {class}")) { (word) } }
}

/// Flaws in a few words.
pub(super) fn counts(counts: Option<&Counts>) -> Markup {
    let Some(counts) = counts else { return html! { span.quiet { "not scanned" } } };
    html! {
        @if counts.all == 0 { span.word.good { "no known flaws" } }
        @for word in SEVERITIES {
            @if let Some(count) = counts.by_severity.get(word) {
                span class=(format!("word {word}")) { (count) " " (word) } " "
            }
        }
    }
}

/// One of something, or several.
pub(super) fn number(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// What stands before podman's and skopeo's references where the server speaks plain http.
pub(super) const fn plain(asked: &Asked<'_>) -> &'static str {
    if asked.https { "" } else { "--tls-verify=false " }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_as_people_say_them() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345_678, "12.3 MB"),
            (2_000_000_000, "2.0 GB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn words_that_nobody_knows_become_no_classes() {
        let text = severity("\"><script>").into_string();
        assert!(text.contains("class=\"word unknown\"") && !text.contains("<script>"), "{text}");
    }
}
