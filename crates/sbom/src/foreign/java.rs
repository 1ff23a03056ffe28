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
    let mut artifacts = archive.artifacts.clone();
    let own = from_manifest(archive, name);
    // Into a shaded archive others were copied with what Maven left in them, and its own is often left out.
    let copies = own.as_ref().is_some_and(|own| {
        parts(name).is_some() && artifacts.iter().all(|artifact| artifact.artifact != own.artifact)
    });
    if artifacts.is_empty() || copies {
        artifacts.extend(own);
    }
    artifacts
}

/// The name of a file without its ending.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// `lib-1.2.jar` → `lib`, `1.2`
fn parts(name: &str) -> Option<(&str, &str)> {
    let stem = stem(name);
    let digit =
        |at: usize| stem.get(at + 1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let (at, _) = stem.match_indices('-').find(|(at, _)| digit(*at))?;
    Some((stem.get(..at)?, stem.get(at + 1..)?))
}

/// What the file's name and the manifest say together.
fn from_manifest(archive: &JavaArchive, name: &str) -> Option<MavenArtifact> {
    let said = |name: &str| {
        let value = archive.manifest.get(name)?.split(';').next()?.trim();
        // Names in words are for people.
        (!value.is_empty() && !value.contains(char::is_whitespace) && !value.contains("${")).then_some(value)
    };
    let named = parts(name);
    // OSGi's versions have three numbers where Maven's may have two.
    let version = said("Implementation-Version");
    let version = version.or(named.map(|(_, version)| version)).or_else(|| said("Bundle-Version"))?;
    let artifact = named.map_or_else(|| stem(name), |(name, _)| name);
    // `org.example.lib` of `lib` is of the group `org.example`.
    let bundle = said("Bundle-SymbolicName");
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
                Some("org.example:lib:3"),
            ),
            (
                "inject.jar",
                &[("Bundle-SymbolicName", "org.example"), ("Bundle-Version", "3")],
                Some(":inject:3"),
            ),
            ("a-1.0.jar", &[("Bundle-SymbolicName", "a"), ("Bundle-Version", "1.0.0")], Some(":a:1.0")),
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
    #[test]
    fn a_shaded_archive_is_itself_too() {
        let copied = |artifact: &str| MavenArtifact {
            group: "org.other".to_owned(),
            artifact: artifact.to_owned(),
            version: "1".to_owned(),
        };
        let archive = JavaArchive { artifacts: vec![copied("other")], ..JavaArchive::default() };
        let names = |name: &str| -> Vec<String> {
            artifacts(&archive, name).into_iter().map(|artifact| artifact.artifact).collect()
        };
        assert_eq!(names("lib-2.jar"), ["other", "lib"]);
        assert_eq!(names("other-1.jar"), ["other"]);
        assert_eq!(names("renamed.jar"), ["other"]);
    }
}
