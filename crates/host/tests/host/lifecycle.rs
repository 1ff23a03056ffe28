//! Install, upgrade, switch over, roll back, collect garbage.

use std::os::unix::fs::PermissionsExt as _;

use calypte_composefs::Tree;

use crate::fixture::{Machine, Os, file};

#[test]
fn a_system_is_installed_upgraded_and_rolled_back() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    machine.fsck();
    let first = machine.digest("booted");
    assert_eq!(machine.version("booted").as_deref(), Some("1"));
    assert_eq!(fs_err::read_to_string(machine.etc(&first).join("version.conf")).unwrap(), "version 1\n");
    assert_eq!(
        fs_err::read_to_string(machine.root().join("state/os/default/var/lib/first")).unwrap(),
        "first install"
    );
    let entries = machine.entries();
    assert_eq!(entries, [format!("test-os-1-{}+3.conf", &first[..12])]);
    assert!(machine.path("esp/EFI/BOOT").read_dir().unwrap().count() == 1);

    // The boot is good; the owner changes something; a new version comes.
    let running = ["--running", first.as_str()];
    let with = |arguments: &[&str]| {
        [arguments, &running].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |arguments: &[&str]| {
        let all = with(arguments);
        machine.done(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run(&["health", "good"]);
    assert_eq!(machine.entries(), [format!("test-os-1-{}.conf", &first[..12])]);
    fs_err::write(machine.etc(&first).join("hostname"), "mine\n").unwrap();
    fs_err::write(machine.etc(&first).join("base.conf"), "changed\n").unwrap();
    fs_err::write(machine.root().join("state/os/default/var/lib/data"), "kept").unwrap();
    let drift = run(&["etc"]);
    assert_eq!(drift, "changed     /etc/base.conf\nadded       /etc/hostname\n");

    Os::new(2).write(&machine.layout());
    assert!(run(&["upgrade", "--check"]).contains("has something newer"));
    assert!(run(&["upgrade"]).contains("2 is staged"));
    assert!(run(&["upgrade"]).contains("is staged already"));
    machine.fsck();
    let second = machine.digest("staged");
    // Nothing boots another thing before the switch.
    assert_eq!(machine.entries().iter().filter(|name| name.ends_with(".conf")).count(), 1);
    // An edit after the staging counts too.
    fs_err::write(machine.etc(&first).join("late"), "late\n").unwrap();
    assert!(run(&["finalize"]).contains("the next boot takes 2"));
    machine.fsck();
    let etc = machine.etc(&second);
    assert_eq!(fs_err::read_to_string(etc.join("hostname")).unwrap(), "mine\n");
    assert_eq!(fs_err::read_to_string(etc.join("base.conf")).unwrap(), "changed\n");
    assert_eq!(fs_err::read_to_string(etc.join("late")).unwrap(), "late\n");
    assert_eq!(fs_err::read_to_string(etc.join("version.conf")).unwrap(), "version 2\n");
    assert!(machine.entries().contains(&format!("test-os-2-{}+3.conf", &second[..12])));
    let loader = fs_err::read_to_string(machine.path("esp/loader/loader.conf")).unwrap();
    assert!(loader.ends_with(&format!("preferred test-os-2-{}.conf\n", &second[..12])), "{loader}");

    // The second version runs, and is gone back from; said twice it is undone.
    let running = ["--running", second.as_str()];
    let run = |arguments: &[&str]| machine.done(&[arguments, &running].concat());
    run(&["health", "good"]);
    assert_eq!(machine.version("rollback").as_deref(), Some("1"));
    assert!(run(&["rollback"]).contains("the next boot takes 1"));
    let loader = fs_err::read_to_string(machine.path("esp/loader/loader.conf")).unwrap();
    assert!(loader.contains(&format!("preferred test-os-1-{}.conf\n", &first[..12])), "{loader}");
    assert!(run(&["rollback"]).contains("the next boot takes 2"));

    // A third version: the first goes, and with it what only it had.
    Os::new(3).write(&machine.layout());
    run(&["upgrade"]);
    run(&["finalize"]);
    assert!(!machine.root().join("state/deploy").join(&first).exists());
    let dry = run(&["gc", "--dry-run"]);
    assert!(dry.starts_with("would be removed: 0 deployments, 1 images, "), "{dry}");
    let wet = run(&["gc"]);
    assert_eq!(wet.replace("removed", "would be removed"), dry);
    assert!(run(&["gc"]).starts_with("removed: 0 deployments, 0 images, 0 objects (0 B), 0 records"));
    machine.fsck();
}

#[test]
fn a_bad_deployment_is_told_of_and_not_taken_again() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let first = machine.digest("booted");
    let run = |arguments: &[&str]| machine.done(&[arguments, &["--running", first.as_str()]].concat());
    run(&["health", "good"]);
    Os::new(2).write(&machine.layout());
    run(&["upgrade"]);
    run(&["finalize"]);
    // systemd-boot counts down, and takes the first again.
    let counted = machine.entries().into_iter().find(|name| name.contains("+3")).unwrap();
    let entries = machine.path("esp/loader/entries");
    fs_err::rename(entries.join(&counted), entries.join(counted.replace("+3", "+0-3"))).unwrap();
    let status = run(&["status"]);
    assert!(
        status.contains("rollback: did not start properly: all of its tries to boot were used up"),
        "{status}"
    );
    let error = machine.refused(1, &["upgrade", "--running", &first]);
    assert!(error.contains("was tried on this machine and did not start properly"), "{error}");
    run(&["upgrade", "--retry"]);
    run(&["finalize"]);
    assert!(machine.entries().iter().any(|name| name.starts_with("test-os-2-") && name.contains("+3.conf")));
    machine.fsck();
    // The next version takes the place of the failed one.
    Os::new(3).write(&machine.layout());
    run(&["upgrade"]);
    run(&["finalize"]);
    assert_eq!(machine.entries().len(), 2, "{:?}", machine.entries());
    machine.fsck();
}

#[test]
fn conflicts_in_etc_are_refused_before_anything_is_staged() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let first = machine.digest("booted");
    fs_err::create_dir(machine.etc(&first).join("service")).unwrap();
    fs_err::write(machine.etc(&first).join("service/mine"), "mine").unwrap();
    fs_err::write(machine.etc(&first).join("version.conf"), "mine").unwrap();
    let mut second = Os::new(2);
    second.top.push(file("etc/service", "a file now"));
    second.write(&machine.layout());
    let error = machine.refused(1, &["upgrade"]);
    assert!(error.contains("/etc/service: it is a directory on this machine"), "{error}");
    assert_eq!(machine.status()["staged"], serde_json::Value::Null);
    let differences = machine.json(&["diff"]);
    assert_eq!(
        differences["etc"]["conflicts"][0],
        "/etc/service: it is a directory on this machine, and none in the new image"
    );
    assert_eq!(differences["etc"]["kept"], serde_json::json!(["/etc/version.conf"]));
    fs_err::remove_dir_all(machine.etc(&first).join("service")).unwrap();
    let told = machine.done(&["upgrade"]);
    assert!(told.contains("/etc/version.conf: yours is kept"), "{told}");
    // And at the switch, when it came up since.
    fs_err::create_dir(machine.etc(&first).join("service")).unwrap();
    machine.refused(1, &["finalize"]);
    machine.fsck();
    fs_err::remove_dir(machine.etc(&first).join("service")).unwrap();
    machine.done(&["finalize"]);
    assert_eq!(
        fs_err::read_to_string(machine.etc(&machine.digest("booted")).join("version.conf")).unwrap(),
        "mine"
    );
}

