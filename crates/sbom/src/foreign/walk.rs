//! A directory on disk → a [`Tree`]: everything below it in the order of its names, each regular file read once.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use calypte_base::{Hasher, TreePath};
use calypte_image::read::FileVisitor as _;

use super::collect::Collector;
use super::tree::{Tree, TreeFile};
use super::{ForeignError, Options};

/// Most files in a directory: ten times what a large system has.
const MOST_FILES: usize = 4_000_000;

/// Deepest directory; deeper ones are a gap.
const MOST_DEPTH: usize = 256;

/// Bytes read at once.
const CHUNK: usize = 128 * 1024;

/// Directories at the root that hold no files of the system when something else is mounted there.
const MOUNTED: [&str; 4] = ["dev", "proc", "run", "sys"];

struct Walk {
    root: PathBuf,
    device: u64,
    files: BTreeMap<TreePath, TreeFile>,
    links: BTreeMap<TreePath, String>,
    collector: Collector,
    gaps: Vec<String>,
    buffer: Vec<u8>,
    seen: usize,
}

/// Reads all that is below a directory. What in it cannot be read is a gap.
pub(super) fn read(root: &Path, options: Options) -> Result<Tree, ForeignError> {
    let mut walk = Walk {
        root: root.to_owned(),
        device: fs_err::metadata(root)?.dev(),
        files: BTreeMap::new(),
        links: BTreeMap::new(),
        collector: Collector::new(options),
        gaps: Vec::new(),
        buffer: vec![0; CHUNK],
        seen: 0,
    };
    let mut pending = vec![TreePath::root()];
    while let Some(directory) = pending.pop() {
        match walk.directory(&directory, &mut pending) {
            Err(ForeignError::Directory(error)) if !directory.is_root() => {
                walk.gaps.push(format!("{directory} cannot be read: {}", error.kind()));
            }
            other => other?,
        }
    }
    Ok(Tree::new(walk.files, walk.links, walk.collector, walk.gaps))
}

impl Walk {
    fn directory(&mut self, directory: &TreePath, pending: &mut Vec<TreePath>) -> Result<(), ForeignError> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(self.root.join(directory.as_str()))? {
            self.seen += 1;
            if self.seen > MOST_FILES {
                return Err(ForeignError::TooMany {
                    path: self.root.display().to_string(),
                    limit: MOST_FILES,
                });
            }
            names.push(entry?.file_name());
        }
        names.sort();
        let mut below = Vec::new();
        for name in names {
            let path = name.to_str().and_then(|name| directory.join(name).ok());
            let Some(path) = path.filter(|path| path.components().count() <= MOST_DEPTH) else {
                let name = name.to_string_lossy();
                self.gaps.push(format!("{name:?} in {directory} has a name that cannot be read"));
                continue;
            };
            match self.entry(&path) {
                Ok(true) => below.push(path),
                Ok(false) => {}
                Err(error) => self.gaps.push(format!("{path} cannot be read: {}", error.kind())),
            }
        }
        // The last is taken next.
        pending.extend(below.into_iter().rev());
        Ok(())
    }

    /// Looks at one name; tells whether it is a directory to enter.
    fn entry(&mut self, path: &TreePath) -> io::Result<bool> {
        let place = self.root.join(path.as_str());
        let metadata = fs_err::symlink_metadata(&place)?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            return Ok(metadata.dev() == self.device || !MOUNTED.contains(&path.as_str()));
        }
        if kind.is_symlink() {
            let target = fs_err::read_link(&place)?;
            self.links.insert(path.clone(), target.to_string_lossy().into_owned());
        } else if kind.is_file() {
            let executable = metadata.permissions().mode() & 0o111 != 0;
            let file = self.file(path, &place, metadata.len(), executable)?;
            self.files.insert(path.clone(), file);
        }
        Ok(false)
    }

    fn file(&mut self, path: &TreePath, place: &Path, size: u64, executable: bool) -> io::Result<TreeFile> {
        // No more than was announced: a file that grows meanwhile would break the limits.
        let mut reader = fs_err::File::open(place)?.take(size);
        self.collector.start(path, size);
        let mut hasher = Hasher::new();
        let mut read = 0;
        loop {
            let count = match reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            let Some(part) = self.buffer.get(..count).filter(|part| !part.is_empty()) else { break };
            hasher.update(part);
            self.collector.part(part);
            read += count as u64;
        }
        let digest = hasher.finish();
        self.collector.end(path, &digest);
        Ok(TreeFile { digest, size: read, executable, layer: None, hard_link: None })
    }
}
