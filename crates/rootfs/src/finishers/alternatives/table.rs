//! The alternatives that reviewed postinst scripts register with `update-alternatives --install`.
//!
//! An entry whose path is not in the tree is passed over, so one line serves all versions of a package that differ
//! only in whether they ship the program.

/// One `--install` with its `--slave` options.
#[derive(Debug, Clone, Copy)]
pub(super) struct Registration {
    /// The package whose script it is.
    pub package: &'static str,
    /// The generic name as a path: `/usr/bin/awk`.
    pub link: &'static str,
    /// The name of the group: `awk`.
    pub name: &'static str,
    /// What it stands for: `/usr/bin/mawk`.
    pub path: &'static str,
    /// The highest wins.
    pub priority: i32,
    /// What goes with it.
    pub followers: &'static [Follower],
}

/// One `--slave`: link, name, path.
pub(super) type Follower = (&'static str, &'static str, &'static str);

const fn plain(
    package: &'static str,
    link: &'static str,
    name: &'static str,
    path: &'static str,
    priority: i32,
    followers: &'static [Follower],
) -> Registration {
    Registration { package, link, name, path, priority, followers }
}

pub(super) const TABLE: [Registration; 17] = [
    plain(
        "bash",
        "/usr/share/man/man7/builtins.7.gz",
        "builtins.7.gz",
        "/usr/share/man/man7/bash-builtins.7.gz",
        10,
        &[],
    ),
    plain("cpp", "/lib/cpp", "cpp", "/usr/bin/cpp", 10, &[]),
    plain(
        "debianutils",
        "/usr/bin/which",
        "which",
        "/usr/bin/which.debianutils",
        0,
        &[
            ("/usr/share/man/man1/which.1.gz", "which.1.gz", "/usr/share/man/man1/which.debianutils.1.gz"),
            (
                "/usr/share/man/de/man1/which.1.gz",
                "which.de1.gz",
                "/usr/share/man/de/man1/which.debianutils.1.gz",
            ),
            (
                "/usr/share/man/es/man1/which.1.gz",
                "which.es1.gz",
                "/usr/share/man/es/man1/which.debianutils.1.gz",
            ),
            (
                "/usr/share/man/fr/man1/which.1.gz",
                "which.fr1.gz",
                "/usr/share/man/fr/man1/which.debianutils.1.gz",
            ),
            (
                "/usr/share/man/it/man1/which.1.gz",
                "which.it1.gz",
                "/usr/share/man/it/man1/which.debianutils.1.gz",
            ),
            (
                "/usr/share/man/ja/man1/which.1.gz",
                "which.ja1.gz",
                "/usr/share/man/ja/man1/which.debianutils.1.gz",
            ),
            (
                "/usr/share/man/pl/man1/which.1.gz",
                "which.pl1.gz",
                "/usr/share/man/pl/man1/which.debianutils.1.gz",
            ),
            (
                "/usr/share/man/sl/man1/which.1.gz",
                "which.sl1.gz",
                "/usr/share/man/sl/man1/which.debianutils.1.gz",
            ),
        ],
    ),
    plain("g++", "/usr/bin/c++", "c++", "/usr/bin/g++", 20, &[]),
    plain("gcc", "/usr/bin/cc", "cc", "/usr/bin/gcc", 20, &[]),
    plain(
        "gcc",
        "/usr/bin/c89",
        "c89",
        "/usr/bin/c89-gcc",
        20,
        &[("/usr/share/man/man1/c89.1.gz", "c89.1.gz", "/usr/share/man/man1/c89-gcc.1.gz")],
    ),
    plain(
        "gcc",
        "/usr/bin/c99",
        "c99",
        "/usr/bin/c99-gcc",
        20,
        &[("/usr/share/man/man1/c99.1.gz", "c99.1.gz", "/usr/share/man/man1/c99-gcc.1.gz")],
    ),
    plain(
        "less",
        "/usr/bin/pager",
        "pager",
        "/usr/bin/less",
        77,
        &[("/usr/share/man/man1/pager.1.gz", "pager.1.gz", "/usr/share/man/man1/less.1.gz")],
    ),
    plain(
        "mawk",
        "/usr/bin/awk",
        "awk",
        "/usr/bin/mawk",
        5,
        &[
            ("/usr/share/man/man1/awk.1.gz", "awk.1.gz", "/usr/share/man/man1/mawk.1.gz"),
            ("/usr/bin/nawk", "nawk", "/usr/bin/mawk"),
            ("/usr/share/man/man1/nawk.1.gz", "nawk.1.gz", "/usr/share/man/man1/mawk.1.gz"),
        ],
    ),
    plain(
        "nodejs",
        "/usr/bin/js",
        "js",
        "/usr/bin/nodejs",
        200,
        &[("/usr/share/man/man1/js.1.gz", "js.1.gz", "/usr/share/man/man1/nodejs.1.gz")],
    ),
    plain(
        "procps",
        "/usr/bin/uptime",
        "uptime",
        "/usr/bin/uptime.procps",
        50,
        &[("/usr/share/man/man1/uptime.1.gz", "uptime.1.gz", "/usr/share/man/man1/uptime.procps.1.gz")],
    ),
    plain(
        "procps",
        "/usr/bin/vmstat",
        "vmstat",
        "/usr/bin/vmstat.procps",
        50,
        &[("/usr/share/man/man8/vmstat.8.gz", "vmstat.8.gz", "/usr/share/man/man8/vmstat.procps.8.gz")],
    ),
    plain(
        "procps",
        "/usr/bin/w",
        "w",
        "/usr/bin/w.procps",
        50,
        &[("/usr/share/man/man1/w.1.gz", "w.1.gz", "/usr/share/man/man1/w.procps.1.gz")],
    ),
    plain(
        "procps",
        "/bin/ps",
        "ps",
        "/bin/ps.procps",
        50,
        &[("/usr/share/man/man1/ps.1.gz", "ps.1.gz", "/usr/share/man/man1/ps.procps.1.gz")],
    ),
    plain(
        "tar",
        "/usr/sbin/rmt",
        "rmt",
        "/usr/sbin/rmt-tar",
        50,
        &[("/usr/share/man/man8/rmt.8.gz", "rmt.8.gz", "/usr/share/man/man8/rmt-tar.8.gz")],
    ),
    plain(
        "util-linux",
        "/usr/bin/pager",
        "pager",
        "/bin/more",
        50,
        &[("/usr/share/man/man1/pager.1.gz", "pager.1.gz", "/usr/share/man/man1/more.1.gz")],
    ),
    plain(
        "xz-utils",
        "/usr/bin/lzma",
        "lzma",
        "/usr/bin/xz",
        20,
        &[
            ("/usr/share/man/man1/lzma.1.gz", "lzma.1.gz", "/usr/share/man/man1/xz.1.gz"),
            ("/usr/bin/unlzma", "unlzma", "/usr/bin/unxz"),
            ("/usr/share/man/man1/unlzma.1.gz", "unlzma.1.gz", "/usr/share/man/man1/unxz.1.gz"),
            ("/usr/bin/lzcat", "lzcat", "/usr/bin/xzcat"),
            ("/usr/share/man/man1/lzcat.1.gz", "lzcat.1.gz", "/usr/share/man/man1/xzcat.1.gz"),
            ("/usr/bin/lzmore", "lzmore", "/usr/bin/xzmore"),
            ("/usr/share/man/man1/lzmore.1.gz", "lzmore.1.gz", "/usr/share/man/man1/xzmore.1.gz"),
            ("/usr/bin/lzless", "lzless", "/usr/bin/xzless"),
            ("/usr/share/man/man1/lzless.1.gz", "lzless.1.gz", "/usr/share/man/man1/xzless.1.gz"),
            ("/usr/bin/lzdiff", "lzdiff", "/usr/bin/xzdiff"),
            ("/usr/share/man/man1/lzdiff.1.gz", "lzdiff.1.gz", "/usr/share/man/man1/xzdiff.1.gz"),
            ("/usr/bin/lzcmp", "lzcmp", "/usr/bin/xzcmp"),
            ("/usr/share/man/man1/lzcmp.1.gz", "lzcmp.1.gz", "/usr/share/man/man1/xzcmp.1.gz"),
            ("/usr/bin/lzgrep", "lzgrep", "/usr/bin/xzgrep"),
            ("/usr/share/man/man1/lzgrep.1.gz", "lzgrep.1.gz", "/usr/share/man/man1/xzgrep.1.gz"),
            ("/usr/bin/lzegrep", "lzegrep", "/usr/bin/xzegrep"),
            ("/usr/share/man/man1/lzegrep.1.gz", "lzegrep.1.gz", "/usr/share/man/man1/xzegrep.1.gz"),
            ("/usr/bin/lzfgrep", "lzfgrep", "/usr/bin/xzfgrep"),
            ("/usr/share/man/man1/lzfgrep.1.gz", "lzfgrep.1.gz", "/usr/share/man/man1/xzfgrep.1.gz"),
        ],
    ),
];
