//! What is published of images: the document of one, which takes away what it says and nothing else, in a scan of our own and
//! in one of Trivy's; and of all images, with a judge for CSAF.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::scan::{DEFERRED, FIXABLE, FIXED, OPEN, Scans, found, pairs};
use crate::synthetic::{Advisory, State};
use crate::trivy::{self, Trivy};
use crate::world::{Up, World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case {
        name: "the_document_of_an_image_takes_away_what_it_says",
        needs: &[Need::Mirror],
        run: takes_away,
    },
    Case {
        name: "trivy_reads_the_document_of_an_image",
        needs: &[Need::Mirror, Need::Trivy],
        run: read_by_trivy,
    },
    Case { name: "what_is_known_of_all_images_is_published", needs: &[Need::Mirror], run: published },
    Case {
        name: "the_judge_of_csaf_finds_nothing_in_what_is_published",
        needs: &[Need::Mirror, Need::CsafJudge],
        run: judged,
    },
];

/// One flaw is none of any image, one is none of nginx's.
const REVIEWED: &str = r#"
statements:
  - flaw: OPEN
    products: [{package: "pkg:deb/debian/zlib?arch=source"}]
    status: not_affected
    justification: vulnerable_code_not_in_execute_path
    reason: For a test.
    evidence: https://example.org/open
    date: 2026-10-01
  - flaw: DEFERRED
    products: [{package: "pkg:deb/debian/zlib?arch=source", images: [nginx]}]
    status: not_affected
    justification: inline_mitigations_already_exist
    reason: For a test.
    evidence: https://example.org/deferred
    date: 2026-10-01
"#;

/// A catalog of nginx and what is beside it, with reviewed statements, over the shared store.
struct Catalog<'a> {
    up: &'a Up,
    directory: TempDir,
}

