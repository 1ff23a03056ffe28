//! `calypte gate`, and what it leaves behind: it passes, it refuses with the rule, the image and the cure, exceptions count until
//! their day, and the verdict hangs signed at what is published.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::case::Case;
use crate::needs::Need;
use crate::pipeline::{FAMILY, FLAW, Loop, UNIVERSE};
use crate::publish::Served;
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[Case {
    name: "the_gate_says_no_and_its_yes_is_attached",
    needs: &[Need::Mirror, Need::Engine, Need::Program("curl")],
    run: gate,
}];

/// A source package that the image holds.
const SOURCE: &str = "tzdata";

/// The rule about findings that have a fix.
const RULE: &str = "cve.cve_blockers";

/// What the gate says of the image, and its exit code.
fn asked(world: &Loop, key: Option<&Path>) -> Result<(i32, Value)> {
    let mut command = world.calypte(&["gate", FAMILY, "--universe", UNIVERSE, "--format", "json"]);
    if let Some(key) = key {
        command.arg("--key").arg(key);
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let judged = serde_json::from_slice(&output.stdout).context(said)?;
    Ok((output.status.code().unwrap_or(-1), judged))
}

fn rules(judged: &Value) -> Vec<&str> {
    let refusals = judged["refusals"].as_array().into_iter().flatten();
    refusals.filter_map(|refusal| refusal["rule"].as_str()).collect()
}

fn except(world: &Loop, until: &str) -> Result<()> {
    let text = format!(
        "exceptions:\n  - rule: {RULE}:{FLAW}\n    image: {FAMILY}\n    reason: only data, nothing that runs\n    until: \"{until}\"\n"
    );
    Ok(fs_err::write(world.path("catalog/policy/exceptions.yaml"), text)?)
}

fn gate(_: &World) -> Result<()> {
    let world = Loop::new()?;
    let key = world.path("release.key");
    run(world.calypte(&["key"]).arg(&key))?;
    run(&mut world.calypte(&["lock", FAMILY, "--universe", UNIVERSE]))?;
    world.feed(SOURCE, &json!({"status": "open", "urgency": "low", "repositories": {}}))?;

    let (code, judged) = asked(&world, Some(&key))?;
    ensure!(code == 0 && judged["passed"] == true && rules(&judged).is_empty(), "{code}: {judged:#}");
    // Nobody signs it.
    let (code, judged) = asked(&world, None)?;
    ensure!(code == 1 && rules(&judged).contains(&"builtin.image.signature_check"), "{code}: {judged:#}");

    // A fix that the image does not have.
    world.feed(
        SOURCE,
        &json!({"status": "resolved", "urgency": "high", "fixed_version": "9999a-1", "repositories": {}}),
    )?;
    let (code, judged) = asked(&world, Some(&key))?;
    ensure!(code == 1 && rules(&judged) == [RULE] && judged["image"] == FAMILY, "{code}: {judged:#}");
    let refusal = &judged["refusals"][0];
    let text = |name: &str| refusal[name].as_str().unwrap_or_default();
    ensure!(text("message").contains(FLAW) && text("message").contains(SOURCE), "{refusal:#}");
    ensure!(text("cure").split_whitespace().count() >= 3 && text("architecture") == "amd64", "{refusal:#}");
    let output = world.calypte(&["gate", FAMILY, "--universe", UNIVERSE, "--key"]).arg(&key).output()?;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(shown.contains("may not be published") && shown.contains(text("cure")), "{shown}");

    // An exception counts until its day is over.
    except(&world, "2020-01-31")?;
    let (code, judged) = asked(&world, Some(&key))?;
    let expired = judged["expired"].to_string();
    ensure!(code == 1 && rules(&judged) == [RULE] && expired.contains("2020-01-31"), "{code}: {judged:#}");
    except(&world, "2099-12-31")?;
    let (code, judged) = asked(&world, Some(&key))?;
    let excepted = &judged["excepted"][0];
    ensure!(code == 0 && judged["passed"] == true && rules(&judged).is_empty(), "{code}: {judged:#}");
    ensure!(excepted["until"] == "2099-12-31" && excepted["rule"] == RULE, "{judged:#}");

    attached(&world, &key, &judged)
}

/// What is published carries the verdict, and it verifies.
fn attached(world: &Loop, key: &Path, judged: &Value) -> Result<()> {
    // The exception is for one image of the family; the others' flaw is gone for the rest.
    let file = world.path("catalog/policy/exceptions.yaml");
    let text = fs_err::read_to_string(&file)?.replace(&format!("    image: {FAMILY}\n"), "");
    fs_err::write(&file, text)?;
    let served = Served::over(world.calypte(&["serve", "--listen", "127.0.0.1:0"]), &world.path("store"))?;
    let report = world.run(&served)?;
    let images = report["images"].as_array().into_iter().flatten();
    let image = images.clone().find(|image| image["image"] == FAMILY).context("it was not published")?;
    ensure!(image["ended"] == "published", "{report:#}");
    let digest = image["digest"].as_str().context("no digest")?;
    ensure!(judged["digest"] == digest, "{} was asked about, and {digest} published", judged["digest"]);

    let reference = format!("{}/{FAMILY}@{digest}", served.host);
    let verify = |key: &Path| {
        let mut command = world.calypte(&["verify", &reference, "--plain-http", "--format", "json", "--key"]);
        command.arg(key).output()
    };
    let output = verify(&key.with_extension("key.pub"))?;
    let verified: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(output.status.success(), "{verified:#}");
    let kind = "https://slsa.dev/verification_summary/v1";
    let index = &verified["manifests"][0];
    let mut statements = index["statements"].as_array().into_iter().flatten();
    let is_verdict = |statement: &&Value| statement["predicate_type"] == kind && statement["key"].is_string();
    ensure!(index["digest"] == digest && statements.any(|statement| is_verdict(&statement)), "{verified:#}");
    let other = world.path("other.key");
    run(world.calypte(&["key"]).arg(&other))?;
    ensure!(verify(&other.with_extension("key.pub"))?.status.code() == Some(1), "another key is accepted");

    // What it says, asked by somebody who knows nothing of us.
    let get = |path: &str| -> Result<Value> {
        let text = stdout(Command::new("curl").args([
            "--silent",
            "--fail",
            "--header",
            "Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json",
            &format!("http://{}/v2/{FAMILY}/{path}", served.host),
        ]))?;
        serde_json::from_str(&text).context(text)
    };
    let listed = get(&format!("referrers/{digest}"))?;
    let mut listed = listed["manifests"].as_array().cloned().unwrap_or_default().into_iter();
    let named = |entry: &Value| entry["annotations"].to_string().contains(kind);
    let entry = listed.find(named).context("no verdict is listed")?;
    let manifest = get(&format!("manifests/{}", entry["digest"].as_str().unwrap_or_default()))?;
    let bundle = get(&format!("blobs/{}", manifest["layers"][0]["digest"].as_str().unwrap_or_default()))?;
    let payload = bundle["dsseEnvelope"]["payload"].as_str().context("no payload")?;
    let payload = base64::engine::general_purpose::STANDARD.decode(payload)?;
    let statement: Value = serde_json::from_slice(&payload)?;
    let predicate = &statement["predicate"];
    let subject = statement["subject"][0]["digest"]["sha256"].as_str().unwrap_or_default();
    ensure!(digest.ends_with(subject) && !subject.is_empty(), "{statement:#}");
    ensure!(predicate["verificationResult"] == "PASSED", "{statement:#}");
    ensure!(
        predicate["inputAttestations"].as_array().is_some_and(|inputs| inputs.len() >= 6),
        "{statement:#}"
    );
    ensure!(predicate.to_string().contains(&format!("{RULE}:{FLAW}")), "{statement:#}");
    Ok(())
}
