//! CycloneDX 1.6 as JSON (ECMA-424): components, their dependencies, and which of these lists are whole.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::parties::Party;
use super::{Tool, bytes, uuid};
use crate::model::{Completeness, Component, FileOwner, PackageKind, Sbom, SbomFile, SubjectKind};

/// How the image as a whole is referred to.
const ROOT: &str = "image";

/// Writes the document.
#[must_use]
pub fn cyclonedx16(sbom: &Sbom, tool: &Tool) -> Vec<u8> {
    let mut files: BTreeMap<Option<&str>, Vec<Value>> = BTreeMap::new();
    for (path, file) in &sbom.files {
        let owner = match &file.owner {
            FileOwner::Component(id) => Some(id.as_str()),
            _ => None,
        };
        files.entry(owner).or_default().push(self::file(path, file));
    }
    let mut components: Vec<Value> = sbom
        .components
        .values()
        .map(|component| self::component(component, files.remove(&Some(component.id.as_str()))))
        .collect();
    components.extend(operating_system(sbom));
    components.extend(files.into_values().flatten());
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(sbom, "cyclonedx-1.6")),
        "version": 1,
        "metadata": metadata(sbom, tool),
        "components": components,
        "dependencies": dependencies(sbom),
        "compositions": compositions(sbom),
    });
    bytes(&document)
}

fn metadata(sbom: &Sbom, tool: &Tool) -> Value {
    let subject = &sbom.subject;
    let kind = match subject.kind {
        SubjectKind::Container => "container",
        SubjectKind::Directory => "data",
    };
    let supplier = subject.supplier.as_ref().unwrap_or(&tool.organization);
    let version = subject.version.clone().or_else(|| subject.digest.map(|digest| digest.to_string()));
    let mut component = json!({
        "type": kind,
        "bom-ref": ROOT,
        "name": subject.name,
        "version": version.unwrap_or_else(|| sbom.created.to_string()),
        "supplier": {"name": supplier},
    });
    if let Some(digest) = subject.digest {
        component["hashes"] = json!([{"alg": "SHA-256", "content": digest.hex()}]);
    }
    json!({
        "timestamp": sbom.created.to_string(),
        "lifecycles": [{"phase": "build"}],
        "tools": {"components": [{
            "type": "application", "name": tool.name, "version": tool.version,
            "supplier": {"name": tool.organization},
        }]},
        "manufacturer": {"name": tool.organization},
        "component": component,
        "supplier": {"name": supplier},
    })
}

fn component(component: &Component, files: Option<Vec<Value>>) -> Value {
    let mut document = json!({
        "type": "library",
        "bom-ref": component.id,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    });
    if let Some(supplier) = &component.supplier {
        let party = Party::parse(supplier);
        document["supplier"] = match party.mail {
            Some(mail) if mail.contains('@') => json!({"name": party.name, "contact": [{"email": mail}]}),
            _ => json!({"name": party.name}),
        };
    }
    if let Some(summary) = &component.summary {
        document["description"] = json!(summary);
    }
    let licence = component.licences.declared.as_deref().or(component.licences.concluded.as_deref());
    if let Some(expression) = licence {
        // An expression of one name is that licence.
        document["licenses"] = match spdx::license_id(expression) {
            Some(id) => json!([{"license": {"id": id.name, "acknowledgement": "declared"}}]),
            None => json!([{"expression": expression, "acknowledgement": "declared"}]),
        };
    }
    if !component.copyright.is_empty() {
        document["copyright"] = json!(component.copyright.join("\n"));
    }
    if let Some(sha256) = component.sha256 {
        document["hashes"] = json!([{"alg": "SHA-256", "content": sha256.hex()}]);
    }
    if let Some(cpe) = component.cpes.first() {
        document["cpe"] = json!(cpe);
    }
    if let Some(homepage) = component.homepage.as_ref().filter(|url| url.starts_with("http")) {
        document["externalReferences"] = json!([{"type": "website", "url": homepage}]);
    }
    let properties = properties(component);
    if !properties.is_empty() {
        document["properties"] = json!(properties);
    }
    if let Some(files) = files {
        document["components"] = json!(files);
    }
    document
}

