//! Presets, and the same from `systemctl preset-all`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;

use super::*;
use crate::finishers::tests::{Bench, read_back, tool, write_out};

const UNITS: [(&str, &str); 18] = [
    ("a.service", "[Install]\nWantedBy=multi-user.target\nAlias=alias.service\nAlso=a.socket\n"),
    ("a.socket", "[Install]\nWantedBy=sockets.target\n"),
    ("b.service", "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\nAlso=b.socket\n"),
    ("b.socket", "[Install]\nWantedBy=sockets.target\n"),
    ("getty@.service", "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n"),
    ("instanced@.service", "[Install]\nWantedBy=multi-user.target\nRequiredBy=dev-%i.device\n"),
    ("loose@.service", "[Install]\nWantedBy=multi-user.target other@.target\n"),
    ("multi-user.target", ""),
    ("none.service", "[Service]\nExecStart=/bin/true\n"),
    ("default-on.timer", "[Install]\nWantedBy=timers.target \\\n  %p-extra.target\n"),
    ("kept.service", "[Install]\nWantedBy=multi-user.target\n"),
    ("dropped.service", "[Install]\nWantedBy=multi-user.target\n"),
    ("t@.service", "[Install]\nAlias=tt@.service\nDefaultInstance=x\nWantedBy=multi-user.target\n"),
    ("spec-ial.service", "[Install]\nAlias=%p-alias.service\nWantedBy=%N.target %j.target\n"),
    ("loop.service", "[Install]\nAlso=loop.socket\nWantedBy=multi-user.target\n"),
    ("loop.socket", "[Install]\nAlso=loop.service\nWantedBy=sockets.target\n"),
    ("also-instance.service", "[Install]\nAlso=also@one.service\n"),
    ("also@.service", "[Install]\nWantedBy=also.target\n"),
];

fn bench() -> Bench {
    let mut bench = Bench::new()
        .file_with(SYSTEMD, "", 0o755)
        .file(
            "usr/lib/systemd/system-preset/90-default.preset",
            "# rules\nenable a.service\nenable getty@.service\nenable instanced@.service one two\n\
             enable loose@.service\ndisable kept.service\ndisable loop.socket\ndisable also@.service\n",
        )
        .file("usr/lib/systemd/system-preset/80-first.preset", "disable b.*\n")
        .file("etc/systemd/system-preset/85-over.preset", "enable dropped.*\n")
        .file("usr/lib/systemd/system-preset/85-over.preset", "disable dropped.*\n")
        .file(
            "usr/lib/systemd/system/dropped.service.d/x.conf",
            "[Install]\nWantedBy=\nWantedBy=other.target\n",
        )
        .link("usr/lib/systemd/system/second.service", "a.service")
        .link("etc/systemd/system/masked.service", "/dev/null")
        .file("usr/lib/systemd/system/masked.service", "[Install]\nWantedBy=multi-user.target\n")
        .link(
            "etc/systemd/system/multi-user.target.wants/kept.service",
            "/usr/lib/systemd/system/kept.service",
        )
        .file("usr/lib/systemd/user/u.service", "[Install]\nWantedBy=default.target\n")
        .file("usr/lib/systemd/user/v.service", "[Install]\nWantedBy=default.target\n")
        .file("usr/lib/systemd/user-preset/90.preset", "disable v.service\n");
    for (name, text) in UNITS {
        bench = bench.file(&format!("usr/lib/systemd/system/{name}"), text);
    }
    bench
}

