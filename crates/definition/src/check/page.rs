//! Checks `compatibility:` and `example:`.

use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use super::words::{self, Fault};
use crate::page::{Compatibility, Difference, Example, from, placeholder};
use crate::written::{CompatibilityFile, ExampleFile, Text};
use crate::yaml::Spanned;

impl Checker<'_> {
    pub(super) fn compatibility(&mut self, file: &CompatibilityFile) -> Option<Compatibility> {
        let image = self.value(&file.image, words::image_name);
        if file.table.is_empty() {
            let fault = Fault::new("the table is empty");
            self.fault(file.image.span, fault.hint("write what differs, or delete `compatibility:`"));
        }
        let mut table = Vec::new();
        for row in &file.table {
            let why = row.why.as_ref().and_then(|why| self.sentence(why));
            if let (Some(theirs), Some(here)) = (self.sentence(&row.theirs), self.sentence(&row.here)) {
                table.push(Difference { theirs, here, why });
            }
        }
        Some(Compatibility { image: image?, table })
    }

    /// Checks an example; its place is the Containerfile's, since the images that it names are looked up later.
    pub(super) fn example(&mut self, file: &ExampleFile) -> Option<Spanned<Example>> {
        let shows = self.sentence(&file.shows);
        let files = self.example_files(file);
        let containerfile = self.containerfile(&file.containerfile);
        let output = self.text(&file.output);
        let example = Example { shows: shows?, files, containerfile: containerfile?, output: output? };
        Some(Spanned { value: example, span: file.containerfile.span })
    }

    fn sentence(&mut self, text: &Text) -> Option<String> {
        self.value(text, |text| words::line(text).map(|()| text.to_owned()))
    }

    fn example_files(&mut self, file: &ExampleFile) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (name, content) in file.files.iter() {
            let path = self.value(name, words::file_name);
            let content = self.value(content, words::argument);
            let (Some(path), Some(content)) = (path, content) else { continue };
            if path == "Containerfile" || files.insert(path, content).is_some() {
                let fault = Fault::new(format!("`{}` is written twice", name.value));
                self.fault(name.span, fault.hint("the Containerfile stands under `containerfile:`"));
            }
        }
        files
    }

    fn containerfile(&mut self, text: &Text) -> Option<String> {
        let filled = self.value(text, words::argument)?;
        let mut stages = BTreeSet::new();
        let mut last = None;
        for line in filled.lines() {
            let Some((_, word)) = from(line) else { continue };
            if placeholder(word).is_none() && !stages.contains(word) {
                let fault = Fault::new(format!("`{line}` begins with an image that is not the catalog's"));
                let hint = "write `{image}`, `{builder}` or another image of the catalog in braces, or the name of a stage";
                self.fault(text.span, fault.hint(hint));
                return None;
            }
            let mut words = line.split_whitespace().skip_while(|word| !word.eq_ignore_ascii_case("as"));
            stages.extend(words.nth(1));
            last = Some(word);
        }
        if last.is_none_or(|word| placeholder(word).is_none()) {
            let fault = Fault::new("the last stage begins with no image");
            self.fault(
                text.span,
                fault.hint("write `FROM {image}`: what runs is an image with something in it"),
            );
            return None;
        }
        Some(filled)
    }
}
