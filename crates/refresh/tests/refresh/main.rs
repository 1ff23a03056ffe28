//! The loop over a small universe that is signed, served on the loopback, and changes; what a kill leaves of it; and what it
//! publishes, made again.

mod committed;
mod faults;
mod killed;
mod lying;
mod mirror;
mod rebuilt;
mod world;

use std::collections::BTreeMap;

use calypte_refresh::{Class, Ended, RunReport, State};
use world::World;

/// The world, or why there is none here.
fn world() -> Option<World> {
    match World::new() {
        Ok(world) => Some(world),
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "what is skipped is told")]
            {
                eprintln!("skipped: {why}");
            }
            None
        }
    }
}

#[test]
fn a_fix_reaches_exactly_the_images_that_it_concerns() {
    let Some(world) = world() else { return };
    world.release(1);
    let first = world.run().unwrap();
    let ended: Vec<_> = first.images.iter().map(|image| (image.image.as_str(), image.ended)).collect();
    assert!(first.succeeded() && first.images.len() == 10, "{ended:?} {:#?}", first.images.first());
    assert!(first.images.iter().all(|image| image.reason == "not published yet"));
    let before = world.tags();
    assert_eq!(before.len(), 10);

    // Nothing changed: nothing is done.
    let again = world.run().unwrap();
    assert!(again.images.is_empty() && again.fresh == 10 && again.locked.is_empty(), "{again:#?}");

    world.release(2);
    let second = world.run().unwrap();
    assert!(second.succeeded(), "{second:#?}");
    let rebuilt: Vec<&str> = second.images.iter().map(|image| image.image.as_str()).collect();
    assert_eq!(rebuilt, ["f0", "f1", "f2", "f3"]);
    for image in &second.images {
        assert_eq!((image.ended, image.class), (Ended::Published, Class::High));
        assert_eq!(image.reason, "fixes CVE-2026-0007");
        let seconds = image.fixed[0].seconds().unwrap();
        assert!((3600..7200).contains(&seconds), "{seconds}");
    }
    let after = world.tags();
    for (tag, digest) in &before {
        let is_rebuilt = rebuilt.contains(&tag.split(':').next().unwrap());
        assert_eq!(after[tag] != *digest, is_rebuilt, "{tag}");
    }
    let state = State::read_only(&world.store()).unwrap().unwrap();
    let summary = state.summary(world::UNIVERSE, world::now()).unwrap();
    assert_eq!((summary.published.len(), summary.dirty.len(), summary.time_to_fix.count), (10, 0, 4));
    let times: BTreeMap<_, _> = summary.published.iter().map(|one| (one.image.as_str(), one.times)).collect();
    assert_eq!((times["f0"], times["f9"]), (2, 1));
    // What is published is signed, and the gate's verdict is attached to it.
    let told = world.referrers("f0");
    for kind in ["sign/v1", "verification_summary/v1", "test-result/v0.1", "vulns/v0.2", "provenance/v1"] {
        assert!(told.keys().any(|name| name.ends_with(kind)), "{kind} in {told:?}");
    }
}

#[test]
fn what_the_gate_refuses_stays_as_it_was_and_is_asked_again_when_something_changes() {
    let Some(world) = world() else { return };
    world.release(1);
    assert!(world.run().unwrap().succeeded());
    let before = world.tags();
    // The feed knows of a fix that the universe does not have.
    world.advisories(Some("3"));
    world.release_packages(2);
    let refused = world.run().unwrap();
    let image = &refused.images[0];
    assert_eq!((image.ended, refused.images.len()), (Ended::Refused, 4), "{image:#?}");
    assert!(refused.images.iter().all(|image| image.refusals[0].rule == "cve.cve_blockers"), "{image:#?}");
    assert_eq!((image.reason.as_str(), image.class), ("new: common", Class::Schedule));
    assert_eq!(world.tags(), before);
    // As long as nothing changes nobody asks again.
    let waiting = world.run().unwrap();
    assert!(waiting.images.iter().all(|image| image.ended == Ended::Waiting));
    assert!(
        waiting.images[0].error.as_ref().unwrap().contains("cve.cve_blockers"),
        "{:?}",
        waiting.images[0]
    );
    // An exception does.
    world.write(
        "policy/exceptions.yaml",
        "exceptions:\n  - rule: cve.cve_blockers:CVE-2026-0007\n    reason: not reachable in these images\n    until: \"2099-01-01\"\n",
    );
    let passed = world.run().unwrap();
    assert!(passed.images.iter().all(|image| image.ended == Ended::Published), "{passed:#?}");
}

#[test]
fn one_that_is_broken_stops_no_other_and_many_pause_it() {
    let Some(world) = world() else { return };
    world.write("images/f2.yaml", &world::family("f2", &["release", "missing"]));
    world.release(1);
    let report = world.run().unwrap();
    let published = report.images.iter().filter(|image| image.ended == Ended::Published).count();
    assert_eq!((published, report.held.len(), report.paused.as_deref()), (9, 1, None));
    assert!(report.held[0].reason.contains("missing"), "{:?}", report.held);

    for name in ["f0", "f1", "f3", "f4", "f5"] {
        world.write(&format!("images/{name}.yaml"), &world::family(name, &["release", "missing"]));
    }
    let report = world.run().unwrap();
    assert_eq!(report.paused.as_deref(), Some("6 of 10 families cannot be locked"));
    let error = world.run().unwrap_err().to_string();
    assert!(error.contains("paused itself: 6 of 10") && error.contains("--resume"), "{error}");
}

