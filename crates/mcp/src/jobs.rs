//! Rebuilds that were asked for: one at a time, since each takes the whole machine, and what became of each.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::request::Image;

/// Most rebuilds that are remembered.
const KEPT: usize = 100;

/// The rebuilds of a server.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    all: Mutex<Vec<Job>>,
}

/// A rebuild.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Job {
    /// Its number.
    pub number: usize,
    /// The image.
    pub image: String,
    /// The universe; none: the one that is meant where none is named.
    pub universe: Option<String>,
    /// `running`, `done` or `failed`.
    pub state: &'static str,
    /// What came of it: what was built, or why not.
    pub result: Option<Value>,
}

impl Jobs {
    /// Begins a rebuild; its number.
    ///
    /// # Errors
    /// When one is running.
    pub(crate) fn begin(&self, image: &Image) -> Result<usize, String> {
        let mut all = self.lock();
        if let Some(job) = all.iter().find(|job| job.state == "running") {
            return Err(format!(
                "{} is being rebuilt; ask again when rebuild_status says that it is done",
                job.image
            ));
        }
        let number = all.last().map_or(1, |job| job.number.saturating_add(1));
        if all.len() >= KEPT {
            all.remove(0);
        }
        all.push(Job {
            number,
            image: image.image.clone(),
            universe: image.universe.clone(),
            state: "running",
            result: None,
        });
        Ok(number)
    }

    /// Notes what came of it.
    pub(crate) fn end(&self, number: usize, result: Result<Value, String>) {
        if let Some(job) = self.lock().iter_mut().find(|job| job.number == number) {
            (job.state, job.result) = match result {
                Ok(value) => ("done", Some(value)),
                Err(error) => ("failed", Some(Value::String(error))),
            };
        }
    }

    /// All of them, the first first.
    pub(crate) fn all(&self) -> Vec<Job> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Job>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_each_is_remembered() {
        let jobs = Jobs::default();
        let image = Image { image: "nginx".to_owned(), universe: None };
        let first = jobs.begin(&image).unwrap();
        assert!(jobs.begin(&image).unwrap_err().contains("nginx is being rebuilt"));
        jobs.end(first, Err("no route to host".to_owned()));
        let second = jobs.begin(&image).unwrap();
        jobs.end(second, Ok(Value::Bool(true)));
        let states: Vec<_> = jobs.all().iter().map(|job| (job.number, job.state)).collect();
        assert_eq!(states, [(1, "failed"), (2, "done")]);
        for _ in 0..2 * KEPT {
            jobs.end(jobs.begin(&image).unwrap(), Ok(Value::Null));
        }
        assert_eq!(jobs.all().len(), KEPT);
    }
}
