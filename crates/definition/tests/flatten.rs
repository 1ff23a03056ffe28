//! How parents, streams and variants add up, and how images are named.

use calypte_base::{Architecture, PackageFormat};
use calypte_definition::{Catalog, FsOwner, FsVerb, ImageDefinition};

const BASE: &str = r#"
image: base
title: Base
description: A root.
category: base
packages: {deb: [libc6, gnupg]}
prefer: {awk: mawk, mta: postfix}
slices: {drop: [docs, man]}
fs:
  - {dir: /data, owner: user}
run:
  entrypoint: [/usr/bin/base]
  cmd: [--default]
  environment: {PATH: /usr/bin, LANG: C}
  ports: [80/tcp, 53/udp]
  stop-signal: SIGINT
tags: [latest]
tests:
  - {name: base works, steps: [{run: [base]}]}
variants:
  builder:
    packages: {deb: [bash]}
    slices: {drop: [-man]}
    user: root
    allow: [shell]
    run: {environment: {HOME: /root}}
"#;

const APP: &str = r#"
image: app
title: App
description: An app.
category: web
from: base
packages: {deb: [app, -gnupg]}
prefer: {awk: gawk}
fs:
  - {link: /usr/bin/a, target: "app{stream}"}
run:
  entrypoint: [/usr/bin/app]
  environment: {LANG: C.UTF-8}
  ports: [-80/tcp, 8080/tcp]
version-of: {deb: "app{stream}-{arch}", rpm: app}
tags: ["{version}"]
eol: endoflife:app
tests:
  - name: app works
    with: {tmpfs: [/tmp], environment: {STREAM: "{stream}"}}
    steps:
      - start: image
      - http: 8080
        body: {contains: "app {stream}"}
streams:
  "2":
    universes: [debian-sid]
    tags: [latest]
  "1":
    packages: {deb: [compat]}
    eol: "2027-10-31"
variants:
  builder:
    packages: {deb: ["app{stream}-dev"]}
    tests:
      - {name: builds, steps: [{run: [make]}]}
  slim:
    packages: {deb: [-app, "app{stream}-slim"]}
"#;

fn catalog() -> Catalog {
    let files = [("base.yaml", BASE), ("app.yaml", APP)];
    Catalog::load(files.map(|(file, text)| (file.to_owned(), text.to_owned()))).unwrap()
}

fn image(catalog: &Catalog, name: &str) -> ImageDefinition {
    catalog.image(&catalog.parse_id(name).unwrap()).unwrap().clone()
}

#[test]
fn lists_add_and_remove_and_maps_override() {
    let catalog = catalog();
    for (name, packages, slices, allowed, user) in [
        ("base", "gnupg libc6", "docs man", 0, "nonroot"),
        ("base-builder", "bash gnupg libc6", "docs", 1, "root"),
        ("app:2", "app libc6", "docs man", 0, "nonroot"),
        ("app:1", "app compat libc6", "docs man", 0, "nonroot"),
        ("app:1-builder", "app app1-dev bash compat libc6", "docs", 1, "root"),
        // The parent has no variant of that name: its default stands below.
        ("app:2-slim", "app2-slim libc6", "docs man", 0, "nonroot"),
    ] {
        let image = image(&catalog, name);
        assert_eq!(image.packages_of(PackageFormat::Deb).collect::<Vec<_>>().join(" "), packages, "{name}");
        assert_eq!(image.slices.iter().cloned().collect::<Vec<_>>().join(" "), slices, "{name}");
        assert_eq!((image.allow.len(), image.user.name.as_str()), (allowed, user), "{name}");
    }
    let app = image(&catalog, "app:2");
    assert_eq!(
        app.prefer.iter().map(|(name, package)| format!("{name}={package}")).collect::<Vec<_>>(),
        ["awk=gawk", "mta=postfix"]
    );
}

#[test]
fn the_package_that_has_the_version_may_be_named_after_the_architecture() {
    let app = image(&catalog(), "app:2");
    let package = |format, architecture| app.version_package(format, architecture);
    assert_eq!(package(PackageFormat::Deb, Architecture::Arm64).as_deref(), Some("app2-arm64"));
    assert_eq!(package(PackageFormat::Deb, Architecture::Amd64).as_deref(), Some("app2-amd64"));
    assert_eq!(package(PackageFormat::Rpm, Architecture::Arm64).as_deref(), Some("app"));
    let base = image(&catalog(), "base");
    assert_eq!(base.version_package(PackageFormat::Deb, Architecture::Amd64), None);
}

#[test]
fn the_way_to_run_is_inherited_but_for_arguments_of_another_program() {
    let run = image(&catalog(), "app:2-builder").run;
    assert_eq!(run.entrypoint, ["/usr/bin/app"]);
    assert!(run.cmd.is_empty(), "{:?}", run.cmd);
    assert_eq!(run.ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["53/udp", "8080/tcp"]);
    assert_eq!(run.stop_signal.as_deref(), Some("SIGINT"));
    let environment: Vec<String> =
        run.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(environment, ["HOME=/root", "LANG=C.UTF-8", "PATH=/usr/bin"]);
}

