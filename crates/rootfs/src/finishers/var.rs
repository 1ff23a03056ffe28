//! A host's `/var` is not part of its image: it is filled once, at the first installation, and belongs to the machine from
//! then on. So whatever packages and finishers put there becomes a line of tmpfiles.d, by which each boot makes what is
//! missing, and a file with content moves to `/usr/share/factory`, of which the line makes a copy. `/var` itself stays, empty.
//!
//! `/run` and `/tmp` are emptied: each boot mounts its own over them.
//!
//! Records of Debian's packages lie in `/usr/lib/sysimage/dpkg` in a host, so that they change with the image;
//! `/var/lib/dpkg` leads there.

use std::collections::BTreeSet;

use calypte_base::TreePath;

use super::FinishError;
use super::site::{Access, Site};
use super::tmpfiles;
use crate::context::FinishContext;
use crate::tree::{FileTree, Node, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "var";

const VAR: &str = "var";
const LINES: &str = "usr/lib/tmpfiles.d/calypte-var.conf";
const FACTORY: &str = "usr/share/factory";
const DPKG: &str = "/var/lib/dpkg";
/// Where the records of Debian's packages lie in a host.
pub(crate) const RECORDS: &str = "usr/lib/sysimage/dpkg";

/// Turns what is below `/var` into lines of tmpfiles.d.
///
/// # Errors
/// When a line cannot be read, or a file not be placed.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    if context.definition.host.is_none() {
        return Ok(());
    }
    let debian = context.packages.iter().any(|package| package.deb().is_some());
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let mut declared = BTreeSet::from([DPKG.to_owned()]);
    for (_, lines) in tmpfiles::read(&site)? {
        declared.extend(lines.into_iter().map(|line| line.path.trim_end_matches('/').to_owned()));
    }
    let var = site.path(VAR)?;
    let nodes: Vec<(TreePath, Node)> =
        site.tree.below(&var).map(|(path, node)| (path.clone(), node.clone())).collect();
    let mut text = "# What packages have below /var, for machines whose /var is theirs.\n".to_owned();
    for (path, node) in &nodes {
        if let Some(line) = line(&mut site, path, node, &declared)? {
            text.push_str(&line);
        }
    }
    if debian {
        text.push_str(&format!("L+ {DPKG} - - - - ../../{RECORDS}\n"));
    }
    for (path, _) in nodes.iter().rev() {
        site.tree.remove(path);
    }
    site.directory(&var, Access::root(0o755))?;
    empty(&mut site, "run", 0o755)?;
    empty(&mut site, "tmp", 0o1777)?;
    if debian {
        site.link(&site.path(DPKG)?, &format!("../../{RECORDS}"))?;
    }
    site.write(&site.path(LINES)?, text.into_bytes(), Access::root(0o644))
}

/// A directory over which each boot mounts something.
fn empty(site: &mut Site<'_>, name: &str, mode: u32) -> Result<(), FinishError> {
    let directory = site.path(name)?;
    let inside: Vec<TreePath> = site.tree.below(&directory).map(|(path, _)| path.clone()).collect();
    for path in inside {
        site.tree.remove(&path);
    }
    site.directory(&directory, Access::root(mode))
}

/// The line that makes a node; none where a package's own does.
fn line(
    site: &mut Site<'_>,
    path: &TreePath,
    node: &Node,
    declared: &BTreeSet<String>,
) -> Result<Option<String>, FinishError> {
    let shown = path.to_string();
    if declared.contains(&shown) || shown.starts_with(&format!("{DPKG}/")) {
        return Ok(None);
    }
    let Node { mode, uid, gid, .. } = node;
    let escaped = shown.replace('%', "%%").replace(' ', "\\x20");
    Ok(match &node.kind {
        NodeKind::Directory => Some(format!("d {escaped} {mode:04o} {uid} {gid} -\n")),
        NodeKind::Symlink(target) => Some(format!("L {escaped} - - - - {target}\n")),
        NodeKind::File(content) if content.size == 0 => {
            Some(format!("f {escaped} {mode:04o} {uid} {gid} -\n"))
        }
        NodeKind::File(_) | NodeKind::HardLink(_) => {
            let Some(content) = site.tree.file(path) else { return Ok(None) };
            site.make_for(node.owner.package().map(str::to_owned));
            site.copy(content, &site.path(&format!("{FACTORY}{shown}"))?, Access::root(mode & 0o755))?;
            site.make_for(None);
            Some(format!("C {escaped} {mode:04o} {uid} {gid} - /{FACTORY}{escaped}\n"))
        }
        NodeKind::Fifo => Some(format!("p {escaped} {mode:04o} {uid} {gid} -\n")),
        NodeKind::CharDevice(..) => None,
    })
}

#[cfg(test)]
mod tests {
    use calypte_definition::Host;

    use super::*;
    use crate::finishers::tests::Bench;

    #[test]
    fn what_is_below_var_becomes_lines() {
        let mut bench = Bench::new()
            .directory("var/lib/known")
            .file("var/lib/app/data", "content")
            .file("var/log/app.log", "")
            .link("var/run", "/run")
            .file("usr/lib/tmpfiles.d/known.conf", "d /var/lib/known 0755 root root -\n")
            .packages(&["p"]);
        bench.definition.host = Some(Host::default());
        bench.run(apply).unwrap();
        insta::assert_snapshot!(bench.text(LINES), @r"
        # What packages have below /var, for machines whose /var is theirs.
        d /var/lib 0755 0 0 -
        d /var/lib/app 0755 0 0 -
        C /var/lib/app/data 0644 0 0 - /usr/share/factory/var/lib/app/data
        d /var/log 0755 0 0 -
        f /var/log/app.log 0644 0 0 -
        L /var/run - - - - /run
        L+ /var/lib/dpkg - - - - ../../usr/lib/sysimage/dpkg
        ");
        assert_eq!(bench.text("usr/share/factory/var/lib/app/data"), "content");
        let var = TreePath::new(VAR).unwrap();
        let left: Vec<String> = bench.tree.below(&var).map(|(path, _)| path.to_string()).collect();
        assert_eq!(left, ["/var/lib", "/var/lib/dpkg"]);
    }
}
