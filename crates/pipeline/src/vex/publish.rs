//! What is known of all images of a universe → the directory that is published: OpenVEX of each image by its digest, CSAF of
//! each flaw, a VEX repository, OSV of each source package. It is replaced as a whole, and only where something changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use calypte_advisory::severity::Word;
use calypte_advisory::vex::csaf::{self, Facts, Publication, Tree};
use calypte_advisory::vex::openvex::{self, Author};
use calypte_advisory::vex::osv::{Record, Records};
use calypte_advisory::vex::repository::{Repository, repository};
use calypte_advisory::vex::{Decided, Purl};
use calypte_advisory::{Finding, FixState, database::Database};
use calypte_base::{Architecture, Digest};
use calypte_definition::ImageId;
use calypte_formats::tar::{Entry, EntryKind, Writer};
use calypte_sbom::write::Tool;
use serde::{Deserialize, Serialize};

use super::{ImageVex, decide, directory, facts, times};
use crate::bill::Bill;
use crate::changelogs::ecosystem;
use crate::factory::Factory;
use crate::hints::hinted;
use crate::scan::Knowledge;

const OPENVEX: &str = "openvex";
const CSAF: &str = "csaf";
const REPOSITORY: &str = "repository";
const ARCHIVE: &str = "repository.tar.gz";
const OSV: &str = "osv";
const INDEX: &str = "index.json";

/// All that may stand in the directory.
pub(super) const KNOWN: &[&str] = &[OPENVEX, CSAF, REPOSITORY, ARCHIVE, OSV, INDEX];

/// Who publishes, and where.
#[derive(Debug, Clone)]
pub struct Publisher {
    /// The organisation or person that answers for it.
    pub name: String,
    /// The address under which the directory can be had, without a slash at the end; identifiers begin with it.
    pub namespace: String,
    /// With what.
    pub tool: Tool,
    /// Where the images are: a family's name follows (`ghcr.io/a` for `ghcr.io/a/nginx`).
    pub repositories: Option<String>,
}

impl Publisher {
    fn author(&self) -> Author {
        Author { name: self.name.clone(), role: None, namespace: self.namespace.clone() }
    }

    /// The OpenVEX document of what counts for an image.
    #[must_use]
    pub fn openvex(&self, decided: &[Decided]) -> Vec<u8> {
        openvex::write(decided, &self.author(), &self.tool)
    }
}

/// What is to be published.
#[derive(Debug, Clone)]
pub struct VexRequest {
    /// The universe.
    pub universe: String,
    /// For which machines; empty: all that the locks have.
    pub architectures: Vec<Architecture>,
    /// The directory.
    pub output: PathBuf,
    /// By whom.
    pub publisher: Publisher,
    /// Most images that are assembled at the same time, of those that were never built.
    pub at_once: usize,
}

/// The OpenVEX document of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageDocument {
    /// The image.
    pub image: String,
    /// The architecture.
    pub architecture: Architecture,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The document, by its path below the directory.
    pub document: String,
    /// How many statements count: of one flaw in one package each, by status.
    pub statements: BTreeMap<String, usize>,
}

/// How documents changed since they were published last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// New ones.
    pub added: usize,
    /// Those that say something else.
    pub changed: usize,
    /// Those that are not there any more.
    pub removed: usize,
    /// Those that are as they were.
    pub unchanged: usize,
}

/// What was published.
#[derive(Debug, Clone, Serialize)]
pub struct VexPublished {
    /// The universe.
    pub universe: String,
    /// The directory.
    pub output: PathBuf,
    /// Whether it had to be written.
    pub written: bool,
    /// The images.
    pub images: Vec<ImageDocument>,
    /// The documents of flaws.
    pub csaf: Changed,
    /// The documents of flaws in source packages.
    pub osv: Changed,
    /// Why there may be more flaws.
    pub unknown: Vec<String>,
}

/// What stands in the directory's index.
#[derive(Serialize, Deserialize)]
struct Contents {
    universe: String,
    images: Vec<ImageDocument>,
}

/// What is gathered, image by image.
struct Gathered {
    decided: Vec<Decided>,
    images: Vec<ImageDocument>,
    openvex: Tree,
    records: Records,
    unknown: BTreeSet<String>,
}

