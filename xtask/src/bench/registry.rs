//! `cargo xtask bench registry`: 200 clients pull at once from our registry and from Debian's docker-registry, in turn, in one
//! run: bytes a second, the slowest requests, and the memory that each server took.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::run;

/// Clients at once.
const CLIENTS: usize = 200;

/// How often each registry is measured; the best counts, since machines are noisy.
const ROUNDS: usize = 3;

/// The layers of the image that is pulled, in bytes: few large ones, several small ones.
const LAYERS: [usize; 8] = [8 << 20, 4 << 20, 1 << 20, 256 << 10, 64 << 10, 16 << 10, 4 << 10, 1 << 10];

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A server, ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
    token: Option<String>,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn ours(directory: &Path) -> Result<Self> {
        let store = directory.join("store");
        let mut child = Command::new(run::workspace().join("target/release/calypte"))
            .arg("--catalog")
            .arg(run::workspace().join("catalog"))
            .arg("--store")
            .arg(&store)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("calypte could not be started; build it with `cargo build --release`")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut line)?;
        let address = line.split(['/', ';']).nth(2).and_then(|text| text.parse().ok());
        let token = fs_err::read_to_string(store.join("registry/token"))?.trim().to_owned();
        Ok(Self { child, address: address.context(line)?, token: Some(token) })
    }

    fn debian(directory: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = directory.join("config.yml");
        let data = directory.join("data");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\nhttp:\n  addr: {address}\n",
            data.display()
        );
        fs_err::write(&config, text)?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("docker-registry (Debian package) could not be started")?;
        let server = Self { child, address, token: None };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(20), "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// One request of a client that pushes.
    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        let login = self.token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n"));
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            login.unwrap_or_default(),
            body.len()
        )?;
        stream.write_all(body)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
        let location = answer.lines().find_map(|line| {
            line.split_once(": ")
                .filter(|(name, _)| name.eq_ignore_ascii_case("location"))
                .map(|(_, place)| place)
        });
        Ok((status, location.unwrap_or_default().to_owned()))
    }

    fn push_blob(&self, bytes: &[u8]) -> Result<Value> {
        let digest = digest(bytes)?;
        let (_, place) = self.send("POST", "/v2/bench/blobs/uploads/", "application/octet-stream", b"")?;
        let place = place.split_once("/v2/").map_or(place.clone(), |(_, rest)| format!("/v2/{rest}"));
        let join = if place.contains('?') { '&' } else { '?' };
        let path = format!("{place}{join}digest={digest}");
        let (status, _) = self.send("PUT", &path, "application/octet-stream", bytes)?;
        ensure!(status == 201, "a blob was not taken: {status}");
        Ok(
            json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": bytes.len() }),
        )
    }

    /// Pushes the image; the paths of what a client pulls.
    fn push(&self) -> Result<Vec<String>> {
        let mut config = self.push_blob(
            br#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#,
        )?;
        config["mediaType"] = json!("application/vnd.oci.image.config.v1+json");
        let mut layers = Vec::new();
        for (number, size) in LAYERS.into_iter().enumerate() {
            layers.push(self.push_blob(&noise(number as u64 + 1, size))?);
        }
        let digests = std::iter::once(&config).chain(&layers).filter_map(|blob| blob["digest"].as_str());
        let mut paths: Vec<String> = digests.map(|digest| format!("/v2/bench/blobs/{digest}")).collect();
        paths.insert(0, "/v2/bench/manifests/1".to_owned());
        let document =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let (status, _) =
            self.send("PUT", "/v2/bench/manifests/1", MANIFEST, document.to_string().as_bytes())?;
        ensure!(status == 201, "the manifest was not taken: {status}");
        Ok(paths)
    }

    /// Peak resident memory so far, in MB (10⁶ bytes).
    fn memory(&self) -> Result<f64> {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: f64 =
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).context(status.clone())?;
        Ok(kibibytes * 1024.0 / 1e6)
    }

    /// User and system CPU time so far, in seconds.
    fn cpu(&self) -> Result<f64> {
        let text = fs_err::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = text.rsplit_once(')').context("no stat")?.1.split_whitespace().collect();
        let ticks =
            |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).context("no ticks");
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }
}

/// `sha256:…` of bytes, by the system's program: this chore links no hash.
fn digest(bytes: &[u8]) -> Result<String> {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().context("no input")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(format!("sha256:{}", text.split_whitespace().next().context("no digest")?))
}

