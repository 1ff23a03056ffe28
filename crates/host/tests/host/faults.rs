//! The program is killed before each of its changes to the disk, over a whole install and a whole upgrade: each time the
//! machine boots the old system or the new one, everything that counts is whole, and the next run completes the work.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use calypte_composefs::Tree;

use crate::fixture::{Machine, Os, file, noise, shown};

/// Points of each kind at which the program is killed, spread evenly; fewer where there are fewer changes.
const POINTS: u64 = 200;

/// An image with few and small files: each is three changes.
fn os(number: u64) -> Os {
    let mut os = Os::new(number);
    os.base.retain(|(entry, _)| entry.path != b"usr/bin/large");
    os.top.extend((0..45).map(|file_number| {
        let path = format!("usr/lib/modules/6.{number}.0/module-{file_number}.ko");
        file(&path, noise(number * 1000 + file_number, 100))
    }));
    os
}

impl Machine {
    fn copy_of(other: &Self) -> Self {
        let machine = Self::new();
        for name in ["root", "esp", "layout"] {
            drop(fs_err::remove_dir_all(machine.path(name)));
            let status = Command::new("cp").arg("-a").arg(other.path(name)).arg(machine.path(name)).status();
            assert!(status.unwrap().success());
        }
        machine
    }

    /// Runs the program until it dies before its change `number`; whether it got that far.
    fn killed(&self, number: u64, arguments: &[&str]) -> bool {
        let output =
            self.command(arguments).env("CALYPTE_HOST_STOP_AT", number.to_string()).output().unwrap();
        assert!(output.status.success() || output.status.code().is_none(), "{number}: {}", shown(&output));
        !output.status.success()
    }

    fn changes(&self, arguments: &[&str]) -> u64 {
        let file = self.path("count");
        let output = self.command(arguments).env("CALYPTE_HOST_COUNT", &file).output().unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        fs_err::read_to_string(file).unwrap().parse().unwrap()
    }

    /// What the boot loader would take, and whether it could boot: the digest and the version.
    fn boots(&self) -> Option<(String, String)> {
        let esp = self.path("esp");
        let loader = fs_err::read_to_string(esp.join("loader/loader.conf")).unwrap_or_default();
        let preferred = loader.lines().find_map(|line| line.strip_prefix("preferred "));
        let mut entries: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for name in self.entries() {
            // Everything else the boot loader does not look at.
            let Some(stem) = name.strip_suffix(".conf") else { continue };
            let text = fs_err::read_to_string(esp.join("loader/entries").join(&name)).unwrap();
            let fields = text.lines().map(|line| line.split_once(' ').unwrap());
            let fields = fields.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            entries.insert(format!("{}.conf", stem.split('+').next().unwrap()), fields);
        }
        let chosen = preferred.and_then(|name| entries.get(name));
        let newest = || entries.values().max_by_key(|fields| fields["version"].clone());
        let fields = chosen.or_else(newest)?;
        for key in ["linux", "initrd"] {
            let path = esp.join(fields[key].trim_start_matches('/'));
            assert!(path.metadata().unwrap().len() > 20_000, "{}", path.display());
        }
        let options = fields["options"].split_whitespace().next().unwrap();
        let digest = options.strip_prefix("composefs=?").unwrap().to_owned();
        let (root, etc) = (self.root(), self.etc(&digest));
        assert!(etc.join("version.conf").exists() && etc.join("base.conf").exists(), "{}", etc.display());
        let image = fs_err::read(root.join("composefs/images").join(&digest)).unwrap();
        for (object, size) in Tree::from_image(&image).unwrap().objects() {
            let path = root.join("composefs/objects").join(object.object_path());
            assert_eq!(path.metadata().unwrap().len(), size, "{}", path.display());
        }
        assert!(root.join("state/os/default/var/lib/first").exists());
        Some((digest, fields["version"].clone()))
    }

    /// Goes on after a kill as a machine would: boots, looks at itself, upgrades and switches.
    fn goes_on(&self, point: &str, wanted: &str) {
        let (digest, _) = self.boots().unwrap_or_else(|| panic!("{point}: nothing boots"));
        let running = ["--running", digest.as_str()];
        for arguments in [&["fsck"][..], &["status"], &["upgrade"], &["finalize"], &["fsck"]] {
            let output = self.run(&[arguments, &running].concat());
            assert!(output.status.success(), "{point}: {arguments:?}: {}", shown(&output));
        }
        let (digest, version) = self.boots().unwrap();
        assert_eq!(version, wanted, "{point}");
        let etc = self.etc(&digest);
        assert_eq!(fs_err::read_to_string(etc.join("mine")).unwrap(), "mine", "{point}");
        assert_eq!(
            fs_err::read_to_string(etc.join("version.conf")).unwrap(),
            format!("version {wanted}\n"),
            "{point}"
        );
        for arguments in [&["gc"][..], &["fsck"]] {
            let output = self.run(&[arguments, &["--running", &digest]].concat());
            assert!(output.status.success(), "{point}: {arguments:?}: {}", shown(&output));
        }
        // Nothing that a killed run left is there any more.
        let listed =
            Command::new("find").arg(self.path("esp")).arg(self.root().join("state")).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let left: Vec<&str> =
            listed.lines().filter(|path| path.ends_with(".new") || path.ends_with(".staged")).collect();
        assert!(left.is_empty(), "{point}: {left:?}");
    }
}

