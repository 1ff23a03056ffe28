//! Pulling from a registry on loopback that may misbehave: what is written is the image byte for byte, and what is on
//! the machine is not fetched.

mod failing;
mod images;
#[path = "../../../store/tests/store/registry_server.rs"]
mod registry_server;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calypte_base::Digest;
use calypte_image::{Output, read_layout};
use calypte_pipeline::Reporter;
use calypte_pipeline::pull::{Local, PullSettings, Pulled, Way, pull};
use calypte_store::registry::{Reference, RegistrySettings};
use calypte_store::{FetchSettings, Progress, Store};

use images::{Maker, TestImage, files, noise};
use registry_server::{Answer, RegistryServer, Request};

/// Keeps the warnings; interrupts after the first bytes if it is told to. Without a network if it is told so.
#[derive(Debug, Default)]
struct Listener {
    warnings: Mutex<Vec<String>>,
    interrupt: Option<(u64, Arc<AtomicBool>)>,
    advanced: std::sync::atomic::AtomicU64,
    announced: std::sync::atomic::AtomicU64,
    offline: bool,
}

impl Reporter for Listener {
    fn step(&self, _: &str) {}
    fn warn(&self, text: &str) {
        self.warnings.lock().unwrap().push(text.to_owned());
    }
    fn downloads(&self) -> &dyn Progress {
        self
    }
}

impl Progress for Listener {
    fn started(&self, _: usize, bytes: u64) {
        self.announced.store(bytes, Ordering::Relaxed);
    }
    fn advanced(&self, bytes: u64) {
        let sum = self.advanced.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some((limit, flag)) = &self.interrupt
            && sum >= *limit
        {
            flag.store(true, Ordering::Relaxed);
        }
    }
    fn finished_one(&self, _: &str) {}
}

/// A machine: its store, and directories to write to.
struct Machine {
    directory: tempfile::TempDir,
    store: Store,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        Self { directory, store }
    }

    fn output(&self, name: &str) -> Output {
        format!("oci:{}", self.directory.path().join(name).display()).parse().unwrap()
    }

    fn layout(&self, name: &str) -> Local {
        format!("oci:{}", self.directory.path().join(name).display()).parse().unwrap()
    }

    /// Pulls to a layout of this name.
    fn pull(&self, server: &RegistryServer, to: &str, from: &[Local]) -> (Pulled, Vec<String>) {
        let listener = Listener::default();
        let pulled = self.try_pull(server, &[self.output(to)], from, &listener).unwrap();
        let count = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
        assert!(count(&listener.advanced) <= count(&listener.announced), "more than was announced");
        let warnings = listener.warnings.into_inner().unwrap();
        (pulled, warnings)
    }

    fn try_pull(
        &self,
        server: &RegistryServer,
        outputs: &[Output],
        from: &[Local],
        listener: &Listener,
    ) -> anyhow::Result<Pulled> {
        let interrupted = listener.interrupt.as_ref().map(|(_, flag)| Arc::clone(flag)).unwrap_or_default();
        let network = FetchSettings {
            connect_timeout: Duration::from_secs(5),
            stall_timeout: Duration::from_secs(2),
            pause: Duration::from_millis(5),
            attempts: 2,
            parallel: 3,
            interrupted,
            offline: listener.offline,
            ..FetchSettings::default()
        };
        let settings = PullSettings {
            store: &self.store,
            registry: RegistrySettings { network, plain_http: true, auth_files: Vec::new() },
            from: from.to_vec(),
            reporter: listener,
        };
        let reference: Reference = format!("{}/team/app:1.0", server.host).parse().unwrap();
        pull(&reference, outputs, &settings)
    }
}

/// Gives what the image consists of; `change` may spoil an answer.
fn serve(
    image: &TestImage,
    change: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static,
) -> RegistryServer {
    let image = image.clone();
    RegistryServer::start(move |request, _| {
        let rest = request.path.strip_prefix("/v2/team/app/").unwrap_or_default();
        let answer = match rest.split_once('/') {
            Some(("manifests", "1.0")) => Answer::new(200, &image.blobs[&image.root]),
            Some((_, digest)) => match image.blobs.get(&digest.parse().unwrap()) {
                Some(blob) => Answer::blob(request, blob),
                None => Answer::new(404, b""),
            },
            None => Answer::new(404, b""),
        };
        change(request, answer)
    })
}

