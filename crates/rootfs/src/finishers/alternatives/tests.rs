//! Alternatives, and the same from `update-alternatives`.

use std::process::Command;

use super::*;
use crate::finishers::tests::{Bench, path, read_back, tool, write_out};

fn bench() -> Bench {
    let names = ["less", "mawk", "util-linux", "xz-utils", "tar"];
    let mut bench = Bench::new()
        .packages(&names)
        .directory("usr/bin")
        .link("bin", "usr/bin")
        .directory("etc/alternatives");
    for program in ["less", "more", "mawk", "xz", "xzcat", "unxz"] {
        bench = bench.file_with(&format!("usr/bin/{program}"), program, 0o755);
    }
    bench.file("usr/share/man/man1/mawk.1.gz", "").directory("var/lib/dpkg/alternatives").directory("var/log")
}

#[test]
fn the_best_program_that_is_there_wins() {
    let mut bench = bench().file("usr/bin/lzcat", "a real file");
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0777 0:0 /etc/alternatives/awk -> /usr/bin/mawk
    0777 0:0 /etc/alternatives/awk.1.gz -> /usr/share/man/man1/mawk.1.gz
    0777 0:0 /etc/alternatives/lzma -> /usr/bin/xz
    0777 0:0 /etc/alternatives/nawk -> /usr/bin/mawk
    0777 0:0 /etc/alternatives/nawk.1.gz -> /usr/share/man/man1/mawk.1.gz
    0777 0:0 /etc/alternatives/pager -> /usr/bin/less
    0777 0:0 /etc/alternatives/unlzma -> /usr/bin/unxz
    0777 0:0 /usr/bin/awk -> /etc/alternatives/awk
    0777 0:0 /usr/bin/lzma -> /etc/alternatives/lzma
    0777 0:0 /usr/bin/nawk -> /etc/alternatives/nawk
    0777 0:0 /usr/bin/pager -> /etc/alternatives/pager
    0777 0:0 /usr/bin/unlzma -> /etc/alternatives/unlzma
    0777 0:0 /usr/share/man/man1/awk.1.gz -> /etc/alternatives/awk.1.gz
    0777 0:0 /usr/share/man/man1/nawk.1.gz -> /etc/alternatives/nawk.1.gz
    ");
}

#[test]
fn state_is_for_images_with_dpkg() {
    let mut bench = bench().packages(&["dpkg"]);
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text("var/lib/dpkg/alternatives/awk"), @r"
    auto
    /usr/bin/awk
    awk.1.gz
    /usr/share/man/man1/awk.1.gz
    nawk
    /usr/bin/nawk
    nawk.1.gz
    /usr/share/man/man1/nawk.1.gz

    /usr/bin/mawk
    5
    /usr/share/man/man1/mawk.1.gz
    /usr/bin/mawk
    /usr/share/man/man1/mawk.1.gz
    ");
}

#[test]
fn chkconfig_keeps_a_state_of_its_own() {
    let mut bench = bench().file_with("usr/sbin/alternatives", "", 0o755);
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text("var/lib/alternatives/pager"), @r"
    auto
    /usr/bin/pager
    pager.1.gz
    /usr/share/man/man1/pager.1.gz

    /bin/more
    50
    /usr/share/man/man1/more.1.gz
    /usr/bin/less
    77
    /usr/share/man/man1/less.1.gz
    ");
    assert!(bench.tree.get(&path("var/lib/dpkg/alternatives/pager")).is_none());
}

/// The `--install` call of a registration.
fn install(root: &std::path::Path, registration: &Registration) -> Command {
    let mut command = Command::new("update-alternatives");
    let Registration { link, name, path, priority, .. } = registration;
    command.arg("--root").arg(root).arg("--log").arg(root.join("var/log/alternatives.log"));
    command.args(["--quiet", "--install", link, name, path, &priority.to_string()]);
    for Follower { link, name, path } in &registration.followers {
        command.args(["--slave", link, name, path]);
    }
    command
}

#[test]
fn oracle_update_alternatives_makes_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let mut bench = bench().packages(&["dpkg"]);
    for section in ["man1", "man8"] {
        bench = bench.directory(&format!("usr/share/man/{section}"));
    }
    write_out(&bench, directory.path());
    let registrations = bench.rules.alternatives.0.iter();
    let chosen = ["less", "mawk", "util-linux", "xz-utils"];
    for registration in registrations.filter(|one| chosen.contains(&one.package.as_str())) {
        if tool(&mut install(directory.path(), registration)).is_none() {
            return;
        }
    }
    bench.run(apply).unwrap();
    let ours = tempfile::tempdir().unwrap();
    write_out(&bench, ours.path());
    for below in ["etc/alternatives", "var/lib/dpkg/alternatives", "usr"] {
        assert_eq!(read_back(ours.path(), below), read_back(directory.path(), below), "{below}");
    }
}
