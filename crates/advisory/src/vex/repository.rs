//! What counts for images → a VEX repository (Aqua's VEX Repository Specification 0.1): one OpenVEX document for each image
//! and each package, an index by their package URLs, and the manifest that says where the repository lies.

use std::collections::BTreeMap;

use calypte_base::Epoch;
use calypte_sbom::write::Tool;
use serde_json::{Value, json};

use super::csaf::Tree;
use super::merge::Decided;
use super::openvex::{Author, write};
use super::purl::Purl;

/// What a repository says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// What it holds, in a sentence.
    pub description: String,
    /// The address of the archive of its files, behind `//` the directory in it.
    pub location: String,
}

/// The files of the repository. The index bears the time of the newest statement, so that the same statements give the same
/// bytes.
#[must_use]
pub fn repository(decided: &[Decided], about: &Repository, author: &Author, tool: &Tool) -> Tree {
    let mut by_id: BTreeMap<Purl, Vec<Decided>> = BTreeMap::new();
    for decided in decided {
        let mut image = decided.image.purl();
        // Images of one name in two repositories are two.
        image.version = None;
        image.qualifiers.retain(|key, _| key == "repository_url");
        by_id.entry(image).or_default().push(decided.clone());
        // What is said of a package in some image alone is in that image's document.
        if let Some(purl) = decided.package.as_ref().filter(|_| decided.is_general) {
            by_id.entry(purl.package()).or_default().push(decided.clone());
        }
    }
    let newest = decided.iter().map(|decided| decided.statement.updated).max().unwrap_or(Epoch(0));
    let mut tree = Tree::new();
    let mut packages = Vec::new();
    for (id, decided) in by_id {
        let location = location(&id);
        packages.push(json!({"id": id.to_string(), "location": location}));
        tree.insert(location, write(&decided, author, tool));
    }
    let index = json!({"updated_at": newest.to_string(), "packages": packages});
    let manifest = json!({
        "name": about.name,
        "description": about.description,
        "versions": [{
            "spec_version": "0.1",
            "locations": [{"url": about.location}],
            "update_interval": "24h",
        }],
    });
    tree.insert("index.json".to_owned(), bytes(&index));
    // It is looked for in the first place on the web, and stands in the second inside the archive.
    tree.insert(".well-known/vex-repository.json".to_owned(), bytes(&manifest));
    tree.insert("vex-repository.json".to_owned(), bytes(&manifest));
    tree
}

/// Where a document lies: below its type, in the parts of its name. Each part is one that no path leaves by.
fn location(id: &Purl) -> String {
    let name = format!("{}/{}", id.namespace, id.name);
    let whole = id.qualifiers.get("repository_url").unwrap_or(&name);
    let parts = whole.split('/').filter(|part| !part.is_empty() && *part != "." && *part != "..");
    let safe = |part: &str| -> String {
        let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "+-._@~".contains(letter);
        part.chars().map(|letter| if is_safe(letter) { letter } else { '_' }).collect()
    };
    let parts: Vec<String> = parts.map(safe).collect();
    format!("pkg/{}/{}/vex.openvex.json", id.kind, parts.join("/"))
}

fn bytes(document: &Value) -> Vec<u8> {
    // A tree of JSON values always can be written.
    let mut bytes = serde_json::to_vec_pretty(document).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::apply::tests::bill;
    use super::super::merge::tests::statement;
    use super::super::{Scanned, for_image, openvex};
    use super::*;

    #[test]
    fn every_document_of_the_index_is_there_and_says_one_thing_of_each_product() {
        let bill = bill();
        let scanned = Scanned::new(&bill).in_repository("ghcr.io/x/nginx");
        let decided = for_image(&[statement("CVE-2024-1", "pkg:deb/debian/a?arch=source")], &scanned);
        let about = Repository {
            name: "x".to_owned(),
            description: String::new(),
            location: "https://e/x.tgz".to_owned(),
        };
        let author = Author { name: "e".to_owned(), role: None, namespace: "https://e".to_owned() };
        let tool = Tool { name: "t".to_owned(), version: "1".to_owned(), organization: "e".to_owned() };
        let tree = repository(&decided, &about, &author, &tool);
        let index: Value = serde_json::from_slice(&tree["index.json"]).unwrap();
        let packages = index["packages"].as_array().unwrap();
        let ids: Vec<&str> = packages.iter().map(|package| package["id"].as_str().unwrap()).collect();
        assert_eq!(
            ids,
            ["pkg:deb/debian/a", "pkg:deb/debian/a-data", "pkg:oci/nginx?repository_url=ghcr.io%2Fx%2Fnginx"]
        );
        for package in packages {
            let location = package["location"].as_str().unwrap();
            let read = openvex::read(location, &tree[location]).unwrap();
            assert_eq!(read.statements.len(), 1, "{location}");
        }
        assert!(tree.contains_key("pkg/oci/ghcr.io/x/nginx/vex.openvex.json"));
        assert!(tree.contains_key("pkg/deb/debian/a/vex.openvex.json"));
    }

    #[test]
    fn no_name_leads_out_of_the_repository() {
        let id = "pkg:oci/x?repository_url=..%2F..%2Fetc%2Fa b".parse().unwrap();
        assert_eq!(location(&id), "pkg/oci/etc/a_b/vex.openvex.json");
    }
}
