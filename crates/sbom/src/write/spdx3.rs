//! SPDX 3.0.1 as JSON-LD: core, software and simple-licensing profiles. Each element is named by an address below the
//! document's; every relation says how complete it is.

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::Digest;
use serde_json::{Value, json};

use super::parties::Party;
use super::spdx2::source_purl;
use super::{OF_THE_WHOLE, Tool, bytes, copyright, licence_of_the_whole, uuid};
use crate::model::{Completeness, Component, FileOwner, Sbom, SbomFile, SourcePackage};

/// The node that all creation is ascribed to.
const CREATION: &str = "_:creation";

/// Writes the document.
#[must_use]
pub fn spdx301(sbom: &Sbom, tool: &Tool) -> Vec<u8> {
    let mut graph = Graph::new(sbom, tool);
    graph.people();
    graph.root();
    for component in sbom.components.values() {
        graph.component(component);
    }
    graph.sources();
    graph.files();
    graph.close()
}

struct Graph<'a> {
    sbom: &'a Sbom,
    tool: &'a Tool,
    /// What all addresses begin with.
    base: String,
    elements: Vec<Value>,
    ids: Vec<String>,
    licences: BTreeMap<String, String>,
    suppliers: BTreeMap<String, String>,
    /// The licence texts that were added.
    texts: BTreeSet<String>,
    relations: usize,
}

impl<'a> Graph<'a> {
    fn new(sbom: &'a Sbom, tool: &'a Tool) -> Self {
        Self {
            sbom,
            tool,
            base: format!("https://spdx.org/spdxdocs/{}/", uuid(sbom, "spdx-3.0.1")),
            elements: Vec::new(),
            ids: Vec::new(),
            licences: BTreeMap::new(),
            suppliers: BTreeMap::new(),
            texts: BTreeSet::new(),
            relations: 0,
        }
    }

