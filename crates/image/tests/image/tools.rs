//! Whether podman, skopeo and umoci take what is written. A tool that is not installed is named, and its case skipped.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use calypte_base::Architecture;
use calypte_image::{Index, LayerCompression, Output};
use calypte_rootfs::{Node, Owner};
use calypte_store::Store;

use crate::sample::{COMPRESSIONS, Sample, ZSTD, path, store, word};

/// Whether a tool can be run; says so when not.
fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        report(tool, "is not installed");
    }
    found
}

/// Past the test harness, which would swallow it: a skipped case must not look like a passed one.
fn report(tool: &str, why: &str) {
    drop(writeln!(std::io::stderr(), "skipped: {tool} {why}"));
}

/// Runs a command; gives its standard output. Fails the test with everything that it said.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// A tree that a plain user can unpack too: without the device node, and all of root's.
fn sample() -> Sample {
    let mut sample = Sample::every_kind();
    sample.tree.remove(&path("dev"));
    sample.put("home/user", Node::directory(0, Owner::Definition));
    let paths: Vec<_> = sample.tree.iter().map(|(path, _)| path.clone()).collect();
    for path in paths {
        let node = sample.tree.get_mut(&path).unwrap();
        (*node.uid, *node.gid) = (0, 0);
    }
    sample
}

/// Every output form of one image, below `directory`; the texts are as skopeo takes them.
fn outputs(directory: &Path, index: &Index, store: &Store, name: &str) -> Vec<String> {
    let at = directory.display();
    let texts = [
        format!("oci:{at}/{name}:1.2"),
        format!("oci-archive:{at}/{name}.oci.tar:1.2"),
        format!("docker-archive:{at}/{name}.docker.tar:localhost/calypte-test-{name}:1.2"),
    ];
    for text in &texts {
        text.parse::<Output>().unwrap().write(index, store).unwrap();
    }
    texts.into()
}

const HOST: Architecture = Architecture::Amd64;

#[test]
fn skopeo_inspects_and_copies_every_form() {
    if !has("skopeo") {
        return;
    }
    let (directory, store) = store();
    for compression in COMPRESSIONS {
        let index = sample().index(&[HOST], compression, &store);
        for (number, text) in outputs(directory.path(), &index, &store, word(compression)).iter().enumerate()
        {
            let inspect = |extra: &[&str]| {
                let arguments = ["--override-arch", "amd64", "--override-os", "linux", "inspect"];
                run(Command::new("skopeo").args(arguments).args(extra).arg(text))
            };
            let seen: serde_json::Value = serde_json::from_str(&inspect(&[])).unwrap();
            assert_eq!(seen["Architecture"], "amd64");
            assert_eq!(seen["Labels"]["org.opencontainers.image.version"], "1.2.3-4");
            assert_eq!(seen["Created"], "2026-10-30T08:08:01Z");
            let config: serde_json::Value = serde_json::from_str(&inspect(&["--config"])).unwrap();
            assert_eq!(config["config"]["User"], "65532:65532");
            let target = directory.path().join(format!("copy-{}-{number}", word(compression)));
            // skopeo checks every digest and diff id on the way.
            run(Command::new("skopeo")
                .args(["copy", "--quiet", text])
                .arg(format!("dir:{}", target.display())));
            let id = target.join(index.images()[0].config().digest.hex());
            assert!(id.exists(), "{text}: the config is another one after the copy");
        }
    }
}

#[test]
fn skopeo_finds_the_right_image_of_an_index() {
    if !has("skopeo") {
        return;
    }
    let (directory, store) = store();
    let index = sample().index(&Architecture::ALL, ZSTD, &store);
    let text = format!("oci:{}/both:1.2", directory.path().display());
    text.parse::<Output>().unwrap().write(&index, &store).unwrap();
    for (image, name) in index.images().iter().zip(["amd64", "arm64"]) {
        let override_arch =
            ["--override-arch", name, "--override-os", "linux", "inspect", "--format", "{{.Architecture}}"];
        assert_eq!(run(Command::new("skopeo").args(override_arch).arg(&text)).trim(), name);
        assert_eq!(image.architecture().oci(), name);
    }
    let target = directory.path().join("all");
    run(Command::new("skopeo")
        .args(["copy", "--quiet", "--all", &text])
        .arg(format!("oci:{}:1.2", target.display())));
    let layout = calypte_image::read_layout(&target).unwrap();
    let digests: Vec<_> = layout.images().iter().map(|image| image.descriptor.digest).collect();
    assert_eq!(digests, index.images().iter().map(calypte_image::Image::digest).collect::<Vec<_>>());
}

#[test]
fn umoci_unpacks_the_tree() {
    if !has("umoci") {
        return;
    }
    let (directory, store) = store();
    // umoci 0.4 knows no zstd.
    for compression in [LayerCompression::Gzip, LayerCompression::None] {
        let index = sample().index(&[HOST], compression, &store);
        let layout = directory.path().join(word(compression));
        Output::Oci { directory: layout.clone(), tag: "1".into() }.write(&index, &store).unwrap();
        let bundle = directory.path().join(format!("bundle-{compression}"));
        let image = format!("{}:1", layout.display());
        run(Command::new("umoci").args(["unpack", "--rootless", "--image", &image]).arg(&bundle));
        let root = bundle.join("rootfs");
        let same = |first: &str, second: &str| {
            use std::os::unix::fs::MetadataExt;
            let inode = |name: &str| fs_err::metadata(root.join(name)).unwrap().ino();
            assert_eq!(inode(first), inode(second), "{first} and {second} are one file");
        };
        same("usr/bin/tool", "usr/bin/tool-alias");
        same("usr/bin/tool", "usr/bin/tool-again");
        assert_eq!(fs_err::read(root.join("srv/grüße")).unwrap(), "grüße".as_bytes());
        assert_eq!(fs_err::read_link(root.join("lib")).unwrap(), Path::new("usr/lib"));
    }
}

#[test]
fn podman_loads_every_form() {
    if !has("podman") {
        return;
    }
    let (directory, store) = store();
    // A storage of its own, so that nothing of the user's is touched; vfs works where overlay does not.
    let storage = directory.path().join("podman");
    let podman = |arguments: &[&str]| {
        let mut command = Command::new("podman");
        command.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run"));
        command.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]).args(arguments);
        command
    };
    if !podman(&["info"]).output().is_ok_and(|output| output.status.success()) {
        return report("podman", "cannot make a storage here");
    }
    for compression in COMPRESSIONS {
        let index = sample().index(&[HOST], compression, &store);
        for text in outputs(directory.path(), &index, &store, word(compression)) {
            // A path becomes a part of the image's name there, and must not have upper-case letters.
            let text = text.replace(&format!("{}/", directory.path().display()), "");
            let mut command = match text.strip_prefix("oci:") {
                Some(_) => podman(&["pull", "--quiet", &text]),
                None => podman(&["load", "--quiet", "--input", text.split(':').nth(1).unwrap()]),
            };
            let said = run(command.current_dir(directory.path()));
            let name = said.trim().rsplit("Loaded image: ").next().unwrap().to_owned();
            let seen =
                run(&mut podman(&["image", "inspect", "--format", "{{.Id}} {{.User}} {{.Os}}", &name]));
            assert_eq!(
                seen.trim(),
                format!("{} 65532:65532 linux", index.images()[0].config().digest.hex()),
                "{text}"
            );
            run(&mut podman(&["image", "rm", "--force", &name]));
        }
    }
}
