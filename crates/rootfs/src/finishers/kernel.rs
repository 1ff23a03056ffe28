//! The kernel of a host lies beside its modules, `/usr/lib/modules/RELEASE/vmlinuz`, and `/boot` is empty: what a machine
//! boots is put there when the image is deployed. Nothing mounts a file system by `/etc/fstab`.
//!
//! Debian's kernels come as `/boot/vmlinuz-RELEASE`, with their configuration as `/boot/config-RELEASE`; Fedora's lie
//! beside the modules already. The arguments of the definition go to `/usr/lib/bootc/kargs.d`, where bootc reads them as
//! well.

use calypte_base::TreePath;

use super::FinishError;
use super::depmod;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::{FileTree, NodeKind};

/// What the finisher is called.
pub const NAME: &str = "kernel";

const BOOT: &str = "boot";

/// Files of `/boot` by what stands before the release, and their names beside the modules.
const FILES: [(&str, &str); 3] =
    [("vmlinuz-", "vmlinuz"), ("config-", "config"), ("System.map-", "System.map")];

const ARGUMENTS: &str = "usr/lib/bootc/kargs.d/10-image.toml";

/// Moves the kernel, empties `/boot`, and writes the kernel's arguments.
///
/// # Errors
/// When a kernel's file cannot be placed.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    let Some(host) = &context.definition.host else { return Ok(()) };
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    for kernel in depmod::kernels(site.tree) {
        for (prefix, name) in FILES {
            let from = site.path(&format!("{BOOT}/{prefix}{}", kernel.file_name()))?;
            let to = site.path(&format!("{kernel}/{name}"))?;
            let Some(NodeKind::File(content)) = site.node(&from)?.map(|node| node.kind.clone()) else {
                continue;
            };
            if !site.exists(&to)? {
                site.make_for(site.package_of(&from));
                site.copy(content, &to, Access::root(0o644))?;
            }
        }
    }
    site.make_for(None);
    let inside: Vec<TreePath> = site.tree.below(&site.path(BOOT)?).map(|(path, _)| path.clone()).collect();
    for path in inside {
        site.tree.remove(&path);
    }
    site.directory(&site.path(BOOT)?, Access::root(0o755))?;
    site.tree.remove(&site.path("etc/fstab")?);
    if !host.kernel_arguments.is_empty() {
        let quoted: Vec<String> = host
            .kernel_arguments
            .iter()
            .map(|argument| format!("\"{}\"", argument.replace('\\', "\\\\")))
            .collect();
        let text = format!("kargs = [{}]\n", quoted.join(", "));
        site.write(&site.path(ARGUMENTS)?, text.into_bytes(), Access::root(0o644))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use calypte_definition::Host;

    use super::*;
    use crate::finishers::tests::Bench;

    fn bench() -> Bench {
        Bench::new()
            .file("boot/vmlinuz-7.2-amd64", "kernel")
            .file("boot/config-7.2-amd64", "CONFIG_EROFS_FS=m")
            .file("boot/grub/grub.cfg", "")
            .file("etc/fstab", "")
            .file("usr/lib/modules/7.2-amd64/modules.order", "")
    }

    #[test]
    fn the_kernel_goes_to_its_modules() {
        let mut bench = bench();
        bench.definition.host =
            Some(Host { kernel_arguments: vec!["rw".into(), "panic=10".into()], ..Host::default() });
        bench.run(apply).unwrap();
        assert_eq!(bench.text("usr/lib/modules/7.2-amd64/vmlinuz"), "kernel");
        assert_eq!(bench.text("usr/lib/modules/7.2-amd64/config"), "CONFIG_EROFS_FS=m");
        assert_eq!(bench.owner("usr/lib/modules/7.2-amd64/vmlinuz"), "finisher kernel, for package p");
        assert_eq!(bench.text(ARGUMENTS), "kargs = [\"rw\", \"panic=10\"]\n");
        let boot = TreePath::new(BOOT).unwrap();
        assert_eq!(bench.tree.below(&boot).count(), 0);
        assert!(
            bench.tree.get(&boot).is_some() && bench.tree.get(&TreePath::new("etc/fstab").unwrap()).is_none()
        );
    }

    #[test]
    fn what_is_no_host_stays_as_it_is() {
        let mut bench = bench();
        let before = bench.tree.clone();
        bench.run(apply).unwrap();
        assert_eq!(bench.tree, before);
    }
}
