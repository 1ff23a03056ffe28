//! Requests to one registry: tokens, redirects, repeated attempts.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use ureq::http::Method;
use ureq::http::header::{AUTHORIZATION, HeaderName, LOCATION, WWW_AUTHENTICATE};

use super::auth::{Challenge, encoded};
use super::{Reference, RegistryError, RegistrySettings, Traffic, auth};
use crate::error::StoreError;
use crate::fetch::Failure;
use crate::fetch::http::{Answer, Client};

/// Redirects that are followed: a registry redirects once, to the storage behind it.
const MAX_REDIRECTS: u32 = 5;

/// Largest answer of a login service in bytes; tokens have some thousand.
const TOKEN_LIMIT: u64 = 1024 * 1024;

/// Bytes read from a connection at once.
const READ: usize = 64 * 1024;

/// Why an attempt failed.
pub(super) enum Trouble {
    /// The registry's fault; another attempt may have another outcome if the failure is transient.
    Registry(Failure),
    /// No other attempt would help.
    Stop(Box<RegistryError>),
}

impl<E: Into<RegistryError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Stop(Box::new(error.into()))
    }
}

/// Where something is sent.
pub(super) enum Place {
    /// Below the repository: `blobs/uploads/`.
    Path(String),
    /// The whole address that the registry gave.
    Location(String),
}

/// What is sent; opened for each attempt.
pub(super) struct Payload<'a> {
    pub(super) length: u64,
    pub(super) open: &'a dyn Fn() -> Result<Box<dyn Read + 'a>, StoreError>,
}

