//! A full disk: a file system of one megabyte, mounted in a namespace of the test's own, so that nothing of the
//! machine is touched and no root is needed where the kernel lets users make namespaces.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use calypte_base::Digest;
use calypte_store::{Download, FetchSettings, Fetcher, Store, archive};

use crate::server::{Server, Step};
use crate::{files_in, sample};

/// Tells the second run of this program, inside the namespace, where the full disk is.
const DISK: &str = "CALYPTE_TEST_FULL_DISK";

#[test]
fn a_full_disk_is_told_by_path_and_leaves_nothing_half_written() {
    if let Some(disk) = option_from_environment() {
        return on_a_small_disk(Path::new(&disk));
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$1\" && shift && exec \"$@\"";
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(directory.path());
    let may = command.arg("true").output().is_ok_and(|output| output.status.success());
    if !may {
        drop(writeln!(
            std::io::stderr(),
            "skipped: no mount namespace can be made here (unshare --user --mount)"
        ));
        return;
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(directory.path())
        .arg(program)
        .args(["--exact", "disk_full::a_full_disk_is_told_by_path_and_leaves_nothing_half_written"])
        .env(DISK, directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test calls itself, and an argument would be taken for a filter"
)]
fn option_from_environment() -> Option<String> {
    std::env::var(DISK).ok()
}

fn on_a_small_disk(disk: &Path) {
    let store = Store::open(disk.join("store")).unwrap();
    let root = store.root().display().to_string();
    let full = sample(2_000_000);
    let assert_told = |error: &dyn std::error::Error, hint: Option<String>| {
        let text = error.to_string();
        assert!(text.starts_with(&format!("cannot write {root}/partial/")), "{text}");
        assert!(text.ends_with(": No space left on device (os error 28)"), "{text}");
        assert!(hint.unwrap().starts_with("free some space on the file system that holds "));
    };
    let assert_clean = || assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());

    let error = store.put(&full).unwrap_err();
    assert!(error.is_full_disk());
    assert_told(&error, error.hint());
    assert_clean();

    let mut writer = store.writer().unwrap();
    let error = writer.write_all(&full).unwrap_err();
    drop(writer);
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(error.to_string().starts_with(&format!("cannot write {root}/partial/")), "{error}");
    assert_clean();

    let mut pack = store.pack_writer().unwrap();
    let error = pack.append(&mut full.as_slice(), full.len() as u64).unwrap_err();
    drop(pack);
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_clean();

    let error = store.state_put("name", &full).unwrap_err();
    assert_told(&error, error.hint());
    assert_eq!(store.state_get("name").unwrap(), None);
    assert_clean();

    // A download keeps what came: it goes on once there is room.
    let server = Server::start(&[("/f", vec![Step::Serve(full.clone())])]);
    let mut settings = FetchSettings::default();
    settings.mirrors.insert("main".into(), vec![server.url.clone()]);
    let download = Download {
        mirror: "main".into(),
        path: "f".into(),
        digest: Digest::of(&full),
        size: full.len() as u64,
        what: "a package".into(),
    };
    let error = Fetcher::new(store.clone(), settings).fetch_blob(&download).unwrap_err();
    assert_told(&error, error.hint());
    assert_eq!(files_in(&store.root().join("partial")), [download.digest.hex()]);
    assert_eq!(server.requests().len(), 1, "a full disk is not tried again");
    fs_err::remove_file(store.root().join("partial").join(download.digest.hex())).unwrap();

    let small = sample(700_000);
    let digest = store.put(&small).unwrap();
    let small = Download { digest, size: 700_000, ..download };
    let error = archive::export(&store, &[small], &disk.join("archive")).unwrap_err();
    assert!(error.is_full_disk());
    assert_eq!(files_in(&disk.join("archive/sha256")), Vec::<String>::new());
}
