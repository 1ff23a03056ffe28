//! Ports that a configuration file names in one of the usual ways. A guess, and given as one.

use std::collections::BTreeMap;

/// Words before a port, in lower case.
const WORDS: [&str; 9] = [
    "port",
    "listen",
    "listen_port",
    "listen-port",
    "http_port",
    "bind",
    "listener",
    "http-port",
    "tcp-port",
];

/// The ports, each with the line that names it.
#[must_use]
pub fn of(text: &str) -> BTreeMap<u16, String> {
    let mut ports = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';', '/']) {
            continue;
        }
        let mut words = line.split(|character: char| character.is_whitespace() || "=;,".contains(character));
        let first = words.next().unwrap_or_default().trim_end_matches(':').to_ascii_lowercase();
        if !WORDS.contains(&first.as_str()) {
            continue;
        }
        let Some(value) = words.find(|word| !word.is_empty()) else { continue };
        let value = value.trim_matches(['"', '\'', ':']);
        let port = value.rsplit(':').next().unwrap_or(value);
        // Below 2 it is a switch, and no port.
        if let Some(port) = port.parse::<u16>().ok().filter(|port| *port > 1) {
            ports.entry(port).or_insert_with(|| line.to_owned());
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_ways_are_known_and_others_are_not() {
        for (line, port) in [
            ("port 6379", Some(6379)),
            ("  listen 127.0.0.1:8080;", Some(8080)),
            ("listen [::]:80 default_server;", Some(80)),
            ("bind :8443 ssl", Some(8443)),
            ("port = 5432  # change", Some(5432)),
            ("http_port: \"3128\"", Some(3128)),
            ("#port 1", None),
            ("listen yes", None),
            ("listen 1", None),
            ("support 8080", None),
            ("port 65536", None),
            ("port", None),
        ] {
            assert_eq!(of(line).into_keys().next(), port, "{line}");
        }
    }
}
