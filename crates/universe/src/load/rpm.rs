//! An RPM repository: its metalink, where it has one, and its `repomd.xml`; one repository an architecture.
//!
//! `repomd.xml` is not signed in Fedora. What vouches for the packages is the signature in each of them, checked when
//! they are locked; what vouches for the index is the metalink's digest of it, which comes over https from another host
//! than the mirror. So a mirror can at worst hold something back, and the date, which may not go backwards, bounds that.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{Architecture, Digest, Epoch};
use calypte_formats::compression::Compression;
use calypte_formats::rpm_repository::metalink::{self, Metalink};
use calypte_formats::rpm_repository::repomd::{self, DataFile, Repomd};
use calypte_store::{Download, FetchError, Fetcher, Store};

use super::memory::{Memory, check_date, remembered};
use super::{FrozenRepository, IndexFile, Opened, Packed, key_ring, local, read_tables};
use crate::definition::{ARCHITECTURE, RepositoryDefinition, RpmLayout, metalink_mirror, split_address};
use crate::error::UniverseError;
use crate::table;

/// The largest metalink and `repomd.xml` that are taken: Fedora's have 60 kB and 6 kB.
const SMALL_LIMIT: u64 = 4 * 1024 * 1024;

/// The largest files of an index that are read, in bytes when decompressed: Rawhide's primary has some hundred MB, its
/// advisories less, its list of files 1.3 GB. What is kept of them in memory has limits of its own.
const PRIMARY_LIMIT: u64 = 1 << 30;
const UPDATES_LIMIT: u64 = 1 << 30;
const FILES_LIMIT: u64 = 4 << 30;

/// Mirrors that are taken from a metalink: the nearest come first, and each is asked only when those before it failed.
const MIRRORS: usize = 5;

const REPOMD: &str = "repodata/repomd.xml";

const DAY: i64 = 24 * 60 * 60;

/// Opens the repository of each architecture.
pub(super) fn open(
    repository: &RepositoryDefinition,
    layout: &RpmLayout,
    architectures: &[Architecture],
    keys: &BTreeMap<String, String>,
    fetcher: &Fetcher,
    now: Epoch,
) -> Result<Opened, UniverseError> {
    // No package could be taken from a repository without keys: better said now than after the download.
    key_ring(repository, keys)?;
    let mut opened = Opened::default();
    for architecture in architectures {
        let place = Place { repository, layout, architecture: *architecture, fetcher, now };
        place.open(&mut opened)?;
    }
    Ok(opened)
}

/// One repository of one architecture.
struct Place<'a> {
    repository: &'a RepositoryDefinition,
    layout: &'a RpmLayout,
    architecture: Architecture,
    fetcher: &'a Fetcher,
    now: Epoch,
}

/// A `repomd.xml` as it was found.
struct Found {
    bytes: Vec<u8>,
    /// Whether the metalink names a newer one.
    outdated: bool,
    addresses: Vec<String>,
}