#[test]
fn a_difference_is_told_from_what_is_attached_without_a_download() {
    let machine = Machine::new();
    let spdx = |tool: &str| {
        let package = |name: &str, version: &str| {
            serde_json::json!({"name": name, "versionInfo": version, "externalRefs": [
                {"referenceLocator": format!("pkg:deb/debian/{name}@{version}")}]})
        };
        let document = serde_json::json!({"packages": [package("libc6", "2.42-1"), package("tool", tool)]});
        ("application/spdx+json".to_owned(), serde_json::to_vec(&document).unwrap())
    };
    let vex = |open: &[&str]| {
        let statements: Vec<_> = open
            .iter()
            .map(|name| serde_json::json!({"vulnerability": {"name": name}, "status": "affected"}))
            .collect();
        let document = serde_json::json!({"statements": statements});
        ("application/vnd.openvex+json".to_owned(), serde_json::to_vec(&document).unwrap())
    };
    let mut first = Os::new(1);
    first.attached = vec![vex(&["CVE-1", "CVE-2"])];
    machine.install(&first);
    let mut second = Os::new(2);
    second.attached = vec![spdx("2"), vex(&["CVE-2", "CVE-3"])];
    second.top.push(file("usr/lib/bootc/kargs.d/10.toml", "kargs = [\"quiet\", \"mitigations=auto\"]\n"));
    second.write(&machine.layout());
    let difference = machine.json(&["diff"]);
    let changed = serde_json::json!([{"name": "tool", "from": "1", "to": "2"}]);
    assert_eq!(difference["packages"]["changed"], changed, "{difference:#}");
    assert_eq!(difference["flaws"], serde_json::json!({"fixed": ["CVE-1"], "new": ["CVE-3"], "staying": 1}));
    let text = machine.done(&["diff"]);
    assert!(text.contains("tool  1  →  2") && text.contains("known flaws fixed: CVE-1"), "{text}");
    assert_eq!(
        machine.json(&["diff"])["kernelArguments"]["added"],
        serde_json::json!(["quiet", "mitigations=auto"])
    );
    machine.done(&["upgrade", "--karg", "debug"]);
    let staged = machine.status()["staged"].clone();
    let arguments: Vec<&str> =
        staged["kernelArguments"].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
    assert!(arguments.contains(&"quiet") && arguments.contains(&"debug"), "{arguments:?}");
    assert!(arguments[0].starts_with("composefs=?"), "a file system without fs-verity");
}

