//! A small HTTP/1.1 server whose every answer is scripted: each connection takes the next step of its path.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request.
#[derive(Debug, Clone)]
pub enum Step {
    /// The file, or the part of it that was asked for.
    Serve(Vec<u8>),
    /// The whole file, whatever part was asked for.
    ServeWhole(Vec<u8>),
    /// The first so many bytes of what was asked for, then the connection ends.
    Cut(Vec<u8>, usize),
    /// A length, and then more or fewer bytes than that.
    Declare(u64, Vec<u8>),
    /// No length; the body ends with the connection.
    NoLength(Vec<u8>),
    /// A `206` for another part than was asked for.
    WrongPart(Vec<u8>),
    /// An error of HTTP.
    Status(u16),
    /// A redirect to this address.
    Redirect(String),
    /// The first so many bytes, then silence.
    Hang(Vec<u8>, usize),
    /// The file in pieces of so many bytes with a pause before each.
    Trickle(Vec<u8>, usize, Duration),
}

/// The server, and what it was asked.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves these paths; each request takes the next step of its path, and the last step again and again.
    pub fn start(paths: &[(&str, Vec<Step>)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let steps: BTreeMap<String, Vec<Step>> =
            paths.iter().map(|(path, steps)| ((*path).to_owned(), steps.clone())).collect();
        let steps = Arc::new(Mutex::new(steps));
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (steps, log) = (Arc::clone(&steps), Arc::clone(&log));
                // A client that goes away is none of the server's business.
                std::thread::spawn(move || drop(answer(&connection.unwrap(), &steps, &log)));
            }
        });
        Self { url, requests }
    }

    /// The requests so far: path, and range if one was asked for.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut connection: &TcpStream,
    steps: &Mutex<BTreeMap<String, Vec<Step>>>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let first = lines.next().unwrap()?;
    let path = first.split(' ').nth(1).unwrap().to_owned();
    if first.starts_with("CONNECT ") {
        return tunnel(connection, &path, lines, steps, log);
    }
    let mut start = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    log.lock().unwrap().push(start.map_or_else(|| path.clone(), |start| format!("{path} from {start}")));
    let step = {
        let mut steps = steps.lock().unwrap();
        match steps.get_mut(&path) {
            Some(steps) if steps.len() > 1 => steps.remove(0),
            Some(steps) => steps[0].clone(),
            None => Step::Status(404),
        }
    };
    perform(&mut connection, step, start)
}

/// A proxy that is its own mirror: it answers in place of the host that it should connect to, if that is a step.
fn tunnel(
    mut connection: &TcpStream,
    host: &str,
    lines: impl Iterator<Item = std::io::Result<String>>,
    steps: &Mutex<BTreeMap<String, Vec<Step>>>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = lines;
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    log.lock().unwrap().push(format!("CONNECT {host}"));
    if !steps.lock().unwrap().contains_key(host) {
        return connection.write_all(&head(403, "Content-Length: 0\r\n"));
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    answer(connection, steps, log)
}

fn head(status: u16, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

/// The head of an answer with this file, and the part of it that was asked for.
fn part(file: &[u8], start: Option<usize>) -> (Vec<u8>, &[u8]) {
    match start {
        Some(start) if start >= file.len() => (head(416, "Content-Length: 0\r\n"), &[]),
        Some(start) => {
            let (last, length) = (file.len() - 1, file.len());
            let range = format!("Content-Range: bytes {start}-{last}/{length}\r\n");
            (head(206, &format!("Content-Length: {}\r\n{range}", length - start)), &file[start..])
        }
        None => (head(200, &format!("Content-Length: {}\r\n", file.len())), file),
    }
}

fn perform(connection: &mut impl Write, step: Step, start: Option<usize>) -> std::io::Result<()> {
    match step {
        Step::Serve(file) => {
            let (head, body) = part(&file, start);
            connection.write_all(&[&head, body].concat())
        }
        Step::ServeWhole(file) => {
            let (head, body) = part(&file, None);
            connection.write_all(&[&head, body].concat())
        }
        Step::Cut(file, count) => {
            let (head, body) = part(&file, start);
            connection.write_all(&[&head, &body[..count]].concat())
        }
        Step::Declare(length, body) => {
            let head = head(200, &format!("Content-Length: {length}\r\n"));
            connection.write_all(&[&head, body.as_slice()].concat())
        }
        Step::NoLength(body) => connection.write_all(&[&head(200, ""), body.as_slice()].concat()),
        Step::WrongPart(file) => {
            let range = format!("Content-Length: 1\r\nContent-Range: bytes 0-0/{}\r\n", file.len());
            connection.write_all(&[&head(206, &range), &file[..1]].concat())
        }
        Step::Status(status) => connection.write_all(&head(status, "Content-Length: 0\r\n")),
        Step::Redirect(to) => {
            connection.write_all(&head(302, &format!("Location: {to}\r\nContent-Length: 0\r\n")))
        }
        Step::Hang(file, count) => {
            let (head, body) = part(&file, start);
            connection.write_all(&[&head, &body[..count]].concat())?;
            std::thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        Step::Trickle(file, piece, pause) => {
            let (head, body) = part(&file, start);
            connection.write_all(&head)?;
            for piece in body.chunks(piece) {
                std::thread::sleep(pause);
                connection.write_all(piece)?;
                connection.flush()?;
            }
            Ok(())
        }
    }
}
