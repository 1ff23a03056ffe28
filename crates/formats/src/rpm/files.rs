//! The files of a package as the main header lists them, put together out of some fifteen parallel lists.

use std::collections::BTreeMap;

use crate::rpm::digest::FileHash;
use crate::rpm::error::RpmError;
use crate::rpm::header::Header;
use crate::rpm::tag;
use crate::tar::{Entry, EntryKind, PATH_LIMIT};
use crate::xattr::{self, CAPABILITY, CapabilityError};

const TYPE_MASK: u16 = 0o170_000;

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// What an archive would say of it. The path has no slash in front; user and group are 0, since only their names
    /// are known. Of several names of one file, the last is the file and the others are hard links to it.
    pub entry: Entry,
    /// The owner's name.
    pub user: String,
    /// The group's name.
    pub group: String,
    /// What kind of file the package says that it is.
    pub flags: FileFlags,
}

/// What kind of file a package says that one is (`RPMFILE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct FileFlags(pub u32);

impl FileFlags {
    /// `%config`: an administrator may change it.
    #[must_use]
    pub const fn is_config(self) -> bool {
        self.has(0)
    }

    /// `%doc`: documentation.
    #[must_use]
    pub const fn is_doc(self) -> bool {
        self.has(1)
    }

    /// `%config(missingok)` or `%missingok`: need not be there.
    #[must_use]
    pub const fn may_be_missing(self) -> bool {
        self.has(3)
    }

    /// `%config(noreplace)`: a changed one stays when the package is updated.
    #[must_use]
    pub const fn is_noreplace(self) -> bool {
        self.has(4)
    }

    /// `%ghost`: belongs to the package but is not in it.
    #[must_use]
    pub const fn is_ghost(self) -> bool {
        self.has(6)
    }

    /// `%license`: a text of a licence.
    #[must_use]
    pub const fn is_license(self) -> bool {
        self.has(7)
    }

    /// `%readme`.
    #[must_use]
    pub const fn is_readme(self) -> bool {
        self.has(8)
    }

    /// `%artifact`: a by-product of the build.
    #[must_use]
    pub const fn is_artifact(self) -> bool {
        self.has(12)
    }

    const fn has(self, bit: u32) -> bool {
        self.0 & (1 << bit) != 0
    }
}

/// All files of a package.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) list: Vec<File>,
    /// The number of each file by its path.
    by_path: BTreeMap<Vec<u8>, usize>,
    /// The hash of the digests.
    pub(super) hash: FileHash,
}

/// One file, with what only the reading of the payload needs.
#[derive(Debug)]
pub(super) struct File {
    pub(super) file: FileEntry,
    /// The digest of its contents in hex; empty for all but files.
    pub(super) digest: String,
    /// Its size as the header has it: for a symbolic link, that of the target; for a directory, anything.
    pub(super) size: u64,
    /// For a hard link, the number of the file that it is a name of.
    pub(super) link: Option<usize>,
}

impl Header {
    /// The files that this main header lists, in its order, ghosts among them.
    ///
    /// # Errors
    /// When the lists do not fit together or hold what no file could be.
    pub fn files(&self) -> Result<Vec<FileEntry>, RpmError> {
        Ok(Files::of(self)?.list.into_iter().map(|file| file.file).collect())
    }
}

impl Files {
    pub(super) fn of(header: &Header) -> Result<Self, RpmError> {
        let paths = paths(header)?;
        let lists = Lists::of(header, paths.len())?;
        let mut by_path = BTreeMap::new();
        let mut list = Vec::new();
        for (number, path) in paths.into_iter().enumerate() {
            if by_path.insert(path.clone(), number).is_some() {
                return Err(RpmError::file(&path, "is listed twice"));
            }
            list.push(lists.file(number, path)?);
        }
        lists.resolve_links(&mut list)?;
        Ok(Self { list, by_path, hash: FileHash::of(header)? })
    }

    /// The number of a file by its path without a slash in front.
    pub(super) fn number(&self, path: &[u8]) -> Option<usize> {
        self.by_path.get(path).copied()
    }
}

