//! `bench sizes`: what the images weigh to download, at the compression that is published, beside the well-known images of
//! the same function as their publisher's records have them (`xtask/data/published-sizes.json`).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::run;

const PUBLISHED: &str = "xtask/data/published-sizes.json";

/// One image as published: the sum of its layers for linux/amd64, the day of the record, and the image of this catalog that
/// has the same function.
struct Published {
    image: String,
    ours: String,
    bytes: u64,
    as_of: String,
    source: String,
}

impl Published {
    fn of(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Some(Self {
            image: text("image")?,
            ours: text("ours")?,
            bytes: value["bytes"].as_u64()?,
            as_of: text("as_of")?,
            source: text("source")?,
        })
    }
}

pub fn run() -> Result<()> {
    run::succeed(&mut run::cargo(&["build", "--release", "--quiet", "--package", "calypte-cli"]))?;
    let text = fs_err::read_to_string(run::workspace().join(PUBLISHED))?;
    let values: Vec<Value> = serde_json::from_str(&text).context(PUBLISHED)?;
    let published: Vec<Published> = values.iter().map(Published::of).collect::<Option<_>>().context(PUBLISHED)?;
    let mut by_ours: BTreeMap<&str, Vec<&Published>> = BTreeMap::new();
    for image in &published {
        by_ours.entry(&image.ours).or_default().push(image);
    }
    println!("| image | MB | smallest of the others | MB | all others |");
    println!("|---|---:|---|---:|---|");
    let (mut smallest, mut rows) = (0, Vec::new());
    for (ours, others) in &by_ours {
        let size = size(ours)?;
        let least = others.iter().min_by_key(|image| image.bytes).context("nothing to compare with")?;
        let rest = others.iter().filter(|image| image.image != least.image);
        let rest: Vec<String> = rest.map(|image| format!("{} {:.1}", image.image, megabytes(image.bytes))).collect();
        let is_smallest = size <= least.bytes;
        smallest += usize::from(is_smallest);
        let mark = if is_smallest { "**" } else { "" };
        println!(
            "| {ours} | {mark}{:.1}{mark} | {} ({}) | {:.1} | {} |",
            megabytes(size), least.image, least.as_of, megabytes(least.bytes), rest.join(", ")
        );
        rows.push(json!({"image": ours, "bytes": size, "least": least.image, "least_bytes": least.bytes, "source": least.source}));
    }
    println!("\nthe smallest: {smallest} of {}", by_ours.len());
    println!("{}", json!({"sizes": rows, "smallest": smallest}));
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Bytes to download of an image for amd64.
fn size(image: &str) -> Result<u64> {
    let mut build = run::command(run::workspace().join("target/release/calypte"), &["--quiet", "build", image]);
    build.args(["--arch", "amd64", "--format", "json"]);
    build.env_remove("CALYPTE_COMPRESSION");
    let report: Value = serde_json::from_str(&run::output(&mut build)?)?;
    report["images"][0]["size"].as_u64().with_context(|| format!("{image} has no size"))
}
