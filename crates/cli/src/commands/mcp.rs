//! `calypte mcp`: the factory for agents, over the Model Context Protocol. What each tool does is what a command does; nothing but
//! the protocol goes to standard output.

use anyhow::{Context as _, Result, bail};
use calypte_base::Architecture;
use calypte_definition::ImageId;
use calypte_mcp::{Explain, Image, Propose, Request, Search, Settings, TwoImages};
use calypte_pipeline::advisories::database;
use calypte_pipeline::build::BuildRequest;
use calypte_pipeline::diff::{Side, diff};
use calypte_pipeline::draft::DraftRequest;
use calypte_pipeline::scan::{Knowledge, explain, scan};
use calypte_pipeline::{Factory, hint};
use serde::Serialize;
use serde_json::{Value, json};

use super::DEFAULT_UNIVERSE;
use crate::Verdict;
use crate::session::Session;

/// Options of `calypte mcp`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "A client starts this program and speaks to it over standard input and output: search_catalog, show_image, \
explain_cve, diff_images and propose_definition, which read alone, and with --allow-writes start_rebuild and rebuild_status. It \
reads the catalog and the store that the options of every command name, and no other files; with --offline it never touches the \
network."
)]
pub struct Arguments {
    /// Also offer tools that write: rebuild an image into the store
    #[arg(long)]
    allow_writes: bool,
}

/// Serves until the client closes its end.
///
/// # Errors
/// When there is no catalog, or the client does not speak the protocol.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    // What is missing is told at the start, not to the first question.
    session.catalog()?;
    let settings = Settings { version: env!("CARGO_PKG_VERSION").to_owned(), writes: arguments.allow_writes };
    let answer = |request: &Request| answer(session, request).map_err(|error| told(&error));
    calypte_mcp::serve(&settings, &answer, &session.interrupted).context("the conversation ended")?;
    Ok(Verdict::Yes)
}

/// An error with its causes and its cure.
fn told(error: &anyhow::Error) -> String {
    match hint(error) {
        Some(hint) => format!("{error:#}\nhint: {hint}"),
        None => format!("{error:#}"),
    }
}

fn answer(session: &Session, request: &Request) -> Result<Value> {
    match request {
        Request::Search(search) => search_catalog(session, search),
        Request::Show(image) => show(session, image),
        Request::Explain(asked) => explain_flaw(session, asked),
        Request::Diff(images) => compare(session, images),
        Request::Propose(asked) => propose(session, asked),
        Request::Rebuild(image) => rebuild(session, image),
    }
}

/// A document as the command prints it: with its schema.
fn document(schema: &str, data: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(data)?;
    value["schema"] = json!(schema);
    Ok(value)
}

fn universe(named: Option<&String>) -> &str {
    named.map_or(DEFAULT_UNIVERSE, String::as_str)
}

fn search_catalog(session: &Session, search: &Search) -> Result<Value> {
    let catalog = session.catalog()?.images()?;
    let query = search.query.to_lowercase();
    let mut found = Vec::new();
    for family in catalog.families() {
        for id in catalog.images(&family.name) {
            let definition = catalog.image(&id)?;
            let category = definition.category.to_string();
            let text =
                format!("{id} {} {} {category}", definition.title, definition.description).to_lowercase();
            let in_universe =
                search.universe.as_ref().is_none_or(|universe| definition.is_in_universe(universe));
            let on_shelf = search.category.as_ref().is_none_or(|shelf| *shelf == category);
            if in_universe && on_shelf && query.split_whitespace().all(|word| text.contains(word)) {
                found.push(json!({
                    "image": id.to_string(), "title": definition.title, "category": category,
                    "description": definition.description.trim(),
                }));
            }
        }
    }
    let all = found.len();
    found.truncate(usize::try_from(search.limit)?);
    Ok(json!({ "found": all, "images": found }))
}

fn show(session: &Session, asked: &Image) -> Result<Value> {
    let factory = session.factory()?;
    let universe = universe(asked.universe.as_ref());
    let id = factory.image_id(&asked.image, universe)?;
    document("calypte.show/1", &factory.show(&id, universe, super::native_architecture())?)
}

fn explain_flaw(session: &Session, asked: &Explain) -> Result<Value> {
    let factory = session.factory()?;
    let database = database(factory.store())?;
    let flaw = &asked.flaw;
    let known = database.show(flaw)?;
    let Some(image) = &asked.image else {
        return Ok(json!({ "flaw": flaw, "known": known }));
    };
    let universe = universe(asked.universe.as_ref());
    let id = factory.image_id(image, universe)?;
    let bill = factory.bill_without_files(&id, universe, super::native_architecture())?;
    let knowledge = Knowledge::read(Some(&session.catalog()?), &[], &[])?;
    let report = scan(&bill, &database, &knowledge, session.now())?;
    let is_it = |name: &String| name.eq_ignore_ascii_case(flaw);
    let about =
        report.findings.iter().filter(|one| is_it(&one.vulnerability) || one.aliases.iter().any(is_it));
    Ok(json!({
        "flaw": flaw, "image": id.to_string(), "universe": universe, "findings": about.collect::<Vec<_>>(),
        "explanations": explain(&bill, &database, flaw)?, "unknown": report.unknown, "known": known,
    }))
}

/// Both sides are read from locks of the catalog: whoever asks names images, never files.
fn compare(session: &Session, asked: &TwoImages) -> Result<Value> {
    let factory = session.factory()?;
    let first = universe(asked.universe.as_ref());
    let second = asked.to_universe.as_deref().unwrap_or(first);
    let architecture = super::native_architecture();
    let from = side(session, &factory, (&asked.from, first), architecture)?;
    let to = side(session, &factory, (&asked.to, second), architecture)?;
    document("calypte.diff/1", &diff(&from, &to))
}

fn side(
    session: &Session,
    factory: &Factory<'_>,
    (image, universe): (&str, &str),
    architecture: Architecture,
) -> Result<Side> {
    let id: ImageId = factory.image_id(image, universe)?;
    let path = session.catalog()?.lock_path(universe, &id.family);
    let side = Side::read(&format!("{}#{}", path.display(), id.key()), architecture)?;
    let Some(side) = side else { bail!("{} is no lock", path.display()) };
    Ok(Side { name: format!("{id} in {universe}"), ..side })
}

fn propose(session: &Session, asked: &Propose) -> Result<Value> {
    let factory = session.factory()?;
    let request = DraftRequest {
        family: &asked.family,
        package: asked.package.as_deref().unwrap_or(&asked.family),
        universe: universe(asked.universe.as_ref()),
    };
    let (draft, text) = factory.sketch(request)?;
    let mut value = document("calypte.new/1", &draft)?;
    value["definition"] = json!(text);
    Ok(value)
}

fn rebuild(session: &Session, asked: &Image) -> Result<Value> {
    let factory = session.factory()?;
    let universe = universe(asked.universe.as_ref());
    let request = BuildRequest {
        image: factory.image_id(&asked.image, universe)?,
        universe: universe.to_owned(),
        architectures: Vec::new(),
        layers: factory.layer_options(),
    };
    document("calypte.build/1", &factory.build(&request)?)
}
