//! The bytes of a kernel module → what depmod(8) looks at in it: what it says of itself (`.modinfo`), the symbols that it
//! exports, and those that it needs.
//!
//! A module is a relocatable ELF file. Exported symbols are those with a checksum, `__crc_NAME`; where the kernel is built
//! without checksums, the names in `__ksymtab_strings`. Needed ones are the undefined symbols of its table, in their order.

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, SHN_UNDEF};
use object::read::elf::{FileHeader, SectionHeader as _, Sym as _};

/// Longest string that is kept, in bytes. Aliases have some hundred.
pub const STRING_LIMIT: usize = 4096;

const CHECKSUM: &[u8] = b"__crc_";

/// What a module says of itself, and how it hangs together with others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleFacts {
    /// Keys and values in the order of the file: `alias`, `depends`, `softdep`, `firmware`, `license`, ….
    pub info: Vec<(String, String)>,
    /// The symbols that other modules can use.
    pub exported: Vec<String>,
    /// The symbols that it uses and does not have.
    pub needed: Vec<String>,
}

impl ModuleFacts {
    /// The values of a key in the order of the file.
    pub fn values<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.info.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

/// Reads a module; none if it is no ELF file, or one that contradicts itself.
#[must_use]
pub fn facts(bytes: &[u8]) -> Option<ModuleFacts> {
    match bytes.get(..5)? {
        [0x7f, b'E', b'L', b'F', 1] => of::<FileHeader32<Endianness>>(bytes),
        [0x7f, b'E', b'L', b'F', 2] => of::<FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn of<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<ModuleFacts> {
    let header = Elf::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    let section = |wanted: &[u8]| {
        let named = |section: &&Elf::SectionHeader| sections.section_name(endian, section) == Ok(wanted);
        sections.iter().find(named)?.data(endian, bytes).ok()
    };
    let mut facts =
        ModuleFacts { info: info(section(b".modinfo").unwrap_or_default()), ..Default::default() };
    let symbols = sections.symbols(endian, bytes, object::elf::SHT_SYMTAB).ok()?;
    // The first entry of a table stands for no symbol.
    for symbol in symbols.iter().skip(1) {
        let Ok(name) = symbols.symbol_name(endian, symbol) else { continue };
        if let Some(exported) = name.strip_prefix(CHECKSUM) {
            facts.exported.extend(text(exported));
        }
        if symbol.st_shndx(endian) == SHN_UNDEF && !name.is_empty() {
            facts.needed.extend(text(name));
        }
    }
    if facts.exported.is_empty() {
        facts.exported = strings(section(b"__ksymtab_strings").unwrap_or_default()).collect();
    }
    Some(facts)
}

/// `key=value` entries, each with a zero byte behind it: of a module's `.modinfo`, or of `modules.builtin.modinfo`, where
/// the keys bear the module's name before a dot.
#[must_use]
pub fn info(bytes: &[u8]) -> Vec<(String, String)> {
    let pair = |entry: String| {
        let (key, value) = entry.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    };
    strings(bytes).filter_map(pair).collect()
}

fn strings(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).filter_map(text)
}

/// What is no UTF-8 (a name of an author in an old encoding) is no name of anything, and is passed over.
fn text(bytes: &[u8]) -> Option<String> {
    (bytes.len() <= STRING_LIMIT).then(|| String::from_utf8(bytes.to_vec()).ok())?
}

/// A module's name, as the kernel calls it, by the name of its file: `snd-hda-intel.ko.xz` gives `snd_hda_intel`.
#[must_use]
pub fn module_name(file: &str) -> String {
    file.split('.').next().unwrap_or_default().replace('-', "_")
}

/// An alias as it is looked up: dashes become underscores, other than in brackets; none if its brackets do not close.
#[must_use]
pub fn normal_alias(alias: &str) -> Option<String> {
    let mut inside = false;
    let mut normal = String::with_capacity(alias.len());
    for letter in alias.chars() {
        match (letter, inside) {
            ('[', false) => inside = true,
            (']', true) => inside = false,
            (']', false) => return None,
            _ => {}
        }
        normal.push(if letter == '-' && !inside { '_' } else { letter });
    }
    (!inside).then_some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_those_of_the_kernel() {
        assert_eq!(module_name("snd-hda-intel.ko"), "snd_hda_intel");
        assert_eq!(module_name("crc32c-intel.ko.xz"), "crc32c_intel");
        assert_eq!(normal_alias("pci:v*-[a-z]x").as_deref(), Some("pci:v*_[a-z]x"));
        assert_eq!(normal_alias("a[b"), None);
        assert_eq!(normal_alias("a]b"), None);
    }

    #[test]
    fn strings_are_pairs_with_a_zero_byte_behind_each() {
        let bytes = b"license=GPL\0\0alias=fs-ext4\0author=\xe9\0none\0alias=ext3=x";
        let expected = [("license", "GPL"), ("alias", "fs-ext4"), ("alias", "ext3=x")];
        let expected: Vec<(String, String)> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        assert_eq!(info(bytes), expected);
    }

    #[test]
    fn what_is_no_module_has_no_facts() {
        assert_eq!(facts(b""), None);
        assert_eq!(facts(b"\x7fELF\x02\x01\x01"), None);
        assert_eq!(facts(&[b"\x7fELF\x02\x01\x01".to_vec(), vec![0xff; 300]].concat()), None);
    }
}
