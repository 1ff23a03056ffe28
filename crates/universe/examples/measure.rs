//! scratch
#![allow(clippy::all)]
use calypte_universe::*;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    s.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}
fn main() {
    for file in ["/tmp/m/Packages", "/tmp/m/PackagesT"] {
        let bytes = std::fs::read(file).unwrap();
        for _ in 0..3 {
            let t = cpu();
            let mut r = calypte_formats::deb822::Reader::new(&bytes[..]);
            let mut n = 0;
            while let Some(p) = r.next_paragraph().unwrap() {
                n += p.fields().count();
            }
            let t2 = cpu();
            let table = table::read_packages(&bytes[..], "amd64").unwrap();
            let t3 = cpu();
            let index =
                PackageIndex::new("sid", calypte_base::Architecture::Amd64, vec![("sid".into(), table)])
                    .unwrap();
            let t4 = cpu();
            println!(
                "{file}: deb822 {:.3} ({n} fields) table {:.3} index {:.3} ({})",
                t2 - t,
                t3 - t2,
                t4 - t3,
                index.len()
            );
        }
    }
}
