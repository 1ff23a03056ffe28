//! `package.json` at the root of each package below a `node_modules` → packages of npm. What lies elsewhere is an
//! application's own, or a part of a package.

use calypte_base::TreePath;
use serde_json::Value;

use super::bill::{Found, component};
use super::kind::Kind;
use super::tree::Tree;
use crate::licences;
use crate::model::PackageKind;
use crate::purl::purl;

/// Reads what there is of npm's packages.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    for path in tree.of_kind(Kind::NpmPackage) {
        let Some(text) = tree.text(path.as_str()) else { continue };
        let document: Value = match serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
        {
            Ok(document) => document,
            Err(error) => {
                found.gaps.push(format!("{path} cannot be read: {error}"));
                continue;
            }
        };
        // Parts of packages have such files too, with neither.
        let Some(id) = add(path, &document, found) else { continue };
        let Some(directory) = path.parent() else { continue };
        for (file, _) in tree.below(directory.as_str()) {
            let inside = file.as_str().get(directory.as_str().len()..).unwrap_or_default();
            if !inside.contains("/node_modules/") {
                found.own_as_language(file, &id);
            }
        }
    }
}

fn add(path: &TreePath, document: &Value, found: &mut Found) -> Option<String> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let field = |name: &str| document.get(name).and_then(text);
    let (name, version) = (field("name")?, field("version")?);
    let mut component = component(PackageKind::Npm, &name, &version);
    let id = format!("npm/{name}@{version}#{path}");
    component.id.clone_from(&id);
    let (namespace, last) = name.rsplit_once('/').unwrap_or(("", &name));
    component.purl = purl("npm", namespace, last, &version, &[]);
    let author = document.get("author");
    component.supplier = author.and_then(|author| text(author).or_else(|| author.get("name").and_then(text)));
    component.summary = field("description").and_then(|text| text.lines().next().map(str::to_owned));
    component.homepage = field("homepage");
    let licence = document.get("license");
    let licence = licence.and_then(|licence| text(licence).or_else(|| licence.get("type").and_then(text)));
    component.licences = licence.map(|licence| licences::rpm(&licence)).unwrap_or_default();
    component.found_in.insert(path.to_string());
    found.language.push(component);
    Some(id)
}
