//! All image families together: texts in, every image of the catalog flattened and checked out. What loads here can be
//! locked and built without meeting a mistake of a definition later.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::{self, CheckedFamily};
use crate::diagnostic::{Diagnostic, Source};
use crate::flatten::{self, Families};
use crate::image::{Category, DEFAULT_VARIANT, ImageDefinition, ImageId};
use crate::nearest::{listed, nearest};
use crate::page::Example;
use crate::written::FamilyFile;
use crate::yaml;

/// Every image that the catalog defines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    families: BTreeMap<String, Family>,
    images: BTreeMap<ImageId, ImageDefinition>,
}

/// One family, as an overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub name: String,
    /// The name of the software as its makers write it.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// The shelf of the catalog on which it stands.
    pub category: Category,
    /// Whether it is made when no family is named.
    pub starter: bool,
    /// Its streams in the order of the file; none if it has no streams.
    pub streams: Vec<String>,
    /// Its variants: `default`, then the others in the order of the file.
    pub variants: Vec<String>,
}

/// A name that stands for no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownImage {
    /// No family bears the name.
    #[error("no image is called `{name}`")]
    Family {
        /// The name as given.
        name: String,
        /// The family that was probably meant.
        meant: Option<String>,
        /// All families.
        known: Vec<String>,
    },
    /// The family has no such stream.
    #[error("image `{family}` has no stream `{stream}`")]
    Stream {
        /// The family.
        family: String,
        /// The stream as given.
        stream: String,
        /// The streams that there are.
        known: Vec<String>,
    },
    /// The family has no such variant.
    #[error("image `{family}` has no variant `{variant}`")]
    Variant {
        /// The family.
        family: String,
        /// The variant as given.
        variant: String,
        /// The variants that there are.
        known: Vec<String>,
    },
    /// The image exists, but not in this universe.
    #[error("image `{image}` cannot be built in universe `{universe}`")]
    Universe {
        /// The image.
        image: String,
        /// The universe.
        universe: String,
        /// The images of the family that can.
        known: Vec<String>,
    },
}

impl UnknownImage {
    /// What could be asked for instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let all = |known: &[String]| listed(&known.iter().map(String::as_str).collect::<Vec<_>>());
        match self {
            Self::Family { known, .. } if known.is_empty() => None,
            Self::Family { meant: Some(meant), known, .. } => {
                Some(format!("did you mean `{meant}`? images: {}", all(known)))
            }
            Self::Family { known, .. } => Some(format!("images: {}", all(known))),
            Self::Stream { known, .. } if known.is_empty() => {
                Some("it has no streams: leave out the `:`".to_owned())
            }
            Self::Stream { known, .. } => Some(format!("streams: {}", all(known))),
            Self::Variant { known, .. } => Some(format!("variants: {}", all(known))),
            Self::Universe { known, .. } if known.is_empty() => {
                Some("none of its family's images can".to_owned())
            }
            Self::Universe { known, .. } => Some(format!("these of its family can: {}", all(known))),
        }
    }
}

