//! The registry client against a registry that misbehaves.

use std::time::Duration;

use calypte_base::Digest;
use calypte_store::registry::{
    MANIFEST_LIMIT, Reference, Registry, RegistryError, RegistrySettings, Traffic, Version,
};
use calypte_store::{FetchSettings, Progress, Silent};

use crate::registry_server::{Answer, RegistryServer, Request};
use crate::{files_in, sample, store};

const MANIFEST: &[u8] = br#"{"schemaVersion":2}"#;
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn settings() -> RegistrySettings {
    let network = FetchSettings {
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_millis(300),
        attempts: 3,
        pause: Duration::from_millis(5),
        ..FetchSettings::default()
    };
    RegistrySettings { network, plain_http: true, auth_files: Vec::new() }
}

fn reference(server: &RegistryServer) -> Reference {
    format!("{}/team/app:1.0", server.host).parse().unwrap()
}

fn registry(server: &RegistryServer) -> Registry {
    Registry::new(&reference(server), settings()).unwrap()
}

fn tag() -> Version {
    Version::Tag("1.0".to_owned())
}

/// The error without the ports of this run.
fn shown(error: &RegistryError) -> String {
    let hint = error.hint().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
    let text = format!("{error}{hint}");
    let mut parts = text.split("127.0.0.1:");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| {
        text + "HOST" + part.trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

fn manifest_of(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Result<Vec<u8>, String> {
    let server = RegistryServer::start(move |request, _| answer(request));
    let read = registry(&server).manifest(&tag());
    read.map(|document| document.bytes).map_err(|error| shown(&error))
}

#[test]
fn a_manifest_comes_with_its_type_and_digest() {
    let server = RegistryServer::start(|request, _| match request.path.as_str() {
        "/v2/team/app/manifests/1.0" => {
            Answer::new(200, MANIFEST).with("Content-Type", format!("{OCI_MANIFEST}; charset=utf-8"))
        }
        _ => Answer::new(404, b""),
    });
    let registry = registry(&server);
    let document = registry.manifest(&tag()).unwrap();
    assert_eq!(document.media_type.as_deref(), Some(OCI_MANIFEST));
    assert_eq!((document.digest, document.bytes.as_slice()), (Digest::of(MANIFEST), MANIFEST));
    assert_eq!(registry.traffic(), Traffic { requests: 1, bytes: MANIFEST.len() as u64 });
}

#[test]
fn manifests_that_are_not_what_they_should_be() {
    let other = Digest::of(b"other").to_string();
    let huge = vec![b' '; MANIFEST_LIMIT as usize + 1];
    let mut texts = Vec::new();
    let mut refused = |name: &str, outcome: Result<Vec<u8>, String>| {
        texts.push(format!("{name}: {}", outcome.expect_err(&format!("{name} is taken as good"))));
    };
    refused("unknown", manifest_of(|_| Answer::new(404, b"")));
    refused("too many requests", manifest_of(|_| Answer::new(429, b"")));
    refused("too large", manifest_of(move |_| Answer::new(200, &huge)));
    refused(
        "another digest than promised",
        manifest_of(move |_| Answer::new(200, MANIFEST).with("Docker-Content-Digest", other.clone())),
    );
    refused("cut", manifest_of(|_| Answer::new(200, MANIFEST).cut(5)));
    refused("denied", manifest_of(|_| Answer::new(403, b"")));
    refused(
        "login of another kind",
        manifest_of(|_| Answer::new(401, b"").with("WWW-Authenticate", "Negotiate")),
    );
    refused(
        "login without credentials",
        manifest_of(|_| Answer::new(401, b"").with("WWW-Authenticate", "Basic")),
    );
    refused(
        "redirect loop",
        manifest_of(|request| Answer::new(307, b"").with("Location", request.path.clone())),
    );
    refused(
        "redirect to nowhere",
        manifest_of(|_| Answer::new(307, b"").with("Location", "file:///etc/passwd")),
    );
    insta::assert_snapshot!(texts.join("\n"));
    let by_digest = RegistryServer::start(|_, _| Answer::new(200, MANIFEST));
    let error = registry(&by_digest).manifest(&Version::Digest(Digest::of(b"other"))).unwrap_err();
    assert!(matches!(error, RegistryError::Failed { .. }), "{error}");
    let again = manifest_of(|request| match request.before {
        0 => Answer::new(503, b""),
        1 => Answer::new(200, MANIFEST).cut(3),
        _ => Answer::new(200, MANIFEST),
    });
    assert_eq!(again.as_deref(), Ok(MANIFEST), "two failures that pass");
}

#[test]
fn plain_http_is_for_this_machine_only() {
    let elsewhere: Reference = "registry.example:5000/a".parse().unwrap();
    let error = Registry::new(&elsewhere, settings()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "registry.example:5000 is not this machine, and plain http is for registries on this machine only"
    );
    // And without it, this machine is asked over https.
    let server = RegistryServer::start(|_, _| Answer::new(200, MANIFEST));
    let over_tls = RegistrySettings { plain_http: false, ..settings() };
    let error = Registry::new(&reference(&server), over_tls).unwrap().manifest(&tag()).unwrap_err();
    assert!(matches!(error, RegistryError::Failed { .. }), "{error}");
    assert_eq!(server.paths(), Vec::<String>::new());
    let offline =
        RegistrySettings { network: FetchSettings { offline: true, ..settings().network }, ..settings() };
    let error = Registry::new(&reference(&server), offline).unwrap().manifest(&tag()).unwrap_err();
    assert!(matches!(error, RegistryError::Offline { .. }), "{error}");
}

/// A registry that wants tokens; those that it gives out are good for `uses` requests.
fn with_login(uses: usize) -> RegistryServer {
    let issued = std::sync::Mutex::new((0, 0));
    RegistryServer::start(move |request, host| {
        let mut issued = issued.lock().unwrap();
        if let Some(query) = request.path.strip_prefix("/token") {
            assert_eq!(query, "?scope=repository:team/app:pull&service=the%20registry");
            if request.authorization.as_deref() == Some("Basic d3Jvbmc=") {
                return Answer::new(401, b"");
            }
            *issued = (issued.0 + 1, uses);
            return Answer::new(200, format!(r#"{{"token":"t{}"}}"#, issued.0).as_bytes());
        }
        let good = request.authorization == Some(format!("Bearer t{}", issued.0));
        if !good || issued.1 == 0 {
            let challenge = format!(
                r#"Bearer realm="http://{host}/token",service="the registry",scope="repository:team/app:pull""#
            );
            return Answer::new(401, b"").with("WWW-Authenticate", challenge);
        }
        issued.1 -= 1;
        Answer::new(200, MANIFEST)
    })
}

#[test]
fn tokens_are_fetched_and_renewed() {
    let server = with_login(2);
    let auth_file = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, server.host);
    let with_file =
        RegistrySettings { auth_files: vec![b"{}".to_vec(), auth_file.into_bytes()], ..settings() };
    let registry = Registry::new(&reference(&server), with_file).unwrap();
    for _ in 0..3 {
        assert_eq!(registry.manifest(&tag()).unwrap().bytes, MANIFEST);
    }
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|request| {
            let path = request.path.split('?').next().unwrap().rsplit('/').next().unwrap();
            format!("{path} {}", request.authorization.as_deref().unwrap_or("-"))
        })
        .collect();
    let expected = [
        "1.0 -",
        "token Basic dTpw",
        "1.0 Bearer t1",
        "1.0 Bearer t1",
        "1.0 Bearer t1",
        "token Basic dTpw",
        "1.0 Bearer t2",
    ];
    assert_eq!(asked, expected);
}

#[test]
fn logins_that_fail_say_so() {
    let error = registry(&with_login(0)).manifest(&tag()).unwrap_err();
    assert!(matches!(error, RegistryError::Denied { whom: "everyone", .. }), "{error}");
    let server = with_login(1);
    let wrong = format!(r#"{{"auths":{{"{}":{{"auth":"d3Jvbmc="}}}}}}"#, server.host);
    let with_file = RegistrySettings { auth_files: vec![wrong.into_bytes()], ..settings() };
    let error = Registry::new(&reference(&server), with_file).unwrap().manifest(&tag()).unwrap_err();
    assert!(matches!(error, RegistryError::Login { .. }), "{error}");
    for token in [&b"{}"[..], b"x", br#"{"token":""}"#, br#"{"token":"a\r\nb"}"#] {
        let server = RegistryServer::start(move |request, host| match request.path.starts_with("/token") {
            true => Answer::new(200, token),
            false => Answer::new(401, b"")
                .with("WWW-Authenticate", format!(r#"Bearer realm="http://{host}/token?x=y""#)),
        });
        let error = registry(&server).manifest(&tag()).unwrap_err();
        assert!(matches!(error, RegistryError::Login { .. }), "{error}");
        assert_eq!(server.paths()[1], "/token?x=y&scope=repository:team/app:pull");
    }
}

#[test]
fn the_storage_behind_a_registry_does_not_see_the_authorization() {
    let blob = sample(1000);
    let body = blob.clone();
    let storage = RegistryServer::start(move |request, _| Answer::blob(request, &body));
    let (to, here) = (format!("http://{}/data", storage.host), "/v2/team/app/here");
    let server = RegistryServer::start(move |request, _| match request.path.as_str() {
        _ if request.authorization.is_none() => Answer::new(401, b"").with("WWW-Authenticate", "Basic"),
        path if path == here => Answer::new(302, b"").with("Location", to.clone()),
        _ => Answer::new(307, b"").with("Location", here),
    });
    let auth_file = format!(r#"{{"auths":{{"{}":{{"auth":"dTpw"}}}}}}"#, server.host);
    let with_file = RegistrySettings { auth_files: vec![auth_file.into_bytes()], ..settings() };
    let registry = Registry::new(&reference(&server), with_file).unwrap();
    let (_directory, store) = store();
    registry.fetch_blob(&store, &Digest::of(&blob), 1000, &Silent).unwrap();
    assert_eq!(registry.range(&Digest::of(&blob), 10..20).unwrap(), blob[10..20]);
    let seen = |server: &RegistryServer| -> Vec<bool> {
        server.requests().iter().map(|request| request.authorization.is_some()).collect()
    };
    assert_eq!((seen(&server), seen(&storage)), (vec![false, true, true, true, true], vec![false, false]));
}

/// Fetches a blob from a registry that answers so; the outcome, what was asked for, and the files left in `partial`.
fn blob_of(
    blob: &[u8],
    answer: impl Fn(&Request, &[u8]) -> Answer + Send + Sync + 'static,
) -> (Result<(), String>, Vec<String>, Vec<String>) {
    let (_directory, store) = store();
    let (digest, size, bytes) = (Digest::of(blob), blob.len() as u64, blob.to_vec());
    let server = RegistryServer::start(move |request, _| answer(request, &bytes));
    let result =
        registry(&server).fetch_blob(&store, &digest, size, &Silent).map(|fetched| assert_eq!(fetched, size));
    assert_eq!(store.has(&digest), result.is_ok());
    if result.is_ok() {
        assert_eq!(store.read_verified(&digest).unwrap(), blob);
    }
    let paths = server.paths().into_iter().map(|path| path.replace(&digest.to_string(), "D")).collect();
    (result.map_err(|error| shown(&error)), paths, files_in(&store.root().join("partial")))
}

#[test]
fn what_a_registry_may_do_and_still_be_good() {
    let blob = sample(200_000);
    let path = "/v2/team/app/blobs/D";
    let check = |name: &str, outcome: (Result<(), String>, Vec<String>, Vec<String>), ranges: &[&str]| {
        let (result, asked, partial) = outcome;
        assert_eq!(result, Ok(()), "{name}");
        let expected: Vec<String> =
            ranges.iter().map(|range| format!("{path} {range}").trim_end().to_owned()).collect();
        assert_eq!((asked, partial), (expected, Vec::<String>::new()), "{name}");
    };
    check("plain", blob_of(&blob, Answer::blob), &[""]);
    let cut_once = |request: &Request, blob: &[u8]| match request.before {
        0 => Answer::blob(request, blob).cut(70_000),
        _ => Answer::blob(request, blob),
    };
    check("cut once", blob_of(&blob, cut_once), &["", "70000-"]);
    let no_ranges = |request: &Request, blob: &[u8]| match request.before {
        0 => Answer::new(200, blob).cut(70_000),
        _ => Answer::new(200, blob),
    };
    check("no ranges", blob_of(&blob, no_ranges), &["", "70000-"]);
    let wrong_part = |request: &Request, blob: &[u8]| match request.before {
        0 => Answer::blob(request, blob).cut(70_000),
        1 => Answer::new(206, &blob[..9]).with("Content-Range", "bytes 0-8/200000"),
        _ => Answer::blob(request, blob),
    };
    check("another part", blob_of(&blob, wrong_part), &["", "70000-", ""]);
    check("an empty blob", blob_of(b"", Answer::blob), &[""]);
}

#[test]
fn what_a_registry_may_not_do() {
    let blob = sample(100_000);
    let mut texts = Vec::new();
    let mut refused = |name: &str, kept: bool, outcome: (Result<(), String>, Vec<String>, Vec<String>)| {
        texts.push(format!("{name}: {}", outcome.0.expect_err(&format!("{name} is taken as good"))));
        assert_eq!(outcome.2.len(), usize::from(kept), "{name}");
    };
    refused("gone", false, blob_of(&blob, |_, _| Answer::new(404, b"")));
    refused("other bytes", false, blob_of(&blob, |_, blob| Answer::new(200, &vec![0; blob.len()])));
    refused("longer", false, blob_of(&blob, |_, blob| Answer::new(200, &[blob, b"more"].concat())));
    refused("shorter", false, blob_of(&blob, |_, blob| Answer::new(200, &blob[1..])));
    refused("always cut", true, blob_of(&blob, |request, blob| Answer::blob(request, blob).cut(10)));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn an_interrupted_blob_goes_on_where_it_stopped() {
    let blob = sample(3_000_000);
    let (digest, size) = (Digest::of(&blob), blob.len() as u64);
    let (_directory, store) = store();
    let body = blob.clone();
    let server = RegistryServer::start(move |request, _| Answer::blob(request, &body));
    /// Raises the flag when the first bytes are there, as Ctrl-C would.
    struct Interrupting(std::sync::Arc<std::sync::atomic::AtomicBool>);
    impl Progress for Interrupting {
        fn started(&self, _: usize, _: u64) {}
        fn advanced(&self, _: u64) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        fn finished_one(&self, _: &str) {}
    }
    let interrupted = settings();
    let flag = std::sync::Arc::clone(&interrupted.network.interrupted);
    let first = Registry::new(&reference(&server), interrupted).unwrap();
    let error = first.fetch_blob(&store, &digest, size, &Interrupting(flag)).unwrap_err();
    assert_eq!(error.to_string(), "interrupted");
    assert_eq!(files_in(&store.root().join("partial")), [digest.hex()]);
    let kept = fs_err::metadata(store.root().join("partial").join(digest.hex())).unwrap().len();
    assert!(kept > 0 && kept < size, "{kept}");
    let fetched = registry(&server).fetch_blob(&store, &digest, size, &Silent).unwrap();
    assert_eq!(fetched, size - kept);
    assert_eq!(registry(&server).fetch_blob(&store, &digest, size, &Silent).unwrap(), 0);
    assert_eq!(store.read_verified(&digest).unwrap(), blob);
    assert_eq!(server.requests()[1].range, Some((kept as usize, None)));
    // What an earlier run left may be damaged: then the blob is fetched anew.
    store.remove(&digest).unwrap();
    fs_err::write(store.root().join("partial").join(digest.hex()), b"damaged").unwrap();
    registry(&server).fetch_blob(&store, &digest, size, &Silent).unwrap();
    assert_eq!(
        server.requests()[2..].iter().map(|request| request.range).collect::<Vec<_>>(),
        [Some((7, None)), None]
    );
}

#[test]
fn parts_of_blobs() {
    let blob = sample(5_000_000);
    let digest = Digest::of(&blob);
    let range = |answer: fn(&Request, &[u8]) -> Answer| {
        let body = blob.clone();
        let server = RegistryServer::start(move |request, _| answer(request, &body));
        let result = registry(&server).range(&digest, 1000..4_001_000);
        (result.map_err(|error| shown(&error)), server.requests().len())
    };
    assert_eq!(range(Answer::blob), (Ok(blob[1000..4_001_000].to_vec()), 1));
    let cut = |request: &Request, blob: &[u8]| match request.before {
        0 => Answer::blob(request, blob).cut(1_500_000),
        1 => Answer::new(503, b""),
        _ => Answer::blob(request, blob),
    };
    assert_eq!(range(cut), (Ok(blob[1000..4_001_000].to_vec()), 3));
    let (ignored, asked) = range(|_, blob| Answer::new(200, blob));
    assert_eq!(
        (ignored.unwrap_err().lines().next().unwrap(), asked),
        ("HOST gives blobs only as a whole", 1)
    );
    for wrong in [
        |_: &Request, blob: &[u8]| Answer::new(206, &blob[..100]).with("Content-Range", "bytes 0-99/5000000"),
        |request: &Request, blob: &[u8]| {
            Answer::blob(&Request { range: Some((1000, None)), ..request.clone() }, blob)
        },
        |_: &Request, blob: &[u8]| Answer::new(206, &blob[..100]),
        |_: &Request, _: &[u8]| Answer::new(416, b""),
    ] {
        let (result, asked) = range(wrong);
        assert!(result.unwrap_err().contains("another part"), "asked {asked} times");
        assert_eq!(asked, 3);
    }
    assert_eq!(range(|_, _| Answer::new(404, b"")).1, 1);
}
