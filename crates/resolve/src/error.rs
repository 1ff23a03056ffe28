//! Why a request has no answer, in words that a person can act on.

use std::fmt;

use calypte_base::Architecture;

/// A request that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The definition names a package that the universe does not have.
    #[error("{universe} ({architecture}) has no package `{name}`, which {by}")]
    UnknownPackage {
        /// The universe.
        universe: String,
        /// The architecture that was looked at.
        architecture: Architecture,
        /// The name.
        name: String,
        /// Who names it: `the definition asks for`, `prefer names for x`.
        by: String,
        /// Packages that provide the name.
        providers: Vec<String>,
        /// Packages whose names are like it.
        near: Vec<String>,
    },
    /// `prefer` names a package that is no candidate for what it is preferred for.
    #[error(
        "`prefer` takes `{package}` for `{name}`, but {package} is not {name} and does not provide it in {universe}"
    )]
    UselessPreference {
        /// The universe.
        universe: String,
        /// The name that is to be settled.
        name: String,
        /// The package that was to settle it.
        package: String,
        /// The packages that could.
        candidates: Vec<String>,
    },
    /// No choice of packages meets all dependencies.
    #[error("{}", no_solution(universe, *architecture, problems))]
    NoSolution {
        /// The universe.
        universe: String,
        /// The architecture.
        architecture: Architecture,
        /// What stands in the way; all of it must be looked at together.
        problems: Vec<Problem>,
    },
}

/// One thing that stands in the way of a solution.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What is wrong.
    pub text: String,
    /// How the packages in it came to be wanted, one line each.
    pub because: Vec<String>,
    /// Whether it is that a version is blocked.
    pub is_block: bool,
}

impl ResolveError {
    /// Whether there is no solution because versions are blocked: this says nothing of the universe.
    #[must_use]
    pub fn is_for_a_block(&self) -> bool {
        matches!(self, Self::NoSolution { problems, .. } if problems.iter().any(|problem| problem.is_block))
    }

    /// What the author of the definition can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let list =
            |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::UnknownPackage { providers, .. } if !providers.is_empty() => {
                Some(format!("the name is provided by {}: name one of them instead", list(providers)))
            }
            Self::UnknownPackage { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", list(near)))
            }
            Self::UnknownPackage { universe, .. } => Some(format!(
                "the package may have been removed from {universe}, or never have been built for this architecture"
            )),
            Self::UselessPreference { candidates, .. } if !candidates.is_empty() => {
                Some(format!("the candidates are {}", list(candidates)))
            }
            Self::UselessPreference { .. } => None,
            Self::NoSolution { .. } if self.is_for_a_block() => Some(
                "policy/blocked.yaml in the catalog says what is blocked; locks that there are still build"
                    .to_owned(),
            ),
            Self::NoSolution { universe, .. } => Some(format!(
                "if the definition has not changed, {universe} may be in the middle of a transition: the locks that \
                 there are still build, and trying again in some hours often helps"
            )),
        }
    }
}

/// The most problems that are shown; the first ones are nearest to the definition.
const SHOWN: usize = 12;

fn no_solution(universe: &str, architecture: Architecture, problems: &[Problem]) -> String {
    use fmt::Write as _;
    let mut text =
        format!("the packages that are asked for cannot be together in {universe} ({architecture}):");
    for problem in problems.iter().take(SHOWN) {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {}", problem.text);
        for because in &problem.because {
            let _ = write!(text, "\n    {because}");
        }
    }
    if problems.len() > SHOWN {
        let _ = write!(text, "\n  … and {} more", problems.len() - SHOWN);
    }
    text
}
