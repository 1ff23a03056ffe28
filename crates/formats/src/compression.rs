//! Compressed streams: bytes in any of the forms that packages and layers use come in, plain bytes go out.
//!
//! The limit on the output is checked while reading, so a decompression bomb costs no more than its limit. Input that
//! ends early and input with something after its end are errors: both mean that a file is not what its maker wrote.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// Memory that the xz decoder may take: `xz -9` needs 65 MiB; a dictionary beyond that is no package of a distribution.
pub const XZ_MEMORY_LIMIT: u64 = 128 * 1024 * 1024;

/// Base-two logarithm of the largest zstd window: 128 MiB, what `zstd --ultra -22` uses and the `zstd` tool accepts.
pub const ZSTD_WINDOW_LOG_LIMIT: u32 = 27;

/// Large enough that the calls into the decoders cost nothing beside their work.
const INPUT_BUFFER: usize = 128 * 1024;

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// The `.xz` format, one or more streams.
    Xz,
    /// RFC 8878, one or more frames.
    Zstd,
}

impl Compression {
    /// The compression that a file's first bytes show; [`Compression::None`] for everything else. Six bytes suffice.
    #[must_use]
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The compression that a file name's ending names: empty, `gz`, `xz` or `zst`.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "" => Some(Self::None),
            "gz" => Some(Self::Gzip),
            "xz" => Some(Self::Xz),
            "zst" => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}

/// Why a stream could not be decompressed. Travels inside of an [`io::Error`]; [`CompressionError::of`] finds it there.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// More output than was allowed.
    #[error("{compression} data unpacks to more than the allowed {limit} bytes")]
    LimitExceeded {
        /// How the data are compressed.
        compression: Compression,
        /// The limit in bytes.
        limit: u64,
    },
    /// The input ends before the compressed data do.
    #[error("{compression} data end early")]
    Truncated {
        /// How the data are compressed.
        compression: Compression,
    },
    /// The input is damaged, followed by something else, or asks for more memory than is given.
    #[error("{compression} data cannot be unpacked: {reason}")]
    Corrupt {
        /// How the data are compressed.
        compression: Compression,
        /// What the decoder says.
        reason: String,
    },
}

impl CompressionError {
    /// The decompression error that an I/O error carries, if it carries one.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn into_io(self) -> io::Error {
        let kind = match self {
            Self::Truncated { .. } => io::ErrorKind::UnexpectedEof,
            Self::LimitExceeded { .. } | Self::Corrupt { .. } => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }
}

