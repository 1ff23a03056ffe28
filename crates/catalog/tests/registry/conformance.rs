//! What the OCI distribution specification 1.1 asks of a registry, case by case, in the order of its conformance suite: pull,
//! push, content discovery, content management.

use std::collections::BTreeMap;

use calypte_base::Digest;
use serde_json::{Value, json};

use crate::server::Server;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// An answer.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status: status.unwrap_or_default(), headers, body: body.to_owned() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Whether it refuses with this code, in the form that the specification gives.
    fn refuses(&self, status: u16, codes: &[&str]) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/json");
        let value = self.json();
        let code = value["errors"][0]["code"].as_str().unwrap_or_default();
        assert!(codes.contains(&code) && value["errors"][0]["message"].is_string(), "{value}");
    }
}

fn send(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = if method == "GET" || method == "HEAD" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    Answer::read(&server.raw(&format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer secret\r\n{length}{headers}\r\n{body}",
        server.address
    )))
}

fn get(server: &Server, path: &str) -> Answer {
    send(server, "GET", path, "", "")
}

/// Pushes a blob at once; its descriptor.
fn blob(server: &Server, name: &str, media_type: &str, bytes: &str) -> Value {
    let digest = Digest::of(bytes.as_bytes());
    let begun = send(server, "POST", &format!("/v2/{name}/blobs/uploads/"), "", "");
    assert_eq!(begun.status, 202);
    let end = send(
        server,
        "PUT",
        &format!("{}?digest={digest}", begun.header("location")),
        "Content-Type: application/octet-stream\r\n",
        bytes,
    );
    assert_eq!(end.status, 201, "{}", end.body);
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

fn manifest(server: &Server, name: &str, text: &str, subject: Option<&Value>) -> String {
    let config = blob(server, name, "application/vnd.oci.image.config.v1+json", text);
    let mut document = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [] });
    if let Some(subject) = subject {
        document["subject"] = subject.clone();
    }
    document.to_string()
}

fn put(server: &Server, name: &str, key: &str, media_type: &str, document: &str) -> Answer {
    send(
        server,
        "PUT",
        &format!("/v2/{name}/manifests/{key}"),
        &format!("Content-Type: {media_type}\r\n"),
        document,
    )
}

#[test]
fn pull_what_is_there_and_hear_of_what_is_not() {
    let server = Server::new();
    let nothing = Digest::of(b"nothing");
    get(&server, &format!("/v2/a/blobs/{nothing}")).refuses(404, &["BLOB_UNKNOWN"]);
    assert_eq!(send(&server, "HEAD", &format!("/v2/a/blobs/{nothing}"), "", "").status, 404);
    get(&server, "/v2/a/manifests/none").refuses(404, &["NAME_UNKNOWN", "MANIFEST_UNKNOWN"]);

    let layer = blob(&server, "a", "x/y", "layer");
    let address = format!("/v2/a/blobs/{}", layer["digest"].as_str().unwrap());
    let found = get(&server, &address);
    assert_eq!((found.status, found.body.as_str(), found.header("content-length")), (200, "layer", "5"));
    assert_eq!(found.header("docker-content-digest"), layer["digest"].as_str().unwrap());
    let head = send(&server, "HEAD", &address, "", "");
    assert_eq!((head.status, head.body.as_str(), head.header("content-length")), (200, "", "5"));
    let part = send(&server, "GET", &address, "Range: bytes=1-2\r\n", "");
    assert_eq!((part.status, part.body.as_str(), part.header("content-range")), (206, "ay", "bytes 1-2/5"));

    let document = manifest(&server, "a", "{}", None);
    let digest = Digest::of(document.as_bytes()).to_string();
    assert_eq!(put(&server, "a", "1.0", MANIFEST, &document).status, 201);
    for key in ["1.0", &digest] {
        let found = get(&server, &format!("/v2/a/manifests/{key}"));
        assert_eq!((found.status, &found.body), (200, &document));
        assert_eq!(
            (found.header("content-type"), found.header("docker-content-digest")),
            (MANIFEST, digest.as_str())
        );
        let head = send(&server, "HEAD", &format!("/v2/a/manifests/{key}"), "", "");
        assert_eq!((head.status, head.header("content-length")), (200, document.len().to_string().as_str()));
    }
    get(&server, "/v2/a/manifests/2.0").refuses(404, &["MANIFEST_UNKNOWN"]);
    get(&server, "/v2/b/manifests/1.0").refuses(404, &["NAME_UNKNOWN"]);
}

