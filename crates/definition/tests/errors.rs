//! Each file in `tests/invalid` holds one mistake; this is what is said about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use calypte_definition::Catalog;

/// Sound families for the faulty ones to refer to.
const SOUND: [(&str, &str); 6] = [
    (
        "base",
        "image: base\ntitle: Base\ndescription: A root.\ncategory: base\npackages: {deb: [libc6, libssl3t64]}\n\
         slices: {drop: [docs, man]}\nvariants:\n  builder: {}\n",
    ),
    (
        "python",
        "image: python\ntitle: Python\ndescription: Python.\ncategory: runtime\nfrom: base\nstreams:\n  \
         \"3.14\": {universes: [debian-sid]}\n  \"3.13\": {}\n",
    ),
    ("circle", "image: circle\ntitle: C\ndescription: C.\ncategory: tool\nfrom: x\n"),
    ("first", "image: first\ntitle: F\ndescription: F.\ncategory: tool\n"),
    ("second", "image: second\ntitle: S\ndescription: S.\ncategory: tool\nfrom: first\n"),
    ("third", "image: third\ntitle: T\ndescription: T.\ncategory: tool\nfrom: second\n"),
];

#[expect(clippy::disallowed_methods, reason = "a test reads its own fixtures")]
fn fixtures() -> BTreeMap<String, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let named = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), text)
    };
    files.map(named).collect()
}

#[test]
fn each_mistake_is_pointed_at_with_advice() {
    let mut shown = String::new();
    let mut without_advice = Vec::new();
    for (case, text) in fixtures() {
        let name = if text.starts_with("image: base-builder") { "base-builder" } else { "x" };
        let needed: &[&str] = match case.as_str() {
            "parent-circle" => &["circle"],
            "too-many-levels" => &["first", "second", "third"],
            _ => &["base", "python"],
        };
        let sound = SOUND.iter().filter(|(family, _)| needed.contains(family));
        let files = sound
            .map(|(family, text)| (format!("catalog/images/{family}.yaml"), (*text).to_owned()))
            .chain([(format!("catalog/images/{name}.yaml"), text)]);
        let errors = Catalog::load(files).err().unwrap_or_default();
        assert!(!errors.is_empty(), "{case} is accepted");
        let errors: Vec<String> = errors
            .iter()
            .inspect(|error| without_advice.extend(error.hint.is_none().then(|| case.clone())))
            .map(ToString::to_string)
            .collect();
        shown.push_str(&format!("## {case}\n{}\n\n", errors.join("\n\n")));
    }
    insta::assert_snapshot!(shown);
    assert_eq!(
        without_advice,
        ["test-exit"],
        "an error must say what to do, unless its message is the advice"
    );
}

#[test]
fn two_files_of_one_family_are_refused() {
    let family = "image: first\ntitle: F\ndescription: F.\ncategory: tool\n".to_owned();
    let files = [("a/first.yaml".to_owned(), family.clone()), ("b/first.yaml".to_owned(), family)];
    let errors = Catalog::load(files).unwrap_err();
    insta::assert_snapshot!(errors[0], @"
    error: there are two families `first`
     --> b/first.yaml:1:8
      |
    1 | image: first
      |        ^^^^^
      = help: the other one is a/first.yaml
    ");
}