fn honest(image: &TestImage) -> RegistryServer {
    serve(image, |_, answer| answer)
}

/// Whether every document and blob of the image lies in a layout.
fn assert_written(image: &TestImage, layout: &Path) {
    for (digest, bytes) in &image.blobs {
        let path = layout.join("blobs/sha256").join(digest.hex());
        assert!(fs_err::read(&path).unwrap() == *bytes, "{digest} differs");
    }
    assert!(!read_layout(layout).unwrap().images().is_empty());
}

fn pair() -> (TestImage, TestImage) {
    let maker = Maker::default();
    (maker.image(&[files(1)]), maker.image(&[files(2)]))
}

#[test]
fn an_image_comes_as_it_is_into_layouts_and_archives() {
    let (old, new) = pair();
    let both = TestImage::index(&[&old, &new]);
    let machine = Machine::new();
    let (pulled, warnings) = machine.pull(&honest(&both), "layout", &[]);
    assert_eq!((pulled.digest, warnings), (both.root, Vec::new()));
    assert!(pulled.blobs.iter().all(|blob| blob.way == Way::Whole && blob.fetched == blob.size));
    assert_eq!(pulled.fetched, both.blobs.values().map(|blob| blob.len() as u64).sum::<u64>());
    let layout = machine.directory.path().join("layout");
    assert_written(&both, &layout);
    // Another tag beside it, an archive, and the same again: nothing but the manifest is asked for.
    let outputs: Vec<Output> = [
        format!("oci:{}:other", layout.display()),
        format!("oci-archive:{}", machine.directory.path().join("archive.tar").display()),
        format!("oci:{}:other", layout.display()),
    ]
    .map(|text| text.parse().unwrap())
    .to_vec();
    let server = honest(&both);
    machine.try_pull(&server, &outputs, &[], &Listener::default()).unwrap();
    assert_eq!(server.paths(), ["/v2/team/app/manifests/1.0"]);
    let names = |path: &Path| -> Vec<_> {
        read_layout(path).unwrap().images().iter().map(|image| image.name.clone().unwrap()).collect()
    };
    assert_eq!(names(&layout), ["latest", "latest", "other", "other"]);
    assert_eq!(names(&machine.directory.path().join("archive.tar")), ["latest", "latest"]);
    let docker = "docker-archive:x.tar".parse().unwrap();
    let error = machine.try_pull(&server, &[docker], &[], &Listener::default()).unwrap_err();
    assert_eq!(error.to_string(), "`docker-archive:x.tar` would not have the image's bytes");
    fs_err::create_dir_all(machine.directory.path().join("full/x")).unwrap();
    let error = machine.try_pull(&server, &[machine.output("full")], &[], &Listener::default()).unwrap_err();
    assert!(format!("{error:#}").contains("is not empty and is no OCI image layout"), "{error:#}");
}

#[test]
fn of_an_update_only_the_changed_parts_are_fetched() {
    let (old, new) = pair();
    let machine = Machine::new();
    machine.pull(&honest(&old), "old", &[]);
    let fresh = Machine::new();
    let server = honest(&new);
    let (pulled, warnings) = fresh.pull(&server, "new", &[machine.layout("old")]);
    assert_eq!(warnings, Vec::<String>::new());
    assert_written(&new, &fresh.directory.path().join("new"));
    let layer = pulled.blobs.iter().find(|blob| blob.way == Way::Parts).expect("a layer in parts");
    assert!(layer.fetched < layer.size / 4, "{layer:?}");
    assert!(layer.local > layer.size / 2 && layer.made > 0, "{layer:?}");
    assert!(layer.fetched + layer.local + layer.made >= layer.size, "{layer:?}");
    assert_eq!(pulled.requests, server.paths().len() as u64);
    assert!(pulled.requests < 12, "{:?}", server.paths());
    // The image that was pulled before from the same repository counts by itself.
    let first = old.blobs[&old.root].clone();
    let mut both = new.clone();
    both.blobs.extend(old.blobs);
    let moving =
        serve(&both, move |request, answer| match request.path.ends_with("/1.0") && request.before == 0 {
            true => Answer::new(200, &first),
            false => answer,
        });
    let third = Machine::new();
    assert_eq!(third.pull(&moving, "old", &[]).0.digest, old.root);
    let (again, _) = third.pull(&moving, "new", &[]);
    assert_eq!((again.fetched, again.local), (pulled.fetched, pulled.local));
    assert_written(&new, &third.directory.path().join("new"));
}

