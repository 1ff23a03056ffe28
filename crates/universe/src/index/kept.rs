//! An index as bytes and back, so that it is made once for a state of the repositories. The store checks that what it
//! gives back is what it was given; here is only looked at whether the parts fit together.

use calypte_base::{Architecture, PackageFormat};

use super::{Named, PackageId, PackageIndex};

/// The form of kept indexes and of the tables in them. A new number makes the old ones count as absent.
pub const VERSION: u32 = 4;

impl PackageIndex {
    /// The bytes to keep: the text, which is most of it, then the lists, then where they begin.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let lists = self.lines.len() + 3 * (self.provided.len() + self.obsoleted.len());
        let mut bytes = Vec::with_capacity(self.text.len() + 4 * lists + 1024);
        bytes.extend(self.text.as_bytes());
        put_text(&mut bytes, &self.universe);
        put_number(&mut bytes, self.parts.len());
        for (start, name) in &self.parts {
            bytes.extend(start.to_le_bytes());
            put_text(&mut bytes, name);
        }
        put_number(&mut bytes, self.lines.len());
        self.lines.iter().for_each(|line| bytes.extend(line.to_le_bytes()));
        for list in [&self.provided, &self.obsoleted] {
            put_number(&mut bytes, list.len());
            for Named { start, length, package } in list {
                bytes.extend(start.to_le_bytes());
                bytes.extend(length.to_le_bytes());
                bytes.extend(package.0.to_le_bytes());
            }
        }
        put_number(&mut bytes, self.text.len());
        bytes
    }

    /// Reads what [`PackageIndex::to_bytes`] wrote; none when it is something else.
    #[must_use]
    pub fn from_bytes(format: PackageFormat, architecture: Architecture, mut bytes: Vec<u8>) -> Option<Self> {
        let (front, length) = bytes.split_last_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let mut rest = Rest(front.get(length..)?);
        let universe = rest.text()?;
        let parts = rest.list(8, |rest| Some((rest.number()?, rest.text()?)))?;
        let lines = rest.list(4, Rest::number)?;
        let named = |rest: &mut Rest<'_>| {
            Some(Named { start: rest.number()?, length: rest.number()?, package: PackageId(rest.number()?) })
        };
        let provided = rest.list(12, named)?;
        let obsoleted = rest.list(12, named)?;
        if !rest.0.is_empty() {
            return None;
        }
        // Cut off where it ends, the text need not be moved.
        bytes.truncate(length);
        let text = String::from_utf8(bytes).ok()?;
        Some(Self { format, architecture, universe, text, parts, lines, provided, obsoleted })
    }
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend(super::number(number).to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len());
    bytes.extend(text.as_bytes());
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    /// A list whose entries have `size` bytes at least.
    fn list<T>(&mut self, size: usize, mut entry: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()? as usize;
        if count > self.0.len() / size {
            return None;
        }
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(entry(self)?);
        }
        Some(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_read_back_as_it_was() {
        let line = |name: &str, provides: &str, obsoletes: &str| {
            format!(
                "{name}\t1-1\tnoarch\ts\t1-1\t\t\t\t\t\t\t\t\t\t{provides}\t\t\t{obsoletes}\t0\tx.rpm\t1\t{}\n",
                "0".repeat(64)
            )
        };
        let tables = vec![
            ("one".to_owned(), line("b", "x = 1\u{1f}/usr/bin/x", "old < 2")),
            ("two".to_owned(), line("a", "x", "")),
        ];
        let (format, architecture) = (PackageFormat::Rpm, Architecture::Amd64);
        let index = PackageIndex::new("universe", format, architecture, tables).unwrap();
        let bytes = index.to_bytes();
        let back = PackageIndex::from_bytes(format, architecture, bytes.clone()).unwrap();
        assert_eq!(back, index);
        let providers: Vec<&str> = back.providers("x").map(|id| back.name(id)).collect();
        assert_eq!(providers, ["a", "b"]);
        assert_eq!(back.obsoleters("old").map(|id| back.record(id).repository).collect::<Vec<_>>(), ["one"]);
        assert_eq!(back.providers("/usr/bin/x").count(), 1);
        for cut in 0..bytes.len() {
            assert_eq!(PackageIndex::from_bytes(format, architecture, bytes[..cut].to_vec()), None, "{cut}");
        }
    }
}
