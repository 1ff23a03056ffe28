//! The description of the API in OpenAPI 3.1: its addresses, and of each answer every field. Fields stand here as words, so that
//! a reader sees at a glance what there is; a test holds every answer of a whole site against it, field by field.

use serde_json::{Map, Value, json};

/// A field: its name, its type, what it is.
///
/// Types: `text`, `integer`, `number`, `boolean`, `time`, `digest`; `list T`, `map T` (of texts to `T`), `pair T U`; otherwise a
/// schema. `T?` may be null. A name with `?` may be left out.
type Field = (&'static str, &'static str, &'static str);

const SCHEMAS: &[(&str, &[Field])] = &[
    ("problem", &[("error", "text", "What is wrong, as a sentence.")]),
    ("images", &[("images", "list summary", "The repositories that pass.")]),
    (
        "summary",
        &[
            ("name", "text", "The repository."),
            ("title", "text", "What it is, as its makers write it."),
            ("description", "text", "What it is for."),
            ("category", "text?", "The shelf; null where the catalog does not define it."),
            ("architectures", "list text", "The architectures of its main image."),
            ("images", "integer", "How many images it has."),
            ("tags", "integer", "How many tags it has."),
            ("version", "text?", "The version of its main image."),
            ("size", "integer?", "Bytes to download of its main image, for its first machine."),
            ("flaws", "counts?", "The flaws of that; null where it was not scanned."),
            ("moved", "time?", "When the newest tag was moved."),
            ("ended", "boolean", "Whether its makers support none of its streams any more."),
        ],
    ),
    (
        "counts",
        &[
            ("by_severity", "map integer", "How many count, by severity."),
            ("all", "integer", "How many count."),
            ("fixable", "integer", "How many of them have a fix."),
            ("suppressed", "integer", "How many do not count, by VEX or by a rule."),
        ],
    ),
    (
        "repository",
        &[
            ("name", "text", "The repository."),
            ("images", "list tagged", "Its images, that of `latest` first."),
            ("summary", "summary", "What the list tells of it."),
            ("history", "map list day", "How many flaws counted on each day, by image of the catalog."),
            ("family?", "family", "What the catalog says; left out where it does not define it."),
        ],
    ),
    (
        "day",
        &[("day", "text", "The day: `2026-10-31`."), ("by_severity", "map integer", "How many counted.")],
    ),
    (
        "family",
        &[
            ("title", "text", "The software."),
            ("description", "text", "What the images are for."),
            ("category", "text", "The shelf."),
            ("home", "text?", "The home page of the software."),
            ("licence", "text?", "Its licences, as an SPDX expression."),
            ("readme", "text", "The page about it, in Markdown."),
            ("streams", "list stream", "Its streams, newest first."),
        ],
    ),
    (
        "stream",
        &[
            ("name", "text?", "Its name; null in a family without streams."),
            ("support", "text", "Until when its makers support it, in words."),
            ("ended", "boolean", "Whether that is over."),
        ],
    ),
    (
        "tagged",
        &[
            ("tags", "list text", "Its tags, the most exact first."),
            ("moved", "time?", "When the last of them was moved here."),
            ("digest", "digest", "Of the index, or of the manifest where there is none."),
            ("index", "boolean", "Whether it is an index over several machines."),
            ("annotations", "map text", "Its annotations."),
            ("platforms", "list platform", "One for each machine."),
        ],
    ),
    (
        "index",
        &[
            ("digest", "digest", "Of the index."),
            ("index", "boolean", "True."),
            ("annotations", "map text", "Its annotations."),
            ("platforms", "list platform", "One for each machine."),
            ("pipeline?", "pipelineImage", "What the pipeline knows; left out where that is nothing."),
        ],
    ),
    ("platform", PLATFORM),
    (
        "layer",
        &[
            ("digest", "digest", "Of the blob."),
            ("size", "integer", "In bytes, compressed."),
            ("title", "text?", "What it is of."),
        ],
    ),
    (
        "run",
        &[
            ("user", "text?", "The user."),
            ("command", "list text", "The words of the command."),
            ("ports", "list text", "The ports that it listens on."),
        ],
    ),
    (
        "evidence",
        &[
            ("statements", "list said", "The signed statements."),
            ("packages", "list package", "The packages, by name."),
            ("vex", "list vex", "The VEX statements, by flaw."),
            ("provenance", "provenance?", "Of what it was made, and by whom."),
            ("tests", "list test", "What its tests came to."),
        ],
    ),
    (
        "said",
        &[
            ("kind", "text", "Its kind, as an address."),
            ("key", "text?", "The fingerprint of the key, as the signer calls it."),
            ("referrer", "digest", "The manifest that holds it."),
        ],
    ),
    (
        "package",
        &[
            ("name", "text", "Its name."),
            ("version", "text", "Its version."),
            ("licence", "text?", "Its licence, as an SPDX expression."),
            ("purl", "text?", "Its package URL."),
        ],
    ),
    (
        "vex",
        &[
            ("flaw", "text", "The flaw."),
            ("status", "text", "`not_affected`, `affected`, `fixed` or `under_investigation`."),
            ("justification", "text?", "Why it is not affected, as OpenVEX calls it."),
            ("packages", "list text", "The packages."),
            ("note", "text?", "The evidence, or what to do."),
        ],
    ),
    (
        "provenance",
        &[
            ("builder", "text", "Who answers for the builder."),
            ("parameters", "map text", "What it was told."),
            ("materials", "list pair text text", "What it took: address and SHA-256."),
        ],
    ),
    ("test", &[("name", "text", "Its name."), ("outcome", "text", "`passed`, `failed` or `warned`.")]),
    (
        "scan",
        &[
            ("flaws", "counts", "How many."),
            ("findings", "list finding", "The findings, the worst first."),
            ("unknown", "list text", "Why there may be more."),
        ],
    ),
    (
        "finding",
        &[
            ("vulnerability", "text", "The flaw: its CVE number where it has one."),
            ("aliases", "list text", "Its other names."),
            ("component", "text", "The component, by its id in the bill of materials."),
            ("name", "text", "The component's name."),
            ("version", "text", "Its version."),
            ("purl", "text", "Its package URL."),
            ("source", "text", "The feed that says so."),
            ("advisory", "text", "The advisory, as that feed calls it."),
            ("matched", "text", "The package that the advisory names."),
            ("matched_version", "text", "The version that was compared."),
            ("range", "text", "The range that it is in, in words."),
            ("state", "fixState", "What can be done."),
            ("severity", "text", "critical, high, medium, low, negligible or unknown."),
            ("scores", "list score", "Each score that is known."),
            (
                "epss",
                "pair number number?",
                "Probability of exploitation in the next 30 days, and percentile.",
            ),
            ("exploited", "exploited?", "Whether it is known to be exploited."),
            ("risk", "number", "0 to 100."),
            ("published", "time?", "When the flaw was disclosed."),
            ("fix_since", "time?", "When a fix was there."),
            ("files", "list text", "Files of the component."),
            ("layers", "list digest", "The layers that they lie in."),
            ("references", "list text", "Where more is said."),
            ("suppressed", "suppressed?", "Why it does not count; null where it does."),
        ],
    ),
    (
        "score",
        &[
            ("kind", "text", "`V2`, `V3` or `V4` of CVSS."),
            ("score", "number", "0.0 to 10.0."),
            ("vector", "text", "The vector."),
            ("by", "text", "The feed that gave it."),
        ],
    ),
    (
        "exploited",
        &[
            ("since", "time?", "Since when it is listed."),
            ("ransomware", "boolean", "Whether ransomware is known to use it."),
        ],
    ),
    (
        "suppressed",
        &[
            ("by", "text", "What says so."),
            ("reason", "text", "Why."),
            ("evidence", "text", "What shows it."),
            ("until", "time?", "Until when."),
        ],
    ),
    (
        "changes",
        &[
            ("repository", "text", "The repository."),
            ("from", "digest?", "The earlier image; null where nothing earlier is known."),
            ("to", "digest", "The later one."),
            ("machines", "list machineChanges", "For each machine of the later one."),
            ("earlier", "list earlier", "The images before the later one, the latest first."),
        ],
    ),
    (
        "machineChanges",
        &[
            ("platform", "text", "`linux/arm64`."),
            ("from", "digest?", "The earlier manifest; null where there was none for this machine."),
            ("to", "digest", "The later manifest."),
            ("size", "integer", "Bytes to download of the whole image."),
            ("update", "integer", "Bytes to download for whoever has the earlier one."),
            ("layers", "list layer", "The layers that the earlier one does not have."),
            (
                "packages",
                "list packageChange?",
                "The packages that changed; null where one of the two has no bill of materials.",
            ),
        ],
    ),
    (
        "packageChange",
        &[
            ("name", "text", "Its name."),
            ("before", "list text", "The versions in the earlier image; empty where it was not there."),
            ("after", "list text", "The versions in the later one; empty where it is not there any more."),
        ],
    ),
    (
        "earlier",
        &[("digest", "digest", "The image."), ("replaced", "time?", "When the one after it took its place.")],
    ),
    ("flaws", &[("flaws", "list flaw", "The flaws that pass, those that count first.")]),
    (
        "flaw",
        &[
            ("name", "text", "Its name."),
            ("aliases", "list text", "Its other names."),
            ("severity", "text", "The worst that is said of it."),
            ("epss", "number?", "The probability that it is exploited in the next 30 days."),
            ("exploited", "boolean", "Whether it is known to be exploited."),
            ("fixable", "boolean", "Whether there is a fix for something that has it."),
            ("published", "time?", "When it was disclosed."),
            ("references", "list text", "Where more is said."),
            ("places", "list place", "The images, those in which it counts first."),
        ],
    ),
    (
        "place",
        &[
            ("suppressed", "text?", "Why it does not count; null where it does."),
            ("repository", "text", "The repository."),
            ("tag", "text", "A tag of the image."),
            ("platform", "text", "The machine."),
            ("digest", "digest", "Of that machine's manifest."),
            ("package", "text", "The package."),
            ("version", "text", "Its version."),
            ("fix", "text", "The version with a fix, or why there is none."),
        ],
    ),
    (
        "status",
        &[
            ("repositories", "integer", "How many there are."),
            ("gathered", "time?", "When what is known was gathered; null: not yet."),
            ("problems", "list text", "What could not be gathered."),
            ("pipeline", "pipeline?", "The pipeline; null where none ever ran."),
            ("feeds", "list feed", "The feeds of advisories."),
        ],
    ),
    (
        "feed",
        &[
            ("source", "text", "Its name."),
            ("url", "text", "Where it comes from."),
            ("date", "time?", "Of what date its content is."),
            ("checked", "time", "When it was seen to be unchanged, or read."),
            ("age_days", "integer", "Its age in days."),
            ("max_age_days", "integer", "From how many days on it is too old."),
            ("stale", "boolean", "Whether it is."),
            ("entries", "integer", "How many advisories, scores or known exploits it has."),
        ],
    ),
    (
        "pipeline",
        &[
            ("running", "boolean", "Whether a run is at work."),
            ("paused", "text?", "Why it paused itself."),
            ("waiting", "list wait", "What is to be done, in the order in which it will be."),
            ("time_to_fix", "times", "How long all fixes took."),
            ("by_day", "list dayTimes", "How long those took that were published on a day."),
            ("images", "map pipelineImage", "What it knows of images, by their names in the catalog."),
            ("runs", "list pipelineRun", "Its runs, the newest first."),
        ],
    ),
    (
        "wait",
        &[
            ("image", "text", "The image."),
            ("architectures", "list text", "The machines for which it is to be made."),
            ("since", "time", "Since when."),
            (
                "urgency",
                "text",
                "exploited, critical, high, fix or schedule; `–` where nothing is to be made.",
            ),
            ("reason", "text", "Why it is to be made anew."),
            ("obstacles", "list text", "What the gate refused, or what failed."),
            ("next", "time?", "When it is tried again; null: with the next run, or when something changes."),
        ],
    ),
    ("times", TIMES),
    ("dayTimes", &[("day", "text", "The day: `2026-10-31`."), TIMES[0], TIMES[1], TIMES[2], TIMES[3]]),
    (
        "pipelineImage",
        &[
            ("time_to_fix", "times", "How long its fixes took."),
            ("fixes", "list fix", "The flaws that it lost, or will; these first, then the latest."),
            ("published", "list pair digest time", "The digests of its index, the first first, and when."),
        ],
    ),
    (
        "fix",
        &[
            ("flaw", "text", "The flaw."),
            ("package", "text", "The package."),
            ("version", "text", "The version that had it."),
            ("severity", "text", "How bad it was."),
            ("architecture", "text", "The machine."),
            ("available", "time", "Since when there was a fix."),
            ("published", "time?", "When the image with it was published; null: not yet."),
            ("seconds", "integer?", "From the one to the other."),
        ],
    ),
    (
        "pipelineRun",
        &[
            ("id", "text", "Its name."),
            ("began", "time", "When it began."),
            ("seconds", "integer?", "How long it took; null while it goes on, and where it was cut."),
            ("outcome", "text", "What it came to, in a few words."),
            ("images", "list runImage", "What became of each image."),
            ("remarks", "list text", "What else there is to say."),
        ],
    ),
    (
        "runImage",
        &[
            ("image", "text", "The image."),
            ("outcome", "text", "published, unchanged, refused, broken, postponed or waiting."),
            ("reason", "text", "Why it was to be made anew."),
            ("fixed", "integer", "How many flaws it lost."),
            ("obstacles", "list text", "What the gate refused, or what failed."),
        ],
    ),
];

const TIMES: &[Field] = &[
    ("count", "integer", "How many flaws."),
    ("median", "integer?", "Half of them took at most so many seconds."),
    ("ninth_decile", "integer?", "Nine in ten took at most so many."),
    ("longest", "integer?", "The longest."),
];

const PLATFORM: &[Field] = &[
    ("platform", "text", "`linux/arm64`."),
    ("digest", "digest", "Of the manifest."),
    ("size", "integer", "Bytes to download: config and layers."),
    ("layers", "list layer", "The layers, the lowest first."),
    ("created", "text?", "When the image was made, as it says itself."),
    ("run", "run", "How containers start."),
    ("flaws?", "counts?", "How many flaws; in an index alone."),
];

/// What one machine's image has beside what an index says of it.
const MACHINE: &[Field] = &[
    ("evidence", "evidence", "What is said of it."),
    ("image?", "text", "Which image of the catalog it is."),
    ("universe?", "text", "The universe of its packages."),
    ("scan?", "scan", "What a scan found."),
    ("pipeline?", "pipelineImage", "What the pipeline knows."),
];

/// The description of the API.
pub(super) fn description() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Calypte catalog", "version": "1",
            "description": "What is published here: images, what is in them, what is known of their flaws, how they are kept fresh. Reading needs no login.",
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths(),
        "components": {
            "responses": { "NotFound": { "description": "There is no such thing here.", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/problem" } } } } },
            "schemas": schemas(),
        },
    })
}

