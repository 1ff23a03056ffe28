//! The headers of a PE32+ image (Microsoft's PE format specification): where the fields and sections lie, all checked.

use super::UkiError;
use crate::little_endian::Get;

/// The loader of Windows takes no more, and no image of ours comes near.
const SECTION_LIMIT: u16 = 96;
const SECTION_HEADER: usize = 40;
const PE32_PLUS: u16 = 0x20b;

/// Offsets within the optional header.
const OPTIONAL_CHECKSUM: usize = 64;
const OPTIONAL_CERTIFICATES: usize = 144;
const OPTIONAL_LEAST: usize = OPTIONAL_CERTIFICATES + 8;

/// An image's headers. All offsets lie within the image.
#[derive(Debug)]
pub(super) struct Headers {
    /// Where the file header starts, which follows the signature.
    pub(super) file_header: usize,
    /// Where the optional header starts.
    pub(super) optional: usize,
    /// Where the table of sections starts.
    pub(super) table: usize,
    pub(super) sections: Vec<SectionHeader>,
    pub(super) file_alignment: u32,
    pub(super) section_alignment: u32,
    /// Size of all headers.
    pub(super) size: usize,
    /// The certificates at the end of the file: where they start, and their size. Nothing where there are none.
    pub(super) certificates: Option<(usize, usize)>,
}

/// One entry of the table.
#[derive(Debug, Clone)]
pub(super) struct SectionHeader {
    pub(super) name: String,
    pub(super) virtual_size: u32,
    pub(super) address: u32,
    /// Its bytes in the file, with what fills them up.
    pub(super) raw_size: u32,
    pub(super) raw: u32,
}

impl Headers {
    /// Reads the headers of an image.
    pub(super) fn parse(image: &[u8]) -> Result<Self, UkiError> {
        const SHORT: UkiError = UkiError::Malformed("it ends within its headers");
        if !image.starts_with(b"MZ") {
            return Err(UkiError::Malformed("it does not start with MZ"));
        }
        let signature = image.get32(0x3c).ok_or(SHORT)? as usize;
        if image.get_array(signature) != Some(*b"PE\0\0") {
            return Err(UkiError::Malformed("there is no PE signature"));
        }
        let file_header = signature + 4;
        let count = image.get16(file_header + 2).ok_or(SHORT)?;
        let optional_size = usize::from(image.get16(file_header + 16).ok_or(SHORT)?);
        let optional = file_header + 20;
        if image.get16(optional) != Some(PE32_PLUS) || optional_size < OPTIONAL_LEAST {
            return Err(UkiError::Malformed("it is not for a 64-bit machine"));
        }
        if count > SECTION_LIMIT {
            return Err(UkiError::Malformed("it has too many sections"));
        }
        let table = optional + optional_size;
        let field = |offset| image.get32(optional + offset).ok_or(SHORT);
        let (section_alignment, file_alignment) = (field(32)?, field(36)?);
        if !section_alignment.is_power_of_two() || !file_alignment.is_power_of_two() {
            return Err(UkiError::Malformed("its alignments are no powers of two"));
        }
        let size = field(60)? as usize;
        let end = table + usize::from(count) * SECTION_HEADER;
        if size < end || size > image.len() {
            return Err(UkiError::Malformed("its headers have no possible size"));
        }
        let sections = (0..usize::from(count))
            .map(|number| section(image, table + number * SECTION_HEADER).ok_or(SHORT))
            .collect::<Result<_, _>>()?;
        let certificates = match (field(OPTIONAL_CERTIFICATES)?, field(OPTIONAL_CERTIFICATES + 4)?) {
            (0, _) | (_, 0) => None,
            // They are the last thing in a file: so it is known what else belongs to it.
            (start, length) if start as usize + length as usize == image.len() && start as usize >= size => {
                Some((start as usize, length as usize))
            }
            _ => return Err(UkiError::Malformed("its certificates are not at its end")),
        };
        let headers = Self {
            file_header,
            optional,
            table,
            sections,
            file_alignment,
            section_alignment,
            size,
            certificates,
        };
        match headers.sections.iter().find(|section| section.data(image).is_none()) {
            Some(_) => Err(UkiError::Malformed("a section lies outside of it")),
            None => Ok(headers),
        }
    }

    /// Where the checksum stands.
    pub(super) const fn checksum(&self) -> usize {
        self.optional + OPTIONAL_CHECKSUM
    }

    /// Where the place of the certificates stands.
    pub(super) const fn certificates_entry(&self) -> usize {
        self.optional + OPTIONAL_CERTIFICATES
    }

    /// Where the header of a further section would stand.
    pub(super) const fn next_section(&self) -> usize {
        self.table + self.sections.len() * SECTION_HEADER
    }

    /// Whether there is room for so many further sections.
    pub(super) const fn has_room(&self, sections: usize) -> bool {
        self.next_section() + sections * SECTION_HEADER <= self.size
            && self.sections.len() + sections <= SECTION_LIMIT as usize
    }
}

impl SectionHeader {
    /// The section's bytes without what fills them up; nothing where they lie outside of the image.
    pub(super) fn data<'a>(&self, image: &'a [u8]) -> Option<&'a [u8]> {
        let start = self.raw as usize;
        let raw = image.get(start..start.checked_add(self.raw_size as usize)?)?;
        raw.get(..raw.len().min(self.virtual_size as usize))
    }
}

fn section(image: &[u8], at: usize) -> Option<SectionHeader> {
    let name: [u8; 8] = image.get_array(at)?;
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let raw_size = image.get32(at + 16)?;
    Some(SectionHeader {
        name: String::from_utf8_lossy(name.get(..length)?).into_owned(),
        virtual_size: image.get32(at + 8)?,
        address: image.get32(at + 12)?,
        raw_size,
        // What has no bytes in the file lies nowhere in it.
        raw: if raw_size == 0 { 0 } else { image.get32(at + 20)? },
    })
}
