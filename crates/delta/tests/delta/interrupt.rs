//! Whenever the user wants the work to stop it stops, and leaves nothing; what a killed run left goes too.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use calypte_delta::output::LayoutWriter;
use calypte_delta::{DeltaError, Settings, apply, copy_image, create};

use crate::image::{Form, Member, Pair, file, noise, open, write_image};

fn layers(seed: u64) -> Vec<Vec<Member>> {
    let files = |name: &str| vec![file(name, &noise(seed, 90_000)), file("more", &noise(seed + 1, 40_000))];
    vec![vec![file("kept", &noise(1, 9_000))], files("one"), files("two")]
}

fn pair() -> Pair {
    let pair = Pair::new(Form::Chunked, &layers(10), &layers(20));
    pair.write("delta", &Settings::default());
    pair
}

/// Interrupts `work` at each of its steps in turn, until it is through.
fn at_each_step(work: impl Fn(&AtomicBool, &dyn Fn(&str)) -> Result<(), DeltaError>) -> usize {
    for last in 0.. {
        let (flag, steps) = (AtomicBool::new(false), Cell::new(0));
        let result = work(&flag, &|_| {
            flag.fetch_or(steps.get() == last, Ordering::Relaxed);
            steps.set(steps.get() + 1);
        });
        match result {
            Ok(()) => {
                assert_eq!(steps.get(), last, "interrupted at step {last}, and went on");
                return last;
            }
            Err(error) => {
                assert!(matches!(error, DeltaError::Interrupted), "step {last}: {error}");
                assert_eq!(steps.get(), last + 1, "interrupted at step {last}, and went on");
            }
        }
    }
    0
}

#[test]
fn making_stops() {
    let pair = pair();
    let ((old_layout, old), (new_layout, new)) = (open(&pair.path("old")), open(&pair.path("new")));
    let settings = Settings { bundle: 50_000, ..Settings::default() };
    let steps = at_each_step(|flag, step| {
        let images = ((&old_layout, &old), (&new_layout, &new));
        create(images.0, images.1, &settings, pair.directory.path(), flag, step).map(drop)
    });
    assert!(steps > 3, "{steps}");
}

#[test]
fn applying_stops_and_leaves_nothing() {
    let pair = pair();
    let (delta_layout, delta) = pair.delta("delta").unwrap();
    let (base_layout, base) = open(&pair.path("old"));
    let steps = at_each_step(|flag, step| {
        let writer = LayoutWriter::new(&pair.path("result"))?;
        let expanded = delta.expand(&delta_layout, (&base_layout, &base), writer.scratch(), flag, step)?;
        apply(&expanded, &base_layout, None, &writer, flag, step).map(drop)
    });
    assert_eq!(steps, 5);
    let (layout, _) = open(&pair.path("new"));
    let set = layout.entry(None).unwrap();
    let steps = at_each_step(|flag, step| {
        let writer = LayoutWriter::new(&pair.path("result"))?;
        copy_image(&layout, &set, &writer, flag, step).map(drop)
    });
    assert_eq!(steps, 1);
    let names = fs_err::read_dir(pair.directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["delta", "new", "old"]);
}

#[test]
fn what_a_killed_run_left_is_swept() {
    let pair = pair();
    let left = |name: &str| pair.path(name);
    for name in [".calypte-delta-dead00", ".calypte-other0"] {
        fs_err::create_dir(left(name)).unwrap();
        fs_err::write(left(name).join("file"), b"").unwrap();
    }
    fs_err::write(left(".calypte-delta-file00"), b"").unwrap();
    let living = LayoutWriter::new(&pair.path("living")).unwrap();
    write_image(&pair.path("result"), Form::Plain, &layers(30));
    assert!(!left(".calypte-delta-dead00").exists());
    assert!(left(".calypte-other0").exists() && left(".calypte-delta-file00").exists());
    assert!(living.scratch().exists());
    // Once it is in its place it has no part in this any more.
    assert!(pair.path("result/index.json").exists());
}
