//! `calypte new`: a definition made from a package. The package is resolved, fetched and looked at; nothing of it is run. What
//! comes out is a beginning: it can be read by the catalog, and what a person has to look at is said beside it.

mod look;
mod ports;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use calypte_base::PackageFormat;
use calypte_definition::tags::upstream_version;
use calypte_definition::{Catalog, ImageId};
use calypte_formats::systemd_service::Service;
use calypte_resolve::{LockedPackage, Request, resolve};
use calypte_rootfs::assemble::package_file;
use calypte_rootfs::unpack;
use calypte_rootfs::{NodeKind, UnpackedEntry};
use calypte_sbom::evidence::evidence;
use calypte_store::Contents;
use calypte_universe::{PackageIndex, Universe};
use serde::Serialize;

use crate::catalog::Mistakes;
use crate::factory::Factory;
use crate::hints::hinted;
use crate::lock::locked_package;
use look::Found;
use write::Subject;

/// The most packages that are named one by one.
const NAMED: usize = 12;

/// A definition that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Draft {
    /// The family.
    pub family: String,
    /// The file that was written, or that is to be.
    pub file: PathBuf,
    /// The universe.
    pub universe: String,
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The programs that it has.
    pub programs: BTreeSet<String>,
    /// The services that it has.
    pub services: BTreeSet<String>,
    /// The packages that come with it, beside those of the image below; the largest first.
    pub brings: Vec<String>,
    /// What a person has to look at.
    pub notes: Vec<String>,
}

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct DraftRequest<'a> {
    /// The family's name.
    pub family: &'a str,
    /// The package.
    pub package: &'a str,
    /// The universe to take it from.
    pub universe: &'a str,
}

