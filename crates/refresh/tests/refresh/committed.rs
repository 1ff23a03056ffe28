//! Locks in the git repository of the catalog, as git itself tells of them.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_refresh::GitTarget;

use crate::world::{Place, UNIVERSE, World};

/// The repository around a world's catalog, with a hook for everything: none may run.
struct Repository {
    root: PathBuf,
}

impl Repository {
    fn new(world: &World) -> Option<Self> {
        let repository = Self { root: world.place.directory.clone() };
        if !Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success()) {
            #[expect(clippy::print_stderr, reason = "what is skipped is told")]
            {
                eprintln!("skipped: git is not installed");
            }
            return None;
        }
        repository.git(&["init", "--quiet", "--initial-branch", "main"]);
        fs_err::write(repository.root.join("README"), "A catalog.\n").unwrap();
        repository.git(&["add", "README", "catalog"]);
        repository.git(&["commit", "--quiet", "--message", "the catalog"]);
        // The hooks lie in the tree, where whoever writes to the repository can put them.
        let hooks = repository.root.join("hooks");
        fs_err::create_dir(&hooks).unwrap();
        for name in [
            "pre-commit",
            "commit-msg",
            "post-commit",
            "reference-transaction",
            "pre-push",
            "post-index-change",
        ] {
            let path = hooks.join(name);
            fs_err::write(&path, format!("#!/bin/sh\ntouch {}\n", repository.mark().display())).unwrap();
            fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        repository.git(&["config", "core.hooksPath", "hooks"]);
        Some(repository)
    }

    fn mark(&self) -> PathBuf {
        self.root.join("a-hook-ran")
    }

