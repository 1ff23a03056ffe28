//! The pages about images as a reader follows them: every block of commands is typed into a shell as it stands there, and
//! prints what the page says; the examples are built and run, without a network. A sample of the families, or all, as
//! [`Sample`] says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::case::Case;
use crate::needs::Need;
use crate::sample::Sample;
use crate::world::{Up, World, run};

/// What the cases need: containers have names and networks of their own, and are built.
const NEEDS: &[Need] = &[Need::Mirror, Need::Root, Need::Program("podman"), Need::Program("curl")];

pub const CASES: &[Case] = &[
    Case { name: "a_readme_s_commands_work", needs: NEEDS, run: commands },
    Case { name: "a_readme_s_example_builds_and_runs", needs: NEEDS, run: examples },
    Case { name: "what_is_said_to_be_lacking_is_lacking", needs: &[Need::Mirror], run: lacking },
];

/// A page, taken apart.
#[derive(Debug, Default)]
struct Page {
    /// The scripts below each heading.
    scripts: Vec<(String, String)>,
    /// The files that it shows.
    files: BTreeMap<String, String>,
}

impl Page {
    fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let (mut heading, mut caption) = (String::new(), String::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("## ") {
                name.clone_into(&mut heading);
            } else if line.starts_with("```") {
                let fence: String = line.chars().take_while(|character| *character == '`').collect();
                let block: String = lines
                    .by_ref()
                    .take_while(|line| *line != fence)
                    .map(|line| format!("{line}\n"))
                    .collect();
                if let Some(name) = caption.strip_prefix('`').and_then(|name| name.strip_suffix("`:")) {
                    page.files.insert(name.to_owned(), block);
                } else if line == format!("{fence}sh") {
                    page.scripts.push((heading.clone(), block));
                }
            } else if !line.is_empty() {
                line.clone_into(&mut caption);
            }
        }
        page
    }

    fn scripts<'a>(&'a self, heading: &'a str) -> impl Iterator<Item = &'a str> {
        self.scripts.iter().filter(move |(name, _)| name == heading).map(|(_, script)| script.as_str())
    }
}

