//! HTTP: connections come in, requests go to what answers them, within bounds that no client can widen.
//!
//! A client that sends its headers or a body too slowly, or does not take what it asked for, is cut off after
//! [`Limits::idle`]; more connections than [`Limits::connections`] wait to be accepted; nothing is held in memory but one
//! piece of a blob for each connection, and manifests up to their limit.

mod access;
mod answer;
mod body;
mod idle;
mod pages;
mod registry_api;
mod upload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use access::Access;
use answer::Answer;
pub use answer::Body;
use idle::Idle;

pub(crate) use registry_api::parameter;

use crate::registry::Registry;
use crate::site::Site;

/// What no client may exceed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections that are served at once.
    pub connections: usize,
    /// How long a connection may be idle in the middle of something.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 1024, idle: Duration::from_secs(30) }
    }
}

/// What takes the server's own problems, one sentence each.
pub type Log = Box<dyn Fn(&str) + Send + Sync>;

/// What answers requests.
pub struct Service {
    registry: Registry,
    access: Access,
    limits: Limits,
    log: Log,
    site: Option<Site>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Service").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Service {
    /// A service over this registry.
    #[must_use]
    pub fn new(registry: Registry, access: Access, limits: Limits, log: Log) -> Self {
        Self { registry, access, limits, log, site: None }
    }

    /// The same, and pages beside the registry.
    #[must_use]
    pub fn with_site(self, site: Site) -> Self {
        Self { site: Some(site), ..self }
    }

    /// Serves from this thread until `stopped` says so; asks it ten times a second.
    ///
    /// # Errors
    /// When no threads can be started, or the listener cannot be used.
    pub fn run(self, listener: std::net::TcpListener, stopped: impl Fn() -> bool) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let stop = async {
            while !stopped() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        runtime.block_on(self.serve(listener, stop))
    }

    /// Serves what comes to the listener until `stop` is done; then running answers have [`Limits::idle`] to end.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(
        self,
        listener: std::net::TcpListener,
        stop: impl Future<Output = ()>,
    ) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let service = Arc::new(self);
        let places = Arc::new(Semaphore::new(service.limits.connections));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, connection) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            match connection {
                Ok((stream, peer)) => {
                    let service = Arc::clone(&service);
                    tokio::spawn(async move {
                        service.talk(stream, peer).await;
                        drop(place);
                    });
                }
                // Too many open files, a connection that was cut while it waited: others go on.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        let all = u32::try_from(service.limits.connections).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(service.limits.idle, places.acquire_many(all)).await);
        Ok(())
    }

    /// One connection, request after request.
    async fn talk(self: Arc<Self>, stream: tokio::net::TcpStream, _peer: SocketAddr) {
        // Small answers must not wait for an acknowledgement.
        drop(stream.set_nodelay(true));
        let idle = self.limits.idle;
        let io = TokioIo::new(Idle::new(stream, idle));
        let answer = service_fn(move |request| {
            let service = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_buf_size(64 * 1024)
            .serve_connection(io, answer);
        // A client that breaks off is its own affair.
        drop(connection.await);
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        let head = *request.method() == hyper::Method::HEAD;
        let path = request.uri().path().to_owned();
        let answer = match path.strip_prefix("/v2") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                registry_api::answer(&self, request, rest.trim_start_matches('/')).await
            }
            _ if self.site.is_some() => pages::answer(&self, &request).await,
            _ => Answer::not_found(),
        };
        if let Some(problem) = answer.own_problem() {
            (self.log)(&format!("{path}: {problem}"));
        }
        answer.into_response(head)
    }
}
