//! Whole images by the digest of everything that they were made from: when nothing changed, no tree is assembled at
//! all, and only the output is written.

use calypte_base::{Digest, Hasher};
use calypte_store::Store;

use crate::error::ImageError;
use crate::image::Image;

/// The kind of the store's cache under which images are kept.
const CACHE: &str = "image";

/// To be raised when the record of an image changes its form.
const FORMAT: &str = "calypte image 1";

/// Builds the key of an image: the digest of all its inputs, each under its name.
#[derive(Debug, Clone)]
pub struct InputKey(Hasher);

impl InputKey {
    /// A key for images made by this version of the tool, which is an input like any other.
    #[must_use]
    pub fn new(tool_version: &str) -> Self {
        let mut key = Self(Hasher::new());
        key.field(FORMAT.as_bytes());
        key.with("tool", tool_version.as_bytes())
    }

    /// Takes in an input: its name, and its bytes or the bytes of its digest. The order counts.
    #[must_use]
    pub fn with(mut self, name: &str, input: &[u8]) -> Self {
        self.field(name.as_bytes());
        self.field(input);
        self
    }

    /// The key.
    #[must_use]
    pub fn finish(self) -> Digest {
        self.0.finish()
    }

    /// With its length before it, so that no two lists of inputs are the same bytes.
    fn field(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }
}

/// The image that was made from the inputs with this key, if it is known and all its blobs are still in the store.
#[must_use]
pub fn get(store: &Store, key: &Digest) -> Option<Image> {
    let image: Image = serde_json::from_slice(&store.cache_get(CACHE, key)?).ok()?;
    image.is_in(store).then_some(image)
}

/// Remembers that the inputs with this key gave this image.
///
/// # Errors
/// When the store cannot be written to.
pub fn put(store: &Store, key: &Digest, image: &Image) -> Result<(), ImageError> {
    let json =
        serde_json::to_vec(image).map_err(|source| ImageError::Json { document: "image record", source })?;
    Ok(store.cache_put(CACHE, key, &json)?)
}
