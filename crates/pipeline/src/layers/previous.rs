//! How the images before were packed, so that others keep to it. In comes a layout; out come the groups of each layer, and
//! afterwards what is to be said of images that could not keep to it: a client of the one before downloads them whole.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use calypte_base::Architecture;
use calypte_image::packing::{IMAGE_LAYER, PreviousLayer};
use calypte_image::read::LayoutImage;

use crate::build::{Built, LayerOptions};
use crate::hints::hinted;
use crate::sides;

/// How the images of `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, or the path alone, are packed, one for each architecture.
pub(crate) fn packings(text: &str) -> Result<BTreeMap<Architecture, Vec<PreviousLayer>>> {
    if text.starts_with("docker-archive:") {
        let hint = "name oci:DIR[:TAG] or oci-archive:FILE[:TAG]";
        return Err(hinted(format!("`{text}` does not say how its image is packed"), hint));
    }
    let (_, tag, layout) = sides::open_layout(sides::layout_path(text).unwrap_or(text))?;
    let is_named = |image: &&LayoutImage| tag.is_none() || image.name.as_deref() == tag;
    let mut found: BTreeMap<Architecture, (Vec<PreviousLayer>, bool)> = BTreeMap::new();
    for image in layout.images().iter().filter(is_named) {
        let packing = PreviousLayer::of(&image.manifest);
        let mut known = Architecture::ALL.into_iter();
        let Some(architecture) = known.find(|each| each.oci() == image.config.architecture) else { continue };
        if packing.is_empty() {
            continue;
        }
        let (first, is_one) = found.entry(architecture).or_insert_with(|| (packing.clone(), true));
        *is_one &= places(first) == places(&packing);
    }
    let tags: BTreeSet<&str> = layout.images().iter().filter_map(|image| image.name.as_deref()).collect();
    let listed = tags.iter().copied().collect::<Vec<_>>().join(", ");
    if let Some(tag) = tag.filter(|tag| !tags.contains(tag)) {
        return Err(hinted(
            format!("{text}: no image there has the tag `{tag}`"),
            format!("its tags: {listed}"),
        ));
    }
    if found.is_empty() {
        let message = format!("{text}: no image there says how it is packed");
        return Err(hinted(message, "only images made by calypte do"));
    }
    if let Some((architecture, _)) = found.iter().find(|(_, (_, is_one))| !is_one) {
        let message =
            format!("{text}: holds several images for {architecture}, which are packed differently");
        return Err(match tag {
            None if tags.len() > 1 => hinted(message, format!("name one of the tags {listed}")),
            _ => hinted(message, "copy the one that is meant into a layout of its own"),
        });
    }
    Ok(found.into_iter().map(|(architecture, (packing, _))| (architecture, packing)).collect())
}

/// Group → its layer.
fn places(packing: &[PreviousLayer]) -> BTreeMap<&str, &str> {
    packing
        .iter()
        .flat_map(|layer| layer.groups.iter().map(|group| (group.as_str(), layer.name.as_str())))
        .collect()
}

