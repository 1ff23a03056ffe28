//! The distribution API (OCI distribution specification 1.1, "API"): which request does what.

use std::sync::Arc;

use calypte_base::Digest;
use calypte_formats::oci::{Index, MEDIA_TYPE_INDEX};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LINK, LOCATION, RANGE,
    WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Method, Request};
use serde_json::json;

use super::access::{Access, Rank};
use super::answer::Answer;
use super::body::FileBody;
use super::{Service, upload};
use crate::registry::{Key, MANIFEST_LIMIT, Problem, Registry, parse_digest};

/// Which bytes an answer is of.
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
/// The digest of what a pushed manifest refers to.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// By what a list of referrers was narrowed.
const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// Entries of a list where the client does not say how many it wants.
const PAGE: usize = 1000;

/// What a request is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    Version,
    Token,
    Names,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
    Referrers(&'a str, &'a str),
}

impl<'a> Route<'a> {
    /// Reads what follows `/v2/`. Names have slashes in them, so it is read from the end.
    pub(super) fn parse(path: &'a str) -> Option<Self> {
        match path {
            "" => return Some(Self::Version),
            "token" => return Some(Self::Token),
            "_catalog" => return Some(Self::Names),
            _ => {}
        }
        if let Some(name) = path.strip_suffix("/tags/list") {
            return Some(Self::Tags(name));
        }
        if let Some(name) =
            path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads"))
        {
            return Some(Self::Uploads(name));
        }
        let (rest, last) = path.rsplit_once('/')?;
        let (name, kind) = rest.rsplit_once('/')?;
        match kind {
            "manifests" => Some(Self::Manifest(name, last)),
            "blobs" => Some(Self::Blob(name, last)),
            "referrers" => Some(Self::Referrers(name, last)),
            "uploads" => name.strip_suffix("/blobs").map(|name| Self::Upload(name, last)),
            _ => None,
        }
    }
}

/// Answers a request below `/v2/`.
pub(super) async fn answer(service: &Arc<Service>, request: Request<Incoming>, path: &str) -> Answer {
    let Some(route) = Route::parse(path) else { return Answer::not_found() };
    let rank = service.access.rank(request.headers());
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let upload_state = matches!(route, Route::Upload(..) | Route::Uploads(_));
    let challenge = |scope: Option<&str>| {
        Answer::refusal(
            401,
            "UNAUTHORIZED",
            "this needs a login: `podman login` with the server's write token",
        )
        .with(WWW_AUTHENTICATE, Access::challenge(request.headers(), scope))
    };
    match (&route, rank) {
        (Route::Token, _) => return token(service, rank),
        // Engines learn here how to log in; those that do not want to write get a token for nothing.
        (Route::Version, Rank::Nobody | Rank::Wrong) => return challenge(None),
        (_, Rank::Wrong) => return challenge(None),
        _ if reads && !upload_state => {}
        (_, Rank::Writer) => {}
        (
            Route::Uploads(name) | Route::Upload(name, _) | Route::Manifest(name, _) | Route::Blob(name, _),
            _,
        ) => {
            let known = calypte_store::registry::is_repository_name(name);
            let scope = known.then(|| format!("repository:{name}:pull,push"));
            return challenge(scope.as_deref());
        }
        _ => return challenge(None),
    }
    match route {
        Route::Uploads(name) => upload::begin(service, request, name).await.unwrap_or_else(Answer::from),
        Route::Upload(name, id) => {
            upload::go_on(service, request, name, id).await.unwrap_or_else(Answer::from)
        }
        Route::Manifest(name, key) if *request.method() == Method::PUT => {
            put_manifest(service, request, name, key).await.unwrap_or_else(Answer::from)
        }
        _ => {
            let (service, path) = (Arc::clone(service), path.to_owned());
            let (parts, _) = request.into_parts();
            blocking(move || quick(&service.registry, &parts, &path)).await.unwrap_or_else(Answer::from)
        }
    }
}

/// Runs what reads or writes files where it does not hold up other connections.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Problem::Io(std::io::Error::other(error))))
}

fn token(service: &Service, rank: Rank) -> Answer {
    match service.access.token_for(rank) {
        Some(token) => {
            Answer::json(200, &json!({ "token": token, "access_token": token, "expires_in": 3600 }))
        }
        None => Answer::refusal(401, "UNAUTHORIZED", "this is not the server's write token"),
    }
}

