//! Stage 9: what is published → what users see. A registry over the store, which any container engine pulls from.
//!
//! ```text
//! request ──server──▶ registry API ──▶ Registry (names, tags, referrers) ──▶ Store (blobs)
//! ```
//!
//! Reading is for all; writing needs the token that the server was started with.

pub mod registry;
pub mod server;
