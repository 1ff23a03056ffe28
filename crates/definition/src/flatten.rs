//! From checked families to one image: the parent's image first, then the family, its stream, its variant. Lists add
//! and remove, maps override, and what is removed must be there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::check::{CheckedFamily, Delta, ListDelta, RunDelta};
use crate::diagnostic::{Diagnostic, Source};
use crate::image::{DEFAULT_VARIANT, ImageDefinition, ImageId, RunConfig, User};
use crate::nearest::{advice, listed};
use crate::test::{Start, Step};
use crate::written::FromFile;
use crate::yaml::{Span, Spanned};

/// The most families in one chain of `from:`. What an image holds must be found by looking at few files; three are a
/// root, a base and a product.
pub const MAX_LEVELS: usize = 3;

/// The checked families by name: for each stream one, in the order of the file, and at least one.
pub(crate) type Families = BTreeMap<String, Vec<CheckedFamily>>;

/// Flattens one image.
///
/// # Errors
/// At the first thing that does not fit what lies below it.
pub(crate) fn image(
    families: &Families,
    family: &CheckedFamily,
    id: &ImageId,
) -> Result<ImageDefinition, Diagnostic> {
    let mut chain = Vec::new();
    let definition = level(families, family, id, &mut chain)?;
    let place = |message: String| family.source.diagnostic(family.name.span, message);
    for test in &definition.tests {
        let starts_image = |step: &Step| matches!(step, Step::Start(Start::Image | Start::Arguments(_)));
        if definition.run.entrypoint.is_empty() && test.steps.iter().any(starts_image) {
            return Err(place(format!("test `{}` starts `{id}`, which has no entrypoint", test.name))
                .with_hint("give `run:` an `entrypoint:`, or start a command in the test"));
        }
    }
    Ok(definition)
}

fn level(
    families: &Families,
    family: &CheckedFamily,
    id: &ImageId,
    chain: &mut Vec<String>,
) -> Result<ImageDefinition, Diagnostic> {
    chain.push(family.name.value.clone());
    let layers = layers(family, id);
    // The innermost `from` wins: a variant's over its stream's over the family's.
    let from = layers.iter().rev().find_map(|(_, layer)| layer.from.as_ref());
    let parent = from.map(|from| parent(families, family, from, id, chain)).transpose()?;
    let inherited = parent.map(|(family, id)| below(families, family, &id, chain)).transpose()?;
    let mut image = start(family, id, inherited);
    for (place, layer) in layers {
        apply(&mut image, layer, &family.source, place)?;
    }
    Ok(image)
}

/// The parent's image, called by the name of the variant that it is.
fn below(
    families: &Families,
    family: &CheckedFamily,
    id: &ImageId,
    chain: &mut Vec<String>,
) -> Result<ImageDefinition, Diagnostic> {
    let mut image = level(families, family, id, chain)?;
    let nearest = variants(family, &id.variant).pop().map(|(name, _)| name.value.clone());
    image.id.variant = nearest.unwrap_or_else(|| DEFAULT_VARIANT.to_owned());
    Ok(image)
}

/// The family and, as far as the image has them, its stream and variants, each with the place of its name.
fn layers<'family>(family: &'family CheckedFamily, id: &ImageId) -> Vec<(Span, &'family Delta)> {
    let stream = family.streams.iter().find(|(name, _)| Some(&name.value) == id.stream.as_ref());
    let mut layers = vec![(family.name.span, &family.base)];
    let all = stream.into_iter().chain(variants(family, &id.variant));
    layers.extend(all.map(|(name, layer)| (name.span, layer)));
    layers
}

/// What a family has for a variant: a combination `fips-builder` is its `fips`, then its `builder`, then what it says of
/// `fips-builder` itself.
fn variants<'family>(family: &'family CheckedFamily, name: &str) -> Vec<&'family (Spanned<String>, Delta)> {
    let named = |wanted: &str| family.variants.iter().find(|(name, _)| name.value == wanted);
    let parts = name.split('-').filter(|part| *part != name).filter_map(named);
    parts.chain(named(name)).collect()
}