/// Requests without a body.
fn quick(registry: &Registry, request: &hyper::http::request::Parts, path: &str) -> Result<Answer, Problem> {
    let query = request.uri.query().unwrap_or_default();
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let deletes = request.method == Method::DELETE;
    Ok(match Route::parse(path) {
        Some(Route::Version) if reads => Answer::json(200, &json!({})),
        Some(Route::Names) if reads => {
            let page = Page::read(query, registry.names()?);
            page.answer("/v2/_catalog", &json!({ "repositories": page.entries }))
        }
        Some(Route::Tags(name)) if reads => {
            let page = Page::read(query, registry.tags(name)?);
            page.answer(&format!("/v2/{name}/tags/list"), &json!({ "name": name, "tags": page.entries }))
        }
        Some(Route::Manifest(name, key)) if reads => {
            let found = registry.manifest(name, &Key::parse(key)?)?;
            Answer::new(200)
                .with(CONTENT_DIGEST, found.digest.to_string())
                .with(ETAG, format!("\"{}\"", found.digest))
                .bytes(&found.media_type, found.bytes)
        }
        Some(Route::Manifest(name, key)) if deletes => {
            registry.delete_manifest(name, &Key::parse(key)?)?;
            Answer::new(202).of_length(0)
        }
        Some(Route::Blob(name, digest)) if reads => {
            blob(registry, name, &parse_digest(digest)?, &request.headers, request.method == Method::HEAD)?
        }
        Some(Route::Blob(name, digest)) if deletes => {
            registry.unlink_blob(name, &parse_digest(digest)?)?;
            Answer::new(202).of_length(0)
        }
        Some(Route::Referrers(name, subject)) if reads => {
            referrers(registry, name, &parse_digest(subject)?, parameter(query, "artifactType").as_deref())?
        }
        Some(_) => Answer::refusal(405, "UNSUPPORTED", "this cannot be done here")
            .with(ALLOW, "GET, HEAD, PUT, POST, PATCH, DELETE"),
        None => Answer::not_found(),
    })
}

fn blob(
    registry: &Registry,
    name: &str,
    digest: &Digest,
    headers: &HeaderMap,
    head: bool,
) -> Result<Answer, Problem> {
    let (mut file, size) = registry.blob(name, digest)?;
    let answer = |status| {
        Answer::new(status)
            .with(CONTENT_DIGEST, digest.to_string())
            .with(ETAG, format!("\"{digest}\""))
            .with(ACCEPT_RANGES, "bytes")
            .with(CONTENT_TYPE, "application/octet-stream")
    };
    let wanted = headers.get(RANGE).and_then(|range| range.to_str().ok());
    match wanted.map_or(Wanted::All, |range| Wanted::read(range, size)) {
        _ if head => Ok(answer(200).of_length(size)),
        Wanted::All => Ok(answer(200).file(FileBody::new(file, size), size)),
        Wanted::Part { first, length } => {
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(first))?;
            let range = format!("bytes {first}-{}/{size}", first + length - 1);
            Ok(answer(206).with(CONTENT_RANGE, range).file(FileBody::new(file, length), length))
        }
        Wanted::Nothing => Ok(Answer::refusal(416, "SIZE_INVALID", "the blob has no such bytes")
            .with(CONTENT_RANGE, format!("bytes */{size}"))),
    }
}

/// What a `Range` header asks for (RFC 9110, 14.2).
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part { first: u64, length: u64 },
    Nothing,
}

impl Wanted {
    /// Several ranges, and what cannot be understood, count as no range at all, as the RFC allows.
    fn read(text: &str, size: u64) -> Self {
        let range = text.strip_prefix("bytes=").filter(|range| !range.contains(','));
        let Some((first, last)) = range.and_then(|range| range.split_once('-')) else { return Self::All };
        match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last && first < size => {
                Self::Part { first, length: last.min(size - 1) - first + 1 }
            }
            (Ok(first), Err(_)) if last.trim().is_empty() && first < size => {
                Self::Part { first, length: size - first }
            }
            (Err(_), Ok(last)) if first.trim().is_empty() && last > 0 && size > 0 => {
                Self::Part { first: size - last.min(size), length: last.min(size) }
            }
            (Ok(first), Ok(last)) if first > last => Self::All,
            (Ok(_), _) => Self::Nothing,
            _ => Self::All,
        }
    }
}

