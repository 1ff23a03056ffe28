//! A registry on loopback whose answers a test decides one by one, and which notes what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Path and query.
    pub path: String,
    /// First byte, and last byte if it is named.
    pub range: Option<(usize, Option<usize>)>,
    pub authorization: Option<String>,
    /// How often this path was asked for before.
    pub before: usize,
}

/// What is answered.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub cut: Option<usize>,
}

impl Answer {
    pub fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), cut: None }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub fn cut(mut self, count: usize) -> Self {
        self.cut = Some(count);
        self
    }

    /// A blob, or the part of it that was asked for.
    pub fn blob(request: &Request, blob: &[u8]) -> Self {
        match request.range {
            None => Self::new(200, blob),
            Some((start, _)) if start >= blob.len() => Self::new(416, b""),
            Some((start, last)) => {
                let last = last.unwrap_or(usize::MAX).min(blob.len() - 1);
                Self::new(206, &blob[start..=last])
                    .with("Content-Range", format!("bytes {start}-{last}/{}", blob.len()))
            }
        }
    }
}

pub struct RegistryServer {
    /// Host and port.
    pub host: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl RegistryServer {
    /// Answers as `handler` says, which also gets the server's own host and port.
    pub fn start(handler: impl Fn(&Request, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (log, handler, own) = (Arc::clone(&requests), Arc::new(handler), host.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (log, handler, own) = (Arc::clone(&log), Arc::clone(&handler), own.clone());
                // A client that goes away is none of the server's business.
                std::thread::spawn(move || drop(serve(&connection.unwrap(), &log, &*handler, &own)));
            }
        });
        Self { host, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The paths that were asked for, with their ranges.
    pub fn paths(&self) -> Vec<String> {
        let shown = |request: Request| match request.range {
            None => request.path,
            Some((start, None)) => format!("{} {start}-", request.path),
            Some((start, Some(last))) => format!("{} {start}-{last}", request.path),
        };
        self.requests().into_iter().map(shown).collect()
    }
}

fn serve(
    mut connection: &TcpStream,
    log: &Mutex<Vec<Request>>,
    handler: &(dyn Fn(&Request, &str) -> Answer + Send + Sync),
    own: &str,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next().unwrap()?;
    let mut request = Request { path: first.split(' ').nth(1).unwrap().to_owned(), ..Request::default() };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name.to_lowercase().as_str() {
            "range" => {
                let (start, last) = value.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                request.range = Some((start.parse().unwrap(), last.parse().ok()));
            }
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    {
        let mut log = log.lock().unwrap();
        request.before = log.iter().filter(|known| known.path == request.path).count();
        log.push(request.clone());
    }
    let answer = handler(&request, own);
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", answer.status);
    head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
    connection.write_all(&[format!("{head}\r\n").as_bytes(), body].concat())
}
