//! The rules of hosts' images, run together: `calypte os lint`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{System, own, published};
use crate::scan::{ScanReport, is_fixable};

/// How much it weighs when a rule does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// The image must not be used.
    Fatal,
    /// It should be mended.
    Warning,
}

/// A rule.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lint {
    /// Its name, by which it can be skipped.
    pub name: &'static str,
    /// What is wrong where it does not hold, by its weight.
    pub weight: Weight,
    /// Whether `bootc container lint` has it, under the same name.
    pub published: bool,
    /// What it asks.
    pub title: &'static str,
    #[serde(skip)]
    check: fn(&System) -> Vec<String>,
}

/// What came of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The rule.
    pub name: &'static str,
    /// Its weight.
    pub weight: Weight,
    /// What is wrong, one sentence each; none when it holds.
    pub problems: Vec<String>,
}

/// What came of all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintReport {
    /// What was looked at.
    pub subject: String,
    /// The outcome of each rule that was asked, in the order of [`LINTS`].
    pub outcomes: Vec<Outcome>,
    /// The rules that were not asked.
    pub skipped: Vec<String>,
}

const fn fatal(name: &'static str, title: &'static str, check: fn(&System) -> Vec<String>) -> Lint {
    Lint { name, weight: Weight::Fatal, published: true, title, check }
}

const fn warning(name: &'static str, title: &'static str, check: fn(&System) -> Vec<String>) -> Lint {
    Lint { name, weight: Weight::Warning, published: true, title, check }
}

const fn of_ours(lint: Lint) -> Lint {
    Lint { published: false, ..lint }
}

/// The name of the rule about known flaws, which needs a database of advisories.
pub const KNOWN_FLAWS: &str = "known-flaws";

/// All rules.
pub const LINTS: [Lint; 25] = [
    fatal("var-run", "/var/run is a symbolic link", published::var_run),
    fatal("etc-usretc", "there are not both /etc and /usr/etc", published::etc_usretc),
    fatal("bootc-kargs", "the files in /usr/lib/bootc/kargs.d can be read", published::bootc_kargs),
    fatal("kernel", "there is exactly one kernel", published::kernel),
    fatal("utf8", "names and targets of links are UTF-8", published::utf8),
    fatal(
        "api-base-directories",
        "/dev, /proc, /run, /sys, /tmp and /var are directories",
        published::api_base_directories,
    ),
    fatal("baseimage-root", "/sysroot is a directory, and /ostree leads into it", published::baseimage_root),
    warning(
        "buildah-injected",
        "/etc/hostname and /etc/resolv.conf are not left empty by a build",
        published::buildah_injected,
    ),
    warning("baseimage-composefs", "composefs is enabled for ostree", published::baseimage_composefs),
    warning("var-log", "there are no logs", published::var_log),
    warning("var-tmpfiles", "what is below /var is declared by tmpfiles.d", published::var_tmpfiles),
    warning("sysusers", "accounts are declared by sysusers.d", published::sysusers),
    warning("nonempty-boot", "/boot is empty but for unified kernel images", published::nonempty_boot),
    warning("nonempty-run-tmp", "/run and /tmp are empty", published::nonempty_run_tmp),
    of_ours(fatal("bootc-label", "the label containers.bootc is 1", own::bootc_label)),
    of_ours(fatal("image-identity", "os-release says IMAGE_ID and IMAGE_VERSION", own::image_identity)),
    of_ours(fatal("initramfs", "the kernel has an initramfs", own::initramfs)),
    of_ours(fatal("machine-id", "/etc/machine-id holds no id", own::machine_id)),
    of_ours(warning("fstab", "/etc/fstab mounts nothing", own::fstab)),
    of_ours(warning("setuid", "programs with the rights of others are the usual ones", own::setuid)),
    of_ours(fatal("secrets", "there are no keys, tokens and passwords", own::secrets)),
    of_ours(fatal("world-writable", "nothing can be written by everybody", own::world_writable)),
    of_ours(warning("package-manager", "nothing installs packages", own::package_manager)),
    of_ours(fatal("shell", "the variant without a shell has none", own::shell)),
    of_ours(warning(KNOWN_FLAWS, "no known flaw has a fix (where advisories were fetched)", |_| Vec::new())),
];

