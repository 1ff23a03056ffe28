//! A registry behind HTTP, and clients that send what they like.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use calypte_catalog::registry::Registry as Served;
use calypte_catalog::server::{Access, Limits, Service};
use calypte_store::Store;
use calypte_store::registry::{Registry, RegistrySettings};
use tempfile::TempDir;

/// Largest blob in bytes.
pub const LIMIT: u64 = 32 * 1024 * 1024;

/// A server with an empty registry, stopped when dropped.
pub struct Server {
    pub directory: TempDir,
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let store = Store::open(directory.path().join("served")).unwrap();
        let registry = Served::new(store, directory.path().join("registry"), LIMIT);
        let limits = Limits { connections: 64, idle: Duration::from_millis(800) };
        let service = Service::new(
            registry,
            Access::new(Some("secret".into())),
            limits,
            Box::new(|text| panic!("{text}")),
        );
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            service.run(listener, || stopped.load(Ordering::Relaxed)).unwrap();
        });
        Self { directory, address, stop, thread: Some(thread) }
    }

    pub fn store(&self) -> Store {
        Store::open(self.directory.path().join("own")).unwrap()
    }

    pub fn settings(&self, password: &str) -> RegistrySettings {
        let auth = base64::engine::general_purpose::STANDARD.encode(format!("ci:{password}"));
        let file = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, self.address);
        let auth_files = if password.is_empty() { Vec::new() } else { vec![file.into_bytes()] };
        RegistrySettings { plain_http: true, auth_files, ..RegistrySettings::default() }
    }

    pub fn client(&self, name: &str, password: &str) -> Registry {
        let reference = format!("{}/{name}", self.address).parse().unwrap();
        let mounts = ["library/base".to_owned()];
        Registry::for_push(&reference, self.settings(password), &mounts).unwrap()
    }

    /// Sends bytes as they are; what comes back until the connection is closed.
    pub fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// One request without a body; the head of the answer.
    pub fn ask(&self, method: &str, path: &str, headers: &str) -> String {
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            self.address
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
