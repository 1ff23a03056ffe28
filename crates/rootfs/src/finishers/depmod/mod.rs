//! The indexes of a kernel's modules, as `depmod` writes them: which module needs which others, and by which name of a
//! device, file system or symbol the kernel asks for it. Hosts only: no container loads modules.
//!
//! Kernel and udev read the binary ones; the texts are for people and for tools such as dracut. `modules.symbols` is sorted
//! here and comes in the order of a hash there; all else has the same bytes.

mod graph;

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_formats::kernel_module::{self, ModuleFacts, module_name, normal_alias};
use calypte_formats::kmod_index::{Index, IndexError};

use self::graph::Graph;
use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::{Content, FileTree, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "depmod";

/// Below it each kernel has a directory of its own.
pub(super) const DIRECTORY: &str = "usr/lib/modules";

/// A module with what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its path below the kernel's directory.
    pub(crate) path: String,
    /// Its name.
    pub(crate) name: String,
    /// What its file says.
    pub(crate) facts: ModuleFacts,
}

/// Writes the indexes of each kernel in the tree of a host.
///
/// # Errors
/// When a module cannot be read, or modules need each other in a circle.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    if context.definition.host.is_none() {
        return Ok(());
    }
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    kernels(site.tree).iter().try_for_each(|kernel| of_kernel(&mut site, kernel))
}

/// The directories of the kernels in a tree.
pub(super) fn kernels(tree: &FileTree) -> Vec<TreePath> {
    let Ok(directory) = TreePath::new(DIRECTORY) else { return Vec::new() };
    let inside = tree
        .below(&directory)
        .filter(|(path, node)| node.is_directory() && path.parent().as_ref() == Some(&directory));
    inside.map(|(path, _)| path.clone()).collect()
}

fn of_kernel(site: &mut Site<'_>, kernel: &TreePath) -> Result<(), FinishError> {
    let modules = modules(site, kernel)?;
    if modules.is_empty() {
        return Ok(());
    }
    let lists = [text(site, kernel, "modules.order")?, text(site, kernel, "modules.builtin")?];
    let graph = Graph::new(in_order(modules, &lists[0]))
        .map_err(|problem| FinishError::BadFile { path: kernel.clone(), problem })?;
    let bad = |error: IndexError| FinishError::BadFile { path: kernel.clone(), problem: error.to_string() };
    let mut files = texts(&graph);
    files.extend(indexes(&graph).map_err(bad)?);
    if !lists[1].is_empty() {
        files.insert("modules.builtin.bin", builtin(&lists[1]).map_err(bad)?);
    }
    let information = site.read(&site.path(&format!("{kernel}/modules.builtin.modinfo"))?)?;
    if let Some(information) = information {
        files.insert("modules.builtin.alias.bin", builtin_aliases(&information).map_err(bad)?);
    }
    let paths: Vec<TreePath> = graph
        .modules()
        .map(|module| site.path(&format!("{kernel}/{}", module.path)))
        .collect::<Result<_, _>>()?;
    site.make_for(site.sole_package(&paths));
    for (name, bytes) in files {
        site.write(&site.path(&format!("{kernel}/{name}"))?, bytes, Access::root(0o644))?;
    }
    Ok(())
}

fn text(site: &Site<'_>, kernel: &TreePath, name: &str) -> Result<String, FinishError> {
    Ok(site.read_text(&site.path(&format!("{kernel}/{name}"))?)?.unwrap_or_default())
}

/// The modules of a kernel by their paths.
pub(crate) fn modules(site: &Site<'_>, kernel: &TreePath) -> Result<Vec<Module>, FinishError> {
    let files: Vec<(TreePath, Content)> = site
        .tree
        .below(kernel)
        .filter(|(path, _)| path.file_name().ends_with(".ko"))
        .filter_map(|(path, node)| match node.kind {
            NodeKind::File(content) => Some((path.clone(), content)),
            _ => None,
        })
        .collect();
    let below = kernel.as_str().len() + 1;
    let mut modules = Vec::with_capacity(files.len());
    for (path, _) in files {
        let bytes = site.read(&path)?.unwrap_or_default();
        let facts = kernel_module::facts(&bytes).ok_or_else(|| FinishError::BadFile {
            path: path.clone(),
            problem: "it is no kernel module".to_owned(),
        })?;
        let name = module_name(path.file_name());
        modules.push(Module { path: path.as_str()[below..].to_owned(), name, facts });
    }
    Ok(modules)
}

/// The modules in the order of the kernel's build, by which aliases are tried; those that it does not name come last.
fn in_order(mut modules: Vec<Module>, order: &str) -> Vec<Module> {
    let places: BTreeMap<&str, usize> = order.lines().zip(0..).collect();
    // The list names files as they were built, which may have been compressed since.
    modules.sort_by_key(|module| places.get(module.path.as_str()).copied().unwrap_or(usize::MAX));
    modules
}