/// The paths without a slash in front, each checked to name one place in the tree.
fn paths(header: &Header) -> Result<Vec<Vec<u8>>, RpmError> {
    let names = header.byte_strings(tag::BASE_NAMES);
    let whole: Vec<Vec<u8>> = if names.is_empty() {
        header.byte_strings(tag::OLD_FILE_NAMES).into_iter().map(<[u8]>::to_vec).collect()
    } else {
        let directories = header.byte_strings(tag::DIRECTORY_NAMES);
        let indexes = column("directory indexes", header.u32s(tag::DIRECTORY_INDEXES), names.len())?;
        let path = |(name, index): (&[u8], u32)| {
            let directory = usize::try_from(index).ok().and_then(|index| directories.get(index));
            let directory =
                directory.ok_or_else(|| RpmError::file(name, "is in a directory that is not listed"))?;
            if name.contains(&b'/') {
                return Err(RpmError::file(name, "has a slash in its name"));
            }
            Ok([directory, name].concat())
        };
        names.into_iter().zip(indexes).map(path).collect::<Result<_, _>>()?
    };
    // The files of a source package lie in no directory.
    let is_source = header.has(tag::SOURCE_PACKAGE) || !header.has(tag::SOURCE_RPM);
    whole.into_iter().map(|path| relative(path, is_source)).collect()
}

fn relative(path: Vec<u8>, is_source: bool) -> Result<Vec<u8>, RpmError> {
    if path.len() > PATH_LIMIT {
        return Err(RpmError::file(&path, format!("has a path of more than {PATH_LIMIT} bytes")));
    }
    let relative = match path.strip_prefix(b"/") {
        Some(relative) => relative,
        None if is_source => &path,
        None => return Err(RpmError::file(&path, "has no absolute path")),
    };
    // The root itself belongs to Fedora's package `filesystem`.
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    if !relative.is_empty() && !relative.split(|byte| *byte == b'/').all(plain) {
        return Err(RpmError::file(&path, "has a path with an empty part, `.` or `..`"));
    }
    Ok(relative.to_vec())
}

/// The parallel lists, each checked to be as long as the list of files or, where that is allowed, absent.
struct Lists<'a> {
    modes: Vec<u16>,
    sizes: Vec<u64>,
    times: Vec<u32>,
    digests: Vec<&'a str>,
    targets: Vec<&'a [u8]>,
    users: Vec<&'a str>,
    groups: Vec<&'a str>,
    specials: Vec<u16>,
    flags: Vec<u32>,
    capabilities: Vec<&'a str>,
    devices: Vec<u32>,
    inodes: Vec<u32>,
}

impl<'a> Lists<'a> {
    fn of(header: &'a Header, count: usize) -> Result<Self, RpmError> {
        let mut sizes = header.u64s(tag::LONG_FILE_SIZES);
        if sizes.is_empty() {
            sizes = header.u32s(tag::FILE_SIZES).into_iter().map(u64::from).collect();
        }
        Ok(Self {
            modes: column("modes", header.u16s(tag::FILE_MODES), count)?,
            sizes: column("sizes", sizes, count)?,
            times: column("times", header.u32s(tag::FILE_MTIMES), count)?,
            digests: column("digests", header.strings(tag::FILE_DIGESTS), count)?,
            targets: column("link targets", header.byte_strings(tag::FILE_LINK_TOS), count)?,
            users: column("users", header.strings(tag::FILE_USER_NAME), count)?,
            groups: column("groups", header.strings(tag::FILE_GROUP_NAME), count)?,
            specials: column("device numbers", header.u16s(tag::FILE_RDEVS), count)?,
            flags: column("flags", header.u32s(tag::FILE_FLAGS), count)?,
            capabilities: column_or_none("capabilities", header.strings(tag::FILE_CAPS), count)?,
            devices: column_or_none("devices", header.u32s(tag::FILE_DEVICES), count)?,
            inodes: column_or_none("inodes", header.u32s(tag::FILE_INODES), count)?,
        })
    }

