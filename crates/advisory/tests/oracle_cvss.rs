//! Base scores beside Red Hat's `cvss` for Python: every vector of CVSS 2.0, 3.0 and 3.1, and every 13th of 4.0.

use std::io::Write as _;
use std::process::{Command, Stdio};

use calypte_advisory::severity::base_score;

const SCRIPT: &str = "\
import sys
from cvss import CVSS2, CVSS3, CVSS4
for line in sys.stdin:
    line = line.strip()
    kind = CVSS4 if line.startswith('CVSS:4') else CVSS3 if line.startswith('CVSS:3') else CVSS2
    print(float(kind(line).base_score))
";

/// Every vector that these metrics and values make.
fn vectors(prefix: &str, metrics: &[(&str, &str)]) -> Vec<String> {
    metrics.iter().fold(vec![prefix.to_owned()], |begun, (name, values)| {
        let with = |begun: &String, value: char| match begun.is_empty() {
            true => format!("{name}:{value}"),
            false => format!("{begun}/{name}:{value}"),
        };
        begun.iter().flat_map(|begun| values.chars().map(|value| with(begun, value))).collect()
    })
}

fn all() -> Vec<String> {
    let two = [("AV", "LAN"), ("AC", "HML"), ("Au", "MSN"), ("C", "NPC"), ("I", "NPC"), ("A", "NPC")];
    let three = [
        ("AV", "NALP"),
        ("AC", "LH"),
        ("PR", "NLH"),
        ("UI", "NR"),
        ("S", "UC"),
        ("C", "NLH"),
        ("I", "NLH"),
        ("A", "NLH"),
    ];
    let four = [
        ("AV", "NALP"),
        ("AC", "LH"),
        ("AT", "NP"),
        ("PR", "NLH"),
        ("UI", "NPA"),
        ("VC", "HLN"),
        ("VI", "HLN"),
        ("VA", "HLN"),
        ("SC", "HLN"),
        ("SI", "HLN"),
        ("SA", "HLN"),
    ];
    let mut all = vectors("", &two);
    all.extend(vectors("CVSS:3.0", &three));
    all.extend(vectors("CVSS:3.1", &three));
    all.extend(vectors("CVSS:4.0", &four).into_iter().step_by(13));
    all
}

#[test]
fn scores_as_the_python_library_does() {
    let there = Command::new("python3").args(["-c", "from cvss import CVSS4"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        return report(
            "skipped: scores_as_the_python_library_does: python3 with the module cvss is not on this machine",
        );
    }
    let mut python = Command::new("python3");
    let mut python =
        python.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let all = all();
    let (mut input, lines) = (python.stdin.take().unwrap(), all.join("\n"));
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.lines().count(), all.len());
    let differs = |(vector, theirs): (&String, &str)| {
        let (ours, theirs) = (base_score(vector).unwrap().1, theirs.parse::<f64>().unwrap());
        ((ours - theirs).abs() > 1e-9).then(|| format!("{vector}: {theirs}, we say {ours}"))
    };
    let wrong: Vec<String> = all.iter().zip(theirs.lines()).filter_map(differs).collect();
    assert!(wrong.is_empty(), "{} differ: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    report(&format!("cvss oracle: {} vectors have the same score", all.len()));
}

#[expect(clippy::print_stderr, reason = "the numbers of the comparison are this test's result")]
fn report(text: &str) {
    eprintln!("{text}");
}