impl<'a> Catalog<'a> {
    fn new(up: &'a Up) -> Result<Self> {
        Scans::new(up)?;
        let catalog = Self { up, directory: TempDir::new()? };
        run(Command::new("cp").arg("-r").arg(up.catalog()).arg(catalog.path("catalog")))?;
        catalog.reviewed(&REVIEWED.replace("OPEN", OPEN).replace("DEFERRED", DEFERRED))?;
        // Two families are enough of all; their examples name a compiler's.
        for entry in fs_err::read_dir(catalog.path("catalog/images"))? {
            let path = entry?.path();
            if ["base.yaml", "nginx.yaml", "static.yaml"].iter().any(|name| path.ends_with(name)) {
                let text = fs_err::read_to_string(&path)?;
                fs_err::write(&path, text.replace("{gcc-builder}", "{base-builder}"))?;
            } else {
                fs_err::remove_file(path)?;
            }
        }
        Ok(catalog)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn reviewed(&self, text: &str) -> Result<()> {
        fs_err::create_dir_all(self.path("catalog/vex"))?;
        Ok(fs_err::write(self.path("catalog/vex/zlib.yaml"), text)?)
    }

    fn calypte(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(World::program());
        command.arg("--quiet").arg("--catalog").arg(self.path("catalog"));
        command.arg("--store").arg(self.up.store()).args(arguments).env_remove("SOURCE_DATE_EPOCH");
        command
    }

    /// The document of nginx, and where it lies.
    fn document(&self) -> Result<(Value, String)> {
        let file = self.path("nginx.vex.json").display().to_string();
        run(&mut self.calypte(&["vex", "nginx", "--arch", "amd64", "--output", &file]))?;
        let printed = stdout(&mut self.calypte(&["vex", "nginx", "--arch", "amd64"]))?;
        ensure!(printed == fs_err::read_to_string(&file)?, "the file is not what is printed");
        Ok((serde_json::from_str(&printed)?, file))
    }

    fn publish(&self) -> Result<Value> {
        let output = self.path("published").display().to_string();
        let all = ["vex", "--all", "--arch", "amd64", "--namespace", "https://example.org/vex"];
        let form = ["--repository", "registry.example.org/x", "--format", "json", "--output", &output];
        Ok(serde_json::from_str(&stdout(&mut self.calypte(&[&all[..], &form].concat()))?)?)
    }
}

/// What a document says of a flaw: the status, and what is to be done.
fn said(document: &Value, flaw: &str) -> Vec<(String, String)> {
    let statements = document["statements"].as_array().into_iter().flatten();
    let word = |statement: &Value, key: &str| statement[key].as_str().unwrap_or_default().to_owned();
    let about = statements.filter(|statement| statement["vulnerability"]["name"] == flaw);
    about.map(|statement| (word(statement, "status"), word(statement, "action_statement"))).collect()
}

fn takes_away(world: &World) -> Result<()> {
    let up = world.up()?;
    let catalog = Catalog::new(up)?;
    let (document, file) = catalog.document()?;
    for (flaw, status) in
        [(OPEN, "not_affected"), (DEFERRED, "not_affected"), (FIXABLE, "affected"), (FIXED, "fixed")]
    {
        let said = said(&document, flaw);
        ensure!(said.len() == 1 && said.iter().all(|one| one.0 == status), "{flaw}: {said:?}");
    }
    let action = said(&document, FIXABLE);
    ensure!(action.iter().all(|(_, action)| action.contains("+fixed1")), "{action:?}");
    // The shared catalog has no such statements.
    let scan = ["scan", "nginx", "--arch", "amd64"];
    let before = found(&up.json(&scan)?)?;
    ensure!(before == pairs(&[OPEN, FIXABLE, DEFERRED]), "{before:?}");
    let after = found(&up.json(&[&scan[..], &["--vex", &file]].concat())?)?;
    ensure!(after == pairs(&[FIXABLE]), "{after:?}");
    // A path that no package has proves nothing.
    let mistyped = format!(
        "statements:\n  - flaw: {OPEN}\n    products: [{{package: \"pkg:deb/debian/zlib?arch=source\"}}]\n    \
         status: affected\n    reason: For a test.\n    action: None.\n    evidence: https://example.org/1\n    \
         paths: [/usr/lib/x86_64-linux-gnu/libz.os.1]\n    date: 2026-10-01\n"
    );
    catalog.reviewed(&mistyped)?;
    for command in ["vex", "scan"] {
        let error = fails(&mut catalog.calypte(&[command, "nginx", "--arch", "amd64"]), 2)?;
        ensure!(error.contains("zlib.yaml") && error.contains("libz.os.1"), "{command}: {error}");
    }
    Ok(())
}

/// Without a registry Trivy knows no image by its digest: what is said of a package in any image is all that it can heed.
fn read_by_trivy(world: &World) -> Result<()> {
    let up = world.up()?;
    let catalog = Catalog::new(up)?;
    let (document, file) = catalog.document()?;
    ensure!(said(&document, OPEN).len() == 1, "{document:#}");
    let layout = catalog.path("layout").display().to_string();
    let output = format!("oci:{layout}");
    run(&mut catalog.calypte(&["build", "nginx", "--arch", "amd64", "--output", &output]))?;
    let image = ["image", "--input", &layout];
    let release = Trivy::new(catalog.directory.path(), &[])?.packages(&image)?;
    let release = release["Metadata"]["OS"]["Name"].as_str().context("Trivy knows no release")?.to_owned();
    let advisory = |flaw: &str, fixed: Option<&str>, state| Advisory {
        source: "zlib".to_owned(),
        flaw: flaw.to_owned(),
        fixed: fixed.map(str::to_owned),
        state,
    };
    let advisories = [
        advisory(OPEN, None, State::Affected),
        advisory(DEFERRED, None, State::Deferred),
        advisory(FIXABLE, Some("99:1"), State::Fixed),
    ];
    let trivy = Trivy::of_release(catalog.directory.path(), &format!("debian {release}"), &advisories)?;
    let flaws = |arguments: &[&str]| -> Result<BTreeSet<String>> {
        let report = trivy.flaws(arguments)?;
        Ok(trivy::findings(&report).into_iter().map(|(_, flaw, ..)| flaw).collect())
    };
    let names = |flaws: &[&str]| flaws.iter().map(|flaw| (*flaw).to_owned()).collect::<BTreeSet<_>>();
    let before = flaws(&image)?;
    ensure!(before == names(&[OPEN, DEFERRED, FIXABLE]), "{before:?}");
    let after = flaws(&[&image[..], &["--vex", &file]].concat())?;
    ensure!(after == names(&[DEFERRED, FIXABLE]), "{after:?}");
    Ok(())
}

fn published(world: &World) -> Result<()> {
    let catalog = Catalog::new(world.up()?)?;
    let report = catalog.publish()?;
    let images = report["images"].as_array().context("no images")?;
    ensure!(report["written"] == true && images.len() >= 3, "{report:#}");
    for image in images {
        let path = catalog.path("published").join(image["document"].as_str().context("no document")?);
        let document: Value = serde_json::from_str(&fs_err::read_to_string(path)?)?;
        let digest = image["digest"].as_str().context("no digest")?.replace(':', "%3A");
        let statements = document["statements"].as_array().context("no statements")?;
        let about = format!("@{digest}");
        ensure!(statements.iter().all(|one| one.to_string().contains(&about)), "{document:#}");
    }
    let again = catalog.publish()?;
    ensure!(again["written"] == false && again["csaf"]["added"] == 0, "{again:#}");
    // What the archive has is what the directory has.
    let listing = stdout(Command::new("tar").arg("-tzf").arg(catalog.path("published/repository.tar.gz")))?;
    ensure!(listing.lines().any(|line| line == "index.json"), "{listing}");
    // A statement that is taken back is taken back everywhere.
    catalog.reviewed("statements: []\n")?;
    let changed = catalog.publish()?;
    ensure!(changed["csaf"]["changed"] == 2 && changed["csaf"]["removed"] == 0, "{changed:#}");
    let osv = catalog.path("published/osv/zlib");
    let open = fs_err::read_to_string(osv.join(format!("CALYPTE-DEBIAN-zlib-{OPEN}.json")))?;
    let open: Value = serde_json::from_str(&open)?;
    ensure!(
        open["affected"][0]["ranges"][0]["events"].as_array().is_some_and(|all| all.len() == 1),
        "{open:#}"
    );
    Ok(())
}

/// Prints a line for each file that fails a test, and at last how many there were.
const JUDGE: &str = r"
import { readFileSync } from 'node:fs'
import validate from '@secvisogram/csaf-validator-lib/validate.js'
import * as tests from '@secvisogram/csaf-validator-lib/basic.js'
const files = readFileSync(0, 'utf8').split('\n').filter(line => line)
for (const file of files) {
  const result = await validate(Object.values(tests), JSON.parse(readFileSync(file)))
  const failed = result.tests.filter(test => !test.isValid)
  if (!result.isValid) console.log(file + ': ' + JSON.stringify(failed))
}
console.log(files.length)
";

/// Most documents that the judge looks at: it takes some hundredths of a second for each.
const MOST: usize = 500;

fn judged(world: &World) -> Result<()> {
    let catalog = Catalog::new(world.up()?)?;
    catalog.publish()?;
    catalog.reviewed("statements: []\n")?;
    // Some are in their second revision now.
    catalog.publish()?;
    let csaf = catalog.path("published/csaf");
    let listing = fs_err::read_to_string(csaf.join("changes.csv"))?;
    let documents = listing.lines().filter_map(|line| line.split('"').nth(1)).take(MOST);
    let documents: Vec<PathBuf> = documents.map(|path| csaf.join(path)).collect();
    ensure!(documents.len() > 4, "{listing}");
    let said = judge(&documents, catalog.directory.path())?;
    ensure!(said.trim() == documents.len().to_string(), "{said}");
    Ok(())
}

/// Where `cargo xtask test` puts the judge.
pub fn judges() -> PathBuf {
    World::target().join("tools/node")
}

fn judge(documents: &[PathBuf], directory: &Path) -> Result<String> {
    let list = directory.join("documents");
    let lines: String = documents.iter().map(|path| format!("{}\n", path.display())).collect();
    fs_err::write(&list, lines)?;
    let mut node = Command::new("node");
    node.current_dir(judges()).args(["--input-type=module", "-e", JUDGE]);
    let output = node.stdin(fs_err::File::open(list)?.into_parts().0).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
