//! The resolver beside apt itself, on live Debian sid: for each set of packages the two must choose the same ones, or
//! a rule written down here must say why not.
//!
//! Runs when `CALYPTE_TEST_NETWORK` is set and `apt-get` is there. apt works in a root of its own, with an empty dpkg
//! status, on the mirror that this machine is set up for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use calypte_base::{Architecture, PackageFormat};
use calypte_resolve::{Request, resolve};
use calypte_universe::PackageIndex;
use calypte_universe::rules::Assumed;
use calypte_universe::table::deb::read_packages;

/// What is asked of both.
const SETS: &[&str] = &[
    // Servers.
    "nginx",
    "apache2",
    "haproxy",
    "caddy",
    "lighttpd",
    "mariadb-server",
    "postgresql",
    "postgresql-18",
    "valkey-server",
    "redis-server",
    "rabbitmq-server",
    "memcached",
    "squid",
    "bind9",
    "unbound",
    "dovecot-imapd",
    "postfix",
    "exim4",
    "openssh-server",
    "samba",
    "slapd",
    "php-fpm",
    "tomcat11",
    "etcd-server",
    "prometheus",
    "vinyl-cache",
    "mosquitto",
    "influxdb",
    "vsftpd",
    "dnsmasq",
    // Languages.
    "python3",
    "python3-numpy",
    "python3-django",
    "nodejs",
    "npm",
    "ruby",
    "ruby-rails",
    "perl",
    "golang-go",
    "rustc",
    "cargo",
    "ghc",
    "default-jre-headless",
    "default-jdk-headless",
    "openjdk-25-jre-headless",
    "php-cli",
    "erlang-base",
    "elixir",
    "lua5.4",
    "r-base-core",
    "mono-runtime",
    "ocaml",
    "sbcl",
    "guile-3.0",
    // Tools.
    "git",
    "curl",
    "ca-certificates",
    "tzdata",
    "bash coreutils",
    "build-essential",
    "gcc",
    "clang",
    "cmake",
    "debhelper",
    "apt",
    "systemd",
    "systemd-sysv udev dbus",
    "podman",
    "buildah",
    "skopeo",
    "docker.io",
    "crun",
    "qemu-system-x86",
    "texlive-base",
    "texlive-latex-extra",
    "pandoc",
    "ffmpeg",
    "imagemagick",
    "graphviz",
    "ansible",
    "vim",
    "emacs-nox",
    "tmux",
    "rsync",
    "jq",
    "sqlite3",
    "gnupg",
    "gdal-bin",
    // Together, and by name what others only provide.
    "nginx python3 postgresql-18",
    "apache2 php libapache2-mod-php",
    "mailutils",
    "bsd-mailx",
    "cron",
    "logwatch",
    "mawk gawk",
    "original-awk",
    "netcat-openbsd",
    "iptables",
    "resolvconf",
    "chrony",
    "ntpsec",
    "lsb-release",
    "reportbug",
    "libc6 libc-bin",
    "base-files netbase",
    "initramfs-tools",
    "linux-image-amd64",
];

/// What images are made of that need no tools.
const STARTERS: &[&str] = &[
    "base-files netbase tzdata ca-certificates libc6 libssl3t64",
    "nginx",
    "python3",
    "python3.14",
    "nodejs",
    "postgresql-18",
    "valkey-server",
];

const ASSUMED: &str = include_str!("../../../catalog/universes/debian/assumed.yaml");

/// Why the two may differ: the rule, the packages that only apt takes, and those that only we take.
const RULES: &[(&str, &[&str], &[&str])] = &[(
    "apt meets dependencies one by one and depth first, so it takes the first that provides a name even where another \
     that provides it is certain to come, here netavark by podman itself; we take what is certain and need no other",
    &["containernetworking-plugins"],
    &[],
)];

