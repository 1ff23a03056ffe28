//! Atom feeds (RFC 4287): what is new among images and flaws. Ids are of digests and names, so an entry is the same wherever
//! it is served.

use std::fmt::Write as _;

use calypte_base::Epoch;

use super::Asked;
use super::address;
use super::shelf::Repository;
use super::view::Flaw;

/// Most entries of a feed.
const MOST: usize = 200;

struct Entry {
    id: String,
    title: String,
    updated: Epoch,
    path: String,
    summary: String,
}

/// The images of repositories, the newest first: one entry for each image that has tags.
pub(super) fn images(title: &str, path: &str, repositories: &[Repository], asked: &Asked<'_>) -> String {
    let mut entries = Vec::new();
    for repository in repositories {
        for tagged in &repository.images {
            let digest = tagged.image.digest;
            entries.push(Entry {
                id: format!("urn:oci:{}@{digest}", repository.name),
                title: format!("{}:{}", repository.name, tagged.tags.first().map_or("", String::as_str)),
                updated: tagged.moved.unwrap_or_default(),
                path: address::of_image(&repository.name, digest),
                summary: format!("{digest}, tags {}", tagged.tags.join(", ")),
            });
        }
    }
    write(title, path, entries, asked)
}

/// The flaws that count, the newest first.
pub(super) fn flaws<'a>(flaws: impl Iterator<Item = &'a Flaw>, asked: &Asked<'_>) -> String {
    let mut entries = Vec::new();
    for flaw in flaws.filter(|flaw| flaw.counting() > 0) {
        let Some(path) = address::of_flaw(&flaw.name) else { continue };
        let mut images: Vec<&str> = flaw.places.iter().map(|place| place.repository.as_str()).collect();
        images.dedup();
        entries.push(Entry {
            id: format!("urn:calypte:flaw:{}", flaw.name),
            title: format!("{} ({})", flaw.name, flaw.severity),
            updated: flaw.published.unwrap_or_default(),
            path,
            summary: format!(
                "In {}. {}",
                images.join(", "),
                if flaw.fixable { "There is a fix." } else { "No fix is known." }
            ),
        });
    }
    write("Known flaws", "/feeds/flaws.atom", entries, asked)
}

fn write(title: &str, path: &str, mut entries: Vec<Entry>, asked: &Asked<'_>) -> String {
    entries.sort_by(|left, right| (right.updated, &left.id).cmp(&(left.updated, &right.id)));
    entries.truncate(MOST);
    let base = asked.base();
    let updated = entries.first().map_or_else(Epoch::default, |entry| entry.updated);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
         <id>urn:calypte:feed:{0}</id>\n<title>{1}</title>\n<updated>{updated}</updated>\n\
         <author><name>Calypte</name></author>\n<link rel=\"self\" href=\"{2}{0}\"/>\n",
        escaped(path),
        escaped(title),
        escaped(&base)
    );
    for entry in entries {
        let _ = writeln!(
            text,
            "<entry><id>{}</id><title>{}</title><updated>{}</updated><link href=\"{}{}\"/><summary>{}</summary></entry>",
            escaped(&entry.id),
            escaped(&entry.title),
            entry.updated,
            escaped(&base),
            escaped(&entry.path),
            escaped(&entry.summary)
        );
    }
    text.push_str("</feed>\n");
    text
}

/// A text as XML has it. Characters that XML 1.0 cannot hold become what stands for them.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(' '),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}')
            }
            character => out.push(character),
        }
    }
    out
}