/// What is to be said of images that could not keep to the packing of the image before; a sentence each.
#[must_use]
pub fn packed_anew(built: &Built, options: &LayerOptions) -> Vec<String> {
    let mut told = Vec::new();
    for image in built.index.images() {
        let architecture = image.architecture();
        let groups: BTreeSet<&String> =
            image.layers().as_slice().iter().flat_map(|layer| &layer.groups).collect();
        let previous = options.previous.get(&architecture).into_iter().flatten();
        // What is in none of the image's layers needs none, and the layer of what belongs to no package is always there.
        let kept = previous
            .filter(|layer| layer.name != IMAGE_LAYER)
            .filter(|layer| layer.groups.iter().any(|group| groups.contains(group)));
        let needed = kept.map(|layer| &layer.name).collect::<BTreeSet<_>>().len() + 1;
        if needed > options.limit {
            told.push(format!(
                "{} for {architecture} is packed anew, and its packages change their layers: to keep to the image before \
                 takes {needed} layers, and --layers allows {}",
                built.image, options.limit
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use calypte_image::Output;

    use super::*;
    use crate::build::BuildRequest;
    use crate::fixture::{Fixture, UNIVERSE, package};
    use crate::hints::hint;

    /// Builds `alpha` with at most so many layers, keeping to an image before, and writes it under a tag.
    fn build(fixture: &Fixture, limit: usize, previous: Option<&str>, tag: &str) -> Vec<String> {
        let factory = fixture.factory();
        let mut layers = LayerOptions { limit, ..factory.layer_options() };
        if let Some(previous) = previous {
            layers.keep(previous).unwrap();
        }
        let image = factory.image_id("alpha", UNIVERSE).unwrap();
        let request =
            BuildRequest { image, universe: UNIVERSE.to_owned(), architectures: Vec::new(), layers };
        let built = factory.build(&request).unwrap();
        let output = Output::Oci { directory: fixture.path("layout"), tag: tag.to_owned() };
        output.write(&built.index, factory.store()).unwrap();
        packed_anew(&built, &request.layers)
    }

    /// The names of the layers, for amd64.
    fn names(text: &str) -> Vec<String> {
        let packing = packings(text).unwrap();
        assert_eq!(packing.len(), 2);
        packing[&Architecture::Amd64].iter().map(|layer| layer.name.clone()).collect()
    }

    fn fixture() -> (Fixture, String) {
        let fixture = Fixture::new();
        fixture.lock("alpha", &[package("common", "1"), package("alpha", "1")]);
        let layout = fixture.path("layout").display().to_string();
        (fixture, layout)
    }

    #[test]
    fn of_images_that_are_packed_differently_one_is_to_be_named() {
        let (fixture, layout) = fixture();
        assert_eq!(build(&fixture, 64, None, "apart"), Vec::<String>::new());
        // Two tags of one packing are no question.
        build(&fixture, 63, None, "again");
        assert_eq!(names(&layout), ["alpha", "common"]);
        build(&fixture, 2, None, "shared");
        for text in [layout.clone(), format!("oci:{layout}")] {
            let error = packings(&text).unwrap_err();
            assert!(error.to_string().ends_with("for amd64, which are packed differently"), "{error:#}");
            assert_eq!(hint(&error).unwrap(), "name one of the tags again, apart, shared");
            assert_eq!(names(&format!("{text}:apart")), ["alpha", "common"]);
            assert_eq!(names(&format!("{text}:shared")), ["shared/seldom-1"]);
        }
        let error = packings(&format!("oci:{layout}:latest")).unwrap_err();
        assert!(error.to_string().ends_with("no image there has the tag `latest`"), "{error:#}");
        assert_eq!(hint(&error).unwrap(), "its tags: again, apart, shared");
        assert!(packings("docker-archive:all.tar").is_err());
    }

    #[test]
    fn that_an_image_cannot_keep_to_the_one_before_is_said() {
        let (fixture, layout) = fixture();
        build(&fixture, 64, None, "before");
        let before = format!("oci:{layout}:before");
        assert_eq!(build(&fixture, 3, Some(&before), "kept"), Vec::<String>::new());
        let told = build(&fixture, 2, Some(&before), "anew");
        let [amd64, arm64] = told.as_slice() else { panic!("{told:?}") };
        assert!(amd64.starts_with("alpha for amd64 is packed anew") && arm64.contains("arm64"), "{told:?}");
        assert!(amd64.ends_with("takes 3 layers, and --layers allows 2"), "{told:?}");
        // It was so: both are in one layer now.
        assert_eq!(names(&format!("oci:{layout}:anew")), ["shared/seldom-1"]);
        assert_eq!(names(&format!("oci:{layout}:kept")), ["alpha", "common"]);
    }
}