#[test]
fn agrees_with_apt() {
    #[expect(clippy::disallowed_methods, reason = "a test asks whether it may use the network")]
    if std::env::var_os("CALYPTE_TEST_NETWORK").is_none() {
        return skipped("CALYPTE_TEST_NETWORK is not set, and the live indexes of sid are needed");
    }
    if Command::new("apt-get").arg("--version").output().is_err() {
        return skipped("there is no apt-get on this machine");
    }
    let Some(mirror) = configured_mirror() else {
        return skipped("apt on this machine is set up with no Debian mirror");
    };
    let root = tempfile::tempdir().unwrap();
    let apt = Apt::new(root.path(), &mirror);
    let table = read_packages(fs_err::File::open(apt.packages()).unwrap(), "amd64").unwrap();
    let index = PackageIndex::new(
        "debian-sid",
        PackageFormat::Deb,
        Architecture::Amd64,
        vec![("sid".to_owned(), table)],
    )
    .unwrap();

    let (exact, explained, mut failures) = compared(&apt, &index);
    report(&format!("apt oracle: {exact} of {} sets agree exactly, {explained} by a rule", SETS.len()));
    failures.extend(tools_in_starter_images(&index));
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
    assert!(SETS.len() >= 40);
}

/// How many sets agree exactly and by a rule, and what is wrong with the others. apt takes seconds for each, so as many
/// run at once as there are processors.
fn compared(apt: &Apt, index: &PackageIndex) -> (usize, usize, Vec<String>) {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while let Some(set) = SETS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = compare(apt, index, set);
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let (mut exact, mut explained, mut failures) = (0, 0, Vec::new());
    for outcome in outcomes.into_inner().unwrap() {
        match outcome {
            Ok(rules) if rules.is_empty() => exact += 1,
            Ok(rules) => {
                explained += 1;
                rules.iter().for_each(|rule| report(rule));
            }
            Err(failure) => failures.push(failure),
        }
    }
    (exact, explained, failures)
}

/// The rules by which one set differs; none when it agrees.
fn compare(apt: &Apt, index: &PackageIndex, set: &str) -> Result<Vec<String>, String> {
    let names: BTreeSet<String> = set.split(' ').map(str::to_owned).collect();
    match (apt.install(&names), ours(index, &names, &Assumed::default())) {
        (Ok(apt), Ok(ours)) => match explain(&apt, &ours) {
            Ok(rules) => Ok(rules.iter().map(|rule| format!("{set}: {rule}")).collect()),
            Err(difference) => Err(format!("{set}: {difference}")),
        },
        (Err(apt), Err(ours)) => Err(format!("{set}: both refuse, which compares nothing: {apt}; {ours}")),
        (Err(apt), Ok(_)) => Err(format!("{set}: only apt refuses: {apt}")),
        (Ok(_), Err(ours)) => Err(format!("{set}: only we refuse: {ours}")),
    }
}

/// With what the catalog assumes, images of these packages hold no shell, no interpreter for scripts and no package
/// manager.
fn tools_in_starter_images(index: &PackageIndex) -> Vec<String> {
    let assumed: Assumed = calypte_definition::yaml::from_str("assumed.yaml", ASSUMED).unwrap();
    let tools = [
        "apt",
        "bash",
        "busybox",
        "dash",
        "dpkg",
        "mawk",
        "perl",
        "perl-base",
        "debconf",
        "systemd",
        "passwd",
    ];
    let mut found = Vec::new();
    for set in STARTERS {
        let names: BTreeSet<String> = set.split(' ').map(str::to_owned).collect();
        let packages = ours(index, &names, &assumed).unwrap();
        let held = packages
            .iter()
            .filter_map(|package| package.split(' ').next())
            .filter(|name| tools.contains(name));
        found.extend(held.map(|tool| format!("an image of {set} holds {tool}")));
    }
    found
}

/// `name version` of each package that we choose.
fn ours(
    index: &PackageIndex,
    names: &BTreeSet<String>,
    assumed: &Assumed,
) -> Result<BTreeSet<String>, String> {
    let request =
        Request { packages: names.clone(), prefer: BTreeMap::new(), assumed, blocked: BTreeMap::new() };
    let resolution = resolve(index, &request).map_err(|error| error.to_string())?;
    Ok(resolution
        .packages
        .iter()
        .map(|selected| format!("{} {}", selected.record.name, selected.record.version))
        .collect())
}

