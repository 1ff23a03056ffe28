//! What `sbom` and `scan` look into: the arguments that name it, and its bill of materials.

use anyhow::{Context as _, Result};
use calypte_advisory::vex::Statement;
use calypte_base::Architecture;
use calypte_pipeline::bill::Bill;
use calypte_pipeline::lifecycle::{Day, Support};
use calypte_pipeline::subject::{ForeignSettings, Subject, foreign_bill};
use calypte_store::Store;
use calypte_store::registry::RegistrySettings;

use super::DEFAULT_UNIVERSE;
use crate::session::Session;

/// What the forms mean, for `--help`.
pub const FORMS: &str = "What may be named:\n  FAMILY[:STREAM][-VARIANT]  an image of the catalog, which is built from its \
lock\n  oci:DIR[:TAG]              an image in an OCI layout\n  oci-archive:FILE[:TAG]     an image in an archive of one\n  \
docker-archive:FILE[:NAME] an image that `docker save` or `podman save` wrote\n  dir:PATH                   a root \
directory\n  [docker://]HOST/NAME[:TAG] an image of a registry";

/// What is looked into.
#[derive(Debug, clap::Args)]
pub struct SubjectArguments {
    /// The image or directory: see below
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// The universe, for an image of the catalog
    #[arg(long, value_name = "NAME", default_value = DEFAULT_UNIVERSE)]
    pub universe: String,
    /// The architecture [default: this machine's]
    #[arg(long)]
    pub arch: Option<Architecture>,
    /// Ask a registry on this machine over http
    #[arg(long)]
    pub plain_http: bool,
}

impl SubjectArguments {
    /// What they name.
    ///
    /// # Errors
    /// When they name nothing, or no reference.
    pub fn named(&self) -> Result<Subject> {
        self.subject()
    }

    /// The architecture that is meant.
    #[must_use]
    pub fn architecture(&self) -> Architecture {
        self.arch.unwrap_or_else(super::native_architecture)
    }

    fn subject(&self) -> Result<Subject> {
        let named = self
            .image
            .as_ref()
            .context("nothing is named to look into\nhint: name an image; see --help for the forms")?;
        Subject::parse(named)
    }

    /// The bill of what they name; `hashes` as in [`ForeignSettings::hashes`].
    ///
    /// # Errors
    /// When it cannot be built or read.
    pub fn bill(&self, session: &Session, hashes: bool) -> Result<Bill> {
        let architecture = self.architecture();
        let subject = self.subject()?;
        if let Subject::Catalog(text) = &subject {
            let factory = session.factory()?;
            let image = factory.image_id(text, &self.universe)?;
            return factory.bill(&image, &self.universe, architecture);
        }
        let store = Store::open(session.store_directory()?)?;
        let registry = RegistrySettings {
            network: session.network(),
            plain_http: self.plain_http,
            auth_files: session.auth_files()?,
        };
        let reporter = &session.terminal;
        foreign_bill(&subject, &ForeignSettings { store: &store, registry, architecture, hashes, reporter })
    }

    /// Checks the paths of reviewed statements against the packages of what they name, where it is of the catalog.
    ///
    /// # Errors
    /// When a path is that of no file.
    pub fn check_paths(&self, session: &Session, statements: &[Statement]) -> Result<()> {
        let Subject::Catalog(text) = self.subject()? else { return Ok(()) };
        let factory = session.factory()?;
        let image = factory.image_id(&text, &self.universe)?;
        let architecture = self.architecture();
        factory.check_paths(statements, &image, &self.universe, architecture)
    }

    /// Why the support of what they name has ended, or cannot be told; none while it lasts.
    ///
    /// # Errors
    /// When the catalog has a mistake.
    pub fn end_of_life(&self, session: &Session) -> Result<Option<String>> {
        let Subject::Catalog(text) = self.subject()? else {
            return Ok(Some(
                "only of images of the catalog it is known until when they are supported".to_owned(),
            ));
        };
        let factory = session.factory()?;
        let image = factory.image_id(&text, &self.universe)?;
        let lifecycle = factory.lifecycle_of(&image, &self.universe)?;
        let both = [("the packages", Some(lifecycle.packages)), ("the software", lifecycle.stream)];
        Ok(both.into_iter().find_map(|(what, support)| match support? {
            Support::Rolling | Support::Until(_) => None,
            Support::Ended(day) => Some(format!("{what}: end of life since {}", Day(day))),
            Support::Unknown => Some(format!(
                "{what}: nobody says until when they are supported; catalog/lifecycle.yaml is where to say it"
            )),
        }))
    }
}
