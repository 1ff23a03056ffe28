//! The tools and what they are asked with. Arguments come from a model, which may repeat what somebody else wrote: names that
//! are not known are refused, and each text is short and on one line.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest text of an argument, in bytes.
const LONGEST: usize = 200;

/// Most images that a search lists, and those that it lists unless told otherwise.
const MOST: u32 = 200;
const USUAL: u32 = 20;

/// A question to the factory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Which images there are.
    Search(Search),
    /// What is in an image.
    Show(Image),
    /// What is known of a flaw.
    Explain(Explain),
    /// What differs between two images.
    Diff(TwoImages),
    /// A definition for a family that is not there yet; nothing is written.
    Propose(Propose),
    /// Builds an image anew from its lock: writes.
    Rebuild(Image),
}

/// Words and a shelf.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Words that name, title or description must have; all images where there are none
    #[serde(default)]
    pub query: String,
    /// One shelf of the catalog, such as `database` or `web`
    pub category: Option<String>,
    /// The universe, such as `debian-sid`; all where none is named
    pub universe: Option<String>,
    /// Most images to list: 1 to 200
    #[serde(default = "usual")]
    pub limit: u32,
}

fn usual() -> u32 {
    USUAL
}

/// An image of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The image: FAMILY[:STREAM][-VARIANT], such as `python:3.14-builder`
    pub image: String,
    /// The universe, such as `debian-sid`, which is the one that is meant where none is named
    pub universe: Option<String>,
}

/// A flaw, everywhere or in one image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The flaw: its CVE number, or what a feed calls it
    pub flaw: String,
    /// An image of the catalog: then it is told for each package whether the flaw concerns it, and why
    pub image: Option<String>,
    /// The universe, such as `debian-sid`, which is the one that is meant where none is named
    pub universe: Option<String>,
}

/// Two images of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TwoImages {
    /// The first image
    pub from: String,
    /// The second image
    pub to: String,
    /// The universe of the first, and of the second unless `to_universe` names another
    pub universe: Option<String>,
    /// The universe of the second image
    pub to_universe: Option<String>,
}

/// A family that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Propose {
    /// The name of the new family
    pub family: String,
    /// The package of the distribution; the one of the family's name where none is named
    pub package: Option<String>,
    /// The universe, such as `debian-sid`, which is the one that is meant where none is named
    pub universe: Option<String>,
}

/// One tool.
struct Offer {
    name: &'static str,
    about: &'static str,
    writes: bool,
    schema: fn() -> JsonObject,
    read: fn(Value) -> Result<Request, String>,
}

/// The name of the tool that writes.
pub(crate) const REBUILD: &str = "start_rebuild";
/// The name of the tool that tells how that goes.
pub(crate) const STATUS: &str = "rebuild_status";

const OFFERS: [Offer; 6] = [
    Offer {
        name: "search_catalog",
        about: "Lists images of the catalog whose name, title or description has all words of the query.",
        writes: false,
        schema: schema::<Search>,
        read: |value| read(value).map(Request::Search),
    },
    Offer {
        name: "show_image",
        about: "Shows what is in an image by its lock: packages with versions, who asked for each, until when it is supported.",
        writes: false,
        schema: schema::<Image>,
        read: |value| read(value).map(Request::Show),
    },
    Offer {
        name: "explain_cve",
        about: "Tells what the feeds that were read say of a flaw, and with an image for each package why it is or is not concerned.",
        writes: false,
        schema: schema::<Explain>,
        read: |value| read(value).map(Request::Explain),
    },
    Offer {
        name: "diff_images",
        about: "Compares the packages of two images of the catalog by their locks.",
        writes: false,
        schema: schema::<TwoImages>,
        read: |value| read(value).map(Request::Diff),
    },
    Offer {
        name: "propose_definition",
        about: "Looks at a package of the distribution and gives the text of a definition to begin with. Nothing is written.",
        writes: false,
        schema: schema::<Propose>,
        read: |value| read(value).map(Request::Propose),
    },
    Offer {
        name: REBUILD,
        about: "Builds an image anew from its lock, into the store; nothing is published. Returns at once; rebuild_status tells how it goes.",
        writes: true,
        schema: schema::<Image>,
        read: |value| read(value).map(Request::Rebuild),
    },
];