/// Bytes that look random, the same in every run.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let words = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    words.flatten().take(size).collect()
}

/// Pulls all paths over one connection; the bytes that came, and how long each request took.
fn pull(address: SocketAddr, paths: &[String]) -> Result<(u64, Vec<Duration>)> {
    let mut reader = BufReader::new(TcpStream::connect(address)?);
    let mut all = 0;
    let mut times = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    for path in paths {
        let start = Instant::now();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {MANIFEST}\r\n\r\n");
        reader.get_mut().write_all(head.as_bytes())?;
        let mut left = None;
        loop {
            let mut line = String::new();
            ensure!(reader.read_line(&mut line)? > 0, "the connection ended");
            let line = line.trim_end().to_ascii_lowercase();
            ensure!(!line.starts_with("http/") || line.contains(" 200"), "{path}: {line}");
            if let Some(length) = line.strip_prefix("content-length: ") {
                left = Some(length.parse::<u64>()?);
            }
            if line.is_empty() {
                break;
            }
        }
        let mut left = left.context("no length")?;
        all += left;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let count = reader.read(&mut piece[..most])?;
            ensure!(count > 0, "the connection ended");
            left -= count as u64;
        }
        times.push(start.elapsed());
    }
    Ok((all, times))
}

/// What one round came to.
#[derive(Clone, Copy)]
struct Round {
    megabytes_a_second: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
}

/// All clients at once.
fn round(server: &Server, paths: &[String]) -> Result<Round> {
    let paths: Arc<[String]> = paths.into();
    let gate = Arc::new(Barrier::new(CLIENTS + 1));
    let address = server.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (paths, gate) = (Arc::clone(&paths), Arc::clone(&gate));
            std::thread::spawn(move || {
                gate.wait();
                pull(address, &paths)
            })
        })
        .collect();
    let before = server.cpu()?;
    gate.wait();
    let start = Instant::now();
    let (mut bytes, mut times) = (0, Vec::new());
    for client in clients {
        let Ok(pulled) = client.join() else { bail!("a client panicked") };
        let (count, more) = pulled?;
        bytes += count;
        times.extend(more);
    }
    let wall = start.elapsed().as_secs_f64();
    times.sort_unstable();
    let at =
        |percent: usize| times.get(times.len() * percent / 100).map_or(0.0, Duration::as_secs_f64) * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "figures with three digits")]
    let megabytes_a_second = bytes as f64 / 1e6 / wall;
    Ok(Round { megabytes_a_second, p50: at(50), p99: at(99), cpu: server.cpu()? - before })
}

pub fn run() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (ours, debian) = (scratch.path().join("ours"), scratch.path().join("debian"));
    fs_err::create_dir_all(&ours)?;
    fs_err::create_dir_all(&debian)?;
    let servers = [("calypte serve", Server::ours(&ours)?), ("docker-registry", Server::debian(&debian)?)];
    let mut pushed = Vec::new();
    for (_, server) in &servers {
        pushed.push(server.push()?);
    }
    let mut best: [Option<Round>; 2] = [None, None];
    for _ in 0..ROUNDS {
        for (((_, server), paths), best) in servers.iter().zip(&pushed).zip(&mut best) {
            let now = round(server, paths)?;
            let is_better = best.is_none_or(|best| now.megabytes_a_second > best.megabytes_a_second);
            *best = if is_better { Some(now) } else { *best };
        }
    }
    println!(
        "{CLIENTS} clients at once, {} requests each; the best of {ROUNDS} rounds in turn",
        pushed[0].len()
    );
    let mut figures = serde_json::Map::new();
    for ((name, server), best) in servers.iter().zip(best) {
        let (best, memory) = (best.context("no round")?, server.memory()?);
        println!(
            "{name:16} {:7.0} MB/s  p50 {:6.0} ms  p99 {:6.0} ms  CPU {:5.2} s  peak memory {memory:5.0} MB",
            best.megabytes_a_second, best.p50, best.p99, best.cpu
        );
        figures.insert(
            name.to_string(),
            json!({ "megabytes_a_second": best.megabytes_a_second, "p50_ms": best.p50, "p99_ms": best.p99, "cpu_s": best.cpu, "peak_memory_mb": memory }),
        );
    }
    println!("{}", Value::Object(figures));
    Ok(())
}
