//! `/etc/ld.so.cache`: where each library lies, byte for byte as `ldconfig` writes it, and the links by which
//! libraries are found under their `DT_SONAME`.
//!
//! Only for trees with glibc's loader; other C libraries have no cache. An image without the cache would still run, but
//! only with libraries in the loader's built-in directories.

mod directories;

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_formats::elf::{ElfFacts, ElfKind};
use calypte_formats::ld_cache::{self, CacheEntry};

pub(crate) use self::directories::{library_directories, library_name};
use super::FinishError;
use super::site::{Access, Site};
use crate::check::facts::Facts;
use crate::context::FinishContext;
use crate::package::UnpackedPackage;
use crate::tree::{FileTree, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "ld-so-cache";

const CACHE: &str = "etc/ld.so.cache";
/// glibc's loader on amd64 and arm64, where every distribution has it.
const LOADERS: [&str; 2] = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"];
/// Below each library directory, one directory for each level of the processor (`x86-64-v3`).
const HWCAPS: &str = "glibc-hwcaps";

/// A library as it lies in its directory: the name under which it lies, whether that is a link, its headers.
#[derive(Debug)]
struct Library<'a> {
    name: String,
    is_link: bool,
    elf: &'a ElfFacts,
}

/// Writes the cache, if the tree has glibc.
///
/// # Errors
/// When there are more libraries than a cache can hold.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let (architecture, packages) = (context.architecture, context.packages);
    let directories = library_directories(tree, context.contents, architecture);
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let mut glibc = false;
    for loader in LOADERS {
        glibc |= site.leads_somewhere(&site.path(loader)?)?;
    }
    if !glibc {
        return Ok(());
    }
    let facts = Facts::new(packages);
    let (machine, flags) = (architecture.elf_machine(), ld_cache::flags(architecture));
    let mut entries = Vec::new();
    for directory in &directories {
        for (soname, library) in libraries(&site, &facts, directory, machine)? {
            link_soname(&mut site, directory, &soname, &library)?;
            let path = format!("{directory}/{soname}");
            entries.push(CacheEntry { soname, path, flags, hwcaps: None });
        }
        for subdirectory in subdirectories(&site, &site.path(&format!("{directory}/{HWCAPS}"))?)? {
            for (soname, library) in libraries(&site, &facts, &subdirectory, machine)? {
                let path = format!("{subdirectory}/{}", library.name);
                let hwcaps = Some(subdirectory.file_name().to_owned());
                entries.push(CacheEntry { soname, path, flags, hwcaps });
            }
        }
    }
    site.make_for(None);
    let path = site.path(CACHE)?;
    let bytes = ld_cache::write(&entries, &generator(packages))
        .map_err(|error| FinishError::BadFile { path: path.clone(), problem: error.to_string() })?;
    site.write(&path, bytes, Access::root(0o644))
}

/// The libraries of a directory by the name that programs need them under, as `ldconfig` chooses them: of several
/// files for one name a regular file before a link, then the last by name.
fn libraries<'a>(
    site: &Site<'_>,
    facts: &Facts<'a>,
    directory: &TreePath,
    machine: u16,
) -> Result<BTreeMap<String, Library<'a>>, FinishError> {
    let mut found: BTreeMap<String, Library<'a>> = BTreeMap::new();
    let Some(real) = site.tree.resolve(directory)? else { return Ok(found) };
    let inside = site.tree.below(&real).filter(|(path, _)| path.parent().as_ref() == Some(&real));
    for (path, node) in inside.filter(|(path, _)| is_library_name(path.file_name())) {
        let Some(file) = site.tree.resolve(path)? else { continue };
        let Some(elf) = site.tree.get(&file).and_then(|node| facts.elf_behind(site.tree, node)) else {
            continue;
        };
        if elf.machine != machine || elf.kind != ElfKind::SharedObject || !elf.dynamic {
            continue;
        }
        let name = path.file_name().to_owned();
        let mut soname = elf.soname.clone().unwrap_or_else(|| name.clone());
        let is_link = matches!(node.kind, NodeKind::Symlink(_)) && is_plain_link(&name, &soname);
        if is_link {
            soname.clone_from(&name);
        }
        let better = found
            .get(&soname)
            .is_none_or(|other| !is_link && other.is_link || is_link == other.is_link && other.name < name);
        if better {
            found.insert(soname, Library { name, is_link, elf });
        }
    }
    Ok(found)
}

/// `lib*.so*` and `ld-*.so*`; not what dpkg or prelink leave behind.
fn is_library_name(name: &str) -> bool {
    (name.starts_with("lib") || name.starts_with("ld-")) && name.contains(".so")
}

/// Whether a link bears the library's own name, or the one that the linker looks for (`libz.so`). Such a link counts
/// under its name; any other one counts as if it were the file.
fn is_plain_link(name: &str, soname: &str) -> bool {
    name == soname || name.ends_with(".so") && soname.starts_with(name)
}

/// Makes the link from the soname to the file, where nothing has that name.
fn link_soname(
    site: &mut Site<'_>,
    directory: &TreePath,
    soname: &str,
    library: &Library<'_>,
) -> Result<(), FinishError> {
    if library.is_link || soname == library.name || soname.contains('/') || library.elf.soname.is_none() {
        return Ok(());
    }
    let path = site.path(&format!("{directory}/{soname}"))?;
    if site.exists(&path)? {
        return Ok(());
    }
    site.make_for(site.package_of(&site.path(&format!("{directory}/{}", library.name))?));
    site.link(&path, &library.name)
}

fn subdirectories(site: &Site<'_>, directory: &TreePath) -> Result<BTreeSet<TreePath>, FinishError> {
    let Some(real) = site.tree.resolve(directory)? else { return Ok(BTreeSet::new()) };
    let inside = site
        .tree
        .below(&real)
        .filter(|(path, node)| node.is_directory() && path.parent().as_ref() == Some(&real));
    let named = inside.map(|(path, _)| site.path(&format!("{directory}/{}", path.file_name())));
    named.collect()
}

/// The line by which `ldconfig` of the image's own glibc would sign.
fn generator(packages: &[UnpackedPackage]) -> String {
    let version = |names: &[&str]| {
        let find = |name: &&str| packages.iter().find(|package| package.name == **name);
        names.iter().find_map(find).map(|package| package.version.as_str())
    };
    let upstream = |version: &str| version.split('-').next().unwrap_or_default().to_owned();
    if let Some(version) = version(&["glibc"]) {
        let number = upstream(version);
        // A snapshot of what will become the next release.
        let release = if number.ends_with(".9000") { "development" } else { "stable" };
        return format!("ldconfig (GNU libc) {release} release version {number}");
    }
    let version = version(&["libc-bin", "libc6"]).unwrap_or_default();
    format!("ldconfig (Debian GLIBC {version}) stable release version {}", upstream(version))
}

#[cfg(test)]
mod tests;
