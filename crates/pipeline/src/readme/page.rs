//! The page about one family.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use calypte_base::{Architecture, PackageFormat};
use calypte_definition::{Catalog, Compatibility, Example, ImageDefinition, ImageId, RunConfig};

use super::shell::{Line, quoted};
use super::usage::{Named, script};
use super::{cell, code};
use crate::factory::Factory;
use crate::lifecycle::Day;
use crate::sizes::SizeRecord;

/// The universe that commands mean where none is named.
const USUAL_UNIVERSE: &str = "debian-sid";

/// What a variant is, where the definition says no more of it.
const VARIANTS: [(&str, &str); 4] = [
    ("default", "what runs: the software and what it needs, without a shell and without a package manager"),
    ("debug", "the same and busybox, to look around in a container"),
    ("builder", "the same, a shell, the usual tools and the package manager, to build with; runs as root"),
    ("fips", "the same, with OpenSSL's FIPS provider switched on"),
];

impl Factory<'_> {
    /// The page about a family.
    pub(super) fn page(&self, family: &str, universe: &str) -> Result<String> {
        let ids = self.images.images_in(family, universe);
        let first = ids.first().with_context(|| format!("{family} has no image in {universe}"))?;
        let definition = self.images.image(first)?;
        let format = self.universe(universe)?.0.format;
        let reference = self.reference(first, universe)?;
        let mut page = format!(
            "# {}\n\n<!-- Written by `cargo xtask generate` out of catalog/images/{family}.yaml. -->\n\n{}\n",
            definition.title,
            definition.description.trim()
        );
        page.push_str(&facts(definition));
        page.push_str(&self.images_table(&ids, universe)?);
        page.push_str(&self.variants(&ids)?);
        page.push_str(&to_have(first, universe, &reference));
        page.push_str(&to_run(Named { definition, reference: &reference }, format));
        page.push_str(&definition.compatibility.as_ref().map_or_else(String::new, compatibility));
        if let Some(example) = &definition.example {
            page.push_str(&self.example(example, first, universe)?);
        }
        page.push_str(&to_check(first, universe));
        Ok(page)
    }

    /// The images with their tags, end of life and sizes.
    fn images_table(&self, ids: &[ImageId], universe: &str) -> Result<String> {
        let lock = ids.first().map(|id| self.settings.catalog.read_lock(universe, &id.family));
        let lock = lock.transpose()?.flatten();
        let sizes = self.recorded_sizes(universe)?;
        let architecture = *self.universe(universe)?.0.architectures.first().context("no architecture")?;
        let mut text = format!("\n## Images\n\nIn {universe}, for ");
        let all = self.universe(universe)?.0.architectures.iter().map(ToString::to_string);
        text.push_str(&all.collect::<Vec<_>>().join(" and "));
        let _ = write!(
            text,
            "; packages and sizes are those for {architecture}.\n\n\
             | image | tags | supported until | packages | to download | unpacked |\n|---|---|---|---:|---:|---:|\n"
        );
        for id in ids {
            let tags = self.tags_here(id, universe)?.tags;
            let until = self.end_of_life(self.images.image(id)?)?;
            let packages = lock.as_ref().filter(|lock| lock.images.contains_key(&id.key()));
            let packages = packages.map(|lock| lock.packages_of(architecture, &id.key()).count().to_string());
            let (download, unpacked) = size(sizes.as_ref(), id, architecture);
            let _ = writeln!(
                text,
                "| `{id}` | {} | {} | {} | {download} | {unpacked} |",
                tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(" "),
                until.map_or_else(String::new, |day| Day(day).to_string()),
                packages.unwrap_or_default(),
            );
        }
        Ok(text)
    }

    /// What each variant is for.
    fn variants(&self, ids: &[ImageId]) -> Result<String> {
        let mut text = "\n## Variants\n\n".to_owned();
        let first = ids.first().map(|id| self.images.image(id)).transpose()?;
        for id in ids.iter().filter(|id| id.stream == ids.first().and_then(|first| first.stream.clone())) {
            let definition = self.images.image(id)?;
            let known = known(&id.variant);
            let own = Some(definition.description.trim())
                .filter(|about| first.is_some_and(|first| first.description.trim() != *about));
            let about = own.map(str::to_owned).or(known).unwrap_or_else(|| "see the definition".to_owned());
            let _ = writeln!(text, "- **{}**: {}", id.variant, about.trim_end_matches('.'));
        }
        Ok(text)
    }

    /// The example, with the images that it builds upon under their references.
    fn example(&self, example: &Example, id: &ImageId, universe: &str) -> Result<String> {
        let catalog: &Catalog = &self.images;
        let mut named = Vec::new();
        let containerfile = example.filled(|name| {
            let image = catalog.select(&catalog.image_of_example(id, name)?, universe)?;
            let reference = self.reference(&image, universe)?;
            if !named.contains(&(image.clone(), reference.clone())) {
                named.push((image, reference.clone()));
            }
            anyhow::Ok(reference)
        })?;
        let mut text = format!("\n## Build upon it\n\n{}\n", example.shows.trim());
        for (name, content) in &example.files {
            let _ = write!(text, "\n`{name}`:\n\n{}", fenced(language(name), content));
        }
        let _ = write!(text, "\n`Containerfile`:\n\n{}", fenced("dockerfile", &containerfile));
        let mut commands = String::new();
        for (image, reference) in &named {
            commands.push_str(&load(image, universe, reference));
        }
        let name = format!("{}-example", id.family);
        let _ = writeln!(commands, "podman build --tag {name} .");
        let mut run =
            Line::new(&["podman", "run", "--rm", "--read-only", "--cap-drop all", "--network none"]);
        let _ = writeln!(commands, "{}", run.raw(name).text());
        let output = [&example.output.equals, &example.output.contains].into_iter().flatten();
        for line in output.flat_map(|text| text.lines()) {
            let _ = writeln!(commands, "# → {line}");
        }
        let _ = write!(text, "\nBeside these files:\n\n{}", fenced("sh", &commands));
        Ok(text)
    }
}