/// The family and image that `from` names.
fn parent<'families>(
    families: &'families Families,
    child: &CheckedFamily,
    from: &Spanned<FromFile>,
    id: &ImageId,
    chain: &[String],
) -> Result<(&'families CheckedFamily, ImageId), Diagnostic> {
    let FromFile { image: name, stream } = &from.value;
    let error = |span: Span, message: String| child.source.diagnostic(span, message);
    let Some((family, by_stream)) =
        families.get(&name.value).and_then(|streams| Some((streams.first()?, streams)))
    else {
        let known: Vec<&str> = families.keys().map(String::as_str).collect();
        return Err(error(name.span, format!("no image is called `{}`", name.value)).with_hint(advice(
            &name.value,
            &known,
            "known images",
        )));
    };
    if chain.contains(&name.value) {
        let circle =
            chain.iter().map(String::as_str).chain([name.value.as_str()]).collect::<Vec<_>>().join("` → `");
        return Err(error(name.span, format!("`from` runs in a circle: `{circle}`"))
            .with_hint("let one of these images stand on another"));
    }
    if chain.len() >= MAX_LEVELS {
        let line =
            chain.iter().map(String::as_str).chain([name.value.as_str()]).collect::<Vec<_>>().join("` → `");
        return Err(error(name.span, format!("more than {MAX_LEVELS} images in one line: `{line}`"))
            .with_hint("stand on an image further down, and add here what is missed"));
    }
    let streams: Vec<&str> = family.streams.iter().map(|(name, _)| name.value.as_str()).collect();
    match stream {
        None if !streams.is_empty() => {
            let all = listed(&streams);
            return Err(error(name.span, format!("`{}` has streams, and none is named", name.value))
                .with_hint(format!("write `{{image: {}, stream: …}}` with one of {all}", name.value)));
        }
        Some(stream) if !streams.contains(&stream.value.as_str()) => {
            return Err(error(stream.span, format!("`{}` has no stream `{}`", name.value, stream.value))
                .with_hint(advice(&stream.value, &streams, "streams")));
        }
        _ => {}
    }
    let stream = stream.as_ref().map(|stream| stream.value.clone());
    let family = by_stream.iter().find(|family| family.stream == stream).unwrap_or(family);
    Ok((family, ImageId { family: name.value.clone(), stream, variant: id.variant.clone() }))
}

/// What a family starts from: its parent's content and run-time, but never its parent's name, tags and tests.
fn start(family: &CheckedFamily, id: &ImageId, parent: Option<ImageDefinition>) -> ImageDefinition {
    let blank = ImageDefinition {
        id: id.clone(),
        title: family.title.clone(),
        description: family.description.clone(),
        category: family.category,
        url: family.url.clone(),
        licenses: family.licenses.clone(),
        parent: None,
        universes: None,
        packages: BTreeMap::new(),
        prefer: BTreeMap::new(),
        slices: BTreeSet::new(),
        fs: Vec::new(),
        run: RunConfig::default(),
        user: User::nonroot(),
        tests: Vec::new(),
        tags: Vec::new(),
        version_of: BTreeMap::new(),
        end_of_life: None,
        allow: BTreeSet::new(),
        compatibility: family.compatibility.clone(),
        example: family.example.as_ref().map(|example| example.value.clone()),
        require: BTreeSet::new(),
        keep: BTreeMap::new(),
        host: None,
    };
    let Some(parent) = parent else { return blank };
    ImageDefinition {
        parent: Some(parent.id),
        universes: parent.universes,
        packages: parent.packages,
        prefer: parent.prefer,
        slices: parent.slices,
        fs: parent.fs,
        run: parent.run,
        user: parent.user,
        allow: parent.allow,
        require: parent.require,
        keep: parent.keep,
        host: parent.host,
        ..blank
    }
}

