//! The list of shells, and the same from `update-shells`.

use std::process::Command;

use super::*;
use crate::finishers::tests::{Bench, read_back, tool, write_out};

fn bench() -> Bench {
    Bench::new()
        .file("usr/share/debianutils/shells", "# /etc/shells: valid login shells\n/bin/sh\n")
        .file("usr/share/debianutils/shells.d/bash", "/bin/bash\n/bin/rbash#restricted\n")
        .file("usr/share/debianutils/shells.d/dash", "/usr/bin/dash\n")
        .directory("usr/bin")
        .link("bin", "usr/bin")
        .directory("etc")
        .directory("var/lib")
}

#[test]
fn each_shell_is_listed_under_both_paths() {
    let mut bench = bench();
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text("etc/shells"), @r"
    # /etc/shells: valid login shells
    /bin/sh
    /usr/bin/sh
    /bin/bash
    /usr/bin/bash
    /bin/rbash
    /usr/bin/rbash
    /usr/bin/dash
    ");
    assert_eq!(bench.text("var/lib/shells.state").lines().count(), 7);
}

#[test]
fn oracle_update_shells_writes_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = bench();
    write_out(&bench, directory.path());
    if tool(Command::new("update-shells").arg("--root").arg(directory.path())).is_none() {
        return;
    }
    bench.run(apply).unwrap();
    for name in ["etc/shells", "var/lib/shells.state"] {
        assert_eq!(bench.text(name), read_back(directory.path(), name)[name], "{name}");
    }
}
