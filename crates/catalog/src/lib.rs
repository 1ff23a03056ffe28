//! Stage 9: what is published → what users see. A registry over the store, which any container engine pulls from,
//! and the pages about it.
//!
//! ```text
//! request ──server──▶ registry API ──▶ Registry (names, tags, referrers) ──▶ Store (blobs)
//!             └─────▶ site: pages, feeds, JSON ──▶ the same Registry, and what the factory knows
//! ```
//!
//! Reading is for all; writing needs the token that the server was started with.

pub mod registry;
pub mod server;
pub mod site;

/// 32 random bytes.
///
/// # Errors
/// When the system gives none.
pub fn random_bytes() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A token that nobody guesses: 128 random bits in hexadecimal.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_token() -> std::io::Result<String> {
    registry::new_id()
}
