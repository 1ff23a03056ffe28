//! Entries → cache file.

use std::collections::BTreeSet;

use super::{
    CacheEntry, ENTRY_LIMIT, ENTRY_SIZE, EXTENSION_HEADER_SIZE, EXTENSION_MAGIC, HEADER_SIZE,
    HWCAP_EXTENSION, LITTLE_ENDIAN, LdCacheError, MAGIC, SECTION_GENERATOR, SECTION_HWCAPS, SECTION_SIZE,
    order, strings,
};

/// Writes the cache file for these libraries. Their order matters only between those that have name, flags and
/// subdirectory in common: the loader takes the first, so they come in the order in which it searches directories.
///
/// # Errors
/// When a name or path is empty or holds a NUL, or there are too many.
pub fn write(entries: &[CacheEntry], generator: &str) -> Result<Vec<u8>, LdCacheError> {
    check(entries)?;
    let mut sorted: Vec<&CacheEntry> = entries.iter().collect();
    sorted.sort_by(|left, right| order::compare(left, right));

    let hwcaps: BTreeSet<&str> = entries.iter().filter_map(|entry| entry.hwcaps.as_deref()).collect();
    let names = entries.iter().flat_map(|entry| [entry.soname.as_str(), entry.path.as_str()]);
    let (table, offsets) =
        strings::lay_out(names.chain(hwcaps.iter().copied()).collect()).ok_or(LdCacheError::TooMany)?;
    let strings_start = HEADER_SIZE + sorted.len() * ENTRY_SIZE;
    let extension_start = (strings_start + table.len()).next_multiple_of(4);
    let place = |string: &str| {
        // Every string is in the table.
        let offset = offsets.get(string).copied().unwrap_or_default();
        number(strings_start).map(|start| start.saturating_add(offset))
    };

    let mut file = Vec::with_capacity(extension_start);
    file.extend_from_slice(MAGIC);
    push(
        &mut file,
        &[
            number(sorted.len())?,
            number(table.len())?,
            u32::from(LITTLE_ENDIAN),
            number(extension_start)?,
            0,
            0,
            0,
        ],
    );
    for entry in sorted {
        let index = entry.hwcaps.as_deref().and_then(|name| hwcaps.iter().position(|known| *known == name));
        let hwcap = index.map_or(0, |index| HWCAP_EXTENSION | index as u64);
        // The fourth number was once the oldest kernel that the library runs on; glibc 2.36 and later ignore it.
        push(&mut file, &[entry.flags, place(&entry.soname)?, place(&entry.path)?, 0]);
        file.extend_from_slice(&hwcap.to_le_bytes());
    }
    file.extend_from_slice(&table);
    file.resize(extension_start, 0);

    let section_count = if hwcaps.is_empty() { 1 } else { 2 };
    let hwcaps_start = extension_start + EXTENSION_HEADER_SIZE + section_count * SECTION_SIZE;
    let generator_start = hwcaps_start + hwcaps.len() * 4;
    push(&mut file, &[EXTENSION_MAGIC, number(section_count)?]);
    push(&mut file, &[SECTION_GENERATOR, 0, number(generator_start)?, number(generator.len())?]);
    if !hwcaps.is_empty() {
        push(&mut file, &[SECTION_HWCAPS, 0, number(hwcaps_start)?, number(hwcaps.len() * 4)?]);
        for name in &hwcaps {
            push(&mut file, &[place(name)?]);
        }
    }
    file.extend_from_slice(generator.as_bytes());
    number(file.len()).map(|_| file)
}

fn check(entries: &[CacheEntry]) -> Result<(), LdCacheError> {
    if entries.len() > ENTRY_LIMIT {
        return Err(LdCacheError::TooMany);
    }
    let strings = entries.iter().flat_map(|entry| {
        [Some(&entry.soname), Some(&entry.path), entry.hwcaps.as_ref()].into_iter().flatten()
    });
    match strings.into_iter().find(|string| string.is_empty() || string.contains('\0')) {
        Some(bad) => Err(LdCacheError::BadString(bad.clone())),
        None => Ok(()),
    }
}

fn push(file: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        file.extend_from_slice(&number.to_le_bytes());
    }
}

fn number(value: usize) -> Result<u32, LdCacheError> {
    u32::try_from(value).map_err(|_| LdCacheError::TooMany)
}
