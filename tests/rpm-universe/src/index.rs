//! The repositories: the packages laid out as Fedora lays them out and indexed by `createrepo_c`, once as they are and
//! once for each way in which a mirror can be wrong.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::sign;
use crate::tools::{Failure, files_below, link_file, read, run};
use crate::{OLDER_TIMESTAMP, TIMESTAMP, VICTIM};

/// The states of the repositories, each a directory below the fixture's root.
pub const CURRENT: &str = "current";
pub const OLDER: &str = "older";
pub const UNSIGNED: &str = "unsigned";
pub const OTHER_KEY: &str = "other-key";
pub const ALTERED: &str = "altered";
pub const FILELISTS: &str = "filelists";

/// The directory of one architecture's repository below the address of a mirror.
pub fn path(architecture: &str) -> String {
    format!("development/rawhide/Everything/{architecture}/os")
}

/// The same in a tree on the disk.
pub fn repository(tree: &Path, architecture: &str) -> PathBuf {
    tree.join(path(architecture))
}

/// Makes every state of the repositories out of the packages in `built`.
pub fn make(root: &Path, built: &Path, other_home: &Path) -> Result<(), Failure> {
    let packages = files_below(built)?;
    let is_victim = |file: &Path| name_of(file).starts_with(&format!("{VICTIM}-"));
    let others: Vec<PathBuf> = packages.iter().filter(|file| !is_victim(file)).cloned().collect();
    let changed = |directory: &str| -> Result<Vec<PathBuf>, Failure> {
        let directory = root.join("changed").join(directory);
        fs_err::create_dir_all(&directory)?;
        packages
            .iter()
            .filter(|file| is_victim(file))
            .map(|file| {
                let copy = directory.join(name_of(file));
                fs_err::copy(file, &copy)?;
                Ok(copy)
            })
            .collect()
    };
    let unsigned = changed(UNSIGNED)?;
    run(Command::new("rpmsign").arg("--delsign").args(&unsigned))?;
    let wrongly_signed = changed(OTHER_KEY)?;
    sign(other_home, "stranger@example.org", &wrongly_signed)?;
    let altered = changed(ALTERED)?;
    altered.iter().try_for_each(|file| flip_last_byte(file))?;

    for architecture in ["x86_64", "aarch64"] {
        lay_out(&root.join(CURRENT), architecture, &packages, TIMESTAMP)?;
        lay_out(&root.join(OLDER), architecture, &others, OLDER_TIMESTAMP)?;
        for (state, replaced) in [(UNSIGNED, &unsigned), (OTHER_KEY, &wrongly_signed), (ALTERED, &altered)] {
            lay_out(&root.join(state), architecture, &[others.as_slice(), replaced].concat(), TIMESTAMP)?;
        }
        lay_out(&root.join(FILELISTS), architecture, &packages, TIMESTAMP)?;
        contradict(&repository(&root.join(FILELISTS), architecture))?;
    }
    // One repository in the compression that Fedora changed to, the other in createrepo's own.
    compress_with_zstd(&repository(&root.join(CURRENT), "aarch64"))
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Lays out and indexes one repository.
fn lay_out(tree: &Path, architecture: &str, packages: &[PathBuf], timestamp: u64) -> Result<(), Failure> {
    let repository = repository(tree, architecture);
    for file in packages {
        let name = name_of(file);
        let fits = match name.trim_end_matches(".rpm").rsplit('.').next().unwrap_or_default() {
            "noarch" => true,
            "i686" => architecture == "x86_64",
            other => other == architecture,
        };
        if fits {
            let letter = name.chars().next().unwrap_or('x').to_ascii_lowercase();
            link_file(file, &repository.join(format!("Packages/{letter}/{name}")))?;
        }
    }
    let revision = timestamp.to_string();
    run(Command::new("createrepo_c")
        .args(["--quiet", "--no-database", "--simple-md-filenames", "--workers", "2"])
        .args(["--revision", &revision, "--set-timestamp-to-revision"])
        .arg(&repository))?;
    // They are about the victim, which the older state does not have.
    if let Some(version) = packages.iter().find_map(|file| version_of_victim(&name_of(file))) {
        let advisories = tree.join(format!("updateinfo-{architecture}.xml"));
        fs_err::write(
            &advisories,
            UPDATEINFO.replace("{arch}", architecture).replace("{version}", &version),
        )?;
        add(&repository, "updateinfo", &advisories, "xz")?;
    }
    set_timestamps(&repository, &revision)
}

/// `1.22.1` out of `nginx-core-1.22.1-4.fc44.x86_64.rpm`.
fn version_of_victim(name: &str) -> Option<String> {
    let rest = name.strip_prefix(VICTIM)?.strip_prefix('-')?;
    rest.split('-').next().map(str::to_owned)
}

/// Adds a file to a repository, in place of one of that type.
fn add(repository: &Path, kind: &str, file: &Path, compression: &str) -> Result<(), Failure> {
    run(Command::new("modifyrepo_c")
        .args(["--mdtype", kind, "--compress-type", compression, "--simple-md-filenames"])
        .arg(file)
        .arg(repository.join("repodata")))?;
    Ok(())
}

/// modifyrepo_c writes the time of day; two builds must say the same.
fn set_timestamps(repository: &Path, timestamp: &str) -> Result<(), Failure> {
    let path = repository.join("repodata/repomd.xml");
    let mut text = String::new();
    for line in read(&path)?.lines() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("<timestamp>") {
            text.push_str(&format!("{}<timestamp>{timestamp}</timestamp>\n", &line[..indent]));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    Ok(fs_err::write(path, text)?)
}

fn flip_last_byte(file: &Path) -> Result<(), Failure> {
    let mut bytes = fs_err::read(file)?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    Ok(fs_err::write(file, bytes)?)
}

/// Makes filelists speak of another package than primary under one checksum.
fn contradict(repository: &Path) -> Result<(), Failure> {
    let repodata = repository.join("repodata");
    let text = run(Command::new("gzip").args(["-dc"]).arg(repodata.join("filelists.xml.gz")))?;
    let changed = text.replace(&format!("name=\"{VICTIM}\""), "name=\"nobody\"");
    if changed == text {
        return Err(Failure::Failed(format!("filelists do not name {VICTIM}")));
    }
    let file = repository.join("filelists.xml");
    fs_err::write(&file, changed)?;
    fs_err::remove_file(repodata.join("filelists.xml.gz"))?;
    add(repository, "filelists", &file, "gz")?;
    fs_err::remove_file(file)?;
    set_timestamps(repository, &TIMESTAMP.to_string())
}

/// createrepo_c of Debian 12 does not write zstd by itself.
fn compress_with_zstd(repository: &Path) -> Result<(), Failure> {
    use sha2::{Digest as _, Sha256};
    let repodata = repository.join("repodata");
    let repomd = repodata.join("repomd.xml");
    let mut text = read(&repomd)?;
    for name in ["primary.xml", "filelists.xml", "other.xml"] {
        let old = repodata.join(format!("{name}.gz"));
        let new = repodata.join(format!("{name}.zst"));
        let old_bytes = fs_err::read(&old)?;
        let script = "gzip -dc \"$1\" | zstd -q -3 -o \"$2\"";
        run(Command::new("sh").args(["-c", script, "sh"]).arg(&old).arg(&new))?;
        let new_bytes = fs_err::read(&new)?;
        let digest =
            |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        text = text
            .replace(&digest(&old_bytes), &digest(&new_bytes))
            .replace(
                &format!("<size>{}</size>", old_bytes.len()),
                &format!("<size>{}</size>", new_bytes.len()),
            )
            .replace(&format!("{name}.gz"), &format!("{name}.zst"));
        fs_err::remove_file(old)?;
    }
    Ok(fs_err::write(repomd, text)?)
}

/// Advisories as Fedora writes them.
const UPDATEINFO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<updates>
  <update from="updates@example.org" status="stable" type="security" version="2.0">
    <id>FEDORA-2026-0123456789</id>
    <title>nginx-{version}-4.fc44</title>
    <issued date="2026-06-01 01:02:03"/>
    <rights>Copyright (C) Fixture</rights>
    <release>Fedora 44</release>
    <severity>Important</severity>
    <summary>nginx security update</summary>
    <description>Mends a fault &amp; another.</description>
    <references>
      <reference href="https://example.org/show_bug.cgi?id=1" id="1" type="bugzilla" title="CVE-2026-0001 nginx: a fault"/>
      <reference href="https://example.org/CVE-2026-0001" id="CVE-2026-0001" type="cve" title="CVE-2026-0001"/>
    </references>
    <pkglist>
      <collection short="F44"><name>Fedora 44</name>
        <package name="nginx-core" version="{version}" release="4.fc44" epoch="2" arch="{arch}" src="nginx-{version}-4.fc44.src.rpm"><filename>nginx-core-{version}-4.fc44.{arch}.rpm</filename></package>
      </collection>
    </pkglist>
  </update>
  <update from="updates@example.org" status="stable" type="bugfix" version="2.0">
    <id>FEDORA-2026-9876543210</id>
    <title>tzdata-2026b-1.fc44</title>
    <issued date="2026-05-01 01:02:03"/>
    <severity>None</severity>
    <description/>
    <references/>
    <pkglist>
      <collection short="F44"><name>Fedora 44</name>
        <package name="tzdata" version="2026b" release="1.fc44" epoch="0" arch="noarch" src="tzdata-2026b-1.fc44.src.rpm"><filename>tzdata-2026b-1.fc44.noarch.rpm</filename></package>
      </collection>
    </pkglist>
  </update>
</updates>
"#;