impl Factory<'_> {
    /// Publishes what is known of all images of a universe; nothing is written where an image cannot be built.
    ///
    /// # Errors
    /// When the directory is not one of this kind or of another universe, an image cannot be built, a reviewed statement has
    /// a mistake, or the disk refuses. Then the directory stays as it was.
    pub fn publish_vex(
        &self,
        request: &VexRequest,
        database: &Database,
        knowledge: &Knowledge,
    ) -> Result<VexPublished> {
        let previous = directory::read(&request.output, KNOWN)?;
        is_of_universe(request, &previous)?;
        let gathered = self.gather_vex(request, database, knowledge, &previous)?;
        self.settings.reporter.step("writing statements");
        let (tree, csaf, osv) = self.vex_tree(request, database, &previous, &gathered)?;
        self.stop_if_interrupted()?;
        let written = tree != previous;
        if written {
            directory::replace(&request.output, &tree)?;
        }
        Ok(VexPublished {
            universe: request.universe.clone(),
            output: request.output.clone(),
            written,
            images: gathered.images,
            csaf,
            osv,
            unknown: gathered.unknown.into_iter().collect(),
        })
    }

    /// Looks into every image.
    fn gather_vex(
        &self,
        request: &VexRequest,
        database: &Database,
        knowledge: &Knowledge,
        previous: &Tree,
    ) -> Result<Gathered> {
        self.build_for_vex(request)?;
        let universe = &request.universe;
        let mut gathered = Gathered {
            decided: Vec::new(),
            images: Vec::new(),
            openvex: Tree::new(),
            records: Records::new(ecosystem(&self.universe(universe)?.0)),
            unknown: BTreeSet::new(),
        };
        for family in self.families(&[], universe)? {
            let lock = self.current_lock(universe, &family)?;
            let repository = request.publisher.repositories.as_ref().map(|above| format!("{above}/{family}"));
            for image in self.images.images_in(&family, universe) {
                let architectures = lock.packages.keys().copied();
                let asked = &request.architectures;
                for architecture in architectures.filter(|one| asked.is_empty() || asked.contains(one)) {
                    self.stop_if_interrupted()?;
                    let bill = self.bill(&image, universe, architecture)?;
                    self.check_paths(&knowledge.statements, &image, universe, architecture)?;
                    let now = self.settings.now;
                    let mut vex = decide(&bill, database, knowledge, repository.as_deref(), now)?;
                    let document = document(&bill)?;
                    let before = previous.get(&document).map(Vec::as_slice);
                    times::keep(&mut vex.decided, before, |all| request.publisher.openvex(all), now);
                    add(&mut gathered, &request.publisher, (&image, architecture), &bill, vex)?;
                }
            }
        }
        Ok(gathered)
    }

    /// Builds what was never built, at once: packages that several images hold are looked into once.
    fn build_for_vex(&self, request: &VexRequest) -> Result<()> {
        let built = self.build_everything(&request.universe, &request.architectures, request.at_once)?;
        let failures: Vec<String> =
            built.failures.iter().map(|failure| format!("{}: {}", failure.image, failure.error)).collect();
        if failures.is_empty() {
            return Ok(());
        }
        Err(hinted(
            format!("nothing is published, since these images cannot be built:\n{}", failures.join("\n")),
            "what is said of all images is not said of some of them",
        ))
    }

    /// All files, and how the documents of flaws changed.
    fn vex_tree(
        &self,
        request: &VexRequest,
        database: &Database,
        previous: &Tree,
        gathered: &Gathered,
    ) -> Result<(Tree, Changed, Changed)> {
        let now = self.settings.now;
        let publisher = &request.publisher;
        let (facts, words) = self.facts(database, gathered)?;
        let namespace = &publisher.namespace;
        let by = csaf::Publisher {
            name: publisher.name.clone(),
            namespace: namespace.clone(),
            category: "vendor".to_owned(),
            contact: None,
        };
        let base = format!("{namespace}/{CSAF}");
        let publication = Publication { publisher: &by, tool: &publisher.tool, base: &base, now };
        let (csaf_before, osv_before) = (below(previous, CSAF), below(previous, OSV));
        let csaf = csaf::publish(&gathered.decided, &facts, &publication, &csaf_before)?;
        let mut records = gathered.records.clone();
        records.iter_mut().for_each(|record| complete(record, &facts, &words));
        let osv = records.publish(now, &osv_before)?;
        let about = Repository {
            name: publisher.name.clone(),
            description: format!("VEX of the images of {}", publisher.name),
            location: format!("{namespace}/{ARCHIVE}"),
        };
        let repository = repository(&gathered.decided, &about, &publisher.author(), &publisher.tool);
        let is_document = |path: &&String| path.ends_with(".json") && path.contains('/');
        let changes = (changed(&csaf, &csaf_before, is_document), changed(&osv, &osv_before, is_document));
        let mut tree = gathered.openvex.clone();
        tree.insert(ARCHIVE.to_owned(), archive(&repository)?);
        let index = Contents { universe: request.universe.clone(), images: gathered.images.clone() };
        let mut index = serde_json::to_vec_pretty(&index)?;
        index.push(b'\n');
        tree.insert(INDEX.to_owned(), index);
        for (name, files) in [(CSAF, csaf), (OSV, osv), (REPOSITORY, repository)] {
            tree.extend(files.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        }
        Ok((tree, changes.0, changes.1))
    }

    /// What is known of every flaw that anything is said of.
    fn facts(
        &self,
        database: &Database,
        gathered: &Gathered,
    ) -> Result<(BTreeMap<String, Facts>, BTreeMap<String, Word>)> {
        let (mut all, mut words) = (BTreeMap::new(), BTreeMap::new());
        let flaws: BTreeSet<&String> =
            gathered.decided.iter().map(|decided| &decided.statement.flaw).collect();
        for flaw in flaws {
            self.stop_if_interrupted()?;
            let (facts, word) = facts::facts(database, flaw)?;
            all.insert(flaw.clone(), facts);
            words.insert(flaw.clone(), word);
        }
        Ok((all, words))
    }
}

