//! Every way in which a mirror can fail, and what is left behind.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use calypte_base::Digest;
use calypte_store::{Download, FetchError, FetchSettings, Fetcher, Progress, Silent, Store};

use crate::server::{Server, Step};
use crate::{files_in, sample, store};

fn download(bytes: &[u8], path: &str) -> Download {
    Download {
        mirror: "main".to_owned(),
        path: path.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        what: format!("package {path}"),
    }
}

fn settings(servers: &[&Server]) -> FetchSettings {
    let urls = servers.iter().map(|server| format!("{}/", server.url)).collect();
    FetchSettings {
        mirrors: BTreeMap::from([("main".to_owned(), urls)]),
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_millis(300),
        attempts: 3,
        pause: Duration::from_millis(5),
        ..FetchSettings::default()
    }
}

/// The error without the port of this run.
fn shown(error: &FetchError) -> String {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    let text = format!("{error}{hint}");
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        text + "HOST" + part.trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

fn assert_stored(store: &Store, bytes: &[u8]) {
    assert_eq!(store.read_verified(&Digest::of(bytes)).unwrap(), bytes);
    assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());
}

/// Fetches `/f` with these steps into a new store: the outcome, what was asked, and the files left in `partial`.
fn attempt(file: &[u8], steps: Vec<Step>) -> (Result<(), FetchError>, Vec<String>, Vec<String>) {
    let (_directory, store) = store();
    let server = Server::start(&[("/f", steps)]);
    let fetcher = Fetcher::new(store.clone(), settings(&[&server]));
    let result = fetcher.fetch_blob(&download(file, "f"));
    assert_eq!(store.has(&Digest::of(file)), result.is_ok());
    if result.is_ok() {
        assert_stored(&store, file);
    }
    (result, server.requests(), files_in(&store.root().join("partial")))
}

#[test]
fn what_a_mirror_may_do_and_still_be_good() {
    let file = sample(200_000);
    let cut = |count| Step::Cut(file.clone(), count);
    let whole = || Step::Serve(file.clone());
    let cases: [(&str, Vec<Step>, &[&str]); 10] = [
        ("plain", vec![whole()], &["/f"]),
        ("no length", vec![Step::NoLength(file.clone())], &["/f"]),
        ("cut once", vec![cut(70_000), whole()], &["/f", "/f from 70000"]),
        ("cut twice", vec![cut(70_000), cut(50_000), whole()], &["/f", "/f from 70000", "/f from 120000"]),
        ("no ranges", vec![cut(70_000), Step::ServeWhole(file.clone())], &["/f", "/f from 70000"]),
        ("overloaded", vec![Step::Status(503), Step::Status(500), whole()], &["/f", "/f", "/f"]),
        ("hang, then good", vec![Step::Hang(file.clone(), 1000), whole()], &["/f", "/f from 1000"]),
        (
            "wrong part",
            vec![cut(70_000), Step::WrongPart(file.clone()), whole()],
            &["/f", "/f from 70000", "/f"],
        ),
        ("redirect", vec![Step::Redirect("/f".into()), whole()], &["/f", "/f"]),
        (
            "slow, but never silent",
            vec![Step::Trickle(file.clone(), 20_000, Duration::from_millis(100))],
            &["/f"],
        ),
    ];
    for (name, steps, requests) in cases {
        let (result, asked, _) = attempt(&file, steps);
        assert!(result.is_ok(), "{name}: {result:?}");
        assert_eq!(asked, requests, "{name}");
    }
    let (result, _, _) = attempt(b"", vec![Step::Serve(Vec::new())]);
    assert!(result.is_ok(), "an empty file: {result:?}");
}