/// Runs `work` for each of the points, several at once.
fn at_points(total: u64, work: impl Fn(u64) + Sync) -> u64 {
    let points: Vec<u64> = if total <= POINTS {
        (1..=total).collect()
    } else {
        (0..POINTS).map(|number| 1 + number * (total - 1) / (POINTS - 1)).collect()
    };
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
                    work(*point);
                }
            });
        }
    });
    points.len() as u64
}

fn install_arguments<'a>(root: &'a Path, source: &'a str) -> [&'a str; 5] {
    ["install", "to-filesystem", root.to_str().unwrap(), "--source", source]
}

#[test]
fn an_install_that_is_killed_anywhere_is_completed_by_the_next() {
    let layout = Machine::new();
    os(1).write(&layout.layout());
    let source = format!("oci:{}", layout.layout().display());
    let counted = Machine::new();
    let total = counted.changes(&install_arguments(&counted.root(), &source));
    let points = at_points(total, |point| {
        let machine = Machine::new();
        let root = machine.root();
        let arguments = install_arguments(&root, &source);
        assert!(machine.killed(point, &arguments), "{point} of {total}");
        let output = machine.run(&["fsck"]);
        assert!(output.status.success(), "install {point}: {}", shown(&output));
        let installed = machine.run(&arguments);
        // One that was killed after its last change that counts is done.
        let text = String::from_utf8_lossy(&installed.stderr).into_owned();
        assert!(installed.status.success() || text.contains("is installed in"), "install {point}: {text}");
        let (_, version) = machine.boots().unwrap();
        assert_eq!(version, "1", "install {point}");
        machine.fsck();
    });
    assert!(points >= 200, "{points} points of {total}");
}

#[test]
fn an_upgrade_that_is_killed_anywhere_leaves_the_old_system_or_the_new_one() {
    let machine = Machine::new();
    machine.install(&os(1));
    let (first, _) = machine.boots().unwrap();
    machine.done(&["health", "good", "--running", &first]);
    fs_err::write(machine.etc(&first).join("mine"), "mine").unwrap();
    os(2).write(&machine.layout());
    // The copies are elsewhere: where the image is from must not be.
    let source = format!("oci:{}", machine.layout().display());
    let upgrade = ["switch", source.as_str(), "--running", &first];
    let finalize = ["finalize", "--running", &first];
    let counted = Machine::copy_of(&machine);
    let upgrades = counted.changes(&upgrade);
    let before = at_points(upgrades, |point| {
        let machine = Machine::copy_of(&machine);
        assert!(machine.killed(point, &upgrade), "{point} of {upgrades}");
        assert_eq!(machine.boots().unwrap().1, "1", "upgrade {point}");
        machine.goes_on(&format!("upgrade {point} of {upgrades}"), "2");
    });
    let staged = Machine::copy_of(&counted);
    let finals = counted.changes(&finalize);
    let seen = BTreeMap::from([("1", AtomicU64::new(0)), ("2", AtomicU64::new(0))]);
    let points = at_points(finals, |point| {
        let machine = Machine::copy_of(&staged);
        assert!(machine.killed(point, &finalize), "{point} of {finals}");
        let (_, version) = machine.boots().unwrap();
        seen[version.as_str()].fetch_add(1, Ordering::SeqCst);
        machine.goes_on(&format!("finalize {point} of {finals}"), "2");
    });
    assert!(before + points >= 200, "{before} points of {upgrades}, {points} of {finals}");
    // Some of them before the switch, some after it.
    assert!(seen.values().all(|count| count.load(Ordering::SeqCst) > 0), "{seen:?}");
}

/// A machine with a deployment to go back to, which the next switch removes.
#[test]
fn a_third_deployment_that_is_killed_anywhere_leaves_one_that_boots() {
    let machine = Machine::new();
    machine.install(&os(1));
    let (first, _) = machine.boots().unwrap();
    fs_err::write(machine.etc(&first).join("mine"), "mine").unwrap();
    os(2).write(&machine.layout());
    machine.done(&["upgrade", "--running", &first]);
    machine.done(&["finalize", "--running", &first]);
    let (second, _) = machine.boots().unwrap();
    os(3).write(&machine.layout());
    machine.done(&["upgrade", "--running", &second]);
    let finalize = ["finalize", "--running", &second];
    let counted = Machine::copy_of(&machine);
    let total = counted.changes(&finalize);
    at_points(total, |point| {
        let machine = Machine::copy_of(&machine);
        assert!(machine.killed(point, &finalize), "{point} of {total}");
        machine.goes_on(&format!("third {point} of {total}"), "3");
    });
}
