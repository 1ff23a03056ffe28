//! What is written where: layouts and archives, the entries of others, modes, and errors.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use calypte_base::Architecture;
use calypte_formats::tar;
use calypte_image::{Image, ImageError, Index, LayerCompression, Output, read_layout};
use calypte_rootfs::Owner;

use crate::sample::{COMPRESSIONS, EPOCH, Sample, ZSTD, layers, metadata, store};

const BOTH: [Architecture; 2] = Architecture::ALL;

fn oci(directory: &Path, tag: &str) -> Output {
    Output::Oci { directory: directory.to_owned(), tag: tag.to_owned() }
}

/// Every file below a directory with its mode and bytes.
fn files(directory: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        let mode = fs_err::metadata(&next).unwrap().permissions().mode();
        let name = next.strip_prefix(directory).unwrap().display().to_string();
        if next.is_dir() {
            found.insert(name, (mode, Vec::new()));
            pending.extend(fs_err::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.insert(name, (mode, fs_err::read(&next).unwrap()));
        }
    }
    found
}

fn names(directory: &Path) -> Vec<String> {
    let images = read_layout(directory).unwrap();
    let name = |image: &calypte_image::read::LayoutImage| {
        let platform = image.descriptor.platform.as_ref().unwrap();
        format!("{} {}", image.name.as_deref().unwrap_or("-"), platform.architecture)
    };
    images.images().iter().map(name).collect()
}

#[test]
fn documents_say_what_is_known() {
    let (_directory, store) = store();
    let image = Sample::every_kind().image(Architecture::Arm64, LayerCompression::Gzip, &store);
    let show = |digest| {
        let value: serde_json::Value =
            serde_json::from_slice(&store.read_verified(&digest).unwrap()).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    insta::assert_snapshot!("config", show(image.config().digest));
    insta::assert_snapshot!("manifest", show(image.digest()));
    let index = Sample::every_kind().index(&BOTH, LayerCompression::Gzip, &store);
    insta::assert_snapshot!("index", show(index.digest()));
}

#[test]
fn a_layout_is_readable_by_all_and_the_same_each_time() {
    let (directory, store) = store();
    let index = Sample::every_kind().index(&BOTH, ZSTD, &store);
    let (first, second) = (directory.path().join("new/first"), directory.path().join("second"));
    fs_err::create_dir(&second).unwrap();
    oci(&first, "latest").write(&index, &store).unwrap();
    oci(&second, "latest").write(&index, &store).unwrap();
    let written = files(&first);
    assert_eq!(written, files(&second));
    for (name, (mode, _)) in &written {
        let expected =
            if ["", "blobs", "blobs/sha256"].contains(&name.as_str()) { 0o40755 } else { 0o100_644 };
        assert_eq!(*mode, expected, "{name}");
    }
    assert_eq!(names(&first), ["latest amd64", "latest arm64"]);
    // Nothing temporary stays beside it.
    assert_eq!(fs_err::read_dir(directory.path().join("new")).unwrap().count(), 1);
}

#[test]
fn blobs_are_links_to_those_of_the_store() {
    let (directory, store) = store();
    let index = Sample::every_kind().index(&BOTH, ZSTD, &store);
    let target = directory.path().join("layout");
    oci(&target, "latest").write(&index, &store).unwrap();
    let inode = |path: &Path| fs_err::metadata(path).unwrap().ino();
    for blob in index.images().iter().flat_map(Image::blobs) {
        let linked = target.join("blobs/sha256").join(blob.digest.hex());
        assert_eq!(inode(&linked), inode(&store.blob_path(&blob.digest)));
    }
}

#[test]
fn a_private_blob_is_copied_and_the_copy_is_readable() {
    let (directory, store) = store();
    let index = Sample::every_kind().index(&[Architecture::Amd64], ZSTD, &store);
    for blob in index.images()[0].blobs() {
        fs_err::set_permissions(store.blob_path(&blob.digest), std::fs::Permissions::from_mode(0o600))
            .unwrap();
    }
    let target = directory.path().join("layout");
    oci(&target, "latest").write(&index, &store).unwrap();
    assert!(files(&target).iter().all(|(_, (mode, _))| mode & 0o444 == 0o444));
    assert!(read_layout(&target).is_ok());
}

#[test]
fn a_tag_is_replaced_and_others_stay() {
    let (directory, store) = store();
    let target = directory.path().join("layout");
    let mut sample = Sample::every_kind();
    let old = sample.index(&[Architecture::Amd64], ZSTD, &store);
    oci(&target, "1").write(&old, &store).unwrap();
    oci(&target, "kept").write(&old, &store).unwrap();
    let file = sample.file(b"new", Owner::Definition);
    sample.put("srv/new", file);
    let new = sample.index(&BOTH, ZSTD, &store);
    oci(&target, "1").write(&new, &store).unwrap();
    assert_eq!(names(&target), ["1 amd64", "1 arm64", "kept amd64"]);
    let blob = |image: &Image, layer: usize| {
        let digest = image.layers().as_slice()[layer].digest;
        target.join("blobs/sha256").join(digest.hex())
    };
    // Now nothing needs the old image any more but what it shares with the new one.
    oci(&target, "kept").write(&new, &store).unwrap();
    assert!(blob(&old.images()[0], 0).exists(), "the package layer is shared");
    assert!(!blob(&old.images()[0], 3).exists(), "the old generated layer is not needed");
    let layout = read_layout(&target).unwrap();
    for image in layout.images() {
        layout.files(image, &|_| false).unwrap();
    }
}

#[test]
fn what_others_wrote_into_a_layout_is_kept() {
    let (directory, store) = store();
    let target = directory.path().join("layout");
    let index = Sample::every_kind().index(&[Architecture::Amd64], ZSTD, &store);
    oci(&target, "1").write(&index, &store).unwrap();
    let path = target.join("index.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    let foreign = serde_json::json!({
        "mediaType": "application/vnd.example+json", "digest": index.digest().to_string(), "size": 7,
        "annotations": { "org.opencontainers.image.ref.name": "foreign" }, "x-unknown": [1, 2],
    });
    json["manifests"].as_array_mut().unwrap().push(foreign.clone());
    json["x-unknown"] = "kept".into();
    fs_err::write(&path, json.to_string()).unwrap();
    oci(&target, "2").write(&index, &store).unwrap();
    let after: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
    assert_eq!(after["manifests"][1], foreign);
    assert_eq!(after["x-unknown"], "kept");
    assert_eq!(after["manifests"].as_array().unwrap().len(), 3);
}