/// Looks at an image with all rules but those that are skipped. `scanned` is what a scan found, if there was one.
#[must_use]
pub fn lint(
    subject: &str,
    system: &System,
    scanned: Option<&ScanReport>,
    skipped: &BTreeSet<String>,
) -> LintReport {
    let mut report = LintReport { subject: subject.to_owned(), outcomes: Vec::new(), skipped: Vec::new() };
    for lint in LINTS {
        let unasked = lint.name == KNOWN_FLAWS && scanned.is_none();
        if unasked || skipped.contains(lint.name) {
            report.skipped.push(lint.name.to_owned());
            continue;
        }
        let problems = match scanned {
            Some(scanned) if lint.name == KNOWN_FLAWS => flaws(scanned),
            _ => (lint.check)(system),
        };
        report.outcomes.push(Outcome { name: lint.name, weight: lint.weight, problems });
    }
    report
}

/// The flaws that have a fix.
fn flaws(scanned: &ScanReport) -> Vec<String> {
    let fixable = scanned.counting().filter(|finding| is_fixable(finding));
    fixable
        .map(|finding| {
            format!(
                "{} in {} {}: a newer version mends it",
                finding.vulnerability, finding.name, finding.version
            )
        })
        .collect()
}

impl LintReport {
    /// Whether the image may be used.
    #[must_use]
    pub fn passes(&self, fatal_warnings: bool) -> bool {
        let counts = |outcome: &&Outcome| fatal_warnings || outcome.weight == Weight::Fatal;
        self.outcomes.iter().filter(counts).all(|outcome| outcome.problems.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use calypte_base::{Digest, TreePath};
    use calypte_image::read::{ImageFile, ImageFileKind};

    use super::*;

    fn put(system: &mut System, path: &str, kind: ImageFileKind, mode: u32) {
        let file = ImageFile { kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: BTreeMap::new(), layer: 0 };
        system.files.insert(TreePath::new(path).unwrap(), file);
    }

    fn file(system: &mut System, path: &str, text: &str, mode: u32) {
        let kind = ImageFileKind::File {
            digest: Digest::of(text.as_bytes()),
            size: text.len() as u64,
            hard_link: None,
        };
        put(system, path, kind, mode);
        system.texts.insert(TreePath::new(path).unwrap(), text.to_owned());
    }

    /// The smallest image that all rules let pass.
    fn sound() -> System {
        let labels = BTreeMap::from([("containers.bootc".to_owned(), "1".to_owned())]);
        let mut system = System { labels: Some(labels), ..System::default() };
        for path in [
            "dev",
            "proc",
            "run",
            "sys",
            "tmp",
            "var",
            "etc",
            "sysroot",
            "boot",
            "boot/EFI",
            "boot/EFI/Linux",
            "usr",
        ] {
            let mode = if path == "tmp" { 0o1777 } else { 0o755 };
            put(&mut system, path, ImageFileKind::Directory, mode);
        }
        put(&mut system, "ostree", ImageFileKind::Symlink("sysroot/ostree".to_owned()), 0o777);
        put(&mut system, "var/run", ImageFileKind::Symlink("/run".to_owned()), 0o777);
        for (path, text) in [
            ("boot/EFI/Linux/os.efi", "uki"),
            ("etc/os-release", "ID=x\nIMAGE_ID=os\nIMAGE_VERSION=\"1\"\n"),
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\nsshd:x:1:1::/:\n"),
            ("etc/group", "root:x:0:\nsshd:x:1:\n"),
            ("usr/lib/sysusers.d/x.conf", "u sshd 1\n"),
            ("usr/lib/tmpfiles.d/x.conf", "d /var/lib/x 0755 root root -\n"),
            ("usr/lib/modules/7.2/vmlinuz", "kernel"),
            ("usr/lib/modules/7.2/initramfs.img", "initramfs"),
            ("usr/lib/bootc/kargs.d/x.toml", "kargs = [\"rw\"]\n"),
            ("usr/lib/ostree/prepare-root.conf", "[composefs]\nenabled = yes\n"),
        ] {
            file(&mut system, path, text, 0o644);
        }
        system
    }

    fn failing(system: &System) -> Vec<String> {
        let report = lint("x", system, None, &BTreeSet::new());
        let failed = report.outcomes.into_iter().filter(|outcome| !outcome.problems.is_empty());
        failed.map(|outcome| format!("{}: {}", outcome.name, outcome.problems.join("; "))).collect()
    }

    #[test]
    fn a_sound_image_passes() {
        assert_eq!(failing(&sound()), Vec::<String>::new());
    }

    /// Each rule, broken by itself.
    #[test]
    fn each_rule_finds_what_it_is_about() {
        type Break = fn(&mut System);
        let breaks: [(&str, Break); 24] = [
            ("var-run", |system| put(system, "var/run", ImageFileKind::Directory, 0o755)),
            ("etc-usretc", |system| put(system, "usr/etc", ImageFileKind::Directory, 0o755)),
            ("bootc-kargs", |system| file(system, "usr/lib/bootc/kargs.d/y.toml", "kargs = 1", 0o644)),
            ("kernel", |system| {
                file(system, "usr/lib/modules/7.3/vmlinuz", "kernel", 0o644);
                file(system, "usr/lib/modules/7.3/initramfs.img", "initramfs", 0o644);
            }),
            ("utf8", |system| file(system, "usr/a\u{fffd}", "", 0o644)),
            ("api-base-directories", |system| drop(system.files.remove(&TreePath::new("proc").unwrap()))),
            ("baseimage-root", |system| drop(system.files.remove(&TreePath::new("ostree").unwrap()))),
            ("buildah-injected", |system| file(system, "etc/hostname", "", 0o644)),
            ("baseimage-composefs", |system| {
                file(system, "usr/lib/ostree/prepare-root.conf", "[x]\nenabled = yes\n", 0o644);
            }),
            ("var-log", |system| {
                file(system, "var/log/build.log", "x", 0o644);
                file(system, "usr/lib/tmpfiles.d/y.conf", "f /var/log/build.log\n", 0o644);
            }),
            ("var-tmpfiles", |system| put(system, "var/lib/y", ImageFileKind::Directory, 0o755)),
            ("sysusers", |system| file(system, "etc/passwd", "other:x:7:7::/:\n", 0o644)),
            ("nonempty-boot", |system| file(system, "boot/vmlinuz", "x", 0o644)),
            ("nonempty-run-tmp", |system| file(system, "tmp/x", "x", 0o644)),
            ("bootc-label", |system| system.labels = Some(BTreeMap::new())),
            ("image-identity", |system| file(system, "etc/os-release", "IMAGE_ID=x\n", 0o644)),
            ("initramfs", |system| {
                drop(system.files.remove(&TreePath::new("usr/lib/modules/7.2/initramfs.img").unwrap()));
            }),
            ("machine-id", |system| file(system, "etc/machine-id", "0123456789abcdef\n", 0o444)),
            ("fstab", |system| file(system, "etc/fstab", "/dev/sda1 / ext4\n", 0o644)),
            ("setuid", |system| file(system, "usr/bin/become-root", "x", 0o4755)),
            ("secrets", |system| {
                file(system, "etc/key", "secret", 0o600);
                system.secrets.insert(Digest::of(b"secret"), "a private key");
            }),
            ("world-writable", |system| file(system, "etc/open", "x", 0o666)),
            ("package-manager", |system| file(system, "usr/bin/dnf", "x", 0o755)),
            ("shell", |system| {
                let identity = "IMAGE_ID=os\nIMAGE_VERSION=1\nVARIANT_ID=shellless\n";
                file(system, "etc/os-release", identity, 0o644);
                file(system, "usr/bin/sh", "x", 0o755);
            }),
        ];
        for (rule, breaks) in breaks {
            let mut system = sound();
            breaks(&mut system);
            let failing = failing(&system);
            assert!(
                failing.len() == 1 && failing[0].starts_with(&format!("{rule}: ")),
                "{rule}: {failing:?}"
            );
        }
        let asked: BTreeSet<&str> = breaks.iter().map(|(rule, _)| *rule).chain([KNOWN_FLAWS]).collect();
        assert_eq!(asked, LINTS.iter().map(|lint| lint.name).collect());
    }

    #[test]
    fn what_is_skipped_is_told_and_a_warning_counts_when_it_is_to() {
        let mut system = sound();
        file(&mut system, "boot/vmlinuz", "x", 0o644);
        let report = lint("x", &system, None, &BTreeSet::from(["setuid".to_owned()]));
        assert_eq!(report.skipped, ["setuid", KNOWN_FLAWS]);
        assert!(report.passes(false) && !report.passes(true));
    }
}