#[test]
fn what_a_mirror_may_not_do() {
    let file = sample(100_000);
    let other = vec![0; file.len()];
    let longer = [file.as_slice(), b"more"].concat();
    // Name, steps, number of requests, and the bytes that are kept for another time.
    let cases: [(&str, Vec<Step>, usize, bool); 9] = [
        ("wrong-hash", vec![Step::Serve(other)], 1, false),
        ("gone", vec![Step::Status(404)], 1, false),
        ("forbidden", vec![Step::Status(403)], 1, false),
        ("overloaded", vec![Step::Status(503)], 3, false),
        ("longer", vec![Step::Serve(longer.clone())], 1, false),
        ("longer-without-length", vec![Step::NoLength(longer)], 1, false),
        (
            "shorter-than-declared",
            vec![Step::Declare(100_000, file[..500].to_vec()), Step::Status(404)],
            2,
            true,
        ),
        ("silent", vec![Step::Hang(file.clone(), 0)], 3, false),
        ("redirect-loop", vec![Step::Redirect("/f".into())], 9, false),
    ];
    for (name, steps, requests, kept) in cases {
        let start = Instant::now();
        let (result, asked, partial) = attempt(&file, steps);
        let error = result.unwrap_err();
        insta::assert_snapshot!(name, shown(&error));
        // Whoever locks anew because a file is gone must not do so because a mirror is overloaded or silent.
        let may_return = ["forbidden", "overloaded", "silent", "redirect-loop"].contains(&name);
        assert_eq!(error.is_gone(), !may_return, "{name}");
        assert_eq!(asked.len(), requests, "{name}: {asked:?}");
        let expected = if kept { vec![Digest::of(&file).hex()] } else { Vec::new() };
        assert_eq!(partial, expected, "{name}");
        assert!(start.elapsed() < Duration::from_secs(10), "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn the_next_mirror_is_asked_and_all_are_named_when_none_does() {
    let file = sample(5_000);
    let gone = Server::start(&[]);
    let wrong = Server::start(&[("/f", vec![Step::Serve(vec![0; 5_000])])]);
    let good = Server::start(&[("/f", vec![Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let all_bad = Fetcher::new(store.clone(), settings(&[&gone, &wrong]));
    let error = all_bad.fetch_blob(&download(&file, "f")).unwrap_err();
    insta::assert_snapshot!(shown(&error));
    Fetcher::new(store.clone(), settings(&[&gone, &wrong, &good])).fetch_blob(&download(&file, "f")).unwrap();
    assert_stored(&store, &file);
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let (_directory, store) = store();
    let mut settings = settings(&[]);
    settings.mirrors.insert("main".into(), vec!["http://127.0.0.1:1".into()]);
    let error = Fetcher::new(store, settings).fetch_blob(&download(b"x", "f")).unwrap_err();
    assert!(error.to_string().starts_with("cannot fetch package f: http://127.0.0.1:1/f: "), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[test]
fn the_next_run_goes_on_where_a_killed_one_stopped() {
    let file = sample(300_000);
    let server = Server::start(&[("/f", vec![Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let partial = store.root().join("partial").join(Digest::of(&file).hex());
    fs_err::write(&partial, &file[..123_456]).unwrap();
    let fetcher = Fetcher::new(store.clone(), settings(&[&server]));
    fetcher.fetch_blob(&download(&file, "f")).unwrap();
    assert_eq!(server.requests(), ["/f from 123456"]);
    assert_stored(&store, &file);

    // Whatever a killed run left that is not the start of the file is found, and fetched anew.
    for left in [vec![7; 1000], vec![7; 300_000], vec![7; 400_000], file.clone()] {
        store.remove(&Digest::of(&file)).unwrap();
        fs_err::write(&partial, &left).unwrap();
        fetcher.fetch_blob(&download(&file, "f")).unwrap();
        assert_stored(&store, &file);
    }
    assert_eq!(server.requests()[1..], ["/f from 1000", "/f", "/f", "/f"]);
}

#[test]
fn a_blob_that_a_crash_cut_is_replaced() {
    let file = sample(10_000);
    let server = Server::start(&[("/f", vec![Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let digest = store.put(&file).unwrap();
    fs_err::write(store.blob_path(&digest), b"").unwrap();
    Fetcher::new(store.clone(), settings(&[&server])).fetch_blob(&download(&file, "f")).unwrap();
    assert_stored(&store, &file);
}

#[derive(Default)]
struct Counter {
    announced: Mutex<Vec<(usize, u64)>>,
    bytes: AtomicU64,
    names: Mutex<Vec<String>>,
}

impl Progress for Counter {
    fn started(&self, files: usize, bytes: u64) {
        self.announced.lock().unwrap().push((files, bytes));
    }
    fn advanced(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
    fn finished_one(&self, name: &str) {
        self.names.lock().unwrap().push(name.to_owned());
    }
}

#[test]
fn many_are_fetched_once_each_and_progress_adds_up() {
    let files: Vec<Vec<u8>> = (0..40).map(|number| sample(1000 + number * 777)).collect();
    let paths: Vec<String> = (0..40).map(|number| format!("/{number}")).collect();
    let steps = |number: usize| match number % 4 {
        0 => vec![Step::Cut(files[number].clone(), 500), Step::Serve(files[number].clone())],
        1 => vec![Step::Cut(files[number].clone(), 500), Step::ServeWhole(files[number].clone())],
        _ => vec![Step::Serve(files[number].clone())],
    };
    let paths: Vec<(&str, Vec<Step>)> =
        paths.iter().enumerate().map(|(number, path)| (path.as_str(), steps(number))).collect();
    let server = Server::start(&paths);
    let (_directory, store) = store();
    store.put(&files[0]).unwrap();
    let mut downloads: Vec<Download> =
        files.iter().enumerate().map(|(number, file)| download(file, &number.to_string())).collect();
    downloads.extend(downloads.clone());
    let counter = Counter::default();
    let fetcher = Fetcher::new(store.clone(), settings(&[&server]));
    fetcher.fetch_all(&downloads, &counter).unwrap();
    let total = files[1..].iter().map(|file| file.len() as u64).sum::<u64>();
    assert_eq!(*counter.announced.lock().unwrap(), [(39, total)]);
    assert_eq!(counter.bytes.load(Ordering::Relaxed), total);
    assert_eq!(counter.names.lock().unwrap().len(), 39);
    files.iter().for_each(|file| assert_stored(&store, file));
    // A second time there is nothing to do.
    let asked = server.requests().len();
    fetcher.fetch_all(&downloads, &counter).unwrap();
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn two_fetchers_of_one_file_ask_for_it_once() {
    let file = sample(50_000);
    let slow = Step::Trickle(file.clone(), 5_000, Duration::from_millis(20));
    let server = Server::start(&[("/f", vec![slow])]);
    let (_directory, store) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let fetcher = Fetcher::new(Store::open(store.root()).unwrap(), settings(&[&server]));
            let file = &file;
            scope.spawn(move || fetcher.fetch_blob(&download(file, "f")).unwrap());
        }
    });
    assert_eq!(server.requests(), ["/f"]);
    assert_stored(&store, &file);
}

#[test]
fn one_failure_stops_the_others_and_later_work_goes_on() {
    let file = sample(1_000);
    let server = Server::start(&[("/good", vec![Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let fetcher = Fetcher::new(store.clone(), settings(&[&server]));
    let missing = download(b"missing", "missing");
    let error = fetcher.fetch_all(&[missing, download(&file, "good")], &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Failed { .. }), "{error}");
    fetcher.fetch_blob(&download(&file, "good")).unwrap();
    assert_stored(&store, &file);
}

#[test]
fn an_interrupt_leaves_what_can_be_resumed() {
    let file = sample(100_000);
    let slow = Step::Trickle(file.clone(), 10_000, Duration::from_millis(50));
    let server = Server::start(&[("/f", vec![slow, Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let interrupted = Arc::new(AtomicBool::new(false));
    let fetcher = Fetcher::new(
        store.clone(),
        FetchSettings { interrupted: Arc::clone(&interrupted), ..settings(&[&server]) },
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            interrupted.store(true, Ordering::Relaxed);
        });
        let error = fetcher.fetch_blob(&download(&file, "f")).unwrap_err();
        assert!(matches!(error, FetchError::Interrupted), "{error}");
    });
    assert_eq!(files_in(&store.root().join("partial")), [Digest::of(&file).hex()]);
    interrupted.store(false, Ordering::Relaxed);
    fetcher.fetch_blob(&download(&file, "f")).unwrap();
    assert!(server.requests()[1].starts_with("/f from "), "{:?}", server.requests());
    assert_stored(&store, &file);
}

#[test]
fn offline_opens_no_socket_and_names_what_is_missing() {
    let file = sample(100);
    let server = Server::start(&[("/f", vec![Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let there = store.put(b"there").unwrap();
    let fetcher = Fetcher::new(store, FetchSettings { offline: true, ..settings(&[&server]) });
    fetcher.fetch_blob(&Download { digest: there, ..download(b"there", "there") }).unwrap();
    let missing: Vec<Download> =
        (0..7).map(|number| download(&sample(number + 1), &number.to_string())).collect();
    let error = fetcher.fetch_all(&missing, &Silent).unwrap_err();
    insta::assert_snapshot!(shown(&error));
    let error = fetcher.fetch_small("main", "f", 1000).unwrap_err();
    assert_eq!(error.to_string(), "offline, and not in the store: f of main");
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[test]
fn small_files_are_bounded_and_repeated() {
    let file = sample(70_000);
    let server = Server::start(&[
        ("/f", vec![Step::Status(502), Step::Cut(file.clone(), 10), Step::NoLength(file.clone())]),
        ("/endless", vec![Step::NoLength(sample(500_000))]),
    ]);
    let (_directory, store) = store();
    let fetcher = Fetcher::new(store.clone(), settings(&[&server]));
    assert_eq!(fetcher.fetch_small("main", "f", 70_000).unwrap(), file);
    let digest = fetcher.fetch_unnamed("main", "f", 70_000).unwrap();
    assert_eq!(store.read_verified(&digest).unwrap(), file);
    let error = fetcher.fetch_unnamed("main", "endless", 1000).unwrap_err();
    assert!(error.to_string().ends_with("it has more than 1000 bytes"), "{error}");
    assert_eq!(files_in(&store.root().join("partial")), Vec::<String>::new());
    let error = fetcher.fetch_small("main", "endless", 1000).unwrap_err();
    insta::assert_snapshot!(shown(&error));
    let error = fetcher.fetch_small("other", "f", 1000).unwrap_err();
    insta::assert_snapshot!(shown(&error));
}

#[test]
fn settings_that_cannot_be_right_are_told_by_name() {
    let (directory, store) = store();
    let wrong = directory.path().join("certificates.pem");
    fs_err::write(&wrong, "nothing").unwrap();
    let with = |change: &dyn Fn(&mut FetchSettings)| {
        let mut settings = settings(&[]);
        settings.mirrors.insert("main".into(), vec!["https://127.0.0.1:1".into()]);
        change(&mut settings);
        Fetcher::new(store.clone(), settings).fetch_small("main", "f", 10).unwrap_err().to_string()
    };
    let error = with(&|settings| settings.certificates = Some(wrong.clone()));
    assert_eq!(error, format!("cannot read certificates from {}: it holds no certificate", wrong.display()));
    let error = with(&|settings| settings.certificates = Some("/nowhere.pem".into()));
    assert_eq!(error, "cannot read certificates from /nowhere.pem: entity not found");
    let error = with(&|settings| settings.https_proxy = Some("ftp://me:secret@host".into()));
    assert!(error.starts_with("`host` is not the address of a proxy: "), "{error}");
    assert!(!error.contains("secret"));
}

#[test]
fn a_proxy_connects_for_us_is_spared_where_told_and_named_when_it_refuses() {
    let file = sample(10);
    let proxy =
        Server::start(&[("mirror.example.org:80", Vec::new()), ("/f", vec![Step::Serve(file.clone())])]);
    let (_directory, store) = store();
    let mut settings = FetchSettings { http_proxy: Some(proxy.url.clone()), ..settings(&[]) };
    settings.mirrors.insert("main".into(), vec!["http://mirror.example.org".into()]);
    assert_eq!(Fetcher::new(store.clone(), settings.clone()).fetch_small("main", "f", 10).unwrap(), file);
    assert_eq!(proxy.requests(), ["CONNECT mirror.example.org:80", "/f"]);

    let direct = Server::start(&[("/f", vec![Step::Serve(file.clone())])]);
    settings.mirrors.insert("main".into(), vec![direct.url.clone()]);
    settings.no_proxy = vec!["127.0.0.1".into()];
    assert_eq!(Fetcher::new(store.clone(), settings.clone()).fetch_small("main", "f", 10).unwrap(), file);
    assert_eq!((proxy.requests().len(), direct.requests().len()), (2, 1));

    settings.mirrors.insert("main".into(), vec!["http://forbidden.example.org".into()]);
    let error = Fetcher::new(store, settings).fetch_small("main", "f", 10).unwrap_err();
    insta::assert_snapshot!(shown(&error));
}
