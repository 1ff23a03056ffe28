//! `/usr/lib/udev/hwdb.bin`: what udev knows of devices by their identifiers, out of `hwdb.d`, as `systemd-hwdb --usr
//! update` writes it. Hosts only: no udev runs in a container.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_formats::hwdb::Hwdb;

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "hwdb";

/// A file here is read in place of the one of that name in a directory before it.
const DIRECTORIES: [&str; 2] = ["usr/lib/udev/hwdb.d", "etc/udev/hwdb.d"];

const DATABASE: &str = "usr/lib/udev/hwdb.bin";

/// Writes the database, if the tree has anything for it.
///
/// # Errors
/// When a file cannot be read.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    if context.definition.host.is_none() {
        return Ok(());
    }
    let version = version(context);
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let mut files: BTreeMap<String, TreePath> = BTreeMap::new();
    for directory in DIRECTORIES {
        for path in site.list(&site.path(directory)?, ".hwdb")? {
            files.insert(path.file_name().to_owned(), path);
        }
    }
    if files.is_empty() {
        return Ok(());
    }
    let mut database = Hwdb::new();
    for path in files.values() {
        database.add(&path.to_string(), &site.read_text(path)?.unwrap_or_default());
    }
    site.make_for(site.sole_package(files.values()));
    site.write(&site.path(DATABASE)?, database.to_bytes(version), Access::root(0o444))
}

/// The version of systemd's tools, which stands in the file.
fn version(context: &FinishContext<'_>) -> u64 {
    let package =
        context.packages.iter().find(|package| package.name == "udev" || package.name == "systemd-udev");
    let version = package.map_or("", |package| package.version.as_str());
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    upstream.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use calypte_definition::Host;

    use super::*;
    use crate::finishers::tests::{Bench, package, tool, write_out};

    fn bench() -> Bench {
        let one = "# comment\nusb:v1D6B*\nusb:v1D6Bp0001*\n ID_VENDOR=Linux   \n  ID_MODEL=hub # behind\n\npci:v0000*\n X=\n";
        let two = "usb:v1D6B*\n ID_VENDOR=Other\n ID_AUTO=1\n\nusb:v1D6Bp0001*\n  ID_MODEL=model hub\n\nmouse:a\n A=b=c\n";
        let mut bench = Bench::new()
            .file("usr/lib/udev/hwdb.d/20-one.hwdb", one)
            .file("usr/lib/udev/hwdb.d/60-two.hwdb", "overridden:*\n A=1\n")
            .file("etc/udev/hwdb.d/60-two.hwdb", two);
        bench.packages.push(package("udev", &[]));
        bench.definition.host = Some(Host::default());
        bench
    }

    fn bytes(bench: &Bench) -> Vec<u8> {
        let content = bench.tree.file(&TreePath::new(DATABASE).unwrap()).unwrap();
        bench.contents.read(&content.digest).unwrap()
    }

    /// Where the system's tool looks in another place for its files, names of files differ in length; all else is equal.
    #[test]
    fn the_database_is_that_of_systemd() {
        let mut bench = bench();
        let directory = tempfile::tempdir().unwrap();
        write_out(&bench, directory.path());
        fs_err::os::unix::fs::symlink("usr/lib", directory.path().join("lib")).unwrap();
        bench.run(apply).unwrap();
        let root = format!("--root={}", directory.path().display());
        if tool(Command::new("systemd-hwdb").arg(root).args(["--usr", "update"])).is_none() {
            return;
        }
        let theirs = fs_err::read(directory.path().join(DATABASE)).unwrap();
        let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let strings = |bytes: &[u8]| {
            let pool = &bytes[80 + usize::try_from(number(bytes, 64)).unwrap()..];
            let text = String::from_utf8_lossy(pool).replace(&directory.path().display().to_string(), "");
            text.replace("/usr/lib/udev", "/lib/udev")
        };
        let ours = bytes(&bench);
        assert_eq!(strings(&ours), strings(&theirs));
        for field in [32, 40, 48, 56, 64] {
            assert_eq!(number(&ours, field), number(&theirs, field), "{field}");
        }
    }
}
