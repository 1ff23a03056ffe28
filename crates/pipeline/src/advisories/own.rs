//! What a universe's own archive says: the changelogs of its packages, and the advisories that an RPM repository publishes
//! beside them. Both come with the mirror, and are as fresh.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use calypte_advisory::database::{self, Database, Source as Feeding};
use calypte_advisory::feeds::{FeedError, Sink};
use calypte_advisory::{Advisory, Affected, Event, PackageRole, Range, RangeKind, Severity, Status};
use calypte_base::{Digest, Epoch, PackageFormat};
use calypte_universe::SecurityUpdate;

use super::{CHANGELOG, Changes, OWN_MAX_AGE_DAYS, UPDATEINFO};
use crate::changelogs::ecosystem;
use crate::factory::Factory;

impl Factory<'_> {
    /// The names of the feeds that the universes with locks give themselves.
    pub(super) fn own_feeds(&self) -> Result<Vec<String>> {
        let mut feeds = Vec::new();
        for universe in self.settings.catalog.universes()? {
            let mut locked = false;
            for family in self.families(&[], &universe)? {
                locked |= self.settings.catalog.read_lock(&universe, &family)?.is_some();
            }
            if !locked {
                continue;
            }
            if self.universe(&universe)?.0.format == PackageFormat::Rpm {
                feeds.push(format!("{UPDATEINFO}{universe}"));
            }
            feeds.push(format!("{CHANGELOG}{universe}"));
        }
        Ok(feeds)
    }

    /// Updates one of them.
    pub(super) fn update_own(&self, name: &str, database: &mut Database) -> Result<Changes> {
        if let Some(universe) = name.strip_prefix(CHANGELOG) {
            let changelogs = self.changelogs(universe)?;
            return self.import_own(name, universe, &changelogs.advisories, changelogs.date, database);
        }
        let universe = name.strip_prefix(UPDATEINFO).context("no universe gives such a feed")?;
        let loaded = self.load_universe(universe)?;
        let ecosystem = ecosystem(&self.universe(universe)?.0);
        let advisories: Vec<Advisory> =
            loaded.updates.iter().map(|update| advisory(update, &ecosystem)).collect();
        let date = loaded.repositories.iter().map(|repository| repository.date).max();
        self.import_own(name, universe, &advisories, date, database)
    }

    fn import_own(
        &self,
        name: &str,
        universe: &str,
        advisories: &[Advisory],
        date: Option<Epoch>,
        database: &mut Database,
    ) -> Result<Changes> {
        let source = Feeding {
            name: name.to_owned(),
            feed: database::CHANGELOG.to_owned(),
            url: format!("the packages of {universe}"),
            digest: Digest::of(&serde_json::to_vec(&(advisories, date))?),
            covers: BTreeSet::new(),
            max_age_days: OWN_MAX_AGE_DAYS,
        };
        let fill = |sink: &mut dyn Sink| {
            if let Some(date) = date {
                sink.dated(date);
            }
            for advisory in advisories {
                sink.advisory(advisory.clone())
                    .map_err(|source| FeedError::Sink { document: name.to_owned(), source })?;
            }
            Ok(())
        };
        self.import_with(&source, database, fill)
    }
}

/// An advisory of an RPM repository: what it brings has the fix, all before has the flaws that it names.
fn advisory(update: &SecurityUpdate, ecosystem: &calypte_advisory::Ecosystem) -> Advisory {
    let affected = |(package, version): &(String, String)| Affected {
        ecosystem: ecosystem.clone(),
        package: package.clone(),
        role: PackageRole::Binary,
        ranges: vec![Range {
            kind: RangeKind::Ecosystem,
            events: vec![Event::Introduced("0".to_owned()), Event::Fixed(version.clone())],
        }],
        versions: BTreeSet::new(),
        status: Status::Affected,
        architectures: BTreeSet::new(),
        module: None,
        severities: Vec::new(),
        imports: BTreeSet::new(),
    };
    let word = Some(update.severity.clone()).filter(|word| !word.is_empty());
    Advisory {
        id: update.id.clone(),
        aliases: update.vulnerabilities.clone(),
        published: None,
        modified: None,
        withdrawn: None,
        summary: String::new(),
        severities: word.map(Severity::Word).into_iter().collect(),
        affected: update.packages.iter().map(affected).collect(),
        references: Vec::new(),
    }
}
