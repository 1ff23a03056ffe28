//! Debian versions beside dpkg itself: 10,000 pairs, made from the pieces that real versions are made of, must compare
//! as `dpkg --compare-versions` has them.

use std::cmp::Ordering;
use std::io::Write as _;
use std::process::{Command, Stdio};

use calypte_base::version::DebVersion;

const PAIRS: usize = 10_000;

/// What versions are made of; close neighbours on purpose, since random ones differ at the first character.
const PIECES: &[&str] = &[
    "0",
    "1",
    "2",
    "9",
    "10",
    "01",
    "00",
    "007",
    "123456789012345678901234567890",
    ".",
    ".",
    ".0",
    ".1",
    "+",
    "~",
    "~~",
    "-",
    "a",
    "b",
    "Z",
    "rc1",
    "~rc1",
    "+dfsg",
    "+really1.2",
    "~bpo12+1",
    "+b1",
    "+deb13u1",
    "-1",
    "-0",
    "-1ubuntu2",
    "git20260101",
];

/// Knuth's MMIX generator: the same pairs on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn version(&mut self) -> String {
        let epoch = ["", "", "", "", "0:", "1:", "2:", "00:", "10:"][self.below(9)];
        let mut text = format!("{epoch}{}", self.below(3));
        for _ in 0..self.below(6) {
            text.push_str(PIECES[self.below(PIECES.len())]);
        }
        text
    }

    /// Half of the pairs differ in one place only.
    fn pair(&mut self) -> (String, String) {
        let left = self.version();
        if self.below(2) == 0 {
            return (left, self.version());
        }
        let mut right = left.clone();
        let at = self.below(right.len() + 1);
        match self.below(3) {
            0 if at < right.len() => drop(right.remove(at)),
            _ => right.insert_str(at, PIECES[self.below(PIECES.len())]),
        }
        (left, right)
    }
}

fn valid_pairs() -> Vec<(String, String)> {
    let mut random = Random(20_260_816);
    let valid = |text: &str| text.parse::<DebVersion>().is_ok();
    let pairs = std::iter::from_fn(|| Some(random.pair()));
    pairs.filter(|(left, right)| valid(left) && valid(right)).take(PAIRS).collect()
}

/// Those of the statements `left lt|eq|gt right` that dpkg denies. One shell asks for all of them.
fn denied_by_dpkg(statements: String) -> String {
    let script = "while read -r left order right; do \
        dpkg --compare-versions \"$left\" \"$order\" \"$right\" || echo \"$left $order $right\"; done; echo end";
    let mut shell = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(statements.as_bytes()).unwrap());
    let output = shell.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "dpkg takes each of these versions");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn compares_as_dpkg_does() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        return report("skipped: compares_as_dpkg_does: there is no dpkg on this machine");
    }
    let mut seen = [0_usize; 3];
    let statements: Vec<String> = valid_pairs()
        .into_iter()
        .map(|(left, right)| {
            let (place, order) = match left.parse::<DebVersion>().unwrap().cmp(&right.parse().unwrap()) {
                Ordering::Less => (0, "lt"),
                Ordering::Equal => (1, "eq"),
                Ordering::Greater => (2, "gt"),
            };
            seen[place] += 1;
            format!("{left} {order} {right}\n")
        })
        .collect();
    assert_eq!(statements.len(), PAIRS);
    assert!(seen.iter().all(|count| *count > PAIRS / 50), "the pairs are too much alike: {seen:?}");
    let halves: Vec<String> = statements.chunks(PAIRS / 2).map(<[String]>::concat).collect();
    let asked: Vec<_> = halves.into_iter().map(|half| std::thread::spawn(|| denied_by_dpkg(half))).collect();
    for denied in asked {
        assert_eq!(denied.join().unwrap(), "end\n", "dpkg denies what we say");
    }
    let [less, equal, greater] = seen;
    report(&format!("dpkg oracle: {PAIRS} pairs agree ({less} less, {equal} equal, {greater} greater)"));
}

#[test]
fn refuses_what_dpkg_refuses() {
    if Command::new("dpkg").arg("--version").output().is_err() {
        return report("skipped: refuses_what_dpkg_refuses: there is no dpkg on this machine");
    }
    let accepted = |text: &str| {
        let output = Command::new("dpkg").args(["--validate-version", text]).output().unwrap();
        output.status.success()
    };
    for text in [
        "1",
        "1.0-1",
        "0:1",
        "1:2:3",
        "a1",
        "1-",
        "-1",
        ":1",
        "1:",
        "x:1",
        "1 1",
        "1_1",
        "1.0-a_b",
        "1.0-a:b",
        "~1",
        "1~",
        "1+-1",
        "99999999999:1",
        "2147483647:1",
        "2147483648:1",
        "1:-1",
        "1--1",
        "ä",
        "1ä",
        "",
    ] {
        assert_eq!(text.parse::<DebVersion>().is_ok(), accepted(text), "{text}");
    }
}

#[expect(clippy::print_stderr, reason = "the numbers of the comparison are this test's result")]
fn report(text: &str) {
    eprintln!("{text}");
}
