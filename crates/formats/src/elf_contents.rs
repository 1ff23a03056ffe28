//! The bytes of an ELF file that lies in memory → its sections by name and its segments by address: where compilers leave
//! notes of what they put in.

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, PF_W, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader as _, SectionHeader as _};

use crate::elf::SEGMENT_LIMIT;

/// A loaded part of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'d> {
    pub(crate) address: u64,
    pub(crate) data: &'d [u8],
    pub(crate) writable: bool,
}

/// An ELF file.
#[derive(Debug)]
pub(crate) struct Contents<'d> {
    pub(crate) segments: Vec<Segment<'d>>,
    sections: Vec<(&'d [u8], &'d [u8])>,
}

/// Looks into an ELF file for the sections of these names; none for other files. What is malformed in it is not there.
pub(crate) fn contents<'d>(bytes: &'d [u8], wanted: &[&[u8]]) -> Option<Contents<'d>> {
    match bytes.get(..5)? {
        [0x7f, b'E', b'L', b'F', 1] => of::<FileHeader32<Endianness>>(bytes, wanted),
        [0x7f, b'E', b'L', b'F', 2] => of::<FileHeader64<Endianness>>(bytes, wanted),
        _ => None,
    }
}

fn of<'d, Elf: FileHeader<Endian = Endianness>>(bytes: &'d [u8], wanted: &[&[u8]]) -> Option<Contents<'d>> {
    let header = Elf::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let mut found = Contents { segments: Vec::new(), sections: Vec::new() };
    for segment in header.program_headers(endian, bytes).into_iter().flatten().take(SEGMENT_LIMIT.into()) {
        if segment.p_type(endian) == PT_LOAD
            && let Ok(data) = segment.data(endian, bytes)
        {
            let writable = segment.p_flags(endian).0 & PF_W.0 != 0;
            found.segments.push(Segment { address: segment.p_vaddr(endian).into(), data, writable });
        }
    }
    if let Ok(sections) = header.sections(endian, bytes) {
        for section in sections.iter() {
            let Ok(name) = sections.section_name(endian, section) else { continue };
            if wanted.contains(&name)
                && let Ok(data) = section.data(endian, bytes)
            {
                found.sections.push((name, data));
            }
        }
    }
    Some(found)
}

impl<'d> Contents<'d> {
    /// The first section of a name.
    pub(crate) fn section(&self, name: &[u8]) -> Option<&'d [u8]> {
        self.sections.iter().find(|(other, _)| *other == name).map(|(_, data)| *data)
    }

    /// What would lie at an address: all up to the end of its segment.
    pub(crate) fn at(&self, address: u64) -> Option<&'d [u8]> {
        self.segments.iter().find_map(|segment| {
            let inside = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            segment.data.get(inside..).filter(|data| !data.is_empty())
        })
    }
}
