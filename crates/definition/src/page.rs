//! What a family says for the page about it, beside what makes its images: how it differs from the image that people know,
//! and an example of building upon it. Nothing of this is in an image.

use std::collections::BTreeMap;

use crate::test::TextCheck;

/// How the image differs from a well-known one with the same software.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compatibility {
    /// The well-known image, without a tag: `docker.io/library/nginx`.
    pub image: String,
    /// What a user of that image must know, in the order of the file.
    pub table: Vec<Difference>,
}

/// One thing of the well-known image, and what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What the well-known image has.
    pub theirs: String,
    /// What this one has.
    pub here: String,
    /// Why it is otherwise; none where it is the same.
    pub why: Option<String>,
}

/// A program that is built in one image and runs in another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// What it shows, in a sentence.
    pub shows: String,
    /// The files beside the Containerfile, by their names.
    pub files: BTreeMap<String, String>,
    /// The Containerfile; behind `FROM`, images stand in braces.
    pub containerfile: String,
    /// What a container of the outcome must write to standard output.
    pub output: TextCheck,
}

impl Example {
    /// The names in braces behind `FROM`, in their order: `image`, `builder`, or an image of the catalog.
    #[must_use]
    pub fn images(&self) -> Vec<&str> {
        self.containerfile.lines().filter_map(from).filter_map(|(_, word)| placeholder(word)).collect()
    }

    /// The Containerfile with references to images in place of the names in braces.
    ///
    /// # Errors
    /// The first that `reference` gives.
    pub fn filled<E>(&self, mut reference: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
        let mut text = String::new();
        for line in self.containerfile.lines() {
            match from(line).and_then(|(before, word)| Some((before, word, placeholder(word)?))) {
                Some((before, word, name)) => {
                    text.push_str(before);
                    text.push_str(&reference(name)?);
                    text.push_str(line.get(before.len() + word.len()..).unwrap_or_default());
                }
                None => text.push_str(line),
            }
            text.push('\n');
        }
        Ok(text)
    }
}

/// Of a line `FROM WORD …`, what stands before the word, and the word.
pub(crate) fn from(line: &str) -> Option<(&str, &str)> {
    let (first, rest) = line.split_once(' ')?;
    let word = rest.split_whitespace().next()?;
    let start = line.len() - rest.len() + rest.find(word)?;
    first.eq_ignore_ascii_case("from").then(|| (line.get(..start).unwrap_or_default(), word))
}

/// What stands in braces.
pub(crate) fn placeholder(word: &str) -> Option<&str> {
    word.strip_prefix('{')?.strip_suffix('}').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_behind_from_are_filled_in() {
        let example = Example {
            shows: String::new(),
            files: BTreeMap::new(),
            containerfile: "FROM  {builder} AS build\nRUN echo {image} ${x}\nfrom {static:1-debug}\nCOPY --from=build /a /a"
                .to_owned(),
            output: TextCheck { contains: Some("a".to_owned()), equals: None },
        };
        assert_eq!(example.images(), ["builder", "static:1-debug"]);
        let filled = example.filled(|name| Ok::<_, ()>(format!("<{name}>"))).unwrap();
        assert_eq!(
            filled,
            "FROM  <builder> AS build\nRUN echo {image} ${x}\nfrom <static:1-debug>\nCOPY --from=build /a /a\n"
        );
        assert_eq!(example.filled(|_| Err::<String, _>("no")), Err("no"));
    }
}
