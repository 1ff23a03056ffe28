//! From a family file as it is written to checked values: every name, path, mode, port and test is looked at here, and
//! each fault is noted at its place, so that one run reports all of them. What depends on other files (parents, what
//! a list holds when something is removed from it) comes later, in `flatten`.

mod page;
mod run;
mod steps;
mod verbs;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};

use calypte_base::{PackageFormat, TreePath};

use crate::diagnostic::{Diagnostic, Source};
use crate::fs::FsChange;
use crate::image::{Allowance, Category, DEFAULT_VARIANT, EndOfLife, Port, Requirement, User};
use crate::page::{Compatibility, Example};
use crate::test::Test;
use crate::written::{DeltaFile, FamilyFile, FromFile, NameOr, Text, UserFile, VersionOfFile};
use crate::yaml::{Entries, Span, Spanned};
use words::Fault;

/// A checked family file.
#[derive(Debug)]
pub(crate) struct CheckedFamily {
    pub(crate) source: Source,
    /// The stream for which `{stream}` was filled in.
    pub(crate) stream: Option<String>,
    pub(crate) name: Spanned<String>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) category: Category,
    pub(crate) starter: bool,
    pub(crate) url: Option<String>,
    pub(crate) licenses: Option<String>,
    pub(crate) compatibility: Option<Compatibility>,
    pub(crate) example: Option<Spanned<Example>>,
    pub(crate) base: Delta,
    pub(crate) streams: Vec<(Spanned<String>, Delta)>,
    pub(crate) variants: Vec<(Spanned<String>, Delta)>,
}

/// What a family, a stream or a variant adds to what lies below it.
#[derive(Debug)]
pub(crate) struct Delta {
    pub(crate) description: Option<String>,
    pub(crate) from: Option<Spanned<FromFile>>,
    pub(crate) universes: Option<BTreeSet<String>>,
    pub(crate) packages: BTreeMap<PackageFormat, ListDelta<String>>,
    pub(crate) prefer: BTreeMap<String, String>,
    pub(crate) slices: ListDelta<String>,
    pub(crate) fs: Vec<FsChange>,
    pub(crate) run: RunDelta,
    pub(crate) user: Option<User>,
    pub(crate) tests: Vec<Test>,
    pub(crate) tags: ListDelta<String>,
    pub(crate) version_of: BTreeMap<PackageFormat, String>,
    pub(crate) end_of_life: Option<EndOfLife>,
    pub(crate) allow: BTreeSet<Allowance>,
    pub(crate) require: BTreeSet<Requirement>,
    pub(crate) keep: BTreeMap<PackageFormat, BTreeMap<String, String>>,
    pub(crate) host: Option<HostDelta>,
}

/// What a host needs, as a change.
#[derive(Debug)]
pub(crate) struct HostDelta {
    pub(crate) modules: ListDelta<String>,
    pub(crate) kernel_arguments: ListDelta<String>,
}

/// How containers start, as a change.
#[derive(Debug)]
pub(crate) struct RunDelta {
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) cmd: Option<Vec<String>>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) workdir: Option<TreePath>,
    pub(crate) ports: ListDelta<Port>,
    pub(crate) volumes: ListDelta<TreePath>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A list's additions and removals, in the order of the file.
#[derive(Debug)]
pub(crate) struct ListDelta<T> {
    pub(crate) add: Vec<T>,
    pub(crate) remove: Vec<Spanned<T>>,
}

