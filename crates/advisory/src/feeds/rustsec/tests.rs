use crate::feeds::Feed;
use crate::feeds::tests::{advisory, refused};
use crate::model::{Ecosystem, Event, Severity};

#[test]
fn markdown_with_toml_in_front() {
    let advisory = advisory(
        Feed::Rustsec,
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-1111\"\npackage = \"pear\"\ndate = \"2026-03-04\"\n\
         url = \"https://example.com/1\"\nreferences = [\"https://example.com/2\"]\naliases = [\"CVE-2026-1111\"]\n\
         informational = \"unsound\"\ncvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H\"\n\
         [affected]\nos = [\"windows\"]\n[versions]\npatched = [\"^1.2.3 \", \">= 2.1.0\"]\nunaffected = [\"< 0.5\"]\n```\n\n\
         # A hole in pear\n\nMore of it.\n",
    );
    assert_eq!((advisory.id.as_str(), advisory.summary.as_str()), ("RUSTSEC-2026-1111", "A hole in pear"));
    assert_eq!(advisory.published.unwrap().to_string(), "2026-03-04T00:00:00Z");
    assert_eq!(advisory.severities.len(), 2);
    assert_eq!(advisory.severities[1], Severity::Word("unsound".to_owned()));
    assert_eq!(advisory.references.len(), 2);
    let affected = &advisory.affected[0];
    assert_eq!((&affected.ecosystem, affected.package.as_str()), (&Ecosystem::CratesIo, "pear"));
    let introduced = |version: &str| Event::Introduced(version.to_owned());
    let fixed = |version: &str| Event::Fixed(version.to_owned());
    assert_eq!(affected.ranges[0].events, [introduced("0.5.0"), fixed("1.2.3")]);
    assert_eq!(affected.ranges[1].events, [introduced("2.0.0-0"), fixed("2.1.0")]);
}

#[test]
fn toml_alone_with_versions_in_the_older_place() {
    let advisory = advisory(
        Feed::Rustsec,
        "[advisory]\nid = \"RUSTSEC-2016-1\"\npackage = \"pear\"\ndate = \"2016-03-04\"\nwithdrawn = \"2016-04-01\"\n\
         title = \"A hole\"\ndescription = \"More.\"\npatched_versions = [\">= 1\"]\n",
    );
    assert_eq!(advisory.summary, "A hole");
    assert!(advisory.withdrawn.is_some());
    assert_eq!(advisory.affected[0].ranges[0].events[1], Event::Fixed("1.0.0".to_owned()));
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    let head = "[advisory]\nid = \"R\"\npackage = \"pear\"\ndate = \"2026-03-04\"\n";
    for (text, expected) in [
        ("# No TOML at all\n\nText.\n".to_owned(), "document: line 3, column "),
        (
            "```toml\n[advisory]\n".to_owned(),
            "document: line 1, column 1: the TOML that starts here has no end",
        ),
        (format!("```toml\n{head}id = \"S\"\n```\n"), "document: line 6, column 1: duplicate key"),
        (format!("{head}package = 1\n"), "duplicate key"),
        ("[advisory]\nid = 1\n".to_owned(), "document: line 2, column 6: invalid type: integer `1`"),
        ("[advisory]\nid = \"R\"\n".to_owned(), "missing field `package`"),
        (format!("{head}[versions]\npatched = [\"soon\"]\n"), "document: versions: `soon` is no requirement"),
        (head.replace("2026-03-04", "soon"), "document: advisory.date: `soon` is no time"),
        (head.replace("pear", ""), "document: advisory.package: an empty name"),
        (format!("a = {}", "[".repeat(100_000)), "document: line 1, column "),
    ] {
        let error = refused(Feed::Rustsec, &text);
        assert!(error.contains(expected), "{}: {error}", text.chars().take(100).collect::<String>());
    }
}