fn apply(image: &mut ImageDefinition, delta: &Delta, source: &Source, place: Span) -> Result<(), Diagnostic> {
    if let Some(universes) = &delta.universes {
        let left = match &image.universes {
            None => universes.clone(),
            Some(below) => below.intersection(universes).cloned().collect(),
        };
        if left.is_empty() {
            let below: Vec<&str> = image.universes.iter().flatten().map(String::as_str).collect();
            let message = format!("no universe is left in which `{}` could be built", image.id);
            return Err(source
                .diagnostic(place, message)
                .with_hint(format!("what lies below it is only in {}", listed(&below))));
        }
        image.universes = Some(left);
    }
    for (format, packages) in &delta.packages {
        list(image.packages.entry(*format).or_default(), packages, source, &format!("{format} package"))?;
    }
    image.packages.retain(|_, packages| !packages.is_empty());
    image.prefer.extend(delta.prefer.clone());
    list(&mut image.slices, &delta.slices, source, "dropped set of files")?;
    image.fs.extend(delta.fs.iter().cloned());
    run(&mut image.run, &delta.run, source)?;
    image.user = delta.user.clone().unwrap_or_else(|| image.user.clone());
    image.tests.extend(delta.tests.iter().cloned());
    ordered_list(&mut image.tags, &delta.tags, source, "tag")?;
    image.version_of.extend(delta.version_of.clone());
    image.end_of_life = delta.end_of_life.clone().or_else(|| image.end_of_life.take());
    image.allow.extend(&delta.allow);
    image.require.extend(&delta.require);
    for (format, kept) in &delta.keep {
        image.keep.entry(*format).or_default().extend(kept.clone());
    }
    if let Some(host) = &delta.host {
        let target = image.host.get_or_insert_default();
        list(&mut target.modules, &host.modules, source, "kernel module")?;
        ordered_list(&mut target.kernel_arguments, &host.kernel_arguments, source, "kernel argument")?;
    }
    if let Some(description) = &delta.description {
        image.description.clone_from(description);
    }
    Ok(())
}

fn run(run: &mut RunConfig, delta: &RunDelta, source: &Source) -> Result<(), Diagnostic> {
    if let Some(entrypoint) = &delta.entrypoint {
        run.entrypoint.clone_from(entrypoint);
        // Arguments that were made for another program are worse than none.
        run.cmd.clear();
    }
    if let Some(cmd) = &delta.cmd {
        run.cmd.clone_from(cmd);
    }
    run.environment.extend(delta.environment.clone());
    run.labels.extend(delta.labels.clone());
    run.workdir = delta.workdir.clone().or_else(|| run.workdir.take());
    run.stop_signal = delta.stop_signal.clone().or_else(|| run.stop_signal.take());
    list(&mut run.ports, &delta.ports, source, "port")?;
    list(&mut run.volumes, &delta.volumes, source, "volume")
}

fn list<T: Ord + Clone + Display>(
    target: &mut BTreeSet<T>,
    delta: &ListDelta<T>,
    source: &Source,
    what: &str,
) -> Result<(), Diagnostic> {
    for removed in &delta.remove {
        if !target.remove(&removed.value) {
            return Err(nothing_to_remove(removed, &target.iter().collect::<Vec<_>>(), source, what));
        }
    }
    target.extend(delta.add.iter().cloned());
    Ok(())
}

/// As [`list`], for a list in which the order counts.
fn ordered_list<T: Ord + Clone + Display>(
    target: &mut Vec<T>,
    delta: &ListDelta<T>,
    source: &Source,
    what: &str,
) -> Result<(), Diagnostic> {
    for removed in &delta.remove {
        match target.iter().position(|item| *item == removed.value) {
            Some(position) => drop(target.remove(position)),
            None => return Err(nothing_to_remove(removed, &target.iter().collect::<Vec<_>>(), source, what)),
        }
    }
    for added in &delta.add {
        if !target.contains(added) {
            target.push(added.clone());
        }
    }
    Ok(())
}

fn nothing_to_remove<T: Display>(
    removed: &Spanned<T>,
    there: &[&T],
    source: &Source,
    what: &str,
) -> Diagnostic {
    let names: Vec<String> = there.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = if names.is_empty() {
        format!("nothing below it adds a {what}: delete this entry")
    } else {
        advice(&removed.value.to_string(), &names, "what could be removed")
    };
    source
        .diagnostic(removed.span, format!("{what} `{}` is removed, but is not there", removed.value))
        .with_hint(hint)
}
