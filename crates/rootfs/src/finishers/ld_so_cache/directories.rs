//! The directories in which the dynamic loader looks for libraries, in its order.

use calypte_base::{Architecture, TreePath};
use calypte_store::Contents;

use crate::tree::{FileTree, Node};

const CONFIGURATION: &str = "etc/ld.so.conf";
/// `include` of files that include further ones: deeper than this is a loop.
const DEPTH: usize = 8;

/// The directories of `ld.so.conf` (ldconfig(8)) and then those that are built into the tree's glibc; each real
/// directory once, by the path under which it was named first.
pub(crate) fn library_directories(
    tree: &FileTree,
    contents: &Contents,
    architecture: Architecture,
) -> Vec<TreePath> {
    let mut named = Vec::new();
    if let Ok(path) = TreePath::new(CONFIGURATION) {
        read(tree, contents, &path, DEPTH, &mut named);
    }
    named.extend(built_in(tree, architecture));
    let mut directories: Vec<(TreePath, TreePath)> = Vec::new();
    for path in named.iter().filter_map(|path| TreePath::new(path).ok()) {
        let Ok(Some(real)) = tree.resolve(&path) else { continue };
        if tree.get(&real).is_some_and(Node::is_directory)
            && !directories.iter().any(|(_, other)| *other == real)
        {
            directories.push((path, real));
        }
    }
    directories.into_iter().map(|(path, _)| path).collect()
}

/// What `$LIB` stands for in the tree: its glibc has the libraries below directories of this name.
pub(crate) fn library_name(tree: &FileTree, architecture: Architecture) -> String {
    let triplet = format!("lib/{}", architecture.deb_triplet());
    let multiarch = TreePath::new(&format!("usr/{triplet}")).is_ok_and(|path| tree.get(&path).is_some());
    if multiarch { triplet } else { "lib64".to_owned() }
}

/// Debian's directories by triplet; elsewhere those for 64 bits, beside which ldconfig itself looks into the others.
fn built_in(tree: &FileTree, architecture: Architecture) -> Vec<String> {
    let name = library_name(tree, architecture);
    match name.strip_prefix("lib/") {
        Some(_) => vec![format!("/{name}"), format!("/usr/{name}"), "/lib".to_owned(), "/usr/lib".to_owned()],
        None => ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].map(str::to_owned).into(),
    }
}

fn read(tree: &FileTree, contents: &Contents, path: &TreePath, depth: usize, named: &mut Vec<String>) {
    let Some(bytes) = tree.file(path).and_then(|content| contents.read(&content.digest).ok()) else { return };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(patterns) = line.strip_prefix("include").filter(|rest| rest.starts_with([' ', '\t'])) else {
            if line.starts_with('/') {
                // `directory=libc6` is an old way to say what kind of libraries are there.
                named.push(line.split('=').next().unwrap_or_default().trim_end().to_owned());
            }
            continue;
        };
        for pattern in patterns.split_whitespace().filter(|_| depth > 0) {
            let pattern =
                if pattern.starts_with('/') { pattern.to_owned() } else { format!("etc/{pattern}") };
            for included in matching(tree, &pattern) {
                read(tree, contents, &included, depth - 1, named);
            }
        }
    }
}

/// The files that match a path whose last component may have `*` in it.
fn matching(tree: &FileTree, pattern: &str) -> Vec<TreePath> {
    let Ok(pattern) = TreePath::new(pattern) else { return Vec::new() };
    let Some(Ok(Some(directory))) = pattern.parent().map(|parent| tree.resolve(&parent)) else {
        return Vec::new();
    };
    let mut parts = pattern.file_name().split('*');
    let (first, rest): (&str, Vec<&str>) = (parts.next().unwrap_or_default(), parts.collect());
    let fits = |name: &str| {
        let Some(mut name) = name.strip_prefix(first) else { return false };
        let Some((last, middle)) = rest.split_last() else { return name.is_empty() };
        for part in middle {
            let Some((_, after)) = name.split_once(part) else { return false };
            name = after;
        }
        name.ends_with(last)
    };
    let inside = tree.below(&directory).map(|(path, _)| path);
    inside
        .filter(|path| path.parent().as_ref() == Some(&directory) && fits(path.file_name()))
        .cloned()
        .collect()
}
