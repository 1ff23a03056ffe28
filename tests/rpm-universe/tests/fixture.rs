//! The fixture itself: the real tools find nothing wrong with it, and it holds what it promises.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
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

/// The body of the answer to a request for this address.
fn get(address: &str) -> Vec<u8> {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut connection = TcpStream::connect(host).unwrap();
    write!(connection, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{address}");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.split_off(end + 4)
}

#[test]
fn serves_what_the_metalink_names() {
    let Some(fixture) = fixture() else { return };
    let server = fixture.serve(Behaviour::Honest);
    let metalink = String::from_utf8(get(&server.metalink_url.replace("{arch}", "aarch64"))).unwrap();
    let address = metalink.split('>').find_map(|part| part.strip_suffix("</url")).unwrap();
    let repomd = get(address);
    assert_eq!(repomd, fs_err::read(fixture.repository("aarch64").join("repodata/repomd.xml")).unwrap());
    assert!(metalink.contains(&format!("<size>{}</size>", repomd.len())));
    assert!(server.requests().len() >= 2);
}
