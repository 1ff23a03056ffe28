//! Formats that Debian and systemd keep on every machine: what this machine has is read, and comes out the same.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_formats::accounts::{self, AccountLine, GroupLine, GshadowLine, PasswdLine, ShadowLine};
use calypte_formats::dpkg::{Conffile, INSTALLED, Md5, status_stanza};
use calypte_formats::{deb822, sysusers, tar, tmpfiles, xattr};

fn text_of(path: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::OpenOptions::new().read(true).open(path).ok()?.read_to_string(&mut text).ok()?;
    Some(text)
}

fn skip(reason: &str) {
    _ = writeln!(std::io::stderr(), "skipped: {reason}");
}

fn configuration(directory: &str) -> Vec<(PathBuf, String)> {
    let files =
        Path::new(directory).read_dir().into_iter().flatten().filter_map(|file| Some(file.ok()?.path()));
    files
        .filter(|path| path.extension().is_some_and(|end| end == "conf"))
        .filter_map(|path| Some((path.clone(), text_of(&path)?)))
        .collect()
}

#[test]
fn oracle_every_systemd_file_of_this_machine_is_read() {
    let (users, files) = (configuration("/usr/lib/sysusers.d"), configuration("/usr/lib/tmpfiles.d"));
    if users.is_empty() && files.is_empty() {
        return skip("no sysusers.d or tmpfiles.d here");
    }
    let said = |text: &str| {
        text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).count()
    };
    for (path, text) in users {
        assert_eq!(sysusers::parse(&path.to_string_lossy(), &text).unwrap().len(), said(&text), "{path:?}");
    }
    for (path, text) in files {
        assert_eq!(tmpfiles::parse(&path.to_string_lossy(), &text).unwrap().len(), said(&text), "{path:?}");
    }
}

#[test]
fn oracle_the_accounts_of_this_machine_survive_a_round_trip() {
    fn check<L: AccountLine>(path: &str) {
        match text_of(Path::new(path)) {
            Some(text) => {
                assert!(accounts::render(&accounts::parse::<L>(&text).unwrap()).unwrap() == text, "{path}")
            }
            None => skip(path),
        }
    }
    check::<PasswdLine>("/etc/passwd");
    check::<GroupLine>("/etc/group");
    check::<ShadowLine>("/etc/shadow");
    check::<GshadowLine>("/etc/gshadow");
}

#[test]
fn oracle_stanzas_are_as_dpkg_writes_them() {
    let Some(status) = text_of(Path::new("/var/lib/dpkg/status")) else {
        return skip("no dpkg database here");
    };
    let mut compared = 0;
    for stanza in status.split_inclusive("\n\n") {
        let stanza = stanza.trim_end();
        let paragraph = deb822::paragraphs(stanza.as_bytes()).next().unwrap().unwrap();
        if paragraph.get("Status") != Some(INSTALLED) {
            continue;
        }
        let recorded = paragraph.get("Conffiles").unwrap_or_default();
        // dpkg alone knows which files an earlier version had.
        let entries: Vec<Vec<&str>> = recorded
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|words: &Vec<_>| !words.is_empty())
            .collect();
        if entries.iter().any(|words| words.len() != 2 || words[1] == "newconffile") {
            continue;
        }
        let conffiles: Vec<Conffile> = entries
            .iter()
            .map(|words| Conffile { path: words[0].to_owned(), md5: Md5::from_hex(words[1]).unwrap() })
            .collect();
        // The control file of a package has another order: here the fields come backwards.
        let mut fields: Vec<String> = paragraph
            .fields()
            .filter(|(name, _)| !matches!(*name, "Status" | "Conffiles"))
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let last =
            fields.iter().position(|field| field.starts_with("Description:")).unwrap_or(fields.len() - 1);
        fields[..=last].reverse();
        assert_eq!(status_stanza(fields.concat().as_bytes(), &conffiles).unwrap().trim_end(), stanza);
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}

#[test]
fn oracle_setcap_writes_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("program");
    std::fs::OpenOptions::new().write(true).create_new(true).open(&file).unwrap();
    for text in [
        "cap_net_bind_service=ep",
        "cap_net_raw,cap_net_admin+eip",
        "cap_setuid=p cap_setgid+p",
        "all=ep",
        "=ep cap_sys_admin-ep",
        "cap_bpf,CAP_PERFMON=ei",
    ] {
        let done = ["setcap", "/sbin/setcap"].into_iter().any(|program| {
            Command::new(program).arg(text).arg(&file).output().is_ok_and(|output| output.status.success())
        });
        // GNU tar hands the attribute over, and shows at the same time that the reader finds it.
        let packed = Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "-C"])
            .arg(directory.path())
            .args(["-cf", "-", "program"])
            .output();
        let (true, Ok(packed)) = (done, packed) else {
            return skip("setcap is missing, or may not set capabilities here");
        };
        let entry = tar::Reader::new(&packed.stdout[..]).next_entry().unwrap().unwrap();
        assert_eq!(entry.xattrs.get(xattr::CAPABILITY), Some(&xattr::capability(text).unwrap()), "{text}");
    }
}
