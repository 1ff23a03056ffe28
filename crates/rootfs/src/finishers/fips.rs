//! OpenSSL's FIPS provider: writes the configuration by which the module is loaded and checks itself, as `openssl
//! fipsinstall` does (OpenSSL's `fips_config(5)`). The check value is an HMAC-SHA-256 of the module under the key that is
//! built into it (`FIPS_KEY_STRING`), so that it is made out of the package's file alone. With no `install-status`, the
//! module runs its self-tests each time that it is loaded.

use std::fmt::Write as _;

use calypte_base::TreePath;
use calypte_definition::Requirement;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::FinishError;
use super::site::{Access, Site};
use crate::context::FinishContext;
use crate::tree::FileTree;

/// What the finisher is called.
pub const NAME: &str = "fips";

/// Where the provider lies below the directory of OpenSSL's modules.
const MODULE: &str = "ossl-modules/fips.so";

const KEY: [u8; 32] = [
    0xf4, 0x55, 0x66, 0x50, 0xac, 0x31, 0xd3, 0x54, 0x61, 0x61, 0x0b, 0xac, 0x4e, 0xd8, 0x1b, 0x1a, 0x18,
    0x1b, 0x2d, 0x8a, 0x43, 0xea, 0x28, 0x54, 0xcb, 0xae, 0x22, 0xca, 0x74, 0x56, 0x08, 0x13,
];

/// The FIPS provider in a tree, and the directory of OpenSSL's configuration that goes with where it lies.
pub(crate) fn provider(tree: &FileTree) -> Option<(TreePath, &'static str)> {
    let (module, _) = tree.iter().find(|(path, _)| path.as_str().ends_with(MODULE))?;
    // OPENSSLDIR is built into libcrypto: Fedora, whose libraries lie in lib64, has another than Debian.
    let directory = if module.as_str().starts_with("usr/lib64/") { "etc/pki/tls" } else { "usr/lib/ssl" };
    Some((module.clone(), directory))
}

/// Writes `fipsmodule.cnf`, if the image is to be one for FIPS and has the provider.
///
/// # Errors
/// When the module cannot be read.
pub fn apply(tree: &mut FileTree, context: &mut FinishContext<'_>) -> Result<(), FinishError> {
    if !context.definition.require.contains(&Requirement::Fips) {
        return Ok(());
    }
    let Some((module, directory)) = provider(tree) else { return Ok(()) };
    let mut site = Site::new(tree, context.dates(), context.contents, NAME);
    let Some(bytes) = site.read(&module)? else { return Ok(()) };
    site.make_for(site.package_of(&module));
    let configuration = format!(
        "[fips_sect]\nactivate = 1\nconditional-errors = 1\nsecurity-checks = 1\nmodule-mac = {}\n",
        check_value(&bytes)
    );
    let path = site.path(&format!("{directory}/fipsmodule.cnf"))?;
    site.write(&path, configuration.into_bytes(), Access::root(0o644))
}

/// The module's HMAC as OpenSSL writes it: pairs of hexadecimal digits, colons between them.
fn check_value(module: &[u8]) -> String {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&KEY) else { return String::new() };
    mac.update(module);
    let mut text = String::new();
    for (number, byte) in mac.finalize().into_bytes().iter().enumerate() {
        let colon = if number == 0 { "" } else { ":" };
        // Writing to a string does not fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finishers::tests::Bench;

    fn bench(path: &str) -> Bench {
        let mut bench = Bench::new().file(path, "module");
        bench.definition.require = [Requirement::Fips].into();
        bench
    }

    #[test]
    fn the_module_gets_its_check_value() {
        let mut debian = bench("usr/lib/x86_64-linux-gnu/ossl-modules/fips.so");
        debian.run(apply).unwrap();
        // printf module | openssl dgst -sha256 -mac HMAC -macopt hexkey:KEY
        insta::assert_snapshot!(debian.text("usr/lib/ssl/fipsmodule.cnf"), @r"
        [fips_sect]
        activate = 1
        conditional-errors = 1
        security-checks = 1
        module-mac = 36:7D:40:DA:85:35:14:BD:3B:19:5A:56:2B:47:21:9B:A2:28:20:8F:07:FA:66:BA:3E:72:E0:A5:EC:F7:1F:19
        ");
        assert_eq!(debian.owner("usr/lib/ssl/fipsmodule.cnf"), "finisher fips, for package p");
        let mut fedora = bench("usr/lib64/ossl-modules/fips.so");
        fedora.run(apply).unwrap();
        assert!(fedora.text("etc/pki/tls/fipsmodule.cnf").starts_with("[fips_sect]\n"));
    }

    #[test]
    fn nothing_is_made_where_none_is_asked_for() {
        let mut without = bench("usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so");
        without.run(apply).unwrap();
        assert_eq!(without.made(), "");
        let mut unasked = Bench::new().file("usr/lib64/ossl-modules/fips.so", "module");
        unasked.run(apply).unwrap();
        assert_eq!(unasked.made(), "");
    }
}
