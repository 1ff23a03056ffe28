//! Imports a feed into a database, twice, and says what that changed, how long it took, and at most how much memory:
//! `import_feed DATABASE FORM FILE`.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use calypte_advisory::database::{Database, Source};
use calypte_advisory::feeds::{Feed, read_file};
use calypte_base::{Digest, Epoch};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, form, file] = arguments.as_slice() else {
        return Err("usage: import_feed DATABASE FORM FILE".into());
    };
    let feed: Feed = form.parse()?;
    let source = Source {
        name: Path::new(file).file_name().map_or(file.clone(), |name| name.to_string_lossy().into_owned()),
        feed: form.clone(),
        url: file.clone(),
        digest: Digest::of(file.as_bytes()),
        covers: BTreeSet::new(),
        max_age_days: 1,
    };
    let mut database = Database::open(Path::new(path))?;
    for _ in 0..2 {
        let started = Instant::now();
        let document = fs_err::File::open(file)?;
        let imported =
            database.import(&source, Epoch(0), |sink| read_file(feed, file, document, sink).map(drop))?;
        // The most that was in memory at once, as the kernel counts it.
        let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("?").trim();
        let size = fs_err::metadata(path)?.len() / 1_000_000;
        let seconds = started.elapsed().as_secs_f64();
        writeln!(
            std::io::stdout(),
            "{form}: {imported:?}, {seconds:.2} s, {size} MB of file, {peak} at most"
        )?;
    }
    Ok(())
}
