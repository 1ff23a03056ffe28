//! tmpfiles.d lines, done to a small tree.

use super::*;
use crate::finishers::tests::{Bench, path};

#[test]
fn what_an_image_can_hold_is_made() {
    let lines = "\
d /var/log/valkey 2750 valkey adm
d /run/valkey - 402 402
f /etc/motd 0600 - - - hello\\n
f /etc/there 0600 - - - other
L /etc/link - - - - ../motd
L? /etc/none - - - - /nowhere
C /etc/copy - - - - /usr/share/tree
d /tmp/x
r! /etc/passwd.lock
c /var/null - - - - 1:3
";
    let mut bench = Bench::new()
        .file("usr/lib/tmpfiles.d/a.conf", lines)
        .file("usr/lib/tmpfiles.d/b.conf", "d /var/not\n")
        .file("etc/tmpfiles.d/b.conf", "")
        .file("etc/there", "mine")
        .file_with("usr/share/tree/sub/program", "x", 0o755);
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0755 0:0 /etc/copy/
    0755 0:0 /etc/copy/sub/
    0755 0:0 /etc/copy/sub/program
    0777 0:0 /etc/link -> ../motd
    0600 0:0 /etc/motd
    0755 0:0 /run/
    0755 402:402 /run/valkey/
    0755 0:0 /var/
    0755 0:0 /var/log/
    2750 402:4 /var/log/valkey/
    ");
    assert_eq!((bench.text("etc/motd"), bench.text("etc/there")), ("hello\n".into(), "mine".into()));
    assert_eq!(bench.tree.get(&path("etc/there")).unwrap().mode, 0o600);
}

#[test]
fn a_tree_is_given_away_without_making_its_files_executable() {
    let mut bench = Bench::new()
        .file("usr/lib/tmpfiles.d/v.conf", "Z /etc/valkey 2770 valkey valkey\nz /etc/v* :0700 root :root\n")
        .file_with("etc/valkey/valkey.conf", "", 0o640)
        .link("etc/valkey/link", "/etc/shadow");
    bench.run(apply).unwrap();
    let node = |name: &str| {
        let node = bench.tree.get(&path(name)).unwrap();
        (node.mode, node.uid, node.gid)
    };
    assert_eq!(node("etc/valkey"), (0o2770, 0, 402));
    assert_eq!(node("etc/valkey/valkey.conf"), (0o660, 402, 402));
    assert_eq!(node("etc/valkey/link"), (0o777, 0, 0));
}

#[test]
fn unknown_accounts_and_malformed_lines_name_the_file() {
    for line in ["d /var/x 0755 nosuch", "d /var/x rwx"] {
        let mut bench = Bench::new().file("usr/lib/tmpfiles.d/x.conf", line);
        let error = bench.run(apply).unwrap_err().to_string();
        assert!(error.contains("/usr/lib/tmpfiles.d/x.conf"), "{error}");
    }
}
