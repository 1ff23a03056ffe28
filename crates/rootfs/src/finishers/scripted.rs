//! What reviewed postinst scripts create, as data: accounts, files, directories and links, by package.
//!
//! One place for both finishers that use it: `users` makes the accounts, also those that a file here belongs to, and
//! `defaults` the rest. Alternatives have a table of their own.

/// Something that a script does to the file system.
#[derive(Debug, Clone, Copy)]
pub(super) enum Effect {
    /// Makes a directory, or changes the one that is there: path, mode, user, group.
    Directory(&'static str, u32, &'static str, &'static str),
    /// Copies a file where nothing is yet, if there is something to copy: from, to.
    Duplicate(&'static str, &'static str),
    /// Writes a file where nothing is yet: path, mode, user, group, content. `{architecture}` is replaced.
    File(&'static str, u32, &'static str, &'static str, &'static str),
    /// Links a path to a target where nothing is yet, or only an empty directory: path, target.
    Link(&'static str, &'static str),
    /// Changes mode and owner of what is there: path, mode, user, group.
    Access(&'static str, u32, &'static str, &'static str),
}

/// What the scripts of one package do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scripted {
    /// The package.
    pub package: &'static str,
    /// Only where this path leads to something: what nothing in the image can use is not made.
    pub only_with: Option<&'static str>,
    /// Users that it creates.
    pub users: &'static [&'static str],
    /// Groups that it creates, beside the users' own.
    pub groups: &'static [&'static str],
    /// The rest, in the script's order.
    pub effects: &'static [Effect],
}

use Effect::{Access, Directory, Duplicate, File, Link};

/// Where there is no shell, nobody logs in and reads start-up files and mail.
const SHELL: Option<&str> = Some("usr/bin/sh");

const fn accounts(
    package: &'static str,
    users: &'static [&'static str],
    groups: &'static [&'static str],
) -> Scripted {
    Scripted { package, only_with: None, users, groups, effects: &[] }
}

const fn effects(package: &'static str, effects: &'static [Effect]) -> Scripted {
    Scripted { package, only_with: None, users: &[], groups: &[], effects }
}

const fn effects_with(
    package: &'static str,
    only_with: Option<&'static str>,
    effects: &'static [Effect],
) -> Scripted {
    Scripted { package, only_with, users: &[], groups: &[], effects }
}

const HOSTS: &str = "\
127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters

";

const NETWORKS: &str = "\
default\t\t0.0.0.0
loopback\t127.0.0.0
link-local\t169.254.0.0

";

const POSTGRESQL_ROOT: &str = "\
This is a dummy root certificate file for PostgreSQL. To enable client side
authentication, add some certificates to it. Client certificates must be signed
with any certificate in this file to be accepted.

A reasonable choice is to just symlink this file to
/etc/ssl/certs/ssl-cert-snakeoil.pem; in this case, client certificates need to
be signed by the postgresql server certificate, which might be desirable in
many cases. See chapter \"Server Setup and Operation\" in the PostgreSQL
documentation for details (in package postgresql-doc-9.2).

  file:///usr/share/doc/postgresql-doc-9.2/html/ssl-tcp.html
";

const PYTHON_CONFIGURATION: &str = "\
[DEFAULT]
# how to byte-compile (comma separated: standard, optimize)
byte-compile = standard
";