#[test]
fn the_repository_is_one_that_composefs_accepts() {
    use composefs::fsverity::Sha512HashValue;
    use composefs::repository::Repository;
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let digest = machine.digest("booted");
    let path = machine.root().join("composefs");
    let repository = Repository::<Sha512HashValue>::open_path(rustix::fs::CWD, &path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let checked = runtime.block_on(repository.fsck()).unwrap();
    assert!(checked.is_ok(), "{checked:?}");
    assert_eq!(checked.images_checked(), 1);
    // Its own garbage collector takes nothing that we need.
    let before = walk(&path);
    repository.gc(&[]).unwrap();
    assert_eq!(walk(&path), before);
    let objects = repository.objects_for_image(&digest).unwrap();
    let image = fs_err::read(path.join("images").join(&digest)).unwrap();
    assert_eq!(objects.len(), Tree::from_image(&image).unwrap().objects().len());
}

fn walk(path: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn fsck_finds_what_was_tampered_with() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let objects = walk(&machine.root().join("composefs/objects"));
    let victim = objects.iter().find(|path| path.is_file() && path.metadata().unwrap().len() > 5000).unwrap();
    let good = fs_err::read(victim).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs_err::write(victim, &bad).unwrap();
    let output = machine.run(&["fsck"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("its bytes are not those that its name says"), "{text}");
    fs_err::write(victim, &good).unwrap();
    machine.fsck();
    let entry = machine.path("esp/loader/entries").join(&machine.entries()[0]);
    let text = fs_err::read_to_string(&entry).unwrap();
    fs_err::write(&entry, text.replace("composefs=?", "composefs=?0")).unwrap();
    assert_eq!(machine.run(&["fsck"]).status.code(), Some(1));
    fs_err::remove_file(&entry).unwrap();
    let text = String::from_utf8(machine.run(&["fsck"]).stdout).unwrap();
    assert!(text.contains("it has no boot entry"), "{text}");
}

#[test]
fn what_fsck_names_is_fetched_again_after_a_rollback() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    let first = machine.digest("booted");
    let objects = || walk(&machine.root().join("composefs/objects"));
    let before = objects();
    Os::new(2).write(&machine.layout());
    let run =
        |running: &str, arguments: &[&str]| machine.done(&[arguments, &["--running", running]].concat());
    run(&first, &["upgrade"]);
    let second = machine.digest("staged");
    run(&first, &["finalize"]);
    let new = objects().into_iter().find(|path| path.is_file() && !before.contains(path)).unwrap();
    fs_err::write(&new, "tampered with").unwrap();
    let output = machine.run(&["fsck"]);
    let name = new.file_name().unwrap().to_str().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(name));
    // As docs/guides/machine.md says.
    run(&second, &["rollback"]);
    fs_err::remove_file(&new).unwrap();
    run(&first, &["upgrade"]);
    run(&first, &["finalize"]);
    assert_eq!(machine.digest("booted"), second);
    machine.fsck();
}

