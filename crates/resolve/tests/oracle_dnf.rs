//! The resolver beside dnf, on the repository that the RPM fixture makes: for each set of packages the two must choose
//! the same ones, or a rule written down here must say why not.
//!
//! dnf works in an empty root without weak dependencies. Both read the same repository; ours comes over the fixture's
//! server, as every universe does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use calypte_base::{Architecture, Epoch};
use calypte_resolve::{Request, resolve};
use calypte_rpm_universe::{Behaviour, Fixture, KEY_NAME, packages};
use calypte_store::{FetchSettings, Fetcher, Silent, Store};
use calypte_universe::rules::Assumed;
use calypte_universe::{PackageIndex, UniverseDefinition, load};

/// What is asked of both beside every package alone.
const SETS: &[&str] = &[
    "nginx-core bash",
    "nginx-core coreutils",
    "nginx-core coreutils-single",
    "nginx fedora-release-container",
    "ca-certificates fedora-release-container filesystem setup tzdata",
    "ca-certificates fedora-release-container filesystem setup tzdata glibc glibc-minimal-langpack openssl-libs nginx-core",
    "glibc glibc-langpack-de",
    "glibc glibc-all-langpacks fedora-release-container",
    "zlib-ng-compat openssl",
    "case-or part-b",
    "case-if part-b",
    "case-if part-a",
    "case-unless part-b",
    "case-nested part-c",
    "case-nested part-d",
    "case-choice part-g",
    "case-choice-number part-c",
    "case-choice case-choice-suggested",
    "case-choice case-choice-number",
    "case-rich-conflict part-c",
    "case-conflict part-a",
    "old-kept new-kept",
    "part-a part-b part-c part-d part-e part-f part-g",
    "coreutils coreutils-single",
];

/// Why the two may differ: the rule, the packages that only dnf takes, and those that only we take.
const RULES: &[(&str, &[&str], &[&str])] = &[
    (
        "weak dependencies choose among providers only where the package has them that needs a provider: what some \
         other package of the image would like, here fedora-release-container all languages, decides nothing",
        &["glibc-all-langpacks"],
        &["glibc-minimal-langpack"],
    ),
    (
        "a package for 32 bits brings no package for 64 bits with it that nothing needs",
        &["zlib-ng-compat"],
        &[],
    ),
];