/// A place where `calypte` is the program under test, and `podman` one that works here, with a storage of its own.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new(up: &Up) -> Result<Self> {
        let place = Self { directory: TempDir::new()? };
        let path = |name: &str| place.path(name).display().to_string();
        let calypte = format!(
            "#!/bin/sh\nexec {} --quiet --catalog {} --store {} \"$@\"\n",
            World::program().display(),
            up.catalog().display(),
            up.store().display()
        );
        place.program("calypte", &calypte)?;
        let podman = which("podman").context("no podman")?;
        let cgroups =
            if Path::new("/run/systemd/system").exists() { "" } else { "--cgroup-manager cgroupfs" };
        // Low limits: podman's own may be above what the machine allows.
        let limits = "--ulimit nofile=1024:1024 --ulimit nproc=1024:1024";
        let runtime = which("runc").map_or_else(String::new, |runc| format!("--runtime {}", runc.display()));
        // Builds see no network at all: what they need is in the images. Chroots need no nested namespaces.
        let podman = format!(
            "#!/bin/sh\ncommand=$1\nshift\nalone=\ncase $command in\n  run) set -- {limits} \"$@\" ;;\n  \
             build) alone='unshare --net'; set -- {limits} --isolation chroot --network host --pull=never \"$@\" ;;\nesac\n\
             exec $alone {} {runtime} {cgroups} --root {} --runroot {} \"$command\" \"$@\"\n",
            podman.display(),
            path("storage"),
            path("run")
        );
        place.program("podman", &podman)?;
        if which("nc").is_none() {
            let nc = "#!/bin/bash\nset -e\ncase $1 in\n  -z) exec 3<>/dev/tcp/$2/$3 ;;\n  \
                      -w) exec 3<>/dev/tcp/$3/$4; cat >&3; timeout $2 cat <&3 || true ;;\nesac 2> /dev/null\n";
            place.program("nc", nc)?;
        }
        fs_err::create_dir(place.path("work"))?;
        Ok(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn program(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path("bin").join(name);
        fs_err::create_dir_all(self.path("bin"))?;
        fs_err::write(&path, text)?;
        run(Command::new("chmod").arg("755").arg(&path)).map(drop)
    }

    /// Types a script in; it must end well, and print what its comments say, in their order.
    fn types(&self, script: &str) -> Result<()> {
        let output = self.shell(script)?;
        let text = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "{}\n{script}\nprinted:\n{text}", output.status);
        let mut rest = text.as_ref();
        for line in script.lines() {
            let Some(expected) = line.strip_prefix("# →") else { continue };
            let expected = expected.trim().trim_start_matches("… ").trim_end_matches(" …");
            let Some((_, after)) = rest.split_once(expected) else {
                anyhow::bail!("{script}\nshould print `{expected}`, and printed:\n{text}");
            };
            rest = after;
        }
        Ok(())
    }

    fn shell(&self, script: &str) -> Result<Output> {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("bash");
        shell.args(["-ec", &format!("exec 2>&1\n{script}")]).current_dir(self.path("work"));
        shell.env("PATH", format!("{}:{path}", self.path("bin").display())).stdin(Stdio::null());
        Ok(shell.output()?)
    }

    /// Throws away what a page has made, so that the disk holds one page's images at a time.
    fn clear(&self) -> Result<()> {
        self.shell(
            "podman rm --all --force --time 1; podman volume rm --all --force; podman rmi --all --force",
        )?;
        fs_err::remove_dir_all(self.path("work"))?;
        fs_err::create_dir(self.path("work"))?;
        Ok(())
    }

    /// The pages about all families, by name.
    fn pages(&self) -> Result<BTreeMap<String, Page>> {
        let directory = self.path("pages");
        self.types(&format!("calypte catalog --readmes {}", directory.display()))?;
        let mut pages = BTreeMap::new();
        for entry in fs_err::read_dir(&directory)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            pages.insert(name, Page::parse(&fs_err::read_to_string(&path)?));
        }
        Ok(pages)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Its mounts would keep the directory from being removed.
        let _ = self.shell("podman rm --all --force --time 1; podman rmi --all --force");
    }
}

fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    directories.map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn commands(world: &World) -> Result<()> {
    let up = world.up()?;
    let place = Place::new(up)?;
    let sample = Sample::starters(up)?;
    sample.tell("pages whose commands are typed");
    let mut failures = Vec::new();
    for (family, page) in place.pages()?.iter().filter(|(family, _)| sample.holds(family)) {
        let scripts: Vec<&str> = page.scripts("Have it").chain(page.scripts("Run it")).collect();
        let typed = scripts.iter().try_for_each(|script| place.types(script));
        failures.extend(typed.err().map(|error| format!("{family}: {error:#}")));
        place.clear()?;
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    Ok(())
}

fn examples(world: &World) -> Result<()> {
    let up = world.up()?;
    let place = Place::new(up)?;
    let sample = Sample::starters(up)?;
    sample.tell("examples that are built");
    let mut failures = Vec::new();
    let mut count = 0;
    for (family, page) in place.pages()?.iter().filter(|(family, _)| sample.holds(family)) {
        let Some(script) = page.scripts("Build upon it").next() else { continue };
        for (name, text) in &page.files {
            let path = place.path("work").join(name);
            fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
            fs_err::write(path, text)?;
        }
        failures.extend(place.types(script).err().map(|error| format!("{family}: {error:#}")));
        place.clear()?;
        count += 1;
    }
    ensure!(failures.is_empty(), "{}", failures.join("\n\n"));
    ensure!(count >= 2, "{count} pages have an example");
    Ok(())
}

fn lacking(world: &World) -> Result<()> {
    let up = world.up()?;
    let shown = up.json(&["catalog", "--lacking"])?;
    ensure!(shown["there"] == serde_json::json!([]), "the universe has them: {:#}", shown["there"]);
    ensure!(shown["software"].as_array().is_some_and(|software| software.len() >= 5), "{shown:#}");
    Ok(())
}
