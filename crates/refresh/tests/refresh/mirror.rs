//! A Debian repository on the loopback: packages made by hand, an index that gpg signs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use calypte_base::{Digest, Epoch};
use calypte_formats::tar::{Entry, EntryKind, Writer};

const OS_RELEASE: &str = "ID=debian\nVERSION_CODENAME=sid\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"\n";

/// Serves a directory from a thread of its own; gives its address.
pub fn serve(directory: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let directory = directory.clone();
            std::thread::spawn(move || drop(answer(&stream, &directory)));
        }
    });
    address
}

fn answer(mut stream: &TcpStream, directory: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
    }
    let (status, body) = match fs_err::read(directory.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

/// A key that signs repositories.
pub struct Signer {
    home: PathBuf,
}

impl Signer {
    /// Makes it; nothing where there is no gpg.
    pub fn new(home: PathBuf) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        fs_err::create_dir_all(&home).unwrap();
        fs_err::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
        let signer = Self { home };
        let arguments = ["--quick-gen-key", "fixture@example.org", "ed25519", "sign", "never"];
        signer.gpg().args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(signer)
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(&self.home).args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
        command.args(["--passphrase", ""]).stderr(Stdio::null());
        command
    }

    pub fn key(&self) -> String {
        let output = self.gpg().args(["--armor", "--export"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn sign(&self, text: &str) -> Vec<u8> {
        let mut command = self.gpg();
        let mut child =
            command.arg("--clearsign").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap().stdout
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // Its agent would stay.
        drop(Command::new("gpgconf").arg("--homedir").arg(&self.home).args(["--kill", "all"]).output());
    }
}

/// Writes the repository: these packages with their versions, made at this time.
pub fn write(directory: &Path, packages: &[(&str, &str)], signer: &Signer, date: Epoch) {
    let mut index = String::new();
    for (name, version) in packages {
        let bytes = deb(name, version);
        let path = format!("pool/{name}_{version}_amd64.deb");
        put(&directory.join(&path), &bytes);
        index.push_str(&format!(
            "{}Filename: {path}\nSize: {}\nSHA256: {}\n\n",
            control(name, version),
            bytes.len(),
            Digest::of(&bytes).hex()
        ));
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(index.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    put(&directory.join("dists/sid/main/binary-amd64/Packages.gz"), &packed);
    let rfc = |epoch: Epoch| epoch.to_rfc2822().unwrap().replace("+0000", "UTC");
    let release = format!(
        "Origin: Fixture\nSuite: unstable\nCodename: sid\nDate: {}\nValid-Until: {}\nArchitectures: amd64\nComponents: main\n\
         SHA256:\n {} {} main/binary-amd64/Packages\n {} {} main/binary-amd64/Packages.gz\n",
        rfc(date),
        rfc(Epoch(date.0 + 7 * 86_400)),
        Digest::of(index.as_bytes()).hex(),
        index.len(),
        Digest::of(&packed).hex(),
        packed.len()
    );
    put(&directory.join("dists/sid/InRelease"), &signer.sign(&release));
}

fn put(path: &Path, bytes: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, bytes).unwrap();
}

fn control(name: &str, version: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody\nInstalled-Size: 1\nDescription: sample\n"
    )
}

/// A package with one file, its documents, and for `release` the name of the distribution.
fn deb(name: &str, version: &str) -> Vec<u8> {
    let copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
                     Files: *\nCopyright: 2026 Somebody\nLicense: Expat\n";
    let mut data = Writer::new(Vec::new());
    let directories = ["usr", "usr/lib", "usr/share", "usr/share/doc"].map(str::to_owned);
    let own = [format!("usr/share/{name}"), format!("usr/share/doc/{name}")];
    for directory in directories.iter().chain(&own) {
        data.append_bytes(&Entry::new(format!("./{directory}"), EntryKind::Directory), b"").unwrap();
    }
    let mut files = vec![
        (format!("usr/share/{name}/version"), format!("{name} {version}\n")),
        (format!("usr/share/doc/{name}/copyright"), copyright.to_owned()),
    ];
    if name == "release" {
        files.push(("usr/lib/os-release".to_owned(), OS_RELEASE.to_owned()));
    }
    // Newer versions have newer files, so that no tag goes back in time.
    let mtime = 1_600_000_000 + version.parse::<i64>().unwrap_or_default() * 86_400;
    for (path, text) in files {
        let entry = Entry::new(format!("./{path}"), EntryKind::File);
        data.append_bytes(&Entry { size: text.len() as u64, mtime, ..entry }, text.as_bytes()).unwrap();
    }
    let control = control(name, version);
    let mut member = Writer::new(Vec::new());
    let entry = Entry { size: control.len() as u64, ..Entry::new("./control", EntryKind::File) };
    member.append_bytes(&entry, control.as_bytes()).unwrap();
    let members: [(&str, Vec<u8>); 3] = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar", member.finish().unwrap()),
        ("data.tar", data.finish().unwrap()),
    ];
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, body) in &members {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", body.len());
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(2), b'\n');
    }
    bytes
}