#[test]
fn what_presets_enable_is_linked() {
    let mut bench = bench();
    bench.run(apply).unwrap();
    insta::assert_snapshot!(bench.made(), @r"
    0777 0:0 /etc/systemd/system/alias.service -> /usr/lib/systemd/system/a.service
    0755 0:0 /etc/systemd/system/also.target.wants/
    0777 0:0 /etc/systemd/system/also.target.wants/also@one.service -> /usr/lib/systemd/system/also@.service
    0755 0:0 /etc/systemd/system/default-on-extra.target.wants/
    0777 0:0 /etc/systemd/system/default-on-extra.target.wants/default-on.timer -> /usr/lib/systemd/system/default-on.timer
    0755 0:0 /etc/systemd/system/dev-one.device.requires/
    0777 0:0 /etc/systemd/system/dev-one.device.requires/instanced@one.service -> /usr/lib/systemd/system/instanced@.service
    0755 0:0 /etc/systemd/system/dev-two.device.requires/
    0777 0:0 /etc/systemd/system/dev-two.device.requires/instanced@two.service -> /usr/lib/systemd/system/instanced@.service
    0755 0:0 /etc/systemd/system/getty.target.wants/
    0777 0:0 /etc/systemd/system/getty.target.wants/getty@tty1.service -> /usr/lib/systemd/system/getty@.service
    0755 0:0 /etc/systemd/system/ial.target.wants/
    0777 0:0 /etc/systemd/system/ial.target.wants/spec-ial.service -> /usr/lib/systemd/system/spec-ial.service
    0777 0:0 /etc/systemd/system/multi-user.target.wants/a.service -> /usr/lib/systemd/system/a.service
    0777 0:0 /etc/systemd/system/multi-user.target.wants/instanced@one.service -> /usr/lib/systemd/system/instanced@.service
    0777 0:0 /etc/systemd/system/multi-user.target.wants/instanced@two.service -> /usr/lib/systemd/system/instanced@.service
    0777 0:0 /etc/systemd/system/multi-user.target.wants/loop.service -> /usr/lib/systemd/system/loop.service
    0777 0:0 /etc/systemd/system/multi-user.target.wants/t@x.service -> /usr/lib/systemd/system/t@.service
    0755 0:0 /etc/systemd/system/other.target.wants/
    0777 0:0 /etc/systemd/system/other.target.wants/dropped.service -> /usr/lib/systemd/system/dropped.service
    0755 0:0 /etc/systemd/system/other@.target.wants/
    0777 0:0 /etc/systemd/system/other@.target.wants/loose@.service -> /usr/lib/systemd/system/loose@.service
    0755 0:0 /etc/systemd/system/sockets.target.wants/
    0777 0:0 /etc/systemd/system/sockets.target.wants/a.socket -> /usr/lib/systemd/system/a.socket
    0777 0:0 /etc/systemd/system/sockets.target.wants/loop.socket -> /usr/lib/systemd/system/loop.socket
    0777 0:0 /etc/systemd/system/spec-ial-alias.service -> /usr/lib/systemd/system/spec-ial.service
    0755 0:0 /etc/systemd/system/spec-ial.target.wants/
    0777 0:0 /etc/systemd/system/spec-ial.target.wants/spec-ial.service -> /usr/lib/systemd/system/spec-ial.service
    0755 0:0 /etc/systemd/system/timers.target.wants/
    0777 0:0 /etc/systemd/system/timers.target.wants/default-on.timer -> /usr/lib/systemd/system/default-on.timer
    0777 0:0 /etc/systemd/system/tt@.service -> /usr/lib/systemd/system/t@.service
    0755 0:0 /etc/systemd/user/
    0755 0:0 /etc/systemd/user/default.target.wants/
    0777 0:0 /etc/systemd/user/default.target.wants/u.service -> /usr/lib/systemd/user/u.service
    ");
    assert!(!bench.tree.iter().any(|(path, _)| path.as_str().ends_with("wants/kept.service")));
}

#[test]
fn without_systemd_nothing_is_enabled() {
    let mut bench =
        Bench::new().file("usr/lib/systemd/system/x.service", "[Install]\nWantedBy=multi-user.target\n");
    bench.run(apply).unwrap();
    assert_eq!(bench.made(), "");
}

#[test]
fn an_install_section_that_makes_no_sense_names_its_unit() {
    let mut bench =
        bench().file("usr/lib/systemd/system/x.service", "[Install]\nWantedBy=../../../etc/x.target\n");
    assert_eq!(
        bench.run(apply).unwrap_err().to_string(),
        "/usr/lib/systemd/system/x.service cannot be used: `../../../etc/x.target` in its [Install] section is not the name of a unit"
    );
}

fn links(found: BTreeMap<String, String>) -> BTreeMap<String, String> {
    found.into_iter().filter(|(_, content)| content.starts_with("->")).collect()
}

fn compare(mut bench: Bench) {
    let directory = tempfile::tempdir().unwrap();
    write_out(&bench, directory.path());
    for scope in ["--system", "--global"] {
        let mut command = Command::new("systemctl");
        command.arg("--root").arg(directory.path()).args([scope, "--quiet", "preset-all"]);
        if tool(&mut command).is_none() {
            return;
        }
    }
    bench.run(apply).unwrap();
    let ours = tempfile::tempdir().unwrap();
    write_out(&bench, ours.path());
    for below in ["etc/systemd", "usr/lib/systemd"] {
        assert_eq!(
            links(read_back(ours.path(), below)),
            links(read_back(directory.path(), below)),
            "{below}"
        );
    }
}

#[test]
fn oracle_systemctl_makes_the_same() {
    compare(bench());
}

#[test]
fn oracle_systemctl_makes_the_same_of_this_machines_units() {
    let mut bench = Bench::new().file_with(SYSTEMD, "", 0o755).directory("etc/systemd");
    let mut rest: Vec<_> = ["system", "system-preset", "user", "user-preset"]
        .map(|name| format!("/usr/lib/systemd/{name}"))
        .into();
    let mut units = 0;
    while let Some(directory) = rest.pop() {
        for entry in fs_err::read_dir(&directory).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.path().display().to_string();
            match fs_err::symlink_metadata(&name) {
                Ok(metadata) if metadata.is_dir() => rest.push(name),
                Ok(metadata) if metadata.is_symlink() => {
                    bench = bench.link(&name, &fs_err::read_link(&name).unwrap().display().to_string());
                }
                _ => bench = bench.file(&name, fs_err::read(&name).unwrap()),
            }
            units += 1;
        }
    }
    if units < 20 {
        drop(writeln!(std::io::stderr(), "skipped: this machine has no units"));
        return;
    }
    compare(bench);
}