    fn id(&self, kind: &str, name: &str) -> String {
        let mut id = format!("{}{kind}/", self.base);
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b".-_~/".contains(&byte) {
                id.push(char::from(byte));
            } else {
                id.push_str(&format!("%{byte:02X}"));
            }
        }
        id
    }

    /// Adds an element; the creation and the identifier are the same for all.
    fn add(&mut self, kind: &str, id: &str, mut fields: Value) {
        fields["type"] = json!(kind);
        fields["spdxId"] = json!(id);
        fields["creationInfo"] = json!(CREATION);
        self.ids.push(id.to_owned());
        self.elements.push(fields);
    }

    fn relate(&mut self, kind: &str, from: &str, to: &[String], completeness: Option<Completeness>) {
        let id = format!("{}Relationship/{}", self.base, self.relations);
        self.relations += 1;
        // An empty list of ends is written as the individual that stands for none or for what is not known.
        let known = match completeness {
            Some(Completeness::Complete) => "complete",
            Some(Completeness::Incomplete) => "incomplete",
            Some(Completeness::Unknown) | None => "noAssertion",
        };
        let nobody = match completeness {
            Some(Completeness::Complete) => "https://spdx.org/rdf/3.0.1/terms/Core/NoneElement",
            _ => "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement",
        };
        let to = if to.is_empty() { vec![nobody.to_owned()] } else { to.to_vec() };
        self.add(
            "Relationship",
            &id,
            json!({"from": from, "to": to, "relationshipType": kind, "completeness": known}),
        );
    }

    fn people(&mut self) {
        let organization = self.id("Agent", &self.tool.organization);
        self.add("Organization", &organization, json!({"name": self.tool.organization}));
        let tool = self.id("Tool", &self.tool.name);
        self.add("Tool", &tool, json!({"name": format!("{}-{}", self.tool.name, self.tool.version)}));
    }

    /// The element of a supplier, which is made when it is first named.
    fn supplier(&mut self, text: &str) -> String {
        if let Some(id) = self.suppliers.get(text) {
            return id.clone();
        }
        let party = Party::parse(text);
        let id = self.id("Supplier", text);
        let mut fields = json!({"name": party.name});
        if let Some(mail) = &party.mail {
            fields["externalIdentifier"] = json!([{
                "type": "ExternalIdentifier", "externalIdentifierType": "email", "identifier": mail,
            }]);
        }
        self.add(if party.is_organization { "Organization" } else { "Person" }, &id, fields);
        self.suppliers.insert(text.to_owned(), id.clone());
        id
    }

    fn root_id(&self) -> String {
        self.id("Image", &self.sbom.subject.name)
    }

    fn root(&mut self) {
        let subject = &self.sbom.subject;
        let supplier = subject.supplier.clone().unwrap_or_else(|| self.tool.organization.clone());
        let supplier = self.supplier(&supplier);
        let version = subject.version.clone().or_else(|| subject.digest.map(|digest| digest.to_string()));
        let mut fields = json!({
            "name": subject.name,
            "software_packageVersion": version.unwrap_or_else(|| self.sbom.created.to_string()),
            "software_primaryPurpose": "container",
            "software_copyrightText": OF_THE_WHOLE,
            "suppliedBy": supplier,
            "builtTime": self.sbom.created.to_string(),
        });
        if let Some(digest) = subject.digest {
            fields["verifiedUsing"] = json!([hash("sha256", &digest.hex())]);
        }
        let id = self.root_id();
        self.add("software_Package", &id, fields);
        self.conclude_whole(&id);
    }

    fn conclude_whole(&mut self, id: &str) {
        if let Some(expression) = licence_of_the_whole(self.sbom) {
            let texts = self.sbom.components.values().flat_map(|component| component.licences.texts.clone());
            let licence = self.licence(&expression, &texts.collect());
            self.relate("hasConcludedLicense", id, &[licence], None);
        }
    }

    /// The distribution; its identifier, where the image has one.
    fn operating_system(&mut self) -> Option<String> {
        let distribution =
            self.sbom.distribution.as_ref().filter(|distribution| !distribution.id.is_empty())?;
        let supplier = self.supplier(&distribution.id);
        let mut fields = json!({
            "name": distribution.id,
            "software_primaryPurpose": "operatingSystem",
            "software_copyrightText": OF_THE_WHOLE,
            "suppliedBy": supplier,
        });
        if let Some(version) = distribution.version.as_ref().or(distribution.codename.as_ref()) {
            fields["software_packageVersion"] = json!(version);
        }
        if let Some(title) = &distribution.title {
            fields["summary"] = json!(title);
        }
        if let Some(cpe) = &distribution.cpe {
            fields["externalIdentifier"] = json!([self::cpe(cpe)]);
        }
        let id = self.id("Distribution", &distribution.id);
        self.add("software_Package", &id, fields);
        self.conclude_whole(&id);
        Some(id)
    }

    fn component(&mut self, component: &Component) {
        let id = self.id("Package", &component.id);
        self.package(&id, component, &component.name, &component.version, &component.purl, "library");
        if let Some(source) = &component.source {
            let source = self.source_id(component, source);
            self.relate("generates", &source, std::slice::from_ref(&id), None);
        }
        let dependencies = self.sbom.dependencies.get(&component.id);
        let on: Vec<String> = dependencies
            .into_iter()
            .flat_map(|dependencies| &dependencies.on)
            .map(|other| self.id("Package", other))
            .collect();
        let completeness = dependencies.map(|dependencies| dependencies.completeness);
        self.relate("dependsOn", &id, &on, completeness.or(Some(Completeness::Unknown)));
    }

    fn package(
        &mut self,
        id: &str,
        component: &Component,
        name: &str,
        version: &str,
        purl: &str,
        purpose: &str,
    ) {
        let mut fields = json!({
            "name": name,
            "software_packageVersion": version,
            "software_packageUrl": purl,
            "software_primaryPurpose": purpose,
            "software_copyrightText": copyright(component),
        });
        if let Some(supplier) = &component.supplier {
            fields["suppliedBy"] = json!(self.supplier(supplier));
        }
        if let Some(summary) = &component.summary {
            fields["summary"] = json!(summary);
        }
        if let Some(homepage) = component.homepage.as_ref().filter(|url| url.starts_with("http")) {
            fields["software_homePage"] = json!(homepage);
        }
        if purpose != "source" {
            if let Some(sha256) = component.sha256 {
                fields["verifiedUsing"] = json!([hash("sha256", &sha256.hex())]);
            }
            if let Some(time) = component.end_of_life {
                fields["validUntilTime"] = json!(time.to_string());
            }
            if !component.cpes.is_empty() {
                fields["externalIdentifier"] =
                    json!(component.cpes.iter().map(|name| cpe(name)).collect::<Vec<_>>());
            }
        }
        self.add("software_Package", id, fields);
        let licences = &component.licences;
        for (kind, expression) in
            [("hasDeclaredLicense", &licences.declared), ("hasConcludedLicense", &licences.concluded)]
        {
            let licence = expression.as_ref().map(|expression| self.licence(expression, &licences.texts));
            self.relate(kind, id, &licence.into_iter().collect::<Vec<_>>(), None);
        }
    }

    fn licence(&mut self, expression: &str, texts: &BTreeMap<String, String>) -> String {
        if let Some(id) = self.licences.get(expression) {
            return id.clone();
        }
        let id = match expression.len() {
            ..=80 => self.id("License", expression),
            // Some would make addresses of several kilobytes.
            _ => self.id("License", &Digest::of(expression.as_bytes()).hex()),
        };
        let named = texts.iter().filter(|(name, _)| expression.contains(name.as_str()));
        let mut custom = Vec::new();
        for (name, text) in named {
            let address = self.id("LicenseText", name);
            if self.texts.insert(address.clone()) {
                self.add(
                    "simplelicensing_SimpleLicensingText",
                    &address,
                    json!({
                        "simplelicensing_licenseText": text,
                    }),
                );
            }
            custom.push(json!({"type": "DictionaryEntry", "key": name, "value": address}));
        }
        let mut fields = json!({"simplelicensing_licenseExpression": expression});
        if !custom.is_empty() {
            fields["simplelicensing_customIdToUri"] = json!(custom);
        }
        self.add("simplelicensing_LicenseExpression", &id, fields);
        self.licences.insert(expression.to_owned(), id.clone());
        id
    }

    fn source_id(&self, component: &Component, source: &SourcePackage) -> String {
        self.id("Source", &format!("{}/{}@{}", component.kind, source.name, source.version))
    }

    fn sources(&mut self) {
        let mut seen = BTreeSet::new();
        for component in self.sbom.components.values() {
            let Some(source) = &component.source else { continue };
            let id = self.source_id(component, source);
            if seen.insert(id.clone()) {
                let purl = source_purl(source, component);
                self.package(&id, component, &source.name, &source.version, &purl, "source");
            }
        }
    }

    fn files(&mut self) {
        let root = self.root_id();
        let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut packages: Vec<String> =
            self.sbom.components.keys().map(|id| self.id("Package", id)).collect();
        packages.extend(self.operating_system());
        held.insert(root.clone(), packages);
        for component in self.sbom.components.values() {
            if let Some(owner) = &component.part_of {
                let owner = self.id("Package", owner);
                held.entry(owner).or_default().push(self.id("Package", &component.id));
            }
        }
        for (path, file) in &self.sbom.files {
            let id = self.id("File", path);
            let owner = match &file.owner {
                FileOwner::Component(component) => self.id("Package", component),
                _ => root.clone(),
            };
            held.entry(owner).or_default().push(id.clone());
            self.add("software_File", &id, file_fields(path, file));
            if let FileOwner::Generated { of: Some(component), .. } = &file.owner {
                let component = self.id("Package", component);
                self.relate("generates", &component, std::slice::from_ref(&id), None);
            }
        }
        for (owner, members) in held {
            self.relate("contains", &owner, &members, Some(Completeness::Complete));
        }
    }

    fn close(mut self) -> Vec<u8> {
        let (root, organization) = (self.root_id(), self.id("Agent", &self.tool.organization));
        let sbom = self.id("Sbom", &self.sbom.subject.name);
        let members = self.ids.clone();
        self.add(
            "software_Sbom",
            &sbom,
            json!({
                "rootElement": [root],
                "element": members,
                "software_sbomType": ["build"],
                "profileConformance": ["core", "software", "simpleLicensing"],
            }),
        );
        let members = self.ids.clone();
        let document = self.id("Document", &self.sbom.subject.name);
        self.add(
            "SpdxDocument",
            &document,
            json!({
                "name": self.sbom.subject.name,
                "rootElement": [sbom],
                "element": members,
                "profileConformance": ["core", "software", "simpleLicensing"],
            }),
        );
        let creation = json!({
            "type": "CreationInfo",
            "@id": CREATION,
            "specVersion": "3.0.1",
            "created": self.sbom.created.to_string(),
            "createdBy": [organization],
            "createdUsing": [self.id("Tool", &self.tool.name)],
        });
        let mut graph = vec![creation];
        graph.append(&mut self.elements);
        bytes(&json!({
            "@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld",
            "@graph": graph,
        }))
    }
}

