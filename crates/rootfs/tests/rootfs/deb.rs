//! Builds packages by hand, also such as no package builder would make.

use std::io::Write;

use calypte_base::Digest;
use calypte_formats::tar::{Entry, EntryKind, Writer};
use calypte_rootfs::unpack::{PackageFile, UnpackError, Unpacked, unpack};
use calypte_store::Store;

/// The control paragraph of a package that says nothing special.
pub const CONTROL: &str =
    "Package: sample\nVersion: 1.0-1\nArchitecture: amd64\nInstalled-Size: 1\nDescription: sample\n";

pub enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

/// A package in the making.
pub struct Deb {
    control: Vec<(String, Vec<u8>)>,
    data: Writer<Vec<u8>>,
    compression: Compression,
}

impl Deb {
    pub fn new() -> Self {
        Self { control: Vec::new(), data: Writer::new(Vec::new()), compression: Compression::None }
            .control("control", CONTROL)
    }

    pub fn compressed(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// A member of the control archive, in place of one of the same name.
    pub fn control(mut self, name: &str, text: impl AsRef<[u8]>) -> Self {
        self.control.retain(|(other, _)| other != name);
        self.control.push((name.to_owned(), text.as_ref().to_vec()));
        self
    }

    pub fn entry(mut self, entry: &Entry, body: &[u8]) -> Self {
        self.data.append_bytes(entry, body).unwrap();
        self
    }

    pub fn kind(self, name: &str, kind: EntryKind) -> Self {
        self.entry(&Entry::new(name, kind), b"")
    }

    pub fn directory(self, name: &str) -> Self {
        self.kind(name, EntryKind::Directory)
    }

    pub fn file(self, name: &str, body: &[u8]) -> Self {
        self.entry(&Entry { size: body.len() as u64, ..Entry::new(name, EntryKind::File) }, body)
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.kind(name, EntryKind::Symlink(target.into()))
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        self.kind(name, EntryKind::HardLink(target.into()))
    }

    /// The bytes of the package.
    pub fn build(self) -> Vec<u8> {
        let mut control = Writer::new(Vec::new());
        for (name, text) in &self.control {
            let entry = Entry { size: text.len() as u64, ..Entry::new(format!("./{name}"), EntryKind::File) };
            control.append_bytes(&entry, text).unwrap();
        }
        let (data, suffix) = compress(&self.compression, &self.data.finish().unwrap());
        archive(&[
            ("debian-binary", b"2.0\n"),
            ("control.tar", &control.finish().unwrap()),
            (&format!("data.tar{suffix}"), &data),
        ])
    }

    /// Unpacks the package in a store of its own.
    pub fn unpack(self) -> Result<Unpacked, UnpackError> {
        let directory = tempfile::tempdir().unwrap();
        unpack_in(&Store::open(directory.path()).unwrap(), &self.build())
    }

    /// What the error says of the package.
    pub fn refused(self) -> String {
        refused(&self.build())
    }
}

/// What the error says after the name of the file; panics when the package is taken.
pub fn refused(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let error =
        unpack_in(&Store::open(directory.path()).unwrap(), bytes).expect_err("this package must be refused");
    assert!(error.hint().is_some(), "{error}");
    let text = error.to_string();
    text.strip_prefix("package file sample_1.0-1_amd64.deb: ").expect("the error names the file").to_owned()
}

/// Puts the package into the store and unpacks it there.
pub fn unpack_in(store: &Store, bytes: &[u8]) -> Result<Unpacked, UnpackError> {
    let digest = store.put(bytes).unwrap();
    unpack(store, &file(digest, bytes.len()))
}

pub fn file(digest: Digest, size: usize) -> PackageFile {
    PackageFile { digest, size: size as u64, file: "sample_1.0-1_amd64.deb".to_owned() }
}

pub fn compress(compression: &Compression, bytes: &[u8]) -> (Vec<u8>, &'static str) {
    match compression {
        Compression::None => (bytes.to_vec(), ""),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            (encoder.finish().unwrap(), ".gz")
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            (encoder.finish().unwrap(), ".xz")
        }
        Compression::Zstd => (zstd::encode_all(bytes, 1).unwrap(), ".zst"),
    }
}

/// An `ar` archive of these members.
pub fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = b"!<arch>\n".to_vec();
    for (name, body) in members {
        bytes.extend(
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", body.len()).bytes(),
        );
        bytes.extend_from_slice(body);
        if body.len() % 2 == 1 {
            bytes.push(b'\n');
        }
    }
    bytes
}
