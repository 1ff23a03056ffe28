//! Signatures of images as cosign makes and reads them since its version 3: a sigstore bundle that is attached to the
//! manifest as an OCI referrer.
//!
//! What is signed is an in-toto statement that names the manifest's digest. It lies in a DSSE envelope, and that in a
//! bundle (`application/vnd.dev.sigstore.bundle.v0.3+json`). Keys are ECDSA P-256, in PEM. There is no transparency log
//! and no certificate: a key is trusted because it is installed, and how old an image may be is for its reader to
//! say.

mod bundle;
mod error;
mod keys;
mod referrer;
mod statement;

pub use bundle::{BUNDLE_LIMIT, Bundle, MEDIA_TYPE_BUNDLE};
pub use error::{KeyFileError, SignatureError, WhyNot};
pub use keys::{KeyId, PublicKey, PublicKeys, SigningKey};
pub use referrer::{Attached, CONTENT_ANNOTATION, PREDICATE_ANNOTATION, Referrer, fallback_tag};
pub use statement::{PREDICATE_SIGN, Statement, Subject};
