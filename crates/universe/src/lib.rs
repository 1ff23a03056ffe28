//! Stage 2 of 8: repositories → verified Universe.
//!
//! [`load`] takes a [`UniverseDefinition`] and gives a [`Universe`]: each repository's index of indexes checked and
//! frozen by its digest ([`FrozenRepository`]), and a [`PackageIndex`] for each architecture, the same for both formats.
//! [`vouch`] checks packages whose repository is not signed, and what the index said of them. [`Rules`] are the tables that people have reviewed for a
//! distribution, since no maintainer script is run.

pub mod contradiction;
pub mod definition;
pub mod error;
pub mod index;
mod load;
pub mod relation;
pub mod rules;
mod signed;
pub mod table;
mod vouch;

pub use definition::{DebLayout, Layout, OVERLAY, RepositoryDefinition, RpmLayout, UniverseDefinition};
pub use error::UniverseError;
pub use index::{PackageId, PackageIndex, PackageRecord};
pub use load::{FrozenRepository, RELEASE_LIMIT, SecurityUpdate, Universe, import, load};
pub use relation::{Choice, Clause, Objection, Operator, Relation};
pub use rules::Rules;
pub use vouch::vouch;
