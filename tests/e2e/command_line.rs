//! The commands as a user meets them: exit codes, JSON, and the commands that the documents show.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::case::Case;
use crate::needs::Need;
use crate::world::{World, fails, run, stdout};

pub const CASES: &[Case] = &[
    Case { name: "show_explains_why", needs: &[Need::Mirror], run: why },
    Case { name: "diff_tells_images_apart", needs: &[Need::Mirror], run: diff },
    Case { name: "the_documents_commands_work", needs: &[Need::Mirror, Need::Engine], run: documents },
    Case { name: "an_interrupt_ends_with_130", needs: &[Need::Mirror], run: interrupt },
];

fn why(world: &World) -> Result<()> {
    let up = world.up()?;
    let shown = up.json(&["show", "nginx", "--why", "libc6"])?;
    let chain = shown["chain"].as_array().context("no chain")?;
    ensure!(chain.last() == Some(&"libc6".into()), "{shown:#}");
    fails(&mut up.calypte(&["show", "nginx", "--why", "no-such-package"]), 1)?;
    let tree = stdout(&mut up.calypte(&["show", "nginx", "--tree"]))?;
    ensure!(tree.contains("└── "), "{tree}");
    Ok(())
}

fn diff(world: &World) -> Result<()> {
    let up = world.up()?;
    run(&mut up.calypte(&["diff", "nginx", "nginx"]))?;
    let output = up.calypte(&["diff", "nginx", "nginx-builder", "--format", "json"]).output()?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    let difference: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = difference["packages"].as_array().context("no packages")?;
    ensure!(
        packages.iter().any(|change| change["name"] == "bash" && change["from"].is_null()),
        "{difference:#}"
    );
    let files = difference["files"].as_array().context("no files")?;
    ensure!(files.iter().any(|file| file["path"] == "/usr/bin/bash"), "bash is not among the files");
    Ok(())
}

/// Runs each `$ calypte …` line of the documents' console blocks over the shared catalog and store.
fn documents(world: &World) -> Result<()> {
    let up = world.up()?;
    let directory = tempfile::TempDir::new()?;
    let mut count = 0;
    for document in ["README.md", "docs/guides/first-image.md", "docs/guides/scan.md"] {
        let text = fs_err::read_to_string(World::repository().join(document))?;
        for line in console_lines(&text) {
            let Some(arguments) = line.strip_prefix("calypte ") else { continue };
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let output = up.calypte(&arguments).current_dir(directory.path()).output()?;
            // 1 is a gate's no. In the documents only a diff says it, of images that do differ.
            let may_say_no = arguments.first() == Some(&"diff");
            let code = output.status.code();
            ensure!(
                code == Some(0) || (code == Some(1) && may_say_no),
                "{document}: `{line}`: {}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
            count += 1;
        }
    }
    ensure!(count >= 5, "the documents show {count} commands only");
    Ok(())
}

/// The commands of a document's console blocks.
pub fn console_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        if line.starts_with("```") {
            inside = line == "```console";
        }
        line.strip_prefix("$ ").filter(|_| inside)
    })
}

fn interrupt(world: &World) -> Result<()> {
    let up = world.up()?;
    let store = tempfile::TempDir::new()?;
    let mut command = Command::new(World::program());
    command
        .arg("--quiet")
        .arg("--catalog")
        .arg(up.catalog())
        .arg("--store")
        .arg(store.path())
        .args(["build", "python-builder"]);
    let mut child =
        command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn()?;
    std::thread::sleep(std::time::Duration::from_millis(150));
    run(Command::new("kill").args(["-INT", &child.id().to_string()]))?;
    let status = child.wait()?;
    ensure!(status.code() == Some(130), "{status}");
    Ok(())
}