/// What scanners look for in the documents of others: source packages above all.
fn properties(component: &Component) -> Vec<Value> {
    let property = |name: &str, value: &str| json!({"name": name, "value": value});
    let mut properties = Vec::new();
    if let Some(module) = &component.module {
        properties.push(property("aquasecurity:trivy:Modularitylabel", module));
    }
    if let Some(source) = &component.source {
        let (epoch, version) = source.version.split_once(':').unwrap_or(("", &source.version));
        let (version, release) = version.rsplit_once('-').unwrap_or((version, ""));
        properties.push(property("aquasecurity:trivy:SrcName", &source.name));
        properties.push(property("aquasecurity:trivy:SrcVersion", version));
        if !release.is_empty() {
            properties.push(property("aquasecurity:trivy:SrcRelease", release));
        }
        if !epoch.is_empty() {
            properties.push(property("aquasecurity:trivy:SrcEpoch", epoch));
        }
    }
    if let Some(kind) = match component.kind {
        PackageKind::Deb => Some("debian"),
        PackageKind::Rpm => Some("redhat"),
        PackageKind::Apk => Some("alpine"),
        _ => None,
    } {
        properties.push(property("aquasecurity:trivy:PkgType", kind));
    }
    // The taxonomy of CycloneDX's own properties.
    if let Some(time) = component.end_of_life {
        properties.push(property("cdx:lifecycle:milestone:endOfSupport", &time.to_string()));
    }
    properties.extend(component.part_of.iter().map(|owner| property("dev.calypte:part-of", owner)));
    properties.extend(component.found_in.iter().map(|path| property("dev.calypte:found-in", path)));
    properties
}

fn operating_system(sbom: &Sbom) -> Option<Value> {
    let distribution = sbom.distribution.as_ref()?;
    let version = distribution.version.as_ref().or(distribution.codename.as_ref());
    let mut document = json!({"type": "operating-system", "bom-ref": "os", "name": distribution.id});
    if let Some(version) = version {
        document["version"] = json!(version);
    }
    if let Some(title) = &distribution.title {
        document["description"] = json!(title);
    }
    if let Some(cpe) = &distribution.cpe {
        document["cpe"] = json!(cpe);
    }
    Some(document)
}

fn file(path: &str, file: &SbomFile) -> Value {
    let mut hashes = vec![json!({"alg": "SHA-256", "content": file.sha256.hex()})];
    hashes.extend(file.sha512.iter().map(|value| json!({"alg": "SHA-512", "content": value})));
    let mut document =
        json!({"type": "file", "bom-ref": format!("file:{path}"), "name": path, "hashes": hashes});
    let mut properties = Vec::new();
    let mut property = |name: &str, value: &str| {
        properties.push(json!({"name": format!("dev.calypte:{name}"), "value": value}))
    };
    match &file.owner {
        FileOwner::Generated { by, of } => {
            property("generated-by", by);
            if let Some(of) = of {
                property("generated-from", of);
            }
        }
        FileOwner::Definition => property("generated-by", "definition"),
        FileOwner::Nobody => property("owner", "unknown"),
        FileOwner::Component(_) => {}
    }
    // BSI TR-03183-2, 5.2.2: whether it can be executed.
    property("executable", if file.executable { "true" } else { "false" });
    if let Some(layer) = file.layer {
        property("layer", &layer.to_string());
    }
    document["properties"] = json!(properties);
    document
}

fn dependencies(sbom: &Sbom) -> Vec<Value> {
    let all: Vec<&str> = sbom.components.keys().map(String::as_str).collect();
    let mut dependencies = vec![json!({"ref": ROOT, "dependsOn": all})];
    for id in sbom.components.keys() {
        let on = sbom.dependencies.get(id).map(|dependencies| &dependencies.on);
        let on: Vec<&String> = on.into_iter().flatten().collect();
        dependencies.push(json!({"ref": id, "dependsOn": on}));
    }
    dependencies
}

/// Which lists of dependencies are whole (CycloneDX `compositions`).
fn compositions(sbom: &Sbom) -> Vec<Value> {
    let mut by_word: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    by_word.entry("complete").or_default().insert(ROOT);
    for id in sbom.components.keys() {
        let word = match sbom.dependencies.get(id).map(|dependencies| dependencies.completeness) {
            Some(Completeness::Complete) => "complete",
            Some(Completeness::Incomplete) => "incomplete",
            Some(Completeness::Unknown) | None => "unknown",
        };
        by_word.entry(word).or_default().insert(id);
    }
    by_word.into_iter().map(|(word, ids)| json!({"aggregate": word, "dependencies": ids})).collect()
}
