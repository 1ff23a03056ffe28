//! The HTTP client: one request, its answer's status, length and body; errors of the library put into our words.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http::Method;
use ureq::http::header::{self, HeaderName};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, SendBody, Timeout, http};

use super::{Failure, FetchError, FetchSettings};

/// Redirects that are followed: mirror networks redirect once or twice.
const MAX_REDIRECTS: u32 = 8;

/// Where Debian, Alpine and most others keep the certificates that the machine trusts.
const SYSTEM_CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// One client for each scheme, since each has its own proxy.
pub(crate) struct Client {
    http: Agent,
    https: Agent,
    connect_timeout: Duration,
    stall_timeout: Duration,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Bytes in the body, if the server says so.
    pub(crate) length: Option<u64>,
    /// Where the part of the file starts that a `206` gives.
    pub(crate) part_start: Option<u64>,
    headers: http::HeaderMap,
    pub(crate) body: Box<dyn Read>,
}

impl Answer {
    /// A header that is given once and is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All values of a header that are text.
    pub(crate) fn headers(&self, name: &HeaderName) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
    }
}

impl Client {
    pub(crate) fn new(settings: &FetchSettings) -> Result<Self, FetchError> {
        let tls = TlsConfig::builder().root_certs(certificates(settings.certificates.as_deref())?).build();
        let agent = |proxy: Option<&String>| -> Result<Agent, FetchError> {
            let proxy = proxy.map(|proxy| parse_proxy(proxy, &settings.no_proxy)).transpose()?;
            let config = Agent::config_builder()
                // Set in any case: by default the library asks the environment.
                .proxy(proxy)
                .tls_config(tls.clone())
                .http_status_as_error(false)
                .max_redirects(MAX_REDIRECTS)
                .max_redirects_will_error(true)
                .user_agent(settings.user_agent.as_str())
                .accept_encoding("identity")
                .timeout_resolve(Some(settings.connect_timeout))
                .timeout_connect(Some(settings.connect_timeout))
                .timeout_per_read(Some(settings.stall_timeout))
                .timeout_per_write(Some(settings.stall_timeout))
                .max_idle_connections(settings.parallel)
                .max_idle_connections_per_host(settings.parallel);
            Ok(config.build().new_agent())
        };
        Ok(Self {
            http: agent(settings.http_proxy.as_ref())?,
            https: agent(settings.https_proxy.as_ref())?,
            connect_timeout: settings.connect_timeout,
            stall_timeout: settings.stall_timeout,
        })
    }

    /// Asks for a file, or for what follows its first `start` bytes.
    pub(crate) fn get(&self, url: &str, start: u64, fresh: bool) -> Result<Answer, Failure> {
        let agent = if url.starts_with("https:") { &self.https } else { &self.http };
        let mut request = agent.get(url);
        if start > 0 {
            request = request.header(header::RANGE, format!("bytes={start}-"));
        }
        if fresh {
            // A cache on the way must ask the mirror whether its copy is still the newest.
            request = request.header(header::CACHE_CONTROL, "max-age=0");
        }
        let response = request.call().map_err(|error| self.failure(&error))?;
        Ok(answer(response))
    }

    /// Asks whether there is a file, and how large it is.
    pub(crate) fn head(&self, url: &str) -> Result<Answer, Failure> {
        let agent = if url.starts_with("https:") { &self.https } else { &self.http };
        agent.head(url).call().map(answer).map_err(|error| self.failure(&error))
    }

