//! `catalog/universes/<name>.yaml`: which repositories make up a universe, and who must have signed them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use calypte_base::{Architecture, PackageFormat};
use calypte_definition::Diagnostic;
use serde::Deserialize;

use crate::contradiction::Contradiction;

/// A universe as the catalog defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryDefinition {
    /// Its name in locks and messages.
    pub name: String,
    /// The name of the mirrors that have it (`debian`, `fedora`).
    pub mirror: String,
    /// The address of such a mirror, where the caller knows none.
    pub fallback: String,
    /// The files in `catalog/keys/` with the keys whose signature is accepted: over the index of a Debian repository,
    /// over each package of an RPM repository.
    pub keys: BTreeSet<String>,
    /// Where things lie in it.
    pub layout: Layout,
    /// The directory of this machine that it is, where it is on no mirror. Nobody signs what is there: it is trusted since
    /// it was named.
    pub local: Option<PathBuf>,
}

/// What the repository in a directory of this machine is called.
pub const OVERLAY: &str = "overlay";

/// Where things lie in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// `dists/` and `pool/`.
    Deb(DebLayout),
    /// `repodata/`, one repository an architecture.
    Rpm(RpmLayout),
}

/// A Debian repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebLayout {
    /// What the repository must call its suite (`unstable`).
    pub suite: String,
    /// What the repository must call its codename; also its directory below `dists/` (`sid`).
    pub codename: String,
    /// The components to take (`main`).
    pub components: BTreeSet<String>,
}

/// An RPM repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpmLayout {
    /// The directory below the mirror that holds `repodata/`; `{arch}` stands for `x86_64` or `aarch64`.
    pub path: String,
    /// The address of a metalink file, which names mirrors and the digest of `repomd.xml`; `{arch}` as above.
    pub metalink: Option<String>,
    /// For how many days after it was made the repository counts as up to date: RPM repositories do not say so.
    pub valid_for_days: Option<u32>,
}

/// In a path or address: the architecture as RPM calls it.
pub const ARCHITECTURE: &str = "{arch}";

impl Layout {
    /// Whether the signature on the repository's index is about its packages too, since it names them by digest. Where it
    /// is not, each package must be signed itself.
    #[must_use]
    pub const fn has_signed_index(&self) -> bool {
        match self {
            Self::Deb(_) => true,
            Self::Rpm(_) => false,
        }
    }
}

impl RpmLayout {
    /// The directory of this architecture's repository, without a slash at its end.
    #[must_use]
    pub fn directory(&self, architecture: Architecture) -> String {
        self.path.replace(ARCHITECTURE, architecture.rpm()).trim_end_matches('/').to_owned()
    }
}

impl RepositoryDefinition {
    /// A directory of this machine: `dists/calypte` and `pool` of Debian packages, `x86_64/repodata` and
    /// `aarch64/repodata` of RPM packages.
    #[must_use]
    pub fn overlay(format: PackageFormat, directory: &Path) -> Self {
        let layout = match format {
            PackageFormat::Deb => Layout::Deb(DebLayout {
                suite: "calypte".to_owned(),
                codename: "calypte".to_owned(),
                components: BTreeSet::from(["main".to_owned()]),
            }),
            PackageFormat::Rpm => {
                Layout::Rpm(RpmLayout { path: ARCHITECTURE.to_owned(), metalink: None, valid_for_days: None })
            }
        };
        Self {
            name: OVERLAY.to_owned(),
            mirror: OVERLAY.to_owned(),
            fallback: String::new(),
            keys: BTreeSet::new(),
            layout,
            local: Some(directory.to_owned()),
        }
    }

    /// The mirrors that it needs, each with the address to take where the caller knows none: its own, and that of
    /// its metalink, `<mirror>-metalink`.
    pub fn mirrors(&self) -> impl Iterator<Item = (String, String)> {
        let own = self.local.is_none().then(|| (self.mirror.clone(), self.fallback.clone()));
        let metalink = match &self.layout {
            Layout::Rpm(RpmLayout { metalink: Some(metalink), .. }) => {
                Some((metalink_mirror(&self.mirror), split_address(metalink).0.to_owned()))
            }
            _ => None,
        };
        own.into_iter().chain(metalink)
    }
}

/// The name of the mirror that has the metalink of another.
pub(crate) fn metalink_mirror(mirror: &str) -> String {
    format!("{mirror}-metalink")
}

