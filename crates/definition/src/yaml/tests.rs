//! What the reader refuses and how it says so; what it reads.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    #[serde(default)]
    entrypoint: Vec<String>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    count: Option<u16>,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    verbs: Vec<Verb>,
    #[serde(default)]
    streams: Entries<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    NoOp,
    Finishers(Vec<String>),
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Dir(Dir),
    Wait(Wait),
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Dir {
    dir: Spanned<String>,
    #[serde(default)]
    mode: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Wait {
    port: u16,
}

#[test]
fn reads_each_shape() {
    let text = r#"
# a comment
name: x
entrypoint: [a, "-g", 'daemon off;']
mode: "0644"
count: 17
strict: true
kind: {finishers: [users]}
verbs:
  - dir: /run
    mode: "0755"
  - {dir: /a}
  - wait: {port: 80}
streams:
  "3.14": {a: b}
  "3.13": {}
"#;
    let file: File = from_str("a.yaml", text).unwrap();
    assert_eq!(file.entrypoint, ["a", "-g", "daemon off;"]);
    assert_eq!(file.kind, Some(Kind::Finishers(vec!["users".to_owned()])));
    assert_eq!(file.count, Some(17));
    assert_eq!(
        file.streams.iter().map(|(name, _)| name.value.as_str()).collect::<Vec<_>>(),
        ["3.14", "3.13"]
    );
    let Verb::Dir(dir) = &file.verbs[0] else { panic!("{:?}", file.verbs) };
    assert_eq!(dir.mode.as_deref(), Some("0755"));
    let place = usize::try_from(dir.dir.span.start).unwrap();
    assert_eq!(&text[place..usize::try_from(dir.dir.span.end).unwrap()], "/run");
    assert_eq!(file.verbs[2], Verb::Wait(Wait { port: 80 }));
    assert_eq!(from_str::<File>("a.yaml", "name: x\nkind: no-op").unwrap().kind, Some(Kind::NoOp));
}

#[test]
fn errors_point_and_advise() {
    let mut shown = String::new();
    for (case, text) in [
        ("unknown key", "name: x\nentrypont: [nginx]\n"),
        ("unknown key inside of a list", "name: x\nverbs:\n  - dir: /run\n    moed: \"0755\"\n"),
        ("unknown key far from all", "name: x\nzebra: 1\n"),
        ("missing key", "mode: \"0644\"\ncount: 1\n"),
        ("missing key in a list", "name: x\nverbs:\n  - wait: {}\n"),
        ("duplicate key", "name: x\nmode: a\nname: y\n"),
        ("mode without quotes", "name: x\nmode: 0644\n"),
        ("version without quotes", "name: x\nmode: 3.14\n"),
        ("boolean for a string", "name: true\n"),
        ("version as a key", "name: x\nstreams:\n  3.14: {}\n"),
        ("nothing for a string", "name:\nmode: a\n"),
        ("nothing for a list", "name: x\nentrypoint:\n"),
        ("nothing for an optional", "name: x\nmode: ~\n"),
        ("string for a list", "name: x\nentrypoint: nginx\n"),
        ("list for a string", "name: [x]\n"),
        ("string for a number", "name: x\ncount: many\n"),
        ("quoted number", "name: x\ncount: \"17\"\n"),
        ("number out of range", "name: x\ncount: 70000\n"),
        ("octal number", "name: x\ncount: 010\n"),
        ("yes", "name: x\nstrict: yes\n"),
        ("unknown verb", "name: x\nverbs:\n  - dri: /run\n"),
        ("two verbs", "name: x\nverbs:\n  - dir: /run\n    wait: {port: 1}\n"),
        ("option beside a lone verb", "name: x\nverbs:\n  - wait: {port: 1}\n    port: 2\n"),
        ("unknown value", "name: x\nkind: noop\n"),
        ("value needed", "name: x\nkind: finishers\n"),
        ("value not wanted", "name: x\nkind: {no-op: 1}\n"),
        ("anchor", "name: &a x\n"),
        ("alias", "name: x\nmode: *a\n"),
        ("tag", "name: !!str x\n"),
        ("local tag", "name: x\nmode: !include a.yaml\n"),
        ("merge key", "name: x\n<<: {mode: a}\n"),
        ("second document", "name: x\n---\nname: y\n"),
        ("directive", "%YAML 1.2\n---\nname: x\n"),
        ("key that is no string", "name: x\n? [a]\n: b\n"),
        ("broken flow list", "name: x\nentrypoint: [a, b\n"),
        ("bad indentation", "name: x\n  mode: y\n"),
        ("tab", "name: x\nverbs:\n\t- dir: /a\n"),
        ("empty file", ""),
        ("only a comment", "# nothing\n"),
        ("list as document", "- a\n"),
    ] {
        let error = from_str::<File>("a.yaml", text).expect_err(case);
        shown.push_str(&format!("## {case}\n{error}\n\n"));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn hostile_files_are_refused_and_not_suffered() {
    let deep = format!("name: {}x{}\n", "[".repeat(20_000), "]".repeat(20_000));
    let deep_blocks = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
    let wide = format!("name: [{}]\n", "a,".repeat(MAX_NODES + 1));
    let large = format!("name: {}\n", "x".repeat(MAX_SIZE));
    for text in [
        deep,
        deep_blocks,
        wide,
        large,
        "\u{feff}\u{feff}".to_owned(),
        "\0".to_owned(),
        "name: \"\\x\"".to_owned(),
    ] {
        let error = from_str::<File>("a.yaml", &text).expect_err("must be refused");
        assert!(error.to_string().len() < 2000);
    }
}
