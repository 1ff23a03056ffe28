//! Requests for the site: only reading, headers that let a page do nothing but show itself.

use std::sync::Arc;

use calypte_base::Digest;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderName, IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use hyper::{Method, Request};

use super::answer::Answer;
use super::registry_api::blocking;
use super::{Service, access};
use crate::site::{Asked, POLICY};

const CROSS_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Answers a request that is none for the registry.
pub(super) async fn answer(service: &Arc<Service>, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Answer::new(405).with(ALLOW, "GET, HEAD").of_length(0);
    }
    let (scheme, host) = access::address(request.headers());
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let kept = request.headers().get(IF_NONE_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let service = Arc::clone(service);
    let reply = blocking(move || {
        let asked = Asked { path: &path, query: &query, host: &host, https: scheme == "https" };
        match &service.site {
            Some(site) => site.answer(&service.registry, &asked),
            None => Err(crate::registry::Problem::Request("there is no site here")),
        }
    });
    let reply = match reply.await {
        Ok(reply) => reply,
        Err(problem) => return Answer::from(problem),
    };
    let tag = format!("\"{}\"", Digest::of(&reply.bytes).hex());
    let is_kept =
        reply.status == 200 && kept.is_some_and(|kept| kept.split(',').any(|one| one.trim() == tag));
    let answer =
        if is_kept { Answer::new(304) } else { Answer::new(reply.status).bytes(reply.kind, reply.bytes) };
    answer
        .with(CONTENT_SECURITY_POLICY, POLICY)
        .with(REFERRER_POLICY, "no-referrer")
        .with(CROSS_ORIGIN, "same-origin")
        .with(CACHE_CONTROL, "no-cache")
        .with(VARY, "x-forwarded-proto")
        .with(ETAG, tag)
}