/// The tools, as clients see them; those that write only where `writes` says so.
pub(crate) fn tools(writes: bool) -> Vec<Tool> {
    let offered = OFFERS.iter().filter(|offer| writes || !offer.writes);
    let mut tools: Vec<Tool> = offered
        .map(|offer| {
            let hints = ToolAnnotations::new().read_only(!offer.writes).destructive(false);
            Tool::new(offer.name, offer.about, Arc::new((offer.schema)())).with_annotations(hints)
        })
        .collect();
    if writes {
        let hints = ToolAnnotations::new().read_only(true);
        let about = "Tells what became of the rebuilds that this server was asked for.";
        tools.push(Tool::new(STATUS, about, Arc::new(schema::<Nothing>())).with_annotations(hints));
    }
    tools
}

/// No arguments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Whether there is a tool of this name, and whether it writes.
pub(crate) fn writes(name: &str) -> Option<bool> {
    match name {
        STATUS => Some(true),
        _ => OFFERS.iter().find(|offer| offer.name == name).map(|offer| offer.writes),
    }
}

/// Reads the arguments of a tool; what is wrong with them is told to the model.
pub(crate) fn parse(name: &str, arguments: JsonObject) -> Result<Request, String> {
    let offer = OFFERS.iter().find(|offer| offer.name == name);
    let offer = offer.ok_or_else(|| format!("there is no tool {name}"))?;
    check(&arguments)?;
    let request = (offer.read)(Value::Object(arguments))?;
    match &request {
        Request::Search(search) if !(1..=MOST).contains(&search.limit) => {
            Err(format!("limit: {} is not between 1 and {MOST}", search.limit))
        }
        _ => Ok(request),
    }
}

fn check(arguments: &JsonObject) -> Result<(), String> {
    for (name, value) in arguments {
        let Some(text) = value.as_str() else { continue };
        if text.len() > LONGEST {
            return Err(format!("{name:.40}: it is longer than {LONGEST} bytes"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{name:.40}: it has characters that no name has"));
        }
    }
    Ok(())
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn schema<T: JsonSchema>() -> JsonObject {
    match schemars::schema_for!(T).to_value() {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(name: &str, arguments: Value) -> Result<Request, String> {
        parse(name, arguments.as_object().cloned().unwrap())
    }

    #[test]
    fn arguments_are_read_and_what_is_no_argument_is_refused() {
        let Ok(Request::Search(search)) = of("search_catalog", json!({ "query": "web server" })) else {
            panic!("no search");
        };
        assert_eq!((search.query.as_str(), search.limit, search.category), ("web server", USUAL, None));
        for (name, arguments) in [
            ("search_catalog", json!({ "limit": 0 })),
            ("search_catalog", json!({ "limit": 1_000_000 })),
            ("search_catalog", json!({ "limit": -1 })),
            ("search_catalog", json!({ "query": 7 })),
            ("show_image", json!({})),
            ("show_image", json!({ "image": "a".repeat(201) })),
            ("show_image", json!({ "image": "nginx\n" })),
            ("show_image", json!({ "image": "nginx", "path": "/etc/passwd" })),
            ("show_image", json!({ "image": ["nginx"] })),
            ("explain_cve", json!({ "flaw": "CVE-2026-1\u{0}" })),
        ] {
            assert!(of(name, arguments.clone()).is_err(), "{name} {arguments}");
        }
    }

    #[test]
    fn tools_that_write_are_there_only_when_allowed() {
        let names = |writes| tools(writes).into_iter().map(|tool| tool.name.into_owned()).collect::<Vec<_>>();
        assert_eq!(names(false).len(), 5);
        assert!(!names(false).iter().any(|name| name.contains("rebuild")));
        assert!(names(true).contains(&REBUILD.to_owned()) && names(true).contains(&STATUS.to_owned()));
        for tool in tools(true) {
            assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
            assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
            let read_only = tool.annotations.and_then(|hints| hints.read_only_hint);
            assert_eq!(read_only, Some(tool.name != REBUILD), "{}", tool.name);
        }
    }
}
