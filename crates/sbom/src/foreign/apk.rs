//! apk's record of what is installed → packages and whose each file is.

use calypte_formats::apk::{self, ApkPackage};

use super::bill::{Found, component};
use super::kind::Kind;
use super::relations::Package;
use super::tree::{Resolver, Tree};
use crate::licences;
use crate::model::{PackageKind, SourcePackage};

/// Reads what there is of apk's records.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    let mut resolver = Resolver::new(tree);
    for path in tree.of_kind(Kind::ApkInstalled) {
        let Some(text) = tree.text(path.as_str()) else { continue };
        let packages = match apk::parse(text) {
            Ok(packages) => packages,
            Err(error) => {
                found.gaps.push(format!("{path} cannot be read: {error}"));
                continue;
            }
        };
        for read in packages {
            let package = package(&read, found);
            for file in &read.files {
                if let Some(path) = resolver.file(file) {
                    found.own(path, &package.component.id);
                }
            }
            found.packages.push(package);
        }
    }
}

fn package(read: &ApkPackage, found: &Found) -> Package {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let origin = if read.origin.is_empty() { &read.name } else { &read.origin };
    let mut component = component(PackageKind::Apk, &read.name, &read.version);
    component.id = format!("apk/{}@{}.{}", read.name, read.version, read.architecture);
    component.architecture = some(&read.architecture);
    // What is built together has one version.
    component.source = Some(SourcePackage { name: origin.clone(), version: read.version.clone() });
    component.supplier = some(&read.maintainer);
    component.summary = some(&read.description);
    component.homepage = some(&read.url);
    component.licences = licences::rpm(&read.license);
    component.purl = crate::own::distribution_purl(&component, found.distribution.as_ref());
    Package {
        component,
        needs: read.depends.iter().map(|need| vec![need.clone()]).collect(),
        provides: read.provides.clone(),
        fixes: Default::default(),
    }
}
