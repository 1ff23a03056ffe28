//! A client for the servers under test. It runs inside a container's network namespace (`calypte probe`, entered with
//! `nsenter`), so that a test needs no network that leaves the container.

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// What is read of a reply at the most.
const REPLY_LIMIT: u64 = 1024 * 1024;

/// The reply to an HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The body, as text; at most 1 MiB of it.
    pub body: String,
}

fn connect(port: u16, timeout: Duration) -> Result<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, timeout)
        .with_context(|| format!("cannot connect to port {port}"))?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

/// Sends `GET path` to a port on loopback and reads the reply.
///
/// # Errors
/// When nothing listens there, or the reply is no HTTP/1 or does not come within `timeout`.
pub fn http_get(port: u16, path: &str, timeout: Duration) -> Result<HttpReply> {
    let mut stream = connect(port, timeout)?;
    // HTTP/1.0: the server closes when it is done, and sends no chunked body.
    // In one piece: PHP's own server takes a first piece without a line's end for a broken request.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: calypte\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.take(REPLY_LIMIT).read_to_end(&mut reply).context("the reply broke off")?;
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n").context("the reply has no end of headers")?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    match status {
        Some(status) if head.starts_with("HTTP/1.") => Ok(HttpReply { status, body: body.to_owned() }),
        _ => bail!("the reply is not HTTP: {:?}", head.lines().next().unwrap_or_default()),
    }
}

/// Sends bytes to a port on loopback and reads until `expected` has come, or the other side stops.
///
/// # Errors
/// When nothing listens there. What came instead of the expected reply is returned, not an error.
pub fn tcp_exchange(port: u16, send: &[u8], expected: &[u8], timeout: Duration) -> Result<Vec<u8>> {
    let mut stream = connect(port, timeout)?;
    stream.write_all(send)?;
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    while !contains(&reply, expected) && reply.len() < 1024 * 1024 {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => reply.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(reply)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn serve_once(reply: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(reply);
            // To close with something unread would reset the connection, and with it the reply.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        port
    }

    #[test]
    fn reads_status_and_body() {
        let port = serve_once(b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello");
        let reply = http_get(port, "/", Duration::from_secs(5)).unwrap();
        assert_eq!(reply, HttpReply { status: 200, body: "hello".into() });
        let port = serve_once(b"-ERR not http\r\n\r\n");
        assert!(http_get(port, "/", Duration::from_secs(5)).is_err());
    }

    #[test]
    fn exchanges_bytes() {
        let port = serve_once(b"+PONG\r\n");
        assert_eq!(tcp_exchange(port, b"PING\r\n", b"+PONG", Duration::from_secs(5)).unwrap(), b"+PONG\r\n");
        assert!(tcp_exchange(1, b"", b"x", Duration::from_secs(1)).is_err());
    }
}