impl Factory<'_> {
    /// Makes a definition from a package and writes it into the catalog.
    ///
    /// # Errors
    /// When there is such a family already, the universe has no such package, or it cannot be had or resolved.
    pub fn draft(&self, request: DraftRequest<'_>) -> Result<Draft> {
        let (draft, text) = self.sketch(request)?;
        write_new(&draft.file, &text)?;
        Ok(draft)
    }

    /// Makes a definition from a package, with its text, and writes nothing.
    ///
    /// # Errors
    /// As [`Factory::draft`].
    pub fn sketch(&self, request: DraftRequest<'_>) -> Result<(Draft, String)> {
        let DraftRequest { family, package, universe: universe_name } = request;
        check_name(family)?;
        let file = PathBuf::from(self.settings.catalog.shown(&format!("images/{family}.yaml")));
        if self.images.get(family).is_some() || file.exists() {
            return Err(hinted(
                format!("there is a family `{family}` already, in {}", file.display()),
                "edit that file, or choose another name; nothing is overwritten",
            ));
        }
        let (definition, _) = self.universe(universe_name)?;
        let universe = self.load_universe(universe_name)?;
        let index = universe.packages.values().next().context("the universe has no architecture")?;
        let closure = self.closure(index, &universe, [package])?;
        let main = closure.iter().find(|locked| locked.id == package);
        let main = main.with_context(|| format!("{package} is not in its own resolution"))?;
        let parent = self.parent_of(&closure, universe_name);
        let brings = self.brings(index, &universe, package, parent.as_ref(), &closure)?;
        let found = self.look(&closure, main, &universe)?;
        let subject = Subject {
            family,
            package,
            format: definition.format,
            version: upstream_version(definition.format, &main.version),
            universe: universe_name,
            parent: parent.as_ref().map(|id| id.family.as_str()),
            variants: &self.variants_of(parent.as_ref(), universe_name),
            has_days: self.has_days(family)?,
        };
        let text = write::definition(&subject, &found);
        self.check_draft(family, text.clone())?;
        let draft = Draft {
            family: family.to_owned(),
            file,
            universe: universe_name.to_owned(),
            package: package.to_owned(),
            version: main.version.clone(),
            programs: found.programs.clone(),
            services: found.services.keys().cloned().collect(),
            notes: notes(&subject, &found),
            brings,
        };
        Ok((draft, text))
    }

    /// The packages that come with some.
    fn closure<'n>(
        &self,
        index: &PackageIndex,
        universe: &Universe,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Result<Vec<LockedPackage>> {
        let rules = &self.universe(&universe.definition.universe)?.1;
        let packages = names.into_iter().map(str::to_owned).collect();
        let request =
            Request { packages, prefer: BTreeMap::new(), assumed: &rules.assumed, blocked: self.blocked()? };
        let resolution = resolve(index, &request)?;
        Ok(resolution.packages.iter().map(|selected| locked_package(&selected.record)).collect())
    }

    /// The root to stand on: `base` where there is a C library among the packages, else `static`.
    fn parent_of(&self, closure: &[LockedPackage], universe: &str) -> Option<ImageId> {
        let needs_libc = closure.iter().any(|package| ["libc6", "glibc"].contains(&package.id.as_str()));
        let family = if needs_libc { "base" } else { "static" };
        self.image_id(family, universe).ok()
    }

    /// The other variants of the image below.
    fn variants_of(&self, parent: Option<&ImageId>, universe: &str) -> Vec<String> {
        let ids = parent.map_or_else(Vec::new, |parent| self.images.images_in(&parent.family, universe));
        let usual = |variant: &String| ["debug", "builder"].contains(&variant.as_str());
        let mut variants: Vec<String> = ids.into_iter().map(|id| id.variant).filter(usual).collect();
        variants.sort_by_key(|variant| variant != "debug");
        variants
    }

    /// The names of what the package brings beside what the image below holds, with their sizes.
    fn brings(
        &self,
        index: &PackageIndex,
        universe: &Universe,
        package: &str,
        parent: Option<&ImageId>,
        alone: &[LockedPackage],
    ) -> Result<Vec<String>> {
        let Some(parent) = parent else { return Ok(named(alone.iter().filter(|other| other.id != package))) };
        let format = universe.definition.format;
        let below: Vec<&str> = self.images.image(parent)?.packages_of(format).collect();
        let without: BTreeSet<String> = self
            .closure(index, universe, below.iter().copied())?
            .into_iter()
            .map(|package| package.id)
            .collect();
        let with = self.closure(index, universe, below.iter().copied().chain([package]))?;
        Ok(named(with.iter().filter(|other| other.id != package && !without.contains(&other.id))))
    }

    /// Looks at the package, and, where it has no program, at those of the same source that come with it.
    fn look(&self, closure: &[LockedPackage], main: &LockedPackage, universe: &Universe) -> Result<Found> {
        let mut found = Found::default();
        self.look_at(main, true, universe, &mut found)?;
        if found.programs.is_empty() {
            let same = closure.iter().filter(|other| other.source == main.source && other.id != main.id);
            same.map(|other| self.look_at(other, false, universe, &mut found)).collect::<Result<Vec<_>>>()?;
        }
        Ok(found)
    }

    fn look_at(
        &self,
        package: &LockedPackage,
        is_main: bool,
        universe: &Universe,
        found: &mut Found,
    ) -> Result<()> {
        let definition = &universe.definition;
        self.fetch_with(&universe.fetcher(&self.fetcher(definition)), definition, [package])?;
        let unpacked = unpack::unpack(self.store(), &package_file(package))?;
        let mut contents = Contents::new();
        unpacked.add_to(&mut contents)?;
        let read = |entry: &UnpackedEntry| match &entry.node.kind {
            NodeKind::File(content) => contents.read(&content.digest).ok(),
            _ => None,
        };
        found.take(&unpacked.package, &read);
        if is_main {
            let path = format!("usr/share/doc/{}/copyright", package.id);
            let entry = unpacked.package.entries.iter().find(|entry| entry.path.as_str() == path);
            let copyright = entry.and_then(read);
            let says = evidence(&unpacked.package, &contents)?;
            found.describe(&unpacked.package, &says, copyright.as_deref());
        }
        Ok(())
    }

    /// Reads the whole catalog with the new definition in it: what is written can be locked.
    fn check_draft(&self, family: &str, text: String) -> Result<()> {
        let mut files = self.settings.catalog.texts("images", "yaml")?;
        files.insert(self.settings.catalog.shown(&format!("images/{family}.yaml")), text);
        Catalog::load(files).map_err(Mistakes).context("the definition that was made is not sound")?;
        Ok(())
    }
}

