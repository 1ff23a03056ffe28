//! What around the pipeline fails: a disk that is full, a clock that jumps, a mirror that lists what it does not have.

use std::path::{Path, PathBuf};
use std::process::Command;

use calypte_refresh::{Ended, RunReport, State};

use crate::killed::told;
use crate::world::{Place, UNIVERSE, now};

/// How much larger the disk gets with each round, in kilobytes.
const ROUND: u64 = 256;

#[test]
fn a_clock_that_was_ahead_makes_nobody_wait_and_no_time_negative() {
    let Some(mut world) = crate::world() else { return };
    let day = 86_400;
    world.release(1);
    // By a clock a month ahead the index is out of date, and the gate says so.
    let ahead = world.run_at(30 * day).unwrap();
    let ended: Vec<_> = ahead.images.iter().map(|image| image.ended).collect();
    assert_eq!(ended, [Ended::Refused; 10], "{:#?}", ahead.images[0]);
    assert!(ahead.images[0].refusals.iter().any(|refusal| refusal.rule.starts_with("freshness.")));
    // The clock is right again: what it said then does not count.
    let right = world.run().unwrap();
    assert!(right.succeeded() && right.images.len() == 10, "{right:#?}");
    assert!(right.started < ahead.started);
    // The newest report is that of the last run, whatever its clock said.
    assert_eq!(RunReport::newest(&world.store()).unwrap().unwrap().id, right.id);

    // A pause that was noted by a clock an hour ahead is none.
    world.release(2);
    let registry = world.stop_registry();
    let failed = world.run_at(3600).unwrap();
    assert!(failed.images.iter().all(|image| image.ended == Ended::Postponed), "{failed:#?}");
    world.start_registry(registry);
    let fixed = world.run_at(60).unwrap();
    assert!(fixed.succeeded() && fixed.images.len() == 4, "{fixed:#?}");
    assert_eq!(RunReport::newest(&world.store()).unwrap().unwrap().id, fixed.id);

    // A clock far back: the index is of a time to come, and nothing is done by it, nor broken.
    let before = world.tags();
    let error = format!("{:#}", world.run_at(-20 * 365 * day).unwrap_err());
    assert!(!error.is_empty());
    assert_eq!(world.tags(), before);
    let state = State::read_only(&world.store()).unwrap().unwrap();
    let seen_from = [now().0, now().0 - 20 * 365 * day];
    for now in seen_from {
        let summary = state.summary(UNIVERSE, calypte_base::Epoch(now)).unwrap();
        assert_eq!((summary.published.len(), summary.dirty.len()), (10, 0));
        let times = summary.time_to_fix;
        assert_eq!(times.count, 4);
        assert!(times.median.is_some_and(|seconds| seconds >= 0), "{times:?}");
    }
}

#[test]
fn a_fix_that_the_feed_dates_into_the_future_took_no_time() {
    let Some(world) = crate::world() else { return };
    world.release(1);
    world.run().unwrap();
    world.release(2);
    // The clock is behind the date of the index, from which the fix is dated.
    let report = world.run_at(-3600).unwrap();
    let seconds: Vec<_> =
        report.images.iter().flat_map(|image| &image.fixed).map(|fix| fix.seconds().unwrap()).collect();
    assert_eq!(seconds.len(), 4, "{report:#?}");
    assert!(seconds.iter().all(|seconds| (0..3600).contains(seconds)), "{seconds:?}");
}

#[test]
fn a_mirror_that_lists_what_it_does_not_have_gets_no_lock() {
    let Some(world) = crate::world() else { return };
    world.release(1);
    assert!(world.run().unwrap().succeeded());
    let lock = |family: &str| {
        fs_err::read_to_string(world.place.directory.join(format!("catalog/locks/{UNIVERSE}/{family}.lock")))
            .unwrap()
    };
    let before = lock("f0");
    world.release(2);
    let package = world.place.directory.join("mirror/pool/common_2_amd64.deb");
    let bytes = fs_err::read(&package).unwrap();
    fs_err::remove_file(&package).unwrap();
    let held = |report: &RunReport| -> Vec<String> {
        assert!(report.images.is_empty() && report.fresh == 10, "{report:#?}");
        assert!(report.held.iter().all(|held| held.reason.contains("common 2")), "{:?}", report.held);
        report.held.iter().map(|held| held.family.clone()).collect()
    };
    assert_eq!(held(&world.run().unwrap()), ["f0", "f1", "f2", "f3"]);
    assert_eq!(lock("f0"), before);
    // That the store has it, from wherever, is not enough: others must be able to fetch what a lock names.
    calypte_store::Store::open(world.store()).unwrap().put(&bytes).unwrap();
    assert_eq!(held(&world.run().unwrap()), ["f0", "f1", "f2", "f3"]);
    assert_eq!(lock("f0"), before);
    // One of another size is not it.
    fs_err::write(&package, b"other").unwrap();
    assert_eq!(held(&world.run().unwrap()).len(), 4);
    fs_err::write(&package, &bytes).unwrap();
    let report = world.run().unwrap();
    assert!(report.succeeded() && report.images.len() == 4, "{report:#?}");
    assert_ne!(lock("f0"), before);
}

