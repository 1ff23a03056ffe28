//! Why something is not published.

use calypte_base::Digest;
use calypte_store::StoreError;
use calypte_store::registry::RegistryError;

/// A failure to publish.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The registry or the way to it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A tag would go back in time.
    #[error("the tag {tag} is of {there}, and what is to be published is older: of {ours}")]
    Older {
        /// The tag.
        tag: String,
        /// When the image was made that has the tag now.
        there: String,
        /// When ours was made.
        ours: String,
    },
    /// Others wrote to the fallback tag each time.
    #[error("the list of what refers to {subject} was changed by others each time it was written")]
    Raced {
        /// What is referred to.
        subject: Digest,
    },
    /// What lies under the fallback tag is no index.
    #[error("the tag {tag}, which lists what refers to an image, is no index: {reason}")]
    NoIndex {
        /// The tag.
        tag: String,
        /// What is wrong.
        reason: String,
    },
    /// The registry took something, and does not give it back.
    #[error("the registry took {what}, and now {trouble}")]
    Lost {
        /// What was pushed.
        what: String,
        /// What it says of it now.
        trouble: String,
    },
}

impl PublishError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Older { .. } => Some(
                "build from a newer lock, or remove the tag in the registry if it is really to go back"
                    .into(),
            ),
            Self::Raced { .. } => Some("publish to this repository from one place at a time".into()),
            Self::Lost { .. } => Some(
                "no tag was moved; have the registry's storage looked at, and publish again: what is missing is sent once more"
                    .into(),
            ),
            Self::NoIndex { .. } => {
                Some("remove that tag in the registry: something else was pushed under it".into())
            }
        }
    }
}
