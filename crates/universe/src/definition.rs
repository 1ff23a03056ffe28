//! `catalog/universes/<name>.yaml`: which repositories make up a universe, and who must have signed them.

use std::collections::BTreeSet;

use calypte_base::{Architecture, PackageFormat};
use calypte_definition::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::contradiction::Contradiction;

/// A universe as the catalog defines it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniverseDefinition {
    /// Its name: that of the file.
    pub universe: String,
    /// What it is, for people.
    pub title: String,
    /// The format of its packages.
    pub format: PackageFormat,
    /// The directory below `catalog/universes/` with the reviewed tables of its distribution.
    pub rules: String,
    /// The architectures that images are made for.
    pub architectures: BTreeSet<Architecture>,
    /// Whether it changes from day to day, without releases.
    pub rolling: bool,
    /// The repositories; where two have the same version of a package, the first one's is taken.
    pub repositories: Vec<RepositoryDefinition>,
}

/// One repository of a universe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryDefinition {
    /// Its name in locks and messages.
    pub name: String,
    /// The name of the mirrors that have it (`debian`, `debian-security`).
    pub mirror: String,
    /// The address of such a mirror, where the caller knows none.
    pub fallback: String,
    /// What the repository must call its suite (`unstable`).
    pub suite: String,
    /// What the repository must call its codename; also its directory below `dists/` (`sid`).
    pub codename: String,
    /// The components to take (`main`).
    pub components: BTreeSet<String>,
    /// The files in `catalog/keys/` with the keys whose signature is accepted.
    pub keys: BTreeSet<String>,
}

impl UniverseDefinition {
    /// Reads a universe's definition. `file` names it in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let definition: Self = calypte_definition::yaml::from_str(file, text).map_err(|error| vec![error])?;
        let wrong = definition.contradictions();
        if wrong.is_empty() {
            return Ok(definition);
        }
        Err(wrong.into_iter().map(|contradiction| contradiction.diagnostic(file, text)).collect())
    }

    /// The key files that any of its repositories needs, each once.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let keys: BTreeSet<&str> =
            self.repositories.iter().flat_map(|repository| &repository.keys).map(String::as_str).collect();
        keys.into_iter()
    }

    fn contradictions(&self) -> Vec<Contradiction> {
        let mut wrong = Vec::new();
        let mut say =
            |text: &str, message: String| wrong.push(Contradiction { text: text.to_owned(), message });
        if self.format != PackageFormat::Deb {
            say("format:", format!("repositories of {} packages cannot be read yet", self.format));
        }
        if self.architectures.is_empty() {
            say("architectures:", "a universe needs an architecture, `amd64` or `arm64`".to_owned());
        }
        if self.repositories.is_empty() {
            say("repositories:", "a universe needs a repository".to_owned());
        }
        let mut names = BTreeSet::new();
        for repository in &self.repositories {
            let name = &repository.name;
            let place = format!("name: {name}");
            if !names.insert(name) {
                say(&place, format!("two repositories have the name `{name}`"));
            }
            if repository.components.is_empty() {
                say(&place, format!("repository `{name}` takes no component, such as `main`"));
            }
            if repository.keys.is_empty() {
                say(
                    &place,
                    format!("repository `{name}` accepts no key; an unsigned repository cannot be used"),
                );
            }
            if !repository.fallback.starts_with("http://") && !repository.fallback.starts_with("https://") {
                say(&place, format!("the fallback of repository `{name}` is not an http or https address"));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = include_str!("../../../catalog/universes/debian-sid.yaml");
    const STABLE: &str = include_str!("../../../catalog/universes/debian-stable.yaml");

    #[test]
    fn the_universes_of_the_catalog() {
        let sid = UniverseDefinition::parse("debian-sid.yaml", SID).unwrap();
        assert_eq!((sid.universe.as_str(), sid.rolling, sid.repositories.len()), ("debian-sid", true, 1));
        let stable = UniverseDefinition::parse("debian-stable.yaml", STABLE).unwrap();
        assert_eq!((stable.universe.as_str(), stable.rolling), ("debian-stable", false));
        let suites: Vec<&str> =
            stable.repositories.iter().map(|repository| repository.suite.as_str()).collect();
        assert_eq!(suites, ["stable", "stable-updates", "stable-security"]);
    }

    #[test]
    fn what_contradicts_itself_is_shown_at_its_place() {
        let without_keys = SID.replace("    keys:\n", "    keys: []\n");
        let lines: Vec<&str> = without_keys.lines().filter(|line| !line.contains(".asc")).collect();
        let errors = UniverseDefinition::parse("u.yaml", &lines.join("\n")).unwrap_err();
        assert!(errors[0].to_string().contains("repository `sid` accepts no key"), "{}", errors[0]);
        assert!(errors[0].source_line.contains("name: sid"), "{}", errors[0]);
    }
}
