//! Made, applied, compared.

use calypte_delta::Settings;
use calypte_formats::tar::{Entry, EntryKind};

use crate::image::{Form, Member, Pair, file, noise, other};

fn modules(version: &str, seed: u64) -> Vec<Member> {
    let module = |number: u64| {
        let mut bytes = noise(number, 9_000);
        for place in (seed as usize..bytes.len()).step_by(97) {
            bytes[place] = bytes[place].wrapping_add(seed as u8);
        }
        bytes.extend(version.as_bytes());
        file(&format!("usr/lib/modules/{version}/m{number}.ko"), &bytes)
    };
    (0..20).map(module).collect()
}

fn old_layers() -> Vec<Vec<Member>> {
    let mut first = vec![
        other("usr", EntryKind::Directory),
        file("usr/empty", b""),
        file("usr/kept", &noise(100, 5_000)),
        file("usr/moved", &noise(101, 70_000)),
        file("usr/lib/libfoo.so.1.2.3", &noise(102, 40_000)),
        other("usr/link", EntryKind::Symlink(b"kept".to_vec())),
        other("usr/hard", EntryKind::HardLink(b"usr/kept".to_vec())),
    ];
    first.extend(modules("6.1.0-1-amd64", 0));
    vec![first, vec![file("etc/same", b"same")], vec![file("etc/gone", b"gone")]]
}

fn new_layers() -> Vec<Vec<Member>> {
    let mut library = noise(102, 40_000);
    library.splice(100..110, noise(103, 300));
    let xattrs = [("security.capability".to_owned(), noise(1, 20))].into();
    let (entry, content) = file("usr/with", b"attributes");
    let mut first = vec![
        other("usr", EntryKind::Directory),
        file("usr/empty", b""),
        file("usr/hole", &[0; 100_000]),
        file("usr/kept", &noise(100, 5_000)),
        (Entry { xattrs, mode: 0o4755, uid: 3, ..entry }, content),
        file("opt/renamed-wholly", &[&noise(101, 70_000)[..], b"and more"].concat()),
        file("usr/lib/libfoo.so.1.3", &library),
        file("usr/lib/new", &noise(104, 30_000)),
        file(&format!("usr/{}name", "long/".repeat(60)), b"deep"),
        other("usr/hard", EntryKind::HardLink(b"usr/kept".to_vec())),
    ];
    first.extend(modules("6.1.0-2-amd64", 3));
    vec![first, vec![file("etc/same", b"same")], vec![], vec![file("etc/copy", &noise(100, 5_000))]]
}

#[test]
fn the_new_image_comes_out_whole() {
    for form in [Form::Plain, Form::Chunked] {
        let pair = Pair::new(form, &old_layers(), &new_layers());
        let summary = pair.write("delta", &Settings::default());
        let applied = pair.apply("delta", "old", None).unwrap();
        assert_eq!((applied.from_base, applied.compressed, applied.from_fallback), (1, 3, 0), "{form:?}");
        assert!(pair.files("result") == pair.files("new"), "{form:?}");
        assert_eq!((summary.layers_unchanged, summary.layers_rebuilt), (1, 3));
        // 30 kB are new; of the rest only the differences are carried.
        assert!((30_000..36_000).contains(&summary.delta), "{summary:#?}");
        let totals: Vec<_> =
            summary.classes.iter().map(|class| (class.class.name(), class.patched, class.new)).collect();
        assert_eq!(totals, [("modules", 20, 0), ("other", 2, 4)]);
    }
}

#[test]
fn what_others_compressed_needs_a_fallback() {
    for form in [Form::Gzip, Form::OneFrame] {
        let pair = Pair::new(form, &old_layers(), &new_layers());
        pair.write("delta", &Settings::default());
        let error = pair.apply("delta", "old", None).unwrap_err();
        assert!(error.to_string().contains("layer 0"), "{error}");
        assert!(error.hint().unwrap().contains("--fallback"));
        assert!(!pair.path("result").exists());
        let applied = pair.apply("delta", "old", Some("new")).unwrap();
        assert_eq!((applied.from_base, applied.compressed, applied.from_fallback), (1, 0, 3));
        assert!(pair.files("result") == pair.files("new"), "{form:?}");
    }
}

