//! Which mirrors to ask: those given with `--mirror`, else those that the machine's own apt uses, else the universe's
//! own fallback.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

/// Mirror name (`debian`) → base addresses in the order in which they are asked.
pub type Mirrors = BTreeMap<String, Vec<String>>;

/// Reads `NAME=URL` as `--mirror` takes it.
///
/// # Errors
/// When there is no `=`, or the address is neither http nor https.
pub fn parse(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, url))
            if !name.is_empty() && (url.starts_with("http://") || url.starts_with("https://")) =>
        {
            Ok((name.to_owned(), url.trim_end_matches('/').to_owned()))
        }
        _ => bail!(
            "`{text}` is not NAME=URL with an http or https address, such as debian=http://mirror.example/debian"
        ),
    }
}

/// The mirrors of the machine's own apt, from its `sources.list` and `sources.list.d` (sources.list(5)). A machine
/// without apt has none; a file that cannot be read is passed over, since it is apt's and not ours.
#[must_use]
pub fn of_system(apt: &Path) -> Mirrors {
    let mut files = vec![apt.join("sources.list")];
    if let Ok(entries) = fs_err::read_dir(apt.join("sources.list.d")) {
        let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        found.sort();
        files.extend(found);
    }
    let mut mirrors = Mirrors::new();
    for file in files {
        let Ok(text) = fs_err::read_to_string(&file) else { continue };
        let addresses = match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => deb822_addresses(&text),
            Some("list") => line_addresses(&text),
            _ => continue,
        };
        for address in addresses {
            // The last part of the path tells the archives of one mirror apart, on every mirror there is.
            let name = address.rsplit('/').next().unwrap_or_default().to_owned();
            let known = mirrors.entry(name).or_default();
            if !known.contains(&address) {
                known.push(address);
            }
        }
    }
    mirrors
}

fn is_http(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}

fn deb822_addresses(text: &str) -> Vec<String> {
    let uris = text.lines().filter_map(|line| line.strip_prefix("URIs:"));
    uris.flat_map(str::split_whitespace)
        .filter(|uri| is_http(uri))
        .map(|uri| uri.trim_end_matches('/').to_owned())
        .collect()
}

fn line_addresses(text: &str) -> Vec<String> {
    let entries = text.lines().filter_map(|line| line.trim().strip_prefix("deb "));
    let address = |entry: &str| {
        entry.split_whitespace().find(|word| is_http(word)).map(|uri| uri.trim_end_matches('/').to_owned())
    };
    entries.filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_apt_sources() {
        let directory = tempfile::tempdir().unwrap();
        let list = "# comment\ndeb [arch=amd64 signed-by=/k] http://a.example/debian sid main\ndeb-src http://s.example/debian sid main\n";
        fs_err::write(directory.path().join("sources.list"), list).unwrap();
        fs_err::create_dir(directory.path().join("sources.list.d")).unwrap();
        let sources =
            "Types: deb\nURIs: http://b.example/debian/ https://c.example/debian-security\nSuites: sid\n";
        fs_err::write(directory.path().join("sources.list.d/x.sources"), sources).unwrap();
        let expected = Mirrors::from([
            ("debian".into(), vec!["http://a.example/debian".into(), "http://b.example/debian".into()]),
            ("debian-security".into(), vec!["https://c.example/debian-security".into()]),
        ]);
        assert_eq!(of_system(directory.path()), expected);
        assert_eq!(of_system(&directory.path().join("none")), Mirrors::new());
    }

    #[test]
    fn refuses_what_is_no_mirror() {
        assert_eq!(parse("debian=http://m/debian/").unwrap(), ("debian".into(), "http://m/debian".into()));
        for text in ["debian", "=http://m", "debian=ftp://m"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
