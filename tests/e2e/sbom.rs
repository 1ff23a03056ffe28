//! Bills of materials before the judges that others use: the NTIA's and CISA's minimum elements, the validators of SPDX
//! and CycloneDX.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run};

pub const CASES: &[Case] = &[
    Case { name: "sboms_of_debian_images_pass", needs: &[Need::Mirror, Need::Judges], run: debian },
    Case { name: "sboms_of_fedora_images_pass", needs: &[Need::RpmFixture, Need::Judges], run: fedora },
];

/// Validates a CycloneDX document against the schema that its own library carries.
const CYCLONEDX: &str = "
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())
sys.exit(str(error)[:2000] if error else 0)
";

/// Where `cargo xtask test` puts the judges.
pub fn judge(name: &str) -> PathBuf {
    World::target().join("tools/judges/bin").join(name)
}

fn debian(world: &World) -> Result<()> {
    let up = world.up()?;
    for image in ["static", "nginx", "postgresql-builder", "python:3.14"] {
        pass(image, &|arguments| up.calypte(arguments))?;
    }
    Ok(())
}

fn fedora(world: &World) -> Result<()> {
    let fedora = world.fedora()?;
    pass("nginx", &|arguments| {
        let mut command = fedora.calypte(arguments);
        command.args(["--universe", crate::fedora::UNIVERSE]);
        command
    })
}

fn pass(image: &str, calypte: &dyn Fn(&[&str]) -> Command) -> Result<()> {
    let directory = TempDir::new()?;
    let write = |standard: &str| -> Result<PathBuf> {
        let file = directory.path().join(format!("{standard}.json"));
        let path = file.display().to_string();
        run(&mut calypte(&["sbom", image, "--arch", "amd64", "--as", standard, "--output", &path]))?;
        Ok(file)
    };
    let (spdx2, spdx3, cyclonedx) = (write("spdx-2.3")?, write("spdx-3.0.1")?, write("cyclonedx-1.6")?);
    for (file, form, standard) in
        [(&spdx2, "spdx2", "ntia"), (&spdx3, "spdx3", "ntia"), (&spdx3, "spdx3", "fsct3-min")]
    {
        let verdict = conformance(file, form, standard)?;
        ensure!(verdict["isConformant"] == true, "{image}: {form} does not meet {standard}:\n{verdict:#}");
        sound(&verdict).with_context(|| format!("{image}: {form}, {standard}"))?;
    }
    // In SPDX 2.3 this judge looks for the type of a bill nowhere (it stands in the comment on its creation, as FSCT says),
    // so it never finds FSCT3 met. All else must be.
    let verdict = conformance(&spdx2, "spdx2", "fsct3-min")?;
    sound(&verdict).with_context(|| format!("{image}: spdx2, fsct3-min"))?;
    let comment = serde_json::from_slice::<Value>(&fs_err::read(&spdx2)?)?["creationInfo"]["comment"].clone();
    ensure!(comment.as_str().is_some_and(|text| text.starts_with("SBOM Type: Build")), "{comment}");
    run(python(judge("pyspdxtools")).arg("--infile").arg(&spdx2))?;
    run(python("python3").args(["-c", CYCLONEDX]).arg(&cyclonedx))?;
    Ok(())
}

/// Nothing in a verdict says no, and no relation leads nowhere but to what SPDX 3 itself names: none, and not known.
fn sound(verdict: &Value) -> Result<()> {
    const NOBODY: [&str; 2] = [
        "https://spdx.org/rdf/3.0.1/terms/Core/NoneElement",
        "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement",
    ];
    for messages in ["validationMessages", "conformanceMessages", "parsingError"] {
        ensure!(verdict[messages] == serde_json::json!([]), "{verdict:#}");
    }
    let said = verdict.as_object().into_iter().flatten();
    for (key, value) in said.filter(|(key, _)| !key.starts_with("is")) {
        ensure!(*value != false && value["allProvided"] != false, "{key}: {value:#}");
    }
    let lost = verdict["graphValidation"]["unknownPointers"]["unknownPointerEdges"].as_object();
    for end in lost.into_iter().flatten().flat_map(|(_, ends)| ends.as_array().into_iter().flatten()) {
        ensure!(end.as_str().is_some_and(|end| NOBODY.contains(&end)), "{end} is no element");
    }
    Ok(())
}

fn conformance(file: &Path, form: &str, standard: &str) -> Result<Value> {
    let mut check = python(judge("sbomcheck"));
    check.arg(file).args(["--sbom-spec", form, "--comply", standard, "--output", "json"]);
    // It ends with 1 where the answer is no.
    let output = check.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let json = text.find('{').and_then(|start| text.get(start..)).context("the judge printed no JSON")?;
    serde_json::from_str(json).with_context(|| format!("the judge printed `{text}`"))
}

fn python(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PYTHONPATH", World::target().join("tools/judges"));
    command
}
