//! What the maintainers of a distribution have reviewed about its packages, since no maintainer script is run:
//! the files of `catalog/universes/<rules>/` as types. Each file has its own module.

pub mod accounts;
pub mod assumed;
pub mod scripts;
pub mod slices;

use std::collections::BTreeMap;

use calypte_definition::Diagnostic;
use serde::de::DeserializeOwned;

pub use accounts::{Accounts, Group, User};
pub use assumed::Assumed;
pub use scripts::{MaintainerScript, ReviewedScript, Scripts, Verdict};
pub use slices::{Slice, Slices};

/// The reviewed tables of one distribution, shared by all its universes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `assumed.yaml`: packages that need not be in an image although something depends on them.
    pub assumed: Assumed,
    /// `slices.yaml`: named sets of files that an image can leave out.
    pub slices: Slices,
    /// `accounts.yaml`: the fixed user and group ids.
    pub accounts: Accounts,
    /// `scripts.yaml`: the maintainer scripts that were read by a person.
    pub scripts: Scripts,
}

impl Rules {
    /// Reads the four tables from the files of a catalog, given as path and text; other files are passed over.
    ///
    /// # Errors
    /// Everything that is wrong in any of the four, and each one that is not there.
    pub fn load(directory: &str, files: &BTreeMap<String, String>) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = Vec::new();
        let rules = Self {
            assumed: table(directory, "assumed.yaml", files, &mut errors),
            slices: table(directory, "slices.yaml", files, &mut errors),
            accounts: table(directory, "accounts.yaml", files, &mut errors),
            scripts: table(directory, "scripts.yaml", files, &mut errors),
        };
        let scripts = format!("{directory}/scripts.yaml");
        errors.extend(rules.scripts.duplicates().map(|message| Diagnostic::whole_file(&scripts, message)));
        let accounts = format!("{directory}/accounts.yaml");
        errors.extend(rules.accounts.clashes().into_iter().map(|message| Diagnostic::whole_file(&accounts, message)));
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }
}

fn table<T: DeserializeOwned + Default>(
    directory: &str,
    name: &str,
    files: &BTreeMap<String, String>,
    errors: &mut Vec<Diagnostic>,
) -> T {
    let path = format!("{directory}/{name}");
    let Some(text) = files.get(&path) else {
        errors.push(Diagnostic::whole_file(&path, "this file is missing, and every universe of these rules needs it"));
        return T::default();
    };
    calypte_definition::yaml::from_str(&path, text).unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}