    /// One request with these headers. A redirect is an answer like any other: what may be sent to the next host is
    /// for the caller to say.
    pub(crate) fn send(&self, url: &str, headers: &[(HeaderName, String)]) -> Result<Answer, Failure> {
        let agent = if url.starts_with("https:") { &self.https } else { &self.http };
        let request = agent.get(url).config().max_redirects(0).build();
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(name, value.as_str()));
        let response = request.call().map_err(|error| self.failure(&error))?;
        Ok(answer(response))
    }

    /// One request that may carry a body of a known length.
    pub(crate) fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(HeaderName, String)],
        body: Option<(&mut dyn Read, u64)>,
    ) -> Result<Answer, Failure> {
        let agent = if url.starts_with("https:") { &self.https } else { &self.http };
        let length = body.as_ref().map_or(0, |(_, length)| *length);
        let mut request =
            http::Request::builder().method(method).uri(url).header(header::CONTENT_LENGTH, length);
        for (name, value) in headers {
            request = request.header(name, value.as_str());
        }
        let response = match body {
            Some((reader, _)) => {
                let request = request.body(SendBody::from_reader(reader));
                let request = request.map_err(|error| Failure::Address(error.to_string()))?;
                agent.run(agent.configure_request(request).max_redirects(0).build())
            }
            None => {
                let request = request.body(()).map_err(|error| Failure::Address(error.to_string()))?;
                agent.run(agent.configure_request(request).max_redirects(0).build())
            }
        };
        response.map(answer).map_err(|error| self.failure(&error))
    }

    /// What an error of a request, or of reading a body, means.
    fn failure(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                Failure::NoConnection(self.connect_timeout)
            }
            ureq::Error::Timeout(_) => Failure::Stalled(self.stall_timeout),
            ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => Failure::Redirects,
            ureq::Error::BadUri(text) => Failure::Address(text.clone()),
            ureq::Error::Http(error) => Failure::Address(error.to_string()),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => {
                Failure::Tls(error.to_string())
            }
            ureq::Error::Io(error) => self.io_failure(error),
            ureq::Error::ConnectProxyFailed(text) => {
                Failure::Proxy(format!("the proxy did not connect: {text}"))
            }
            ureq::Error::HostNotFound => Failure::Connection("the host has no address".to_owned()),
            other => Failure::Connection(other.to_string()),
        }
    }

    /// What an error of reading a body means.
    pub(crate) fn io_failure(&self, error: &std::io::Error) -> Failure {
        if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
            return self.failure(inner);
        }
        let text = error.to_string();
        match error.kind() {
            std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
                Failure::Stalled(self.stall_timeout)
            }
            // The TLS library's errors come through the transport as plain I/O errors.
            _ if text.contains("certificate") => Failure::Tls(text),
            // What answers there speaks something else, most likely plain http.
            _ if text.contains("corrupt message") => Failure::Tls(text),
            _ => Failure::Connection(text),
        }
    }
}

fn answer(response: http::Response<Body>) -> Answer {
    let number = |name| -> Option<u64> { response.headers().get(name)?.to_str().ok()?.trim().parse().ok() };
    let length = number(header::CONTENT_LENGTH);
    let part_start = response.headers().get(header::CONTENT_RANGE).and_then(|range| {
        let range = range.to_str().ok()?.trim().strip_prefix("bytes ")?;
        range.split_once('-')?.0.trim().parse().ok()
    });
    let status = response.status().as_u16();
    let (parts, body) = response.into_parts();
    Answer { status, length, part_start, headers: parts.headers, body: Box::new(body.into_reader()) }
}

/// The certificates of a file, or those that the machine trusts, or else those that Mozilla trusts.
fn certificates(given: Option<&Path>) -> Result<RootCerts, FetchError> {
    let path = match given {
        Some(path) => path,
        None if Path::new(SYSTEM_CERTIFICATES).exists() => Path::new(SYSTEM_CERTIFICATES),
        None => return Ok(RootCerts::WebPki),
    };
    let wrong = |reason: String| FetchError::Certificates { path: path.to_owned(), reason };
    let file = fs_err::read(path).map_err(|error| wrong(error.kind().to_string()))?;
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for item in ureq::tls::parse_pem(&file) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| wrong(error.to_string()))? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(wrong("it holds no certificate".to_owned()));
    }
    Ok(RootCerts::from(certificates))
}

fn parse_proxy(text: &str, no_proxy: &[String]) -> Result<Proxy, FetchError> {
    // A password must not reach a log.
    let shown = || text.rsplit_once('@').map_or(text, |(_, host)| host).to_owned();
    let wrong = |error: ureq::Error| FetchError::Proxy { proxy: shown(), reason: error.to_string() };
    let proxy = Proxy::new(text).map_err(wrong)?;
    if no_proxy.is_empty() {
        return Ok(proxy);
    }
    let mut builder = Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
    if let Some(user) = proxy.username() {
        builder = builder.username(user);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    no_proxy.iter().fold(builder, |builder, pattern| builder.no_proxy(pattern)).build().map_err(wrong)
}
