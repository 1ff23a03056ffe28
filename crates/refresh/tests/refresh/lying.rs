//! A registry that takes everything and does not give all of it back: no tag is moved to what it lost.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use calypte_refresh::Ended;

use crate::world::{Place, World};

/// What is said in the registry's stead to a method and a path; nothing: what it says itself.
type Lie = Box<dyn FnMut(&str, &str) -> Option<Vec<u8>> + Send>;

/// Stands between the pipeline and the registry.
struct Between {
    address: String,
    lie: Arc<Mutex<Lie>>,
}

impl Between {
    fn new(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        let lie: Arc<Mutex<Lie>> = Arc::new(Mutex::new(Box::new(|_, _| None)));
        let between = Self { address, lie: Arc::clone(&lie) };
        let registry = registry.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (lie, registry) = (Arc::clone(&lie), registry.clone());
                std::thread::spawn(move || drop(answer(&client, &registry, &lie)));
            }
        });
        between
    }

    fn lies(&self, lie: impl FnMut(&str, &str) -> Option<Vec<u8>> + Send + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
    }
}

/// One request a connection.
fn answer(mut client: &TcpStream, registry: &str, lie: &Mutex<Lie>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.trim().is_empty() {
            head.push_str("Connection: close\r\n\r\n");
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let lied = (lie.lock().unwrap())(method, path);
    if let Some(lied) = lied {
        return client.write_all(&lied);
    }
    let mut server = TcpStream::connect(registry)?;
    server.write_all(head.as_bytes())?;
    server.write_all(&body)?;
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}

fn status(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = format!("Content-Length: {}\r\n", body.len());
    let length = if headers.contains("Content-Length") { "" } else { &length };
    format!("HTTP/1.1 {line}\r\n{headers}{length}Connection: close\r\n\r\n{body}").into_bytes()
}

/// A lie about what is asked for once it was pushed.
fn lies() -> Vec<(&'static str, Lie)> {
    let is_digest = |path: &str, kind: &str| path.contains(&format!("/{kind}/sha256:"));
    let manifest = move |method: &str, path: &str| {
        let is_it = method == "GET" && is_digest(path, "manifests");
        is_it.then(|| status("404 Not Found", "", ""))
    };
    let other = move |method: &str, path: &str| {
        let is_it = method == "GET" && is_digest(path, "manifests");
        is_it.then(|| status("200 OK", "Content-Type: application/vnd.oci.image.index.v1+json\r\n", "{}"))
    };
    // Before a blob is sent the registry is asked for it too: the first answer is its own.
    let again = |answer: Vec<u8>| {
        let mut asked = std::collections::BTreeMap::<String, usize>::new();
        move |method: &str, path: &str| {
            if method != "HEAD" || !path.contains("/blobs/sha256:") {
                return None;
            }
            let times = asked.entry(path.to_owned()).or_default();
            *times += 1;
            (*times > 1).then(|| answer.clone())
        }
    };
    let unlisted = |method: &str, path: &str| {
        let is_it = method == "GET" && path.contains("/referrers/");
        let empty =
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        is_it.then(|| status("200 OK", "Content-Type: application/vnd.oci.image.index.v1+json\r\n", empty))
    };
    vec![
        ("now does not have it", Box::new(manifest)),
        ("expected sha256:", Box::new(other)),
        ("now does not have it", Box::new(again(status("404 Not Found", "", "")))),
        ("now has 7 bytes of ", Box::new(again(status("200 OK", "Content-Length: 7\r\n", "")))),
        ("now does not list it among what refers to sha256:", Box::new(unlisted)),
    ]
}

#[test]
fn a_registry_that_lost_something_gets_no_tag_moved() {
    let Some(world) = crate::world() else { return };
    only_the_first(&world);
    world.release(1);
    let between = Between::new(&world.place.registry);
    let place = Place { registry: between.address.clone(), ..world.place.clone() };
    let mut later = 0;
    for (expected, lie) in lies() {
        between.lies(lie);
        let report = place.run(&|_| {}, later).unwrap();
        // Pauses double: far enough on, none is left.
        later += 7 * 3600;
        let image = &report.images[0];
        assert_eq!((report.images.len(), image.ended), (1, Ended::Postponed), "{expected}: {report:#?}");
        assert!(image.error.as_ref().unwrap().contains(expected), "{expected}: {image:#?}");
        assert!(world.tags().is_empty(), "{expected}");
    }
    between.lies(|_, _| None);
    let report = place.run(&|_| {}, later).unwrap();
    assert_eq!(report.images[0].ended, Ended::Published, "{report:#?}");
    assert_eq!(world.tags().len(), 1);
}

/// One family is enough.
fn only_the_first(world: &World) {
    for number in 1..10 {
        fs_err::remove_file(world.place.directory.join(format!("catalog/images/f{number}.yaml"))).unwrap();
    }
}