fn hash(algorithm: &str, value: &str) -> Value {
    json!({"type": "Hash", "algorithm": algorithm, "hashValue": value})
}

fn file_fields(path: &str, file: &SbomFile) -> Value {
    let mut hashes = vec![hash("sha256", &file.sha256.hex())];
    hashes.extend(file.sha512.iter().map(|value| hash("sha512", value)));
    let mut fields = json!({"name": path, "verifiedUsing": hashes});
    if file.executable {
        fields["software_primaryPurpose"] = json!("executable");
    }
    let made = match &file.owner {
        FileOwner::Generated { by, of: Some(of) } => Some(format!("generated by {by} out of {of}")),
        FileOwner::Generated { by, of: None } => Some(format!("generated by {by}")),
        FileOwner::Definition => Some("made by the image's definition".to_owned()),
        FileOwner::Nobody => Some("no package is known to own it".to_owned()),
        FileOwner::Component(_) => None,
    };
    let layer = file.layer.map(|layer| format!("layer {layer}"));
    let comments: Vec<String> = made.into_iter().chain(layer).collect();
    if !comments.is_empty() {
        fields["comment"] = json!(comments.join("; "));
    }
    fields
}

/// A name in the Common Platform Enumeration: a URI of version 2.2, or a string of version 2.3.
fn cpe(name: &str) -> Value {
    let kind = if name.starts_with("cpe:2.3:") { "cpe23" } else { "cpe22" };
    json!({"type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": name})
}
