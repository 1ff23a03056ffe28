//! Versions beside the tools of their ecosystems: thousands of pairs, made from the pieces that real versions are made of,
//! must compare as the tool has them. (dpkg and rpm judge `calypte-base`.) A tool that is missing is reported as skipped.

use std::cmp::Ordering;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use calypte_advisory::versions::Scheme;

const PAIRS: usize = 5_000;

/// Knuth's MMIX generator: the same pairs on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn version(&mut self, kit: &Kit) -> String {
        let mut text = self.pick(kit.begin).to_owned();
        for _ in 0..self.below(kit.longest) {
            text.push_str(self.pick(kit.pieces));
        }
        text
    }

    /// Two of three pairs differ in one place only.
    fn pair(&mut self, kit: &Kit) -> (String, String) {
        let left = self.version(kit);
        if self.below(3) == 0 {
            return (left, self.version(kit));
        }
        let mut right = left.clone();
        let mut at = self.below(right.len() + 1);
        while !right.is_char_boundary(at) {
            at -= 1;
        }
        match self.below(3) {
            0 if at < right.len() => drop(right.remove(at)),
            1 => right.push_str(self.pick(kit.pieces)),
            _ => right.insert_str(at, self.pick(kit.pieces)),
        }
        (left, right)
    }
}

/// What versions of a scheme are made of; close neighbours on purpose, since random ones differ at the first character.
struct Kit {
    begin: &'static [&'static str],
    pieces: &'static [&'static str],
    longest: usize,
}

impl Kit {
    fn pairs(&self, count: usize) -> Vec<(String, String)> {
        let mut random = Random(20_260_816);
        std::iter::from_fn(|| Some(random.pair(self)))
            .filter(|(left, right)| !left.is_empty() && !right.is_empty())
            .take(count)
            .collect()
    }
}