#[test]
fn whole_layers_that_a_layout_has_are_not_asked_for() {
    let maker = Maker::default();
    let base = files(1);
    let old = maker.image(&[base.clone(), files(2)]);
    let new = maker.image(&[base, files(3)]);
    let machine = Machine::new();
    machine.pull(&honest(&old), "old", &[]);
    let fresh = Machine::new();
    let (pulled, _) = fresh.pull(&honest(&new), "new", &[machine.layout("old")]);
    let ways: Vec<Way> = pulled.blobs.iter().map(|blob| blob.way).collect();
    assert_eq!(ways, [Way::Whole, Way::Local, Way::Parts]);
    assert_written(&new, &fresh.directory.path().join("new"));
    // A damaged blob of the layout is not taken.
    let damaged = machine.directory.path().join("old/blobs/sha256").join(pulled.blobs[1].digest.hex());
    let mut bytes = fs_err::read(&damaged).unwrap();
    bytes[1000] ^= 1;
    fs_err::remove_file(&damaged).unwrap();
    fs_err::write(&damaged, bytes).unwrap();
    let third = Machine::new();
    let (pulled, _) = third.pull(&honest(&new), "new", &[machine.layout("old")]);
    assert_ne!(pulled.blobs[1].way, Way::Local);
    assert_written(&new, &third.directory.path().join("new"));
}

#[test]
fn what_this_program_cannot_make_is_fetched_by_range() {
    for identity in [None, Some("zstd 3, libzstd 0.1.0")] {
        let maker = Maker { identity: identity.map(str::to_owned), ..Maker::default() };
        let (old, new) = (maker.image(&[files(1)]), maker.image(&[files(2)]));
        let (machine, fresh) = (Machine::new(), Machine::new());
        machine.pull(&honest(&old), "old", &[]);
        let (pulled, warnings) = fresh.pull(&honest(&new), "new", &[machine.layout("old")]);
        let layer = pulled.blobs.iter().find(|blob| blob.way == Way::Parts).expect("a layer in parts");
        assert_eq!((layer.made, warnings), (0, Vec::new()));
        assert!(layer.local > layer.size / 2, "{layer:?}");
        assert_written(&new, &fresh.directory.path().join("new"));
    }
    // Frames that something else compressed are not taken for the same.
    let other = Maker { identity: Some("zstd 3, libzstd 0.1.0".to_owned()), ..Maker::default() };
    let (machine, fresh) = (Machine::new(), Machine::new());
    machine.pull(&honest(&other.image(&[files(1)])), "old", &[]);
    let new = Maker::default().image(&[files(2)]);
    let (pulled, _) = fresh.pull(&honest(&new), "new", &[machine.layout("old")]);
    assert!(pulled.blobs.iter().all(|blob| blob.local == 0), "{pulled:?}");
    assert_written(&new, &fresh.directory.path().join("new"));
}

