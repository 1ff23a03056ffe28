//! The packages: Fedora's names, shapes and relations over Debian's files.
//!
//! | file | what is in it |
//! |---|---|
//! | `system` | the root's directories and links, accounts, release, time zones, certificates, crypto policies |
//! | `libraries` | glibc in its parts, OpenSSL, and what programs link against |
//! | `programs` | a shell and the usual tools; a file with capabilities; set-user-ID |
//! | `web` | nginx in its parts |
//! | `cases` | what readers and resolvers must get right and no real package here shows |

mod cases;
mod libraries;
mod programs;
mod system;
mod web;

use crate::recipe::Recipe;

/// All recipes. `filesystem` is the first: the others leave its directories to it.
#[must_use]
pub fn all() -> Vec<Recipe> {
    [system::RECIPES, libraries::RECIPES, programs::RECIPES, web::RECIPES, cases::RECIPES].concat()
}

/// The text of the recipes, for the digest.
pub(crate) const SOURCES: &[&str] = &[
    include_str!("system.rs"),
    include_str!("libraries.rs"),
    include_str!("programs.rs"),
    include_str!("web.rs"),
    include_str!("cases.rs"),
];
