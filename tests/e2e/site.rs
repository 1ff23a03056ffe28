//! The catalog site in a browser: pictures of each page, links, a search by keyboard alone, and what axe says of it. The
//! pictures lie in `target/site-pictures` afterwards.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::Case;
use crate::command_line::console_lines;
use crate::needs::Need;
use crate::publish::{Served, login};
use crate::scan::{OPEN, Scans};
use crate::world::{World, run, stdout};

pub const CASES: &[Case] = &[Case {
    name: "the_site_serves_everyone_in_a_browser",
    needs: &[Need::Mirror, Need::Engine, Need::Browser, Need::Program("curl")],
    run: browser,
}];

/// How long bills and scans may take beside serving.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where the browser's driver and judge are installed.
pub fn tools() -> PathBuf {
    World::target().join("tools/browser")
}

fn get(served: &Served, path: &str) -> Result<String> {
    stdout(Command::new("curl").args(["--silent", "--fail"]).arg(format!("http://{}{path}", served.host)))
}

fn data(served: &Served, path: &str) -> Result<Value> {
    Ok(serde_json::from_str(&get(served, path)?)?)
}

fn browser(world: &World) -> Result<()> {
    let up = world.up()?;
    let _scans = Scans::new(up)?;
    let directory = TempDir::new()?;
    let key = directory.path().join("key");
    run(up.calypte(&["key"]).arg(&key))?;
    let served = Served::start(up)?;
    let auth = login(directory.path(), &served.host, &served.token)?;
    let mut push = up.calypte(&[
        "push",
        "static",
        "nginx",
        "nginx-builder",
        "--to",
        &served.host,
        "--plain-http",
        "--key",
    ]);
    run(push.arg(&key).env("REGISTRY_AUTH_FILE", auth))?;
    let start = Instant::now();
    while data(&served, &format!("/api/v1/flaws/{OPEN}")).is_err() {
        ensure!(
            start.elapsed() < PATIENCE,
            "no scan after five minutes: {:#}",
            data(&served, "/api/v1/status")?
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    guide(&served)?;
    let image = data(&served, "/api/v1/images/nginx/-/latest")?;
    let machine = image["platforms"][0]["digest"].as_str().context("no machine")?;
    let machine = format!("/images/nginx/-/{machine}");
    let flaw = format!("/flaws/{OPEN}");
    let addresses = [
        "/",
        "/?q=nginx",
        "/?q=no-such-image",
        "/images/nginx",
        "/images/nginx/-/latest",
        "/images/nginx/-/latest/changes",
        &machine,
        "/flaws",
        &flaw,
        "/status",
        "/api",
    ];
    let pictures = World::target().join("site-pictures");
    fs_err::create_dir_all(&pictures)?;
    let script = World::repository().join("tests/e2e/browser.cjs");
    let text = stdout(
        Command::new("node")
            .arg(script)
            .arg(tools())
            .arg(format!("http://{}", served.host))
            .arg(&pictures)
            .args(addresses),
    )?;
    judge(&serde_json::from_str(&text)?)
}

/// Runs the commands of the guide that ask the server.
fn guide(served: &Served) -> Result<()> {
    let text = fs_err::read_to_string(World::repository().join("docs/guides/site.md"))?;
    let mut count = 0;
    for line in console_lines(&text).filter(|line| line.starts_with("curl ")) {
        let line = line.replace("localhost:5080", &served.host);
        let output = run(Command::new("curl").args(line.split_whitespace().skip(1)))?;
        ensure!(!output.stdout.is_empty(), "`{line}` prints nothing");
        count += 1;
    }
    ensure!(count >= 9, "the guide shows {count} commands only");
    Ok(())
}

/// What the browser saw, held against what readers may expect.
fn judge(report: &Value) -> Result<()> {
    let pages = report["pages"].as_array().context("no pages")?;
    for page in pages {
        let address = &page["address"];
        ensure!(page["status"] == 200 && page["errors"] == serde_json::json!([]), "{page:#}");
        let serious = |fault: &&Value| fault["impact"] == "serious" || fault["impact"] == "critical";
        let faults: Vec<&Value> = page["faults"].as_array().into_iter().flatten().filter(serious).collect();
        ensure!(faults.is_empty(), "axe on {address}: {faults:#?}");
        for width in ["desktop", "phone"] {
            ensure!(
                page["wider"][width].as_i64().is_some_and(|more| more <= 0),
                "{address} is too wide: {page:#}"
            );
        }
        ensure!(page["text"].as_u64() > Some(40), "{address} is empty without JavaScript");
    }
    let links = report["links"].as_array().context("no links")?;
    let broken: Vec<&Value> = links.iter().filter(|link| link["status"] != 200).collect();
    ensure!(broken.is_empty() && links.len() > 20, "{} links, broken: {broken:#?}", links.len());
    let search = &report["search"];
    ensure!(search["skip"] == "#content" && search["rings"] == true, "{search:#}");
    ensure!(search["hits"] == serde_json::json!(["/images/nginx"]), "{search:#}");
    ensure!(search["url"] == "/images/nginx", "{search:#}");
    Ok(())
}