#[test]
fn identity_tags_and_tests_are_the_familys_own() {
    let catalog = catalog();
    let app = image(&catalog, "app:2");
    assert_eq!((app.title.as_str(), app.parent.clone().unwrap().to_string()), ("App", "base".to_owned()));
    assert_eq!(app.tags, ["{version}", "latest"]);
    assert_eq!(app.tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(), ["app works"]);
    let builder = image(&catalog, "app:1-builder");
    assert_eq!(builder.parent.unwrap().to_string(), "base-builder");
    assert_eq!(
        builder.tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(),
        ["app works", "builds"]
    );
    assert_eq!(format!("{:?}", builder.end_of_life.unwrap()), "Date(\"2027-10-31\")");
}

#[test]
fn changes_to_the_tree_come_in_order_with_the_stream_filled_in() {
    let catalog = catalog();
    let app = image(&catalog, "app:1");
    let verbs: Vec<&FsVerb> = app.fs_of(PackageFormat::Rpm).collect();
    let [FsVerb::Dir { mode: 0o755, owner: FsOwner::User, .. }, FsVerb::Link { target, .. }] = verbs[..]
    else {
        panic!("{verbs:?}")
    };
    assert_eq!(target, "app1");
    insta::assert_json_snapshot!(image(&catalog, "app:2"));
}

#[test]
fn names_are_read_back() {
    let catalog = catalog();
    let ids: Vec<String> = catalog.images("app").iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["app:2", "app:2-builder", "app:2-slim", "app:1", "app:1-builder", "app:1-slim"]);
    for name in ids.iter().map(String::as_str).chain(["base", "base-builder", "app", "app-slim"]) {
        assert_eq!(catalog.parse_id(name).unwrap().to_string(), name);
    }
    for (name, error) in [
        ("appp", "no image is called `appp`; did you mean `app`? images: `app`, `base`"),
        ("bsae-builder", "no image is called `bsae-builder`; did you mean `base`? images: `app`, `base`"),
        ("app:3", "image `app` has no stream `3`; streams: `2`, `1`"),
        ("base:1", "image `base` has no stream `1`; it has no streams: leave out the `:`"),
        ("app-fips", "image `app` has no variant `fips`; variants: `default`, `builder`, `slim`"),
        ("app:1-", "image `app` has no variant ``; variants: `default`, `builder`, `slim`"),
        ("", "no image is called ``; images: `app`, `base`"),
    ] {
        let unknown = catalog.parse_id(name).unwrap_err();
        assert_eq!(format!("{unknown}; {}", unknown.hint().unwrap()), error);
    }
}

#[test]
fn a_bare_name_means_the_first_stream_that_the_universe_has() {
    let catalog = catalog();
    let select = |name: &str, universe: &str| catalog.select(&catalog.parse_id(name).unwrap(), universe);
    for (name, universe, expected) in [
        ("app", "debian-sid", "app:2"),
        ("app", "debian-stable", "app:1"),
        ("app-builder", "debian-stable", "app:1-builder"),
        ("base", "debian-stable", "base"),
    ] {
        assert_eq!(select(name, universe).unwrap().to_string(), expected, "{name} in {universe}");
    }
    let unknown = select("app:2", "debian-stable").unwrap_err();
    assert_eq!(unknown.to_string(), "image `app:2` cannot be built in universe `debian-stable`");
}

#[test]
fn what_is_limited_to_a_format_is_left_out_of_the_other() {
    let text = "image: x\ntitle: X\ndescription: X.\ncategory: tool\nfs:\n  - file: /etc/x\n    content: a\n    \
                format: deb\n  - file: /etc/x\n    content: b\n    format: rpm\n  - delete: /y\ntests:\n  - name: \
                t\n    format: rpm\n    steps: [{files: {exist: [/etc/x]}}]\n";
    let catalog = Catalog::load([("x.yaml".to_owned(), text.to_owned())]).unwrap();
    let image = image(&catalog, "x");
    for (format, expected, tests) in [(PackageFormat::Deb, "a", 0), (PackageFormat::Rpm, "b", 1)] {
        let verbs: Vec<&FsVerb> = image.fs_of(format).collect();
        assert!(
            matches!(verbs[..], [FsVerb::File { content, .. }, FsVerb::Delete { .. }] if content == expected),
            "{verbs:?}"
        );
        assert_eq!(image.tests_of(format).count(), tests);
    }
}

#[test]
fn a_combination_is_its_parts_in_order() {
    let combined = APP.replace("  slim:", "  builder-slim:\n    packages: {deb: [both]}\n  slim:");
    let files = [("base.yaml", BASE.to_owned()), ("app.yaml", combined)];
    let catalog = Catalog::load(files.map(|(file, text)| (file.to_owned(), text))).unwrap();
    let image = image(&catalog, "app:2-builder-slim");
    let packages: Vec<&str> = image.packages_of(PackageFormat::Deb).collect();
    // Base has the builder alone; the family adds its builder, its slim, and what is of both.
    assert_eq!(packages, ["app2-dev", "app2-slim", "bash", "both", "libc6"]);
    assert_eq!(image.user.name, "root");
    assert_eq!(image.parent.unwrap().to_string(), "base-builder");
}