fn paths() -> Value {
    let list = |summary: &str, parameters: Value, name: &str| {
        json!({ "get": {
            "summary": summary, "operationId": name, "parameters": parameters,
            "responses": { "200": answer(name), "404": { "$ref": "#/components/responses/NotFound" } },
        }})
    };
    let query = |name: &str, about: &str| json!({ "name": name, "in": "query", "description": about, "schema": { "type": "string" } });
    let part = |name: &str, about: &str| json!({ "name": name, "in": "path", "required": true, "description": about, "schema": { "type": "string" } });
    let repository = || part("name", "The repository; a name may have slashes in it.");
    json!({
        "/api/v1/images": list("All repositories", json!([
            query("q", "Words that name, title or description must have."), query("category", "One shelf."),
            query("architecture", "One architecture."), query("flaws", "`none`, `some` or `fixable`."),
        ]), "images"),
        "/api/v1/images/{name}": list("One repository with its images and tags", json!([repository()]), "repository"),
        "/api/v1/images/{name}/-/{key}": list(
            "One image; by the digest of one machine's manifest also its packages, flaws and statements",
            json!([repository(), part("key", "A tag or a digest.")]), "image"),
        "/api/v1/images/{name}/-/{key}/changes": list("What changed since the image before, and what that update costs", json!([
            repository(), part("key", "A tag or a digest."), query("from", "A tag or a digest to compare with instead."),
        ]), "changes"),
        "/api/v1/flaws": list("All flaws", json!([
            query("q", "Words that flaw, package or image must have."),
            json!({ "name": "severity", "in": "query", "schema": { "type": "string", "enum": super::flaws::severities() } }),
        ]), "flaws"),
        "/api/v1/flaws/{flaw}": list("One flaw, and where it is", json!([part("flaw", "Its name.")]), "flaw"),
        "/api/v1/status": list("The state of things: the pipeline, the feeds", json!([]), "status"),
    })
}