#[test]
fn a_run_whose_disk_is_full_says_so_and_goes_on_once_there_is_space() {
    let Some(world) = crate::world() else { return };
    world.release(1);
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    if !command.arg("true").output().is_ok_and(|output| output.status.success()) {
        #[expect(clippy::print_stderr, reason = "what is skipped is told")]
        {
            eprintln!("skipped: no mount namespace can be had here");
        }
        return;
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "faults::the_process_whose_disk_is_full", "--ignored", "--nocapture"]);
    command.env("CALYPTE_TEST_PLACE", &world.place.directory).env("CALYPTE_TEST_MIRROR", &world.place.mirror);
    command.env("CALYPTE_TEST_REGISTRY", &world.place.registry);
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(world.tags().len(), 10);
}

#[test]
#[ignore = "run by the test that mounts a small disk"]
fn the_process_whose_disk_is_full() {
    let Some(directory) = told("CALYPTE_TEST_PLACE") else { return };
    let place = Place {
        directory: PathBuf::from(directory),
        mirror: told("CALYPTE_TEST_MIRROR").unwrap(),
        registry: told("CALYPTE_TEST_REGISTRY").unwrap(),
        git: None,
    };
    let (store, kept) = (place.store(), place.directory.join("kept"));
    fs_err::rename(&store, &kept).unwrap();
    fs_err::create_dir(&store).unwrap();
    mount(&["-t", "tmpfs", "-o", "size=64m", "tmpfs"], &store);
    run(Command::new("cp").arg("-a").arg(kept.join(".")).arg(&store));
    let used = run(Command::new("du").args(["-s", "--block-size=1K"]).arg(&store));
    let mut size: u64 = used.split_whitespace().next().unwrap().parse().unwrap();
    let (mut full, mut later) = (0_u32, 0_i64);
    let report = loop {
        size += ROUND;
        assert!(size < 64 * 1024, "it never ends");
        mount(&["-o", &format!("remount,size={size}k")], &store);
        let outcome = place.run(&|_| {}, later);
        // Beyond the pause, which doubles.
        later += (60 << full.min(8)) + 1;
        let complaints: Vec<String> = match outcome {
            Ok(report) if report.succeeded() => break report,
            Ok(report) => {
                // A disk is no reason for it to stop by itself.
                assert_eq!(report.paused, None);
                let held = report.held.into_iter().map(|held| held.reason);
                held.chain(report.images.into_iter().filter_map(|image| image.error)).collect()
            }
            Err(error) => vec![format!("{error:#}")],
        };
        full += 1;
        let is_clear = |text: &String| text.contains("No space left") || text.contains("disk is full");
        assert!(complaints.iter().any(is_clear), "{complaints:#?}");
        let state = State::read_only(&store).unwrap_or_default();
        if let Some(Ok(found)) = state.map(|state| state.check()) {
            assert_eq!(found, "ok");
        }
    };
    assert!(full > 3, "{full}");
    assert_eq!(report.images.iter().filter(|image| image.ended == Ended::Broken).count(), 0);
    let state = State::read_only(&store).unwrap().unwrap();
    let summary = state.summary(UNIVERSE, now()).unwrap();
    assert_eq!((summary.published.len(), summary.dirty.len()), (10, 0), "{summary:#?}");
    assert!(summary.published.iter().all(|one| one.times == 1), "{summary:#?}");
    assert_eq!(place.tags().len(), 10);
}

fn mount(arguments: &[&str], at: &Path) {
    run(Command::new("mount").args(arguments).arg(at));
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
