//! What is in an initramfs: one or more cpio archives one after another, of which the last may be compressed
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// An initramfs.
#[derive(Debug, Clone, Default)]
pub struct Initramfs {
    /// Bytes as it lies on the disk.
    pub size: u64,
    /// Bytes of its files.
    pub files: u64,
    /// How many there are.
    pub count: u64,
    /// Bytes of the kernel's modules among them, as they lie there.
    pub modules: u64,
    /// Bytes of the first process.
    pub init: u64,
}

impl Initramfs {
    /// Reads one.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = fs_err::read(path)?;
        let mut initramfs = Self { size: bytes.len() as u64, ..Self::default() };
        initramfs.archives(&bytes).with_context(|| format!("{} is no initramfs", path.display()))?;
        Ok(initramfs)
    }

    fn archives(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
            bytes = &bytes[start..];
            let mut plain = Vec::new();
            match bytes {
                [] => return Ok(()),
                [b'0', b'7', b'0', b'7', b'0', ..] => {
                    bytes = self.archive(bytes)?;
                    continue;
                }
                [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                    zstd::stream::read::Decoder::new(bytes)?.read_to_end(&mut plain)?;
                }
                [0xfd, b'7', b'z', b'X', b'Z', ..] => {
                    liblzma::read::XzDecoder::new(bytes).read_to_end(&mut plain)?;
                }
                _ => bail!("it is neither a cpio archive nor compressed as is known here"),
            }
            return self.archives(&plain);
        }
    }

    /// Takes an archive in, and gives what follows it.
    fn archive<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8]> {
        let mut place = 0;
        loop {
            let field = |number: usize| -> Result<usize> {
                let start = place + 6 + number * 8;
                let text = bytes.get(start..start + 8).context("it is cut off")?;
                Ok(usize::from_str_radix(std::str::from_utf8(text)?, 16)?)
            };
            let (mode, size, length) = (field(1)?, field(6)?, field(11)?);
            let name =
                bytes.get(place + 110..(place + 110 + length).saturating_sub(1)).context("it is cut off")?;
            place = (place + 110 + length).next_multiple_of(4) + size.next_multiple_of(4);
            if name == b"TRAILER!!!" {
                return Ok(bytes.get(place..).unwrap_or_default());
            }
            if mode & 0o170_000 != 0o100_000 {
                continue;
            }
            let name = String::from_utf8_lossy(name);
            self.count += 1;
            self.files += size as u64;
            self.modules += if name.contains(".ko") { size as u64 } else { 0 };
            self.init += if name == "init" { size as u64 } else { 0 };
        }
    }
}