fn answer(schema: &str) -> Value {
    json!({ "description": "Here it is.", "content": { "application/json": {
        "schema": { "$ref": format!("#/components/schemas/{schema}") } } } })
}

fn schemas() -> Value {
    let mut all: Map<String, Value> =
        SCHEMAS.iter().map(|(name, fields)| ((*name).to_owned(), object(fields.iter()))).collect();
    let of_machine = PLATFORM.iter().filter(|(name, ..)| *name != "flaws?");
    all.insert("machine".to_owned(), object(of_machine.chain(MACHINE)));
    let either = [reference("index"), reference("machine")];
    all.insert("image".to_owned(), json!({ "oneOf": either }));
    let words = ["not-fixed", "wont-fix", "deferred", "end-of-life", "unknown"];
    let versions = object([&("fixed", "list text", "The versions that do not have it.")].into_iter());
    all.insert("fixState".to_owned(), json!({ "oneOf": [{ "type": "string", "enum": words }, versions] }));
    Value::Object(all)
}

fn object<'a>(fields: impl Iterator<Item = &'a Field>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, kind, about) in fields {
        let plain = name.trim_end_matches('?');
        if plain == *name {
            required.push(plain);
        }
        let mut schema = typed(kind);
        schema["description"] = json!(about);
        properties.insert(plain.to_owned(), schema);
    }
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn typed(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix('?') {
        return json!({ "oneOf": [typed(kind), { "type": "null" }] });
    }
    match kind.split_once(' ') {
        Some(("list", of)) => json!({ "type": "array", "items": typed(of) }),
        Some(("map", of)) => json!({ "type": "object", "additionalProperties": typed(of) }),
        Some(("pair", both)) => {
            let (left, right) = both.split_once(' ').unwrap_or((both, both));
            json!({ "type": "array", "prefixItems": [typed(left), typed(right)], "items": false, "minItems": 2 })
        }
        _ => match kind {
            "text" => json!({ "type": "string" }),
            "integer" | "number" | "boolean" => json!({ "type": kind }),
            "time" => json!({ "type": "integer", "format": "int64", "x-unit": "seconds since 1970" }),
            "digest" => json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" }),
            schema => reference(schema),
        },
    }
}