#[test]
fn a_failed_run_leaves_the_layout_as_it_was() {
    let (directory, store) = store();
    let target = directory.path().join("layout");
    let sample = Sample::every_kind();
    let good = sample.index(&[Architecture::Amd64], ZSTD, &store);
    oci(&target, "1").write(&good, &store).unwrap();
    let before = files(&target);
    let bad = sample.index(&[Architecture::Amd64], LayerCompression::Gzip, &store);
    store.remove(&bad.images()[0].layers().as_slice()[0].digest).unwrap();
    let error = oci(&target, "1").write(&bad, &store).unwrap_err();
    assert!(error.to_string().starts_with("the store has no blob sha256:"), "{error}");
    let after = files(&target);
    assert_eq!(after["index.json"], before["index.json"]);
    assert_eq!(names(&target), ["1 amd64"]);
    // Into nothing: nothing is there afterwards, not even a temporary file.
    for output in ["oci:{}/a/b", "oci-archive:{}/a/b.tar", "docker-archive:{}/a/c.tar"] {
        let output: Output = output.replace("{}", &directory.path().display().to_string()).parse().unwrap();
        output.write(&bad, &store).unwrap_err();
        assert_eq!(fs_err::read_dir(directory.path().join("a")).unwrap().count(), 0, "{output}");
    }
}

