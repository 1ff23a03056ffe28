//! Options of the commands that sign what they say of images.

use std::path::PathBuf;

use anyhow::Result;
use calypte_pipeline::evidence::Evidence;
use calypte_pipeline::vex::Publisher;
use calypte_sbom::write::Tool;

/// Who says what is said of images.
#[derive(Debug, clap::Args)]
pub struct Signing {
    /// Sign each image with this private key (P-256, PEM), and attach what is known of it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Also attach signatures and statements in the form that cosign had before version 3
    #[arg(long, requires = "key")]
    legacy_signatures: bool,
    /// Who answers for the builder, in the provenance: an address, or a name of its own
    #[arg(long, value_name = "ID", default_value = "urn:calypte:local", requires = "key")]
    builder: String,
    /// Who answers for the documents
    #[arg(long, value_name = "NAME", default_value = "Calypte", requires = "key")]
    author: String,
}

impl Signing {
    /// How what is said of images is made, for a registry with the common beginning of its repositories; none without a key.
    ///
    /// # Errors
    /// When the key cannot be read.
    pub fn evidence(&self, to: &str) -> Result<Option<Evidence>> {
        let Some(file) = &self.key else { return Ok(None) };
        let tool = Tool {
            name: "calypte".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            organization: self.author.clone(),
        };
        Ok(Some(Evidence {
            key: super::key::signing_key(file)?,
            publisher: Publisher {
                name: self.author.clone(),
                namespace: super::vex::NAMESPACE.to_owned(),
                tool,
                repositories: Some(to.trim_end_matches('/').to_owned()),
            },
            builder: self.builder.clone(),
            legacy: self.legacy_signatures,
        }))
    }
}
