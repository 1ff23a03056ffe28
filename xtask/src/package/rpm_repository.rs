//! Repositories of RPM packages, one an architecture: the packages, and `repodata/` with `repomd.xml` and the two lists that
//! it names.

use std::path::Path;

use anyhow::Result;
use calypte_base::Digest;

use super::{HOMEPAGE, LICENCE, MAINTAINER, Made, RELEASE};
use crate::cross::Target;

const LEVEL: i32 = 19;

pub fn write(directory: &Path, packages: &[Made], targets: &[Target], time: i64) -> Result<()> {
    for target in targets {
        let directory = directory.join(target.machine);
        let data = directory.join("repodata");
        fs_err::create_dir_all(&data)?;
        let packages: Vec<&Made> = packages.iter().filter(|made| made.target == *target).collect();
        for made in &packages {
            fs_err::write(directory.join(&made.file), &made.bytes)?;
        }
        let mut entries = String::new();
        for (kind, text) in [("primary", primary(&packages)?), ("filelists", file_lists(&packages))] {
            let packed = zstd::bulk::compress(text.as_bytes(), LEVEL)?;
            let (open, closed) = (Digest::of(text.as_bytes()).hex(), Digest::of(&packed).hex());
            let file = format!("{closed}-{kind}.xml.zst");
            fs_err::write(data.join(&file), &packed)?;
            entries.push_str(&format!(
                "  <data type=\"{kind}\">\n    <checksum type=\"sha256\">{closed}</checksum>\n    <open-checksum \
                 type=\"sha256\">{open}</open-checksum>\n    <location href=\"repodata/{file}\"/>\n    \
                 <timestamp>{time}</timestamp>\n    <size>{}</size>\n    <open-size>{}</open-size>\n  </data>\n",
                packed.len(),
                text.len()
            ));
        }
        let repomd = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n  \
             <revision>{time}</revision>\n{entries}</repomd>\n"
        );
        fs_err::write(data.join("repomd.xml"), repomd)?;
    }
    Ok(())
}

/// What each package is and provides.
fn primary(packages: &[&Made]) -> Result<String> {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{}\">\n",
        packages.len()
    );
    for made in packages {
        let (package, machine) = (&made.package, made.target.machine);
        let parsed = rpm::Package::parse(&mut made.bytes.as_slice())?;
        let offsets = parsed.metadata.get_package_segment_offsets();
        let archive = parsed.metadata.get_installed_size().unwrap_or_default();
        let (name, version) = (package.name, &package.version);
        text.push_str(&format!(
            "<package type=\"rpm\">\n  <name>{name}</name>\n  <arch>{machine}</arch>\n  {}\n  \
             <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum>\n  <summary>{}</summary>\n  \
             <description>{}</description>\n  <packager>{}</packager>\n  <url>{HOMEPAGE}</url>\n  \
             <time file=\"{time}\" build=\"{time}\"/>\n  <size package=\"{}\" installed=\"{}\" archive=\"{archive}\"/>\n  \
             <location href=\"{}\"/>\n  <format>\n    <rpm:license>{LICENCE}</rpm:license>\n    \
             <rpm:vendor>Calypte</rpm:vendor>\n    <rpm:group>Unspecified</rpm:group>\n    \
             <rpm:buildhost>calypte</rpm:buildhost>\n    <rpm:sourcerpm>{name}-{version}-{RELEASE}.src.rpm</rpm:sourcerpm>\n    \
             <rpm:header-range start=\"{}\" end=\"{}\"/>\n{}{}{}  </format>\n\
             </package>\n",
            edition(version),
            Digest::of(&made.bytes).hex(),
            escape(package.summary),
            escape(package.description),
            escape(MAINTAINER),
            made.bytes.len(),
            package.size(),
            made.file,
            offsets.header,
            offsets.payload,
            relations("provides", &parsed.metadata.get_provides()?),
            relations("requires", &parsed.metadata.get_requires()?),
            // The list of what dnf looks for without the other file: programs.
            package
                .files
                .keys()
                .filter(|path| path.starts_with("etc/") || path.contains("bin/"))
                .map(|path| format!("    <file>/{path}</file>\n"))
                .collect::<String>(),
            time = package.time,
        ));
    }
    text.push_str("</metadata>\n");
    Ok(text)
}

fn edition(version: &str) -> String {
    format!("<version epoch=\"0\" ver=\"{version}\" rel=\"{RELEASE}\"/>")
}

/// What a package provides or requires; what only rpm itself must be able to do is not told, as createrepo has it.
fn relations(kind: &str, dependencies: &[rpm::Dependency]) -> String {
    let mut entries = String::new();
    for dependency in dependencies.iter().filter(|one| !one.name.starts_with("rpmlib(")) {
        let name = escape(&dependency.name);
        let entry = match dependency.version.split_once('-') {
            Some((version, release)) => format!(
                "      <rpm:entry name=\"{name}\" flags=\"EQ\" epoch=\"0\" ver=\"{version}\" rel=\"{release}\"/>\n"
            ),
            None => format!("      <rpm:entry name=\"{name}\"/>\n"),
        };
        entries.push_str(&entry);
    }
    if entries.is_empty() {
        return entries;
    }
    format!("    <rpm:{kind}>\n{entries}    </rpm:{kind}>\n")
}

/// The files of each package.
fn file_lists(packages: &[&Made]) -> String {
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\" \
         packages=\"{}\">\n",
        packages.len()
    );
    for made in packages {
        let files: String =
            made.package.files.keys().map(|path| format!("  <file>/{}</file>\n", escape(path))).collect();
        text.push_str(&format!(
            "<package pkgid=\"{}\" name=\"{}\" arch=\"{}\">\n  {}\n{files}</package>\n",
            Digest::of(&made.bytes).hex(),
            made.package.name,
            made.target.machine,
            edition(&made.package.version)
        ));
    }
    text.push_str("</filelists>\n");
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
