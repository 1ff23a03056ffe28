//! How layers are compressed. The bytes of an image depend on this and on the libraries behind it, so both are named
//! here and go into every cache key.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerCompression {
    /// Zstandard (RFC 8878) with a table of contents (`zstd:chunked`); smaller than gzip, read by every current engine.
    Zstd(Level),
    /// gzip (RFC 1952), for tools from before zstd (umoci 0.4 is one).
    Gzip,
    /// Plain tar.
    None,
}

/// A zstd level, from 1 to 22.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(u8);

impl Level {
    /// What is published: 12 % smaller than level 3 on Debian's packages, for seventy times the time, which is spent
    /// once for each version of a package.
    pub const DEFAULT: Self = Self(19);

    /// For trying things out.
    pub const FAST: Self = Self(3);

    /// The number, as zstd takes it.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0 as i32
    }
}

impl Default for LayerCompression {
    fn default() -> Self {
        Self::Zstd(Level::DEFAULT)
    }
}

impl Serialize for LayerCompression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LayerCompression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A word that names no compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a compression of layers (zstd, zstd:LEVEL with a level from 1 to 22, gzip, none)")]
pub struct CompressionError {
    /// The word as given.
    pub name: String,
}

impl LayerCompression {
    /// The compressor with its level and the exact versions of its libraries: the same text means the same bytes.
    #[must_use]
    pub fn identity(self) -> String {
        self.identity_with(zstd::zstd_safe::version_string())
    }

    /// The same, with the zstd library of this version.
    pub(crate) fn identity_with(self, libzstd: &str) -> String {
        match self {
            Self::Zstd(level) => {
                format!("zstd {}, libzstd {libzstd}, frames {}", level.get(), crate::chunked::FRAMES)
            }
            Self::Gzip => format!("gzip {GZIP_LEVEL}, {GZIP_LIBRARIES}"),
            Self::None => "none".to_owned(),
        }
    }
}

impl LayerCompression {
    /// The zstd level that an [`identity`](Self::identity) names, if it is one by which this program makes the very same
    /// bytes.
    #[must_use]
    pub fn level_of(identity: &str) -> Option<i32> {
        let (level, _) = identity.strip_prefix("zstd ")?.split_once(',')?;
        let level = level.parse().ok().filter(|level| (1..=22).contains(level))?;
        (Self::Zstd(Level(level)).identity() == identity).then_some(i32::from(level))
    }
}

impl fmt::Display for LayerCompression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(Level::DEFAULT) => formatter.write_str("zstd"),
            Self::Zstd(level) => write!(formatter, "zstd:{}", level.get()),
            Self::Gzip => formatter.write_str("gzip"),
            Self::None => formatter.write_str("none"),
        }
    }
}

impl FromStr for LayerCompression {
    type Err = CompressionError;

    fn from_str(text: &str) -> Result<Self, CompressionError> {
        let error = || CompressionError { name: text.chars().take(100).collect() };
        match text {
            "zstd" => Ok(Self::default()),
            "gzip" => Ok(Self::Gzip),
            "none" => Ok(Self::None),
            _ => {
                let level = text.strip_prefix("zstd:").and_then(|level| level.parse().ok());
                let level = level.filter(|level| (1..=22).contains(level)).ok_or_else(error)?;
                Ok(Self::Zstd(Level(level)))
            }
        }
    }
}

/// How a stream without a table of contents is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamCompression {
    /// gzip.
    Gzip,
    /// Not at all.
    None,
}

impl StreamCompression {
    /// A compressor in front of `target`; [`Compressor::finish`] must be called at the end.
    pub(crate) fn compressor<W: Write>(self, target: W) -> Compressor<W> {
        let encoder = match self {
            Self::Gzip => Encoder::Gzip(Box::new(
                flate2::GzBuilder::new()
                    .mtime(0)
                    .operating_system(GZIP_UNKNOWN_OS)
                    .write(target, flate2::Compression::new(GZIP_LEVEL)),
            )),
            Self::None => Encoder::None(target),
        };
        Compressor { encoder, block: Vec::with_capacity(BLOCK) }
    }
}

/// Compresses what is written to it, in blocks of one size.
#[derive(Debug)]
pub(crate) struct Compressor<W: Write> {
    encoder: Encoder<W>,
    block: Vec<u8>,
}

#[derive(Debug)]
enum Encoder<W: Write> {
    Gzip(Box<flate2::write::GzEncoder<W>>),
    None(W),
}

impl<W: Write> Encoder<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
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

    fn gzip(pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<u8> {
        let mut compressor = StreamCompression::Gzip.compressor(Vec::new());
        for piece in pieces {
            compressor.write_all(piece).unwrap();
            compressor.flush().unwrap();
        }
        compressor.finish().unwrap()
    }

    #[test]
    fn the_bytes_do_not_depend_on_how_the_input_is_cut() {
        let input: Vec<u8> = (0_u32..400_000).flat_map(|number| (number / 7 % 251).to_le_bytes()).collect();
        let whole = gzip(&mut std::iter::once(input.as_slice()));
        for size in [7_001, 128 * 1024, 300_000] {
            assert_eq!(gzip(&mut input.chunks(size)), whole, "{size}");
        }
    }

    #[test]
    fn headers_say_nothing_of_the_machine_or_the_time() {
        let gzip = gzip(&mut std::iter::once(b"x".as_slice()));
        assert_eq!(gzip[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
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
        assert!(LayerCompression::default().identity().starts_with("zstd 19, libzstd 1."));
    }

    #[test]
    fn names_round_trip() {
        for text in ["zstd", "zstd:3", "gzip", "none"] {
            assert_eq!(
                text.parse::<LayerCompression>().map(|compression| compression.to_string()),
                Ok(text.into())
            );
        }
        assert_eq!("zstd:19".parse(), Ok(LayerCompression::default()));
        for bad in ["xz", "zstd:0", "zstd:23", "zstd:", "zstd:-3", ""] {
            assert!(bad.parse::<LayerCompression>().is_err(), "{bad}");
        }
        let error = "xz".parse::<LayerCompression>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`xz` is not a compression of layers (zstd, zstd:LEVEL with a level from 1 to 22, gzip, none)"
        );
    }
}
