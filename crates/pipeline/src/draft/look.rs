//! What a package's files tell of the image that could be made of it. Only files are looked at; nothing is run.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::deb822;
use calypte_formats::systemd_service::Service;
use calypte_rootfs::{NodeKind, UnpackedEntry, UnpackedPackage};
use calypte_sbom::evidence::PackageEvidence;
use calypte_sbom::licences;

use super::ports;

/// The largest text that is looked into.
const TEXT_LIMIT: u64 = 1024 * 1024;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The programs, by path.
    pub programs: BTreeSet<String>,
    /// The services, by the name of their units.
    pub services: BTreeMap<String, Service>,
    /// The files below /etc that are configuration.
    pub configuration: BTreeSet<String>,
    /// The directories below /var/lib.
    pub state: BTreeSet<String>,
    /// The ports that its sockets and its configuration name, with the line that does.
    pub ports: BTreeMap<u16, String>,
    /// The home page of the software.
    pub url: Option<String>,
    /// The licence of most of its files, as an SPDX expression.
    pub licences: Option<String>,
    /// What it is, in one line.
    pub summary: String,
    /// The section or group of the distribution that it is in.
    pub section: String,
}

impl Found {
    /// Takes in a package. `read` gives a file's bytes.
    pub fn take(&mut self, package: &UnpackedPackage, read: &dyn Fn(&UnpackedEntry) -> Option<Vec<u8>>) {
        let conffiles: BTreeSet<&TreePath> = package.conffiles.iter().collect();
        for entry in &package.entries {
            let path = entry.path.to_string();
            let text = || {
                let small = matches!(&entry.node.kind, NodeKind::File(content) if content.size <= TEXT_LIMIT);
                String::from_utf8(read(entry).filter(|_| small)?).ok()
            };
            let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            match parts.as_slice() {
                ["usr", "bin" | "sbin" | "games", _] if !matches!(entry.node.kind, NodeKind::Directory) => {
                    self.programs.insert(path);
                }
                ["usr", "lib", "systemd", "system", unit] if unit.ends_with(".service") => {
                    let service = text().map(|text| Service::read(unit, &text));
                    self.services.extend(service.map(|service| ((*unit).to_owned(), service)));
                }
                ["usr", "lib", "systemd", "system", unit] if unit.ends_with(".socket") => {
                    self.ports.extend(text().map(|text| sockets(&text)).unwrap_or_default());
                }
                ["etc", "init.d" | "default" | "logrotate.d" | "cron.d" | "pam.d" | "apparmor.d", ..] => {}
                ["etc", ..] if conffiles.contains(&entry.path) => {
                    self.ports.extend(text().map(|text| ports::of(&text)).unwrap_or_default());
                    self.configuration.insert(path);
                }
                ["var", "lib", _] if matches!(entry.node.kind, NodeKind::Directory) => {
                    self.state.insert(path);
                }
                _ => {}
            }
        }
    }

    /// Takes in what a package says of itself. `copyright` is its copyright file, where it is a Debian package.
    pub fn describe(&mut self, package: &UnpackedPackage, says: &PackageEvidence, copyright: Option<&[u8]>) {
        self.url.clone_from(&says.homepage);
        self.summary = says.summary.clone().unwrap_or_default();
        self.licences = match package.deb() {
            Some(deb) => {
                let section = deb.field("Section").unwrap_or_default();
                section.rsplit('/').next().unwrap_or_default().clone_into(&mut self.section);
                copyright.and_then(main_licence)
            }
            None => says.licences.declared.clone().filter(|text| is_known(text)),
        };
    }
}

/// The licence of `Files: *` in a machine-readable copyright file; none where SPDX has no name for it.
fn main_licence(copyright: &[u8]) -> Option<String> {
    let paragraphs: Vec<_> = deb822::paragraphs(copyright).collect::<Result<_, _>>().ok()?;
    let all = paragraphs
        .iter()
        .find(|paragraph| paragraph.get("Files").is_some_and(|files| files.trim() == "*"))?;
    let synopsis = all.get("License")?.lines().next()?.trim().to_owned();
    let alone = format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
         Files: *\nCopyright: nobody\nLicense: {synopsis}\n"
    );
    licences::debian("", alone.as_bytes()).licences.declared.filter(|text| is_known(text))
}

fn is_known(expression: &str) -> bool {
    !expression.contains("LicenseRef-") && expression != "NOASSERTION" && !expression.is_empty()
}

/// The TCP and UDP ports on which a socket unit listens.
fn sockets(text: &str) -> BTreeMap<u16, String> {
    let mut ports = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        let Some((key, value)) = line.split_once('=') else { continue };
        if ["ListenStream", "ListenDatagram"].contains(&key.trim()) {
            let port = value.trim().rsplit(':').next().and_then(|port| port.parse().ok());
            ports.extend(port.map(|port: u16| (port, line.to_owned())));
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_licence_is_that_of_most_files() {
        let copyright = |files: &str, licence: &str| {
            format!(
                "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: debian/*\nCopyright: a\n\
                     License: GPL-2+\n\nFiles: {files}\nCopyright: b\nLicense: {licence}\n text\n"
            )
        };
        let of = |files: &str, licence: &str| main_licence(copyright(files, licence).as_bytes());
        assert_eq!(of("*", "Expat").as_deref(), Some("MIT"));
        assert_eq!(of("*", "GPL-2+ or Apache-2.0").as_deref(), Some("GPL-2.0-or-later OR Apache-2.0"));
        assert_eq!(of("*", "something-of-ours"), None);
        assert_eq!(of("src/*", "Expat"), None);
        assert_eq!(main_licence(b"This is free software."), None);
    }

    #[test]
    fn sockets_are_ports_where_they_are_numbers() {
        let unit =
            "[Socket]\nListenStream=/run/x.sock\nListenStream=0.0.0.0:631\nListenDatagram=53\nAccept=no\n";
        assert_eq!(sockets(unit).into_keys().collect::<Vec<_>>(), [53, 631]);
    }
}
