//! A mirror and its metalink on the loopback: a small HTTP/1.1 server over the fixture's directories, honest or not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::metalink::{self, Named};
use crate::tools::Failure;
use crate::{OLDER_TIMESTAMP, TIMESTAMP, VICTIM, index};

/// What the mirror and its metalink do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// All is as it must be; the metalink accepts the older state too.
    Honest,
    /// Mirror and metalink agree on the older state: a rollback for whoever has seen the newer.
    Older,
    /// The metalink names the newer state and no other; the mirror has the older.
    MirrorBehindMetalink,
    /// The metalink names the newer state and accepts the older; the mirror has the older.
    MirrorOneBehind,
    /// The metalink names the older state; the mirror has the newer.
    MetalinkBehindMirror,
    /// The metalink is not there.
    NoMetalink,
    /// Filelists speak of another package than primary.
    FilelistsDisagree,
    /// The victim ([`VICTIM`]) is not signed, and indexed so.
    Unsigned,
    /// The victim is signed with a key of somebody else, and indexed so.
    OtherKey,
    /// The victim's payload was altered after it had been signed, and indexed so.
    Altered,
    /// The victim is altered on its way; the index is right.
    AlteredOnTheWay,
    /// The mirror ends the victim half-way.
    CutOff,
}

impl Behaviour {
    /// The state that the mirror serves.
    fn mirror(self) -> &'static str {
        match self {
            Self::Older | Self::MirrorBehindMetalink | Self::MirrorOneBehind => index::OLDER,
            Self::FilelistsDisagree => index::FILELISTS,
            Self::Unsigned => index::UNSIGNED,
            Self::OtherKey => index::OTHER_KEY,
            Self::Altered => index::ALTERED,
            _ => index::CURRENT,
        }
    }

    /// The state that the metalink names, and those that it accepts beside it.
    fn metalink(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Honest | Self::MirrorOneBehind => (index::CURRENT, &[index::OLDER]),
            Self::Older | Self::MetalinkBehindMirror => (index::OLDER, &[]),
            Self::MirrorBehindMetalink => (index::CURRENT, &[]),
            other => (other.mirror(), &[]),
        }
    }
}

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// The address of the mirror (`http://127.0.0.1:1234/pub/fedora/linux`).
    pub base_url: String,
    /// The address of the metalink, with `{arch}` for the architecture.
    pub metalink_url: String,
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<String>>,
    ended: AtomicBool,
}

/// The path of the mirror on the server.
const MIRROR: &str = "/pub/fedora/linux/";

impl Server {
    /// Serves another directory that is laid out as the fixture's is: `current/` is what an honest mirror has.
    ///
    /// # Errors
    /// When there is no loopback.
    pub fn start(root: PathBuf, behaviour: Behaviour) -> Result<Self, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            root,
            behaviour: Mutex::new(behaviour),
            requests: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if served.ended.load(Ordering::Relaxed) {
                    break;
                }
                let served = Arc::clone(&served);
                // A client that goes away is none of the server's business.
                std::thread::spawn(move || {
                    connection.and_then(|connection| answer(&connection, &served, address))
                });
            }
        });
        Ok(Self {
            base_url: format!("http://{address}{}", MIRROR.trim_end_matches('/')),
            metalink_url: format!("http://{address}/metalink?repo=rawhide&arch={{arch}}"),
            shared,
            address,
        })
    }

    /// Makes it behave otherwise from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        if let Ok(mut current) = self.shared.behaviour.lock() {
            *current = behaviour;
        }
    }

    /// The paths asked for so far, with the range if one was asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().map(|requests| requests.clone()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

fn answer(mut connection: &TcpStream, shared: &Shared, address: std::net::SocketAddr) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(()) };
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let mut start = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.split('-').next().and_then(|number| number.parse::<usize>().ok());
        }
    }
    if let Ok(mut requests) = shared.requests.lock() {
        requests.push(start.map_or_else(|| target.clone(), |start| format!("{target} from {start}")));
    }
    let behaviour = shared.behaviour.lock().map_or(Behaviour::Honest, |behaviour| *behaviour);
    let Some(body) = content(&target, shared, behaviour, address) else {
        return connection
            .write_all(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    };
    let (head, part) = part(&body, start);
    connection.write_all(head.as_bytes())?;
    if method == "HEAD" {
        return Ok(());
    }
    let cut = behaviour == Behaviour::CutOff && is_victim(&target);
    let sent = if cut { &part[..part.len() / 2] } else { part };
    connection.write_all(sent)
}

fn is_victim(target: &str) -> bool {
    target.rsplit('/').next().is_some_and(|name| name.starts_with(&format!("{VICTIM}-")))
}

/// What lies at a path of the server.
fn content(
    target: &str,
    shared: &Shared,
    behaviour: Behaviour,
    address: std::net::SocketAddr,
) -> Option<Vec<u8>> {
    if let Some(query) = target.strip_prefix("/metalink?") {
        if behaviour == Behaviour::NoMetalink {
            return None;
        }
        let architecture = query.split('&').find_map(|part| part.strip_prefix("arch="))?;
        return Some(metalink(&shared.root, behaviour, architecture, address)?.into_bytes());
    }
    let decoded = decode(target.strip_prefix(MIRROR)?);
    if decoded.split('/').any(|part| part == "..") {
        return None;
    }
    let path = shared.root.join(behaviour.mirror()).join(&decoded);
    let mut bytes = fs_err::read(path).ok()?;
    if behaviour == Behaviour::AlteredOnTheWay && is_victim(&decoded) {
        *bytes.last_mut()? ^= 1;
    }
    Some(bytes)
}

/// `%7E` and its like.
fn decode(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn metalink(
    root: &Path,
    behaviour: Behaviour,
    architecture: &str,
    address: std::net::SocketAddr,
) -> Option<String> {
    let (current, alternates) = behaviour.metalink();
    let repomd = |state: &str| {
        let file = index::repository(&root.join(state), architecture).join("repodata/repomd.xml");
        let timestamp = if state == index::OLDER { OLDER_TIMESTAMP } else { TIMESTAMP };
        fs_err::read(file).ok().map(|bytes| (bytes, timestamp))
    };
    let current = repomd(current)?;
    let alternates: Vec<_> = alternates.iter().filter_map(|state| repomd(state)).collect();
    let alternates: Vec<Named<'_>> =
        alternates.iter().map(|(bytes, timestamp)| Named { bytes, timestamp: *timestamp }).collect();
    let place = format!("http://{address}{MIRROR}{}/repodata/repomd.xml", index::path(architecture));
    let elsewhere = place.replace(MIRROR, "/nowhere/");
    Some(metalink::write(
        &Named { bytes: &current.0, timestamp: current.1 },
        &alternates,
        &[place, elsewhere],
    ))
}

/// The head of an answer, and the part of the file that was asked for.
fn part(file: &[u8], start: Option<usize>) -> (String, &[u8]) {
    let head = |status: &str, length: usize, more: &str| {
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nAccept-Ranges: bytes\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    };
    match start {
        Some(start) if start >= file.len() => (head("416 Range Not Satisfiable", 0, ""), &[]),
        Some(start) => {
            let range = format!("Content-Range: bytes {start}-{}/{}\r\n", file.len() - 1, file.len());
            (head("206 Partial Content", file.len() - start, &range), &file[start..])
        }
        None => (head("200 OK", file.len(), ""), file),
    }
}
