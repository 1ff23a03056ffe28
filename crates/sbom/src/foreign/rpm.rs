//! rpm's database → packages and whose each file is. A key that rpm was told to trust (`gpg-pubkey`) stands in it like a
//! package and is none.

use std::collections::BTreeMap;

use calypte_base::TreePath;
use calypte_formats::rpm::{Header, HeaderError, tag};
use calypte_rpmdb::{EachHeader, each_header, each_ndb_header};

use super::bill::{Found, component};
use super::kind::Kind;
use super::relations::Package;
use super::tree::{Resolver, Tree};
use crate::evidence::{PackageEvidence, from_header};
use crate::model::{PackageKind, SourcePackage};

/// What a key is called.
const KEY: &str = "gpg-pubkey";

/// The state of a file that is there, in the list of states that an installation adds to a header.
const NORMAL: u8 = 0;

/// Reads what there is of rpm's databases.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    let mut resolver = Resolver::new(tree);
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for (kind, read) in [(Kind::RpmSqlite, each_header as Read), (Kind::RpmNdb, each_ndb_header)] {
        for path in tree.of_kind(kind) {
            let Some(bytes) = tree.text(path.as_str()) else { continue };
            let mut each = |number, header: Result<Header, HeaderError>| {
                let added = match header {
                    Ok(header) => package(&header, path, &mut resolver, found),
                    Err(error) => Err(error.to_string()),
                };
                match added {
                    Ok(Some(package)) => _ = packages.entry(package.component.id.clone()).or_insert(package),
                    Ok(None) => {}
                    Err(error) => found.gaps.push(format!("{path}: package number {number}: {error}")),
                }
            };
            if let Err(error) = read(bytes, &mut each) {
                found.gaps.push(format!("{path} cannot be read to its end: {error}"));
            }
        }
    }
    found.packages.extend(packages.into_values());
}

type Read = fn(&[u8], &mut EachHeader<'_>) -> Result<(), calypte_rpmdb::DatabaseError>;

fn package(
    header: &Header,
    database: &TreePath,
    resolver: &mut Resolver<'_>,
    found: &mut Found,
) -> Result<Option<Package>, String> {
    if header.string(tag::NAME) == Some(KEY) {
        return Ok(None);
    }
    let identity = header.identity().map_err(|error| error.to_string())?;
    let mut evidence = PackageEvidence::default();
    from_header(header, &mut evidence);
    let mut component = component(PackageKind::Rpm, &identity.name, &identity.version);
    component.id = format!("rpm/{}@{}.{}", identity.name, identity.version, identity.architecture);
    component.architecture = Some(identity.architecture);
    let source_version =
        identity.source_version.split_once(':').map_or(&*identity.source_version, |(_, rest)| rest);
    component.source = Some(SourcePackage { name: identity.source, version: source_version.to_owned() });
    let module = header.string(tag::MODULARITY_LABEL).filter(|label| !label.is_empty());
    component.module = module.map(str::to_owned);
    component.supplier = evidence.supplier;
    component.licences = evidence.licences;
    component.summary = evidence.summary;
    component.homepage = evidence.homepage;
    component.purl = crate::own::distribution_purl(&component, found.distribution.as_ref());
    for file in files(header) {
        if let Some(path) = resolver.file(&file) {
            found.own(path, &component.id);
        }
    }
    // The database itself is nobody's: it tells of all.
    found.owners.remove(database);
    Ok(Some(Package { component, needs: evidence.needs, provides: evidence.provides, fixes: evidence.fixes }))
}

/// The paths of a package's files that were installed.
fn files(header: &Header) -> Vec<String> {
    let directories = header.byte_strings(tag::DIRECTORY_NAMES);
    let states =
        header.entries().find(|entry| entry.tag == tag::FILE_STATES).map_or(&[][..], |entry| entry.data);
    let places = header.u32s(tag::DIRECTORY_INDEXES);
    let names = header.byte_strings(tag::BASE_NAMES);
    let listed = names.iter().zip(places).enumerate().filter_map(|(number, (name, place))| {
        if states.get(number).is_some_and(|state| *state != NORMAL) {
            return None;
        }
        let directory = directories.get(usize::try_from(place).ok()?)?;
        String::from_utf8([*directory, *name].concat()).ok()
    });
    listed.collect()
}
