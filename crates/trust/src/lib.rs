//! Keys and OpenPGP signatures: bytes and a key ring in, verified text or a named refusal out. The only crate that
//! links a PGP library.
//!
//! [`framing`] reads the frame of a clearsigned message; [`keys`] reads certificates and says which of their keys may
//! sign at a given time; [`clearsigned`] brings the two together. [`detached`] is for signatures beside what they are
//! about, [`rpm`] for those inside of packages. The rules are apt's, where they differ from the
//! standard's freedom: one good signature is enough, but none may be bad; no MD5, no SHA-1.

pub mod clearsigned;
pub mod detached;
pub mod error;
pub mod fingerprint;
pub mod framing;
pub mod keys;
mod policy;
pub mod rpm;

pub use clearsigned::{Signer, Verified, verify_clearsigned};
pub use detached::verify_detached;
pub use error::{KeyError, Rejection, TrustError, Why};
pub use fingerprint::Fingerprint;
pub use keys::{KeyName, KeyRing};
