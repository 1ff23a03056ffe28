//! The catalog site: what the registry holds, with all that is known of it, as pages for people and data for programs. Pages
//! are whole without JavaScript; nothing is loaded from elsewhere; nothing is written.
//!
//! ```text
//! path ──address──▶ Page ──▶ Registry (shelf, evidence) + Given ──view──▶ HTML, JSON, Atom, SVG
//! ```

mod address;
mod api;
mod badge;
mod changes;
mod data;
mod evidence;
mod feed;
mod files;
mod flaws;
mod frame;
mod given;
mod history;
mod home;
mod image;
mod openapi;
pub mod pipeline;
mod readme;
mod repository;
mod security;
mod shelf;
mod status;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use calypte_base::Digest;

use crate::registry::{Key, Problem, Registry};
use address::{Badge, Data, Feed, Page};
use changes::{Changes, Earlier};
use evidence::{Evidence, Files};
use flaws::FlawFilter;
pub use given::{DayCount, Family, Given, Kind, Known, Scan, Security, Source, Stream};
pub use security::is_contact;
use shelf::{Image, Platform, Repository, Shelf};
use view::{Filter, Flaw, Summary};

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
const TEXT: &str = "text/plain; charset=utf-8";
const ATOM: &str = "application/atom+xml; charset=utf-8";

/// What a page may do: nothing but show itself. No scripts, no frames, nothing from elsewhere.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                          frame-ancestors 'none'";

/// Most images before one that are told.
const EARLIER: usize = 20;

/// Answers requests for pages.
pub struct Site {
    source: Box<dyn Source>,
    shelf: Shelf,
    files: Files,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Site").finish_non_exhaustive()
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The path as it was sent.
    pub path: &'a str,
    /// The query as it was sent, without its question mark.
    pub query: &'a str,
    /// The host by which the client knows the server, with its port.
    pub host: &'a str,
    /// Whether the client speaks https, to a server in front of this one.
    pub https: bool,
}

impl Asked<'_> {
    /// What addresses begin with that must be whole.
    fn base(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.host)
    }

    fn parameter(&self, name: &str) -> Option<String> {
        crate::server::parameter(self.query, name)
    }
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status of HTTP.
    pub status: u16,
    /// The media type.
    pub kind: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Reply {
    fn new(kind: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, kind, bytes: bytes.into() }
    }

    fn json(value: &serde_json::Value) -> Self {
        Self::new(JSON, format!("{value:#}\n"))
    }
}

impl Site {
    /// A site that shows what this source tells beside what the registry holds.
    #[must_use]
    pub fn new(source: Box<dyn Source>) -> Self {
        Self { source, shelf: Shelf::default(), files: Files::default() }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the registry's own files cannot be read; what is not there is an answer.
    pub fn answer(&self, registry: &Registry, asked: &Asked<'_>) -> Result<Reply, Problem> {
        let page = Page::parse(asked.path);
        let is_data = asked.path.starts_with("/api/v1/");
        let found = match page {
            None => Ok(None),
            Some(page) => Desk { site: self, registry, asked, given: self.source.given() }.page(page),
        };
        match found {
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Ok(missing(is_data, "There is no page of this address.")),
            Err(problem) if problem.status().0 < 500 => Ok(missing(is_data, &problem.message())),
            Err(problem) => Err(problem),
        }
    }
}

fn missing(is_data: bool, what: &str) -> Reply {
    let reply = if is_data {
        Reply::json(&serde_json::json!({ "error": what }))
    } else {
        Reply::new(HTML, frame::missing(what))
    };
    Reply { status: 404, ..reply }
}

/// One request being answered.
struct Desk<'a> {
    site: &'a Site,
    registry: &'a Registry,
    asked: &'a Asked<'a>,
    given: Arc<Given>,
}

