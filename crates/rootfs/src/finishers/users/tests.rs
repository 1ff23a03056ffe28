//! Accounts.

use super::*;
use crate::finishers::tests::{Bench, path};

const PASSWD_LINES: &str =
    "root:*:0:0:root:/root:/bin/bash\nwww-data:*:33:33:www-data:/var/www:/usr/sbin/nologin\n";
const GROUP_LINES: &str = "root:*:0:\nadm:*:4:\nwww-data:*:33:\nshadow:*:42:\n";

#[test]
fn without_base_passwd_only_who_is_needed() {
    let mut bench = Bench::new().packages(&["nginx-common"]);
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text(PASSWD), @r"
    root:*:0:0:root:/root:/bin/bash
    www-data:*:33:33:www-data:/var/www:/usr/sbin/nologin
    nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
    nonroot:*:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
    ");
    insta::assert_snapshot!(bench.text(GROUP), @r"
    root:*:0:
    adm:*:4:
    www-data:*:33:
    nogroup:*:65534:
    nonroot:*:65532:
    ");
    insta::assert_snapshot!(bench.made(), @r"
    0755 0:0 /etc/
    0644 0:0 /etc/group
    0644 0:0 /etc/passwd
    0755 0:0 /home/
    0700 65532:65532 /home/nonroot/
    ");
}

#[test]
fn with_base_passwd_and_passwd_all_and_shadow() {
    let mut bench = Bench::new()
        .packages(&["postgresql-common", "ssl-cert", "passwd"])
        .file(PASSWD_MASTER, PASSWD_LINES)
        .file(GROUP_MASTER, GROUP_LINES)
        .file_with(SHADOW_TOOL, "", 0o755);
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text(PASSWD), @r"
    root:x:0:0:root:/root:/bin/bash
    www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
    postgres:x:400:400:PostgreSQL administrator:/var/lib/postgresql:/bin/bash
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
    nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
    ");
    insta::assert_snapshot!(bench.text(GROUP), @r"
    root:x:0:
    adm:x:4:
    www-data:x:33:
    shadow:x:42:
    postgres:x:400:
    ssl-cert:x:401:postgres
    nogroup:x:65534:
    nonroot:x:65532:
    ");
    insta::assert_snapshot!(bench.text(SHADOW), @r"
    root:*:20833:0:99999:7:::
    www-data:*:20833:0:99999:7:::
    postgres:*:20833:0:99999:7:::
    nobody:*:20833:0:99999:7:::
    nonroot:*:20833:0:99999:7:::
    ");
    insta::assert_snapshot!(bench.text(GSHADOW), @r"
    root:*::
    adm:*::
    www-data:*::
    shadow:*::
    postgres:*::
    ssl-cert:*::postgres
    nogroup:*::
    nonroot:*::
    ");
    let shadow = bench.tree.get(&path(SHADOW)).unwrap();
    assert_eq!((shadow.mode, shadow.uid, shadow.gid), (0o640, 0, 42));
}

#[test]
fn an_image_may_run_as_a_packages_user() {
    let mut bench = Bench::new();
    bench.definition.user.name = "postgres".into();
    (bench.definition.user.uid, bench.definition.user.gid) = (400, 400);
    bench.run(apply).unwrap();
    assert!(
        bench
            .text(PASSWD)
            .contains("postgres:*:400:400:PostgreSQL administrator:/var/lib/postgresql:/bin/bash\n")
    );
    assert!(bench.text(GROUP).contains("postgres:*:400:\n"));
}

#[test]
fn sources_that_disagree_are_an_error() {
    let message = |bench: &mut Bench| bench.run(apply).unwrap_err().to_string();
    let mut bench = Bench::new().file(PASSWD_MASTER, "www-data:*:34:33:::\n").file(GROUP_MASTER, GROUP_LINES);
    insta::assert_snapshot!(message(&mut bench), @"the user `www-data` has the id 34 in /usr/share/base-passwd/passwd.master and 33 in accounts.yaml");
    let mut bench = Bench::new();
    bench.definition.user.uid = 33;
    insta::assert_snapshot!(message(&mut bench), @"the user `nonroot` has the uid 33 in the definition, which accounts.yaml gives to `www-data`");
    bench.definition.user.name = "www-data".into();
    bench.definition.user.uid = 1000;
    insta::assert_snapshot!(message(&mut bench), @"the user `www-data` has the uid 1000 in the definition and 33 in accounts.yaml");
    let mut bench = Bench::new().file(PASSWD_MASTER, "root:0\n");
    insta::assert_snapshot!(message(&mut bench), @"/usr/share/base-passwd/passwd.master cannot be used: line 1: it does not have 7 fields");
}

#[test]
fn sysusers_and_tmpfiles_files_ask_for_accounts() {
    let mut bench = Bench::new()
        .file(
            "usr/lib/sysusers.d/v.conf",
            "u! valkey - \"Valkey\" /var/lib/valkey\nm valkey adm\ng utmp 43\n",
        )
        .file("usr/lib/tmpfiles.d/r.conf", "d /run/redis 0755 redis 38\n");
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text(PASSWD), @r"
    root:*:0:0:root:/root:/bin/bash
    valkey:*:402:402:Valkey:/var/lib/valkey:/usr/sbin/nologin
    redis:*:403:403::/var/lib/redis:/usr/sbin/nologin
    nobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
    nonroot:*:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
    ");
    insta::assert_snapshot!(bench.text(GROUP), @r"
    root:*:0:
    adm:*:4:valkey
    utmp:*:43:
    valkey:*:402:
    redis:*:403:
    nogroup:*:65534:
    nonroot:*:65532:
    ");
    for (line, message) in [
        (
            "u nosuch -",
            "/usr/lib/sysusers.d/v.conf wants the user `nosuch`, which is not in the universe's accounts.yaml",
        ),
        ("g utmp 44", "the group `utmp` has the id 44 in /usr/lib/sysusers.d/v.conf and 43 in accounts.yaml"),
    ] {
        let mut bench = Bench::new().file("usr/lib/sysusers.d/v.conf", line);
        assert_eq!(bench.run(apply).unwrap_err().to_string(), message);
    }
}

#[test]
fn packages_declare_accounts_beside_their_files() {
    let mut bench = Bench::new().packages(&["nginx-filesystem", "valkey"]);
    bench.rules.accounts = fedora();
    let declared = |line: &str| vec![line.to_owned(), "g tty 5".to_owned()];
    bench.packages[0].accounts = declared("u nginx - \"Nginx web server\" /var/lib/nginx");
    bench.packages[1].accounts = declared("u! valkey 499 - /var/lib/valkey");
    let mut bench = bench.file("usr/lib/sysusers.d/valkey.conf", "u valkey - - /var/lib/valkey\n");
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text(PASSWD), @r"
    root:*:0:0:Super User:/root:/bin/bash
    valkey:*:402:402:Valkey Database Server:/var/lib/valkey:/usr/sbin/nologin
    nginx:*:404:404:Nginx web server:/var/lib/nginx:/usr/sbin/nologin
    nobody:*:65534:65534:Kernel Overflow User:/:/usr/sbin/nologin
    nonroot:*:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
    ");
    bench.packages[0].accounts = vec!["u nginx".to_owned(), "x".to_owned()];
    assert_eq!(
        bench.run(apply).unwrap_err().to_string(),
        "the package nginx-filesystem declares an account that cannot be read: nginx-filesystem:2: unknown type `x` \
         (known: u, u!, g, m, r)"
    );
}

#[test]
fn files_that_setup_brings_are_extended() {
    let mut bench = Bench::new()
        .file(PASSWD, "root:x:0:0:Super User:/root:/bin/bash\nbin:x:1:1:bin:/bin:/usr/sbin/nologin\n")
        .file(GROUP, "root:x:0:\nbin:x:1:\n")
        .file_with(SHADOW, "root:*::0:99999:7:::\n", 0o000)
        .file("usr/lib/sysusers.d/20-setup-users.conf", "u bin 1:1 \"bin\" /bin\nu mail 8:mail\n");
    bench.rules.accounts = fedora();
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text(PASSWD), @r"
    root:x:0:0:Super User:/root:/bin/bash
    bin:x:1:1:bin:/bin:/usr/sbin/nologin
    mail:x:8:12:mail:/var/spool/mail:/usr/sbin/nologin
    nobody:x:65534:65534:Kernel Overflow User:/:/usr/sbin/nologin
    nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin
    ");
    insta::assert_snapshot!(bench.text(GROUP), @r"
    root:x:0:
    bin:x:1:
    mail:x:12:
    nobody:x:65534:
    nonroot:x:65532:
    ");
    assert_eq!(bench.text(SHADOW).lines().next(), Some("root:*:20833:0:99999:7:::"));
    assert_eq!(bench.tree.get(&path(SHADOW)).unwrap().mode, 0);
    let mut bench = bench.file(PASSWD, "bin:x:2:1:bin:/bin:/usr/sbin/nologin\n");
    assert_eq!(
        bench.run(apply).unwrap_err().to_string(),
        "the user `bin` has the id 2 in /etc/passwd and 1 in accounts.yaml"
    );
}

fn fedora() -> calypte_universe::rules::Accounts {
    let text = include_str!("../../../../../catalog/universes/fedora/accounts.yaml");
    calypte_definition::yaml::from_str("accounts.yaml", text).unwrap()
}