/// A connection to the registry of one repository.
pub(super) struct Connection {
    client: Client,
    settings: RegistrySettings,
    host: String,
    /// `https://host`.
    origin: String,
    name: String,
    /// Name and password in base64.
    credentials: Option<String>,
    /// The header that the registry asked for last.
    authorization: Mutex<Option<String>>,
    /// What a token must allow beyond what the registry's challenge says.
    scopes: Vec<String>,
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Connection {
    pub(super) fn new(reference: &Reference, settings: RegistrySettings) -> Result<Self, RegistryError> {
        if settings.plain_http && !reference.is_loopback() {
            return Err(RegistryError::PlainHttp { host: reference.host.clone() });
        }
        let mut credentials = None;
        for file in &settings.auth_files {
            credentials = credentials.or(auth::credentials(file, reference)?);
        }
        let scheme = if settings.plain_http { "http" } else { "https" };
        Ok(Self {
            client: Client::new(&settings.network)?,
            host: reference.host.clone(),
            origin: format!("{scheme}://{}", reference.server()),
            name: reference.name.clone(),
            credentials,
            authorization: Mutex::new(None),
            scopes: Vec::new(),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            settings,
        })
    }

    /// From now on tokens are for this too, such as `repository:a/b:pull`.
    pub(super) fn widen(&mut self, scope: String) {
        self.scopes.push(scope);
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic { requests: self.requests.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// Asks for something below the repository, such as `manifests/latest`; logs in where that is demanded.
    pub(super) fn ask(
        &self,
        path: &str,
        what: &str,
        headers: &[(HeaderName, String)],
    ) -> Result<Answer, Trouble> {
        if self.settings.network.offline {
            return Err(RegistryError::Offline { what: what.to_owned(), host: self.host.clone() }.into());
        }
        let url = format!("{}/v2/{}/{path}", self.origin, self.name);
        let mut logged_in = false;
        loop {
            let (answer, at_home) = self.follow(&url, what, headers)?;
            match answer.status {
                401 if at_home && !logged_in => {
                    self.log_in(&answer)?;
                    logged_in = true;
                }
                401 | 403 if at_home => {
                    let whom =
                        if self.credentials.is_some() { "the user of the auth file" } else { "everyone" };
                    let (what, host) = (what.to_owned(), self.host.clone());
                    return Err(RegistryError::Denied { what, host, whom }.into());
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Sends something: to a path below the repository, or to the address that the registry gave for an upload, which is
    /// shown the authorization only where it is the registry's own. `body` is made anew for each attempt to log in.
    pub(super) fn send_to(
        &self,
        method: &Method,
        to: &Place,
        what: &str,
        headers: &[(HeaderName, String)],
        body: Option<&Payload<'_>>,
    ) -> Result<Answer, Trouble> {
        if self.settings.network.offline {
            return Err(RegistryError::Offline { what: what.to_owned(), host: self.host.clone() }.into());
        }
        let url = match to {
            Place::Path(path) => format!("{}/v2/{}/{path}", self.origin, self.name),
            Place::Location(url) => url.clone(),
        };
        let at_home = origin(&url) == Some(self.origin.as_str());
        let mut logged_in = false;
        loop {
            self.check_interrupt()?;
            let mut headers = headers.to_vec();
            let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(value) = authorization.filter(|_| at_home) {
                headers.push((AUTHORIZATION, value));
            }
            self.requests.fetch_add(1, Ordering::Relaxed);
            let answer = match body {
                None => self.client.request(method.clone(), &url, &headers, None),
                Some(payload) => {
                    let mut reader = (payload.open)().map_err(RegistryError::from)?;
                    let body: Option<(&mut dyn Read, u64)> = Some((&mut reader, payload.length));
                    self.client.request(method.clone(), &url, &headers, body)
                }
            };
            let answer = answer.map_err(Trouble::Registry)?;
            match answer.status {
                401 if at_home && !logged_in => {
                    self.log_in(&answer)?;
                    logged_in = true;
                }
                401 | 403 if at_home => {
                    let whom =
                        if self.credentials.is_some() { "the user of the auth file" } else { "everyone" };
                    let (what, host) = (what.to_owned(), self.host.clone());
                    return Err(RegistryError::MayNotPush { what, host, whom }.into());
                }
                _ => return Ok(answer),
            }
        }
    }

    /// An address that the registry gave in an answer, made whole.
    pub(super) fn location(&self, answer: &Answer, what: &str) -> Result<Place, Trouble> {
        let refused =
            |reason| RegistryError::Redirect { what: what.to_owned(), host: self.host.clone(), reason };
        let to = answer.header(&LOCATION).ok_or_else(|| refused("it names no address"))?;
        let whole = if to.starts_with('/') && !to.starts_with("//") {
            format!("{}{to}", self.origin)
        } else {
            to.to_owned()
        };
        if origin(&whole).is_none() {
            return Err(refused("it is no http or https address").into());
        }
        if self.origin.starts_with("https:") && !whole.starts_with("https:") {
            return Err(refused("it leads from https to http").into());
        }
        Ok(Place::Location(whole))
    }

    /// Asks, and follows redirects. Tells whether the registry itself answered. Only the registry gets to see the
    /// authorization.
    fn follow(
        &self,
        url: &str,
        what: &str,
        headers: &[(HeaderName, String)],
    ) -> Result<(Answer, bool), Trouble> {
        let refused =
            |reason| RegistryError::Redirect { what: what.to_owned(), host: self.host.clone(), reason };
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let at_home = origin(&url) == Some(self.origin.as_str());
            let mut headers = headers.to_vec();
            let authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(value) = authorization.filter(|_| at_home) {
                headers.push((AUTHORIZATION, value));
            }
            let answer = self.send(&url, &headers)?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok((answer, at_home));
            }
            let to = answer.header(&LOCATION).ok_or_else(|| refused("it names no address"))?;
            let next = if to.starts_with('/') && !to.starts_with("//") {
                format!("{}{to}", origin(&url).unwrap_or_default())
            } else {
                to.to_owned()
            };
            if origin(&next).is_none() {
                return Err(refused("it is no http or https address").into());
            }
            if url.starts_with("https:") && !next.starts_with("https:") {
                return Err(refused("it leads from https to http").into());
            }
            url = next;
        }
        Err(refused("there are too many of them, one after the other").into())
    }

    fn send(&self, url: &str, headers: &[(HeaderName, String)]) -> Result<Answer, Trouble> {
        self.check_interrupt()?;
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.client.send(url, headers).map_err(Trouble::Registry)
    }

    /// Meets the registry's challenge; what is sent to it from then on carries the header.
    fn log_in(&self, answer: &Answer) -> Result<(), Trouble> {
        let failed =
            |reason: &str| RegistryError::Login { host: self.host.clone(), reason: reason.to_owned() };
        let challenge = answer.headers(&WWW_AUTHENTICATE).find_map(Challenge::parse);
        let header = match challenge {
            None => return Err(failed("it asks for a login in an unknown way").into()),
            Some(Challenge::Basic) => {
                let credentials = self.credentials.as_ref();
                let credentials = credentials.ok_or_else(|| RegistryError::Denied {
                    what: self.name.clone(),
                    host: self.host.clone(),
                    whom: "everyone",
                })?;
                format!("Basic {credentials}")
            }
            Some(Challenge::Bearer { realm, service, scope }) => {
                format!("Bearer {}", self.token(&realm, service.as_deref(), scope.as_deref())?)
            }
        };
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(header);
        Ok(())
    }

    /// Fetches a token (distribution's token authentication specification).
    fn token(&self, realm: &str, service: Option<&str>, scope: Option<&str>) -> Result<String, Trouble> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let failed = |reason: String| RegistryError::Login { host: self.host.clone(), reason };
        // A password, or the token for it, must not go over the wire in the clear.
        if !realm.starts_with("https://") && !self.settings.plain_http {
            return Err(failed(format!("its login service is not https: {realm}")).into());
        }
        let pull = format!("repository:{}:pull", self.name);
        let scope = scope.unwrap_or(&pull);
        let mark = if realm.contains('?') { '&' } else { '?' };
        let mut url = format!("{realm}{mark}scope={}", encoded(scope));
        for scope in self.scopes.iter().filter(|more| more.as_str() != scope) {
            url.push_str(&format!("&scope={}", encoded(scope)));
        }
        if let Some(service) = service {
            url.push_str(&format!("&service={}", encoded(service)));
        }
        let headers: Vec<_> = self
            .credentials
            .iter()
            .map(|credentials| (AUTHORIZATION, format!("Basic {credentials}")))
            .collect();
        let mut answer = self.send(&url, &headers)?;
        match answer.status {
            200 => {}
            401 | 403 => return Err(failed("its login service refuses the credentials".to_owned()).into()),
            status => return Err(Trouble::Registry(Failure::Status(status))),
        }
        let bytes = self.read_small(&mut answer, TOKEN_LIMIT)?;
        let token: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        match token {
            Some(token) if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(token)
            }
            _ => Err(failed("its login service gives no token".to_owned()).into()),
        }
    }

    /// The whole of a small answer.
    pub(super) fn read_small(&self, answer: &mut Answer, limit: u64) -> Result<Vec<u8>, Trouble> {
        let mut bytes = Vec::new();
        self.read(answer, &mut |piece| {
            bytes.extend_from_slice(piece);
            if bytes.len() as u64 > limit {
                Err(Trouble::Registry(Failure::TooLarge { limit }))
            } else {
                Ok(())
            }
        })?;
        Ok(bytes)
    }

    /// Hands out what comes, piece by piece, up to its end.
    pub(super) fn read(
        &self,
        answer: &mut Answer,
        take: &mut dyn FnMut(&[u8]) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let mut buffer = vec![0; READ];
        loop {
            self.check_interrupt()?;
            let count = answer.body.read(&mut buffer);
            let count = count.map_err(|error| Trouble::Registry(self.client.io_failure(&error)))?;
            if count == 0 {
                return Ok(());
            }
            self.bytes.fetch_add(count as u64, Ordering::Relaxed);
            take(buffer.get(..count).unwrap_or_default())?;
        }
    }

    /// Repeats what failed for a reason that may pass, with growing pauses. The flag beside a trouble says that the
    /// attempt got somewhere, and so does not count.
    pub(super) fn with_attempts<T>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> Result<T, (Trouble, bool)>,
    ) -> Result<T, RegistryError> {
        let mut failed = 0;
        loop {
            match attempt() {
                Ok(value) => return Ok(value),
                Err((Trouble::Stop(error), _)) => return Err(*error),
                Err((Trouble::Registry(failure), gained)) => {
                    failed = if gained { 1 } else { failed + 1 };
                    if !failure.is_transient() || failed >= self.settings.network.attempts {
                        let (what, host) = (what.to_owned(), self.host.clone());
                        return Err(RegistryError::Failed { what, host, failure });
                    }
                    self.settings.network.wait_after(failed, &|| self.check_interrupt())?;
                }
            }
        }
    }

    fn check_interrupt(&self) -> Result<(), RegistryError> {
        Ok(self.settings.network.check_interrupt()?)
    }
}

/// Scheme, host and port of an http or https address. A name and password in it are none of a registry's business.
fn origin(url: &str) -> Option<&str> {
    let scheme = if url.starts_with("https://") { 8 } else { 7 };
    let rest = url.get(scheme..).filter(|_| url.starts_with("https://") || url.starts_with("http://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end).filter(|host| !host.is_empty() && !host.contains('@'))?;
    url.get(..scheme + host.len())
}