/// Decompresses `reader` and gives at most `limit` bytes; the byte after those is an error.
///
/// # Errors
/// When the decoder's own memory cannot be had.
pub fn decoder<R: Read>(compression: Compression, reader: R, limit: u64) -> io::Result<Decoder<R>> {
    let input = BufReader::with_capacity(INPUT_BUFFER, reader);
    let codec = match compression {
        Compression::None => Codec::None(input),
        Compression::Gzip => Codec::Gzip(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_LIMIT, liblzma::stream::CONCATENATED)?;
            Codec::Xz(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
        Compression::Zstd => {
            let mut zstd = zstd::stream::read::Decoder::with_buffer(input)?;
            zstd.window_log_max(ZSTD_WINDOW_LOG_LIMIT)?;
            Codec::Zstd(zstd)
        }
    };
    Ok(Decoder { codec, compression, limit, left: limit, state: State::Fresh })
}

/// Gives the decompressed bytes; made by [`decoder`].
pub struct Decoder<R: Read> {
    codec: Codec<R>,
    compression: Compression,
    limit: u64,
    left: u64,
    state: State,
}

enum Codec<R: Read> {
    None(BufReader<R>),
    Gzip(flate2::bufread::MultiGzDecoder<BufReader<R>>),
    Xz(liblzma::bufread::XzDecoder<BufReader<R>>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<R>>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Running,
    Done,
    Failed,
}

impl<R: Read> fmt::Debug for Decoder<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("compression", &self.compression)
            .field("left", &self.left)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Codec<R> {
    fn input(&mut self) -> &mut BufReader<R> {
        match self {
            Self::None(input) => input,
            Self::Gzip(codec) => codec.get_mut(),
            Self::Xz(codec) => codec.get_mut(),
            Self::Zstd(codec) => codec.get_mut(),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::None(input) => input.read(buffer),
            Self::Gzip(codec) => codec.read(buffer),
            Self::Xz(codec) => codec.read(buffer),
            Self::Zstd(codec) => codec.read(buffer),
        }
    }
}

impl<R: Read> Decoder<R> {
    fn read_checked(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let compression = self.compression;
        if self.state == State::Fresh {
            // The decoders disagree about empty input; no compressor writes it, so it is a cut-off file.
            if compression != Compression::None && self.codec.input().fill_buf()?.is_empty() {
                return Err(CompressionError::Truncated { compression }.into_io());
            }
            self.state = State::Running;
        }
        // One byte more than allowed is asked for, to tell the end from too much.
        let room = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.codec.read(&mut buffer[..room]).map_err(|error| self.explain(error))?;
        if read as u64 > self.left {
            return Err(CompressionError::LimitExceeded { compression, limit: self.limit }.into_io());
        }
        self.left -= read as u64;
        Ok(read)
    }

    /// Tells errors of the decoder from those of the input, which pass as they are.
    fn explain(&self, error: io::Error) -> io::Error {
        let compression = self.compression;
        let from_input = error.get_ref().is_some_and(|inner| inner.is::<crate::ar::ArError>());
        match error.kind() {
            _ if compression == Compression::None || from_input => error,
            io::ErrorKind::UnexpectedEof => CompressionError::Truncated { compression }.into_io(),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                CompressionError::Corrupt { compression, reason: error.to_string() }.into_io()
            }
            _ => error,
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.state == State::Done {
            return Ok(0);
        }
        if self.state == State::Failed {
            return Err(io::Error::other("the compressed stream has already failed"));
        }
        match self.read_checked(buffer) {
            Ok(0) => {
                self.state = State::Done;
                Ok(0)
            }
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.state = State::Failed;
                Err(error)
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const ALL: [Compression; 4] = [Compression::None, Compression::Gzip, Compression::Xz, Compression::Zstd];

    fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => bytes.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        }
    }

    fn decompress(compression: Compression, bytes: &[u8], limit: u64) -> io::Result<Vec<u8>> {
        let mut output = Vec::new();
        decoder(compression, bytes, limit)?.read_to_end(&mut output)?;
        Ok(output)
    }

    fn sample() -> Vec<u8> {
        (0..50_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
    }

    #[test]
    fn round_trips_and_shows_what_it_is() {
        for compression in ALL {
            let packed = compress(compression, &sample());
            assert_eq!(Compression::detect(&packed), compression);
            assert_eq!(decompress(compression, &packed, 1 << 20).unwrap(), sample());
        }
    }

    #[test]
    fn several_streams_in_a_row_are_one() {
        for compression in ALL {
            let mut packed = compress(compression, b"one ");
            packed.extend(compress(compression, b"two"));
            assert_eq!(decompress(compression, &packed, 7).unwrap(), b"one two", "{compression}");
        }
    }

    #[test]
    fn the_limit_is_exact_and_named() {
        for compression in ALL {
            let packed = compress(compression, &[0; 100_000]);
            assert_eq!(decompress(compression, &packed, 100_000).unwrap().len(), 100_000);
            let error = decompress(compression, &packed, 99_999).unwrap_err();
            let expected = format!("{compression} data unpacks to more than the allowed 99999 bytes");
            assert_eq!(error.to_string(), expected);
            assert!(matches!(CompressionError::of(&error), Some(CompressionError::LimitExceeded { .. })));
        }
    }

    #[test]
    fn a_bomb_is_refused_at_its_limit() {
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let packed = compress(compression, &vec![0; 32 << 20]);
            let mut reader = decoder(compression, &packed[..], 1 << 20).unwrap();
            let given = io::copy(&mut (&mut reader).take(1 << 20), &mut io::sink()).unwrap();
            assert_eq!(given, 1 << 20);
            assert!(io::copy(&mut reader, &mut io::sink()).is_err());
            assert!(io::copy(&mut reader, &mut io::sink()).is_err(), "a failed stream stays failed");
        }
    }

    #[test]
    fn every_cut_is_an_error() {
        let plain = &sample()[..2_000];
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            let packed = compress(compression, plain);
            for cut in 0..packed.len() {
                let error = decompress(compression, &packed[..cut], 1 << 20).unwrap_err();
                assert_eq!(error.to_string(), format!("{compression} data end early"), "cut at {cut}");
            }
        }
    }

    #[test]
    fn something_after_the_end_is_an_error() {
        for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
            for tail in [&b"x"[..], b"garbage that is longer than any header", &[0; 3]] {
                let mut packed = compress(compression, b"plain");
                packed.extend_from_slice(tail);
                assert!(decompress(compression, &packed, 1 << 20).is_err(), "{compression} {tail:?}");
            }
        }
    }

    #[test]
    fn flipped_bytes_are_errors() {
        for compression in [Compression::Gzip, Compression::Xz] {
            let mut packed = compress(compression, &sample());
            let middle = packed.len() / 2;
            packed[middle] ^= 0x55;
            assert!(decompress(compression, &packed, 1 << 20).is_err(), "{compression}");
        }
    }

    #[test]
    fn input_errors_pass_as_they_are() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }
        for compression in ALL {
            let error = decoder(compression, Broken, 10).unwrap().read(&mut [0; 4]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{compression}");
        }
    }
}