/// Writes a file that must not be there yet.
fn write_new(file: &std::path::Path, text: &str) -> Result<()> {
    let mut written = fs_err::OpenOptions::new().write(true).create_new(true).open(file)?;
    written.write_all(text.as_bytes())?;
    Ok(())
}

fn named<'a>(packages: impl Iterator<Item = &'a LockedPackage>) -> Vec<String> {
    let mut packages: Vec<&LockedPackage> = packages.collect();
    packages.sort_by_key(|package| std::cmp::Reverse(package.size));
    packages.iter().map(|package| package.id.clone()).collect()
}

/// What a person has to look at.
fn notes(subject: &Subject<'_>, found: &Found) -> Vec<String> {
    let mut notes = Vec::new();
    if found.programs.is_empty() {
        notes.push("the package has no program: name the packages that have, under `packages:`".to_owned());
    } else if found.start(subject).is_none() {
        notes.push("it has several programs and none bears its name: choose the `entrypoint:`".to_owned());
    }
    if let Some(service) = found.service(subject) {
        notes.extend(service_notes(service));
    }
    let start = found.start(subject).map(|start| start.program);
    let more: Vec<&str> =
        found.programs.iter().filter(|path| Some(*path) != start.as_ref()).map(String::as_str).collect();
    if !more.is_empty() {
        let shown = more.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        notes.push(format!(
            "further programs, of which each is wanted or deleted: {shown}{}",
            and_more(more.len())
        ));
    }
    for (port, line) in &found.ports {
        if *port < 1024 {
            notes.push(format!(
                "`{line}`: port {port} needs a capability; let it listen above 1024, by an `edit`"
            ));
        } else {
            notes.push(format!("port {port} is guessed from `{line}`"));
        }
    }
    if !found.configuration.is_empty() {
        let files: Vec<&str> = found.configuration.iter().take(NAMED).map(String::as_str).collect();
        notes.push(format!(
            "its configuration, which may want root, /run or a log file: {}{}",
            files.join(", "),
            and_more(found.configuration.len())
        ));
    }
    let other = match subject.format {
        PackageFormat::Deb => "rpm",
        PackageFormat::Rpm => "deb",
    };
    notes.push(format!(
        "it is in {} alone: name the packages of `{other}:`, and the universes that have them",
        subject.universe
    ));
    if found.licences.is_none() {
        notes.push("no licence was found that SPDX has a name for: write `licenses:`".to_owned());
    }
    notes
}

fn service_notes(service: &Service) -> Vec<String> {
    let unit = &service.unit;
    let mut notes = Vec::new();
    if service.kind == "forking" {
        notes.push(format!(
            "{unit} goes into the background: add the option that keeps the program in the foreground"
        ));
    } else if service.kind == "notify" || service.kind == "notify-reload" {
        notes.push(format!(
            "{unit} tells systemd when it is ready: see whether an option of the command does that"
        ));
    }
    if !service.unset.is_empty() {
        let names = service.unset.iter().cloned().collect::<Vec<_>>().join(", ");
        notes.push(format!("{unit} takes {names} from elsewhere; the command leaves it out"));
    }
    let writes =
        |word: &&String| ["/run/", "/var/run/", "/var/log/"].iter().any(|place| word.contains(place));
    let written: Vec<&str> = service.command.iter().filter(writes).map(String::as_str).collect();
    if !written.is_empty() {
        notes.push(format!("the command names {}: only /tmp and volumes can be written", written.join(", ")));
    }
    if let Some(user) = &service.user {
        notes.push(format!(
            "{unit} runs as {user}; the image as nonroot, unless the software wants that name"
        ));
    } else {
        notes.push(format!("{unit} starts as root; the image does not: see what it needs that for"));
    }
    notes
}

fn and_more(count: usize) -> String {
    if count > NAMED { format!(", and {} more", count - NAMED) } else { String::new() }
}

/// A family's name is part of a path.
fn check_name(name: &str) -> Result<()> {
    let good = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
    if good {
        return Ok(());
    }
    Err(hinted(
        format!("`{name}` is not the name of an image family"),
        "use lower-case letters and digits, joined by single dashes, a letter first; the package can be named with --package",
    ))
}
