//! A case: its name, what it needs, what it does; and the list of all.

use std::sync::Arc;

use libtest_mimic::Trial;

use crate::needs::Need;
use crate::world::World;
use crate::{
    agents, bad_fedora, bad_input, builder, catalog, command_line, delta, differential, engines, fedora,
    gate, host_boot, host_update, live_fedora, new, os, os_boot, outputs, pipeline, programs, publish, pull,
    readme, rebuild, rebuild_from_provenance, sbom, scan, scanners, site, store_gc, up, vex,
};

/// One end-to-end case.
pub struct Case {
    pub name: &'static str,
    pub needs: &'static [Need],
    pub run: fn(&World) -> anyhow::Result<()>,
}

/// What builds on the images of one `calypte up`.
const OF_UP: &[&[Case]] = &[
    up::CASES,
    outputs::CASES,
    publish::CASES,
    readme::CASES,
    new::CASES,
    engines::CASES,
    rebuild::CASES,
    sbom::CASES,
    scan::CASES,
    vex::CASES,
    scanners::CASES,
    site::CASES,
    builder::CASES,
    catalog::CASES,
    programs::CASES,
    bad_input::CASES,
    command_line::CASES,
    delta::CASES,
];

/// What has all that it needs of its own.
const APART: &[&[Case]] = &[
    pipeline::CASES,
    gate::CASES,
    pull::CASES,
    agents::CASES,
    rebuild_from_provenance::CASES,
    store_gc::CASES,
    differential::CASES,
    fedora::CASES,
    bad_fedora::CASES,
    live_fedora::CASES,
    host_boot::CASES,
    host_update::CASES,
    os::CASES,
    os_boot::CASES,
];

/// The cases of a part, `of-up` or `apart`, which can run side by side in two processes; all where none is named.
pub fn all(part: Option<&str>) -> Vec<Trial> {
    let world = Arc::new(World::default());
    let is_of = |name: &str| part.is_none_or(|part| part == name);
    let parts = [(OF_UP, is_of("of-up")), (APART, is_of("apart"))];
    let cases = parts.into_iter().filter(|(_, wanted)| *wanted).flat_map(|(cases, _)| cases);
    cases.copied().flatten().map(|case| case.trial(&world)).collect()
}

impl Case {
    fn trial(&'static self, world: &Arc<World>) -> Trial {
        let missing: Vec<String> = self.needs.iter().filter_map(Need::missing).collect();
        let world = Arc::clone(world);
        let name = match missing.as_slice() {
            [] => self.name.to_owned(),
            missing => format!("{} (needs {})", self.name, missing.join(", ")),
        };
        Trial::test(name, move || (self.run)(&world).map_err(|error| format!("{error:#}").into()))
            .with_ignored_flag(!missing.is_empty())
    }
}