impl Desk<'_> {
    fn page(&self, page: Page) -> Result<Option<Reply>, Problem> {
        let html = |text: String| Some(Reply::new(HTML, text));
        Ok(match page {
            Page::Home => {
                let filter = Filter::read(|name| self.asked.parameter(name));
                html(home::page(&self.summaries()?, &filter, self.given.at.is_none()))
            }
            Page::Repository(name) => {
                html(repository::page(&self.repository(&name)?, &self.given, self.asked))
            }
            Page::Image(name, key) => html(self.image(&name, &key)?),
            Page::Document(name, digest, kind) => {
                self.site.shelf.image(self.registry, &name, &Key::Digest(digest))?;
                let known = self.known(&digest);
                let found = evidence::document(self.registry, &name, &digest, known, kind)?;
                found.map(|bytes| Reply::new(JSON, bytes))
            }
            Page::Changes(name, key) => {
                let changes = self.changes(&name, &key, true)?;
                let repository = self.repository(&name)?;
                let tags = repository.images.iter().filter_map(|tagged| tagged.tags.first().cloned());
                html(changes::page(&name, &shown(&key), &changes, &tags.collect::<Vec<_>>()))
            }
            Page::Security => security::text(&self.given, self.asked).map(|text| Reply::new(TEXT, text)),
            Page::Flaws => html(self.flaw_list()?),
            Page::Flaw(name) => self.flaw(&name)?,
            Page::Status => html(status::page(&self.summaries()?, &self.given)),
            Page::Api => html(api::page(self.asked)),
            Page::Style => Some(Reply::new("text/css; charset=utf-8", include_str!("style.css"))),
            Page::Icon => Some(Reply::new(SVG, badge::ICON)),
            Page::Feed(feed) => Some(Reply::new(ATOM, self.feed(&feed)?)),
            Page::Badge(name, key, badge) => Some(Reply::new(SVG, self.badge(&name, &key, badge)?)),
            Page::Data(data) => self.data(data)?,
            Page::File(path) => match &self.given.documents {
                Some(directory) => files::read(directory, &path)?,
                None => None,
            },
        })
    }

    fn known(&self, digest: &Digest) -> Option<&given::Known> {
        self.given.manifests.get(digest).map(Arc::as_ref)
    }

    fn all(&self) -> Result<Vec<Repository>, Problem> {
        self.site.shelf.all(self.registry)
    }

    fn repository(&self, name: &str) -> Result<Repository, Problem> {
        self.site.shelf.repository(self.registry, name)
    }

    fn summaries(&self) -> Result<Vec<Summary>, Problem> {
        Ok(self.all()?.iter().map(|repository| Summary::of(repository, &self.given)).collect())
    }

    fn evidence(&self, name: &str, digest: &Digest) -> Result<Arc<Evidence>, Problem> {
        self.site.files.of(self.registry, name, digest, self.known(digest), None)
    }

    fn image(&self, name: &str, key: &Key) -> Result<String, Problem> {
        let image = self.site.shelf.image(self.registry, name, key)?;
        let changes = &self.changes(name, key, false)?;
        let key = shown(key);
        match only_machine(&image) {
            Some(platform) => {
                let evidence = self.evidence(name, &platform.digest)?;
                let documents = self.documents(&evidence, &platform.digest);
                let known = self.known(&platform.digest);
                let pipeline = self.given.pipeline.as_deref();
                let (evidence, documents) = (&*evidence, &*documents);
                let machine = image::Machine { platform, evidence, known, documents, pipeline, changes };
                Ok(image::machine(name, &key, &machine, self.asked))
            }
            None => {
                let evidence = self.evidence(name, &image.digest)?;
                let signed = evidence.statements.iter().any(evidence::Said::is_signature);
                let over = image::Over { image: &image, signed, changes };
                Ok(image::index(name, &key, &over, &self.given, self.asked))
            }
        }
    }

    /// What changed in an image, since the one before or, where `asked` says so, since the one that the query names.
    fn changes(&self, name: &str, key: &Key, asked: bool) -> Result<Changes, Problem> {
        let image = self.site.shelf.image(self.registry, name, key)?;
        let whole = self.whole(name, &image)?;
        let earlier = self.earlier(name, whole)?;
        let named = self.asked.parameter("from").filter(|from| asked && !from.is_empty());
        let from = match named {
            Some(from) => Some(self.site.shelf.image(self.registry, name, &Key::parse(&from)?)?),
            // What is not here any more cannot be compared.
            None => earlier
                .first()
                .and_then(|one| self.site.shelf.image(self.registry, name, &Key::Digest(one.digest)).ok()),
        };
        let mut machines = Vec::new();
        for platform in &image.platforms {
            let of = |from: &Arc<Image>| {
                from.platforms.iter().find(|one| one.platform == platform.platform).cloned()
            };
            let before = match from.as_ref().and_then(of) {
                Some(before) => Some((self.packages(name, &before.digest)?, before)),
                None => None,
            };
            let now = self.packages(name, &platform.digest)?;
            let before = before.as_ref().map(|(evidence, platform)| (platform, &**evidence));
            machines.push(changes::Machine::of(before, (platform, &now)));
        }
        let from = from.map(|from| from.digest);
        Ok(Changes { repository: name.to_owned(), from, to: image.digest, machines, earlier })
    }

    /// The image that tags lead to: of one machine's manifest the index that lists it.
    fn whole(&self, name: &str, image: &Image) -> Result<Digest, Problem> {
        if image.index || self.registry.before(name, &image.digest)?.is_some() {
            return Ok(image.digest);
        }
        let lists = |whole: &Image| whole.platforms.iter().any(|platform| platform.digest == image.digest);
        let all = self.repository(name)?.images;
        Ok(all.iter().find(|tagged| lists(&tagged.image)).map_or(image.digest, |tagged| tagged.image.digest))
    }

    /// What tags led to before an image, the latest first.
    fn earlier(&self, name: &str, digest: Digest) -> Result<Vec<Earlier>, Problem> {
        let mut all: Vec<Earlier> = Vec::new();
        let mut last = digest;
        while let Some((before, replaced)) = self.registry.before(name, &last)? {
            // Tags that went back lead in a circle.
            if before == digest || all.iter().any(|one| one.digest == before) || all.len() >= EARLIER {
                break;
            }
            if self.registry.has_manifest(name, &before)? {
                all.push(Earlier { digest: before, replaced });
            }
            last = before;
        }
        Ok(all)
    }

    /// What is said of the packages of an image.
    fn packages(&self, name: &str, digest: &Digest) -> Result<Arc<Evidence>, Problem> {
        self.site.files.of(self.registry, name, digest, self.known(digest), Some(Kind::Spdx))
    }

    /// The documents that there are of an image.
    fn documents(&self, evidence: &Evidence, digest: &Digest) -> Vec<Kind> {
        let known = self.known(digest);
        let is_said = |kind: &Kind| evidence.statements.iter().any(|said| said.kind == kind.predicate_type());
        let is_known = |kind: &Kind| known.is_some_and(|known| known.documents.contains_key(kind));
        Kind::ALL.into_iter().filter(|kind| is_said(kind) || is_known(kind)).collect()
    }

    fn flaws(&self) -> Result<BTreeMap<String, Flaw>, Problem> {
        Ok(view::flaws(&self.all()?, &self.given))
    }

    fn flaw_list(&self) -> Result<String, Problem> {
        let filter = FlawFilter::read(|name| self.asked.parameter(name));
        let all = self.flaws()?;
        let shown = ranked(&all, &filter);
        let scanned = self.given.manifests.values().any(|known| known.scan.is_some());
        Ok(flaws::list(&shown, all.len(), &filter, scanned))
    }

    fn flaw(&self, flaw_name: &str) -> Result<Option<Reply>, Problem> {
        let all = self.flaws()?;
        let flaw = all.get(flaw_name);
        let mut said = Vec::new();
        for repository in self.all()? {
            for platform in repository.images.iter().flat_map(|tagged| &tagged.image.platforms) {
                let (name, digest) = (&repository.name, &platform.digest);
                let known = self.known(digest);
                let evidence = self.site.files.of(self.registry, name, digest, known, Some(Kind::Openvex))?;
                let about = evidence.vex.iter().filter(|vex| vex.flaw == flaw_name);
                said.extend(about.map(|vex| {
                    (repository.name.clone(), evidence::Vex { packages: Vec::new(), ..vex.clone() })
                }));
            }
        }
        said.sort();
        said.dedup();
        let status = if flaw.is_none() && said.is_empty() { 404 } else { 200 };
        Ok(Some(Reply { status, ..Reply::new(HTML, flaws::one(flaw, flaw_name, &said)) }))
    }

    fn feed(&self, feed: &Feed) -> Result<String, Problem> {
        Ok(match feed {
            Feed::Images => feed::images("Images", "/feeds/images.atom", &self.all()?, self.asked),
            Feed::Repository(name) => {
                let path = format!("/feeds/images/{name}.atom");
                feed::images(&format!("Images of {name}"), &path, &[self.repository(name)?], self.asked)
            }
            Feed::Flaws => feed::flaws(self.flaws()?.values(), self.asked),
        })
    }

    fn badge(&self, name: &str, key: &Key, badge: Badge) -> Result<String, Problem> {
        let image = self.site.shelf.image(self.registry, name, key)?;
        let first = image.platforms.first();
        Ok(match badge {
            Badge::Flaws => {
                badge::flaws(first.and_then(|platform| view::counts(platform, &self.given)).as_ref())
            }
            Badge::Size => badge::plain("download", &frame::bytes(first.map_or(0, |platform| platform.size))),
            Badge::Version => {
                let version = image.annotations.get("org.opencontainers.image.version");
                badge::plain(name, version.map_or("–", String::as_str))
            }
        })
    }

    fn data(&self, data: Data) -> Result<Option<Reply>, Problem> {
        let value = match data {
            Data::Description => openapi::description(),
            Data::Images => {
                let filter = Filter::read(|name| self.asked.parameter(name));
                let all = self.summaries()?;
                data::images(&all.iter().filter(|summary| filter.passes(summary)).collect::<Vec<_>>())
            }
            Data::Repository(name) => data::repository(&self.repository(&name)?, &self.given),
            Data::Image(name, key) => {
                let image = self.site.shelf.image(self.registry, &name, &key)?;
                match only_machine(&image) {
                    Some(platform) => {
                        let evidence = self.evidence(&name, &platform.digest)?;
                        let known = self.known(&platform.digest);
                        data::machine(platform, &evidence, known, &self.given)
                    }
                    None => data::image(&image, &self.given),
                }
            }
            Data::Changes(name, key) => serde_json::json!(self.changes(&name, &key, true)?),
            Data::Flaws => {
                let filter = FlawFilter::read(|name| self.asked.parameter(name));
                data::flaws(&ranked(&self.flaws()?, &filter))
            }
            Data::Flaw(name) => match self.flaws()?.get(&name) {
                Some(flaw) => serde_json::json!(flaw),
                None => return Ok(None),
            },
            Data::Status => data::status(&self.summaries()?, &self.given),
        };
        Ok(Some(Reply::json(&value)))
    }
}

/// The one machine of a manifest that is no index.
fn only_machine(image: &Image) -> Option<&Platform> {
    image.platforms.first().filter(|_| !image.index)
}

fn ranked<'a>(all: &'a BTreeMap<String, Flaw>, filter: &FlawFilter) -> Vec<&'a Flaw> {
    let mut shown: Vec<&Flaw> = all.values().filter(|flaw| filter.passes(flaw)).collect();
    shown.sort_by_cached_key(|flaw| flaw.rank());
    shown
}

fn shown(key: &Key) -> String {
    match key {
        Key::Tag(tag) => tag.clone(),
        Key::Digest(digest) => digest.to_string(),
    }
}
