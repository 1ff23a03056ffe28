//! What installers of Python packages leave (`*.dist-info`, `*.egg-info`) → packages and whose each file is.

use calypte_base::TreePath;
use calypte_formats::python_metadata::{self, PythonMetadata};

use super::bill::{Found, component};
use super::kind::Kind;
use super::tree::Tree;
use crate::licences;
use crate::model::PackageKind;
use crate::purl::purl;

/// Longest text that is taken for the name of a licence; others are whole licences.
const LICENCE_NAME: usize = 100;

/// Reads what there is of Python packages.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    for path in tree.of_kind(Kind::PythonMetadata) {
        let Some(text) = tree.text(path.as_str()) else { continue };
        let Some(metadata) = python_metadata::parse(text) else {
            found.gaps.push(format!("{path} names no package or no version"));
            continue;
        };
        let id = add(path, &metadata, found);
        found.own_as_language(path, &id);
        files(tree, path, &id, found);
    }
}

fn add(path: &TreePath, metadata: &PythonMetadata, found: &mut Found) -> String {
    let name = python_metadata::normalized(&metadata.name);
    let mut component = component(PackageKind::Python, &name, &metadata.version);
    let id = format!("pypi/{name}@{}#{path}", metadata.version);
    component.id.clone_from(&id);
    component.purl = purl("pypi", "", &name, &metadata.version, &[]);
    component.supplier.clone_from(&metadata.author);
    component.summary = metadata.summary.as_ref().and_then(|text| text.lines().next()).map(str::to_owned);
    component.homepage.clone_from(&metadata.homepage);
    let name = |text: &&String| text.len() <= LICENCE_NAME && !text.contains('\n');
    let licence = metadata.license_expression.as_ref().or(metadata.license.as_ref()).filter(name);
    component.licences = licence.map(|licence| licences::rpm(licence)).unwrap_or_default();
    component.found_in.insert(path.to_string());
    found.language.push(component);
    id
}

/// The files that stand in the list beside the metadata.
fn files(tree: &Tree, metadata: &TreePath, id: &str, found: &mut Found) {
    let Some(directory) = metadata.parent() else { return };
    // One list is relative to the directory of all packages, the other to that of the metadata.
    for (list, base) in [
        ("RECORD", Some(directory.clone())),
        ("installed-files.txt", directory.join("installed-files.txt").ok()),
    ] {
        let Some((list, base)) = directory.join(list).ok().zip(base) else { continue };
        let Some(text) = tree.text(list.as_str()) else { continue };
        for name in python_metadata::record_paths(text) {
            if let Some((path, _)) =
                base.resolve_link(&name).ok().and_then(|path| tree.files.get_key_value(&path))
            {
                found.own_as_language(path, id);
            }
        }
        found.own_as_language(&list, id);
    }
}
