//! Cache file → entries.

use super::{
    CacheEntry, ENTRY_LIMIT, ENTRY_SIZE, EXTENSION_HEADER_SIZE, EXTENSION_MAGIC, HEADER_SIZE,
    HWCAP_EXTENSION, LITTLE_ENDIAN, LdCache, LdCacheError, MAGIC, SECTION_GENERATOR, SECTION_HWCAPS,
    SECTION_SIZE,
};

/// Reads a cache file.
///
/// # Errors
/// When the bytes are no cache file of the new format, or something in it lies outside of the file.
pub fn read(file: &[u8]) -> Result<LdCache, LdCacheError> {
    let header = file.get(..HEADER_SIZE).ok_or(LdCacheError::BadMagic)?;
    if !header.starts_with(MAGIC) || header[28] & 3 != LITTLE_ENDIAN {
        return Err(LdCacheError::BadMagic);
    }
    let count = number(file, 20, "header")?;
    let extension = number(file, 32, "header")?;
    let (hwcaps, generator) = read_extension(file, extension)?;
    if count > ENTRY_LIMIT {
        return Err(LdCacheError::TooMany);
    }
    let table =
        file.get(HEADER_SIZE..HEADER_SIZE + count * ENTRY_SIZE).ok_or(LdCacheError::Truncated("an entry"))?;
    let entries = table.chunks_exact(ENTRY_SIZE).map(|entry| read_entry(file, entry, &hwcaps));
    Ok(LdCache { entries: entries.collect::<Result<_, _>>()?, generator })
}

fn read_entry(file: &[u8], entry: &[u8], hwcaps: &[String]) -> Result<CacheEntry, LdCacheError> {
    const ENTRY: &str = "an entry";
    let capabilities = [number(entry, 16, ENTRY)? as u64, number(entry, 20, ENTRY)? as u64];
    let hwcaps = match capabilities {
        [0, 0] => None,
        [index, high] if (high << 32) & HWCAP_EXTENSION != 0 => {
            let name = usize::try_from(index).ok().and_then(|index| hwcaps.get(index));
            Some(name.ok_or(LdCacheError::Malformed("an entry names an unknown subdirectory"))?.clone())
        }
        // Legacy hwcaps went with glibc 2.37; no cache that is made today has them.
        _ => return Err(LdCacheError::Malformed("an entry has legacy hardware capabilities")),
    };
    Ok(CacheEntry {
        flags: u32::try_from(number(entry, 0, ENTRY)?).unwrap_or_default(),
        soname: string(file, number(entry, 4, ENTRY)?)?,
        path: string(file, number(entry, 8, ENTRY)?)?,
        hwcaps,
    })
}

/// The names of the subdirectories, and the generator.
fn read_extension(file: &[u8], start: usize) -> Result<(Vec<String>, String), LdCacheError> {
    const EXTENSION: &str = "the extension section";
    let (mut hwcaps, mut generator) = (Vec::new(), String::new());
    // Caches of glibc before 2.33 have none.
    if start == 0 {
        return Ok((hwcaps, generator));
    }
    if number(file, start, EXTENSION)? != EXTENSION_MAGIC as usize {
        return Err(LdCacheError::Malformed("the extension section does not start as it must"));
    }
    let count = number(file, start + 4, EXTENSION)?;
    let sections = start + EXTENSION_HEADER_SIZE;
    let end = count.checked_mul(SECTION_SIZE).and_then(|size| sections.checked_add(size));
    let sections = end.and_then(|end| file.get(sections..end)).ok_or(LdCacheError::Truncated(EXTENSION))?;
    for section in sections.chunks_exact(SECTION_SIZE) {
        let offset = number(section, 8, EXTENSION)?;
        let end = offset.saturating_add(number(section, 12, EXTENSION)?);
        let bytes = file.get(offset..end).ok_or(LdCacheError::Truncated(EXTENSION))?;
        match u32::try_from(number(section, 0, EXTENSION)?) {
            Ok(SECTION_GENERATOR) => generator = String::from_utf8_lossy(bytes).into_owned(),
            Ok(SECTION_HWCAPS) => {
                let places = bytes.chunks_exact(4).map(|place| string(file, number(place, 0, EXTENSION)?));
                hwcaps = places.collect::<Result<_, _>>()?;
            }
            // Unknown sections are passed over, as glibc does.
            _ => {}
        }
    }
    Ok((hwcaps, generator))
}

fn number(bytes: &[u8], at: usize, what: &'static str) -> Result<usize, LdCacheError> {
    let number = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    number.map(|bytes| u32::from_le_bytes(*bytes) as usize).ok_or(LdCacheError::Truncated(what))
}

fn string(file: &[u8], at: usize) -> Result<String, LdCacheError> {
    /// As for all paths.
    const LIMIT: usize = 4096;
    let rest = file.get(at..).ok_or(LdCacheError::Truncated("a string"))?;
    let rest = &rest[..rest.len().min(LIMIT)];
    let length =
        rest.iter().position(|byte| *byte == 0).ok_or(LdCacheError::Truncated("the end of a string"))?;
    let text =
        std::str::from_utf8(&rest[..length]).map_err(|_| LdCacheError::Malformed("a string is not UTF-8"))?;
    Ok(text.to_owned())
}
