//! A host's initramfs, `/usr/lib/modules/RELEASE/initramfs.img`: Calypte's init, and the kernel modules by which the root is
//! found and mounted, in the order in which they are loaded. Nothing that the root holds is repeated but these.
//!
//! ```text
//! /init                    /usr/lib/calypte/init of the package calypte-init
//! /modules.list            a path below /modules on each line
//! /modules/kernel/…        the modules, uncompressed
//! ```
//!
//! All of it bears the time 0, so that it changes only with what is in it.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::TreePath;
use calypte_disk::{Node, Tree, TreeError, initramfs};
use calypte_formats::kernel_module::module_name;

use super::FinishError;
use super::depmod;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "initramfs";

const INIT: &str = "usr/lib/calypte/init";
const FILE: &str = "initramfs.img";
const MODULES: &str = "modules";

/// Writes the initramfs of each kernel in the tree of a host.
///
/// # Errors
/// When there is no init, a module that the definition names is neither there nor built in, or a file cannot be read.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let Some(host) = &context.definition.host else { return Ok(()) };
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    for kernel in depmod::kernels(site.tree) {
        let loading = Loading::read(&site, &kernel)?;
        let paths = loading.order(&host.modules).map_err(|module| FinishError::BadFile {
            path: kernel.clone(),
            problem: format!("it has no module `{module}`, which the definition wants in the initramfs"),
        })?;
        let archive = archive(&site, &kernel, &paths)?;
        site.write(&site.path(&format!("{kernel}/{FILE}"))?, archive, Access::root(0o644))?;
    }
    Ok(())
}

fn archive(site: &Site<'_>, kernel: &TreePath, paths: &[String]) -> Result<Vec<u8>, FinishError> {
    let init = site.path(INIT)?;
    let program = site.read(&init)?.ok_or_else(|| FinishError::BadFile {
        path: init,
        problem: "it is not there, and a host boots by it; add the package calypte-init".to_owned(),
    })?;
    let mut files = BTreeMap::from([("init".to_owned(), (0o755, program))]);
    let list: String = paths.iter().flat_map(|path| [path, "\n"]).collect();
    files.insert(format!("{MODULES}.list"), (0o644, list.into_bytes()));
    for path in paths {
        let bytes = site.read(&site.path(&format!("{kernel}/{path}"))?)?.unwrap_or_default();
        files.insert(format!("{MODULES}/{path}"), (0o644, bytes));
    }
    let failed = |problem: String| FinishError::BadFile { path: kernel.clone(), problem };
    let placed = |error: TreeError| failed(error.to_string());
    let mut tree = Tree::new();
    let mut directories = BTreeSet::new();
    for (path, (mode, bytes)) in files {
        let path = site.path(&path)?;
        let mut above: Vec<TreePath> = std::iter::successors(path.parent(), TreePath::parent).collect();
        // The outer ones first; the root is there.
        while let Some(directory) = above.pop() {
            if !directory.is_root() && directories.insert(directory.clone()) {
                tree.insert(directory, Node::directory(0o755)).map_err(placed)?;
            }
        }
        tree.insert(path, Node::file(mode, bytes)).map_err(placed)?;
    }
    initramfs::write(&tree, Vec::new()).map_err(|error| failed(error.to_string()))
}

/// Modules by name with all that each needs, in the order in which they are loaded; and what is built in.
struct Loading {
    needed: BTreeMap<String, Vec<String>>,
    /// What is loaded before a module though it does not need it: `softdep NAME pre: …`.
    before: BTreeMap<String, Vec<String>>,
    builtin: BTreeSet<String>,
}

impl Loading {
    /// What the indexes say of a kernel's modules.
    fn read(site: &Site<'_>, kernel: &TreePath) -> Result<Self, FinishError> {
        let text = |name: &str| -> Result<String, FinishError> {
            Ok(site.read_text(&site.path(&format!("{kernel}/{name}"))?)?.unwrap_or_default())
        };
        let (dependencies, soft, builtin) =
            (text("modules.dep")?, text("modules.softdep")?, text("modules.builtin")?);
        Ok(Self::parse(&dependencies, &soft, &builtin))
    }

