//! How layers are compressed. The bytes of an image depend on this and on the libraries behind it, so both are named
//! here and go into every cache key.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The zstd level: at 3 a 64 MB tree costs 0.27 CPU seconds; 9 saves 7 % of the size for four times of that.
const ZSTD_LEVEL: i32 = 3;

/// The gzip level: `gzip`'s own default.
const GZIP_LEVEL: u32 = 6;

/// `OS` of a gzip header (RFC 1952, 2.3.1): 255, unknown, so that it says nothing of the machine.
const GZIP_UNKNOWN_OS: u8 = 255;

/// The libraries that write gzip. Neither tells its version at run time; a test compares this with `Cargo.lock`.
const GZIP_LIBRARIES: &str = "flate2 1.1.11, zlib-rs 0.6.8";

/// Bytes that a compressor is given at once. Always exactly this many but at the end, so that its output cannot depend
/// on how the input was cut into writes.
const BLOCK: usize = 128 * 1024;

/// The compression of an image's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerCompression {
    /// Zstandard (RFC 8878), one frame; faster and smaller than gzip, read by every current engine.
    #[default]
    Zstd,
    /// gzip (RFC 1952), for tools from before zstd (umoci 0.4 is one).
    Gzip,
    /// Plain tar.
    None,
}

/// A word that names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a compression of layers (zstd, gzip, none)")]
pub struct CompressionError {
    /// The word as given.
    pub name: String,
}

impl LayerCompression {
    /// Every compression, the default first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Gzip, Self::None];

    /// Its name, as the command line takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::None => "none",
        }
    }

    /// The compressor with its level and the exact versions of its libraries: the same text means the same bytes.
    #[must_use]
    pub fn identity(self) -> String {
        match self {
            Self::Zstd => format!("zstd {ZSTD_LEVEL}, libzstd {}", zstd::zstd_safe::version_string()),
            Self::Gzip => format!("gzip {GZIP_LEVEL}, {GZIP_LIBRARIES}"),
            Self::None => "none".to_owned(),
        }
    }

    /// A compressor in front of `target`; [`Compressor::finish`] must be called at the end.
    pub(crate) fn compressor<W: Write>(self, target: W) -> io::Result<Compressor<W>> {
        let encoder = match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(target, ZSTD_LEVEL)?;
                // Both the digest of the blob and the diff id check the bytes already. The size of the content is in
                // the layer's record, and to put it into the frame would take a second pass over the tree.
                encoder.include_checksum(false)?;
                encoder.include_contentsize(false)?;
                Encoder::Zstd(encoder)
            }
            Self::Gzip => Encoder::Gzip(
                flate2::GzBuilder::new()
                    .mtime(0)
                    .operating_system(GZIP_UNKNOWN_OS)
                    .write(target, flate2::Compression::new(GZIP_LEVEL)),
            ),
            Self::None => Encoder::None(target),
        };
        Ok(Compressor { encoder, block: Vec::with_capacity(BLOCK) })
    }
}

impl fmt::Display for LayerCompression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for LayerCompression {
    type Err = CompressionError;

    fn from_str(name: &str) -> Result<Self, CompressionError> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| CompressionError { name: name.chars().take(100).collect() })
    }
}

/// Compresses what is written to it, in blocks of one size.
pub(crate) struct Compressor<W: Write> {
    encoder: Encoder<W>,
    block: Vec<u8>,
}

enum Encoder<W: Write> {
    Zstd(zstd::Encoder<'static, W>),
    Gzip(flate2::write::GzEncoder<W>),
    None(W),
}

impl<W: Write> Encoder<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::None(target) => target.write_all(bytes),
        }
    }
}

impl<W: Write> Compressor<W> {
    /// Writes the rest and gives the target back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.block)?;
        match self.encoder {
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::None(target) => Ok(target),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK {
            self.encoder.write_all(&self.block)?;
            self.block.clear();
        }
        Ok(count)
    }

    /// Does nothing: a flush in the middle would change the compressed bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(compression: LayerCompression, pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<u8> {
        let mut compressor = compression.compressor(Vec::new()).unwrap();
        for piece in pieces {
            compressor.write_all(piece).unwrap();
            compressor.flush().unwrap();
        }
        compressor.finish().unwrap()
    }

    #[test]
    fn the_bytes_do_not_depend_on_how_the_input_is_cut() {
        let input: Vec<u8> = (0_u32..400_000).flat_map(|number| (number / 7 % 251).to_le_bytes()).collect();
        for compression in LayerCompression::ALL {
            let whole = compress(compression, &mut std::iter::once(input.as_slice()));
            for size in [7_001, 128 * 1024, 300_000] {
                assert_eq!(compress(compression, &mut input.chunks(size)), whole, "{compression} {size}");
            }
        }
    }

    #[test]
    fn headers_say_nothing_of_the_machine_or_the_time() {
        let gzip = compress(LayerCompression::Gzip, &mut std::iter::once(b"x".as_slice()));
        assert_eq!(gzip[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let zstd = compress(LayerCompression::Zstd, &mut std::iter::once(b"x".as_slice()));
        // Magic, then a frame header descriptor without content size, checksum or dictionary.
        assert_eq!(zstd[..5], [0x28, 0xb5, 0x2f, 0xfd, 0x00]);
    }

    #[test]
    fn the_named_gzip_libraries_are_those_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        for library in GZIP_LIBRARIES.split(", ") {
            let (name, version) = library.split_once(' ').unwrap();
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(
                lock.contains(&entry),
                "{library}: change GZIP_LIBRARIES; every gzip layer gets a new digest"
            );
        }
        assert!(LayerCompression::Zstd.identity().starts_with("zstd 3, libzstd 1."));
    }

    #[test]
    fn names_round_trip() {
        for compression in LayerCompression::ALL {
            assert_eq!(compression.to_string().parse(), Ok(compression));
        }
        let error = "xz".parse::<LayerCompression>().unwrap_err();
        assert_eq!(error.to_string(), "`xz` is not a compression of layers (zstd, gzip, none)");
    }
}
