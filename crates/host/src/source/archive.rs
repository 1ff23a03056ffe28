//! An OCI layout in a tar archive that is not compressed: its members are found once, and read where they lie.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use calypte_base::Digest;
use calypte_formats::tar::{EntryKind, Reader};

use super::DOCUMENT_LIMIT;
use super::layout::Layout;
use crate::HostError;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Archive {
    layout: Layout,
}

/// Counts what was handed out.
struct Counting<R> {
    inner: R,
    offset: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.offset.set(self.offset.get() + count as u64);
        Ok(count)
    }
}

impl Archive {
    pub(super) fn open(path: &Path, tag: Option<&str>) -> Result<Self, HostError> {
        let none = |reason: String| HostError::NoImage { place: path.display().to_string(), reason };
        let file = fs_err::File::open(path).map_err(HostError::io("read", path))?;
        let offset = Rc::new(Cell::new(0));
        let counting = Counting { inner: BufReader::with_capacity(BUFFER, file), offset: Rc::clone(&offset) };
        let mut reader = Reader::new(counting);
        let (mut members, mut index) = (BTreeMap::new(), None);
        while let Some(entry) = reader.next_entry().map_err(|error| none(error.to_string()))? {
            if entry.kind != EntryKind::File {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path);
            let name = name.trim_start_matches("./");
            if let Some(digest) =
                name.strip_prefix("blobs/sha256/").and_then(|hex| hex.parse::<Digest>().ok())
            {
                members.insert(digest, (offset.get(), entry.size));
            } else if name == "index.json" {
                let mut bytes = Vec::new();
                let body = reader.body().take(DOCUMENT_LIMIT).read_to_end(&mut bytes);
                body.map_err(HostError::io("read", path))?;
                index = Some(bytes);
            }
        }
        let index = index.ok_or_else(|| none("it has no index.json".to_owned()))?;
        Ok(Self { layout: Layout::new(path, tag, &index, Some(members))? })
    }

    pub(super) const fn layout(&self) -> &Layout {
        &self.layout
    }
}