#[test]
fn places_that_are_no_layout_are_left_alone() {
    let (directory, store) = store();
    let index = Sample::every_kind().index(&[Architecture::Amd64], ZSTD, &store);
    let make = |name: &str, files: &[(&str, &str)]| {
        let target = directory.path().join(name);
        fs_err::create_dir(&target).unwrap();
        for (file, text) in files {
            fs_err::write(target.join(file), text).unwrap();
        }
        target
    };
    let layout = ("oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
    let targets = [
        make("home", &[("letter.txt", "dear")]),
        make("future", &[("oci-layout", "{\"imageLayoutVersion\":\"9.0.0\"}")]),
        make("half", &[layout]),
        make("broken", &[layout, ("index.json", "{")]),
        make("strange", &[layout, ("index.json", "{\"manifests\":7}")]),
        directory.path().join("home/letter.txt"),
    ];
    let shown = targets.iter().map(|target| {
        let before = target.is_dir().then(|| files(target));
        let error = oci(target, "1").write(&index, &store).unwrap_err();
        assert_eq!(target.is_dir().then(|| files(target)), before);
        let text = format!("{error}\n  hint: {}\n", error.hint().unwrap());
        text.replace(&directory.path().display().to_string(), "…")
    });
    insta::assert_snapshot!(shown.collect::<String>());
}

#[test]
fn archives_are_the_same_each_time_and_read_back() {
    let (directory, store) = store();
    let index = Sample::every_kind().index(&BOTH, ZSTD, &store);
    let written = ["a.tar", "b.tar"].map(|name| {
        let file = directory.path().join(name);
        Output::OciArchive { file: file.clone(), tag: "1.2".into() }.write(&index, &store).unwrap();
        assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode(), 0o100_644);
        fs_err::read(file).unwrap()
    });
    assert_eq!(written[0], written[1]);
    let layout = read_layout(&directory.path().join("a.tar")).unwrap();
    assert_eq!(names(&directory.path().join("a.tar")), ["1.2 amd64", "1.2 arm64"]);
    let wanted = |path: &calypte_base::TreePath| path.as_str() == "etc/passwd";
    let listing = layout.files(&layout.images()[1], &wanted).unwrap();
    assert_eq!(listing.contents.len(), 1);
    assert!(listing.contents["etc/passwd"].starts_with(b"root:"));
}

#[test]
fn a_docker_archive_holds_plain_layers() {
    let (directory, store) = store();
    let file = directory.path().join("docker.tar");
    for compression in COMPRESSIONS {
        let index = Sample::every_kind().index(&[Architecture::Amd64], compression, &store);
        let output: Output = format!("docker-archive:{}:tool:1", file.display()).parse().unwrap();
        output.write(&index, &store).unwrap();
        let mut reader = tar::Reader::new(fs_err::File::open(&file).unwrap());
        let mut members = BTreeMap::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut reader.body(), &mut bytes).unwrap();
            members.insert(String::from_utf8(entry.path).unwrap(), bytes);
        }
        let manifest: serde_json::Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"], serde_json::json!(["tool:1"]));
        let config = &members[manifest[0]["Config"].as_str().unwrap()];
        let image = &index.images()[0];
        assert_eq!(calypte_base::Digest::of(config), image.config().digest);
        for (layer, name) in image.layers().as_slice().iter().zip(manifest[0]["Layers"].as_array().unwrap()) {
            assert_eq!(calypte_base::Digest::of(&members[name.as_str().unwrap()]), layer.diff_id);
        }
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let (directory, store) = store();
    let sample = Sample::every_kind();
    let index = sample.index(&BOTH, ZSTD, &store);
    let output = Output::DockerArchive { file: directory.path().join("d.tar"), reference: None };
    assert!(!output.holds_several());
    let error = output.write(&index, &store).unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @"
    a docker-archive holds one image, but there are 2: amd64, arm64
    hint: choose one with `--arch`, or write `oci:DIR` or `oci-archive:FILE`, which hold all of them
    ");
    assert!(matches!(Index::new(Vec::new(), &store), Err(ImageError::NoImages)));
    let image = index.images()[0].clone();
    let other = Image::new(
        layers(&sample.tree, &sample.contents, EPOCH, LayerCompression::None, &store).unwrap(),
        &metadata(Architecture::Amd64),
        &store,
    );
    let error = Index::new(vec![image, other.unwrap()], &store).unwrap_err();
    assert!(matches!(error, ImageError::SamePlatform { architecture: Architecture::Amd64, .. }));
}

/// The umask belongs to the whole process, so that this is about another one: this test program, run again under a
/// umask that takes everything from everyone else.
#[test]
fn the_umask_has_no_say() {
    let program = std::env::current_exe().unwrap();
    let command = format!(
        "umask 077 && exec '{}' --exact outputs::a_layout_is_readable_by_all_and_the_same_each_time \
         outputs::archives_are_the_same_each_time_and_read_back layers::the_bytes_are_those_of_yesterday \
         outputs::a_private_blob_is_copied_and_the_copy_is_readable",
        program.display()
    );
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("4 passed"), "{text}");
}