#[test]
fn a_base_that_is_compressed_otherwise_does_too() {
    let pair = Pair::new(Form::Chunked, &old_layers(), &new_layers());
    pair.write("delta", &Settings::default());
    crate::image::write_image(&pair.path("gzip"), Form::Gzip, &old_layers());
    let applied = pair.apply("delta", "gzip", None).unwrap();
    assert_eq!((applied.from_base, applied.compressed), (0, 4));
    assert!(pair.files("result") == pair.files("new"));
}

#[test]
fn both_forms_and_any_size_of_bundles_give_the_same_image() {
    let pair = Pair::new(Form::Plain, &old_layers(), &new_layers());
    for (bundle, prefix_up_to) in [(1, 0), (20_000, u64::MAX), (50_000, 0), (u64::MAX, u64::MAX)] {
        let name = format!("delta-{bundle}-{prefix_up_to}");
        pair.write(&name, &Settings { bundle, prefix_up_to, ..Settings::default() });
        pair.apply(&name, "old", None).unwrap();
        assert!(pair.files("result") == pair.files("new"), "{name}");
    }
}

#[test]
fn the_same_image_and_nothing_at_all() {
    let same = Pair::new(Form::Chunked, &old_layers(), &old_layers());
    let summary = same.write("delta", &Settings::default());
    assert!(summary.delta < 2_000, "{summary:#?}");
    assert_eq!(same.apply("delta", "old", None).unwrap().from_base, 3);
    assert!(same.files("result") == same.files("new"));
    for (old, new) in [(vec![], old_layers()), (old_layers(), vec![]), (vec![vec![]], vec![vec![], vec![]])] {
        let pair = Pair::new(Form::Chunked, &old, &new);
        pair.write("delta", &Settings::default());
        pair.apply("delta", "old", None).unwrap();
        assert!(pair.files("result") == pair.files("new"));
    }
}

#[test]
fn threads_do_not_change_a_byte() {
    let pair = Pair::new(Form::Chunked, &old_layers(), &new_layers());
    for threads in [1, 2, 5] {
        pair.write(&format!("delta-{threads}"), &Settings { threads, bundle: 30_000, ..Settings::default() });
    }
    assert!(pair.files("delta-1") == pair.files("delta-2"));
    assert!(pair.files("delta-1") == pair.files("delta-5"));
}

#[test]
fn the_tar_streams_come_without_blobs() {
    let pair = Pair::new(Form::OneFrame, &old_layers(), &new_layers());
    pair.write("delta", &Settings::default());
    let (layout, delta) = pair.delta("delta").unwrap();
    let (base_layout, base) = crate::image::open(&pair.path("old"));
    let (base, no) = ((&base_layout, &base), std::sync::atomic::AtomicBool::new(false));
    let expanded = delta.expand(&layout, base, pair.directory.path(), &no, &|_| ()).unwrap();
    for (number, members) in new_layers().iter().enumerate() {
        let mut bytes = Vec::new();
        expanded
            .layer(number, |stream| {
                stream.read_to_end(&mut bytes).unwrap();
                Ok::<_, calypte_delta::DeltaError>(())
            })
            .unwrap();
        assert!(bytes == crate::image::tar_of(members), "layer {number}");
    }
    assert!(expanded.layer(9, |_| Ok::<_, calypte_delta::DeltaError>(())).is_err());
}

#[test]
fn what_a_layout_holds_already_stays() {
    let pair = Pair::new(Form::Chunked, &old_layers(), &new_layers());
    pair.write("delta", &Settings::default());
    crate::image::write_image(&pair.path("result"), Form::Plain, &[vec![file("other", b"other")]]);
    let index = pair.path("result/index.json");
    let text = fs_err::read_to_string(&index).unwrap().replace("latest", "before");
    fs_err::write(&index, text).unwrap();
    pair.apply("delta", "old", None).unwrap();
    let layout = calypte_delta::Layout::open(&pair.path("result")).unwrap();
    for tag in ["before", "latest"] {
        let set = layout.entry(Some(tag)).unwrap();
        let image = layout.images(&set).unwrap().remove(0);
        for layer in &image.manifest.layers {
            layout.blob(layer).unwrap();
        }
    }
    let error = |tag| layout.entry(tag).unwrap_err().to_string();
    assert!(error(None).ends_with("has several entries; name one of the tags before, latest"));
    assert!(error(Some("foo")).ends_with("has no entry `foo`; its tags are before, latest"));
}
