//! What is done with layouts where there is no catalog.

use std::path::Path;

use assert_cmd::Command;
use calypte_base::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Writes a blob; its descriptor.
fn blob(directory: &Path, media_type: &str, document: &Value) -> Value {
    let bytes = document.to_string().into_bytes();
    let digest = Digest::of(&bytes);
    let blobs = directory.join("blobs/sha256");
    fs_err::create_dir_all(&blobs).unwrap();
    fs_err::write(blobs.join(digest.hex()), &bytes).unwrap();
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}

/// An image without layers that another tool might have made.
fn layout(directory: &Path) {
    let config =
        json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = blob(directory, "application/vnd.oci.image.config.v1+json", &config);
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": []});
    let index = json!({"schemaVersion": 2, "manifests": [blob(directory, media_type, &manifest)]});
    fs_err::write(directory.join("index.json"), index.to_string()).unwrap();
    fs_err::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// Runs the program over a layout, of which the arguments speak as `LAYOUT`, beside no catalog; exit code and streams.
fn run(arguments: &[&str]) -> String {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("layout");
    layout(&path);
    let path = path.display().to_string();
    let mut command = Command::cargo_bin("calypte").unwrap();
    command.current_dir(directory.path()).env_clear().args(["--offline", "--quiet", "--store", "store"]);
    command.args(arguments.iter().map(|argument| argument.replace("LAYOUT", &path)));
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&path, "LAYOUT");
    format!("{} {}{}", output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn layouts_need_no_catalog() {
    let shown = run(&["show", "--layers", "oci:LAYOUT", "--arch", "amd64"]);
    assert!(shown.starts_with("0 oci:LAYOUT for amd64: 0 layers"), "{shown}");
    for option in [&["--layers"][..], &[]] {
        let arguments = [&["diff", "oci:LAYOUT", "oci:LAYOUT", "--arch", "amd64"], option].concat();
        let difference = run(&arguments);
        assert!(difference.starts_with("0 from oci:LAYOUT"), "{difference}");
    }
    // An image of the catalog does.
    for arguments in [
        ["show", "--layers", "nginx"].as_slice(),
        &["diff", "--layers", "oci:LAYOUT", "nginx", "--arch", "amd64"],
    ] {
        let text = run(arguments);
        assert!(text.starts_with("2 error: ") && text.contains("catalog"), "{text}");
    }
}

#[test]
fn how_a_layout_is_shown_is_told() {
    let text = run(&["show", "oci:LAYOUT"]);
    assert!(
        text.starts_with("2 error: `oci:LAYOUT` does not say") && text.contains("hint: with --layers"),
        "{text}"
    );
}