    fn parse(dependencies: &str, soft: &str, builtin: &str) -> Self {
        let mut needed = BTreeMap::new();
        for line in dependencies.lines() {
            let Some((path, rest)) = line.split_once(':') else { continue };
            // What a module needs stands before what that needs in turn.
            let paths = rest.split_ascii_whitespace().rev().chain([path]).map(str::to_owned).collect();
            needed.insert(module_name(file_name(path)), paths);
        }
        let mut before: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in soft.lines() {
            let mut words = line.split_ascii_whitespace().skip_while(|word| *word != "softdep").skip(1);
            let Some(name) = words.next() else { continue };
            let first = words.skip_while(|word| *word != "pre:").skip(1);
            let first = first.take_while(|word| !word.ends_with(':')).map(module_name);
            before.entry(module_name(name)).or_default().extend(first);
        }
        Self { needed, before, builtin: builtin.lines().map(|line| module_name(file_name(line))).collect() }
    }

    /// The paths of these modules and of all that they need, each once, in the order in which they are loaded.
    ///
    /// # Errors
    /// The first module that the kernel does not have.
    fn order<'m>(&self, modules: impl IntoIterator<Item = &'m String>) -> Result<Vec<String>, &'m str> {
        let mut order = Vec::new();
        for module in modules {
            let Some(paths) = self.needed.get(module) else {
                if self.builtin.contains(module) {
                    continue;
                }
                return Err(module);
            };
            // Names that only an algorithm has, and no module, are asked for by the kernel itself.
            let first = paths.iter().filter_map(|path| self.before.get(&module_name(file_name(path))));
            let first = first.flatten().filter_map(|name| self.needed.get(name)).flatten();
            for path in first.chain(paths) {
                if !order.contains(path) {
                    order.push(path.clone());
                }
            }
        }
        Ok(order)
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use calypte_definition::Host;

    use super::*;
    use crate::finishers::tests::Bench;

    const DEPENDENCIES: &str = "kernel/jbd2.ko:\nkernel/crc.ko:\nkernel/soft.ko: kernel/base.ko\nkernel/base.ko:\n\
                                kernel/ext4.ko: kernel/mbcache.ko kernel/jbd2.ko kernel/crc.ko\nkernel/mbcache.ko:\n";

    #[test]
    fn what_is_needed_is_loaded_first() {
        let loading = Loading::parse(
            DEPENDENCIES,
            "# comment\nsoftdep ext4 pre: soft crypto-x post: y\n",
            "kernel/lib/virtio-blk.ko\n",
        );
        let order = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            loading.order(&names).map_err(str::to_owned).map(|paths| paths.join(" ").replace("kernel/", ""))
        };
        assert_eq!(order(&["ext4"]).unwrap(), "base.ko soft.ko crc.ko jbd2.ko mbcache.ko ext4.ko");
        assert_eq!(order(&["virtio_blk", "crc", "crc"]).unwrap(), "crc.ko");
        assert_eq!(order(&["ext4", "none"]).unwrap_err(), "none");
    }

    fn bench() -> Bench {
        let kernel = "usr/lib/modules/7.2";
        let mut bench = Bench::new()
            .file(&format!("{kernel}/modules.dep"), "kernel/ext4.ko: kernel/jbd2.ko\nkernel/jbd2.ko:\n")
            .file(&format!("{kernel}/kernel/ext4.ko"), "ext4")
            .file(&format!("{kernel}/kernel/jbd2.ko"), "jbd2");
        bench.definition.host = Some(Host { modules: ["ext4".to_owned()].into(), ..Host::default() });
        bench
    }

    #[test]
    fn it_holds_init_and_modules() {
        let mut bench = bench().file_with(INIT, "program", 0o755);
        bench.run(apply).unwrap();
        let content = bench.tree.file(&TreePath::new("usr/lib/modules/7.2/initramfs.img").unwrap()).unwrap();
        let packed = bench.contents.read(&content.digest).unwrap();
        let archive = calypte_formats::compression::decoder(
            calypte_formats::compression::Compression::Zstd,
            packed.as_slice(),
            1 << 20,
        );
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut archive.unwrap(), &mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for part in
            ["init\0", "modules.list\0", "kernel/jbd2.ko\nkernel/ext4.ko\n", "modules/kernel/ext4.ko\0"]
        {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn a_host_without_init_is_refused() {
        let error = bench().run(apply).unwrap_err();
        assert!(error.to_string().contains("add the package calypte-init"), "{error}");
    }
}
