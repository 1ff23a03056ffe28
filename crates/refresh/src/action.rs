//! The unit of work: an action is told by its digest. What an action with the same digest came to before is its outcome
//! again, on whichever machine it ran. Nothing of an action holds a key: signing is not done by any.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, Digest};
use calypte_store::Store;
use serde::{Deserialize, Serialize};

/// The kind of the store's cache under which outcomes are kept.
const OUTCOMES: &str = "action";

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// What runs.
    pub argv: Vec<String>,
    /// All that decides the outcome, by name.
    pub inputs: BTreeMap<String, Digest>,
    /// For which machine the image is. An action may run on any.
    pub platform: Architecture,
    /// The names of what it must give.
    pub outputs: BTreeSet<String>,
}

/// What an action gave: blobs of the store, by the name of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The blobs.
    pub outputs: BTreeMap<String, Digest>,
    /// Whether the same action would give the same at another time: not where something was not there that may be.
    pub lasting: bool,
}

/// What runs actions: this process, or in time other machines.
pub trait Executor {
    /// Runs an action.
    ///
    /// # Errors
    /// When it cannot be done.
    fn execute(&self, action: &Action) -> Result<Outcome>;
}

impl Action {
    /// An action of this program.
    pub(crate) fn new(
        words: &[&str],
        platform: Architecture,
        inputs: &[(&str, Digest)],
        outputs: &[&str],
    ) -> Self {
        let argv = std::iter::once("calypte").chain(words.iter().copied()).map(str::to_owned);
        Self {
            argv: argv.chain(["--arch".to_owned(), platform.to_string()]).collect(),
            inputs: inputs.iter().map(|(name, digest)| ((*name).to_owned(), *digest)).collect(),
            platform,
            outputs: outputs.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    /// What tells it from others.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// The outcome: that of an earlier time if the store still has all of it, otherwise the executor's.
    ///
    /// # Errors
    /// When it cannot be done, or the executor does not give an output.
    pub fn outcome(&self, executor: &dyn Executor, store: &Store) -> Result<Outcome> {
        let digest = self.digest();
        let kept = store.cache_get(OUTCOMES, &digest);
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Outcome>(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| self.is_given_by(kept, store)) {
            return Ok(kept);
        }
        let outcome = executor.execute(self)?;
        if !self.is_given_by(&outcome, store) {
            anyhow::bail!("`{}` ended without giving all that it should", self.argv.join(" "));
        }
        if outcome.lasting {
            store.cache_put(OUTCOMES, &digest, &serde_json::to_vec(&outcome)?)?;
        }
        Ok(outcome)
    }

    fn is_given_by(&self, outcome: &Outcome, store: &Store) -> bool {
        let given = |name: &String| outcome.outputs.get(name).is_some_and(|digest| store.has(digest));
        self.outputs.iter().all(given)
    }
}

impl Outcome {
    /// Reads an output that is JSON.
    ///
    /// # Errors
    /// When it is not there, or another form.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str, store: &Store) -> Result<T> {
        let digest = self.outputs.get(name).with_context(|| format!("there is no output `{name}`"))?;
        Ok(serde_json::from_slice(&store.read_verified(digest)?)?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    struct Counting(Cell<usize>, Store, bool);

    impl Executor for Counting {
        fn execute(&self, _: &Action) -> Result<Outcome> {
            self.0.set(self.0.get() + 1);
            let name = if self.2 { "report" } else { "other" };
            Ok(Outcome { outputs: [(name.to_owned(), self.1.put(b"{}")?)].into(), lasting: true })
        }
    }

    #[test]
    fn the_same_action_is_done_once() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let executor = Counting(Cell::new(0), store.clone(), true);
        let action = |input: &[u8]| {
            Action::new(&["test", "nginx"], Architecture::Amd64, &[("image", Digest::of(input))], &["report"])
        };
        let first = action(b"1").outcome(&executor, &store).unwrap();
        assert_eq!(action(b"1").outcome(&executor, &store).unwrap(), first);
        assert_eq!(executor.0.get(), 1);
        action(b"2").outcome(&executor, &store).unwrap();
        assert_eq!(executor.0.get(), 2);
        // What the store lost is made again.
        store.remove(&first.outputs["report"]).unwrap();
        action(b"1").outcome(&executor, &store).unwrap();
        assert_eq!(executor.0.get(), 3);
        let forgetful = Counting(Cell::new(0), store.clone(), false);
        let error = action(b"3").outcome(&forgetful, &store).unwrap_err().to_string();
        assert!(error.contains("calypte test nginx --arch amd64"), "{error}");
    }
}
