//! What Java archives say that they are → artifacts of Maven. Maven's own coordinates count; where there are none, the
//! manifest and the file's name, as far as these agree on a name and a version.

use calypte_formats::java_archive::{JavaArchive, MavenArtifact, is_archive_name};

use super::bill::{Found, component};
use super::tree::Tree;
use crate::model::PackageKind;
use crate::purl::purl;

/// Reads what archives tell.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    for (path, facts) in tree.facts() {
        // The same bytes under another name are no archive that Java would look into.
        let Some(reading) = facts.java.as_ref().filter(|_| is_archive_name(path.file_name())) else {
            continue;
        };
        found.gaps.extend(reading.gaps.iter().map(|gap| format!("{path}: {gap}")));
        for archive in &reading.archives {
            let place = if archive.place.is_empty() {
                path.to_string()
            } else {
                format!("{path}!/{}", archive.place)
            };
            let name = place.rsplit('/').next().unwrap_or_default();
            let artifacts = artifacts(archive, name);
            // Of several, the archive is that which it is named after; the others were copied into it.
            let own = artifacts
                .iter()
                .find(|artifact| artifacts.len() == 1 || name.starts_with(&artifact.artifact))
                .cloned();
            for artifact in artifacts {
                let id = add(&place, &artifact, found);
                if archive.place.is_empty() && own.as_ref() == Some(&artifact) {
                    found.own_as_language(path, &id);
                }
            }
        }
    }
}

fn add(place: &str, artifact: &MavenArtifact, found: &mut Found) -> String {
    let MavenArtifact { group, artifact, version } = artifact;
    let name = if group.is_empty() { artifact.clone() } else { format!("{group}:{artifact}") };
    let mut component = component(PackageKind::Maven, &name, version);
    component.id = format!("maven/{name}@{version}#{place}");
    component.purl = purl("maven", group, artifact, version, &[]);
    component.found_in.insert(place.to_owned());
    let id = component.id.clone();
    found.language.push(component);
    id
}

fn artifacts(archive: &JavaArchive, name: &str) -> Vec<MavenArtifact> {
    if !archive.artifacts.is_empty() {
        return archive.artifacts.clone();
    }
    from_manifest(archive, name).into_iter().collect()
}

/// `lib-1.2.jar` and its manifest.
fn from_manifest(archive: &JavaArchive, name: &str) -> Option<MavenArtifact> {
    let said = |name: &str| {
        let value = archive.manifest.get(name)?.split(';').next()?.trim();
        // Names in words are for people.
        (!value.is_empty() && !value.contains(char::is_whitespace) && !value.contains("${")).then_some(value)
    };
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let named = stem
        .match_indices('-')
        .find(|(at, _)| stem.get(at + 1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
        .and_then(|(at, _)| Some((stem.get(..at)?, stem.get(at + 1..)?)));
    let bundle = said("Bundle-SymbolicName");
    let version = named.map(|(_, version)| version);
    let version = said("Implementation-Version").or_else(|| said("Bundle-Version")).or(version)?;
    let title = said("Implementation-Title").or(bundle);
    let artifact = named.map(|(name, _)| name).or(title)?;
    // `org.example.lib` of `lib` is of the group `org.example`.
    let group = bundle.and_then(|bundle| bundle.strip_suffix(artifact)?.strip_suffix('.'));
    let group = said("Implementation-Vendor-Id").or(group).unwrap_or_default();
    Some(MavenArtifact {
        group: group.to_owned(),
        artifact: artifact.to_owned(),
        version: version.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, manifest: &[(&str, &str)]) -> Option<String> {
        let manifest =
            manifest.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let archive = JavaArchive { manifest, ..JavaArchive::default() };
        let [MavenArtifact { group, artifact, version }] = artifacts(&archive, name).try_into().ok()?;
        Some(format!("{group}:{artifact}:{version}"))
    }

    #[test]
    fn manifests_and_names_tell_what_maven_does_not() {
        for (name, manifest, expected) in [
            ("lib-1.2.jar", &[][..], Some(":lib:1.2")),
            ("a-b-1.2-x.jar", &[], Some(":a-b:1.2-x")),
            ("lib.jar", &[], None),
            (
                "lib.jar",
                &[("Bundle-SymbolicName", "org.example.lib;x:=y"), ("Bundle-Version", "3")],
                Some(":org.example.lib:3"),
            ),
            (
                "lib-1.jar",
                &[("Bundle-SymbolicName", "org.example.lib"), ("Implementation-Version", "1.0.1")],
                Some("org.example:lib:1.0.1"),
            ),
            (
                "lib-1.jar",
                &[("Implementation-Vendor-Id", "org.other"), ("Implementation-Title", "A Fine Library")],
                Some("org.other:lib:1"),
            ),
            ("lib.jar", &[("Implementation-Title", "lib"), ("Implementation-Version", "${version}")], None),
        ] {
            assert_eq!(said(name, manifest).as_deref(), expected, "{name}");
        }
    }
}