/// What a variant of a usual name is; `fips-builder` is `fips` and `builder`.
fn known(variant: &str) -> Option<String> {
    let about = |name: &str| VARIANTS.iter().find(|(known, _)| *known == name).map(|(_, about)| *about);
    let parts: Vec<&str> = variant.split('-').collect();
    if parts.len() > 1 && parts.iter().all(|part| about(part).is_some()) {
        return Some(format!("{} together", parts.join(" and ")));
    }
    about(variant).map(str::to_owned)
}

/// What is the same for all images of the family.
fn facts(definition: &ImageDefinition) -> String {
    let RunConfig { entrypoint, cmd, environment, workdir, ports, volumes, stop_signal, labels: _ } =
        &definition.run;
    let codes = |list: Vec<String>| list.iter().map(|text| code(text)).collect::<Vec<_>>().join(", ");
    let command: Vec<String> = entrypoint.iter().chain(cmd).map(|word| quoted(word)).collect();
    let environment = environment.iter().filter(|(name, _)| *name != "PATH");
    let rows = [
        ("home", definition.url.as_ref().map(|url| format!("<{url}>")).unwrap_or_default()),
        ("licence", definition.licenses.clone().unwrap_or_default()),
        ("category", definition.category.to_string()),
        (
            "starts",
            if command.is_empty() { "nothing by itself".to_owned() } else { code(&command.join(" ")) },
        ),
        ("runs as", format!("{} ({}:{})", definition.user.name, definition.user.uid, definition.user.gid)),
        ("working directory", workdir.as_ref().map(|path| code(&path.to_string())).unwrap_or_default()),
        ("ports", codes(ports.iter().map(ToString::to_string).collect())),
        ("volumes", codes(volumes.iter().map(ToString::to_string).collect())),
        ("environment", codes(environment.map(|(name, value)| format!("{name}={value}")).collect())),
        ("stops on", stop_signal.as_ref().map(|signal| code(signal)).unwrap_or_default()),
    ];
    let mut text = "\n| | |\n|---|---|\n".to_owned();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "| {name} | {} |", cell(value));
    }
    text
}

/// Download and unpacked size as recorded; empty where they were not.
fn size(sizes: Option<&SizeRecord>, id: &ImageId, architecture: Architecture) -> (String, String) {
    let size = sizes.and_then(|sizes| sizes.images.get(&id.to_string())?.get(&architecture));
    // In megabytes: a byte more or less is no reason for another page.
    let shown = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    size.map_or_else(Default::default, |size| (shown(size.download), shown(size.unpacked)))
}

/// How an image is built and loaded.
fn load(image: &ImageId, universe: &str, reference: &str) -> String {
    let file = image.to_string().replace(':', "-");
    let mut build = Line::new(&["calypte", "build"]);
    build
        .raw(format!("{image}{}", elsewhere(universe)))
        .option("--output", &format!("docker-archive:{file}.tar:{reference}"));
    format!("{}\npodman load --quiet --input {file}.tar\n", build.text())
}

/// The option that names a universe which is not meant where none is named.
fn elsewhere(universe: &str) -> String {
    if universe == USUAL_UNIVERSE { String::new() } else { format!(" --universe {universe}") }
}

fn to_have(image: &ImageId, universe: &str, reference: &str) -> String {
    format!("\n## Have it\n\n{}", fenced("sh", &load(image, universe, reference)))
}

/// The tests of the default image as commands.
fn to_run(image: Named<'_>, format: PackageFormat) -> String {
    let mut text = String::new();
    for test in image.definition.tests_of(format) {
        let Some(script) = script(test, image) else { continue };
        let name = super::sentence(&test.name);
        let _ = write!(text, "\n{name}:\n\n{}", fenced("sh", &script));
    }
    if text.is_empty() {
        return text;
    }
    format!("\n## Run it\n\nThese are the image's own tests, as commands.\n{text}")
}

fn compatibility(compatibility: &Compatibility) -> String {
    let Compatibility { image, table } = compatibility;
    let mut text = format!("\n## Coming from {image}\n\n| there | here | why |\n|---|---|---|\n");
    for row in table {
        let why = row.why.as_deref().unwrap_or_default();
        let _ = writeln!(text, "| {} | {} | {} |", cell(&row.theirs), cell(&row.here), cell(why));
    }
    text
}

/// What can be checked of it today.
fn to_check(image: &ImageId, universe: &str) -> String {
    let universe = elsewhere(universe);
    let commands = format!(
        "calypte show {image}{universe}\ncalypte sbom {image}{universe}\ncalypte scan {image}{universe}\n\
         calypte test {image}{universe}\n"
    );
    let why = "The packages and who asked for each, the bill of materials, the known flaws, and the tests above. The same lock \
               gives the same bytes on every machine, so the digest that `calypte build` prints can be compared.";
    format!("\n## Check it\n\n{}\n{why}\n", fenced("sh", &commands))
}

/// A block of code, between more backticks than are in it.
fn fenced(language: &str, text: &str) -> String {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// What a file's name says of its language, for colours.
fn language(name: &str) -> &str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "py" => "python",
        "rs" => "rust",
        "rb" => "ruby",
        "pl" => "perl",
        "mod" | "sum" | "txt" => "",
        other => other,
    }
}