/// A directory says of one universe what is known: of another, all of it would be gone.
fn is_of_universe(request: &VexRequest, previous: &Tree) -> Result<()> {
    let Some(bytes) = previous.get(INDEX) else {
        if previous.is_empty() {
            return Ok(());
        }
        bail!("{} holds no {INDEX}: what is in it is not known", request.output.display());
    };
    let place = request.output.join(INDEX);
    let contents: Contents = serde_json::from_slice(bytes).with_context(|| place.display().to_string())?;
    if contents.universe != request.universe {
        let message = format!("{} says what is known of {}", request.output.display(), contents.universe);
        return Err(hinted(message, format!("name another directory for {}", request.universe)));
    }
    Ok(())
}

fn digest(bill: &Bill) -> Result<Digest> {
    bill.sbom.subject.digest.with_context(|| format!("{} has no digest", bill.sbom.subject.name))
}

/// Where the document of an image lies.
fn document(bill: &Bill) -> Result<String> {
    Ok(format!("{OPENVEX}/sha256/{}.json", digest(bill)?.hex()))
}

/// What is known of one image, with what is known of others.
fn add(
    gathered: &mut Gathered,
    publisher: &Publisher,
    (image, architecture): (&ImageId, Architecture),
    bill: &Bill,
    vex: ImageVex,
) -> Result<()> {
    let (digest, document) = (digest(bill)?, document(bill)?);
    let mut statements = BTreeMap::new();
    for decided in &vex.decided {
        *statements.entry(decided.statement.status.to_string()).or_default() += 1;
    }
    gathered.images.push(ImageDocument {
        image: image.to_string(),
        architecture,
        digest,
        document: document.clone(),
        statements,
    });
    gathered.openvex.insert(document, publisher.openvex(&vex.decided));
    add_records(&mut gathered.records, bill, &vex);
    gathered.unknown.extend(vex.unknown);
    gathered.decided.extend(vex.decided);
    Ok(())
}

