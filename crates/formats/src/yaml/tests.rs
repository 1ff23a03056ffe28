use serde::Deserialize;
use serde_json::{Value, json};

use super::from_str;

#[derive(Debug, PartialEq, Deserialize)]
struct Release {
    version: String,
    number: Option<u8>,
    #[serde(default)]
    names: Vec<String>,
}

fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    from_str::<T>(text, 1_000).unwrap_err().to_string()
}

#[test]
fn the_type_that_is_asked_for_decides_what_a_scalar_is() {
    let release: Release = from_str("version: 1.10\nnumber: 7\nnames: [0644, true, '']\n", 100).unwrap();
    assert_eq!(release.version, "1.10", "and not the number 1.1");
    assert_eq!(release.number, Some(7));
    assert_eq!(release.names, ["0644", "true", ""]);
    let release: Release = from_str("version: '1'\nnumber:\nother: {deep: [1]}\n", 100).unwrap();
    assert_eq!((release.number, release.names.len()), (None, 0));
}

#[test]
fn where_no_type_is_asked_for_the_core_schema_decides() {
    let value: Value = from_str("[1, -2.5, yes, true, ~, '1', 1.2.3, infinity, {a: b}]", 100).unwrap();
    assert_eq!(value, json!([1, -2.5, "yes", true, null, "1", "1.2.3", "infinity", {"a": "b"}]));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    assert_eq!(
        refused::<Release>("version: 1\nnumber: many\n"),
        "line 2, column 9: expected a number, found `many`"
    );
    assert_eq!(refused::<Release>("version: [1]\n"), "line 1, column 10: expected a string, found a list");
    assert_eq!(refused::<Release>("version:\n"), "line 1, column 8: expected a string, found nothing");
    assert_eq!(refused::<Release>("number: 1\n"), "line 1, column 1: missing field `version`");
    let too_large = refused::<Release>("version: a\nnumber: 300\n");
    assert!(too_large.starts_with("line 2, column 9: invalid value: integer `300`"), "{too_large}");
}

#[test]
fn what_costs_more_than_its_size_is_refused() {
    for (text, expected) in [
        ("a: &x [*x]\n", "anchors (`&name`) are not accepted"),
        ("a: *x\n", "aliases (`*name`) are not accepted"),
        ("a: !!binary aGk=\n", "are not accepted"),
        ("<<: {a: 1}\n", "merge keys"),
        ("a: 1\na: 2\n", "line 2, column 1: key `a` is given twice"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("[a]: 1\n", "a key must be a string"),
        ("", "there is no document"),
        ("a: 'b", "no valid YAML"),
    ] {
        let error = refused::<Value>(text);
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    assert!(from_str::<Value>("[1, 2, 3]", 4).is_ok());
    assert_eq!(from_str::<Value>("[1, 2, 3]", 3).unwrap_err().reason, "there are more than 3 values");
    for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        let error = refused::<Value>(&deep);
        assert!(error.starts_with("line 1, "), "{error}");
    }
}
