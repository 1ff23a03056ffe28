//! How large the images of the catalog are, beside what they were before.

pub mod record;

use anyhow::{Context as _, Result};

use crate::factory::Factory;

pub use record::{Size, SizeRecord};

impl Factory<'_> {
    /// The sizes that the catalog holds for a universe; none where none were recorded.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn recorded_sizes(&self, universe: &str) -> Result<Option<SizeRecord>> {
        let path = format!("sizes/{universe}.json");
        let file = self.settings.catalog.shown(&path);
        if !std::path::Path::new(&file).exists() {
            return Ok(None);
        }
        SizeRecord::parse(&self.settings.catalog.text(&path)?).context(file).map(Some)
    }
}
