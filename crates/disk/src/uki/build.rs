//! Puts sections into the stub, as `ukify` does: the same parts give the same bytes.

use super::UkiError;
use super::pe::Headers;
use crate::little_endian::{Get, Put};

/// What a unified kernel image is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The stub: `/usr/lib/systemd/boot/efi/linux{x64,aa64}.efi.stub` of the package `systemd-boot-efi`.
    pub stub: &'a [u8],
    /// The kernel (`.linux`).
    pub kernel: &'a [u8],
    /// The initramfs (`.initrd`).
    pub initrd: &'a [u8],
    /// The kernel's command line (`.cmdline`).
    pub command_line: &'a str,
    /// Text of `os-release` (`.osrel`).
    pub os_release: &'a str,
    /// Release of the kernel as `uname -r` says it (`.uname`).
    pub kernel_release: &'a str,
    /// SBAT lines beside those of the stub and the kernel (`.sbat`), each `name,generation,…`.
    pub sbat: &'a [&'a str],
}

const SBAT_HEADER: &str = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md";

const CODE: u32 = 0x20;
const INITIALIZED_DATA: u32 = 0x40;
const READABLE: u32 = 0x4000_0000;
/// Where flags of the whole image stand in the optional header, and the one that memory is never both written and run.
const DLL_CHARACTERISTICS: usize = 70;
const NX_COMPATIBLE: u16 = 0x100;

/// Makes an image.
///
/// # Errors
/// When the stub is none, is signed, or has no room for the sections.
pub fn build(parts: &Parts<'_>) -> Result<Vec<u8>, UkiError> {
    let stub = prepared(parts.stub)?;
    let headers = Headers::parse(&stub)?;
    let sections = [
        (".osrel", parts.os_release.as_bytes()),
        (".cmdline", parts.command_line.as_bytes()),
        (".uname", parts.kernel_release.as_bytes()),
        (".linux", parts.kernel),
        (".initrd", parts.initrd),
    ];
    if !headers.has_room(sections.len()) {
        let what = "the stub's headers have no room for further sections".to_owned();
        return Err(UkiError::BadSection { section: ".linux", what });
    }
    let bytes: usize = sections.iter().map(|(_, data)| data.len()).sum();
    let mut image = Vec::with_capacity(stub.len() + bytes + sections.len() * headers.file_alignment as usize);
    image.extend_from_slice(&stub);
    put_sbat(&mut image, &headers, parts)?;
    let mut at = headers.next_section();
    let end = |address: u32, size: u32| address.checked_add(size);
    let mut next = headers.sections.last().and_then(|last| end(last.address, last.virtual_size));
    let mut data_size = image.get32(headers.optional + 8).unwrap_or_default();
    for (name, data) in sections {
        let large = || UkiError::BadSection { section: name, what: "the image gets past 4 GiB".to_owned() };
        let size = u32::try_from(data.len()).map_err(|_| large())?;
        image.resize(image.len().next_multiple_of(headers.file_alignment as usize), 0);
        let raw = u32::try_from(image.len()).map_err(|_| large())?;
        image.extend_from_slice(data);
        image.resize(image.len().next_multiple_of(headers.file_alignment as usize), 0);
        let raw_end = u32::try_from(image.len()).map_err(|_| large())?;
        let address = next.and_then(|next| next.checked_next_multiple_of(headers.section_alignment));
        let address = address.ok_or_else(large)?;
        let kind = if name == ".linux" { CODE } else { INITIALIZED_DATA };
        image.put(at, name.as_bytes());
        for (offset, value) in
            [(8, size), (12, address), (16, raw_end - raw), (20, raw), (36, kind | READABLE)]
        {
            image.put32(at + offset, value);
        }
        at += 40;
        next = end(address, size);
        data_size = data_size.wrapping_add(size);
    }
    let sections = headers.sections.len() + sections.len();
    image.put16(headers.file_header + 2, u16::try_from(sections).unwrap_or(u16::MAX));
    image.put32(headers.optional + 8, data_size);
    let size = next.and_then(|next| next.checked_next_multiple_of(headers.section_alignment));
    image.put32(headers.optional + 56, size.ok_or(UkiError::Malformed("the image gets past 4 GiB"))?);
    image.put32(headers.checksum(), 0);
    strip_nx(&mut image, &headers, parts.kernel);
    Ok(image)
}