#[test]
fn what_never_worked_keeps_no_other_waiting_and_what_worked_pauses_it() {
    let Some(world) = world() else { return };
    let broken = |name: &str, package: &str| {
        world::family(name, &[package, "release"]) + "fs:\n  - delete: /nowhere\n"
    };
    // They are the first in the order.
    for name in ["f0", "f1", "f2"] {
        world.write(&format!("images/{name}.yaml"), &broken(name, "common"));
    }
    world.release(1);
    let count = |report: &RunReport, ended| report.images.iter().filter(|image| image.ended == ended).count();
    let report = world.run().unwrap();
    assert_eq!((count(&report, Ended::Broken), count(&report, Ended::Published)), (3, 7), "{report:#?}");
    assert_eq!(report.paused, None);

    for name in ["f3", "f4", "f5", "f6"] {
        world.write(&format!("images/{name}.yaml"), &broken(name, "other"));
    }
    let report = world.run().unwrap();
    let paused = report.paused.as_deref();
    assert_eq!(paused, Some("3 of 3 images cannot be built or fail their tests"), "{report:#?}");
}

#[test]
fn a_blocked_version_goes_nowhere() {
    let Some(world) = world() else { return };
    world.release(1);
    world.run().unwrap();
    let before = world.tags();
    world.write(
        "policy/blocked.yaml",
        "blocked:\n  - package: common\n    version: \"2\"\n    reason: breaks the start\n",
    );
    world.release(2);
    let report = world.run().unwrap();
    assert_eq!(report.held.len(), 4, "{report:#?}");
    let reason = &report.held[0].reason;
    assert!(reason.contains("common 2 cannot be used: it is blocked: breaks the start"), "{reason}");
    assert!(report.images.is_empty());
    // One that all have: what somebody decided is no mass failure.
    world.write(
        "policy/blocked.yaml",
        "blocked:\n  - package: release\n    version: \"1\"\n    reason: breaks the start\n",
    );
    let report = world.run().unwrap();
    assert_eq!((report.held.len(), report.paused), (10, None));
    assert_eq!(world.tags(), before);
}

#[test]
fn a_mistake_in_what_is_blocked_is_told_and_pauses_nothing() {
    let Some(world) = world() else { return };
    world.release(1);
    world.write("policy/blocked.yaml", "blocked:\n  - package: common\n    version: \"2\"\n");
    let error = format!("{:#}", world.run().unwrap_err());
    assert!(error.contains("policy/blocked.yaml") && error.contains("reason"), "{error}");
    world.write("policy/blocked.yaml", "blocked: []\n");
    assert!(world.run().unwrap().succeeded());
}

#[test]
fn images_that_are_no_more_leave_the_queue() {
    let Some(mut world) = world() else { return };
    world.release(1);
    let registry = world.stop_registry();
    world.run().unwrap();
    let queue = |world: &World| {
        let state = State::read_only(&world.store()).unwrap().unwrap();
        let dirty = state.dirty(world::UNIVERSE).unwrap();
        dirty.into_iter().map(|key| key.image).collect::<Vec<_>>()
    };
    let why_not = |world: &World| {
        State::read_only(&world.store()).unwrap().unwrap().why_not(world::UNIVERSE, "f0").unwrap()
    };
    assert!(queue(&world).len() == 10 && why_not(&world).is_some());
    world.remove("images/f0.yaml");
    world.start_registry(registry);
    let report = world.run_at(120).unwrap();
    assert_eq!((report.images.len(), queue(&world)), (9, Vec::new()), "{report:#?}");
    assert_eq!(why_not(&world), None);
}

#[test]
fn a_registry_that_is_down_is_tried_again_later() {
    let Some(mut world) = world() else { return };
    world.release(1);
    let registry = world.stop_registry();
    let report = world.run().unwrap();
    // After three in a row it goes no further.
    let ended: Vec<_> = report.images.iter().map(|image| image.ended).collect();
    assert_eq!(ended, [Ended::Postponed; 3], "{:#?}", report.images[0]);
    world.start_registry(registry);
    let later = world.run_at(120).unwrap();
    assert!(later.succeeded() && later.images.len() == 10, "{later:#?}");
}

#[test]
fn two_at_once_are_one() {
    let Some(world) = world() else { return };
    world.release(1);
    fs_err::create_dir_all(world.store().join("pipeline")).unwrap();
    let single = calypte_refresh::Single::take(&world.store().join("pipeline/lock")).unwrap();
    let error = world.run().unwrap_err().to_string();
    assert!(error.contains("another pipeline is at work over this store (process "), "{error}");
    drop(single);
    assert!(world.run().unwrap().succeeded());
}
