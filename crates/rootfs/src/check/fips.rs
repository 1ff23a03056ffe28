//! An image that is to be one for FIPS has OpenSSL's FIPS provider, uses it, and holds no library with cryptography of its
//! own beside it. Whether what a module was validated as is what is here, no file can tell: docs/concepts/fips.md.

use calypte_base::TreePath;
use calypte_definition::{Allowance, Requirement};

use super::CheckFailure;
use crate::context::FinishContext;
use crate::finishers::fips::provider;
use crate::tree::{FileTree, Owner};

/// Libraries that bring algorithms of their own, by the beginning of their file names.
const UNVALIDATED: [&str; 14] = [
    "libbotan",
    "libcryptopp.so",
    "libfreebl3.so",
    "libfreeblpriv3.so",
    "libgcrypt.so",
    "libgnutls.so",
    "libhogweed.so",
    "libmbedcrypto.so",
    "libnettle.so",
    "libsodium.so",
    "libsoftokn3.so",
    "libtomcrypt.so",
    "libtommath.so",
    "libwolfssl.so",
];

/// What `openssl.cnf` has to say for the provider to be loaded, and for all algorithms to be asked of it.
const ACTIVE: [&str; 3] = ["fipsmodule.cnf", "fips = fips_sect", "default_properties = fips=yes"];

/// Finds what keeps the provider from being the only cryptography there is.
pub(super) fn check(tree: &FileTree, context: &FinishContext<'_>) -> Vec<CheckFailure> {
    if !context.definition.require.contains(&Requirement::Fips) {
        return Vec::new();
    }
    let Some((module, directory)) = provider(tree) else {
        let problem = "holds no FIPS provider of OpenSSL, and the definition requires it".to_owned();
        let cure = "add the package that has ossl-modules/fips.so".to_owned();
        return vec![failure(TreePath::root(), Owner::Definition, problem, cure)];
    };
    // A package manager checks signatures by libraries of its own: what is built with it is for FIPS, it is not.
    let is_for_building = context.definition.allow.contains(&Allowance::PackageManager);
    let is_foreign = |path: &TreePath| UNVALIDATED.iter().any(|name| path.file_name().starts_with(name));
    let foreign = tree.iter().filter(|(path, _)| !is_for_building && is_foreign(path));
    let mut failures: Vec<CheckFailure> = foreign
        .map(|(path, node)| {
            let problem = "has cryptography of its own, which is not the FIPS provider's".to_owned();
            let cure = "leave its package out, or the image without `require: [fips]`".to_owned();
            failure(path.clone(), node.owner.clone(), problem, cure)
        })
        .collect();
    let text = configuration(tree, context, directory);
    let missing: Vec<&str> = ACTIVE.into_iter().filter(|line| !text.contains(line)).collect();
    if !missing.is_empty() {
        let missing = missing.join("`, `");
        let problem =
            format!("is there, and `{missing}` is missing in /{directory}/openssl.cnf to make it active");
        let cure = "write that file with `fs:`, as the variant `fips` of `base` does".to_owned();
        failures.push(failure(module, Owner::Definition, problem, cure));
    }
    failures
}

fn failure(path: TreePath, owner: Owner, problem: String, cure: String) -> CheckFailure {
    CheckFailure { path, owner, check: "fips", problem, cure }
}

/// OpenSSL's configuration, or nothing where there is none.
fn configuration(tree: &FileTree, context: &FinishContext<'_>, directory: &str) -> String {
    let path = TreePath::new(&format!("{directory}/openssl.cnf")).ok();
    let content = path.and_then(|path| tree.file(&tree.resolve(&path).ok()??));
    let bytes = content.and_then(|content| context.contents.read(&content.digest).ok());
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
