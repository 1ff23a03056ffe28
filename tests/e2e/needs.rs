//! What a case needs of the machine, and whether it is there.

use std::path::Path;
use std::process::{Command, Stdio};

/// Something that a case cannot run without.
pub enum Need {
    /// The Debian mirror that the machine's apt uses.
    Mirror,
    /// Fedora's mirrors, and the wish to use them.
    Fedora,
    /// What the RPM universe of the tests is made with.
    RpmFixture,
    /// To be root.
    Root,
    /// A program.
    Program(&'static str),
    /// The scanner syft.
    Syft,
    /// The scanner Trivy.
    Trivy,
    /// The judges of bills of materials.
    Judges,
    /// A registry from crates.io that lists referrers.
    FerroServer,
    /// The packages of the programs of hosts.
    HostPackages,
    /// The judge of CSAF documents.
    CsafJudge,
    /// A browser, and what drives and judges it.
    Browser,
    /// A container engine that can run images.
    Engine,
    /// Kernel and modules for the machines of hosts.
    HostKernel,
    /// The same for machines with Arm's processor.
    HostKernelArm,
    /// The wish to start machines for a long time.
    ManyMachines,
    /// The kernel runs arm64 programs through qemu-user.
    ForeignPrograms,
}

impl Need {
    /// What is missing, in words; `None` when the need is met.
    pub fn missing(&self) -> Option<String> {
        match self {
            Self::Mirror => {
                (!succeeds("apt-get", &["--version"]) || is_offline()).then(|| "a Debian mirror".to_owned())
            }
            Self::Fedora => crate::live_fedora::missing(),
            Self::RpmFixture => calypte_rpm_universe::missing(),
            Self::Root => (!is_root()).then(|| "root".to_owned()),
            Self::Program(program) => (!is_installed(program)).then(|| (*program).to_owned()),
            Self::Syft => (!crate::scanners::syft().is_file()).then(|| "syft".to_owned()),
            Self::Trivy => (!crate::trivy::program().is_file()).then(|| "trivy".to_owned()),
            Self::Judges => (!crate::sbom::judge("sbomcheck").is_file()).then(|| "sbomcheck".to_owned()),
            Self::FerroServer => {
                (!crate::pull::ferro_server().is_file()).then(|| "ferro-oci-server".to_owned())
            }
            Self::HostPackages => {
                let index = crate::os::packages().join("deb/dists/calypte/Release");
                (!index.is_file()).then(|| "the packages of hosts' programs".to_owned())
            }
            Self::CsafJudge => {
                let library = "node_modules/@secvisogram/csaf-validator-lib/basic.js";
                let is_there = is_installed("node") && crate::vex::judges().join(library).is_file();
                (!is_there).then(|| "csaf-validator-lib".to_owned())
            }
            Self::Browser => {
                let is_there =
                    is_installed("node") && crate::site::tools().join("node_modules/axe-core").is_dir();
                (!(is_there && is_installed("chromium")))
                    .then(|| "chromium, playwright-core and axe-core".to_owned())
            }
            Self::Engine => {
                let any = ["podman", "crun", "runc"].into_iter().any(is_installed);
                (!any).then(|| "podman, crun or runc".to_owned())
            }
            Self::HostKernel => {
                (!crate::host_boot::kernel().join("vmlinuz").is_file()).then(|| "a host's kernel".to_owned())
            }
            Self::HostKernelArm => {
                let kernel = crate::host_boot::kernel_for(calypte_base::Architecture::Arm64);
                (!kernel.join("vmlinuz").is_file())
                    .then(|| "CALYPTE_TEST_MACHINES=1 for arm64's kernel".to_owned())
            }
            Self::ManyMachines => {
                let wished = std::env::var_os("CALYPTE_TEST_MACHINES").is_some();
                (!wished).then(|| "CALYPTE_TEST_MACHINES=1, and an hour".to_owned())
            }
            Self::ForeignPrograms => {
                let registered = Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists();
                (!registered).then(|| "qemu-user registered with binfmt_misc for aarch64".to_owned())
            }
        }
    }
}

/// Says so itself, as a machine without network is told from a mirror that is broken only by its user.
fn is_offline() -> bool {
    std::env::var_os("CALYPTE_TEST_OFFLINE").is_some()
}

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin".into(), "/sbin".into()];
    std::env::split_paths(&path).chain(sbin).any(|directory| directory.join(program).is_file())
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
