//! What resolving costs once the index is kept: `measure UNIVERSE KEYS STORE ASSUMED PACKAGE…` loads a universe out of a
//! store, offline, and chooses packages; it prints CPU and wall seconds of each as JSON. For `cargo xtask bench rpm`, which
//! builds it as a release is built.

#![expect(clippy::print_stdout, reason = "a program whose output is its result")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use calypte_base::{Architecture, Epoch};
use calypte_resolve::{Request, resolve};
use calypte_store::{FetchSettings, Fetcher, Silent, Store};
use calypte_universe::rules::Assumed;
use calypte_universe::{UniverseDefinition, load};

/// Runs of each; the best counts.
const RUNS: usize = 7;

/// How often packages are chosen in one run: once takes less than a tick of the clock that counts CPU time.
const TIMES: u32 = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [universe, keys, store, assumed, packages @ ..] = arguments.as_slice() else {
        return Err("usage: measure UNIVERSE KEYS STORE ASSUMED PACKAGE…".into());
    };
    let definition = UniverseDefinition::parse(universe, &fs_err::read_to_string(universe)?)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<String>())?;
    let texts: Result<BTreeMap<String, String>, std::io::Error> = definition
        .keys()
        .map(|name| Ok((name.to_owned(), fs_err::read_to_string(Path::new(keys).join(name))?)))
        .collect();
    let texts = texts?;
    let assumed: Assumed = calypte_definition::yaml::from_str(assumed, &fs_err::read_to_string(assumed)?)
        .map_err(|error| error.to_string())?;
    let settings = FetchSettings { offline: true, ..FetchSettings::default() };
    let fetcher = Fetcher::new(Store::open(Path::new(store))?, settings);
    let now: Epoch = "2026-01-10T06:00:00Z".parse()?;
    let request = Request {
        packages: packages.iter().cloned().collect(),
        prefer: BTreeMap::new(),
        assumed: &assumed,
        blocked: BTreeMap::new(),
    };

    let (mut loading, mut choosing, mut chosen) = (Time::NONE, Time::NONE, BTreeSet::new());
    for _ in 0..RUNS {
        let start = Stopwatch::start()?;
        let universe = load(&definition, &texts, &fetcher, now, &Silent)?;
        loading = loading.least(start.time()?);
        let index = universe.packages.get(&Architecture::Amd64).ok_or("no amd64 packages")?;
        let mut resolution = resolve(index, &request)?;
        let start = Stopwatch::start()?;
        for _ in 0..TIMES {
            resolution = resolve(index, &request)?;
        }
        choosing = choosing.least(start.time()?.of_one(TIMES));
        chosen = resolution.packages.iter().map(|selected| selected.record.name.to_owned()).collect();
    }
    let json = |time: Time| format!("{{\"cpu\": {:.5}, \"wall\": {:.5}}}", time.cpu, time.wall);
    println!(
        "{{\"index\": {}, \"resolve\": {}, \"chosen\": {}}}",
        json(loading),
        json(choosing),
        chosen.len()
    );
    Ok(())
}

/// What a step took, in seconds.
#[derive(Clone, Copy)]
struct Time {
    cpu: f64,
    wall: f64,
}

impl Time {
    const NONE: Self = Self { cpu: f64::MAX, wall: f64::MAX };

    /// What one of so many took.
    fn of_one(self, times: u32) -> Self {
        Self { cpu: self.cpu / f64::from(times), wall: self.wall / f64::from(times) }
    }

    /// The run that noise touched least.
    fn least(self, other: Self) -> Self {
        if other.cpu < self.cpu { other } else { self }
    }
}

struct Stopwatch {
    cpu: f64,
    wall: Instant,
}

impl Stopwatch {
    fn start() -> Result<Self, Box<dyn Error>> {
        Ok(Self { cpu: cpu()?, wall: Instant::now() })
    }

    fn time(&self) -> Result<Time, Box<dyn Error>> {
        let wall = self.wall.elapsed().as_secs_f64();
        Ok(Time { cpu: cpu()? - self.cpu, wall })
    }
}

/// CPU seconds that the threads of this process have used, as the scheduler counts them (proc(5)).
fn cpu() -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0.0;
    for task in fs_err::read_dir("/proc/self/task")? {
        let text = fs_err::read_to_string(task?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().unwrap_or_default().parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}
