//! SPDX 2.3 as JSON: packages, files, and how they belong together. Clause numbers are those of the specification.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::parties::Party;
use super::{OF_THE_WHOLE, Tool, bytes, copyright, licence_of_the_whole, uuid};
use crate::model::{Completeness, Component, FileOwner, Sbom, SbomFile, SourcePackage};
use crate::purl::purl;

const NOASSERTION: &str = "NOASSERTION";

/// What the image as a whole is called.
const ROOT: &str = "SPDXRef-Image";

/// What the distribution is called.
const SYSTEM: &str = "SPDXRef-OperatingSystem";

/// Writes the document.
#[must_use]
pub fn spdx23(sbom: &Sbom, tool: &Tool) -> Vec<u8> {
    let ids = Ids::of(sbom);
    let mut relationships = vec![relationship("SPDXRef-DOCUMENT", "DESCRIBES", ROOT)];
    let mut packages = vec![root(sbom, tool)];
    for component in sbom.components.values() {
        let id = ids.component(&component.id);
        packages.push(package(component, &id, &ids.files_of(sbom, &component.id), sbom));
        relationships.push(relationship(ROOT, "CONTAINS", &id));
        if let Some(source) = &component.source {
            relationships.push(relationship(&id, "GENERATED_FROM", &ids.source(source)));
        }
        if let Some(owner) = &component.part_of {
            relationships.push(relationship(&ids.component(owner), "CONTAINS", &id));
        }
        depends(sbom, component, &id, &ids, &mut relationships);
    }
    if let Some(system) = operating_system(sbom) {
        packages.push(system);
        relationships.push(relationship(ROOT, "CONTAINS", SYSTEM));
    }
    for (source, component) in &ids.sources {
        packages.push(source_package(source, component, &ids.source(source)));
    }
    for (path, file) in &sbom.files {
        let owner = match &file.owner {
            FileOwner::Component(id) => ids.component(id),
            _ => ROOT.to_owned(),
        };
        relationships.push(relationship(&owner, "CONTAINS", &ids.file(path)));
        if let FileOwner::Generated { of: Some(id), .. } = &file.owner {
            relationships.push(relationship(&ids.file(path), "GENERATED_FROM", &ids.component(id)));
        }
    }
    let files: Vec<Value> = sbom.files.iter().map(|(path, file)| self::file(path, file, &ids)).collect();
    let uuid = uuid(sbom, "spdx-2.3");
    let document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": sbom.subject.name,
        "documentNamespace": format!("https://spdx.org/spdxdocs/{}-{uuid}", sound(&sbom.subject.name)),
        "creationInfo": {
            "created": sbom.created.to_string(),
            "creators": [
                format!("Organization: {}", tool.organization),
                format!("Tool: {}-{}", tool.name, tool.version),
            ],
            // Fuller Software Component Transparency, third edition: the type of the document.
            "comment": "SBOM Type: Build. Relations of a package that are not known to be all end in NOASSERTION.",
        },
        "documentDescribes": [ROOT],
        "packages": packages,
        "files": files,
        "relationships": relationships,
        "hasExtractedLicensingInfos": texts(sbom),
    });
    bytes(&document)
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
}

fn depends(sbom: &Sbom, component: &Component, id: &str, ids: &Ids<'_>, relationships: &mut Vec<Value>) {
    let Some(dependencies) = sbom.dependencies.get(&component.id) else {
        relationships.push(relationship(id, "DEPENDS_ON", NOASSERTION));
        return;
    };
    for other in &dependencies.on {
        relationships.push(relationship(id, "DEPENDS_ON", &ids.component(other)));
    }
    match dependencies.completeness {
        Completeness::Complete if dependencies.on.is_empty() => {
            relationships.push(relationship(id, "DEPENDS_ON", "NONE"));
        }
        Completeness::Complete => {}
        Completeness::Incomplete | Completeness::Unknown => {
            relationships.push(relationship(id, "DEPENDS_ON", NOASSERTION));
        }
    }
}

fn root(sbom: &Sbom, tool: &Tool) -> Value {
    let subject = &sbom.subject;
    let supplier = subject.supplier.as_ref().unwrap_or(&tool.organization);
    let digest = subject.digest.map(|digest| digest.to_string()).unwrap_or_default();
    let purl = purl(
        "oci",
        "",
        subject.name.split(':').next().unwrap_or_default(),
        &digest,
        &[("arch", subject.architecture.as_deref().unwrap_or_default())],
    );
    let loose: Vec<&SbomFile> =
        sbom.files.values().filter(|file| !matches!(file.owner, FileOwner::Component(_))).collect();
    let mut package = json!({
        "SPDXID": ROOT,
        "name": subject.name,
        "versionInfo": subject.version.clone().or_else(|| subject.digest.map(|digest| digest.to_string()))
            .unwrap_or_else(|| sbom.created.to_string()),
        "supplier": format!("Organization: {supplier}"),
        "downloadLocation": NOASSERTION,
        "licenseConcluded": licence_of_the_whole(sbom).unwrap_or_else(|| NOASSERTION.to_owned()),
        "licenseDeclared": NOASSERTION,
        "copyrightText": OF_THE_WHOLE,
        "primaryPackagePurpose": "CONTAINER",
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl,
        }],
    });
    if let Some(digest) = subject.digest {
        package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": digest.hex()}]);
    }
    analysed(&mut package, &loose);
    package
}

