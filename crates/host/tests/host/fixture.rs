//! Images as an operating system's are, small; and a machine to put them on.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use calypte_base::Digest;
use calypte_formats::oci::{self, Descriptor, ImageConfig, Index, Manifest, RootFs};
use calypte_formats::tar::{Entry, EntryKind, Writer};
use calypte_trust::sigstore::{Bundle, PREDICATE_SIGN, Referrer, SigningKey};
use serde_json::Value;

/// The architecture of the machine that the tests run on.
pub const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Zstd,
}

/// An image in the making.
#[derive(Debug, Clone)]
pub struct Os {
    pub created: String,
    /// The lowest layer, which versions share.
    pub base: Vec<(Entry, Vec<u8>)>,
    /// What is this version's own.
    pub top: Vec<(Entry, Vec<u8>)>,
    pub packing: Packing,
    pub key: Option<u8>,
    /// Documents to attach: artifact type and bytes.
    pub attached: Vec<(String, Vec<u8>)>,
    pub labels: BTreeMap<String, String>,
}

pub fn directory(path: &str) -> (Entry, Vec<u8>) {
    (Entry::new(path, EntryKind::Directory), Vec::new())
}

pub fn file(path: &str, bytes: impl Into<Vec<u8>>) -> (Entry, Vec<u8>) {
    let bytes = bytes.into();
    (Entry { size: bytes.len() as u64, mtime: 1_700_000_000, ..Entry::new(path, EntryKind::File) }, bytes)
}

pub fn link(path: &str, target: &str) -> (Entry, Vec<u8>) {
    (Entry::new(path, EntryKind::Symlink(target.into())), Vec::new())
}

/// Bytes that do not compress away and differ by their seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(step).collect()
}

impl Os {
    /// A bootable image of this version, signed with key 1.
    pub fn new(number: u64) -> Self {
        let version = number.to_string();
        let mut base: Vec<_> =
            ["boot", "dev", "etc", "proc", "root", "run", "sys", "sysroot", "tmp", "usr", "var", "var/lib"]
                .map(directory)
                .into();
        base.extend(
            ["usr/bin", "usr/lib", "usr/lib/modules", "usr/lib/systemd", "usr/lib/systemd/boot"]
                .map(directory),
        );
        base.push(directory("usr/lib/systemd/boot/efi"));
        base.push(file("etc/base.conf", "base\n"));
        base.push(file("var/lib/first", "first install"));
        for number in 0..12 {
            base.push(file(&format!("usr/bin/tool-{number}"), noise(number, 3000 + number as usize * 700)));
        }
        base.push(file("usr/bin/large", noise(99, 5 * 1024 * 1024)));
        for suffix in ["x64", "aa64"] {
            base.push(file(&format!("usr/lib/systemd/boot/efi/systemd-boot{suffix}.efi"), noise(7, 20_000)));
        }
        let release = format!(
            "ID=test\nPRETTY_NAME=\"Test OS {version}\"\nIMAGE_ID=test-os\nIMAGE_VERSION={version}\nVERSION_ID=1\n"
        );
        let status = |name: &str, version: &str| {
            format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n")
        };
        let kernel = format!("6.{version}.0");
        let top = vec![
            directory(&format!("usr/lib/modules/{kernel}")),
            file(&format!("usr/lib/modules/{kernel}/vmlinuz"), noise(1000 + number, 40_000)),
            file(&format!("usr/lib/modules/{kernel}/initramfs.img"), noise(2000 + number, 30_000)),
            file("usr/lib/os-release", release),
            link("etc/os-release", "../usr/lib/os-release"),
            file("etc/version.conf", format!("version {version}\n")),
            file("usr/bin/program", noise(3000 + number, 9000)),
            directory("var/lib/dpkg"),
            directory("var/lib/dpkg/status.d"),
            file("var/lib/dpkg/status.d/libc6", status("libc6", "2.42-1")),
            file("var/lib/dpkg/status.d/tool", status("tool", &version)),
        ];
        Self {
            created: format!("2026-01-{:02}T00:00:00Z", number),
            base,
            top,
            packing: Packing::Zstd,
            key: Some(1),
            attached: Vec::new(),
            labels: BTreeMap::from([("containers.bootc".to_owned(), "1".to_owned())]),
        }
    }

