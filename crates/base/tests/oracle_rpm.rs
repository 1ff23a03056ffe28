//! RPM versions beside rpm itself: 10,000 pairs, made from the pieces that real versions are made of, must compare as
//! rpm's own `vercmp` has them.

use std::fmt::Write as _;
use std::process::Command;

use calypte_base::version::RpmVersion;

const PAIRS: usize = 10_000;

/// Pairs that rpm is asked for in one command: as many as an argument has room for.
const BATCH: usize = 500;

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
    "..",
    "_",
    "+",
    "/",
    "=",
    "~",
    "~~",
    "^",
    "^^",
    "^~",
    "~^",
    "-",
    "-",
    "--",
    "a",
    "b",
    "Z",
    "rc1",
    "~rc1",
    "^20260101git1a2b3c4",
    "~beta.2",
    "-1.fc44",
    "-0",
    "-0.1.fc44",
    "-1.el9_4",
    "ä",
    "é",
];

/// Knuth's MMIX generator: the same pairs on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn version(&mut self) -> String {
        let epoch = ["", "", "", "", "0:", "1:", "2:", "00:", "010:"][self.below(9)];
        let first = ["0", "1", "2", "a", "~", "^", "."][self.below(7)];
        let mut text = format!("{epoch}{first}");
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
        let mut at = self.below(right.len() + 1);
        while !right.is_char_boundary(at) {
            at -= 1;
        }
        match self.below(3) {
            0 if at < right.len() => drop(right.remove(at)),
            _ => right.insert_str(at, PIECES[self.below(PIECES.len())]),
        }
        (left, right)
    }
}

fn valid_pairs() -> Vec<(String, String)> {
    let mut random = Random(20_260_816);
    let valid = |text: &str| RpmVersion::parse(text).is_ok();
    let pairs = std::iter::from_fn(|| Some(random.pair()));
    pairs.filter(|(left, right)| valid(left) && valid(right)).take(PAIRS).collect()
}

/// What rpm says of each pair: -1, 0 or 1.
fn asked_of_rpm(pairs: &[(String, String)]) -> Vec<i32> {
    let mut expression = String::from("%{lua:");
    for (left, right) in pairs {
        write!(expression, "print(rpm.vercmp('{left}','{right}')..' ') ").unwrap();
    }
    expression.push('}');
    let output = Command::new("rpm").args(["--eval", &expression]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "rpm takes each of these versions");
    let answers = String::from_utf8(output.stdout).unwrap();
    answers.split_whitespace().map(|answer| answer.parse().unwrap()).collect()
}

#[test]
fn compares_as_rpm_does() {
    if Command::new("rpm").arg("--version").output().is_err() {
        return report("skipped: compares_as_rpm_does: there is no rpm on this machine");
    }
    let pairs = valid_pairs();
    assert_eq!(pairs.len(), PAIRS);
    let mut seen = [0_usize; 3];
    for batch in pairs.chunks(BATCH) {
        let answers = asked_of_rpm(batch);
        assert_eq!(answers.len(), batch.len());
        for ((left, right), answer) in batch.iter().zip(answers) {
            let order = RpmVersion::parse(left).unwrap().cmp(&RpmVersion::parse(right).unwrap());
            assert_eq!(order as i32, answer, "`{left}` and `{right}`");
            seen[usize::try_from(order as i32 + 1).unwrap()] += 1;
            let back = RpmVersion::parse(right).unwrap().cmp(&RpmVersion::parse(left).unwrap());
            assert_eq!(back, order.reverse(), "`{right}` and `{left}`");
        }
    }
    assert!(seen.iter().all(|count| *count > PAIRS / 50), "the pairs are too much alike: {seen:?}");
    let [less, equal, greater] = seen;
    report(&format!("rpm oracle: {PAIRS} pairs agree ({less} less, {equal} equal, {greater} greater)"));
}

#[expect(clippy::print_stderr, reason = "the numbers of the comparison are this test's result")]
fn report(text: &str) {
    eprintln!("{text}");
}
