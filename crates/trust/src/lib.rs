//! Keys and signatures: bytes and keys in, what was vouched for or a named refusal out. The only crate that links a PGP
//! library.
//!
//! [`sigstore`] is for images: ECDSA keys, and bundles that are attached to manifests. All else is OpenPGP, for
//! repositories and packages, and behind the feature `openpgp`: hosts do without.
//!
//! [`framing`] reads the frame of a clearsigned message; [`keys`] reads certificates and says which of their keys may
//! sign at a given time; [`clearsigned`] brings the two together. [`detached`] is for signatures beside what they are
//! about, [`rpm`] for those inside of packages. The rules are apt's, where they differ from the
//! standard's freedom: one good signature is enough, but none may be bad; no MD5, no SHA-1.

#[cfg(feature = "openpgp")]
pub mod clearsigned;
#[cfg(feature = "openpgp")]
pub mod detached;
#[cfg(feature = "openpgp")]
pub mod error;
#[cfg(feature = "openpgp")]
pub mod fingerprint;
#[cfg(feature = "openpgp")]
pub mod framing;
#[cfg(feature = "openpgp")]
pub mod keys;
#[cfg(feature = "openpgp")]
mod policy;
#[cfg(feature = "openpgp")]
pub mod rpm;
pub mod sigstore;

#[cfg(feature = "openpgp")]
pub use clearsigned::{Signer, Verified, verify_clearsigned};
#[cfg(feature = "openpgp")]
pub use detached::verify_detached;
#[cfg(feature = "openpgp")]
pub use error::{KeyError, Rejection, TrustError, Why};
#[cfg(feature = "openpgp")]
pub use fingerprint::Fingerprint;
#[cfg(feature = "openpgp")]
pub use keys::{KeyName, KeyRing};
