//! The fixture itself: the real tools find nothing wrong with it, and it holds what it promises.

use std::process::Command;

use calypte_rpm_universe::{Behaviour, Fixture};

#[expect(clippy::print_stderr, reason = "the line by which the test run counts a skip")]
fn fixture() -> Option<&'static Fixture> {
    Fixture::get().inspect_err(|skip| eprintln!("skipped: rpm fixture: {skip}")).ok()
}

#[test]
fn rpm_accepts_every_package() {
    let Some(fixture) = fixture() else { return };
    let home = tempfile::tempdir().unwrap();
    let database = format!("--dbpath={}", home.path().display());
    let imported =
        Command::new("rpm").arg(&database).arg("--import").arg(fixture.key_file()).status().unwrap();
    assert!(imported.success());
    for architecture in ["x86_64", "aarch64"] {
        let files = fixture.package_files(architecture);
        assert!(files.len() > 100, "{}", files.len());
        let output = Command::new("rpm").arg(&database).arg("-K").args(&files).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.lines().all(|line| line.ends_with("digests signatures OK")), "{text}");
    }
}

#[test]
fn serves_what_the_metalink_names() {
    let Some(fixture) = fixture() else { return };
    let server = fixture.serve(Behaviour::Honest);
    let get = |address: &str| {
        let output = Command::new("curl").args(["-sS", "--fail", address]).output().unwrap();
        assert!(output.status.success(), "{address}");
        output.stdout
    };
    let metalink = String::from_utf8(get(&server.metalink_url.replace("{arch}", "aarch64"))).unwrap();
    let address = metalink.split('>').find_map(|part| part.strip_suffix("</url")).unwrap();
    let repomd = get(address);
    assert_eq!(repomd, fs_err::read(fixture.repository("aarch64").join("repodata/repomd.xml")).unwrap());
    assert!(metalink.contains(&format!("<size>{}</size>", repomd.len())));
    assert!(server.requests().len() >= 2);
}
