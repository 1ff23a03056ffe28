//! `calypte catalog` over a small catalog of its own, so that what is printed changes with the program alone.

use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

const GAMMA: &str = r#"image: gamma
title: Gamma
description: Counts. Has a second sentence | and a bar.
category: tool
url: https://example.org/
licenses: MIT
packages: {deb: [gamma]}
run:
  entrypoint: [/usr/bin/gamma]
  ports: [8080/tcp]
  volumes: [/data]
  environment: {PATH: /usr/bin, GAMMA_MODE: "fast `er`"}
version-of: {deb: gamma}
tags: ["{version}", "{stream}"]
eol: endoflife:gamma
streams:
  "2": {tags: [latest]}
  "1": {}
variants:
  debug: {}
  builder: {description: "With a shell."}
compatibility:
  image: docker.io/library/gamma
  table:
    - theirs: port 80
      here: port 8080
      why: No capability.
    - theirs: /data
      here: the same
example:
  shows: Counts a file.
  files:
    words.txt: |
      a ```b
  containerfile: |
    FROM {builder} AS build
    COPY words.txt /words.txt
    FROM {image}
    COPY --from=build /words.txt /words.txt
    CMD ["/words.txt"]
  output: {equals: "1"}
tests:
  - name: counts
    with: {volumes: [/data]}
    steps:
      - run: [gamma, --count, it's]
        stdout: {equals: "1"}
      - start: image
      - http: 8080
        body: {contains: "1"}
"#;

const DELTA: &str =
    "image: delta\ntitle: Delta\ndescription: A root.\ncategory: base\npackages: {deb: [delta]}\n";

/// A catalog of two families without locks.
fn catalog() -> TempDir {
    let directory = TempDir::new().unwrap();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
    let write = |path: &str, text: &str| {
        let path = directory.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    };
    write("images/gamma.yaml", GAMMA);
    write("images/delta.yaml", DELTA);
    write("lifecycle.yaml", "products:\n  gamma: {\"2\": \"2999-12-31\", \"1\": \"2000-01-01\"}\n");
    write(
        "lacking.yaml",
        "- software: Epsilon\n  absent: [epsilon]\n  why: not packaged\n  fedora: unknown\n\
         - software: Zeta\n  absent: [zeta]\n  why: not packaged\n  fedora: zeta-server\n",
    );
    let text = fs_err::read_to_string(own.join("universes/debian-sid.yaml")).unwrap();
    write("universes/debian-sid.yaml", &text);
    for entry in fs_err::read_dir(own.join("universes/debian")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        write(&format!("universes/debian/{name}"), &fs_err::read_to_string(&path).unwrap());
    }
    directory
}

/// Runs the program in the catalog's directory; exit code and both streams.
fn run(catalog: &TempDir, arguments: &[&str]) -> String {
    let store = TempDir::new().unwrap();
    let mut command = Command::cargo_bin("calypte").unwrap();
    command.current_dir(catalog.path()).env_clear().args([
        "--offline",
        "--quiet",
        "--catalog",
        ".",
        "--store",
    ]);
    let output = command.arg(store.path()).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
    };
    let code = output.status.code().unwrap();
    format!("exit code {code}\n--- stdout\n{}--- stderr\n{}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_families_with_their_streams() {
    insta::assert_snapshot!(run(&catalog(), &["catalog"]));
}

#[test]
fn the_families_as_json() {
    insta::assert_snapshot!(run(&catalog(), &["catalog", "gamma", "--format", "json"]));
}

#[test]
fn a_page_about_a_family_and_the_index() {
    let catalog = catalog();
    insta::assert_snapshot!(run(&catalog, &["catalog", "--readmes", "pages"]));
    insta::assert_snapshot!(fs_err::read_to_string(catalog.path().join("pages/gamma.md")).unwrap());
    insta::assert_snapshot!(fs_err::read_to_string(catalog.path().join("pages/README.md")).unwrap());
    assert!(catalog.path().join("pages/delta.md").is_file());
}

#[test]
fn tags_need_locks() {
    insta::assert_snapshot!(run(&catalog(), &["catalog", "--tags", "gamma"]));
}

#[test]
fn a_record_of_another_kind() {
    let catalog = catalog();
    fs_err::create_dir(catalog.path().join("sizes")).unwrap();
    fs_err::write(catalog.path().join("sizes/debian-sid.json"), "{}").unwrap();
    insta::assert_snapshot!(run(&catalog, &["catalog", "--sizes"]));
}

#[test]
fn a_family_that_is_there() {
    insta::assert_snapshot!(run(&catalog(), &["new", "gamma"]));
}
