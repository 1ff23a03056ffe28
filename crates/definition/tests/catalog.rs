//! The committed catalog: it loads, its images are what they are meant to be, and the committed schema is the types'.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use calypte_base::PackageFormat;
use calypte_definition::{Allowance, Catalog, Category, FsVerb, ImageDefinition, Requirement, Step, schema};

fn catalog_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog")
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the committed catalog, and says which file it is"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "a test lists the committed catalog")]
fn catalog() -> Catalog {
    let files: BTreeSet<PathBuf> = ["images", "os"]
        .into_iter()
        .flat_map(|directory| std::fs::read_dir(catalog_directory().join(directory)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(catalog_directory()).unwrap();
        (format!("catalog/{}", name.display()), read(&path))
    };
    Catalog::load(files.into_iter().map(named)).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))
    })
}

/// The images for containers, and those of hosts, for which other rules hold.
fn all(catalog: &Catalog) -> (Vec<&ImageDefinition>, Vec<&ImageDefinition>) {
    let ids = catalog.families().flat_map(|family| catalog.images(&family.name)).collect::<Vec<_>>();
    ids.iter().map(|id| catalog.image(id).unwrap()).partition(|image| image.host.is_none())
}

#[test]
fn lists_the_images() {
    let catalog = catalog();
    let mut shown = String::new();
    for universe in ["debian-sid", "debian-stable"] {
        shown.push_str(&format!("{universe}:\n"));
        for family in catalog.families() {
            let ids: Vec<String> =
                catalog.images_in(&family.name, universe).iter().map(ToString::to_string).collect();
            shown.push_str(&format!("  {}: {}\n", family.name, ids.join(" ")));
        }
    }
    insta::assert_snapshot!(shown);
}

/// The family that holds a shell in every variant, since it is one.
const WITH_A_SHELL: [&str; 1] = ["busybox"];

#[test]
fn only_what_says_so_holds_a_shell_or_runs_as_root() {
    for image in all(&catalog()).0 {
        let has = |part: &str| image.id.variant.split('-').any(|name| name == part);
        let shell = image.allow.contains(&Allowance::Shell);
        assert_eq!(
            shell,
            has("builder") || has("debug") || WITH_A_SHELL.contains(&image.id.family.as_str()),
            "{}",
            image.id
        );
        for allowance in [Allowance::PackageManager, Allowance::Root, Allowance::Setuid] {
            assert_eq!(image.allow.contains(&allowance), has("builder"), "{} {allowance:?}", image.id);
        }
        assert_eq!(image.user.uid, if has("builder") { 0 } else { 65532 }, "{}", image.id);
        assert_eq!(image.require.contains(&Requirement::Fips), has("fips"), "{}", image.id);
        let shells = ["bash", "dash", "zsh", "busybox", "busybox-static"];
        for format in
            [PackageFormat::Deb, PackageFormat::Rpm].into_iter().filter(|format| can_be_of(image, *format))
        {
            let holds = image.packages_of(format).any(|package| shells.contains(&package));
            assert_eq!(holds, shell, "{} of {format}", image.id);
        }
    }
}

/// Whether some universe with such packages can have the image.
fn can_be_of(image: &ImageDefinition, format: PackageFormat) -> bool {
    let universes: &[&str] = match format {
        PackageFormat::Deb => &["debian-sid", "debian-stable"],
        PackageFormat::Rpm => &["fedora-rawhide"],
    };
    universes.iter().any(|universe| image.is_in_universe(universe))
}

#[test]
fn every_image_is_complete_and_tested() {
    for image in all(&catalog()).0 {
        for format in [PackageFormat::Deb, PackageFormat::Rpm] {
            let has = image.packages_of(format).next().is_some();
            assert!(has || !can_be_of(image, format), "{} has no {format} packages", image.id);
        }
        assert!(!image.tests.is_empty(), "{} has no tests", image.id);
        assert!(!image.tags.is_empty() && image.url.is_some() && image.licenses.is_some(), "{}", image.id);
        assert!(image.run.environment.contains_key("PATH"), "{}", image.id);
        let is_base = image.category == Category::Base;
        let starts = !image.run.entrypoint.is_empty() || !image.run.cmd.is_empty();
        assert!(is_base || starts, "{}", image.id);
        for test in &image.tests {
            assert!(test.sandbox.read_only && !test.sandbox.network, "{}: {}", image.id, test.name);
        }
        assert!(!serde_json::to_string(image).unwrap().contains("{stream}"), "{}", image.id);
    }
}

