//! Stage 2 of 8: repositories → verified Universe.

pub mod index;
pub mod relation;
pub mod rules;
pub mod table;

pub use index::{PackageId, PackageIndex, PackageRecord};
pub use relation::{Operator, Relation};
pub use rules::Rules;