    /// Git without any hook of the test's.
    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args([
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "user.name=Somebody",
        ]);
        command.args(["-c", "user.email=somebody@example.org"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn count(&self, branch: &str) -> usize {
        self.git(&["rev-list", "--count", branch]).trim().parse().unwrap()
    }

    /// Each lock of a branch is as it is in the catalog.
    fn assert_locks(&self, branch: &str, count: usize) {
        let listed = self.git(&["ls-tree", "-r", "--name-only", branch, "catalog/locks"]);
        let paths: Vec<&str> = listed.lines().collect();
        assert_eq!(paths.len(), count, "{paths:?}");
        for path in paths {
            let text = self.git(&["show", &format!("{branch}:{path}")]);
            assert_eq!(text, fs_err::read_to_string(self.root.join(path)).unwrap(), "{path}");
        }
    }
}

fn target(branch: Option<&str>, remote: Option<&Path>) -> GitTarget {
    GitTarget {
        branch: branch.map(str::to_owned),
        remote: remote.map(|remote| remote.display().to_string()),
        name: "Robot".to_owned(),
        address: "robot@example.org".to_owned(),
    }
}

#[test]
fn what_is_published_is_committed_to_the_branch_that_is_checked_out() {
    let Some(mut world) = crate::world() else { return };
    let Some(repository) = Repository::new(&world) else { return };
    world.place.git = Some(target(None, None));
    world.release(1);
    // What somebody is about to commit stays so.
    fs_err::write(repository.root.join("README"), "Another.\n").unwrap();
    repository.git(&["add", "README"]);
    let first = world.run().unwrap();
    assert_eq!((first.committed.len(), &first.not_committed), (10, &None), "{first:#?}");
    assert_eq!(repository.count("HEAD"), 11);
    repository.assert_locks("main", 10);
    let status = repository.git(&["status", "--porcelain", "--untracked-files=no"]);
    assert_eq!(status, "M  README\n");
    let again = world.run().unwrap();
    assert!(again.committed.is_empty() && repository.count("HEAD") == 11);

    world.release(2);
    let second = world.run().unwrap();
    let families: Vec<&str> = second.committed.iter().map(|one| one.family.as_str()).collect();
    assert_eq!(families, ["f0", "f1", "f2", "f3"]);
    let shown = repository.git(&["log", "-1", "--format=%an <%ae>|%cn%n%B", &second.committed[0].commit]);
    let digest = second.images[0].digest.unwrap();
    assert_eq!(
        shown.trim_end(),
        format!(
            "Robot <robot@example.org>|Robot\nf0 in {UNIVERSE}: fixes CVE-2026-0007\n\nPackages:\n- common 1 → 2\n\nFixed:\n\
             - CVE-2026-0007 (high) of common 1 in f0\n\nPublished:\n- f0 {digest}"
        )
    );
    let changed = repository.git(&["show", "--format=", "--name-only", &second.committed[0].commit]);
    assert_eq!(changed, format!("catalog/locks/{UNIVERSE}/f0.lock\n"));
    assert_eq!(repository.git(&["status", "--porcelain", "--untracked-files=no"]), "M  README\n");
    assert!(!repository.mark().exists(), "a hook was run");
}

#[test]
fn a_branch_of_its_own_leaves_the_work_tree_alone_and_is_pushed() {
    let Some(mut world) = crate::world() else { return };
    let Some(repository) = Repository::new(&world) else { return };
    let remote = world.place.directory.join("remote.git");
    repository.git(&["init", "--quiet", "--bare", &remote.display().to_string()]);
    world.place.git = Some(target(Some("locks"), Some(&remote)));
    world.release(1);
    let status = || repository.git(&["status", "--porcelain", "--", "README", "catalog/images"]);
    let (head, index) = (repository.git(&["rev-parse", "HEAD"]), repository.git(&["ls-files", "--stage"]));
    let before = status();
    // A remote that is away keeps no image from being published, and is told.
    let away = world.place.directory.join("away.git");
    fs_err::rename(&remote, &away).unwrap();
    let first = world.run().unwrap();
    assert!(!first.succeeded() && first.not_committed.as_ref().unwrap().contains("git push"), "{first:#?}");
    assert!(first.images.iter().all(|image| image.ended == calypte_refresh::Ended::Published));
    fs_err::rename(&away, &remote).unwrap();
    let second = world.run().unwrap();
    assert!(second.succeeded() && second.committed.is_empty(), "{second:#?}");
    let pushed = repository.git(&["--git-dir", &remote.display().to_string(), "rev-parse", "locks"]);
    assert_eq!(pushed, repository.git(&["rev-parse", "locks"]));

    assert_eq!((repository.git(&["rev-parse", "HEAD"]), status()), (head.clone(), before));
    assert_eq!(repository.git(&["ls-files", "--stage"]), index);
    assert_eq!((repository.count("locks"), repository.count("main")), (11, 1));
    assert_eq!(repository.git(&["merge-base", "locks", "main"]), head);
    repository.assert_locks("locks", 10);
    assert!(!repository.mark().exists(), "a hook was run");

    // What is checked out elsewhere would seem to be changed there.
    let elsewhere = world.place.directory.join("elsewhere").display().to_string();
    repository.git(&["worktree", "add", "--quiet", &elsewhere, "locks"]);
    let error = world.run().unwrap_err();
    assert!(format!("{error:#}").contains("is checked out in"), "{error:#}");
    for (branch, part) in [("-x", "is no name of a branch"), ("a..b", "is no name of a branch")] {
        world.place.git = Some(target(Some(branch), None));
        let error = format!("{:#}", world.run().unwrap_err());
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_the_gate_refuses_is_not_committed_and_without_a_repository_nothing_begins() {
    let Some(mut world) = crate::world() else { return };
    world.release(1);
    world.place.git = Some(target(None, None));
    let error = world.run().unwrap_err();
    assert!(format!("{error:#}").contains("is in no git repository"), "{error:#}");
    assert!(world.tags().is_empty());
    let Some(repository) = Repository::new(&world) else { return };
    assert_eq!(world.run().unwrap().committed.len(), 10);
    world.advisories(Some("3"));
    world.release_packages(2);
    let refused = world.run().unwrap();
    assert!(refused.committed.is_empty() && refused.images.len() == 4, "{refused:#?}");
    assert_eq!(repository.count("HEAD"), 11);
}

#[test]
fn a_run_that_is_killed_while_it_commits_leaves_each_lock_committed_once() {
    let Some(mut world) = crate::world() else { return };
    let Some(repository) = Repository::new(&world) else { return };
    world.place.git = Some(target(None, None));
    world.release(1);
    let mut killed = 0;
    // Before the first, a middle and the last commit, and before the images after them.
    for wanted in [1, 2, 5, 8] {
        let mut child = crate::killed::spawn_until(&world.place, "commit", wanted);
        killed += usize::from(!child.wait().unwrap().success());
    }
    let place = Place { git: world.place.git.clone(), ..world.place.clone() };
    let last = place.run(&|_| {}, 0).unwrap();
    assert!(last.succeeded(), "{last:#?}");
    assert!(killed >= 3, "{killed}");
    assert_eq!(repository.count("HEAD"), 11);
    repository.assert_locks("main", 10);
    let subjects = repository.git(&["log", "--format=%s", "-10"]);
    let mut families: BTreeMap<&str, usize> = BTreeMap::new();
    for subject in subjects.lines() {
        *families.entry(subject.split(' ').next().unwrap()).or_default() += 1;
    }
    assert!(families.len() == 10 && families.values().all(|count| *count == 1), "{families:?}");
    repository.git(&["fsck", "--strict"]);
}
