//! `calypte catalog --lacking`: what the catalog says that a universe lacks, held against the universe.

use anyhow::Result;
use calypte_pipeline::Factory;
use calypte_pipeline::readme::lacking::Lacking;
use serde::Serialize;

use crate::output::{self, Table};
use crate::session::Session;
use crate::{Verdict, failure};

#[derive(Debug, Serialize)]
struct Shown<'a> {
    universe: &'a str,
    software: Vec<Lacking>,
    there: Vec<String>,
}

/// Prints the table. Exit code 1: the universe has something of it.
pub(super) fn run(session: &Session, factory: &Factory<'_>, universe: &str) -> Result<Verdict> {
    let software = factory.lacking()?;
    let there = factory.not_lacking(universe)?;
    let verdict = if there.is_empty() { Verdict::Yes } else { Verdict::No };
    if session.is_json() {
        output::json("calypte.catalog-lacking/1", &Shown { universe, software, there })?;
        return Ok(verdict);
    }
    let mut table = Table::new(&["SOFTWARE", "WHY", "FEDORA"], &[]);
    for Lacking { software, why, fedora, .. } in software {
        table.row(vec![software, why, fedora]);
    }
    output::print(&table.render())?;
    for name in &there {
        failure::line(&format!("{universe} has {name}: make a family of it, and take it out of the table"));
    }
    Ok(verdict)
}