    /// Writes the image as the only one of a layout; what was there is replaced. Gives the manifest's digest.
    pub fn write(&self, layout: &Path) -> Digest {
        drop(fs_err::remove_dir_all(layout));
        fs_err::create_dir_all(layout.join("blobs/sha256")).unwrap();
        let put = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            fs_err::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
            Descriptor {
                media_type: media_type.to_owned(),
                digest,
                size: bytes.len() as u64,
                ..Descriptor::default()
            }
        };
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for entries in [&self.base, &self.top] {
            let tar = tar(entries);
            diff_ids.push(Digest::of(&tar));
            layers.push(match self.packing {
                Packing::Plain => put(oci::MEDIA_TYPE_LAYER, &tar),
                Packing::Zstd => {
                    put(oci::MEDIA_TYPE_LAYER_ZSTD, &zstd::encode_all(tar.as_slice(), 3).unwrap())
                }
            });
        }
        let config = ImageConfig {
            created: Some(self.created.clone()),
            architecture: ARCHITECTURE.to_owned(),
            os: "linux".to_owned(),
            config: Some(oci::Config { labels: self.labels.clone(), ..oci::Config::default() }),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
            ..ImageConfig::default()
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
            config: put(oci::MEDIA_TYPE_CONFIG, &serde_json::to_vec(&config).unwrap()),
            layers,
            ..Manifest::default()
        };
        let image = put(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest).unwrap());
        let mut manifests = vec![image.clone()];
        if let Some(number) = self.key {
            let bundle = Bundle::sign_image(&image.digest, &key(number)).to_json();
            let referrer = Referrer::new(bundle, PREDICATE_SIGN, &image);
            referrer.blobs.iter().for_each(|blob| drop(put("", blob)));
            put("", &referrer.manifest);
            manifests.push(referrer.descriptor);
        }
        for (kind, bytes) in &self.attached {
            let manifest = Manifest {
                schema_version: 2,
                media_type: Some(oci::MEDIA_TYPE_MANIFEST.to_owned()),
                artifact_type: Some(kind.clone()),
                config: put(oci::MEDIA_TYPE_EMPTY, b"{}"),
                layers: vec![put(kind, bytes)],
                subject: Some(image.clone()),
                ..Manifest::default()
            };
            let mut descriptor = put(oci::MEDIA_TYPE_MANIFEST, &serde_json::to_vec(&manifest).unwrap());
            descriptor.artifact_type = Some(kind.clone());
            manifests.push(descriptor);
        }
        let index = Index { schema_version: 2, manifests, ..Index::default() };
        fs_err::write(layout.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
        fs_err::write(layout.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        image.digest
    }
}

pub fn key(number: u8) -> SigningKey {
    SigningKey::from_secret(&[number; 32]).unwrap()
}

pub fn tar(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, bytes) in entries {
        writer.append_bytes(entry, bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// A machine: directories that stand for its root file system, its boot partition, and what is installed in `/usr`.
pub struct Machine {
    pub directory: tempfile::TempDir,
    root: Option<PathBuf>,
}

impl Machine {
    /// A machine that trusts key 1.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let machine = Self { directory, root: None };
        for name in ["root", "esp", "config/usr/lib/calypte/keys.d", "config/etc/calypte"] {
            fs_err::create_dir_all(machine.path(name)).unwrap();
        }
        fs_err::write(machine.path("config/usr/lib/calypte/keys.d/one.pub"), key(1).public().to_pem())
            .unwrap();
        machine
    }

    /// The same with another root file system.
    pub fn on(root: PathBuf) -> Self {
        Self { root: Some(root), ..Self::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn root(&self) -> PathBuf {
        self.root.clone().unwrap_or_else(|| self.path("root"))
    }

    pub fn layout(&self) -> PathBuf {
        self.path("layout")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_calypte-host"));
        command.args(arguments).arg("--sysroot").arg(self.root()).arg("--esp").arg(self.path("esp"));
        command.arg("--config-root").arg(self.path("config"));
        command.env_remove("CALYPTE_HOST_STOP_AT").env_remove("HTTP_PROXY").env_remove("http_proxy");
        command.env("CALYPTE_HOST_ATTEMPTS", "1");
        command
    }

    /// Runs the program; the digest of the running deployment is given where one runs.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the program, which must succeed; its standard output.
    pub fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", shown(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program, which must end with this code; its standard error.
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", shown(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = arguments.to_vec();
        all.extend(["--format", "json"]);
        serde_json::from_str(&self.done(&all)).unwrap()
    }

    /// Installs an image.
    pub fn install(&self, os: &Os) {
        os.write(&self.layout());
        let source = format!("oci:{}", self.layout().display());
        self.done(&["install", "to-filesystem", self.root().to_str().unwrap(), "--source", &source]);
    }

    pub fn status(&self) -> Value {
        self.json(&["status"])["status"].clone()
    }

    /// The version in a slot of the status.
    pub fn version(&self, slot: &str) -> Option<String> {
        self.status()[slot]["image"]["version"].as_str().map(str::to_owned)
    }

    /// The composefs digest in a slot.
    pub fn digest(&self, slot: &str) -> String {
        self.status()[slot]["composefs"]["verity"].as_str().unwrap().to_owned()
    }

    /// The `/etc` of a deployment.
    pub fn etc(&self, digest: &str) -> PathBuf {
        self.root().join("state/deploy").join(digest).join("etc")
    }

    pub fn fsck(&self) {
        let output = self.run(&["fsck"]);
        assert!(output.status.success(), "{}", shown(&output));
    }

    /// File names of the entries on the boot partition, staged ones too.
    pub fn entries(&self) -> Vec<String> {
        let list = |name: &str| {
            let entries = fs_err::read_dir(self.path("esp").join(name)).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>()
        };
        let mut all = list("loader/entries");
        all.extend(list("EFI/Linux"));
        all.sort();
        all
    }
}

pub fn shown(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub fn skipped(text: &str) {
    drop(writeln!(std::io::stderr(), "skipped: {text}"));
}