fn referrers(
    registry: &Registry,
    name: &str,
    subject: &Digest,
    artifact_type: Option<&str>,
) -> Result<Answer, Problem> {
    let mut manifests = registry.referrers(name, subject)?;
    let mut answer = Answer::new(200);
    if let Some(wanted) = artifact_type {
        manifests.retain(|descriptor| descriptor.artifact_type.as_deref() == Some(wanted));
        answer = answer.with(FILTERS, "artifactType");
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(MEDIA_TYPE_INDEX.to_owned()),
        manifests,
        ..Index::default()
    };
    let bytes = serde_json::to_vec(&index).map_err(std::io::Error::from)?;
    Ok(answer.bytes(MEDIA_TYPE_INDEX, bytes))
}

async fn put_manifest(
    service: &Arc<Service>,
    request: Request<Incoming>,
    name: &str,
    key: &str,
) -> Result<Answer, Problem> {
    let key = Key::parse(key)?;
    let media_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_owned();
    let bytes = upload::whole(request.into_body(), MANIFEST_LIMIT, service.limits.idle).await?;
    let (service, owned) = (Arc::clone(service), name.to_owned());
    let pushed = blocking(move || service.registry.put_manifest(&owned, &key, &media_type, &bytes)).await?;
    let answer = Answer::new(201)
        .with(LOCATION, format!("/v2/{name}/manifests/{}", pushed.digest))
        .with(CONTENT_DIGEST, pushed.digest.to_string())
        .of_length(0);
    Ok(match pushed.subject {
        Some(subject) => answer.with(SUBJECT, subject.to_string()),
        None => answer,
    })
}

/// A part of a list (distribution specification, "Listing Tags").
struct Page {
    entries: Vec<String>,
    count: usize,
    more: bool,
}

impl Page {
    fn read(query: &str, all: Vec<String>) -> Self {
        let count = parameter(query, "n").and_then(|text| text.parse().ok()).unwrap_or(PAGE).min(PAGE);
        let last = parameter(query, "last");
        let mut rest = all.into_iter().filter(|entry| last.as_ref().is_none_or(|last| entry > last));
        let entries: Vec<_> = rest.by_ref().take(count).collect();
        Self { entries, count, more: rest.next().is_some() }
    }

    fn answer(&self, path: &str, value: &serde_json::Value) -> Answer {
        let answer = Answer::json(200, value);
        match self.entries.last().filter(|_| self.more) {
            Some(last) => answer.with(LINK, format!("<{path}?n={}&last={last}>; rel=\"next\"", self.count)),
            None => answer,
        }
    }
}

/// One parameter of a query, decoded.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let pair = query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?;
    let mut decoded = Vec::new();
    let mut bytes = pair.1.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_from_the_end() {
        assert_eq!(Route::parse(""), Some(Route::Version));
        assert_eq!(Route::parse("a/manifests/1"), Some(Route::Manifest("a", "1")));
        assert_eq!(Route::parse("a/b/blobs/sha256:0"), Some(Route::Blob("a/b", "sha256:0")));
        assert_eq!(Route::parse("a/blobs/uploads/"), Some(Route::Uploads("a")));
        assert_eq!(Route::parse("a/blobs/uploads/7"), Some(Route::Upload("a", "7")));
        assert_eq!(
            Route::parse("manifests/manifests/manifests"),
            Some(Route::Manifest("manifests", "manifests"))
        );
        assert_eq!(Route::parse("a/tags/list"), Some(Route::Tags("a")));
        assert_eq!(Route::parse("a/referrers/x"), Some(Route::Referrers("a", "x")));
        assert_eq!(Route::parse("a/else/x"), None);
        assert_eq!(Route::parse("a"), None);
    }

    #[test]
    fn ranges_are_those_of_the_rfc() {
        let part = |first, length| Wanted::Part { first, length };
        let cases = [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 8)),
            ("bytes=2-100", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-30", part(0, 10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-12", Wanted::Nothing),
            ("bytes=5-2", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=99999999999999999999-", Wanted::All),
        ];
        for (text, wanted) in cases {
            assert_eq!(Wanted::read(text, 10), wanted, "{text}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(parameter("a=1&digest=sha256%3Aab+c", "digest").as_deref(), Some("sha256:ab c"));
        assert_eq!(parameter("a=%zz", "a"), None);
        assert_eq!(parameter("a=1", "b"), None);
    }
}
