//! What scripts create: in an image of one package each.

use super::*;
use crate::finishers::tests::Bench;

#[test]
fn base_files_makes_the_hierarchy() {
    let mut bench = Bench::new()
        .packages(&["base-files"])
        .file("etc/dpkg/origins/debian", "")
        .file("usr/share/base-files/profile", "profile")
        .directory("var/lock")
        .directory("var/run")
        .directory("var/spool")
        .directory("run");
    bench.run(apply).unwrap();
    let made = bench.made();
    for line in [
        "1777 0:0 /run/lock/",
        "0777 0:0 /var/run -> /run",
        "0777 0:0 /var/lock -> /run/lock",
        "0755 0:0 /mnt/",
    ] {
        assert!(made.lines().any(|made| made == line), "{line} is not in\n{made}");
    }
    assert!(!made.contains("/etc/profile"), "there is no shell that would read it");
    let mut bench = bench.file_with("usr/bin/sh", "", 0o755);
    bench.run(apply).unwrap();
    assert_eq!(bench.text("etc/profile"), "profile");
}

#[test]
fn nothing_that_is_there_is_overwritten() {
    let mut bench = Bench::new().packages(&["netbase", "base-files", "tzdata"]);
    bench = bench
        .file("usr/share/zoneinfo/Etc/UTC", "")
        .file("etc/hosts", "mine")
        .file("var/lock/taken", "")
        .link("etc/localtime", "mine");
    bench.run(apply).unwrap();
    assert_eq!(bench.text("etc/hosts"), "mine");
    assert_eq!(bench.text("etc/networks").lines().next(), Some("default\t\t0.0.0.0"));
    insta::assert_snapshot!(bench.made().lines().filter(|line| line.contains("l")).collect::<Vec<_>>().join("\n"), @r"
    1777 0:0 /run/lock/
    0755 0:0 /usr/local/
    0755 0:0 /usr/local/bin/
    0755 0:0 /usr/local/etc/
    0755 0:0 /usr/local/games/
    0755 0:0 /usr/local/include/
    0755 0:0 /usr/local/lib/
    0755 0:0 /usr/local/libexec/
    0777 0:0 /usr/local/man -> share/man
    0755 0:0 /usr/local/sbin/
    0755 0:0 /usr/local/share/
    0755 0:0 /usr/local/share/man/
    0755 0:0 /usr/local/src/
    ");
}

#[test]
fn accounts_come_by_their_fixed_ids() {
    let mut bench = Bench::new()
        .packages(&["nginx-common", "dpkg"])
        .directory("var/log/nginx")
        .file("etc/nginx/sites-available/default", "");
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0755 0:0 /etc/nginx/sites-enabled/
    0777 0:0 /etc/nginx/sites-enabled/default -> /etc/nginx/sites-available/default
    0755 0:0 /var/lib/
    0755 0:0 /var/lib/dpkg/
    0644 0:0 /var/lib/dpkg/arch-native
    0640 33:4 /var/log/nginx/access.log
    0640 33:4 /var/log/nginx/error.log
    ");
    assert_eq!(bench.text("var/lib/dpkg/arch-native"), "amd64\n");
    bench.rules.accounts.users.retain(|user| user.name != "www-data");
    bench.tree.remove(&crate::finishers::tests::path("var/log/nginx/access.log"));
    let error = bench.run(apply).unwrap_err();
    insta::assert_snapshot!(format!("{error}\nhint: {}", error.hint().unwrap()), @r"
    a script of nginx-common wants the user `www-data`, which is not in the universe's accounts.yaml
    hint: give the user an id of its own there, from 400 to 499 for packages; it is never to change again
    ");
}

#[test]
fn services_of_names_go_to_their_places() {
    let switch = "passwd:         files\nhosts:          files [NOTFOUND=continue] dns # as ever\n# hosts: x\nnetworks: files\n";
    let mut bench = Bench::new()
        .packages(&["libnss-resolve", "libnss-myhostname", "libnss-systemd"])
        .file("etc/nsswitch.conf", switch);
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.text("etc/nsswitch.conf"), @r"
    passwd:         files systemd
    hosts:          files [NOTFOUND=continue] myhostname resolve [!UNAVAIL=return] dns # as ever
    # hosts: x
    networks: files
    ");
    let once = bench.text("etc/nsswitch.conf");
    bench.run(apply).unwrap();
    assert_eq!(bench.text("etc/nsswitch.conf"), once);
    let mut without = Bench::new().packages(&["libnss-resolve"]);
    without.run(apply).unwrap();
    assert_eq!(without.made(), "");
}