#[test]
fn health_checks_decide() {
    let machine = Machine::new();
    machine.install(&Os::new(1));
    // Only what `health run` needs of a machine: its own places are absolute, so the library is asked.
    let checks = machine.path("checks");
    for (name, text) in [
        ("required.d/ok", "#!/bin/sh\nexit 0\n"),
        ("required.d/slow", "#!/bin/sh\nsleep 60\n"),
        ("wanted.d/odd", "#!/bin/sh\necho odd >&2\nexit 3\n"),
    ] {
        let path = checks.join("health.d").join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs_err::write(checks.join("health.toml"), "timeout = 1\n").unwrap();
    let health = machine.health(&checks);
    assert!(!health.good);
    let messages: Vec<(bool, bool, &str)> =
        health.checks.iter().map(|check| (check.required, check.passed, check.message.as_str())).collect();
    assert_eq!(messages[0], (true, true, ""));
    assert_eq!(messages[1], (true, false, "it did not end within 1 seconds"));
    assert_eq!(messages[2], (false, false, "exit status: 3\nodd"));
    assert!(machine.done(&["status"]).contains("the last health checks failed"));
    fs_err::remove_file(checks.join("health.d/required.d/slow")).unwrap();
    assert!(machine.health(&checks).good);
}

impl Machine {
    fn health(&self, checks: &std::path::Path) -> calypte_host::health::Health {
        use calypte_base::{Architecture, Epoch};
        use calypte_host::health::HealthPlaces;
        use calypte_host::{Host, Quiet, SystemRoot};
        let interrupted = std::sync::atomic::AtomicBool::new(false);
        let host = Host {
            system: SystemRoot::new(self.root()),
            esp: calypte_host::boot::Esp::new(self.path("esp"), Architecture::Amd64),
            running: None,
            architecture: Architecture::Amd64,
            now: Epoch(0),
            policy: calypte_host::trust::Policy::default(),
            network: calypte_store::registry::RegistrySettings::default(),
            reporter: &Quiet,
            interrupted: &interrupted,
        };
        let places = HealthPlaces { directories: vec![checks.to_owned()], ..HealthPlaces::default() };
        host.run_health(&places).unwrap()
    }
}

#[test]
fn keys_of_root_are_put_in_place_at_each_boot() {
    let machine = Machine::new();
    let os = Os::new(1);
    os.write(&machine.layout());
    let keys = machine.path("keys");
    fs_err::write(&keys, "ssh-ed25519 AAAA me\n").unwrap();
    let source = format!("oci:{}", machine.layout().display());
    let root = machine.root();
    let arguments = ["install", "to-filesystem", root.to_str().unwrap(), "--source", &source];
    let with_keys = [&arguments[..], &["--root-ssh-authorized-keys", keys.to_str().unwrap()]].concat();
    machine.done(&with_keys);
    let text = fs_err::read_to_string(
        machine.etc(&machine.digest("booted")).join("tmpfiles.d/calypte-root-ssh.conf"),
    );
    assert!(
        text.unwrap().contains("f~ /root/.ssh/authorized_keys 0600 root root - c3NoLWVkMjU1MTkgQUFBQSBtZQo=")
    );
    // A second install would throw away what is there.
    let error = machine.refused(2, &arguments);
    assert!(error.contains("is installed in"), "{error}");
}