/// The distribution: scanners look here for whose advisories count.
fn operating_system(sbom: &Sbom) -> Option<Value> {
    let distribution = sbom.distribution.as_ref().filter(|distribution| !distribution.id.is_empty())?;
    let version = distribution.version.as_ref().or(distribution.codename.as_ref());
    let mut package = json!({
        "SPDXID": SYSTEM,
        "name": distribution.id,
        "supplier": format!("Organization: {}", distribution.id),
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": licence_of_the_whole(sbom).unwrap_or_else(|| NOASSERTION.to_owned()),
        "licenseDeclared": NOASSERTION,
        "copyrightText": OF_THE_WHOLE,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
    });
    if let Some(version) = version {
        package["versionInfo"] = json!(version);
    }
    if let Some(title) = &distribution.title {
        package["summary"] = json!(title);
    }
    if let Some(cpe) = &distribution.cpe {
        package["externalRefs"] = json!([self::cpe(cpe)]);
    }
    Some(package)
}

/// A reference to a name in the Common Platform Enumeration: a URI of version 2.2, or a string of version 2.3.
fn cpe(name: &str) -> Value {
    let kind = if name.starts_with("cpe:2.3:") { "cpe23Type" } else { "cpe22Type" };
    json!({"referenceCategory": "SECURITY", "referenceType": kind, "referenceLocator": name})
}

fn package(component: &Component, id: &str, files: &[&SbomFile], sbom: &Sbom) -> Value {
    let supplier = component.supplier.as_deref().or(sbom.subject.supplier.as_deref());
    let mut external = vec![json!({
        "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": component.purl,
    })];
    external.extend(component.cpes.iter().map(|name| cpe(name)));
    let mut package = json!({
        "SPDXID": id,
        "name": component.name,
        "versionInfo": component.version,
        "supplier": supplier.map_or_else(|| NOASSERTION.to_owned(), |text| Party::parse(text).spdx2()),
        "downloadLocation": NOASSERTION,
        "licenseConcluded": component.licences.concluded.as_deref().unwrap_or(NOASSERTION),
        "licenseDeclared": component.licences.declared.as_deref().unwrap_or(NOASSERTION),
        "copyrightText": copyright(component),
        "primaryPackagePurpose": "LIBRARY",
        "externalRefs": external,
    });
    if let Some(summary) = &component.summary {
        package["summary"] = json!(summary);
    }
    if let Some(homepage) = component.homepage.as_ref().filter(|url| url.starts_with("http")) {
        package["homepage"] = json!(homepage);
    }
    if let Some(sha256) = component.sha256 {
        package["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": sha256.hex()}]);
    }
    if let Some(time) = component.end_of_life {
        package["validUntilDate"] = json!(time.to_string());
    }
    if let Some(source) = &component.source {
        // In these words Trivy looks for the source package, by which Debian's advisories go.
        package["sourceInfo"] = json!(format!("built package from: {} {}", source.name, source.version));
    } else if !component.found_in.is_empty() {
        let paths: Vec<&str> = component.found_in.iter().map(String::as_str).collect();
        package["sourceInfo"] = json!(format!("found in {}", paths.join(", ")));
    }
    analysed(&mut package, files);
    package
}

