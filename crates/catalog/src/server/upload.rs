//! Bodies on their way in: blobs in pieces (distribution specification, "Pushing Blobs"), and small documents.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use hyper::{HeaderMap, Method, Request};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Service;
use super::answer::Answer;
use super::registry_api::{CONTENT_DIGEST, blocking, parameter};
use crate::registry::{Problem, Upload, parse_digest};

/// The id of an upload, for clients that look for it there.
const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// Bytes a second below which a body counts as held up on purpose, once it has had the idle time.
const SLOWEST: u64 = 1024;

/// Pieces that wait to be written.
const WAITING: usize = 4;

/// `POST …/blobs/uploads/`: begins an upload; with `digest` all of it, with `mount` takes over another repository's blob.
pub(super) async fn begin(
    service: &Arc<Service>,
    request: Request<Incoming>,
    name: &str,
) -> Result<Answer, Problem> {
    if *request.method() != Method::POST {
        return Err(Problem::Request("an upload begins with POST"));
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    if let (Some(digest), from) = (parameter(&query, "mount"), parameter(&query, "from")) {
        let digest = parse_digest(&digest)?;
        let (owned, service) = (name.to_owned(), Arc::clone(service));
        let mounted = blocking(move || {
            // Reading is for all, so a blob may be taken over from wherever it is.
            let there = match from {
                Some(from) => service.registry.blob_size(&from, &digest).is_ok(),
                // A writer who knows the digest may have what the store has: the factory published it, or will.
                None => service.registry.store().has(&digest),
            };
            if there {
                service.registry.link_blob(&owned, &digest)?;
            }
            Ok(there)
        });
        if mounted.await? {
            return Ok(created(name, &digest.to_string()));
        }
    }
    let (owned, inner) = (name.to_owned(), Arc::clone(service));
    let id = blocking(move || inner.registry.begin_upload(&owned)).await?;
    match parameter(&query, "digest") {
        Some(digest) => finish(service, request, name, &id, &digest).await,
        None => Ok(at(202, name, &id, 0)),
    }
}

/// Everything that concerns an upload that was begun.
pub(super) async fn go_on(
    service: &Arc<Service>,
    request: Request<Incoming>,
    name: &str,
    id: &str,
) -> Result<Answer, Problem> {
    let (owned, inner) = (id.to_owned(), Arc::clone(service));
    match *request.method() {
        Method::GET | Method::HEAD => {
            let size = blocking(move || inner.registry.upload_size(&owned)).await?;
            Ok(at(204, name, id, size))
        }
        Method::DELETE => {
            blocking(move || inner.registry.cancel_upload(&owned)).await?;
            Ok(Answer::new(204))
        }
        Method::PATCH => {
            let at_byte = begins_at(request.headers())?;
            let upload = blocking(move || inner.registry.resume_upload(&owned, at_byte)).await?;
            let upload = receive(request.into_body(), upload, service.limits.idle).await?;
            Ok(at(202, name, id, upload.size()))
        }
        Method::PUT => {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let digest = parameter(&query, "digest").unwrap_or_default();
            finish(service, request, name, id, &digest).await
        }
        _ => Err(Problem::Request("an upload goes on with PATCH and ends with PUT")),
    }
}

/// Takes the last piece, if there is one, and makes the blob.
async fn finish(
    service: &Arc<Service>,
    request: Request<Incoming>,
    name: &str,
    id: &str,
    digest: &str,
) -> Result<Answer, Problem> {
    let digest = parse_digest(digest)?;
    let at_byte = begins_at(request.headers())?;
    let (owned, inner) = (id.to_owned(), Arc::clone(service));
    let upload = blocking(move || inner.registry.resume_upload(&owned, at_byte)).await?;
    let upload = receive(request.into_body(), upload, service.limits.idle).await?;
    let (owned, inner) = (name.to_owned(), Arc::clone(service));
    blocking(move || inner.registry.finish_upload(&owned, upload, &digest)).await?;
    Ok(created(name, &digest.to_string()))
}

fn created(name: &str, digest: &str) -> Answer {
    Answer::new(201)
        .with(LOCATION, format!("/v2/{name}/blobs/{digest}"))
        .with(CONTENT_DIGEST, digest)
        .of_length(0)
}

fn at(status: u16, name: &str, id: &str, size: u64) -> Answer {
    let answer = Answer::new(status)
        .with(LOCATION, format!("/v2/{name}/blobs/uploads/{id}"))
        .with(RANGE, format!("0-{}", size.saturating_sub(1)))
        .with(UPLOAD_ID, id);
    if status == 204 { answer } else { answer.of_length(0) }
}

/// Where a piece says that it begins: `first-last`, without a unit.
fn begins_at(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(range) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let text = range.to_str().unwrap_or_default();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let first = text.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
    first.map(Some).ok_or(Problem::Request("Content-Range must be FIRST-LAST"))
}

/// Writes a body to an upload. What came before a connection broke is kept.
async fn receive(body: Incoming, upload: Upload, idle: Duration) -> Result<Upload, Problem> {
    let (pieces, waiting) = mpsc::channel(WAITING);
    let writer = tokio::task::spawn_blocking(move || write(upload, waiting));
    let sent = send(body, &pieces, idle).await;
    drop(pieces);
    let written = writer.await.unwrap_or_else(|error| Err(Problem::Io(std::io::Error::other(error))));
    // The writer's failure is the cause where both have one.
    let upload = written?;
    sent.map(|()| upload)
}

fn write(mut upload: Upload, mut pieces: mpsc::Receiver<Bytes>) -> Result<Upload, Problem> {
    while let Some(piece) = pieces.blocking_recv() {
        upload.append(&piece)?;
    }
    Ok(upload)
}

async fn send(mut body: Incoming, pieces: &mpsc::Sender<Bytes>, idle: Duration) -> Result<(), Problem> {
    let mut pace = Pace::new(idle);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::Request("the connection broke"))?;
        if let Ok(piece) = frame.into_data() {
            pace.take(piece.len())?;
            // A writer that is gone has failed, and says why.
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The whole of a small body.
pub(super) async fn whole(mut body: Incoming, limit: usize, idle: Duration) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let mut pace = Pace::new(idle);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::Request("the connection broke"))?;
        if let Ok(piece) = frame.into_data() {
            pace.take(piece.len())?;
            if bytes.len() + piece.len() > limit {
                return Err(Problem::TooLarge { limit: limit as u64 });
            }
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(bytes)
}

/// How fast a body comes.
struct Pace {
    begun: Instant,
    grace: Duration,
    bytes: u64,
}

impl Pace {
    fn new(grace: Duration) -> Self {
        Self { begun: Instant::now(), grace, bytes: 0 }
    }

    fn take(&mut self, count: usize) -> Result<(), Problem> {
        self.bytes += count as u64;
        let took = self.begun.elapsed();
        if took > self.grace && self.bytes < took.as_secs() * SLOWEST {
            return Err(Problem::Request("the body comes too slowly"));
        }
        Ok(())
    }
}
