//! What compilers noted in programs → the modules of Go and the crates of Rust that are in them.

use std::collections::BTreeSet;

use calypte_base::TreePath;
use calypte_formats::cargo_auditable::{AuditableCrate, AuditableCrates, CrateKind};
use calypte_formats::go_build_info::{BuildInfo, GoModule};

use super::bill::{Found, component};
use super::tree::Tree;
use crate::model::{Completeness, Dependencies, PackageKind};
use crate::purl::purl;

/// What a module is called that was built out of a working directory.
const UNVERSIONED: &str = "(devel)";

/// Reads what programs tell.
pub(super) fn catalogue(tree: &Tree, found: &mut Found) {
    for (path, facts) in tree.facts() {
        found.gaps.extend(facts.gaps.iter().map(|gap| format!("{path}: {gap}")));
        if let Some(go) = &facts.go {
            go_modules(path, go, found);
        }
        if let Some(crates) = &facts.crates {
            rust_crates(path, crates, found);
        }
    }
}

fn go_modules(path: &TreePath, info: &BuildInfo, found: &mut Found) {
    let mut on: BTreeSet<String> = info.modules.iter().map(|one| go_module(path, one, found)).collect();
    let owned = found.owners.contains_key(path);
    match info.library_version() {
        Some(version) => _ = on.insert(go_component(path, "stdlib", &version, found)),
        None if owned => {}
        None => {
            let gap = "the version of Go's library in it is none of a release";
            found.gaps.push(format!("{path}: {gap} ({})", info.go.chars().take(100).collect::<String>()));
        }
    }
    let of_go = info.path.as_deref().is_none_or(|path| path.starts_with("cmd/"));
    if info.main.is_none() && info.modules.is_empty() && !of_go && !owned {
        found.gaps.push(format!("{path}: it was built by Go without modules, so what is in it is not known"));
    }
    if let Some(main) = &info.main {
        let id = go_module(path, main, found);
        found.own_as_language(path, &id);
        let dependencies = Dependencies { on, completeness: Completeness::Complete };
        found.language_needs.insert(id, dependencies);
    }
}

/// A module, or what was taken instead of it. A directory that was taken instead has no name that anybody knows: then
/// the module counts that it stands for.
fn go_module(path: &TreePath, module: &GoModule, found: &mut Found) -> String {
    let local = |other: &GoModule| other.path.starts_with(['.', '/']) || other.version.is_empty();
    let module = module.replaced_by.as_deref().filter(|other| !local(other)).unwrap_or(module);
    go_component(path, &module.path, &module.version, found)
}

fn go_component(path: &TreePath, name: &str, version: &str, found: &mut Found) -> String {
    let mut component = component(PackageKind::Go, name, version);
    component.id = format!("golang/{name}@{version}#{path}");
    let (namespace, last) = name.rsplit_once('/').unwrap_or(("", name));
    let known = if version == UNVERSIONED { "" } else { version };
    component.purl = purl("golang", namespace, last, known, &[]);
    component.found_in.insert(path.to_string());
    let id = component.id.clone();
    found.language.push(component);
    id
}

fn rust_crates(path: &TreePath, crates: &AuditableCrates, found: &mut Found) {
    let id = |one: &AuditableCrate| format!("cargo/{}@{}#{path}", one.name, one.version);
    let is_in = |one: &&AuditableCrate| one.kind == CrateKind::Runtime;
    for one in crates.packages.iter().filter(is_in) {
        let mut component = component(PackageKind::Cargo, &one.name, &one.version);
        component.id = id(one);
        component.purl = purl("cargo", "", &one.name, &one.version, &[]);
        component.found_in.insert(path.to_string());
        let needs = one.dependencies.iter().filter_map(|number| crates.packages.get(*number));
        let on = needs.filter(is_in).map(id).filter(|other| *other != component.id).collect();
        let dependencies = Dependencies { on, completeness: Completeness::Complete };
        found.language_needs.insert(component.id.clone(), dependencies);
        if one.root {
            found.own_as_language(path, &component.id);
        }
        found.language.push(component);
    }
}