/// Files may only be contained in a package that says that they were looked at, with the code over them (7.8, 7.9).
fn analysed(package: &mut Value, files: &[&SbomFile]) {
    let mut hashes: Vec<&str> = files.iter().filter_map(|file| file.sha1.as_deref()).collect();
    package["filesAnalyzed"] = json!(!hashes.is_empty());
    if hashes.is_empty() {
        return;
    }
    hashes.sort_unstable();
    let code: String =
        Sha1::digest(hashes.concat().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    package["packageVerificationCode"] = json!({"packageVerificationCodeValue": code});
}

fn source_package(source: &SourcePackage, component: &Component, id: &str) -> Value {
    let locator = source_purl(source, component);
    json!({
        "SPDXID": id,
        "name": source.name,
        "versionInfo": source.version,
        "supplier": component.supplier.as_deref()
            .map_or_else(|| NOASSERTION.to_owned(), |text| Party::parse(text).spdx2()),
        "downloadLocation": NOASSERTION,
        "filesAnalyzed": false,
        "licenseConcluded": component.licences.concluded.as_deref().unwrap_or(NOASSERTION),
        "licenseDeclared": component.licences.declared.as_deref().unwrap_or(NOASSERTION),
        "copyrightText": copyright(component),
        "primaryPackagePurpose": "SOURCE",
        // Not as `purl`: whatever has one, scanners take for installed.
        "externalRefs": [{
            "referenceCategory": "OTHER", "referenceType": "source-purl", "referenceLocator": locator,
        }],
    })
}

/// The package URL of a source package: the component's, under the source's name.
pub(super) fn source_purl(source: &SourcePackage, component: &Component) -> String {
    let kind = component.kind.purl_type();
    // `pkg:kind/namespace/name@version?qualifiers`; the namespace may be missing.
    let path = component.purl.split(['@', '?']).next().unwrap_or_default();
    let namespace = path.rsplit_once('/').map_or("", |(before, _)| before);
    let namespace =
        namespace.strip_prefix("pkg:").and_then(|rest| rest.strip_prefix(kind)).unwrap_or_default();
    let architecture = if kind == "rpm" { "src" } else { "source" };
    purl(kind, namespace, &source.name, &source.version, &[("arch", architecture)])
}

fn file(path: &str, file: &SbomFile, ids: &Ids<'_>) -> Value {
    let mut checksums = Vec::new();
    let sha256 = Some(file.sha256.hex());
    let known = [("SHA1", &file.sha1), ("SHA256", &sha256), ("SHA512", &file.sha512)];
    for (algorithm, value) in known {
        checksums.extend(value.iter().map(|value| json!({"algorithm": algorithm, "checksumValue": value})));
    }
    let mut document = json!({
        "SPDXID": ids.file(path),
        "fileName": format!(".{path}"),
        "checksums": checksums,
        "licenseConcluded": NOASSERTION,
        "licenseInfoInFiles": [NOASSERTION],
        "copyrightText": NOASSERTION,
    });
    if let Some(comment) = comment(file) {
        document["comment"] = json!(comment);
    }
    document
}

/// What is to be said of a file beside whose it is.
fn comment(file: &SbomFile) -> Option<String> {
    let made = match &file.owner {
        FileOwner::Generated { by, .. } => Some(format!("generated by {by}")),
        FileOwner::Definition => Some("made by the image's definition".to_owned()),
        FileOwner::Nobody => Some("no package is known to own it".to_owned()),
        FileOwner::Component(_) => None,
    };
    let layer = file.layer.map(|layer| format!("layer {layer}"));
    let parts: Vec<String> = made.into_iter().chain(layer).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn texts(sbom: &Sbom) -> Vec<Value> {
    let mut texts = BTreeMap::new();
    for component in sbom.components.values() {
        texts.extend(component.licences.texts.iter());
    }
    let entry = |(id, text): (&String, &String)| json!({"licenseId": id, "name": id, "extractedText": text});
    texts.into_iter().map(entry).collect()
}

/// Identifiers of the document's elements: letters, digits, dots and dashes only (3.2.4), so a number makes them unique.
struct Ids<'a> {
    components: BTreeMap<&'a str, String>,
    files: BTreeMap<&'a str, usize>,
    owned: BTreeMap<&'a str, Vec<&'a str>>,
    sources: BTreeMap<&'a SourcePackage, &'a Component>,
    source_ids: BTreeMap<&'a SourcePackage, String>,
}

impl<'a> Ids<'a> {
    fn of(sbom: &'a Sbom) -> Self {
        let numbered = sbom.components.keys().enumerate();
        let components = numbered
            .map(|(number, id)| (id.as_str(), format!("SPDXRef-Package-{}-{number}", sound(id))))
            .collect();
        let mut owned: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (path, file) in &sbom.files {
            if let FileOwner::Component(id) = &file.owner {
                owned.entry(id).or_default().push(path);
            }
        }
        let sources: BTreeMap<&SourcePackage, &Component> = sbom
            .components
            .values()
            .rev()
            .filter_map(|component| Some((component.source.as_ref()?, component)))
            .collect();
        let source_ids = sources
            .keys()
            .enumerate()
            .map(|(number, source)| (*source, format!("SPDXRef-Source-{}-{number}", sound(&source.name))))
            .collect();
        let files = sbom.files.keys().enumerate().map(|(number, path)| (path.as_str(), number)).collect();
        Self { components, files, owned, sources, source_ids }
    }

    fn component(&self, id: &str) -> String {
        self.components.get(id).cloned().unwrap_or_else(|| NOASSERTION.to_owned())
    }

    fn file(&self, path: &str) -> String {
        self.files.get(path).map_or_else(|| NOASSERTION.to_owned(), |number| format!("SPDXRef-File-{number}"))
    }

    fn source(&self, source: &SourcePackage) -> String {
        self.source_ids.get(source).cloned().unwrap_or_else(|| NOASSERTION.to_owned())
    }

    fn files_of<'s>(&self, sbom: &'s Sbom, id: &str) -> Vec<&'s SbomFile> {
        let paths: &BTreeSet<&str> = &self.owned.get(id).into_iter().flatten().copied().collect();
        paths.iter().filter_map(|path| sbom.files.get(*path)).collect()
    }
}

/// What an identifier may hold.
fn sound(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect()
}
