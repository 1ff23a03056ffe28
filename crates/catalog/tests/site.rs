//! The site over HTTP: every link of every page leads somewhere, pages are well-formed, nothing hostile is taken for HTML.

mod fixture;
mod schema;

use std::collections::{BTreeMap, BTreeSet};

use fixture::{HOSTILE, Site};
use serde_json::Value;

/// Follows links from the start page; every address that was asked for, with its answer.
fn crawl(site: &Site) -> BTreeMap<String, fixture::Answer> {
    let mut seen = BTreeMap::new();
    let mut open = vec!["/".to_owned(), "/api/v1/openapi.json".to_owned()];
    while let Some(address) = open.pop() {
        if seen.contains_key(&address) {
            continue;
        }
        let answer = site.get(&address);
        if answer.kind().starts_with("text/html") {
            let links = fixture::links(&answer.body);
            open.extend(links.into_iter().filter(|link| !seen.contains_key(link)));
        }
        seen.insert(address, answer);
    }
    seen
}

#[test]
fn every_link_leads_somewhere() {
    let site = Site::new();
    let seen = crawl(&site);
    let broken: Vec<_> = seen.iter().filter(|(_, answer)| answer.status != 200).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    // All kinds of pages were reached.
    for part in [
        "/flaws/CVE-2026-1",
        "/status",
        "/api",
        "/spdx.json",
        "/openvex.json",
        ".atom",
        "/-/1.0",
        "/style.css",
        "?category=",
        "/changes",
    ] {
        assert!(seen.keys().any(|address| address.contains(part)), "{part}: {:?}", seen.keys());
    }
}

#[test]
fn pages_are_well_formed_and_accessible() {
    let site = Site::new();
    let mut pages = 0;
    for (address, answer) in crawl(&site) {
        if !answer.kind().starts_with("text/html") {
            continue;
        }
        pages += 1;
        fixture::check_html(&answer.body).unwrap_or_else(|fault| panic!("{address}: {fault}"));
        for (part, count) in
            [("<main", 1), ("<h1>", 1), ("lang=\"en\"", 1), ("class=\"skip\"", 1), ("<title>", 1)]
        {
            assert_eq!(answer.body.matches(part).count(), count, "{part} in {address}");
        }
        for bad in ["<script", " style=", "javascript:", " onclick", "http://evil"] {
            assert!(!answer.body.contains(bad), "{bad} in {address}");
        }
        // Heads of tables say what they are heads of.
        for head in answer.body.split("<th").skip(1).filter(|head| !head.starts_with("ead")) {
            let is_of_readme = !head.starts_with(" scope=") && !head.starts_with(" class=\"number\" scope=");
            assert!(
                !is_of_readme || answer.body.contains("class=\"readme\""),
                "{address}: <th{}",
                &head[..40.min(head.len())]
            );
        }
        let fields = answer.body.matches("<input").count() + answer.body.matches("<select").count();
        assert_eq!(answer.body.matches("<label for=").count(), fields, "{address}");
    }
    assert!(pages > 10, "{pages}");
}

#[test]
fn answers_can_do_nothing_but_be_shown() {
    let site = Site::new();
    for address in [
        "/",
        "/images/hostile",
        "/nothing",
        "/style.css",
        "/api/v1/images",
        "/badges/hostile/-/1.0/flaws.svg",
    ] {
        let answer = site.get(address);
        let policy = &answer.headers["content-security-policy"];
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(!policy.contains("script-src"), "{policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(site.ask(method, "/", "Content-Length: 0\r\n").status, 405, "{method}");
    }
    let first = site.get("/");
    let again = site.ask("GET", "/", &format!("If-None-Match: {}\r\n", first.headers["etag"]));
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert_eq!(site.ask("HEAD", "/", "").body, "");
}

#[test]
fn hostile_texts_stay_texts() {
    let site = Site::new();
    let page = site.get("/images/hostile").body;
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains(HOSTILE));
    // What comes in by the address, too.
    for query in [
        "?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "?category=%22%20onfocus=%22x",
        "?q=%ff%00",
        "?flaws=%3Cb%3E",
    ] {
        let body = site.get(&format!("/{query}")).body;
        assert!(!body.contains("<script") && !body.contains("\" onfocus"), "{query}: {body}");
        fixture::check_html(&body).unwrap_or_else(|fault| panic!("{query}: {fault}"));
    }
    for path in ["/%3Cscript%3E", "/flaws/%3Cscript%3E", "/images/%22%3E", "/images/hostile/-/%3Cb%3E"] {
        let answer = site.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("<script"), "{path}");
    }
    // The host that a client says goes into commands, without what no host has.
    let page = site.ask("GET", "/images/hostile", "Host: evil\"><script>\r\n");
    assert!(!page.body.contains("<script"), "{}", page.body);
    let feed = site.get("/feeds/images/hostile.atom").body;
    fixture::check_xml(&feed).unwrap();
    fixture::check_xml(&site.get("/feeds/flaws.atom").body).unwrap();
    fixture::check_xml(&site.get("/badges/hostile/-/1.0/version.svg").body).unwrap();
}