#[test]
fn push_blobs_in_every_way() {
    let server = Server::new();
    // At once, with the POST.
    let digest = Digest::of(b"whole");
    let done = send(
        &server,
        "POST",
        &format!("/v2/a/blobs/uploads/?digest={digest}"),
        "Content-Type: application/octet-stream\r\n",
        "whole",
    );
    assert_eq!(done.status, 201, "{}", done.body);
    assert_eq!(get(&server, done.header("location")).body, "whole");
    // In two steps.
    blob(&server, "a", "x/y", "two steps");
    // Streamed: one piece that does not say where it begins.
    let begun = send(&server, "POST", "/v2/a/blobs/uploads/", "", "");
    let streamed = send(&server, "PATCH", begun.header("location"), "", "streamed");
    assert_eq!((streamed.status, streamed.header("range")), (202, "0-7"));
    let digest = Digest::of(b"streamed");
    let done = send(&server, "PUT", &format!("{}?digest={digest}", streamed.header("location")), "", "");
    assert_eq!(done.status, 201);
    assert_eq!(get(&server, done.header("location")).body, "streamed");
    // Promised as something else.
    let begun = send(&server, "POST", "/v2/a/blobs/uploads/", "", "");
    send(&server, "PUT", &format!("{}?digest={digest}", begun.header("location")), "", "other")
        .refuses(400, &["DIGEST_INVALID"]);
    let begun = send(&server, "POST", "/v2/a/blobs/uploads/", "", "");
    send(&server, "PUT", &format!("{}?digest=md5:0", begun.header("location")), "", "")
        .refuses(400, &["DIGEST_INVALID"]);
    send(&server, "PUT", "/v2/a/blobs/uploads/00000000000000000000000000000000?digest=x", "", "")
        .refuses(400, &["DIGEST_INVALID"]);
    send(
        &server,
        "PUT",
        &format!("/v2/a/blobs/uploads/00000000000000000000000000000000?digest={digest}"),
        "",
        "",
    )
    .refuses(404, &["BLOB_UPLOAD_UNKNOWN"]);
}

#[test]
fn push_blobs_in_pieces() {
    let server = Server::new();
    let begun = send(&server, "POST", "/v2/a/blobs/uploads/", "", "");
    let place = begun.header("location").to_owned();
    let piece = |range: &str, bytes: &str| {
        send(&server, "PATCH", &place, &format!("Content-Range: {range}\r\n"), bytes)
    };
    piece("4-7", "late").refuses(416, &["BLOB_UPLOAD_INVALID"]);
    let first = piece("0-3", "firs");
    assert_eq!((first.status, first.header("range")), (202, "0-3"));
    let state = get(&server, &place);
    assert_eq!((state.status, state.header("range")), (204, "0-3"));
    assert!(!state.header("location").is_empty());
    // The same once more is out of order.
    piece("0-3", "firs").refuses(416, &["BLOB_UPLOAD_INVALID"]);
    assert_eq!(piece("4-5", "t,").status, 202);
    let digest = Digest::of(b"first,last");
    let done = send(&server, "PUT", &format!("{place}?digest={digest}"), "Content-Range: 6-9\r\n", "last");
    assert_eq!(done.status, 201, "{}", done.body);
    assert_eq!(get(&server, done.header("location")).body, "first,last");
    get(&server, &place).refuses(404, &["BLOB_UPLOAD_UNKNOWN"]);
    // One that is given up.
    let begun = send(&server, "POST", "/v2/a/blobs/uploads/", "", "");
    assert_eq!(send(&server, "DELETE", begun.header("location"), "", "").status, 204);
    get(&server, begun.header("location")).refuses(404, &["BLOB_UPLOAD_UNKNOWN"]);
}

#[test]
fn mount_blobs_of_other_repositories() {
    let server = Server::new();
    let layer = blob(&server, "from", "x/y", "mounted");
    let digest = layer["digest"].as_str().unwrap();
    let mounted = send(&server, "POST", &format!("/v2/to/blobs/uploads/?mount={digest}&from=from"), "", "");
    assert_eq!((mounted.status, mounted.header("docker-content-digest")), (201, digest));
    assert_eq!(get(&server, mounted.header("location")).body, "mounted");
    assert_eq!(
        send(&server, "POST", &format!("/v2/third/blobs/uploads/?mount={digest}"), "", "").status,
        201
    );
    // Of a repository that does not have it nothing can be taken over: an upload begins.
    let refused =
        send(&server, "POST", &format!("/v2/fourth/blobs/uploads/?mount={digest}&from=none"), "", "");
    assert_eq!(refused.status, 202);
    assert!(refused.header("location").starts_with("/v2/fourth/blobs/uploads/"));
    get(&server, &format!("/v2/fourth/blobs/{digest}")).refuses(404, &["BLOB_UNKNOWN"]);
}