/// The stub without a table of symbols at its end, which old ones have, and with headers of a whole number of blocks.
fn prepared(stub: &[u8]) -> Result<Vec<u8>, UkiError> {
    let headers = Headers::parse(stub)?;
    if headers.certificates.is_some() {
        return Err(UkiError::Malformed("the stub is signed"));
    }
    let mut prepared = stub.to_vec();
    let symbols = stub.get32(headers.file_header + 8).unwrap_or_default() as usize;
    let count = stub.get32(headers.file_header + 12).unwrap_or_default() as usize;
    if symbols != 0 {
        let strings = count.checked_mul(18).and_then(|size| symbols.checked_add(size));
        let end = strings.and_then(|at| Some(at + stub.get32(at)? as usize));
        if end == Some(stub.len()) {
            prepared.truncate(symbols);
            prepared.put32(headers.file_header + 8, 0);
            prepared.put32(headers.file_header + 12, 0);
        }
    }
    let alignment = headers.file_alignment;
    let is_aligned = |number: u32| number.is_multiple_of(alignment);
    if headers.sections.iter().any(|section| !is_aligned(section.raw) || !is_aligned(section.raw_size)) {
        return Err(UkiError::Malformed("the stub's sections are not aligned"));
    }
    // What lies before the first section's bytes is free, up to a whole block.
    let size = headers.size.next_multiple_of(alignment as usize);
    let first =
        headers.sections.iter().filter(|section| section.raw_size > 0).map(|section| section.raw).min();
    if first.is_some_and(|first| size <= first as usize) {
        prepared.put32(headers.optional + 60, u32::try_from(size).unwrap_or_default());
    }
    // After the parse above, sections lie within the image; after the cut, they must still.
    Headers::parse(&prepared)?;
    Ok(prepared)
}

/// The generations of all parts in the section that the stub has for its own.
fn put_sbat(image: &mut [u8], headers: &Headers, parts: &Parts<'_>) -> Result<(), UkiError> {
    let bad = |what: String| UkiError::BadSection { section: ".sbat", what };
    let number = headers.sections.iter().position(|section| section.name == ".sbat");
    let Some((number, section)) = number.map(|number| (number, &headers.sections[number])) else {
        return if parts.sbat.is_empty() {
            Ok(())
        } else {
            Err(bad("the stub has no such section".to_owned()))
        };
    };
    let mut text = format!("{SBAT_HEADER}\n");
    let kernel = super::parse(parts.kernel).unwrap_or_default();
    let kernel = kernel.iter().find(|section| section.name == ".sbat").map(|section| section.data);
    for lines in [section.data(image), kernel].into_iter().flatten() {
        let lines = String::from_utf8_lossy(lines);
        let mut lines = lines.trim_end_matches('\0').lines();
        if lines.next().is_some_and(|first| first.starts_with("sbat,")) {
            lines.for_each(|line| text.extend([line, "\n"]));
        }
    }
    for line in parts.sbat {
        if line.contains(['\n', '\r', '\0']) {
            return Err(bad("a line has a line break".to_owned()));
        }
        text.extend([*line, "\n"]);
    }
    let (start, room) = (section.raw as usize, section.raw_size as usize);
    let Some(place) = image.get_mut(start..start + room).filter(|place| place.len() >= text.len()) else {
        return Err(bad(format!("the stub has room for {room} bytes, and {} are needed", text.len())));
    };
    place.fill(0);
    place.put(0, text.as_bytes());
    image.put32(headers.table + number * 40 + 8, u32::try_from(text.len()).unwrap_or_default());
    Ok(())
}

/// The image promises that memory is never both written and run only where the kernel does.
fn strip_nx(image: &mut [u8], headers: &Headers, kernel: &[u8]) {
    let Ok(inner) = Headers::parse(kernel) else { return };
    let flags = kernel.get16(inner.optional + DLL_CHARACTERISTICS).unwrap_or_default();
    if flags & NX_COMPATIBLE == 0 {
        let own = image.get16(headers.optional + DLL_CHARACTERISTICS).unwrap_or_default();
        image.put16(headers.optional + DLL_CHARACTERISTICS, own & !NX_COMPATIBLE);
    }
}