/// Checks a family file: once for each of its streams, with `{stream}` filled in, or once if it has none.
///
/// # Errors
/// All faults that were found, by their places.
pub(crate) fn family(source: &Source, file: &FamilyFile) -> Result<Vec<CheckedFamily>, Vec<Diagnostic>> {
    let streams: Vec<Option<&str>> = match file.streams.0.as_slice() {
        [] => vec![None],
        streams => streams.iter().map(|(name, _)| Some(name.value.as_str())).collect(),
    };
    let mut families = Vec::new();
    let mut errors = Vec::new();
    for stream in streams {
        match family_of_stream(source, file.clone(), stream) {
            Ok(family) => families.push(family),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() {
        return Ok(families);
    }
    errors.sort_by(|one: &Diagnostic, other| {
        (one.line, one.column, &one.message).cmp(&(other.line, other.column, &other.message))
    });
    // What is wrong in one stream is mostly wrong in all of them.
    errors.dedup_by_key(|error| (error.line, error.column));
    Err(errors)
}

fn family_of_stream(
    source: &Source,
    file: FamilyFile,
    stream: Option<&str>,
) -> Result<CheckedFamily, Vec<Diagnostic>> {
    let mut checker = Checker { source, stream, errors: Vec::new(), tests: BTreeMap::new() };
    checker.value(&file.image, words::family);
    checker.file_name(&file.image);
    for text in [Some(&file.title), Some(&file.description), file.licenses.as_ref()].into_iter().flatten() {
        checker.value(text, words::line);
    }
    let url = file.url.as_ref().and_then(|url| checker.value(url, words::url));
    checker.tags_have_values(&file);
    let compatibility = file.compatibility.as_ref().and_then(|file| checker.compatibility(file));
    let example = file.example.as_ref().and_then(|file| checker.example(file));
    let streams = checker.layers(file.streams, "stream", words::stream);
    let variants = checker.layers(file.variants, "variant", words::variant);
    let base = checker.delta(DeltaFile {
        description: None,
        from: file.from,
        universes: file.universes,
        packages: file.packages,
        prefer: file.prefer,
        slices: file.slices,
        fs: file.fs,
        run: file.run,
        user: file.user,
        tests: file.tests,
        tags: file.tags,
        version_of: file.version_of,
        eol: file.eol,
        allow: file.allow,
        require: file.require,
        keep: file.keep,
        host: file.host,
    });
    if !checker.errors.is_empty() {
        return Err(checker.errors);
    }
    Ok(CheckedFamily {
        source: source.clone(),
        stream: stream.map(str::to_owned),
        name: file.image,
        title: file.title.value,
        description: file.description.value,
        category: file.category,
        starter: file.starter,
        url,
        licenses: file.licenses.map(|licenses| licenses.value),
        compatibility,
        example,
        base,
        streams,
        variants,
    })
}

/// Collects faults of one file.
struct Checker<'source> {
    source: &'source Source,
    stream: Option<&'source str>,
    errors: Vec<Diagnostic>,
    /// The names of the tests seen so far, with their places.
    tests: BTreeMap<String, Span>,
}

impl Checker<'_> {
    fn fault(&mut self, span: Span, fault: Fault) {
        let mut error = self.source.diagnostic(span, fault.message);
        error.hint = fault.hint;
        self.errors.push(error);
    }

    /// A text's meaning, or a fault noted at its place.
    fn value<T>(&mut self, text: &Text, parse: impl Fn(&str) -> Result<T, Fault>) -> Option<T> {
        parse(&self.filled(&text.value)).map_err(|fault| self.fault(text.span, fault)).ok()
    }

    /// A text with the stream's name filled in.
    fn filled(&self, text: &str) -> String {
        self.stream.map_or_else(|| text.to_owned(), |stream| text.replace("{stream}", stream))
    }

    fn all_filled(&self, texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| self.filled(text)).collect()
    }

    /// The meanings of a list's items, which must differ.
    fn values<T: Ord + Clone>(
        &mut self,
        items: &[Text],
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> BTreeSet<T> {
        let list = self.list(items, parse, false);
        list.add.into_iter().collect()
    }

    /// A list's additions and (where `removals` are known) removals; no item may be named twice.
    fn list<T: Ord + Clone>(
        &mut self,
        items: &[Text],
        parse: impl Fn(&str) -> Result<T, Fault>,
        removals: bool,
    ) -> ListDelta<T> {
        let mut list = ListDelta { add: Vec::new(), remove: Vec::new() };
        let mut seen: BTreeMap<T, Span> = BTreeMap::new();
        for item in items {
            let removed = item.value.strip_prefix('-').filter(|_| removals);
            let name = Spanned { value: removed.unwrap_or(&item.value).to_owned(), span: item.span };
            let Some(value) = self.value(&name, &parse) else { continue };
            if let Some(first) = seen.insert(value.clone(), item.span) {
                let line = self.source.line(first);
                let fault = Fault::new(format!("`{}` is named twice in one list", name.value));
                self.fault(
                    item.span,
                    fault.hint(format!("it is first named on line {line}; delete one of the two")),
                );
                continue;
            }
            if removed.is_some() {
                list.remove.push(Spanned { value, span: item.span });
            } else {
                list.add.push(value);
            }
        }
        list
    }

    /// The entries of a mapping with free keys.
    fn entries<T>(
        &mut self,
        entries: &Entries<Text>,
        key: impl Fn(&str) -> Result<String, Fault>,
        value: impl Fn(&str) -> Result<T, Fault>,
    ) -> BTreeMap<String, T> {
        let mut checked = BTreeMap::new();
        for (name, text) in entries.iter() {
            if let (Some(name), Some(text)) = (self.value(name, &key), self.value(text, &value)) {
                checked.insert(name, text);
            }
        }
        checked
    }

    /// The file of family `x` must be called `x.yaml`: that is where everybody looks for it.
    fn file_name(&mut self, name: &Text) {
        let file = self.source.file.rsplit('/').next().unwrap_or_default();
        if file != format!("{}.yaml", name.value) {
            let fault = Fault::new(format!("family `{}` stands in a file called `{file}`", name.value));
            self.fault(
                name.span,
                fault.hint(format!("rename the file to `{}.yaml`, or the family", name.value)),
            );
        }
    }

    /// `{version}` needs a package to take it from, `{stream}` a stream.
    fn tags_have_values(&mut self, file: &FamilyFile) {
        let named = |version_of: &VersionOfFile| version_of.deb.is_some() || version_of.rpm.is_some();
        let layers = [&file.streams, &file.variants].into_iter().flat_map(|layers| layers.iter());
        let by_layer = layers.map(|(_, layer)| (&layer.tags, named(&layer.version_of)));
        let all: Vec<_> = std::iter::once((&file.tags, false)).chain(by_layer).collect();
        for (tags, has_version) in all {
            for tag in tags.iter().filter(|tag| !tag.value.starts_with('-')) {
                if crate::tags::needs_version(&tag.value) && !has_version && !named(&file.version_of) {
                    let fault =
                        Fault::new(format!("`{}` asks for a version, and the image has none", tag.value));
                    self.fault(
                        tag.span,
                        fault.hint("name the package that it is taken from: `version-of: {deb: …}`"),
                    );
                }
                if tag.value.contains("{stream}") && file.streams.iter().next().is_none() {
                    let fault =
                        Fault::new(format!("`{}` asks for a stream, and the image has none", tag.value));
                    self.fault(tag.span, fault.hint("write another tag, or add `streams:`"));
                }
            }
        }
    }

    fn layers(
        &mut self,
        layers: Entries<DeltaFile>,
        kind: &str,
        parse: impl Fn(&str) -> Result<String, Fault>,
    ) -> Vec<(Spanned<String>, Delta)> {
        let mut checked = Vec::new();
        for (name, layer) in layers.0 {
            if name.value == DEFAULT_VARIANT {
                let fault = Fault::new(format!("`{DEFAULT_VARIANT}` cannot be the name of a {kind}"));
                self.fault(
                    name.span,
                    fault.hint("it is the image as the family itself describes it: write its keys there"),
                );
            } else {
                self.value(&name, &parse);
            }
            let delta = self.delta(layer);
            checked.push((name, delta));
        }
        checked
    }

    fn delta(&mut self, file: DeltaFile) -> Delta {
        if let Some(description) = &file.description {
            self.value(description, words::line);
        }
        Delta {
            from: file.from.map(|from| self.from(from)),
            universes: file.universes.map(|universes| self.values(&universes, words::universe)),
            packages: BTreeMap::from([
                (PackageFormat::Deb, self.list(&file.packages.deb, words::deb_package, true)),
                (PackageFormat::Rpm, self.list(&file.packages.rpm, words::rpm_package, true)),
            ]),
            prefer: self.entries(&file.prefer, words::rpm_package, words::rpm_package),
            slices: self.list(&file.slices.drop, words::slice, true),
            fs: self.verbs(&file.fs),
            run: self.run(&file.run),
            user: file.user.and_then(|user| self.user(user)),
            tests: self.tests(file.tests),
            tags: self.list(&file.tags, crate::tags::check, true),
            version_of: [
                file.version_of
                    .deb
                    .and_then(|name| {
                        self.value(&name, |name| words::of_an_architecture(name, words::deb_package))
                    })
                    .map(|name| (PackageFormat::Deb, name)),
                file.version_of
                    .rpm
                    .and_then(|name| {
                        self.value(&name, |name| words::of_an_architecture(name, words::rpm_package))
                    })
                    .map(|name| (PackageFormat::Rpm, name)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            end_of_life: file.eol.and_then(|text| self.value(&text, words::end_of_life)),
            allow: file.allow.into_iter().map(|allowance| allowance.value).collect(),
            require: file.require.into_iter().map(|required| required.value).collect(),
            keep: [
                (PackageFormat::Deb, self.entries(&file.keep.deb, words::deb_package, words::reason)),
                (PackageFormat::Rpm, self.entries(&file.keep.rpm, words::rpm_package, words::reason)),
            ]
            .into_iter()
            .filter(|(_, kept)| !kept.is_empty())
            .collect(),
            host: file.host.map(|host| HostDelta {
                modules: self.list(&host.modules, words::kernel_module, true),
                kernel_arguments: self.list(&host.kernel_arguments, words::kernel_argument, true),
            }),
            description: file.description.map(|description| description.value),
        }
    }

    fn from(&mut self, from: Spanned<NameOr<FromFile>>) -> Spanned<FromFile> {
        let span = from.span;
        from.map(|from| match from {
            NameOr::Name(image) => FromFile { image: Spanned { value: image, span }, stream: None },
            NameOr::Full(from) => from,
        })
    }

    fn user(&mut self, user: Spanned<NameOr<UserFile>>) -> Option<User> {
        let span = user.span;
        match user.value {
            NameOr::Full(user) => self.described_user(user),
            NameOr::Name(name) => match name.as_str() {
                "nonroot" => Some(User::nonroot()),
                "root" => Some(User::root()),
                _ => {
                    let fault = Fault::new(format!("`{name}` is not a user that is known by name alone"));
                    self.fault(
                        span,
                        fault.hint(format!(
                            "write `nonroot`, `root`, or `{{name: {name}}}` for a user of your own"
                        )),
                    );
                    None
                }
            },
        }
    }
}
