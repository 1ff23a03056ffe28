//! The registry over HTTP: our own client, and clients that break rules.

mod conformance;
mod server;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use calypte_base::Digest;
use calypte_store::registry::{Arrival, Mount, RegistryError, Version};
use calypte_store::{Silent, Store};
use server::{LIMIT, Server};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(config: &Digest, size: usize, subject: Option<&Digest>) -> Vec<u8> {
    let subject = subject.map_or(String::new(), |digest| {
        format!(
            r#","artifactType":"a/b","subject":{{"mediaType":"{MANIFEST}","digest":"{digest}","size":1}}"#
        )
    });
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"x/y","digest":"{config}","size":{size}}},"layers":[]{subject}}}"#
    )
    .into_bytes()
}

#[test]
fn what_is_pushed_can_be_pulled() {
    let server = Server::new();
    let own = server.store();
    let bytes: Vec<u8> = (0..9_000_000_u32).flat_map(|number| number.to_le_bytes()).take(9_000_001).collect();
    let digest = own.put(&bytes).unwrap();
    let client = server.client("library/base", "secret");
    assert_eq!(client.push_blob(&own, &digest, Mount::No, &Silent).unwrap(), Arrival::Sent);
    assert_eq!(client.push_blob(&own, &digest, Mount::No, &Silent).unwrap(), Arrival::Present);
    let document = manifest(&digest, bytes.len(), None);
    let pushed = client.push_manifest(&Version::Tag("1.0".into()), MANIFEST, &document).unwrap();
    assert_eq!(pushed.digest, Digest::of(&document));
    assert!(!pushed.lists_referrer);

    // Another repository takes the blob over.
    let second = server.client("second", "secret");
    let mounted = second.push_blob(&own, &digest, Mount::From("library/base"), &Silent).unwrap();
    assert_eq!(mounted, Arrival::Mounted);

    // A repository that does not know where it is has it found.
    let third = server.client("third", "secret");
    assert_eq!(third.push_blob(&own, &digest, Mount::Anywhere, &Silent).unwrap(), Arrival::Mounted);

    // Anyone may read.
    let reader = server.client("library/base", "");
    let found = reader.manifest(&Version::Tag("1.0".into())).unwrap();
    assert_eq!((found.bytes, found.media_type.as_deref()), (document, Some(MANIFEST)));
    let other = Store::open(server.directory.path().join("other")).unwrap();
    reader.fetch_blob(&other, &digest, bytes.len() as u64, &Silent).unwrap();
    assert_eq!(other.read_verified(&digest).unwrap(), bytes);
    assert_eq!(reader.range(&digest, 5..12).unwrap(), &bytes[5..12]);
    assert_eq!(reader.tags().unwrap(), ["1.0"]);

    let referrer = manifest(&digest, bytes.len(), Some(&pushed.digest));
    let said = client.push_manifest(&Version::Digest(Digest::of(&referrer)), MANIFEST, &referrer).unwrap();
    assert!(said.lists_referrer);
    let listed = reader.referrers(&pushed.digest).unwrap().unwrap();
    assert!(String::from_utf8(listed.concat()).unwrap().contains(&said.digest.to_string()));
}

#[test]
fn writing_needs_the_token() {
    let server = Server::new();
    let own = server.store();
    let digest = own.put(b"blob").unwrap();
    for password in ["", "wrong"] {
        let client = server.client("a", password);
        let error = client.push_blob(&own, &digest, Mount::No, &Silent).unwrap_err();
        let refused = matches!(error, RegistryError::MayNotPush { .. } | RegistryError::Login { .. });
        assert!(refused, "{password}: {error}");
    }
    for (method, path) in [
        ("POST", "/v2/a/blobs/uploads/"),
        ("PUT", "/v2/a/manifests/1"),
        ("DELETE", "/v2/a/manifests/1"),
        ("PATCH", "/v2/a/blobs/uploads/00000000000000000000000000000000"),
        ("GET", "/v2/a/blobs/uploads/00000000000000000000000000000000"),
        ("DELETE", "/v2/_catalog"),
    ] {
        let answer = server.ask(method, path, "Content-Length: 0\r\n");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {path}: {answer}");
        assert!(
            answer.to_lowercase().contains("www-authenticate: bearer realm=\"http://127.0.0.1:"),
            "{answer}"
        );
    }
}