    fn file(&self, number: usize, path: Vec<u8>) -> Result<File, RpmError> {
        let mode = at(&self.modes, number);
        let size = at(&self.sizes, number);
        let kind = self.kind(number, mode, &path)?;
        let is_file = kind == EntryKind::File;
        let mut entry = Entry::new(path, kind);
        entry.mode = u32::from(mode & !TYPE_MASK);
        entry.mtime = i64::from(at(&self.times, number));
        entry.size = if is_file { size } else { 0 };
        let capabilities = at(&self.capabilities, number);
        if !capabilities.is_empty() {
            let value = capability(capabilities, &entry.path)?;
            entry.xattrs.insert(CAPABILITY.to_owned(), value);
        }
        let file = FileEntry {
            entry,
            user: at(&self.users, number).to_owned(),
            group: at(&self.groups, number).to_owned(),
            flags: FileFlags(at(&self.flags, number)),
        };
        let digest = if is_file { at(&self.digests, number).to_owned() } else { String::new() };
        Ok(File { file, digest, size, link: None })
    }

    fn kind(&self, number: usize, mode: u16, path: &[u8]) -> Result<EntryKind, RpmError> {
        // The kernel's old encoding: 8 bits each.
        let [major, minor] = at(&self.specials, number).to_be_bytes().map(u32::from);
        Ok(match mode & TYPE_MASK {
            0o100_000 => EntryKind::File,
            0o040_000 => EntryKind::Directory,
            0o120_000 => {
                let target = at(&self.targets, number);
                if target.is_empty() || target.len() > PATH_LIMIT {
                    return Err(RpmError::file(path, "is a symbolic link without a usable target"));
                }
                EntryKind::Symlink(target.to_vec())
            }
            0o020_000 => EntryKind::CharDevice { major, minor },
            0o060_000 => EntryKind::BlockDevice { major, minor },
            0o010_000 => EntryKind::Fifo,
            _ => return Err(RpmError::file(path, format!("has a mode of no known type: {mode:o}"))),
        })
    }

    /// Makes hard links of all but the last of the files that share device and inode. rpm puts the contents under the
    /// last one.
    fn resolve_links(&self, list: &mut [File]) -> Result<(), RpmError> {
        let mut groups: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (number, file) in list.iter().enumerate() {
            let inode = at(&self.inodes, number);
            // Ghosts are never in the payload, so that they cannot be links of anything there.
            if file.file.entry.kind == EntryKind::File && !file.file.flags.is_ghost() && inode != 0 {
                groups.entry((at(&self.devices, number), inode)).or_default().push(number);
            }
        }
        for mut group in groups.into_values() {
            let Some(last) = group.pop() else { continue };
            let Some(holder) = list.get(last) else { continue };
            let (path, size, digest) = (holder.file.entry.path.clone(), holder.size, holder.digest.clone());
            for number in group {
                let Some(file) = list.get_mut(number) else { continue };
                if (file.size, &file.digest) != (size, &digest) {
                    let other = super::error::shown(&path);
                    return Err(RpmError::file(
                        &file.file.entry.path,
                        format!("is a hard link to `{other}` but of another size or digest"),
                    ));
                }
                file.file.entry.kind = EntryKind::HardLink(path.clone());
                file.file.entry.size = 0;
                file.link = Some(last);
            }
        }
        Ok(())
    }
}

/// The value of the attribute. Unlike in our own tables, a package may give a file an empty set on purpose (`=`): the
/// attribute is there then, and takes all capabilities off a program that root starts.
fn capability(text: &str, path: &[u8]) -> Result<Vec<u8>, RpmError> {
    const NONE: [u8; 20] = [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    match xattr::capability(text) {
        Err(CapabilityError::Empty(_)) => Ok(NONE.to_vec()),
        result => result.map_err(|source| RpmError::Capability { path: super::error::shown(path), source }),
    }
}

/// The value of a list whose length was checked; the type's default where the list is absent.
fn at<T: Copy + Default>(list: &[T], number: usize) -> T {
    list.get(number).copied().unwrap_or_default()
}

fn column<T>(list: &'static str, values: Vec<T>, count: usize) -> Result<Vec<T>, RpmError> {
    if values.len() == count {
        return Ok(values);
    }
    Err(RpmError::ListLength { list, expected: count, found: values.len() })
}

fn column_or_none<T>(list: &'static str, values: Vec<T>, count: usize) -> Result<Vec<T>, RpmError> {
    if values.is_empty() { Ok(values) } else { column(list, values, count) }
}
