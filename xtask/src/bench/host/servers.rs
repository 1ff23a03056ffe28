//! The servers from which an upgrade is fetched, each behind a counter: our registry over the factory's store, and a web
//! server over ostree's repository.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;

use super::counter::Counter;
use crate::bench::os::Os;
use crate::run;

/// A server, ended when dropped.
pub struct Server {
    child: Child,
    pub counter: Counter,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// `calypte serve`, with both states of the image in it: `one/os` and `two/os`, signed with a key.
///
/// # Errors
/// When it does not start, or an image cannot be pushed.
pub fn registry(os: &Os, layouts: &[PathBuf; 2], key: &Path) -> Result<Server> {
    let mut serve = os.calypte(&["serve", "--listen", "127.0.0.1:0"]);
    let mut child = serve.stdout(Stdio::piped()).spawn().context("calypte serve could not be started")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no standard output")?).read_line(&mut line)?;
    let address: Option<SocketAddr> = line.split(['/', ';']).nth(2).and_then(|text| text.parse().ok());
    let address = address.with_context(|| line.clone())?;
    let server = Server { child, counter: Counter::start(address)? };
    let token = fs_err::read_to_string(os.path("store/registry/token"))?;
    let login = base64::engine::general_purpose::STANDARD.encode(format!("bench:{}", token.trim()));
    let logins = os.path("logins.json");
    fs_err::write(&logins, format!(r#"{{"auths":{{"{address}":{{"auth":"{login}"}}}}}}"#))?;
    for (name, layout) in ["one", "two"].into_iter().zip(layouts) {
        let reference = format!("{address}/{name}/os:latest");
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", "--authfile"])
            .arg(&logins);
        copy.arg(format!("oci:{}:latest", layout.display())).arg(format!("docker://{reference}"));
        run::succeed(&mut copy)?;
        let mut sign = os.calypte(&["sign", &reference, "--plain-http", "--key"]);
        run::output(sign.arg(key).env("REGISTRY_AUTH_FILE", &logins))?;
    }
    Ok(server)
}

/// A web server over a directory.
///
/// # Errors
/// When it does not start.
pub fn web(directory: &Path) -> Result<Server> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut python = Command::new("python3");
    python.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(directory);
    python.arg(address.port().to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = python.spawn().context("python3 could not be started")?;
    let server = Server { child, counter: Counter::start(address)? };
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        ensure!(start.elapsed() < Duration::from_secs(20), "the web server does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(server)
}

/// ostree's repository with both states, as a server has it: each file compressed.
///
/// # Errors
/// When a state cannot be unpacked or committed.
pub fn ostree_repository(os: &Os, layouts: [&Path; 2]) -> Result<PathBuf> {
    let repository = os.path("ostree");
    if repository.exists() {
        fs_err::remove_dir_all(&repository)?;
    }
    let option = format!("--repo={}", repository.display());
    run::output(Command::new("ostree").args([&option, "init", "--mode=archive"]))?;
    for layout in layouts {
        let tree = os.path("tree");
        if tree.exists() {
            fs_err::remove_dir_all(&tree)?;
        }
        crate::bench::os::unpack(layout, &tree)?;
        // As ostree wants a system: its own copy of /etc, and nothing in /boot.
        fs_err::rename(tree.join("etc"), tree.join("usr/etc"))?;
        fs_err::remove_dir_all(tree.join("boot"))?;
        fs_err::create_dir(tree.join("boot"))?;
        let mut commit = Command::new("ostree");
        commit.args([&option, "commit", "--branch=os"]).arg(format!("--tree=dir={}", tree.display()));
        run::output(&mut commit)?;
        fs_err::remove_dir_all(&tree)?;
    }
    run::output(Command::new("ostree").args([&option, "summary", "--update"]))?;
    Ok(repository)
}
