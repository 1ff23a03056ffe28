//! What is wrong with rules.

/// Rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A file of rules is no Rego, or asks for what there is not.
    #[error("{file} is no file of rules: {reason}")]
    Rules {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A package of rules cannot be asked.
    #[error("the rules of package `{package}` cannot be asked: {reason}")]
    Package {
        /// The package.
        package: String,
        /// What is wrong.
        reason: String,
    },
    /// A rule gave something else than refusals.
    #[error("a rule of package `{package}` gave what is no refusal: {reason}")]
    Refusal {
        /// The package.
        package: String,
        /// What is wrong.
        reason: String,
    },
}

impl PolicyError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Rules { .. } => "correct the file; what it may hold is in docs/guides/pipeline.md".into(),
            Self::Package { .. } => {
                "each package needs a set `deny`: `deny contains {\"rule\": …, \"message\": …, \"cure\": …} if …`"
                    .into()
            }
            Self::Refusal { .. } => {
                "each refusal is an object with the texts `rule`, `message` and `cure`, and, where they apply, \
                 `architecture` and `term`"
                    .into()
            }
        })
    }
}
