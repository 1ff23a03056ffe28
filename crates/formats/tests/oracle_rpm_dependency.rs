//! Rich dependencies beside rpm: what rpm takes in a `Requires` or a `Conflicts` we take, and write as rpm writes it;
//! what it refuses we refuse.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use calypte_formats::rpm_dependency::parse;

const CASES: &[&str] = &[
    "a",
    "a >= 1:2~3^4-5.fc44",
    "a => 1",
    "a == 1",
    "a =< 1",
    "libc.so.6(GLIBC_2.34)(64bit)",
    "/usr/bin/a",
    "_a",
    "é",
    "-a",
    "$a",
    "a >=",
    "a >= 1-2-3",
    "a >= 1:2:3",
    "a >= x:1",
    "a = 1/2",
    "a = 1..2",
    "a = 1é",
    "x = 1 = 2",
    "(a)",
    "((a))",
    "(a >= 1)",
    "(a or b)",
    "((a or b))",
    "(a and b and c and d)",
    "(  a   and,b , )",
    "(a   and     b )",
    "(a or ,b)",
    "(a < 1 or b >= 2-3)",
    "(a<1 or b)",
    "(a => 1 or b)",
    "(a(b) or c(d)(e) >= 1)",
    "(and and or)",
    "(or)",
    "(a if b)",
    "(a if b else c)",
    "(a = 1 if b = 2 else c = 3)",
    "(a unless b)",
    "(a unless b else c)",
    "(a with b with c)",
    "(a without b)",
    "((a or b) with c)",
    "(a with (b without c))",
    "((a with b) if c)",
    "(a and (b if c))",
    "((a and (b if c)) or c)",
    "(a if (b unless c))",
    "(a unless (b if c))",
    "(a if (b or (c unless d)))",
    "(a unless b else (c unless d))",
    "(((a unless b) or c) and d)",
    "((a or b)and c)",
    "()",
    "( )",
    "(",
    ")",
    "(a",
    "(a or",
    "(a or b",
    "(a and )",
    "(a or b))",
    "(a or b) >= 1",
    "(a xor b)",
    "(a AND b)",
    "(a,b)",
    "(a b)",
    "(a ifb)",
    "(a >= or b)",
    "(a or b >=)",
    "(a > = or b)",
    "(a <> 1 or b)",
    "(a = 1 = 2 or b)",
    "(a >= 1-2-3 or b)",
    "(a > 1/2 or b)",
    "(a > (1) or b)",
    "(-a or b)",
    "(a or b and c)",
    "(a and b if c)",
    "(a if b and c)",
    "(a if b unless c)",
    "(a if b else c else d)",
    "(a if b else c if d)",
    "(a without b without c)",
    "(a without b with c)",
    "((a if b) or c)",
    "(a or (b or (c if d)))",
    "(((a if b)) or c)",
    "((a unless b) and c)",
    "((a if b) unless c)",
    "((a unless b) if c)",
    "(a if b else (c unless d))",
    "((a and b) with c)",
    "(((a and b)) with c)",
    "((a or (b and c)) with d)",
    "((a if b) with c)",
    "(a without (b and c))",
    "(a (b or c))",
    "((a or b) c)",
    "(a and(b or c))",
];

/// What rpm takes and we do not, since nobody could say what it means.
const OURS: &[&str] =
    &["(a else b)", "a(b", "a)b", "(a(b or c)", "(a > 1- or b)", "(a > :1 or b)", "(a > -1 or b)"];

/// The relations that rpm reads in a package with this one, or its error.
fn asked_of_rpm(directory: &Path, tag: &str, relation: &str) -> Result<String, String> {
    let path = directory.join("case.spec");
    let mut spec = OpenOptions::new().write(true).create(true).truncate(true).open(&path).unwrap();
    writeln!(
        spec,
        "Name: case\nVersion: 1\nRelease: 1\nSummary: s\nLicense: l\n{tag}s: {relation}\n%description"
    )
    .unwrap();
    let format = format!("[%{{{}NEVRS}}\\n]", tag.to_uppercase());
    let output = Command::new("rpmspec").args(["-q", "--qf", &format]).arg(&path).output().unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap().trim_end().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What rpm makes of a relation in the kinds that read it differently; its last error when neither takes it.
fn written_by_rpm(directory: &Path, relation: &str) -> Result<String, String> {
    // The manual: `if` is no use in a conflict, nor `unless` in what is required.
    asked_of_rpm(directory, "Require", relation).or_else(|_| asked_of_rpm(directory, "Conflict", relation))
}

#[test]
fn oracle_rpm_takes_the_same_relations() {
    if Command::new("rpmspec").arg("--version").output().is_err() {
        _ = writeln!(std::io::stderr(), "skipped: there is no rpmspec on this machine");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut taken = 0;
    for relation in CASES {
        let ours = parse(relation).map(|expression| expression.to_string());
        match (ours, written_by_rpm(directory.path(), relation)) {
            // rpm drops the blanks, and keeps parentheses that enclose one operand alone.
            (Ok(ours), Ok(rpm)) => {
                let again = parse(&rpm).unwrap_or_else(|error| panic!("{relation}: {error}"));
                assert_eq!(again.to_string(), ours, "{relation}");
                taken += 1;
            }
            (Err(_), Err(_)) => {}
            (ours, rpm) => panic!("`{relation}`: we say {ours:?}, rpm says {rpm:?}"),
        }
    }
    assert!(taken > 30 && CASES.len() - taken > 30, "{taken} of {} are good", CASES.len());
    for relation in OURS {
        assert!(parse(relation).is_err(), "{relation}");
        assert!(written_by_rpm(directory.path(), relation).is_ok(), "{relation}: rpm refuses it too");
    }
}
