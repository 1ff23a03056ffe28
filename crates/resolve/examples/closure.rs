//! scratch
#![allow(clippy::all)]
use calypte_universe::{rules::Assumed, *};
use std::collections::*;
fn main() {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap();
    let file = args.next().unwrap();
    let arch: calypte_base::Architecture = args.next().unwrap().parse().unwrap();
    let names: BTreeSet<String> = args.collect();
    let assumed: Assumed = if mode.contains('a') {
        let p = "catalog/universes/debian/assumed.yaml";
        calypte_definition::yaml::from_str(p, &std::fs::read_to_string(p).unwrap())
            .map_err(|e| eprintln!("{e}"))
            .unwrap()
    } else {
        Assumed::default()
    };
    let table = table::read_packages(std::fs::File::open(&file).unwrap(), arch.deb()).unwrap();
    let index = PackageIndex::new(&file, arch, vec![("x".into(), table)]).unwrap();
    let request = calypte_resolve::Request { packages: names, prefer: BTreeMap::new(), assumed: &assumed };
    let t = std::time::Instant::now();
    match calypte_resolve::resolve(&index, &request) {
        Ok(r) => {
            if mode.contains('t') {
                eprintln!("{:?}", t.elapsed());
            }
            if mode.contains('l') {
                for s in &r.packages {
                    println!(
                        "{} {} {}K  <- {}",
                        s.record.name,
                        s.record.version,
                        s.record.installed_size,
                        s.askers.iter().copied().collect::<Vec<_>>().join(" ")
                    );
                }
            } else {
                println!(
                    "{}: {}",
                    r.packages.len(),
                    r.packages.iter().map(|s| s.record.name).collect::<Vec<_>>().join(" ")
                );
            }
        }
        Err(e) => println!("{e}\n{:?}", e.hint()),
    }
}