#[test]
fn layers_that_lie_and_registries_that_misbehave_end_in_a_whole_layer_and_a_warning() {
    let (old, new) = pair();
    let machine = Machine::new();
    machine.pull(&honest(&old), "old", &[]);
    let layer = new.layers[0];
    let size = new.blobs[&layer].len();
    let is_part = move |request: &Request| {
        request.path.ends_with(&layer.to_string()) && request.range.is_some_and(|(_, last)| last.is_some())
    };
    let mut texts = Vec::new();
    let mut check = |name: &str, image: &TestImage, server: RegistryServer| {
        let fresh = Machine::new();
        let (pulled, warnings) = fresh.pull(&server, "new", &[machine.layout("old")]);
        assert_written(image, &fresh.directory.path().join("new"));
        assert_eq!(pulled.blobs.last().unwrap().way, Way::Whole, "{name}");
        let [warning] = &warnings[..] else { panic!("{name}: {warnings:?}") };
        let warning = warning.replace(&image.layers[0].to_string(), "LAYER").replace(&server.host, "HOST");
        texts.push(format!("{name}:\n  {warning}"));
    };
    let whole = new.blobs[&layer].clone();
    check(
        "ranges are ignored",
        &new,
        serve(&new, move |request, answer| if is_part(request) { Answer::new(200, &whole) } else { answer }),
    );
    check(
        "parts are wrong",
        &new,
        serve(&new, move |request, mut answer| {
            let tables = request.range.is_some_and(|(_, last)| last == Some(size - 1));
            if is_part(request) && !tables {
                answer.body.fill(7);
            }
            answer
        }),
    );
    check(
        "tables are wrong",
        &new,
        serve(&new, move |request, mut answer| {
            if is_part(request) {
                answer.body.fill(7);
            }
            answer
        }),
    );
    check(
        "parts are refused",
        &new,
        serve(&new, move |request, answer| if is_part(request) { Answer::new(416, b"") } else { answer }),
    );
    let lie = |name: &str, change: &dyn Fn(&mut calypte_formats::zstd_chunked::Toc)| {
        let image = Maker::default().lying_image(&files(2), change);
        (name.to_owned(), image)
    };
    let changed = |toc: &calypte_formats::zstd_chunked::Toc| {
        toc.entries.iter().position(|entry| entry.member.path == b"usr/changed").unwrap()
    };
    let lies = [
        lie("a chunk's digest", &|toc| {
            let number = changed(toc);
            let entry = &mut toc.entries[number];
            entry.digest = Some(Digest::of(b"lie"));
            entry.chunks[0].digest = Digest::of(b"lie");
        }),
        lie("a chunk that is there", &|toc| {
            // The table says that the changed file is as the old image has it.
            let number = changed(toc);
            let known = toc.entries.iter().find(|entry| entry.member.path == b"usr/small/7").unwrap().clone();
            let entry = &mut toc.entries[number];
            entry.digest = known.digest;
            entry.chunks[0].digest = known.chunks[0].digest;
        }),
        lie("a chunk that is there, with a frame of the same length", &|toc| {
            let before = Digest::of(&noise(201, 5_000));
            let number = changed(toc);
            let entry = &mut toc.entries[number];
            entry.digest = Some(before);
            entry.chunks[0].digest = before;
        }),
        lie("a chunk's size", &|toc| {
            let number = changed(toc);
            toc.entries[number].chunks[0].size -= 1;
            toc.entries[number].member.size -= 1;
        }),
        lie("a chunk's end", &|toc| {
            let number = changed(toc);
            toc.entries[number].chunks[0].end -= 1;
        }),
        lie("a chunk behind the tables", &|toc| {
            let last = toc.entries.iter_mut().rfind(|entry| !entry.chunks.is_empty()).unwrap();
            last.chunks.last_mut().unwrap().end = u64::MAX / 2;
        }),
        lie("a path", &|toc| {
            let number = changed(toc);
            toc.entries[number].member.path = b"usr/other".to_vec();
        }),
        lie("a file more", &|toc| {
            let mut entry = toc.entries[0].clone();
            entry.member.path = b"more".to_vec();
            toc.entries.push(entry);
        }),
        lie("a file less", &|toc| drop(toc.entries.pop())),
    ];
    for (name, image) in lies {
        check(&name, &image, honest(&image));
    }
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn an_interrupted_update_goes_on_where_it_stopped() {
    let (old, new) = pair();
    let machine = Machine::new();
    machine.pull(&honest(&old), "old", &[]);
    let fresh = Machine::new();
    let from = [machine.layout("old")];
    let server = honest(&new);
    let size = new.blobs[&new.layers[0]].len() as u64;
    let interrupting = Listener { interrupt: Some((size / 2, Arc::default())), ..Listener::default() };
    let error = fresh.try_pull(&server, &[fresh.output("new")], &from, &interrupting).unwrap_err();
    assert_eq!(error.to_string(), "interrupted");
    let partial = fresh.store.root().join("partial").join(new.layers[0].hex());
    let kept = fs_err::metadata(&partial).unwrap().len();
    assert!(kept >= size / 2 && kept < size, "{kept} of {size}");
    let (pulled, warnings) = fresh.pull(&honest(&new), "new", &from);
    assert_eq!(warnings, Vec::<String>::new());
    assert!(pulled.blobs.last().unwrap().local >= kept);
    assert_written(&new, &fresh.directory.path().join("new"));
    // What was kept is damaged: found at the end, and mended.
    let third = Machine::new();
    fs_err::write(third.store.root().join("partial").join(new.layers[0].hex()), vec![0; 5000]).unwrap();
    let (_, warnings) = third.pull(&honest(&new), "new", &from);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_written(&new, &third.directory.path().join("new"));
}