#[test]
fn push_manifests_that_are_sound() {
    let server = Server::new();
    let document = manifest(&server, "a", "{}", None);
    let digest = Digest::of(document.as_bytes()).to_string();
    let pushed = put(&server, "a", &digest, MANIFEST, &document);
    assert_eq!((pushed.status, pushed.header("docker-content-digest")), (201, digest.as_str()));
    assert_eq!(get(&server, pushed.header("location")).body, document);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [
        { "mediaType": MANIFEST, "digest": digest, "size": document.len() } ] });
    assert_eq!(put(&server, "a", "index", INDEX, &index.to_string()).status, 201);
    assert_eq!(get(&server, "/v2/a/manifests/index").header("content-type"), INDEX);

    let missing = document.replace(
        "\"layers\":[]",
        &format!("\"layers\":[{{\"mediaType\":\"x/y\",\"digest\":\"{}\",\"size\":1}}]", Digest::of(b"none")),
    );
    put(&server, "a", "1", MANIFEST, &missing).refuses(404, &["MANIFEST_BLOB_UNKNOWN"]);
    put(&server, "a", &Digest::of(b"other").to_string(), MANIFEST, &document)
        .refuses(400, &["DIGEST_INVALID"]);
    put(&server, "a", "1", MANIFEST, "{").refuses(400, &["MANIFEST_INVALID"]);
    put(&server, "a", "1", INDEX, &document).refuses(400, &["MANIFEST_INVALID"]);
    put(&server, "a", "-bad", MANIFEST, &document).refuses(400, &["MANIFEST_INVALID"]);
    put(&server, "A", "1", MANIFEST, &document).refuses(400, &["NAME_INVALID"]);
    get(&server, "/v2/a/manifests/1").refuses(404, &["MANIFEST_UNKNOWN"]);
}

#[test]
fn list_tags_in_parts() {
    let server = Server::new();
    let document = manifest(&server, "a", "{}", None);
    for tag in ["d", "b", "a", "c", "B"] {
        assert_eq!(put(&server, "a", tag, MANIFEST, &document).status, 201);
    }
    let tags = |query: &str| {
        let answer = get(&server, &format!("/v2/a/tags/list{query}"));
        assert_eq!((answer.status, answer.json()["name"].as_str()), (200, Some("a")));
        let tags: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
        (tags.join(""), answer.header("link").to_owned())
    };
    assert_eq!(tags(""), ("Babcd".to_owned(), String::new()));
    assert_eq!(tags("?n=2"), ("Ba".to_owned(), "</v2/a/tags/list?n=2&last=a>; rel=\"next\"".to_owned()));
    assert_eq!(tags("?n=2&last=a").0, "bc");
    assert_eq!(tags("?n=2&last=c"), ("d".to_owned(), String::new()));
    assert_eq!(tags("?n=0"), (String::new(), String::new()));
    assert_eq!(tags("?last=zz").0, "");
    assert_eq!(tags("?n=5").1, "");
    // What is no number, and more than there are.
    assert_eq!(tags("?n=x").0, "Babcd");
    assert_eq!(tags("?n=99999999999999999999").0, "Babcd");
    // Following the links gives all, once.
    let (mut all, mut next) = (String::new(), "/v2/a/tags/list?n=2".to_owned());
    while !next.is_empty() {
        let answer = get(&server, &next);
        let tags: Vec<String> = serde_json::from_value(answer.json()["tags"].clone()).unwrap();
        all.push_str(&tags.join(""));
        next = answer.header("link").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
    }
    assert_eq!(all, "Babcd");
    get(&server, "/v2/none/tags/list").refuses(404, &["NAME_UNKNOWN"]);
}

