//! Actions done by this process: what their command lines would do, without starting them.

use anyhow::{Context as _, Result, bail};
use calypte_base::Digest;
use calypte_pipeline::Factory;
use calypte_pipeline::advisories::database;
use calypte_pipeline::testing::{NOT_EMULATED, Probe};
use serde::Serialize;

use crate::action::{Action, Executor, Outcome};

/// Does actions in this process.
#[derive(Debug)]
pub struct LocalExecutor<'a> {
    /// What builds, scans and tests.
    pub factory: &'a Factory<'a>,
    /// How tests reach containers.
    pub probe: Probe<'a>,
}

impl LocalExecutor<'_> {
    fn json(&self, name: &str, value: &impl Serialize) -> Result<Outcome> {
        let digest = self.factory.store().put(&serde_json::to_vec(value)?)?;
        Ok(Outcome { outputs: [(name.to_owned(), digest)].into(), lasting: true })
    }
}

impl Executor for LocalExecutor<'_> {
    fn execute(&self, action: &Action) -> Result<Outcome> {
        let words: Vec<&str> = action.argv.iter().map(String::as_str).collect();
        let [_, verb, image, _, universe, ..] = words.as_slice() else {
            bail!("`{}` is no command of an action", action.argv.join(" "));
        };
        let id = self.factory.image_id(image, universe)?;
        match *verb {
            "build" => {
                let mut request = self.factory.whole(&id, universe);
                request.architectures = vec![action.platform];
                let built = self.factory.build(&request)?;
                let manifest: Digest = built.images.first().context("nothing was built")?.digest;
                Ok(Outcome { outputs: [("manifest".to_owned(), manifest)].into(), lasting: true })
            }
            "sbom" => {
                let bill = self.factory.bill(&id, universe, action.platform)?;
                self.json("packages", &bill.sbom.components.keys().collect::<Vec<_>>())
            }
            "scan" => {
                let database = database(self.factory.store())?;
                self.json("report", &self.factory.scanned(&id, universe, action.platform, &database)?)
            }
            "test" => {
                let report = self.factory.tested(&id, universe, action.platform, &self.probe)?;
                let is_excused = |reason: &String| reason.starts_with(NOT_EMULATED);
                let lasting = report.tests.iter().all(|test| test.skipped.as_ref().is_none_or(is_excused));
                Ok(Outcome { lasting, ..self.json("report", &report)? })
            }
            other => bail!("`{other}` is no verb of an action"),
        }
    }
}
