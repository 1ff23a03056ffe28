//! The JSON API, version 1. What a page shows an answer holds; `openapi` describes each field.

use serde_json::{Value, json};

use super::evidence::Evidence;
use super::given::{Given, Known};
use super::shelf::{Image, Platform, Repository};
use super::view::{self, Counts, Flaw, Summary};

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
    of_pipeline(&mut value, view::known(image, given), given);
    value
}

/// Adds what the pipeline knows of an image, where that is something.
fn of_pipeline(value: &mut Value, known: Option<&Known>, given: &Given) {
    let of = |known: &Known| given.pipeline.as_ref()?.images.get(&known.image);
    if let Some(image) = known.and_then(of) {
        value["pipeline"] = json!(image);
    }
}

/// One machine's image with all that is said of it.
pub(super) fn machine(
    platform: &Platform,
    evidence: &Evidence,
    known: Option<&Known>,
    given: &Given,
) -> Value {
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
    of_pipeline(&mut value, known, given);
    value
}

/// All flaws that pass.
pub(super) fn flaws(shown: &[&Flaw]) -> Value {
    json!({ "flaws": shown })
}

/// The state of things.
pub(super) fn status(all: &[Summary], given: &Given) -> Value {
    json!({
        "repositories": all.len(), "gathered": given.at, "problems": given.problems,
        "pipeline": given.pipeline.as_deref(), "feeds": given.feeds,
    })
}
