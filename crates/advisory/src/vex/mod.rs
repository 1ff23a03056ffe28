//! VEX: what is known of a flaw in a product (not affected, affected, fixed, being looked into), by whom, and on what
//! evidence. Statements come out of reviewed files beside the catalog ([`reviewed`]), out of proofs ([`derive`]) and out of
//! documents of others; they take findings away ([`apply`]) and are published ([`openvex`]).
//!
//! Scanners differ in which statement they heed where several fit: one takes the first, another the last. So of each flaw in
//! each product one statement is kept, by a rule ([`merge`]), before anything is written or applied.

pub mod apply;
pub mod csaf;
pub mod derive;
mod flaws;
mod foreign;
pub mod found;
pub mod merge;
pub mod model;
pub mod openvex;
pub mod osv;
pub mod paths;
pub mod purl;
pub mod repository;
pub mod reviewed;

pub use apply::{Scanned, apply};
pub use foreign::{Foreign, LARGEST, read};
pub use merge::{Decided, for_image, merge};
pub use model::{ImageId, Justification, Origin, Product, Rule, Statement, Status, Whole};
pub use purl::{BadPurl, Purl};
