//! The examples of `docs/reference/definition.md` are read as they stand there.

use std::path::Path;

use calypte_definition::{Catalog, written::DeltaFile, yaml};

#[expect(clippy::disallowed_methods, reason = "a test reads the committed page")]
fn examples() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/definition.md");
    let text = std::fs::read_to_string(page).unwrap();
    text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn examples_are_accepted() {
    let examples = examples();
    let (whole, parts) = examples.split_first().unwrap();
    let base = "image: base\ntitle: Base\ndescription: A root.\ncategory: base\nvariants: {builder: {}}\n";
    let files =
        [("base.yaml", base), ("nginx.yaml", whole)].map(|(file, text)| (file.to_owned(), text.to_owned()));
    let catalog = Catalog::load(files).unwrap_or_else(|errors| panic!("{}", errors[0]));
    assert!(catalog.parse_id("nginx-builder").is_ok());
    assert!(parts.len() >= 3);
    // What is for the page about a family stands in the family alone.
    let (pages, parts): (Vec<_>, Vec<_>) =
        parts.iter().partition(|part| part.starts_with("compatibility:") || part.starts_with("example:"));
    let pages = pages.into_iter().map(String::as_str).collect::<String>();
    let catalog = Catalog::load([("base.yaml".to_owned(), format!("{base}{pages}"))]).unwrap();
    let image = catalog.image(&catalog.parse_id("base").unwrap()).unwrap();
    assert!(image.example.as_ref().is_some_and(|example| example.images() == ["builder", "image"]));
    assert_eq!(image.compatibility.as_ref().map(|compatibility| compatibility.table.len()), Some(2));
    for part in parts {
        // The parts of a family are those of a variant too, but for the streams.
        let (keys, streams) =
            part.split_once("streams:").map_or((part.as_str(), None), |(keys, rest)| (keys, Some(rest)));
        let delta = yaml::from_str::<DeltaFile>("part.yaml", keys);
        assert!(delta.is_ok(), "{}", delta.unwrap_err());
        if let Some(streams) = streams {
            let streams = yaml::from_str::<yaml::Entries<DeltaFile>>("part.yaml", streams);
            assert!(streams.is_ok(), "{}", streams.unwrap_err());
        }
    }
}