/// The files for people, by name.
fn texts(graph: &Graph) -> BTreeMap<&'static str, Vec<u8>> {
    let mut dependencies = String::new();
    let mut aliases = "# Aliases extracted from modules themselves.\n".to_owned();
    let mut soft = "# Soft dependencies extracted from modules themselves.\n".to_owned();
    let mut weak = "# Weak dependencies extracted from modules themselves.\n".to_owned();
    let mut nodes = String::new();
    for (number, module) in graph.modules().enumerate() {
        let Module { name, facts, .. } = module;
        dependencies.push_str(&format!("{}\n", graph.line(number)));
        for alias in facts.values("alias") {
            aliases.push_str(&format!("alias {alias} {name}\n"));
        }
        for dependency in facts.values("softdep") {
            soft.push_str(&format!("softdep {name} {dependency}\n"));
        }
        for dependency in facts.values("weakdep") {
            weak.push_str(&format!("weakdep {name} {dependency}\n"));
        }
        if let Some(node) = device_node(facts) {
            nodes.push_str(&format!("{name} {node}\n"));
        }
    }
    if !nodes.is_empty() {
        nodes.insert_str(0, "# Device nodes to trigger on-demand module loading.\n");
    }
    let mut symbols = "# Aliases for symbols, used by symbol_request().\n".to_owned();
    for (symbol, number) in graph.exported() {
        symbols.push_str(&format!("alias symbol:{symbol} {}\n", graph.module(number).name));
    }
    [
        ("modules.dep", dependencies),
        ("modules.alias", aliases),
        ("modules.softdep", soft),
        ("modules.weakdep", weak),
        ("modules.symbols", symbols),
        ("modules.devname", nodes),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into()
}

/// A device node by which a module is loaded, and its numbers, if its aliases tell both.
fn device_node(facts: &ModuleFacts) -> Option<String> {
    let (mut name, mut numbers) = (None, None);
    for alias in facts.values("alias") {
        if let Some(node) = alias.strip_prefix("devname:") {
            name = Some(node);
        } else if let Some(found) = device_numbers(alias) {
            numbers = Some(found);
        }
        if let (Some(name), Some(numbers)) = (name, &numbers) {
            return Some(format!("{name} {numbers}"));
        }
    }
    None
}

/// `char-major-10-234` gives `c10:234`.
fn device_numbers(alias: &str) -> Option<String> {
    let (letter, rest) = [("c", "char-major-"), ("b", "block-major-")]
        .into_iter()
        .find_map(|(letter, prefix)| Some((letter, alias.strip_prefix(prefix)?)))?;
    let (major, minor) = rest.split_once('-')?;
    Some(format!("{letter}{}:{}", major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?))
}

/// The indexes of the modules, by name.
fn indexes(graph: &Graph) -> Result<BTreeMap<&'static str, Vec<u8>>, IndexError> {
    let (mut dependencies, mut aliases, mut symbols) = (Index::new(), Index::new(), Index::new());
    for (module, number) in graph.modules().zip(0..) {
        dependencies.insert(&module.name, &graph.line(number as usize), number)?;
        for alias in module.facts.values("alias").filter_map(normal_alias) {
            aliases.insert(&alias, &module.name, number)?;
        }
    }
    for (symbol, number) in graph.exported() {
        let priority = u32::try_from(number).unwrap_or(u32::MAX);
        symbols.insert(&format!("symbol:{symbol}"), &graph.module(number).name, priority)?;
    }
    Ok([
        ("modules.dep.bin", dependencies.to_bytes()?),
        ("modules.alias.bin", aliases.to_bytes()?),
        ("modules.symbols.bin", symbols.to_bytes()?),
    ]
    .into())
}

/// The names of what is built into the kernel.
fn builtin(list: &str) -> Result<Vec<u8>, IndexError> {
    let mut index = Index::new();
    for line in list.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic())) {
        index.insert(&module_name(line.rsplit('/').next().unwrap_or_default()), "", 0)?;
    }
    index.to_bytes()
}

/// The aliases of what is built into the kernel: `NAME.alias=VALUE`.
fn builtin_aliases(information: &[u8]) -> Result<Vec<u8>, IndexError> {
    let mut index = Index::new();
    for (key, value) in kernel_module::info(information) {
        let Some(name) = key.strip_suffix(".alias") else { continue };
        if let Some(alias) = normal_alias(&value) {
            index.insert(&alias, name, 0)?;
        }
    }
    index.to_bytes()
}

#[cfg(test)]
mod tests;
