//! `catalog/tags/<universe>.json`: to which image and version each tag was given last. Tags that no image asks for any more
//! stay in it: they are not given back, and one that comes again must not be older than it was.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use calypte_base::{Epoch, PackageFormat};
use serde::{Deserialize, Serialize};

/// The form of the record.
pub const SCHEMA: &str = "calypte.tags/1";

/// What a tag stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tagged {
    /// The image (`python:3.14-builder`).
    pub image: String,
    /// The version of its main package, as the package's format writes it; none where the definition names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The newest date of its packages: what is compared where there is no version.
    pub date: Epoch,
}

/// The tags of a universe's families.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TagRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// The universe.
    pub universe: String,
    /// The format of its packages, by whose rules versions are compared.
    pub format: PackageFormat,
    /// Family → tag → what it stands for.
    pub families: BTreeMap<String, BTreeMap<String, Tagged>>,
}

impl TagRecord {
    /// A record of no tags.
    #[must_use]
    pub fn new(universe: &str, format: PackageFormat) -> Self {
        Self { schema: SCHEMA.to_owned(), universe: universe.to_owned(), format, families: BTreeMap::new() }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none, or of another form.
    pub fn parse(text: &str) -> Result<Self> {
        let record: Self = serde_json::from_str(text).context("this is no record of tags")?;
        if record.schema != SCHEMA {
            bail!("this record has the form `{}`, and this program reads `{SCHEMA}`", record.schema);
        }
        Ok(record)
    }

    /// The record as it is kept: one line a tag.
    ///
    /// # Errors
    /// Never in practice: names and numbers always have a JSON form.
    pub fn to_text(&self) -> Result<String> {
        let mut families = Vec::new();
        for (family, tags) in &self.families {
            let mut lines = Vec::new();
            for (tag, tagged) in tags {
                lines.push(format!(
                    "      {}: {}",
                    serde_json::to_string(tag)?,
                    serde_json::to_string(tagged)?
                ));
            }
            families.push(format!(
                "    {}: {{\n{}\n    }}",
                serde_json::to_string(family)?,
                lines.join(",\n")
            ));
        }
        Ok(format!(
            "{{\n  \"schema\": {},\n  \"universe\": {},\n  \"format\": {},\n  \"families\": {{\n{}\n  }}\n}}\n",
            serde_json::to_string(&self.schema)?,
            serde_json::to_string(&self.universe)?,
            serde_json::to_string(&self.format)?,
            families.join(",\n")
        ))
    }

    /// This record with the tags of a newer one in place of its own; what the newer one does not name stays.
    #[must_use]
    pub fn with(mut self, newer: Self) -> Self {
        for (family, tags) in newer.families {
            self.families.entry(family).or_default().extend(tags);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tags: &[(&str, &str, Option<&str>)]) -> TagRecord {
        let mut record = TagRecord::new("sample", PackageFormat::Deb);
        let tagged = |version: &Option<&str>| Tagged {
            image: "x".to_owned(),
            version: version.map(str::to_owned),
            date: Epoch(7),
        };
        for (family, tag, version) in tags {
            let tags = record.families.entry((*family).to_owned()).or_default();
            tags.insert((*tag).to_owned(), tagged(version));
        }
        record
    }

    #[test]
    fn a_record_is_one_line_a_tag_and_read_back() {
        let record =
            record(&[("b", "latest", None), ("a", "1", Some("1:1.0~rc1-1")), ("a", "1.0", Some("2"))]);
        let text = record.to_text().unwrap();
        assert_eq!(TagRecord::parse(&text).unwrap(), record);
        assert_eq!(text.lines().filter(|line| line.contains("\"image\"")).count(), 3);
        assert!(
            text.contains("      \"1\": {\"image\":\"x\",\"version\":\"1:1.0~rc1-1\",\"date\":7},\n"),
            "{text}"
        );
        let empty = TagRecord::new("u", PackageFormat::Rpm);
        assert_eq!(TagRecord::parse(&empty.to_text().unwrap()).unwrap(), empty);
        assert!(
            TagRecord::parse(&text.replace("tags/1", "tags/9")).unwrap_err().to_string().contains("tags/9")
        );
        assert!(TagRecord::parse("{}").is_err());
    }

    #[test]
    fn tags_that_nothing_asks_for_stay() {
        let before = record(&[("a", "1", Some("1")), ("a", "latest", Some("1")), ("gone", "1", Some("1"))]);
        let after = before.with(record(&[("a", "latest", Some("2")), ("b", "1", Some("1"))]));
        let all: Vec<String> = after
            .families
            .iter()
            .flat_map(|(family, tags)| tags.iter().map(move |(tag, to)| (family, tag, to)))
            .map(|(family, tag, to)| format!("{family}:{tag} {}", to.version.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(all, ["a:1 1", "a:latest 2", "b:1 1", "gone:1 1"]);
    }
}
