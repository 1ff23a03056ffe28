//! A mirror on loopback that serves what it was given, and a store of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use calypte_store::{FetchSettings, Fetcher, Silent, Store};
use calypte_universe::{Universe, UniverseDefinition, UniverseError, load};

/// What the mirror serves, by path; shared with its thread.
type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A mirror on loopback, and a store of its own.
pub struct Mirror {
    files: Files,
    pub requests: Arc<Mutex<Vec<String>>>,
    pub address: String,
    pub store: Store,
    _directory: tempfile::TempDir,
}

impl Mirror {
    /// A mirror without files.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path().join("store")).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (files, requests) = (Files::default(), Arc::new(Mutex::new(Vec::new())));
        let (served, seen) = (Arc::clone(&files), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &served, &seen);
            }
        });
        Self { files, requests, address, store, _directory: directory }
    }

    pub fn put(&self, path: &str, bytes: &[u8]) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.to_vec());
    }

    /// Loads the universe; every mirror that it names is this one.
    pub fn load(
        &self,
        definition: &str,
        keys: &BTreeMap<String, String>,
        now: &str,
        offline: bool,
    ) -> Result<Universe, UniverseError> {
        let definition = UniverseDefinition::parse("fixture.yaml", definition).unwrap();
        let mirrors = definition.repositories.iter().flat_map(|repository| repository.mirrors());
        let settings = FetchSettings {
            mirrors: mirrors.map(|(name, _)| (name, vec![self.address.clone()])).collect(),
            offline,
            attempts: 1,
            pause: Duration::ZERO,
            ..FetchSettings::default()
        };
        let fetcher = Fetcher::new(self.store.clone(), settings);
        load(&definition, keys, &fetcher, now.parse().unwrap(), &Silent)
    }

    /// An error as a user sees it, without the port that is another each time.
    pub fn shown(&self, error: &UniverseError) -> String {
        format!("{error}\nhint: {}", error.hint().unwrap()).replace(&self.address, "http://mirror")
    }
}

fn serve(stream: TcpStream, files: &Files, requests: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let body = files.lock().unwrap().get(&path).cloned();
    requests.lock().unwrap().push(path);
    let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that has hung up is its own affair.
    let _ = (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(&body));
}