#[test]
fn searches_and_filters_narrow() {
    let site = Site::new();
    let names = |query: &str| -> BTreeSet<String> {
        let value: Value = serde_json::from_str(&site.get(&format!("/api/v1/images{query}")).body).unwrap();
        value["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| image["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    assert_eq!(names(""), set(&["hostile", "team/sample"]));
    assert_eq!(names("?q=SAMPLE"), set(&["team/sample"]));
    assert_eq!(names("?q=sample+nothing"), set(&[]));
    assert_eq!(names("?category=web"), set(&["team/sample"]));
    assert_eq!(names("?architecture=arm64"), set(&["team/sample"]));
    assert_eq!(names("?flaws=fixable"), set(&["team/sample"]));
    assert_eq!(names("?flaws=none"), set(&[]));
    let page = site.get("/?q=nothing-like-it").body;
    assert!(page.contains("Nothing fits") && page.contains("value=\"nothing-like-it\""), "{page}");
}

#[test]
fn an_image_shows_all_that_is_said_of_it() {
    let site = Site::new();
    let machine = site.machine();
    let page = site.get(&format!("/images/team/sample/-/{machine}")).body;
    for text in [
        "podman pull --tls-verify=false",
        "cosign verify",
        "zlib1g",
        "pkg:deb/debian/zlib1g@1.3",
        "CVE-2026-1",
        "1.3.1",
        "vulnerable code not in execute path",
        "urn:builder:sample",
        "serves its page",
        "SPDX 2.3",
        "CycloneDX 1.6",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let repository = site.get("/images/team/sample").body;
    assert!(
        repository.contains("Known flaws over time") && repository.contains("<svg class=\"chart\""),
        "{repository}"
    );
    let flaw = site.get("/flaws/CVE-2026-1");
    assert!(flaw.body.contains("team/sample") && flaw.body.contains("counts"), "{}", flaw.body);
    assert_eq!(site.get("/flaws/CVE-1999-1").status, 404);
    let value: Value =
        serde_json::from_str(&site.get(&format!("/api/v1/images/team/sample/-/{machine}")).body).unwrap();
    assert_eq!(value["evidence"]["packages"][0]["name"], "zlib1g");
    assert_eq!(value["scan"]["flaws"]["fixable"], 1);
    assert!(site.get("/badges/team/sample/-/1.0/flaws.svg").body.contains(">1</text>"));
    let spdx: Value =
        serde_json::from_str(&site.get(&format!("/images/team/sample/-/{machine}/spdx.json")).body).unwrap();
    assert_eq!(spdx["packages"][0]["name"], "zlib1g");
}

#[test]
fn the_description_names_every_address_of_the_api() {
    let site = Site::new();
    let description: Value = serde_json::from_str(&site.get("/api/v1/openapi.json").body).unwrap();
    let machine = site.machine();
    let fill = [("{name}", "team/sample"), ("{key}", machine.as_str()), ("{flaw}", "CVE-2026-1")];
    for (path, operations) in description["paths"].as_object().unwrap() {
        let address = fill.iter().fold(path.clone(), |path, (hole, value)| path.replace(hole, value));
        let answer = site.get(&address);
        assert_eq!((answer.status, answer.kind()), (200, "application/json"), "{address}");
        let schema = &operations["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let value: Value = serde_json::from_str(&answer.body).unwrap();
        schema::fits(&description, schema, &value).unwrap_or_else(|fault| panic!("{address}: {fault}"));
    }
    // An index, and an image of which nothing but what it holds itself is known, have other fields.
    for address in
        ["/api/v1/images/team/sample/-/1.0", "/api/v1/images/hostile", "/api/v1/images/hostile/-/1.0"]
    {
        let value: Value = serde_json::from_str(&site.get(address).body).unwrap();
        let name = if address.contains("/-/") { "image" } else { "repository" };
        let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{name}") });
        schema::fits(&description, &schema, &value).unwrap_or_else(|fault| panic!("{address}: {fault}"));
    }
    assert_eq!(site.get("/api/v1/images/none").kind(), "application/json");
}

#[test]
fn published_documents_are_served_and_nothing_beside_them() {
    let site = Site::new();
    let metadata = site.get("/.well-known/csaf/provider-metadata.json");
    assert_eq!((metadata.status, metadata.body.as_str()), (200, "{\"canonical_url\":1}"));
    assert_eq!(site.get("/csaf/2026/cve-2026-1.json").status, 200);
    assert_eq!(site.get("/.well-known/vex-repository.json").status, 200);
    for path in [
        "/csaf/../secret",
        "/csaf/%2e%2e/secret",
        "/csaf/link",
        "/csaf/",
        "/csaf/2026",
        "/secret",
        "/index.json",
        "/csaf/2026/cve-2026-1.json/x",
    ] {
        assert_eq!(site.get(path).status, 404, "{path}");
    }
}

#[test]
fn the_pipeline_is_shown_with_what_waits_and_how_long_fixes_took() {
    let site = Site::new();
    let page = site.get("/status").body;
    for text in [
        "Paused: ",
        "at work",
        "zlib1g 1.3 is now 1.3.1",
        "cve.cve_blockers: CVE-2026-1 has a fix",
        "Tried again when something changes.",
        "The next run",
        "Time to fix by image",
        "2.3 days",
        "1 refused",
        "the family web keeps its lock",
        "<svg class=\"chart\"",
    ] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(!page.contains(HOSTILE));
    for key in ["1.0".to_owned(), site.machine()] {
        let page = site.get(&format!("/images/team/sample/-/{key}")).body;
        for text in ["Time to fix", "To be made anew since", "90 s", "not yet"] {
            assert!(page.contains(text), "{text} is not in {page}");
        }
    }
    let status: Value = serde_json::from_str(&site.get("/api/v1/status").body).unwrap();
    assert_eq!(status["pipeline"]["waiting"][1]["image"], "shell");
    assert_eq!(status["pipeline"]["images"]["sample"]["fixes"][1]["seconds"], 90);
}

#[test]
fn an_update_tells_what_it_changes_and_costs() {
    let site = Site::new();
    let machine = site.machine();
    let get = |address: &str| -> Value { serde_json::from_str(&site.get(address).body).unwrap() };
    let changes = get(&format!("/api/v1/images/team/sample/-/{machine}/changes"));
    let only = &changes["machines"][0];
    let expected = serde_json::json!([
        { "name": "libgone", "before": ["7"], "after": [] },
        { "name": "zlib1g", "before": ["1.2"], "after": ["1.3"] },
    ]);
    assert_eq!(only["packages"], expected, "{changes}");
    // All but the layer that both have.
    assert_eq!(only["size"].as_u64().unwrap() - only["update"].as_u64().unwrap(), 5000, "{changes}");
    assert_eq!(only["layers"].as_array().unwrap().len(), 1);
    // By the tag both machines; for one there was nothing before.
    let changes = get("/api/v1/images/team/sample/-/1.0/changes");
    assert_eq!(changes["machines"][1]["from"], Value::Null);
    assert_eq!(changes["machines"][1]["size"], changes["machines"][1]["update"]);
    let before = changes["earlier"][0]["digest"].as_str().unwrap();
    assert_eq!(changes["from"], before);
    // Backwards, and with itself.
    let same = get("/api/v1/images/team/sample/-/1.0/changes?from=latest");
    assert_eq!(
        (&same["machines"][0]["update"], &same["machines"][0]["packages"]),
        (&0.into(), &serde_json::json!([]))
    );
    let back = get(&format!("/api/v1/images/team/sample/-/{before}/changes?from=1.0"));
    assert_eq!(back["machines"][0]["packages"][0]["after"], serde_json::json!(["7"]));
    assert_eq!(back["earlier"], serde_json::json!([]));
    for bad in ["?from=none", "?from=%3Cb%3E", "?from=sha256:00", "?from=../x"] {
        let answer = site.get(&format!("/images/team/sample/-/1.0/changes{bad}"));
        assert_eq!(answer.status, 404, "{bad}");
        assert!(!answer.body.contains("<b>"), "{}", answer.body);
    }
    let page = site.get(&format!("/images/team/sample/-/{machine}/changes")).body;
    for text in ["libgone", "removed", "1.2", "Whoever has the image before downloads", "Images before"] {
        assert!(page.contains(text), "{text} is not in {page}");
    }
    let page = site.get(&format!("/images/team/sample/-/{machine}")).body;
    assert!(page.contains("The last update") && page.contains("2 packages changed."), "{page}");
    assert!(!site.get("/images/hostile/-/1.0/changes").body.contains(HOSTILE));
}

#[test]
fn who_finds_a_flaw_learns_whom_to_tell() {
    let site = Site::new();
    let answer = site.get("/.well-known/security.txt");
    assert_eq!((answer.status, answer.kind()), (200, "text/plain; charset=utf-8"));
    assert!(
        answer.body.contains("Contact: mailto:security@example.org\nExpires: 2027-01-15"),
        "{}",
        answer.body
    );
}