/// By package, in the order of dpkg's dependencies where it matters (base-files first).
pub(super) const TABLE: [Scripted; 27] = [
    effects(
        "base-files",
        &[
            // In the package; but a slice may have emptied it, and then the alias /sbin would lead nowhere.
            Directory("usr/sbin", 0o755, "root", "root"),
            Link("etc/dpkg/origins/default", "debian"),
            Directory("mnt", 0o755, "root", "root"),
            Directory("srv", 0o755, "root", "root"),
            Directory("opt", 0o755, "root", "root"),
            Directory("etc/opt", 0o755, "root", "root"),
            Directory("var/opt", 0o755, "root", "root"),
            Directory("media", 0o755, "root", "root"),
            Directory("run/lock", 0o1777, "root", "root"),
            Link("var/run", "/run"),
            Link("var/lock", "/run/lock"),
            Directory("usr/local", 0o755, "root", "root"),
            Directory("usr/local/share", 0o755, "root", "root"),
            Directory("usr/local/share/man", 0o755, "root", "root"),
            Directory("usr/local/bin", 0o755, "root", "root"),
            Directory("usr/local/games", 0o755, "root", "root"),
            Directory("usr/local/lib", 0o755, "root", "root"),
            Directory("usr/local/libexec", 0o755, "root", "root"),
            Directory("usr/local/include", 0o755, "root", "root"),
            Directory("usr/local/sbin", 0o755, "root", "root"),
            Directory("usr/local/src", 0o755, "root", "root"),
            Directory("usr/local/etc", 0o755, "root", "root"),
            Link("usr/local/man", "share/man"),
        ],
    ),
    effects_with(
        "base-files",
        SHELL,
        &[
            Duplicate("usr/share/base-files/dot.profile", "root/.profile"),
            Duplicate("usr/share/base-files/dot.bashrc", "root/.bashrc"),
            Duplicate("usr/share/base-files/profile", "etc/profile"),
            Duplicate("usr/share/base-files/motd", "etc/motd"),
            Directory("var/mail", 0o2775, "root", "mail"),
            Link("var/spool/mail", "../mail"),
        ],
    ),
    effects("bash", &[Link("usr/bin/sh", "bash")]),
    accounts("apt", &["_apt"], &[]),
    accounts("passwd", &[], &["shadow"]),
    effects("ca-certificates", &[Directory("usr/local/share/ca-certificates", 0o755, "root", "root")]),
    effects("dpkg", &[File("var/lib/dpkg/arch-native", 0o644, "root", "root", "{architecture}\n")]),
    effects("libc-bin", &[Duplicate("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")]),
    effects(
        "libnginx-mod-http-echo",
        &[Link(
            "etc/nginx/modules-enabled/50-mod-http-echo.conf",
            "/usr/share/nginx/modules-available/mod-http-echo.conf",
        )],
    ),
    effects(
        "libnginx-mod-stream",
        &[Link(
            "etc/nginx/modules-enabled/50-mod-stream.conf",
            "/usr/share/nginx/modules-available/mod-stream.conf",
        )],
    ),
    effects(
        "libpam-modules",
        &[
            File("etc/security/opasswd", 0o600, "root", "root", ""),
            File("etc/environment", 0o644, "root", "root", ""),
        ],
    ),
    effects(
        "netbase",
        &[
            File("etc/hosts", 0o644, "root", "root", HOSTS),
            File("etc/networks", 0o644, "root", "root", NETWORKS),
        ],
    ),
    effects(
        "nginx-common",
        &[
            Directory("var/log/nginx", 0o755, "root", "adm"),
            File("var/log/nginx/access.log", 0o640, "www-data", "adm", ""),
            File("var/log/nginx/error.log", 0o640, "www-data", "adm", ""),
            Link("etc/nginx/sites-enabled/default", "/etc/nginx/sites-available/default"),
            Duplicate("usr/share/nginx/html/index.html", "var/www/html/index.nginx-debian.html"),
        ],
    ),
    Scripted {
        package: "postgresql-common",
        only_with: None,
        users: &["postgres"],
        groups: &[],
        effects: &[
            Directory("var/lib/postgresql", 0o755, "postgres", "postgres"),
            Access("etc/postgresql", 0o755, "postgres", "postgres"),
            Directory("var/log/postgresql", 0o1775, "root", "postgres"),
            Directory("var/run/postgresql", 0o2775, "postgres", "postgres"),
        ],
    },
    effects_with(
        "postgresql-common",
        Some("usr/share/postgresql-common/createcluster.conf"),
        &[
            File("etc/postgresql-common/root.crt", 0o644, "root", "root", POSTGRESQL_ROOT),
            Duplicate(
                "usr/share/postgresql-common/createcluster.conf",
                "etc/postgresql-common/createcluster.conf",
            ),
        ],
    ),
    effects(
        "python3.13-minimal",
        &[
            Directory("usr/local/lib/python3.13", 0o755, "root", "root"),
            Directory("usr/local/lib/python3.13/dist-packages", 0o755, "root", "root"),
        ],
    ),
    effects(
        "python3.14-minimal",
        &[
            Directory("usr/local/lib/python3.14", 0o755, "root", "root"),
            Directory("usr/local/lib/python3.14/dist-packages", 0o755, "root", "root"),
        ],
    ),
    effects_with(
        "python3",
        Some("usr/bin/py3compile"),
        &[File("etc/python3/debian_config", 0o644, "root", "root", PYTHON_CONFIGURATION)],
    ),
    effects("readline-common", &[Duplicate("usr/share/readline/inputrc", "etc/inputrc")]),
    Scripted {
        package: "redis-tools",
        only_with: None,
        users: &["redis"],
        groups: &[],
        effects: &[
            Directory("var/log/redis", 0o2750, "redis", "adm"),
            Directory("var/lib/redis", 0o750, "redis", "redis"),
            Directory("etc/redis", 0o2770, "redis", "redis"),
        ],
    },
    effects("redis-server", &[Access("etc/redis/redis.conf", 0o640, "redis", "redis")]),
    Scripted {
        package: "ssl-cert",
        only_with: None,
        users: &[],
        groups: &["ssl-cert"],
        effects: &[Access("etc/ssl/private", 0o710, "root", "ssl-cert")],
    },
    effects("systemd", &[File("etc/machine-id", 0o444, "root", "root", "")]),
    effects("tzdata", &[Link("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")]),
    effects(
        "ucf",
        &[
            File("var/lib/ucf/hashfile", 0o644, "root", "root", ""),
            File("var/lib/ucf/registry", 0o644, "root", "root", ""),
        ],
    ),
    Scripted {
        package: "valkey-tools",
        only_with: None,
        users: &["valkey"],
        groups: &[],
        effects: &[
            Directory("var/log/valkey", 0o2750, "valkey", "adm"),
            Directory("var/lib/valkey", 0o750, "valkey", "valkey"),
            Directory("etc/valkey", 0o2770, "valkey", "valkey"),
        ],
    },
    effects("valkey-server", &[Access("etc/valkey/valkey.conf", 0o640, "valkey", "valkey")]),
];

impl Effect {
    /// The user and the group that it gives something to.
    pub fn owner(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Directory(_, _, user, group) | File(_, _, user, group, _) | Access(_, _, user, group) => {
                Some((user, group))
            }
            Duplicate(..) | Link(..) => None,
        }
    }
}