/// Gives a command the pairs, one a line with a tab between, and reads its word on each: `<`, `=`, `>` or, for what it
/// takes for no version, `!`.
fn ask(mut command: Command, pairs: &[(String, String)]) -> Vec<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: String = pairs.iter().map(|(left, right)| format!("{left}\t{right}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Whether we must refuse what the tool refuses, or may take more than it does. What it takes only when it is lenient (`?`
/// before its word) we may refuse, but not compare otherwise.
#[derive(PartialEq)]
enum Refusals {
    Same,
    Fewer,
}

fn judge(tool: &str, scheme: Scheme, pairs: &[(String, String)], words: &[String], refusals: &Refusals) {
    assert_eq!(words.len(), pairs.len(), "{tool} has a word on each pair");
    let (mut seen, mut refused, mut wrong) = ([0_usize; 3], 0, Vec::new());
    for ((left, right), word) in pairs.iter().zip(words) {
        let ours = scheme.compare(left, right);
        let place = match ours {
            Ok(Ordering::Less) => "<",
            Ok(Ordering::Equal) => "=",
            Ok(Ordering::Greater) => ">",
            Err(_) => "!",
        };
        if place == "!" && word.starts_with('?') {
            refused += 1;
            continue;
        }
        let word = word.trim_start_matches('?');
        match word {
            "!" => refused += 1,
            "<" => seen[0] += 1,
            "=" => seen[1] += 1,
            _ => seen[2] += 1,
        }
        if place != word && !(word == "!" && *refusals == Refusals::Fewer) {
            wrong.push(format!(
                "{left} {word} {right}: we say {place} {}",
                ours.map_or_else(|e| e.reason, |_| String::new())
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        pairs.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
    let [less, equal, greater] = seen;
    assert!(less + equal + greater >= 2_000, "too few are versions: {seen:?}");
    assert!(seen.iter().all(|count| *count > 50), "the pairs are too much alike: {seen:?}");
    report(&format!(
        "{tool} oracle: {} pairs agree ({less} less, {equal} equal, {greater} greater, {refused} refused)",
        pairs.len()
    ));
}

#[expect(clippy::print_stderr, reason = "the numbers of the comparison are this test's result")]
fn report(text: &str) {
    eprintln!("{text}");
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn compares_as_packaging_does() {
    let script = |module: &str| {
        format!(
            "import sys\n\
             from {module}.version import Version, InvalidVersion\n\
             for line in sys.stdin:\n\
             \x20   a, b = line.rstrip('\\n').split('\\t')\n\
             \x20   try: a, b = Version(a), Version(b)\n\
             \x20   except InvalidVersion: print('!'); continue\n\
             \x20   print('<' if a < b else '>' if a > b else '=')\n"
        )
    };
    let found = ["packaging", "pip._vendor.packaging"]
        .into_iter()
        .find(|module| runs("python3", &["-c", &format!("import {module}.version")]));
    let Some(module) = found else {
        return report(
            "skipped: compares_as_packaging_does: python3 with packaging (or pip) is not on this machine",
        );
    };
    let kit = Kit {
        begin: &["0", "1", "1.0", "2", "1!0", "v1", "V1.", "01", "1.2.3", "20260101", "1!", "!1"],
        pieces: &[
            ".0",
            ".1",
            ".10",
            ".01",
            "0",
            "1",
            "99999999999999999999",
            "a",
            "a1",
            "b2",
            "rc1",
            "RC",
            ".alpha.1",
            "-beta-2",
            "_c",
            "preview3",
            ".pre",
            ".post1",
            "-1",
            ".post",
            "rev2",
            "r3",
            "-r4",
            ".dev1",
            "dev",
            "-dev_2",
            "+local",
            "+1.ubuntu-2",
            ".x",
            "+Ab",
            "-",
            ".",
            "_",
            "!",
        ],
        longest: 5,
    };
    let pairs = kit.pairs(2 * PAIRS);
    let mut python = Command::new("python3");
    python.args(["-c", &script(module)]);
    judge(module, Scheme::Pep440, &pairs, &ask(python, &pairs), &Refusals::Same);
}

#[test]
fn compares_as_node_semver_does() {
    let root = Command::new("npm").args(["root", "-g"]).output();
    let root = root.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let library = PathBuf::from(root.trim()).join("npm/node_modules/semver");
    if !library.is_dir() || !runs("node", &["--version"]) {
        return report("skipped: compares_as_node_semver_does: node with npm is not on this machine");
    }
    let kit = Kit {
        begin: &[
            "0.0.0",
            "1.0.0",
            "1.2.3",
            "v1.2.3",
            "=1.2.3",
            "1.10.0",
            "01.2.3",
            "1.2",
            "1",
            "1.2.3-alpha",
            "2.0.0-rc.1",
        ],
        pieces: &[
            "-",
            "-0",
            "-1",
            "-alpha",
            "-alpha.1",
            ".1",
            ".2",
            ".10",
            ".01",
            ".beta",
            ".x-y",
            "-rc.1",
            "-rc1",
            "beta",
            "+build",
            "+1.2",
            ".0",
            "0",
            "1",
            "A",
            ".-",
            "--",
            "..",
            "-12345678901",
            "_",
        ],
        longest: 4,
    };
    let pairs = kit.pairs(2 * PAIRS);
    let mut node = Command::new("node");
    node.args([
        "-e",
        "const semver = require(process.argv[1]); \
         const lines = require('fs').readFileSync(0, 'utf8').trimEnd().split('\\n'); \
         console.log(lines.map((line) => { const [a, b] = line.split('\\t'); \
         const strict = semver.valid(a) && semver.valid(b) ? '' : '?'; \
         try { return strict + '<=>'[semver.compare(a, b, { loose: true }) + 1] } catch { return '!' } }).join('\\n'))",
    ]);
    node.arg(library);
    judge("node-semver", Scheme::Semver, &pairs, &ask(node, &pairs), &Refusals::Fewer);
}

/// The package `semver` out of Go's own tree (it vendors golang.org/x/mod), and `go/version` of its library.
const GO_PROGRAM: &str = r#"package main

import (
	"bufio"
	"fmt"
	"go/version"
	"os"
	"strings"

	"oracle/semver"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		a, b, _ := strings.Cut(lines.Text(), "\t")
		switch {
		case strings.HasPrefix(a, "v") && semver.IsValid(a) && semver.IsValid(b):
			fmt.Println("<=>"[semver.Compare(a, b)+1 : semver.Compare(a, b)+2])
		case version.IsValid(a) && version.IsValid(b):
			fmt.Println("<=>"[version.Compare(a, b)+1 : version.Compare(a, b)+2])
		default:
			fmt.Println("!")
		}
	}
}
"#;

fn build_go_program(folder: &Path) -> Option<PathBuf> {
    let root = Command::new("go").args(["env", "GOROOT"]).output().ok()?;
    let root = PathBuf::from(String::from_utf8(root.stdout).ok()?.trim());
    let semver = root.join("src/cmd/vendor/golang.org/x/mod/semver/semver.go");
    fs_err::create_dir(folder.join("semver")).ok()?;
    fs_err::copy(semver, folder.join("semver/semver.go")).ok()?;
    fs_err::write(folder.join("go.mod"), "module oracle\n\ngo 1.22\n").ok()?;
    fs_err::write(folder.join("main.go"), GO_PROGRAM).ok()?;
    let program = folder.join("oracle");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg(".").current_dir(folder).env("GOTOOLCHAIN", "local");
    build.status().is_ok_and(|status| status.success()).then_some(program)
}

#[test]
fn compares_as_go_does() {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = build_go_program(folder.path()) else {
        return report(
            "skipped: compares_as_go_does: Go, or the copy of golang.org/x/mod in its tree, is not on this machine",
        );
    };
    let modules = Kit {
        begin: &["v0.0.0", "v1.0.0", "v1.2.3", "v1.10.0", "v1.2", "v1", "v0.0.0-20260101000000-abcdefabcdef"],
        pieces: &[
            "-0",
            "-alpha",
            "-alpha.1",
            ".1",
            ".2",
            ".10",
            ".beta",
            ".0.20260102030405-0123456789ab",
            "+incompatible",
            "-0.20250101000000-abcdefabcdef",
            "-rc.1",
            "-pre",
            "0",
            "1",
            "A",
            "--",
        ],
        longest: 4,
    };
    let releases = Kit {
        begin: &[
            "go1",
            "go1.9",
            "go1.20",
            "go1.21",
            "go1.21.0",
            "go1.21.3",
            "go1.22",
            "go1.9.7",
            "go1.21rc2",
            "go2",
        ],
        pieces: &[
            "rc1", "rc2", "rc10", "beta1", "beta2", "alpha", ".0", ".1", ".10", "0", "1", "-vendor", "-1",
        ],
        longest: 3,
    };
    for (name, kit) in [("golang.org/x/mod/semver", modules), ("go/version", releases)] {
        let pairs = kit.pairs(2 * PAIRS);
        let words = ask(Command::new(&program), &pairs);
        judge(name, Scheme::Go, &pairs, &words, &Refusals::Fewer);
    }
}

/// The jar of Maven 3 that has `ComparableVersion`; Maven 4 has other rules.
fn maven_jar() -> Option<PathBuf> {
    let folders = ["/usr/share/maven/lib", "/usr/share/java"];
    let files = folders.iter().filter_map(|folder| fs_err::read_dir(folder).ok()).flatten().flatten();
    let mut jars: Vec<_> = files.map(|file| file.path()).filter(|path| is_maven_artifact(path)).collect();
    jars.sort();
    jars.into_iter().find(|jar| {
        // Names of members stand in a jar as they are.
        let bytes = fs_err::read(jar).unwrap_or_default();
        let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
        holds(b"ComparableVersion.class") && !holds(b"CombinationItem")
    })
}

fn is_maven_artifact(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    (name.starts_with("maven-artifact") || name.starts_with("maven3-artifact")) && name.ends_with(".jar")
}

fn compare_with_maven(jar: &Path) {
    let kit = Kit {
        begin: &[
            "0",
            "1",
            "1.0",
            "1.0.0",
            "2",
            "10",
            "1.2.3",
            "1-1",
            "1.0-alpha",
            "1-rc",
            "alpha",
            "1a",
            "v1",
        ],
        pieces: &[
            ".0",
            ".1",
            ".2",
            ".10",
            ".01",
            "0",
            "1",
            "-",
            ".",
            "-0",
            "-1",
            "-2",
            "-alpha",
            ".alpha",
            "alpha1",
            "-alpha-1",
            "a1",
            "-b2",
            "-m3",
            "-RC1",
            ".rc2",
            "-cr1",
            "-SNAPSHOT",
            "-ga",
            ".Final",
            ".RELEASE",
            "-release",
            "-sp",
            "-sp-1",
            ".sp1",
            "-jre",
            ".jre8",
            "-x",
            ".x",
            "x1",
            ".v20260101",
            "1234567890",
            "99999999999999999999",
            "--",
            "..",
            "_1",
            "ä",
            "-20260101.120000-3",
        ],
        longest: 5,
    };
    // Its program compares each of its arguments with the next.
    let versions: Vec<String> =
        kit.pairs(PAIRS).into_iter().flat_map(|(left, right)| [left, right]).collect();
    let (mut pairs, mut words) = (Vec::new(), Vec::new());
    for batch in versions.chunks(2_000) {
        let mut java = Command::new("java");
        java.args(["-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp"])
            .arg(jar);
        java.arg("org.apache.maven.artifact.versioning.ComparableVersion")
            .args(batch)
            .env("LC_ALL", "C.UTF-8");
        let output = java.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = String::from_utf8(output.stdout).unwrap();
        for line in output.lines().filter(|line| line.starts_with("   ")) {
            let [left, word, right] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            pairs.push((left.to_owned(), right.to_owned()));
            words.push(word.get(..1).unwrap().to_owned());
        }
    }
    assert!(pairs.len() > PAIRS);
    judge(&format!("ComparableVersion of {}", jar.display()), Scheme::Maven, &pairs, &words, &Refusals::Same);
}

#[test]
fn compares_as_maven_does() {
    match maven_jar() {
        Some(jar) if runs("java", &["-version"]) => compare_with_maven(&jar),
        _ => report(
            "skipped: compares_as_maven_does: java with maven-artifact of Maven 3 is not on this machine",
        ),
    }
}

#[test]
#[ignore = "oracle: Maven 3.9 from its repository"]
fn compares_as_maven_3_9_does() {
    let folder = tempfile::tempdir().unwrap();
    let target = format!("-DoutputDirectory={}", folder.path().display());
    let artifact = "-Dartifact=org.apache.maven:maven-artifact:3.9.16";
    if !runs("mvn", &["-q", "-B", "dependency:copy", artifact, &target]) {
        return report("skipped: compares_as_maven_3_9_does: maven-artifact 3.9.16 is not to be had");
    }
    compare_with_maven(&folder.path().join("maven-artifact-3.9.16.jar"));
}

#[test]
fn compares_as_apk_does() {
    if !runs("apk", &["--version"]) {
        return report(
            "skipped: compares_as_apk_does: apk-tools is not on this machine (a table of its rules is tested)",
        );
    }
    let kit = Kit {
        begin: &["0", "1", "1.0", "1.2.3", "01", "1.01", "1.09", "1.9", "1.10", "20260101"],
        pieces: &[
            ".0",
            ".1",
            ".2",
            ".10",
            ".01",
            ".010",
            "0",
            "1",
            "a",
            "b",
            "z",
            "_alpha",
            "_alpha1",
            "_beta2",
            "_pre",
            "_rc1",
            "_rc",
            "_cvs",
            "_svn3",
            "_git20260101",
            "_hg",
            "_p",
            "_p1",
            "_p10",
            "-r0",
            "-r1",
            "-r10",
            "~abc123",
            "~0",
        ],
        longest: 5,
    };
    // It compares as far as it understands, and says nothing of what it does not: only versions are asked for.
    let candidates = kit.pairs(2 * PAIRS);
    for (text, _) in candidates.iter().take(400) {
        let valid = runs("apk", &["version", "--check", text]);
        assert_eq!(Scheme::Apk.compare(text, text).is_ok(), valid, "{text}");
    }
    let valid = |(left, right): &(String, String)| Scheme::Apk.compare(left, right).is_ok();
    let pairs: Vec<_> = candidates.into_iter().filter(valid).collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", "while read -r left right; do apk version -t \"$left\" \"$right\"; done"]);
    judge("apk", Scheme::Apk, &pairs, &ask(shell, &pairs), &Refusals::Same);
}