/// The rules that explain the whole difference, or what they leave.
fn explain(apt: &BTreeSet<String>, ours: &BTreeSet<String>) -> Result<Vec<&'static str>, String> {
    let name = |package: &String| package.split(' ').next().unwrap_or_default().to_owned();
    let mut only_apt: BTreeSet<String> = apt.difference(ours).map(name).collect();
    let mut only_ours: BTreeSet<String> = ours.difference(apt).map(name).collect();
    let mut applied = Vec::new();
    for (rule, theirs, taken) in RULES {
        let has = |set: &BTreeSet<String>, names: &[&str]| names.iter().all(|name| set.contains(*name));
        if has(&only_apt, theirs) && has(&only_ours, taken) {
            only_apt.retain(|name| !theirs.contains(&name.as_str()));
            only_ours.retain(|name| !taken.contains(&name.as_str()));
            applied.push(*rule);
        }
    }
    if only_apt.is_empty() && only_ours.is_empty() {
        return Ok(applied);
    }
    Err(format!("only apt takes {only_apt:?}, only we take {only_ours:?}"))
}

/// apt in a root of its own.
struct Apt {
    configuration: PathBuf,
    lists: PathBuf,
}

impl Apt {
    fn new(root: &Path, (mirror, keyring): &(String, String)) -> Self {
        for directory in [
            "etc/apt.conf.d",
            "etc/preferences.d",
            "etc/sources.list.d",
            "state/lists/partial",
            "cache/archives/partial",
        ] {
            fs_err::create_dir_all(root.join(directory)).unwrap();
        }
        fs_err::write(root.join("state/status"), "").unwrap();
        let source = format!("deb [signed-by={keyring}] {mirror} sid main\n");
        fs_err::write(root.join("etc/sources.list"), source).unwrap();
        let root = root.display();
        let configuration = format!(
            "Dir::Etc \"{root}/etc\";\nDir::Etc::parts \"{root}/etc/apt.conf.d\";\nDir::State \"{root}/state\";\n\
             Dir::State::status \"{root}/state/status\";\nDir::Cache \"{root}/cache\";\n\
             Acquire::Check-Valid-Until \"false\";\nAcquire::Languages \"none\";\nAcquire::GzipIndexes \"false\";\n\
             Acquire::PDiffs \"false\";\nAPT::Install-Recommends \"false\";\nAPT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; }};\nAPT::Sandbox::User \"\";\nDebug::NoLocking \"true\";\n"
        );
        let path = PathBuf::from(format!("{root}/apt.conf"));
        fs_err::write(&path, configuration).unwrap();
        let apt = Self { configuration: path, lists: PathBuf::from(format!("{root}/state/lists")) };
        let update = apt.run(["update"]);
        assert!(update.status.success(), "{}", String::from_utf8_lossy(&update.stderr));
        apt
    }

    fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> std::process::Output {
        Command::new("apt-get")
            .env("APT_CONFIG", &self.configuration)
            .env("LC_ALL", "C")
            .args(arguments)
            .output()
            .unwrap()
    }

    fn packages(&self) -> PathBuf {
        let lists = fs_err::read_dir(&self.lists).unwrap().map(|entry| entry.unwrap().path());
        lists.into_iter().find(|path| path.to_string_lossy().ends_with("binary-amd64_Packages")).unwrap()
    }

    /// `name version` of each package that apt would install.
    fn install(&self, names: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
        let output = self.run(["-s", "-q", "install"].into_iter().chain(names.iter().map(String::as_str)));
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "));
        }
        let text = String::from_utf8(output.stdout).unwrap();
        // `Inst nginx (1.30.6-2 Debian:unstable [amd64])`
        let inst = |line: &str| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
            Some(format!("{name} {}", rest.split(' ').next()?))
        };
        Ok(text.lines().filter_map(inst).collect())
    }
}

/// The Debian mirror of this machine's own apt, and the keyring that goes with it.
fn configured_mirror() -> Option<(String, String)> {
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(
        fs_err::read_dir("/etc/apt/sources.list.d").ok()?.filter_map(|entry| Some(entry.ok()?.path())),
    );
    let words = files
        .iter()
        .filter_map(|file| fs_err::read_to_string(file).ok())
        .flat_map(|text| {
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines
                .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        })
        .collect::<Vec<_>>();
    let mirror = words
        .into_iter()
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))?;
    Path::new(keyring).exists().then(|| (mirror, keyring.to_owned()))
}

#[expect(clippy::print_stderr, reason = "the numbers of the comparison are this test's result")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn skipped(reason: &str) {
    report(&format!("skipped: agrees_with_apt: {reason}"));
}