/// What is known of the source packages of an image: what their changelogs name as fixed, and what is found in them.
fn add_records(records: &mut Records, bill: &Bill, vex: &ImageVex) {
    // What is known better of a package in any image is known of the package.
    let refuted: BTreeSet<(&str, &Purl)> = vex
        .decided
        .iter()
        .filter(|decided| decided.is_general && decided.statement.status.suppresses())
        .filter_map(|decided| Some((decided.statement.flaw.as_str(), decided.package.as_ref()?)))
        .collect();
    for component in bill.sbom.components.values().filter(|component| component.kind.is_distribution()) {
        let source = component.source.as_ref().map_or(&component.name, |source| &source.name);
        records.has(source);
        for (flaw, fix) in bill.fixes.get(&component.id).into_iter().flatten() {
            if !fix.version.is_empty() {
                records.add(Record { fixed: Some(fix.version.clone()), ..record(flaw, source) });
            }
        }
    }
    for finding in &vex.findings {
        let Some(component) = bill.sbom.components.get(&finding.component) else { continue };
        let purl = component.purl.parse::<Purl>().ok();
        let is_refuted = purl.is_some_and(|purl| refuted.contains(&(finding.vulnerability.as_str(), &purl)));
        if component.kind.is_distribution() && !is_refuted {
            let source = component.source.as_ref().map_or(&component.name, |source| &source.name);
            for record in found(finding, source) {
                records.add(record);
            }
        }
    }
}

fn record(flaw: &str, source: &str) -> Record {
    Record {
        flaw: flaw.to_owned(),
        aliases: BTreeSet::new(),
        package: source.to_owned(),
        fixed: None,
        severity: String::new(),
        scores: Vec::new(),
        summary: String::new(),
        published: None,
        references: Vec::new(),
    }
}

/// What a finding says of its source package, for each version in which a feed says that it is fixed.
fn found(finding: &Finding, source: &str) -> Vec<Record> {
    let versions = match &finding.state {
        FixState::Fixed(versions) => versions.iter().cloned().map(Some).collect(),
        _ => vec![None],
    };
    let of = |fixed| Record {
        aliases: finding.aliases.clone(),
        fixed,
        severity: finding.severity.clone(),
        scores: finding.scores.clone(),
        published: finding.published,
        ..record(&finding.vulnerability, source)
    };
    versions.into_iter().map(of).collect()
}

/// Adds to a record what is known of the flaw itself.
fn complete(record: &mut Record, facts: &BTreeMap<String, Facts>, words: &BTreeMap<String, Word>) {
    if let Some(facts) = facts.get(&record.flaw) {
        record.summary.clone_from(&facts.summary);
        record.references.clone_from(&facts.references);
        record.published = record.published.or(facts.published);
        if record.scores.is_empty() {
            record.scores.clone_from(&facts.scores);
        }
    }
    if record.severity.is_empty() {
        record.severity = words.get(&record.flaw).map(ToString::to_string).unwrap_or_default();
    }
}

/// The files of a directory of a tree.
fn below(tree: &Tree, name: &str) -> Tree {
    let prefix = format!("{name}/");
    let files = tree.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(&prefix)?, bytes)));
    files.map(|(path, bytes)| (path.to_owned(), bytes.clone())).collect()
}

fn changed(new: &Tree, old: &Tree, counts: impl Fn(&&String) -> bool) -> Changed {
    let mut changed = Changed::default();
    for path in new.keys().filter(&counts) {
        match old.get(path) {
            None => changed.added += 1,
            Some(bytes) if new.get(path) == Some(bytes) => changed.unchanged += 1,
            Some(_) => changed.changed += 1,
        }
    }
    changed.removed = old.keys().filter(&counts).filter(|path| !new.contains_key(*path)).count();
    changed
}

/// The VEX repository as the archive that scanners download; the same files give the same bytes.
fn archive(repository: &Tree) -> Result<Vec<u8>> {
    let mut tar = Writer::new(Vec::new());
    for (path, bytes) in repository {
        let entry = Entry { size: bytes.len() as u64, ..Entry::new(path.as_str(), EntryKind::File) };
        tar.append_bytes(&entry, bytes)?;
    }
    let mut gzip = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar.finish()?)?;
    Ok(gzip.finish()?)
}