#[test]
fn list_referrers_by_kind() {
    let server = Server::new();
    let subject = manifest(&server, "a", "{}", None);
    let digest = Digest::of(subject.as_bytes());
    let listed = get(&server, &format!("/v2/a/referrers/{digest}"));
    assert_eq!((listed.status, listed.header("content-type")), (200, INDEX));
    assert_eq!(listed.json()["manifests"], json!([]));

    let descriptor = json!({ "mediaType": MANIFEST, "digest": digest, "size": subject.len() });
    let empty = blob(&server, "a", EMPTY, "{}");
    let refer = |kind: Option<&str>, config: &Value, note: &str| {
        let mut document = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [empty],
            "subject": descriptor, "annotations": { "note": note } });
        if let Some(kind) = kind {
            document["artifactType"] = json!(kind);
        }
        let text = document.to_string();
        let pushed = put(&server, "a", &Digest::of(text.as_bytes()).to_string(), MANIFEST, &text);
        assert_eq!((pushed.status, pushed.header("oci-subject")), (201, digest.to_string().as_str()));
        Digest::of(text.as_bytes())
    };
    // Before its subject is there, which the specification allows.
    let sbom = refer(Some("example/sbom"), &empty, "one");
    assert_eq!(put(&server, "a", "1", MANIFEST, &subject).status, 201);
    refer(Some("example/signature"), &empty, "two");
    let own = blob(&server, "a", "example/config", "[]");
    refer(None, &own, "three");

    let all = get(&server, &format!("/v2/a/referrers/{digest}"));
    assert_eq!(all.header("oci-filters-applied"), "");
    let manifests = all.json()["manifests"].as_array().unwrap().clone();
    let mut kinds: Vec<&str> =
        manifests.iter().map(|entry| entry["artifactType"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    // Without a kind of its own a referrer is of the kind of its config.
    assert_eq!(kinds, ["example/config", "example/sbom", "example/signature"]);
    assert!(manifests.iter().all(|entry| entry["annotations"]["note"].is_string() && entry["size"].is_u64()));
    let some = get(&server, &format!("/v2/a/referrers/{digest}?artifactType=example%2Fsbom"));
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    assert_eq!(some.json()["manifests"].as_array().unwrap().len(), 1);
    assert_eq!(some.json()["manifests"][0]["digest"], json!(sbom));
    get(&server, "/v2/a/referrers/latest").refuses(400, &["DIGEST_INVALID"]);

    assert_eq!(send(&server, "DELETE", &format!("/v2/a/manifests/{sbom}"), "", "").status, 202);
    let left = get(&server, &format!("/v2/a/referrers/{digest}"));
    assert_eq!(left.json()["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn delete_tags_manifests_and_blobs() {
    let server = Server::new();
    let document = manifest(&server, "a", "{}", None);
    let digest = Digest::of(document.as_bytes());
    for tag in ["1", "2"] {
        put(&server, "a", tag, MANIFEST, &document);
    }
    let delete = |path: &str| send(&server, "DELETE", path, "", "");
    assert_eq!(delete("/v2/a/manifests/1").status, 202);
    get(&server, "/v2/a/manifests/1").refuses(404, &["MANIFEST_UNKNOWN"]);
    assert_eq!(get(&server, "/v2/a/manifests/2").status, 200);
    delete("/v2/a/manifests/1").refuses(404, &["MANIFEST_UNKNOWN"]);
    assert_eq!(delete(&format!("/v2/a/manifests/{digest}")).status, 202);
    get(&server, "/v2/a/manifests/2").refuses(404, &["MANIFEST_UNKNOWN"]);
    get(&server, &format!("/v2/a/manifests/{digest}")).refuses(404, &["MANIFEST_UNKNOWN"]);
    assert_eq!(get(&server, "/v2/a/tags/list").json()["tags"], json!([]));
    let blob = Digest::of(b"{}");
    assert_eq!(delete(&format!("/v2/a/blobs/{blob}")).status, 202);
    get(&server, &format!("/v2/a/blobs/{blob}")).refuses(404, &["BLOB_UNKNOWN"]);
    delete(&format!("/v2/a/blobs/{blob}")).refuses(404, &["BLOB_UNKNOWN"]);
}

#[test]
fn the_api_says_that_it_is_there() {
    let server = Server::new();
    assert_eq!(get(&server, "/v2/").status, 200);
    let anonymous = Answer::read(&server.ask("GET", "/v2/", ""));
    anonymous.refuses(401, &["UNAUTHORIZED"]);
    assert!(anonymous.header("www-authenticate").starts_with("Bearer realm="));
    assert_eq!(anonymous.header("docker-distribution-api-version"), "registry/2.0");
    // Reading needs no token all the same, and a token for nothing can be had.
    assert_eq!(Answer::read(&server.ask("GET", "/v2/_catalog", "")).status, 200);
    assert!(Answer::read(&server.ask("GET", "/v2/token?service=calypte", "")).json()["token"].is_string());
    send(&server, "POST", "/v2/_catalog", "", "").refuses(405, &["UNSUPPORTED"]);
}
