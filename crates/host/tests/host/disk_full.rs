//! Full disks: seen beforehand where they can be, and survived where not.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::{Machine, Os, file, noise, skipped};

/// A file system of bounded size that is unmounted in the end.
struct Bounded {
    path: PathBuf,
}

impl Bounded {
    fn mount(path: PathBuf, mebibytes: u64) -> Option<Self> {
        fs_err::create_dir_all(&path).unwrap();
        let size = format!("size={mebibytes}m");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&path).status();
        if !status.is_ok_and(|status| status.success()) {
            skipped("a file system of bounded size cannot be mounted");
            return None;
        }
        Some(Self { path })
    }

    fn fill(&self, left: u64) -> PathBuf {
        let found = rustix::fs::statvfs(&self.path).unwrap();
        let free = found.f_bavail * found.f_frsize;
        let path = self.path.join("filler");
        fs_err::write(&path, vec![1; usize::try_from(free.saturating_sub(left)).unwrap()]).unwrap();
        path
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.path).status());
    }
}

fn used(path: &Path) -> u64 {
    let found = rustix::fs::statvfs(path).unwrap();
    (found.f_blocks - found.f_bavail) * found.f_frsize
}

#[test]
fn a_root_that_is_too_small_is_seen_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let Some(bounded) = Bounded::mount(directory.path().join("root"), 96) else { return };
    let machine = Machine::on(bounded.path.clone());
    machine.install(&Os::new(1));
    Os::new(2).write(&machine.layout());
    let filler = bounded.fill(8 * 1024 * 1024);
    let before = used(&bounded.path);
    let error = machine.refused(2, &["upgrade"]);
    assert!(error.contains("not enough space in") && error.contains("calypte-host gc"), "{error}");
    assert!(used(&bounded.path) <= before + 4096 * 8, "something was written");
    fs_err::remove_file(filler).unwrap();
    machine.done(&["upgrade"]);
    machine.fsck();
}

/// A layer that unpacks to far more than it seems to: the estimate is too small, and the disk is full in the middle.
#[test]
fn a_root_that_is_full_in_the_middle_is_as_it_was_before() {
    let directory = tempfile::tempdir().unwrap();
    let Some(bounded) = Bounded::mount(directory.path().join("root"), 96) else { return };
    let machine = Machine::on(bounded.path.clone());
    machine.install(&Os::new(1));
    let first = machine.digest("booted");
    let mut second = Os::new(2);
    // 120 MB of a pattern: each file another one, all of them compressed to nothing.
    second.top.extend((0..30).map(|number| {
        let pattern = noise(number, 64);
        file(&format!("usr/lib/pattern-{number}"), pattern.repeat(4 * 1024 * 1024 / 64))
    }));
    second.write(&machine.layout());
    let before = used(&bounded.path);
    let error = machine.refused(2, &["upgrade"]);
    assert!(
        error.contains("No space left on device") && error.contains("nothing was changed that counts"),
        "{error}"
    );
    assert_eq!(machine.version("staged"), None);
    assert_eq!(machine.digest("booted"), first);
    machine.fsck();
    machine.done(&["gc"]);
    assert!(used(&bounded.path) <= before + 256 * 1024, "{} bytes stayed", used(&bounded.path) - before);
    Os::new(2).write(&machine.layout());
    machine.done(&["upgrade"]);
    machine.done(&["finalize"]);
    machine.fsck();
}

#[test]
fn a_boot_partition_that_is_too_small_is_seen_and_the_oldest_kernel_makes_room() {
    let machine = Machine::new();
    let Some(bounded) = Bounded::mount(machine.path("esp"), 1) else { return };
    machine.install(&Os::new(1));
    let filler = bounded.fill(100_000);
    let mut second = Os::new(2);
    second.top[1] = file("usr/lib/modules/6.2.0/vmlinuz", noise(5, 200_000));
    second.write(&machine.layout());
    let error = machine.refused(2, &["upgrade"]);
    assert!(error.contains("not enough space in") && error.contains("for the kernel"), "{error}");
    assert_eq!(machine.version("staged"), None);
    machine.fsck();
    fs_err::remove_file(filler).unwrap();
    machine.done(&["upgrade"]);
    machine.done(&["finalize"]);
    let second = machine.digest("booted");
    // Now there are two, and no room for a third beside them.
    bounded.fill(430_000);
    let mut third = Os::new(3);
    third.top[1] = file("usr/lib/modules/6.3.0/vmlinuz", noise(6, 130_000));
    third.write(&machine.layout());
    let output = machine.run(&["upgrade", "--running", &second]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("is removed now"), "{told}");
    machine.done(&["finalize", "--running", &second]);
    machine.fsck();
}