#[test]
fn a_host_starts_its_manager_and_has_no_package_manager() {
    let catalog = catalog();
    let hosts = all(&catalog).1;
    assert!(!hosts.is_empty());
    for image in hosts {
        assert_eq!(image.category, Category::Host, "{}", image.id);
        assert_eq!(image.run.entrypoint, ["/sbin/init"], "{}", image.id);
        assert_eq!(image.run.stop_signal.as_deref(), Some("SIGRTMIN+3"), "{}", image.id);
        assert_eq!(image.run.labels["containers.bootc"], "1", "{}", image.id);
        assert!(image.allow.contains(&Allowance::Root), "{}", image.id);
        assert!(!image.allow.contains(&Allowance::PackageManager), "{}", image.id);
        for format in [PackageFormat::Deb, PackageFormat::Rpm] {
            assert!(
                image.packages_of(format).any(|package| package == "systemd"),
                "{} of {format}",
                image.id
            );
        }
    }
}

/// Each family that runs something has a variant to build with and one to look around in.
#[test]
fn every_family_has_a_builder_and_a_debug_variant() {
    let other =
        |family: &&calypte_definition::Family| family.name != "busybox" && family.category != Category::Host;
    for family in catalog().families().filter(other) {
        for variant in ["builder", "debug"] {
            assert!(family.variants.iter().any(|name| name == variant), "{} has no {variant}", family.name);
        }
    }
}

#[test]
fn streams_are_filled_in() {
    let catalog = catalog();
    let image = catalog.image(&catalog.parse_id("python:3.13-builder").unwrap()).unwrap();
    let packages: Vec<&str> = image.packages_of(PackageFormat::Deb).collect();
    assert!(packages.contains(&"python3.13") && packages.contains(&"python3.13-venv"), "{packages:?}");
    let link = |verb: &FsVerb| matches!(verb, FsVerb::Link { target, .. } if target == "python3.13");
    assert!(image.fs_of(PackageFormat::Deb).any(link), "{:?}", image.fs);
    let version =
        |step: &Step| matches!(step, Step::Run { stdout: Some(text), .. } if text.fits("Python 3.13.5"));
    assert!(image.tests_of(PackageFormat::Rpm).flat_map(|test| &test.steps).any(version));
}

/// Run with `UPDATE_SCHEMA=1` to write the schema anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test rewrites the committed schema when it is asked to")]
fn the_committed_schema_is_that_of_the_types() {
    let path = catalog_directory().join("schema/image.schema.json");
    let generated = schema().unwrap();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let stale =
        "run `UPDATE_SCHEMA=1 cargo test -p calypte-definition --test catalog` and commit the outcome";
    assert!(read(&path) == generated, "{} is stale: {stale}", path.display());
}

#[test]
fn the_files_that_a_family_needs_are_enough() {
    let all = catalog();
    for family in all.families() {
        let needed = all.needed_by(&family.name);
        let text = |name: &String| {
            let paths = ["images", "os"]
                .map(|directory| catalog_directory().join(format!("{directory}/{name}.yaml")));
            let path = paths.iter().find(|path| path.exists()).unwrap();
            (format!("{name}.yaml"), read(path))
        };
        let alone = Catalog::load(needed.iter().map(text)).unwrap_or_else(|errors| panic!("{}", errors[0]));
        assert_eq!(alone.images(&family.name), all.images(&family.name));
        for id in all.images(&family.name) {
            assert_eq!(alone.image(&id), all.image(&id), "{id}");
        }
    }
    // `static` stands on nothing, and its example is built in another family.
    let needed = all.needed_by("static");
    assert!(needed.contains("gcc") && !needed.contains("nginx"), "{needed:?}");
}
