//! What a user reads after a mistake: exit code and both streams, as they are printed.

use assert_cmd::Command;
use tempfile::TempDir;

/// Runs the program over the repository's catalog, without network, and shows exit code and both streams.
fn run(arguments: &[&str]) -> String {
    let store = TempDir::new().unwrap();
    let mut command = Command::cargo_bin("calypte").unwrap();
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command.env_clear().args(["--offline", "--quiet", "--store"]).arg(store.path()).args(arguments);
    let output = command.output().unwrap();
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&store.path().display().to_string(), "STORE");
    format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn a_misspelt_image() {
    insta::assert_snapshot!(run(&["build", "ngnix"]));
}

#[test]
fn a_variant_that_is_not_there() {
    insta::assert_snapshot!(run(&["build", "nginx-slim"]));
}

#[test]
fn a_universe_that_is_not_there() {
    insta::assert_snapshot!(run(&["show", "nginx", "--universe", "debian-buster"]));
}

#[test]
fn a_stream_of_another_universe() {
    insta::assert_snapshot!(run(&["show", "postgresql:17"]));
}

#[test]
fn an_output_without_a_form() {
    insta::assert_snapshot!(run(&["build", "nginx", "--output", "nginx.tar"]));
}

#[test]
fn all_images_in_one_archive() {
    insta::assert_snapshot!(run(&["build", "--all", "--output", "oci-archive:all.tar"]));
}

#[test]
fn all_images_as_one_was_packed() {
    insta::assert_snapshot!(run(&["build", "--all", "--previous", "oci:before"]));
}

#[test]
fn an_image_before_that_is_not_there() {
    let missing = |previous: &str| {
        let text = run(&["build", "nginx", "--arch", "amd64", "--previous", previous]);
        assert!(text.starts_with("exit code 2") && text.contains(" /nonexistent: "), "{previous}: {text}");
    };
    for previous in
        ["/nonexistent", "oci:/nonexistent", "oci:/nonexistent:latest", "oci-archive:/nonexistent"]
    {
        missing(previous);
    }
}

#[test]
fn the_layers_of_a_lock() {
    insta::assert_snapshot!(run(&["show", "--layers", "catalog/locks/debian-sid/nginx.lock"]));
}

#[test]
fn of_all_images_each_one_that_fails_is_named() {
    let text = run(&["build", "--all", "--arch", "amd64"]);
    assert!(text.starts_with("exit code 1\n--- stdout\nIMAGE") && text.contains("\n0 images: 0 B"), "{text}");
    for image in ["base for amd64", "python:3.14-builder for amd64", "valkey for amd64"] {
        assert!(text.contains(image), "{text}");
    }
}

#[test]
fn no_catalog() {
    insta::assert_snapshot!(run(&["list", "--catalog", "/nonexistent"]));
}

#[test]
fn offline_without_the_packages() {
    let text = run(&["build", "static", "--arch", "amd64"]);
    assert!(text.starts_with("exit code 2") && text.contains("offline") && text.contains("hint:"), "{text}");
}

#[test]
fn a_package_that_is_not_in_the_image() {
    insta::assert_snapshot!(run(&["show", "nginx", "--arch", "amd64", "--why", "perl"]));
}

#[test]
fn locks_are_what_the_definitions_need() {
    insta::assert_snapshot!(run(&["lock", "--check"]));
}

#[test]
fn json_has_a_schema() {
    let text = run(&["build", "--all", "--format", "json"]);
    assert!(text.starts_with("exit code 1\n--- stdout\n{\n  \"schema\": \"calypte.build-all/1\","), "{text}");
    let text = run(&["show", "static", "--arch", "amd64", "--format", "json"]);
    assert!(
        text.starts_with(
            "exit code 0\n--- stdout\n{\n  \"schema\": \"calypte.show/1\",\n  \"image\": \"static\""
        ),
        "{text}"
    );
}
