//! Counts what comes over the network: clients are given its address in place of the server's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

/// Passes connections on, and counts what the server answers.
pub struct Counter {
    /// Where it listens.
    pub address: SocketAddr,
    answered: Arc<AtomicU64>,
}

impl Counter {
    /// One in front of a server.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let answered: Arc<AtomicU64> = Arc::default();
        let count = Arc::clone(&answered);
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let Ok(upstream) = TcpStream::connect(server) else { continue };
                let (Ok(asks), Ok(to)) = (client.try_clone(), upstream.try_clone()) else { continue };
                let count = Arc::clone(&count);
                std::thread::spawn(move || pass(asks, to, None));
                std::thread::spawn(move || pass(upstream, client, Some(&count)));
            }
        });
        Ok(Self { address, answered })
    }

    /// Bytes since it was asked last, headers included.
    pub fn take(&self) -> u64 {
        self.answered.swap(0, Ordering::SeqCst)
    }
}

/// Until one of them has enough.
fn pass(mut from: TcpStream, mut to: TcpStream, count: Option<&AtomicU64>) {
    let mut piece = vec![0; 256 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece) {
        if let Some(count) = count {
            count.fetch_add(length as u64, Ordering::SeqCst);
        }
        if to.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(std::net::Shutdown::Write));
}
