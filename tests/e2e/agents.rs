//! An agent over `calypte mcp` with a mirror at hand: a definition is proposed and not written, an image is rebuilt, a flaw is
//! explained in it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[Case {
    name: "an_agent_has_a_definition_proposed_and_an_image_rebuilt",
    needs: &[Need::Mirror],
    run: agent,
}];

/// A flaw that there is not, and how long a rebuild may take.
const FLAW: &str = "CVE-2099-20001";
const PATIENCE: Duration = Duration::from_secs(300);

/// A server, and the client's ends of its streams.
struct Agent {
    server: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Agent {
    fn new(mut command: Command) -> Result<Self> {
        let mut server =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let input = server.stdin.take().context("no input")?;
        let output = BufReader::new(server.stdout.take().context("no output")?);
        let mut agent = Self { server, input, output, next: 1 };
        let client = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        agent.ask("initialize", &params)?;
        writeln!(agent.input, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
        Ok(agent)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        let id = self.next;
        self.next += 1;
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        ensure!(self.output.read_line(&mut line)? > 0, "no answer to {request}");
        let answer: Value = serde_json::from_str(&line)?;
        ensure!(answer["id"] == id && answer["result"].is_object(), "{answer:#}");
        Ok(answer["result"].clone())
    }

    fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let result = self.ask("tools/call", &json!({ "name": tool, "arguments": arguments }))?;
        ensure!(result["isError"] != true, "{tool} {arguments}: {result:#}");
        Ok(result["structuredContent"].clone())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn agent(_: &World) -> Result<()> {
    let directory = TempDir::new()?;
    let catalog = World::copy_catalog(directory.path())?;
    let calypte = |arguments: &[&str]| {
        let mut command = Command::new(World::program());
        command.arg("--catalog").arg(&catalog).arg("--store").arg(directory.path().join("store"));
        command.arg("--quiet").args(arguments);
        command
    };
    feed(directory.path(), &calypte)?;
    let mut agent = Agent::new(calypte(&["mcp", "--allow-writes"]))?;

    let draft = agent.call("propose_definition", &json!({ "family": "tree" }))?;
    let text = draft["definition"].as_str().context("no definition")?;
    ensure!(text.contains("entrypoint: [/usr/bin/tree]") && text.contains("deb: [tree]"), "{text}");
    let file = catalog.join("images/tree.yaml");
    ensure!(!file.exists(), "it was written");
    // What is proposed is what `calypte new` writes.
    run(&mut calypte(&["new", "tree"]))?;
    ensure!(fs_err::read_to_string(&file)? == text, "calypte new writes something else");

    agent.call("start_rebuild", &json!({ "image": "static" }))?;
    let start = Instant::now();
    let job = loop {
        let status = agent.call("rebuild_status", &json!({}))?;
        let job = status["rebuilds"][0].clone();
        if job["state"] != "running" || start.elapsed() > PATIENCE {
            break job;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let built: Value =
        serde_json::from_str(&stdout(&mut calypte(&["build", "static", "--format", "json"]))?)?;
    ensure!(job["state"] == "done" && job["result"]["digest"] == built["digest"], "{job:#}");

    let told = agent.call("explain_cve", &json!({ "flaw": FLAW, "image": "static" }))?;
    let findings = told["findings"].as_array().context("no findings")?;
    ensure!(findings.iter().any(|finding| finding["name"] == "tzdata"), "{told:#}");
    let other = agent.call("explain_cve", &json!({ "flaw": "CVE-1999-1", "image": "static" }))?;
    ensure!(other["findings"] == json!([]), "{other:#}");
    Ok(())
}

/// Lets Debian's tracker, as it were, know of a flaw in the package of time zones.
fn feed(directory: &Path, calypte: &dyn Fn(&[&str]) -> Command) -> Result<()> {
    let shown: Value = serde_json::from_str(&stdout(&mut calypte(&["show", "static", "--format", "json"]))?)?;
    let packages = shown["packages"].as_array().context("no packages")?;
    let zones = packages.iter().find(|package| package["name"] == "tzdata").context("no tzdata")?;
    let sid = json!({ "status": "open", "urgency": "high", "repositories": { "sid": zones["version"] } });
    let tracker = json!({ "tzdata": { FLAW: { "description": "For a test.", "releases": { "sid": sid } } } });
    let file = directory.join("tracker.json");
    fs_err::write(&file, tracker.to_string())?;
    let from = format!("debian-tracker:debian-tracker={}", file.display());
    run(&mut calypte(&["advisories", "update", "--from", &from]))?;
    Ok(())
}
