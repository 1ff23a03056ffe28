//! The JSON API, version 1, and its description in OpenAPI 3.1. What a page shows an answer holds.

use serde_json::{Value, json};

use super::evidence::Evidence;
use super::given::{Given, Known};
use super::shelf::{Image, Platform, Repository};
use super::view::{self, Counts, Flaw, Summary};

/// The description of the API.
pub(super) fn description() -> Value {
    let list = |summary: &str, parameters: Value, name: &str| {
        json!({ "get": {
            "summary": summary, "operationId": name, "parameters": parameters,
            "responses": { "200": answer(name), "404": { "$ref": "#/components/responses/NotFound" } },
        }})
    };
    let query = |name: &str, about: &str| json!({ "name": name, "in": "query", "description": about, "schema": { "type": "string" } });
    let part = |name: &str, about: &str| json!({ "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string" } });
    let repository = || part("name", "The repository; a name may have slashes in it.");
    let object = |required: &[&str]| json!({ "type": "object", "required": required });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Calypte catalog", "version": "1",
            "description": "What is published here: images, what is in them, what is known of their flaws. Reading needs no login.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": {
            "/api/v1/images": list("All repositories", json!([
                query("q", "Words that name, title or description must have."), query("category", "One shelf."),
                query("architecture", "One architecture."), query("flaws", "`none`, `some` or `fixable`."),
            ]), "images"),
            "/api/v1/images/{name}": list("One repository with its images and tags", json!([repository()]), "repository"),
            "/api/v1/images/{name}/-/{key}": list(
                "One image; by the digest of one machine's manifest also its packages, flaws and statements",
                json!([repository(), part("key", "A tag or a digest.")]), "image"),
            "/api/v1/flaws": list("All flaws", json!([
                query("q", "Words that flaw, package or image must have."),
                json!({ "name": "severity", "in": "query", "schema": { "type": "string", "enum": super::flaws::severities() } }),
            ]), "flaws"),
            "/api/v1/flaws/{flaw}": list("One flaw, and where it is", json!([part("flaw", "Its name.")]), "flaw"),
            "/api/v1/status": list("The state of things", json!([]), "status"),
        },
        "components": {
            "responses": { "NotFound": { "description": "There is no such thing here.", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/problem" } } } } },
            "schemas": {
                "problem": object(&["error"]), "images": object(&["images"]), "repository": object(&["name", "images"]),
                "image": object(&["digest"]), "flaws": object(&["flaws"]), "flaw": object(&["name"]),
                "status": object(&["repositories", "runs", "feeds"]),
            },
        },
    })
}

fn answer(schema: &str) -> Value {
    json!({ "description": "Here it is.", "content": { "application/json": {
        "schema": { "$ref": format!("#/components/schemas/{schema}") } } } })
}

/// All repositories that pass.
pub(super) fn images(shown: &[&Summary]) -> Value {
    json!({ "images": shown })
}

/// One repository.
pub(super) fn repository(repository: &Repository, given: &Given) -> Value {
    let mut value = json!(repository);
    value["summary"] = json!(Summary::of(repository, given));
    let names = repository.images.iter().map(|tagged| super::repository::name(tagged, given));
    let history = names.filter_map(|name| given.history.get(&name).map(|days| (name, json!(days))));
    value["history"] = Value::Object(history.collect());
    if let Some(family) = given.families.get(&repository.name) {
        let streams = family.streams.iter();
        let streams = streams
            .map(|stream| json!({ "name": stream.name, "support": stream.support, "ended": stream.ended }));
        value["family"] = json!({
            "title": family.title, "description": family.description, "category": family.category, "home": family.home,
            "licence": family.licence, "readme": family.readme, "streams": streams.collect::<Vec<_>>(),
        });
    }
    value
}

/// An image over several machines.
pub(super) fn image(image: &Image, given: &Given) -> Value {
    let mut value = json!(image);
    for (platform, shown) in
        image.platforms.iter().zip(value["platforms"].as_array_mut().into_iter().flatten())
    {
        shown["flaws"] = json!(view::counts(platform, given));
    }
    value
}

/// One machine's image with all that is said of it.
pub(super) fn machine(platform: &Platform, evidence: &Evidence, known: Option<&Known>) -> Value {
    let mut value = json!(platform);
    value["evidence"] = json!(evidence);
    if let Some(known) = known {
        value["image"] = json!(known.image);
        value["universe"] = json!(known.universe);
        if let Some(scan) = &known.scan {
            let flaws = Counts::of(&scan.findings);
            value["scan"] = json!({ "flaws": flaws, "findings": scan.findings, "unknown": scan.unknown });
        }
    }
    value
}

/// All flaws that pass.
pub(super) fn flaws(shown: &[&Flaw]) -> Value {
    json!({ "flaws": shown })
}

/// The state of things.
pub(super) fn status(all: &[Summary], given: &Given) -> Value {
    let runs = given.runs.iter().map(|run| {
        json!({ "began": run.began, "seconds": run.seconds, "outcome": run.outcome, "images": run.images })
    });
    json!({
        "repositories": all.len(), "gathered": given.at, "problems": given.problems,
        "runs": runs.collect::<Vec<_>>(), "feeds": given.feeds,
    })
}
