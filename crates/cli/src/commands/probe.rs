//! `calypte probe`: connects to a port on loopback. The test runner starts this inside a container's network namespace.

use std::time::Duration;

use anyhow::Result;
use calypte_pipeline::testing::probe;
use clap::Subcommand;

use crate::Verdict;
use crate::output;
use crate::session::Session;

/// Options of `calypte probe`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Whether something listens
    Port {
        /// The port
        port: u16,
    },
    /// GET a page; prints the status, a line break, and the body
    Http {
        /// The port
        port: u16,
        /// Path and query
        path: String,
    },
    /// Send text, and print the answer as soon as it holds the text that is expected
    Tcp {
        /// The port
        port: u16,
        /// What is sent
        send: String,
        /// What is expected
        expected: String,
    },
}

/// Connects, and prints the answer.
///
/// # Errors
/// When nothing listens, or the answer is not of the protocol.
pub fn run(session: &Session, arguments: &Arguments) -> Result<Verdict> {
    let timeout = Duration::from_secs(session.global.timeout.max(1));
    match &arguments.kind {
        Kind::Port { port } => probe::tcp_exchange(*port, b"", b"", timeout).map(drop)?,
        Kind::Http { port, path } => {
            let reply = probe::http_get(*port, path, timeout)?;
            output::print(&format!("{}\n{}", reply.status, reply.body))?;
        }
        Kind::Tcp { port, send, expected } => {
            let reply = probe::tcp_exchange(*port, send.as_bytes(), expected.as_bytes(), timeout)?;
            output::print(&String::from_utf8_lossy(&reply))?;
        }
    }
    Ok(Verdict::Yes)
}