/// The host's part of an address and the rest, without the slash between them.
pub(crate) fn split_address(address: &str) -> (&str, &str) {
    let host = address.find("://").map_or(0, |place| place + 3);
    match address[host..].find('/') {
        Some(slash) => (&address[..host + slash], &address[host + slash + 1..]),
        None => (address, ""),
    }
}

impl UniverseDefinition {
    /// Reads a universe's definition. `file` names it in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let written: WrittenUniverse =
            calypte_definition::yaml::from_str(file, text).map_err(|error| vec![error])?;
        let mut wrong = Vec::new();
        let definition = written.read(&mut wrong);
        if wrong.is_empty() {
            wrong = definition.contradictions();
        }
        if wrong.is_empty() {
            return Ok(definition);
        }
        Err(wrong.into_iter().map(|contradiction| contradiction.diagnostic(file, text)).collect())
    }

    /// What its packages call the programs that run when they are installed: one of them, and several.
    #[must_use]
    pub const fn scripts_name(&self) -> (&'static str, &'static str) {
        match self.format {
            PackageFormat::Deb => ("maintainer script", "maintainer scripts"),
            PackageFormat::Rpm => ("scriptlet", "scriptlets"),
        }
    }

    /// The key files that any of its repositories needs, each once.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let keys: BTreeSet<&str> =
            self.repositories.iter().flat_map(|repository| &repository.keys).map(String::as_str).collect();
        keys.into_iter()
    }

    /// The universe with the packages of a directory of this machine as well, which come before others of their version.
    #[must_use]
    pub fn with_overlay(mut self, directory: &Path) -> Self {
        self.repositories.insert(0, RepositoryDefinition::overlay(self.format, directory));
        self
    }

    /// The repository of this name.
    #[must_use]
    pub fn repository(&self, name: &str) -> Option<&RepositoryDefinition> {
        self.repositories.iter().find(|repository| repository.name == name)
    }

    fn contradictions(&self) -> Vec<Contradiction> {
        let mut wrong = Vec::new();
        let mut say =
            |text: &str, message: String| wrong.push(Contradiction { text: text.to_owned(), message });
        if self.architectures.is_empty() {
            say("architectures:", "a universe needs an architecture, `amd64` or `arm64`".to_owned());
        }
        if self.repositories.is_empty() {
            say("repositories:", "a universe needs a repository".to_owned());
        }
        let mut names = BTreeSet::new();
        for repository in &self.repositories {
            let place = format!("name: {}", repository.name);
            if !names.insert(&repository.name) {
                say(&place, format!("two repositories have the name `{}`", repository.name));
            }
            for message in repository.contradictions() {
                say(&place, message);
            }
        }
        wrong
    }
}

impl RepositoryDefinition {
    fn contradictions(&self) -> Vec<String> {
        let name = &self.name;
        let is_address = |text: &str| text.starts_with("http://") || text.starts_with("https://");
        let mut wrong = Vec::new();
        if self.keys.is_empty() {
            wrong.push(format!("repository `{name}` accepts no key; what is not signed cannot be used"));
        }
        if !is_address(&self.fallback) {
            wrong.push(format!("the fallback of repository `{name}` is not an http or https address"));
        }
        match &self.layout {
            Layout::Deb(layout) if layout.components.is_empty() => {
                wrong.push(format!("repository `{name}` takes no component, such as `main`"));
            }
            Layout::Rpm(RpmLayout { metalink: Some(metalink), .. }) if !is_address(metalink) => {
                wrong.push(format!("the metalink of repository `{name}` is not an http or https address"));
            }
            Layout::Rpm(layout)
                if layout.path.starts_with('/') || layout.path.split('/').any(|part| part == "..") =>
            {
                wrong.push(format!("the path of repository `{name}` is not one below its mirror"));
            }
            _ => {}
        }
        wrong
    }
}

/// A definition as it is written; which words a repository has depends on the format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUniverse {
    universe: String,
    title: String,
    format: PackageFormat,
    rules: String,
    architectures: BTreeSet<Architecture>,
    rolling: bool,
    repositories: Vec<WrittenRepository>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenRepository {
    name: String,
    mirror: String,
    fallback: String,
    keys: BTreeSet<String>,
    suite: Option<String>,
    codename: Option<String>,
    components: Option<BTreeSet<String>>,
    path: Option<String>,
    metalink: Option<String>,
    valid_for_days: Option<u32>,
}