#[test]
fn an_upload_that_breaks_goes_on() {
    let server = Server::new();
    let bearer = "Authorization: Bearer secret\r\n";
    let begun = server.ask("POST", "/v2/a/blobs/uploads/", &format!("{bearer}Content-Length: 0\r\n"));
    assert!(begun.starts_with("HTTP/1.1 202 "), "{begun}");
    let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    // Says that ten bytes follow, sends four, and is gone.
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "PATCH {location} HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: 10\r\n\r\nabcd").unwrap();
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    let state = (0..50)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(20));
            server.ask("GET", &location, bearer)
        })
        .find(|answer| answer.contains("range: 0-3"));
    assert!(state.is_some_and(|state| state.starts_with("HTTP/1.1 204 ")));
    let digest = Digest::of(b"abcdefghij");
    let gap = "Content-Range: 5-9\r\nContent-Length: 5\r\n";
    let refused = server
        .raw(&format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}{gap}\r\nfghij"));
    assert!(refused.starts_with("HTTP/1.1 416 ") && refused.contains("range: 0-3"), "{refused}");
    let rest = "Content-Range: 4-9\r\nContent-Length: 6\r\n";
    let done = server.raw(&format!(
        "PUT {location}?digest={digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}{rest}\r\nefghij"
    ));
    assert!(done.starts_with("HTTP/1.1 201 "), "{done}");
    assert!(server.ask("GET", &format!("/v2/a/blobs/{digest}"), "").ends_with("abcdefghij"));
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let server = Server::new();
    fs_err::write(server.directory.path().join("registry-secret"), "x").unwrap();
    for path in [
        "/v2/../../etc/manifests/passwd",
        "/v2/a/manifests/..%2f..%2fsecret",
        "/v2/a/manifests/../../x",
        "/v2/_uploads/tags/list",
        "/v2/a/../b/tags/list",
        "/v2//tags/list",
        "/v2/a%00b/tags/list",
        "/v2/A/tags/list",
        "/v2/a/blobs/sha256:zz",
        "/v2/a/blobs/sha512:00",
        "/v2/a/referrers/x",
        "/v2/a/nothing/x",
        "/elsewhere",
    ] {
        let answer = server.ask("GET", path, "");
        let refused = answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 404 ");
        assert!(refused, "{path}: {answer}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let server = Server::new();
    let bearer = "Authorization: Bearer secret\r\n";
    let large = format!("Content-Length: {}\r\nContent-Type: {MANIFEST}\r\n", 5 * 1024 * 1024);
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{bearer}{large}\r\n")
        .unwrap();
    drop(stream.write_all(&vec![b' '; 5 * 1024 * 1024]));
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");

    let own = server.store();
    let digest = own.put(&vec![7; LIMIT as usize + 1]).unwrap();
    let error = server.client("a", "secret").push_blob(&own, &digest, Mount::No, &Silent).unwrap_err();
    assert!(
        error.to_string().contains("are not accepted") || matches!(error, RegistryError::Failed { .. }),
        "{error}"
    );
    let left: Vec<_> = fs_err::read_dir(server.directory.path().join("registry/_uploads")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn slow_clients_are_cut_off() {
    let server = Server::new();
    // One that never ends its headers, one that never sends its body: both are gone after the idle time.
    for request in [
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "PUT /v2/a/manifests/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\nContent-Length: 100\r\n\r\n{",
    ] {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut rest = Vec::new();
        // An end or a reset, and no timeout of ours.
        let end = stream.read_to_end(&mut rest);
        let timed_out = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timed_out, "{request}");
    }
    // All places taken by such clients come free again.
    let slow: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).unwrap();
            stream.write_all(b"GET /v2/ HT").unwrap();
            stream
        })
        .collect();
    assert!(server.ask("GET", "/v2/_catalog", "").starts_with("HTTP/1.1 200 "));
    drop(slow);
}

#[test]
fn a_body_without_a_length_is_bounded_too() {
    let server = Server::new();
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(
        stream,
        "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer secret\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        Digest::of(b"")
    )
    .unwrap();
    let piece = vec![0; 1024 * 1024];
    let mut sent = 0;
    // Goes on for ever, as far as it is let.
    while sent < 2 * LIMIT {
        let written = write!(stream, "{:x}\r\n", piece.len())
            .and_then(|()| stream.write_all(&piece))
            .and_then(|()| stream.write_all(b"\r\n"));
        if written.is_err() {
            break;
        }
        sent += piece.len() as u64;
    }
    assert!(sent < 2 * LIMIT, "the server took {sent} bytes");
    let uploads = server.directory.path().join("registry/_uploads");
    let left = || fs_err::read_dir(&uploads).unwrap().filter_map(Result::ok).collect::<Vec<_>>();
    let is_gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        left().is_empty()
    });
    assert!(is_gone, "{:?}", left());
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let server = Server::new();
    let long = format!("X-Long: {}\r\n", "a".repeat(200 * 1024));
    let answer = server.ask("GET", "/v2/_catalog", &long);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{:.60}", answer);
    let many: String = (0..2000).map(|number| format!("X-{number}: 1\r\n")).collect();
    let answer = server.ask("GET", "/v2/_catalog", &many);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{:.60}", answer);
    let long = format!("/v2/{}/tags/list", "a/".repeat(30_000));
    let answer = server.ask("GET", &long, "");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{:.60}", answer);
    assert!(server.ask("GET", "/v2/_catalog", "").starts_with("HTTP/1.1 200 "));
}

#[test]
fn refused_writes_leave_nothing() {
    let server = Server::new();
    let digest = Digest::of(b"blob");
    for (method, path) in [
        ("POST", format!("/v2/a/blobs/uploads/?digest={digest}")),
        ("PUT", "/v2/a/manifests/1".to_owned()),
        ("POST", "/v2/a/blobs/uploads/".to_owned()),
    ] {
        for token in [
            "",
            "Authorization: Bearer wrong\r\n",
            "Authorization: Bearer anonymous\r\n",
            "Authorization: Basic OnNlY3JldA\r\n",
        ] {
            let answer = server.raw(&format!(
                "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{token}Content-Type: {MANIFEST}\r\nContent-Length: 4\r\n\r\nblob"
            ));
            assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {path} {token}: {answer}");
        }
    }
    let root = server.directory.path().join("registry");
    let left: Vec<_> = fs_err::read_dir(&root).into_iter().flatten().filter_map(Result::ok).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(
        !server.directory.path().join("served/blobs").join(&digest.hex()[..2]).join(digest.hex()).exists()
    );
}