#[test]
fn agrees_with_dnf() {
    let Some(interpreter) = interpreter() else {
        return skipped("dnf 4 (Debian package dnf), which is a Python program, is not on this machine");
    };
    let fixture = match Fixture::get() {
        Ok(fixture) => fixture,
        Err(skip) => return skipped(&skip.to_string()),
    };
    let names: BTreeSet<&str> = packages::all().iter().map(|recipe| recipe.name).collect();
    let sets: Vec<&str> = names.into_iter().chain(SETS.iter().copied()).collect();
    let mut failures = Vec::new();
    for (architecture, index) in indexes(fixture) {
        let repository = fixture.repository(architecture.rpm());
        let answers = dnf(&interpreter, &repository, architecture, &sets);
        let (mut exact, mut refused, mut explained) = (0, 0, 0);
        for (set, answer) in sets.iter().zip(answers) {
            match compare(answer, &index, set) {
                Ok(Agreement::Exact) => exact += 1,
                Ok(Agreement::BothRefuse) => refused += 1,
                Ok(Agreement::Explained(rule)) => {
                    explained += 1;
                    report(&format!("{set}: {rule}"));
                }
                Err(failure) => failures.push(format!("{set} for {architecture}: {failure}")),
            }
        }
        report(&format!(
            "dnf oracle, {architecture}: of {} sets, {exact} agree exactly, {refused} are refused by both, {explained} \
             differ by a rule",
            sets.len()
        ));
        assert!(exact >= 60 && refused >= 3 || !failures.is_empty(), "{exact} {refused}");
    }
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

enum Agreement {
    Exact,
    BothRefuse,
    Explained(&'static str),
}

const PANICKED: &str = "our resolver panicked";

fn compare(
    dnf: Result<BTreeSet<String>, String>,
    index: &PackageIndex,
    set: &str,
) -> Result<Agreement, String> {
    let names: BTreeSet<String> = set.split(' ').map(str::to_owned).collect();
    // Packages that cannot be had may not be the end of the whole comparison.
    let ours = std::panic::catch_unwind(|| ours(index, &names));
    match (dnf, ours.unwrap_or_else(|_| Err(PANICKED.to_owned()))) {
        (Ok(dnf), Ok(ours)) if dnf == ours => Ok(Agreement::Exact),
        (Ok(dnf), Ok(ours)) => explain(&dnf, &ours).map(Agreement::Explained),
        (_, Err(ours)) if ours == PANICKED => Err(ours),
        (Err(_), Err(_)) => Ok(Agreement::BothRefuse),
        (Err(dnf), Ok(ours)) => Err(format!("only dnf refuses: {dnf}; we take {ours:?}")),
        (Ok(dnf), Err(ours)) => Err(format!("only we refuse: {ours}; dnf takes {dnf:?}")),
    }
}

/// The rule that explains the whole difference, or the difference.
fn explain(dnf: &BTreeSet<String>, ours: &BTreeSet<String>) -> Result<&'static str, String> {
    let name = |package: &String| package.split(' ').next().unwrap_or_default().to_owned();
    let only_dnf: BTreeSet<String> = dnf.difference(ours).map(name).collect();
    let only_ours: BTreeSet<String> = ours.difference(dnf).map(name).collect();
    let is =
        |set: &BTreeSet<String>, names: &[&str]| set.iter().map(String::as_str).eq(names.iter().copied());
    let rule = RULES.iter().find(|(_, theirs, taken)| is(&only_dnf, theirs) && is(&only_ours, taken));
    rule.map(|(rule, ..)| *rule).ok_or_else(|| {
        let (only_dnf, only_ours): (Vec<_>, Vec<_>) =
            (dnf.difference(ours).collect(), ours.difference(dnf).collect());
        format!("only dnf takes {only_dnf:?}, only we take {only_ours:?}")
    })
}

/// The indexes as locking makes them: metalink, `repomd.xml`, primary and filelists.
fn indexes(fixture: &Fixture) -> BTreeMap<Architecture, PackageIndex> {
    let server = fixture.serve(Behaviour::Honest);
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    let definition = UniverseDefinition::parse("fixture.yaml", &fixture.universe_yaml(&server)).unwrap();
    let mirrors = definition.repositories.iter().flat_map(|repository| repository.mirrors());
    let settings = FetchSettings {
        mirrors: mirrors.map(|(name, address)| (name, vec![address])).collect(),
        ..FetchSettings::default()
    };
    let keys = BTreeMap::from([(KEY_NAME.to_owned(), fixture.key().to_owned())]);
    let now: Epoch = "2026-01-10T06:00:00Z".parse().unwrap();
    load(&definition, &keys, &Fetcher::new(store, settings), now, &Silent).unwrap().packages
}

/// `name version architecture` of each package that we choose.
fn ours(index: &PackageIndex, names: &BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    let assumed = Assumed::default();
    let request = Request {
        packages: names.clone(),
        prefer: BTreeMap::new(),
        assumed: &assumed,
        blocked: BTreeMap::new(),
    };
    let resolution = resolve(index, &request).map_err(|error| error.to_string())?;
    let shown = |name: &str, version: &str, architecture: &str| {
        // The index tells packages for 32 bits apart by their names.
        let name = name.strip_suffix(".i686").unwrap_or(name);
        format!("{name} {version} {architecture}")
    };
    let chosen = resolution.packages.iter().map(|selected| {
        let record = &selected.record;
        shown(record.name, record.version, record.architecture)
    });
    Ok(chosen.collect())
}

/// dnf's own library in one process: its command line takes half a second for each set, and cuts long names.
const SCRIPT: &str = r#"
import sys, dnf
repository, scratch, architecture = sys.argv[1:]
base = dnf.Base()
base.conf.installroot = scratch + "/root"
base.conf.cachedir = scratch + "/cache"
base.conf.persistdir = scratch + "/persist"
base.conf.logdir = scratch
base.conf.reposdir = []
base.conf.plugins = False
base.conf.install_weak_deps = False
base.conf.best = False
base.conf.substitutions["releasever"] = "44"
base.conf.substitutions["arch"] = base.conf.substitutions["basearch"] = architecture
base.conf.ignorearch = True
added = dnf.repo.Repo("fixture", base.conf)
added.baseurl = ["file://" + repository]
base.repos.add(added)
base.fill_sack(load_system_repo=False)
for line in sys.stdin:
    base.reset(goal=True)
    try:
        for name in line.split():
            base.install(name)
        base.resolve()
        chosen = ["%s %s %s" % (p.name, p.evr, p.arch) for p in base.transaction.install_set]
        print("ok\t" + "\t".join(sorted(chosen)))
    except dnf.exceptions.Error as error:
        print("no\t" + " ".join(str(error).split()))
"#;

/// What dnf says to each set: `name version architecture` of each package that it would install, or why it cannot.
fn dnf(
    interpreter: &str,
    repository: &Path,
    architecture: Architecture,
    sets: &[&str],
) -> Vec<Result<BTreeSet<String>, String>> {
    let scratch = tempfile::tempdir().unwrap();
    fs_err::create_dir(scratch.path().join("root")).unwrap();
    let mut child = Command::new(interpreter)
        .args(["-c", SCRIPT])
        .args([repository, scratch.path()])
        .arg(architecture.rpm())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all((sets.join("\n") + "\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<_> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| match line.split_once('\t') {
            Some(("ok", chosen)) => Ok(chosen.split('\t').map(str::to_owned).collect()),
            _ => Err(line.to_owned()),
        })
        .collect();
    assert_eq!(answers.len(), sets.len());
    answers
}

/// What runs dnf: the Python that its own program names. dnf 5 is no Python program.
fn interpreter() -> Option<String> {
    let program = fs_err::read("/usr/bin/dnf").ok()?;
    let first = program.split(|byte| *byte == b'\n').next()?;
    let interpreter = std::str::from_utf8(first).ok()?.strip_prefix("#!")?;
    interpreter.split_whitespace().next().map(str::to_owned)
}

#[expect(clippy::print_stderr, reason = "the numbers of the comparison are this test's result")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn skipped(reason: &str) {
    report(&format!("skipped: agrees_with_dnf: {reason}"));
}