impl WrittenUniverse {
    fn read(self, wrong: &mut Vec<Contradiction>) -> UniverseDefinition {
        let Self { universe, title, format, rules, architectures, rolling, repositories } = self;
        let repositories = repositories.into_iter().map(|written| written.read(format, wrong)).collect();
        UniverseDefinition { universe, title, format, rules, architectures, rolling, repositories }
    }
}

impl WrittenRepository {
    fn read(self, format: PackageFormat, wrong: &mut Vec<Contradiction>) -> RepositoryDefinition {
        let words = [
            ("suite", PackageFormat::Deb, self.suite.is_some(), true),
            ("codename", PackageFormat::Deb, self.codename.is_some(), true),
            ("components", PackageFormat::Deb, self.components.is_some(), true),
            ("path", PackageFormat::Rpm, self.path.is_some(), true),
            ("metalink", PackageFormat::Rpm, self.metalink.is_some(), false),
            ("valid-for-days", PackageFormat::Rpm, self.valid_for_days.is_some(), false),
        ];
        for (word, of, given, needed) in words {
            let message = match (of == format, given) {
                (true, false) if needed => format!("repository `{}` needs `{word}`", self.name),
                (false, true) => format!("`{word}` is a word of repositories of {of} packages"),
                _ => continue,
            };
            wrong.push(Contradiction { text: format!("name: {}", self.name), message });
        }
        let layout = match format {
            PackageFormat::Deb => Layout::Deb(DebLayout {
                suite: self.suite.unwrap_or_default(),
                codename: self.codename.unwrap_or_default(),
                components: self.components.unwrap_or_default(),
            }),
            PackageFormat::Rpm => Layout::Rpm(RpmLayout {
                path: self.path.unwrap_or_default(),
                metalink: self.metalink,
                valid_for_days: self.valid_for_days,
            }),
        };
        let Self { name, mirror, fallback, keys, .. } = self;
        RepositoryDefinition { name, mirror, fallback, keys, layout, local: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = include_str!("../../../catalog/universes/debian-sid.yaml");
    const RAWHIDE: &str = include_str!("../../../catalog/universes/fedora-rawhide.yaml");
    const STABLE: &str = include_str!("../../../catalog/universes/debian-stable.yaml");

    fn suite(repository: &RepositoryDefinition) -> Option<&str> {
        match &repository.layout {
            Layout::Deb(layout) => Some(&layout.suite),
            Layout::Rpm(_) => None,
        }
    }

    #[test]
    fn addresses_are_split_behind_the_host() {
        for (address, parts) in [
            (
                "https://h.example/metalink?repo=a&arch={arch}",
                ("https://h.example", "metalink?repo=a&arch={arch}"),
            ),
            ("http://h:80", ("http://h:80", "")),
        ] {
            assert_eq!(split_address(address), parts);
        }
    }

    #[test]
    fn each_format_has_its_own_words() {
        let errors = |text: &str| {
            UniverseDefinition::parse("u.yaml", text)
                .unwrap_err()
                .iter()
                .map(|error| error.message.clone())
                .collect::<Vec<_>>()
        };
        let path = RAWHIDE.replacen("    path:", "    suite: x\n    path:", 1);
        assert_eq!(
            errors(&path),
            ["`suite` is a word of repositories of rpm packages".replace("rpm", "deb")]
        );
        let path: String =
            RAWHIDE.lines().filter(|line| !line.contains(" path:")).map(|line| format!("{line}\n")).collect();
        assert_eq!(errors(&path), ["repository `rawhide` needs `path`"]);
    }

    #[test]
    fn the_universes_of_the_catalog() {
        let rawhide = UniverseDefinition::parse("fedora-rawhide.yaml", RAWHIDE).unwrap();
        assert_eq!((rawhide.universe.as_str(), rawhide.format), ("fedora-rawhide", PackageFormat::Rpm));
        let mirrors: Vec<String> = rawhide.repositories[0].mirrors().map(|(name, _)| name).collect();
        assert_eq!(mirrors, ["fedora", "fedora-metalink"]);
        let sid = UniverseDefinition::parse("debian-sid.yaml", SID).unwrap();
        assert_eq!((sid.universe.as_str(), sid.rolling, sid.repositories.len()), ("debian-sid", true, 1));
        let stable = UniverseDefinition::parse("debian-stable.yaml", STABLE).unwrap();
        assert_eq!((stable.universe.as_str(), stable.rolling), ("debian-stable", false));
        let suites: Vec<&str> = stable.repositories.iter().filter_map(suite).collect();
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