impl Place<'_> {
    fn open(&self, opened: &mut Opened) -> Result<(), UniverseError> {
        let directory = self.layout.directory(self.architecture);
        let path = format!("{directory}/{REPOMD}");
        let file = format!("{}/{path}", self.repository.mirror);
        let store = self.fetcher.store();
        let is_local = self.repository.local.is_some();
        let memory = if is_local { None } else { remembered(store, &file)? };
        let found = self.find(&directory, &path, memory.as_ref())?;
        let repomd = repomd::parse(&found.bytes)
            .map_err(|source| UniverseError::Repository { file: file.clone(), source })?;
        let date = Epoch(repomd.timestamp);
        check_date(&file, date, memory.as_ref(), self.now)?;

        let release = store.put(&found.bytes)?;
        let days = self.layout.valid_for_days;
        let valid_until = days.map(|days| Epoch(date.0.saturating_add(i64::from(days) * DAY)));
        opened.frozen.push(FrozenRepository {
            name: self.repository.name.clone(),
            mirror: self.repository.mirror.clone(),
            architecture: Some(self.architecture),
            release,
            date,
            valid_until,
            stale: found.outdated || valid_until.is_some_and(|until| until < self.now),
        });
        if !is_local {
            opened.memories.push((file.clone(), Memory { date, release, outdated: found.outdated }));
        }
        let packages = self.packed(&file, &directory, &repomd, "primary", PRIMARY_LIMIT)?;
        let packages =
            packages.ok_or_else(|| UniverseError::NoData { file: file.clone(), kind: "primary" })?;
        opened.indexes.push(IndexFile {
            repository: self.repository.name.clone(),
            architecture: self.architecture,
            base: directory.clone(),
            packages,
            files: self.packed(&file, &directory, &repomd, "filelists", FILES_LIMIT)?,
        });
        opened.updates.extend(self.packed(&file, &directory, &repomd, "updateinfo", UPDATES_LIMIT)?);
        // Each architecture has a metalink; the order in each is that of preference.
        let mut known: BTreeSet<String> = opened.addresses.iter().cloned().collect();
        opened.addresses.extend(found.addresses.into_iter().filter(|address| known.insert(address.clone())));
        Ok(())
    }

    /// Fetches `repomd.xml`, or takes the one that was seen last when the network is not to be used.
    fn find(&self, directory: &str, path: &str, memory: Option<&Memory>) -> Result<Found, UniverseError> {
        if let Some(directory) = &self.repository.local {
            let bytes = local::read(directory, path)?;
            return Ok(Found { bytes, outdated: false, addresses: Vec::new() });
        }
        let fetched = match &self.layout.metalink {
            Some(metalink) => self.by_metalink(metalink, directory, path, memory),
            None => {
                let bytes = self.fetcher.fetch_small(&self.repository.mirror, path, SMALL_LIMIT);
                let bytes = bytes.map_err(|source| self.fetch_failed(source));
                bytes.map(|bytes| Found { bytes, outdated: false, addresses: Vec::new() })
            }
        };
        match (fetched, memory) {
            (Err(UniverseError::Fetch { source: FetchError::Offline { .. }, .. }), Some(memory))
                if self.fetcher.store().has(&memory.release) =>
            {
                let bytes = self.fetcher.store().read_verified(&memory.release)?;
                Ok(Found { bytes, outdated: memory.outdated, addresses: Vec::new() })
            }
            (fetched, _) => fetched,
        }
    }

    fn fetch_failed(&self, source: FetchError) -> UniverseError {
        UniverseError::Fetch { of: format!("repository `{}`", self.repository.name), source }
    }

    fn by_metalink(
        &self,
        metalink: &str,
        directory: &str,
        path: &str,
        memory: Option<&Memory>,
    ) -> Result<Found, UniverseError> {
        let mirror = metalink_mirror(&self.repository.mirror);
        let address = metalink.replace(ARCHITECTURE, self.architecture.rpm());
        let (_, rest) = split_address(&address);
        let bytes = self.fetcher.fetch_small(&mirror, rest, SMALL_LIMIT);
        let bytes = bytes.map_err(|source| self.fetch_failed(source))?;
        let file = format!("{mirror}/{rest}");
        let links = metalink::parse(&bytes)
            .map_err(|source| UniverseError::Repository { file: file.clone(), source })?;
        check_date(&file, Epoch(links.timestamp), memory, self.now)?;
        let digests = digests(&links).ok_or(UniverseError::NoDigest { file })?;

        let addresses = self.addresses(&links, directory);
        let fetcher = self.fetcher.with_addresses(&self.repository.mirror, &addresses);
        let bytes = fetcher.fetch_small_of(&self.repository.mirror, path, SMALL_LIMIT, &digests);
        let bytes = bytes.map_err(|source| self.fetch_failed(source))?;
        let outdated = digests.first() != Some(&Digest::of(&bytes));
        Ok(Found { bytes, outdated, addresses })
    }

    /// The mirrors that the metalink names, by preference; none where the user has said which to ask.
    fn addresses(&self, links: &Metalink, directory: &str) -> Vec<String> {
        if self.fetcher.addresses(&self.repository.mirror) != [self.repository.fallback.clone()] {
            return Vec::new();
        }
        let mut urls: Vec<_> =
            links.urls.iter().filter(|url| ["http", "https"].contains(&url.protocol.as_str())).collect();
        urls.sort_by_key(|url| std::cmp::Reverse(url.preference));
        let below = format!("/{directory}/");
        let base = |url: &&metalink::MirrorUrl| Some(url.repository()?.strip_suffix(&below)?.to_owned());
        urls.iter().filter_map(base).take(MIRRORS).collect()
    }

    /// One of the files that `repomd.xml` lists.
    fn packed(
        &self,
        file: &str,
        directory: &str,
        repomd: &Repomd,
        kind: &'static str,
        limit: u64,
    ) -> Result<Option<Packed>, UniverseError> {
        let Some(data) = repomd.data.get(kind) else { return Ok(None) };
        let DataFile { location, checksum, size, open_size, .. } = data;
        let unknown =
            || UniverseError::UnknownCompression { file: file.to_owned(), location: location.clone() };
        let extension = location.rsplit_once('.').map_or("", |(_, extension)| extension);
        let compression = match extension {
            "xml" => Compression::None,
            extension => Compression::from_extension(extension).ok_or_else(unknown)?,
        };
        Ok(Some(Packed {
            shown: format!("{}/{directory}/{location}", self.repository.mirror),
            compression,
            limit: open_size.unwrap_or(limit).min(limit),
            download: Download {
                mirror: self.repository.mirror.clone(),
                path: format!("{directory}/{location}"),
                digest: *checksum,
                size: *size,
                what: format!("{kind} of {} for {}", self.repository.name, self.architecture),
            },
        }))
    }
}

/// The digests that `repomd.xml` may have, the newest first.
fn digests(links: &Metalink) -> Option<Vec<Digest>> {
    let older = links.alternates.iter().filter_map(|older| older.hashes.sha256());
    Some(std::iter::once(links.hashes.sha256()?).chain(older).collect())
}

/// The tables of the indexes of one architecture, in their order, without what nothing asks for, and with the files that
/// something does ask for and that only the lists of all files have. Those are fetched only then: they are the largest
/// part of the metadata.
pub(super) fn tables(
    architecture: Architecture,
    files: &[&IndexFile],
    store: &Store,
    fetch: impl Fn(Vec<&Packed>) -> Result<(), UniverseError>,
) -> Result<Vec<String>, UniverseError> {
    let tables =
        read_tables(files, store, |file, reader| table::rpm::read_primary(reader, architecture, &file.base))?;
    let needed = table::rpm::Needed::by(&tables);
    let absent: BTreeSet<String> = needed.absent_paths(&tables);
    let mut found = vec![BTreeMap::new(); tables.len()];
    if !absent.is_empty() {
        let lists: Vec<&Packed> = files.iter().filter_map(|file| file.files.as_ref()).collect();
        fetch(lists)?;
        for ((file, table), found) in files.iter().zip(&tables).zip(&mut found) {
            let Some(list) = &file.files else { continue };
            let read = table::rpm::read_filelists(list.open(store)?, table, &absent);
            *found = read.map_err(|source| list.failed(source))?;
        }
    }
    Ok(tables.iter().zip(&found).map(|(table, found)| needed.pruned(table, found)).collect())
}
