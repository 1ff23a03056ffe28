//! Stage 9: what is published → what users see. A registry over the store, which any container engine pulls from.
//!
//! ```text
//! request ──server──▶ registry API ──▶ Registry (names, tags, referrers) ──▶ Store (blobs)
//! ```
//!
//! Reading is for all; writing needs the token that the server was started with.

pub mod registry;
pub mod server;

/// A token that nobody guesses: 128 random bits in hexadecimal.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_token() -> std::io::Result<String> {
    registry::new_id()
}
