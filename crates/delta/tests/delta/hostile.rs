//! Whatever was cut off, changed or mixed up is refused, says so, and leaves nothing behind.

use calypte_base::Digest;
use calypte_delta::{Settings, check_difference, check_frame, check_plan};

use crate::image::{Form, Member, Pair, file, noise, write_image};

fn layers(seed: u64) -> Vec<Vec<Member>> {
    let mut changed = noise(7, 30_000);
    changed[1_000] = seed as u8;
    vec![vec![file("kept", &noise(1, 9_000)), file("changed", &changed), file("new", &noise(seed, 500))]]
}

fn pair() -> Pair {
    let pair = Pair::new(Form::Chunked, &layers(10), &layers(11));
    pair.write("delta", &Settings::default());
    pair
}

/// Applies and expects an error with this text.
fn refused(pair: &Pair, base: &str, expected: &[&str]) {
    let error = pair.apply("delta", base, None).unwrap_err().to_string();
    for expected in expected {
        assert!(error.contains(expected), "`{expected}` in: {error}");
    }
    assert!(!pair.path("result").exists());
    let left: Vec<_> = fs_err::read_dir(pair.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn another_base() {
    let pair = pair();
    write_image(&pair.path("other"), Form::Chunked, &layers(12));
    refused(&pair, "other", &["the delta is against image", "layer 0 has the diff id"]);
    refused(&pair, "new", &["the delta is against image"]);
    write_image(&pair.path("more"), Form::Chunked, &[layers(10), layers(10)].concat());
    refused(&pair, "more", &["it has 2 layers instead of 1"]);
}

#[test]
fn every_changed_or_shortened_blob() {
    let pair = pair();
    let blobs = pair.path("delta/blobs/sha256");
    let (_, delta) = pair.delta("delta").unwrap();
    for (name, bytes) in pair.files("delta") {
        if bytes == b"{}" {
            continue;
        }
        let path = blobs.join(&name);
        let mut changed = bytes.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        for wrong in [&changed[..], &bytes[..middle], &[]] {
            fs_err::write(&path, wrong).unwrap();
            refused(&pair, "old", &["expected", "found"]);
        }
        fs_err::remove_file(&path).unwrap();
        refused(&pair, "old", &["found none"]);
        fs_err::write(&path, &bytes).unwrap();
    }
    assert_eq!(delta.base(), crate::image::open(&pair.path("old")).1.descriptor.digest);
    pair.apply("delta", "old", None).unwrap();
}

/// Puts other bytes in place of one blob of the delta and makes every digest on the way to it right again.
fn replace(pair: &Pair, media_type: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let blobs = pair.path("delta/blobs/sha256");
    let read = |path: &std::path::Path| serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap();
    let index_path = pair.path("delta/index.json");
    let mut index: serde_json::Value = read(&index_path);
    let digest = |value: &serde_json::Value| value["digest"].as_str().unwrap()[7..].to_owned();
    let mut manifest: serde_json::Value = read(&blobs.join(digest(&index["manifests"][0])));
    let layers = manifest["layers"].as_array_mut().unwrap();
    let layer = layers.iter_mut().find(|layer| layer["mediaType"] == media_type).unwrap();
    let bytes = change(fs_err::read(blobs.join(digest(layer))).unwrap());
    let put = |descriptor: &mut serde_json::Value, bytes: &[u8]| {
        let digest = Digest::of(bytes);
        fs_err::write(blobs.join(digest.hex()), bytes).unwrap();
        descriptor["digest"] = digest.to_string().into();
        descriptor["size"] = bytes.len().into();
    };
    put(layer, &bytes);
    put(&mut index["manifests"][0], manifest.to_string().as_bytes());
    fs_err::write(&index_path, index.to_string()).unwrap();
}

const PLAN: &str = "application/vnd.calypte.delta.plan.v1+zstd";
const FRAMES: &str = "application/vnd.calypte.delta.frames.v1+zstd";

#[test]
fn frames_that_their_digest_vouches_for() {
    type Change = fn(Vec<u8>) -> Vec<u8>;
    let changes: [(Change, &str); 4] = [
        (|bytes| bytes[..bytes.len() - 1].to_vec(), "the delta is damaged: frames: expected"),
        (|bytes| [&bytes[..], b"x"].concat(), "the delta is damaged: frames: expected"),
        (|bytes| bytes.iter().map(|byte| byte ^ 0x55).collect(), "zstd frame"),
        (
            |mut bytes| {
                let last = bytes.len() - 20;
                bytes[last] ^= 1;
                bytes
            },
            "",
        ),
    ];
    for (change, expected) in changes {
        let pair = pair();
        replace(&pair, FRAMES, change);
        refused(&pair, "old", &[expected]);
    }
}

#[test]
fn plans_that_their_digest_vouches_for() {
    let pair = pair();
    replace(&pair, PLAN, |_| zstd::encode_all(&[0; 100_000_000][..], 1).unwrap());
    refused(&pair, "old", &["67108864"]);
    let pair = self::pair();
    replace(&pair, PLAN, |_| b"no zstd".to_vec());
    refused(&pair, "old", &["plan"]);
}

/// Every byte of a plan changed in every bit: refused, or an image that is not what its config says. Never a panic,
/// never another image.
#[test]
fn every_bit_of_a_plan() {
    let pair = pair();
    let created = pair.create(&Settings::default());
    let plan = zstd::decode_all(created.plan.as_slice()).unwrap();
    check_plan(&plan).unwrap();
    for cut in 0..plan.len() {
        assert!(check_plan(&plan[..cut]).is_err(), "cut at {cut}");
    }
    assert!(check_plan(&[&plan[..], b"x"].concat()).is_err());
    // Manifest and config are checked by their digests; what follows them is ours.
    let config = crate::image::open(&pair.path("new")).1.config_bytes;
    let start = plan.windows(config.len()).position(|window| window == config).unwrap() + config.len();
    for place in start..plan.len() {
        for bit in [0, 3, 7] {
            let mut changed = plan.clone();
            changed[place] ^= 1 << bit;
            if check_plan(&changed).is_err() {
                continue;
            }
            replace(&pair, PLAN, |_| zstd::encode_all(changed.as_slice(), 1).unwrap());
            match pair.apply("delta", "old", None) {
                // Old bytes beside those that are used may be named or not.
                Ok(_) => {
                    assert!(pair.files("result") == pair.files("new"), "byte {place}, bit {bit}");
                    fs_err::remove_dir_all(pair.path("result")).unwrap();
                }
                Err(_) => refused(&pair, "old", &[]),
            }
        }
    }
}

#[test]
fn an_image_is_no_delta() {
    let pair = pair();
    let error = pair.delta("new").unwrap_err().to_string();
    assert!(error.contains("expected a delta"), "{error}");
    let layout = calypte_delta::Layout::open(&pair.path("delta")).unwrap();
    let error = layout.images(&layout.entry(None).unwrap()).unwrap_err().to_string();
    assert!(error.contains("expected an image"), "{error}");
}

/// A fuzzer that starts from what is refused at once learns nothing: its seeds must be good, and of all three kinds.
#[test]
fn the_seeds_of_the_fuzzer_are_read() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/delta");
    let mut kinds = Vec::new();
    for entry in fs_err::read_dir(seeds).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs_err::read(&path).unwrap();
        let read = match bytes[0] {
            b'f' => check_frame(&bytes[1..]),
            b'd' => check_difference(&bytes[1..]),
            _ => check_plan(&bytes),
        };
        read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        kinds.push(bytes[0]);
    }
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, b"cdf");
}