impl Catalog {
    /// Reads family files, given as their names (for errors; the last part must be `FAMILY.yaml`) and texts.
    ///
    /// # Errors
    /// All mistakes that were found, in the order of the files. Relations between files are looked at once each file
    /// by itself is sound.
    pub fn load(files: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<Diagnostic>> {
        let mut families = Families::new();
        let mut errors = Vec::new();
        for (file, text) in files {
            let found = match read(file, text) {
                Ok(found) => found,
                Err(mut found) => {
                    errors.append(&mut found);
                    continue;
                }
            };
            let Some(family) = found.first() else { continue };
            match families.get(&family.name.value).and_then(|streams| streams.first()) {
                Some(first) => errors.push(second(first, family)),
                None => drop(families.insert(family.name.value.clone(), found)),
            }
        }
        let overviews: Vec<&CheckedFamily> =
            families.values().filter_map(|streams| streams.first()).collect();
        if errors.is_empty() {
            errors = overviews.iter().flat_map(|family| ambiguous(&families, family)).collect();
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut images = BTreeMap::new();
        for family in families.values().flatten() {
            for id in overview(family).1.ids().into_iter().filter(|id| id.stream == family.stream) {
                match flatten::image(&families, family, &id) {
                    Ok(image) => drop(images.insert(id, image)),
                    // A mistake in the family itself shows in each of its images, and in those made from it.
                    Err(error) if errors.contains(&error) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let catalog = Self { families: overviews.into_iter().map(overview).collect(), images };
        let errors: Vec<Diagnostic> =
            families.values().flatten().flat_map(|family| catalog.unknown(family)).collect();
        if errors.is_empty() { Ok(catalog) } else { Err(errors) }
    }

    /// The families, by name.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }

    /// A family by its name.
    #[must_use]
    pub fn get(&self, family: &str) -> Option<&Family> {
        self.families.get(family)
    }

    /// The images of a family: for each stream in the order of the file `default`, then the other variants.
    #[must_use]
    pub fn images(&self, family: &str) -> Vec<ImageId> {
        self.get(family).map_or_else(Vec::new, Family::ids)
    }

    /// The images of a family that can be built in a universe, in the order of [`Catalog::images`]; the first one is
    /// what the family's bare name means there.
    #[must_use]
    pub fn images_in(&self, family: &str, universe: &str) -> Vec<ImageId> {
        let there = |id: &ImageId| self.images.get(id).is_some_and(|image| image.is_in_universe(universe));
        self.images(family).into_iter().filter(there).collect()
    }

    /// The families whose files are read for the images of this one: itself, those that its images stand on, those that its
    /// example names, and so on for each. Their files alone load as a catalog that has the same images of the family.
    #[must_use]
    pub fn needed_by(&self, family: &str) -> BTreeSet<String> {
        let mut needed = BTreeSet::new();
        let mut pending = vec![family.to_owned()];
        while let Some(name) = pending.pop() {
            if !needed.insert(name.clone()) {
                continue;
            }
            for image in self.images(&name).iter().filter_map(|id| self.images.get(id)) {
                pending.extend(image.parent.iter().map(|parent| parent.family.clone()));
                let named = image.example.iter().flat_map(Example::images);
                let named = named.filter_map(|name| self.image_of_example(&image.id, name).ok());
                pending.extend(named.map(|id| id.family));
            }
        }
        needed
    }

    /// The definition of an image. Where the family has streams and the id names none, the first stream is meant.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn image(&self, id: &ImageId) -> Result<&ImageDefinition, UnknownImage> {
        let family = self.family(&id.family)?;
        let stream = id.stream.as_ref().or_else(|| family.streams.first()).cloned();
        let settled = ImageId { stream, ..id.clone() };
        self.images.get(&settled).ok_or_else(|| family.without(&settled))
    }

    /// Reads `FAMILY[:STREAM][-VARIANT]`. A stream that is not named stays open: see [`Catalog::select`].
    ///
    /// # Errors
    /// When there is no such image.
    pub fn parse_id(&self, text: &str) -> Result<ImageId, UnknownImage> {
        let (family, stream, variant) = match text.split_once(':') {
            Some((family, rest)) => {
                let (stream, variant) = rest.split_once('-').unwrap_or((rest, DEFAULT_VARIANT));
                (self.family(family)?, Some(stream.to_owned()), variant)
            }
            None => {
                let (family, variant) = self.family_and_variant(text)?;
                (family, None, variant)
            }
        };
        let id = ImageId { family: family.name.clone(), stream, variant: variant.to_owned() };
        self.image(&id).map(|_| id)
    }

    /// Settles which image an id means in a universe: a stream that is not named is the first one that is there.
    ///
    /// # Errors
    /// When there is no such image in this universe.
    pub fn select(&self, id: &ImageId, universe: &str) -> Result<ImageId, UnknownImage> {
        self.image(id)?;
        let there = self.images_in(&id.family, universe);
        let fits = |image: &&ImageId| {
            image.variant == id.variant && (id.stream.is_none() || image.stream == id.stream)
        };
        there.iter().find(fits).cloned().ok_or_else(|| UnknownImage::Universe {
            image: id.to_string(),
            universe: universe.to_owned(),
            known: there.iter().map(ToString::to_string).collect(),
        })
    }

    /// Which image a name in an example's Containerfile means: `image`, `builder`, or one of the catalog. `id` is the image
    /// whose example it is.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn image_of_example(&self, id: &ImageId, name: &str) -> Result<ImageId, UnknownImage> {
        let variant = match name {
            "image" => DEFAULT_VARIANT,
            "builder" => "builder",
            _ => return self.parse_id(name),
        };
        let id = ImageId { variant: variant.to_owned(), ..id.clone() };
        self.image(&id).map(|_| id)
    }

    /// What a family's example names and the catalog does not have.
    fn unknown(&self, family: &CheckedFamily) -> Option<Diagnostic> {
        let example = family.example.as_ref()?;
        let id = ImageId {
            family: family.name.value.clone(),
            stream: family.stream.clone(),
            variant: DEFAULT_VARIANT.to_owned(),
        };
        let wrong = |name: &&str| self.image_of_example(&id, name).err();
        let error = example.value.images().iter().find_map(wrong)?;
        let diagnostic = family.source.diagnostic(example.span, error.to_string());
        Some(match error.hint() {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        })
    }

    fn family(&self, name: &str) -> Result<&Family, UnknownImage> {
        self.families.get(name).ok_or_else(|| {
            let known: Vec<String> = self.families.keys().cloned().collect();
            // Of `pyhton-builder`, the family part is what was misspelt.
            let heads = std::iter::once(name).chain(name.match_indices('-').map(|(dash, _)| &name[..dash]));
            let meant = heads.filter_map(|head| nearest(head, known.iter().map(String::as_str))).next();
            UnknownImage::Family {
                name: name.to_owned(),
                meant: meant.map(str::to_owned),
                known: known.clone(),
            }
        })
    }

    /// `nginx-builder`: the longest family name that a dash follows; the rest is the variant.
    fn family_and_variant<'text>(&self, text: &'text str) -> Result<(&Family, &'text str), UnknownImage> {
        if let Some(family) = self.families.get(text) {
            return Ok((family, DEFAULT_VARIANT));
        }
        let split = |dash: usize| Some((self.families.get(text.get(..dash)?)?, text.get(dash + 1..)?));
        match text.rmatch_indices('-').find_map(|(dash, _)| split(dash)) {
            Some(found) => Ok(found),
            None => self.family(text).map(|family| (family, DEFAULT_VARIANT)),
        }
    }
}

impl Family {
    fn ids(&self) -> Vec<ImageId> {
        let streams: Vec<Option<String>> = match self.streams.as_slice() {
            [] => vec![None],
            streams => streams.iter().cloned().map(Some).collect(),
        };
        let id = |stream: &Option<String>, variant: &String| ImageId {
            family: self.name.clone(),
            stream: stream.clone(),
            variant: variant.clone(),
        };
        streams
            .iter()
            .flat_map(|stream| self.variants.iter().map(move |variant| id(stream, variant)))
            .collect()
    }

    /// Why this family has no such image.
    fn without(&self, id: &ImageId) -> UnknownImage {
        match &id.stream {
            Some(stream) if !self.streams.contains(stream) => UnknownImage::Stream {
                family: self.name.clone(),
                stream: stream.clone(),
                known: self.streams.clone(),
            },
            _ => UnknownImage::Variant {
                family: self.name.clone(),
                variant: id.variant.clone(),
                known: self.variants.clone(),
            },
        }
    }
}

fn read(file: String, text: String) -> Result<Vec<CheckedFamily>, Vec<Diagnostic>> {
    let written: FamilyFile = yaml::from_str(&file, &text).map_err(|error| vec![error])?;
    check::family(&Source::new(file, text), &written)
}

fn second(first: &CheckedFamily, second: &CheckedFamily) -> Diagnostic {
    let message = format!("there are two families `{}`", second.name.value);
    second
        .source
        .diagnostic(second.name.span, message)
        .with_hint(format!("the other one is {}", first.source.file))
}

/// A family `x-y` beside a family `x` with a variant `y`: `x-y` would name both.
fn ambiguous(families: &Families, family: &CheckedFamily) -> Vec<Diagnostic> {
    let clash = |variant: &&crate::yaml::Spanned<String>| {
        families.contains_key(&format!("{}-{}", family.name.value, variant.value))
    };
    let error = |variant: &crate::yaml::Spanned<String>| {
        let name = format!("{}-{}", family.name.value, variant.value);
        family
            .source
            .diagnostic(variant.span, format!("`{name}` is the name of this variant and of another family"))
            .with_hint("rename one of the two")
    };
    family.variants.iter().map(|(name, _)| name).filter(clash).map(error).collect()
}

fn overview(family: &CheckedFamily) -> (String, Family) {
    let names = |layers: &[(crate::yaml::Spanned<String>, check::Delta)]| -> Vec<String> {
        layers.iter().map(|(name, _)| name.value.clone()).collect()
    };
    let mut variants = vec![DEFAULT_VARIANT.to_owned()];
    variants.extend(names(&family.variants));
    let overview = Family {
        name: family.name.value.clone(),
        title: family.title.clone(),
        description: family.description.clone(),
        category: family.category,
        starter: family.starter,
        streams: names(&family.streams),
        variants,
    };
    (family.name.value.clone(), overview)
}
