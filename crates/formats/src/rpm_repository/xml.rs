//! XML as a tree that is walked once, with bounds: a file's bytes in, elements and their texts out.
//!
//! Over quick-xml, which reads events and knows no limits. Prefixes of names are passed over: writers agree on the
//! names behind them, and not on the namespaces. No entity is ever expanded but the five of XML itself.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::{RepositoryError, shown};

/// Bytes of one tag or one stretch of text: a changelog or a description has some 10 KiB.
const EVENT_LIMIT: usize = 1 << 20;

/// Bytes of the text of one element, which entities and comments may cut into many stretches.
const TEXT_LIMIT: usize = 4 << 20;

/// Elements inside of each other: real metadata have 6.
const DEPTH_LIMIT: usize = 24;

/// Attributes of one element: real metadata have 7.
const ATTRIBUTE_LIMIT: usize = 24;

/// A reader that ends with an error after a number of bytes, which is set anew for each event.
struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        let available = self.inner.fill_buf()?;
        Ok(available.get(..self.left).unwrap_or(available))
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count);
        self.inner.consume(count);
    }
}

/// The opening tag of an element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    /// The name without its prefix.
    pub name: &'a str,
    /// How many bytes of XML come before its end.
    pub at: u64,
    content: &'a str,
    name_length: usize,
}

impl Element<'_> {
    /// Shows each attribute, its name without prefix and its value, in the order in which they stand.
    pub fn attributes(
        &self,
        mut visit: impl FnMut(&str, &str) -> Result<(), RepositoryError>,
    ) -> Result<(), RepositoryError> {
        let start = BytesStart::from_content(self.content, self.name_length);
        let mut attributes = start.attributes();
        // The check for doubles compares each with each; whoever looks for an attribute sees both.
        for (count, attribute) in attributes.with_checks(false).enumerate() {
            if count == ATTRIBUTE_LIMIT {
                let what = "the number of attributes of an element";
                return Err(RepositoryError::Limit { at: self.at, what, limit: ATTRIBUTE_LIMIT });
            }
            let form = |reason: String| RepositoryError::Form { at: self.at, reason };
            let attribute = attribute.map_err(|error| form(error.to_string()))?;
            let value = unescape(&attribute.value).map_err(|error| form(error.to_string()))?;
            check_characters(&value, self.at)?;
            visit(local(attribute.key.0), &value)?;
        }
        Ok(())
    }

    /// The value of one attribute.
    pub fn attribute(&self, name: &'static str) -> Result<Option<String>, RepositoryError> {
        let mut found = None;
        self.attributes(|key, value| match key == name {
            true => super::once(&mut found, value.to_owned(), self.at, name),
            false => Ok(()),
        })?;
        Ok(found)
    }

    /// The value of an attribute that must be there.
    pub fn needed(&self, name: &'static str) -> Result<String, RepositoryError> {
        super::needed(self.attribute(name)?, self.at, self.name, name)
    }
}

/// A walk through a file. After [`Xml::child`] gave an element, that element must be taken in by [`Xml::text`],
/// [`Xml::skip`], or by asking for its own children until there is none left.
pub(super) struct Xml<R> {
    reader: Reader<Bounded<R>>,
    /// The event that was read last, as written.
    buffer: Vec<u8>,
    /// What stands in the tag that was opened last, and how long the name at its start is.
    tag: String,
    name_length: usize,
    depth: usize,
    /// The element that was opened last was written as `<name/>`, so no closing tag follows.
    is_empty: bool,
}

/// What an event means where elements are looked for.
enum Step {
    Open,
    Nothing,
    Close,
}

impl<R: BufRead> Xml<R> {
    /// A walk from the start of a file.
    pub fn new(inner: R) -> Self {
        let reader = Reader::from_reader(Bounded { inner, left: EVENT_LIMIT });
        Self { reader, buffer: Vec::new(), tag: String::new(), name_length: 0, depth: 0, is_empty: false }
    }

    /// How many bytes were read.
    pub fn at(&self) -> u64 {
        self.reader.buffer_position()
    }

    /// Opens the outermost element, which must have this name.
    pub fn root(&mut self, expected: &'static str) -> Result<Element<'_>, RepositoryError> {
        match self.child()? {
            Some(element) if element.name == expected => {}
            found => {
                let found = shown(found.map_or("", |element| element.name));
                return Err(RepositoryError::Root { found, expected });
            }
        }
        Ok(self.element())
    }

    /// Makes sure that nothing follows the outermost element.
    pub fn finish(&mut self) -> Result<(), RepositoryError> {
        match self.child()? {
            None => Ok(()),
            Some(element) => {
                Err(RepositoryError::Forbidden { at: element.at, what: "a second outermost element" })
            }
        }
    }

    /// Opens the next element inside of the one that is open; none when that one ends. Text in between is an error.
    pub fn child(&mut self) -> Result<Option<Element<'_>>, RepositoryError> {
        loop {
            match self.step()? {
                Step::Open => break,
                Step::Close => return Ok(None),
                Step::Nothing => {}
            }
        }
        Ok(Some(self.element()))
    }

    /// Appends the text of the element that was just opened, up to its end, and says where in `texts` it stands.
    pub fn text(&mut self, texts: &mut String) -> Result<Range<usize>, RepositoryError> {
        let start = texts.len();
        if self.closes_empty() {
            return Ok(start..start);
        }
        self.reader.config_mut().trim_text_start = false;
        loop {
            let at = self.at();
            match self.event()? {
                Event::Text(text) => texts.push_str(&text),
                Event::CData(text) => texts.push_str(&text),
                Event::GeneralRef(reference) => {
                    let form = |reason| RepositoryError::Form { at, reason };
                    match reference.resolve_char_ref().map_err(|error| form(error.to_string()))? {
                        Some(character) => texts.push(character),
                        None => texts.push_str(resolve_xml_entity(&reference).ok_or(
                            RepositoryError::Forbidden { at, what: "an entity that XML does not predefine" },
                        )?),
                    }
                }
                Event::Start(_) | Event::Empty(_) => {
                    return Err(RepositoryError::Forbidden {
                        at,
                        what: "an element where only text belongs",
                    });
                }
                Event::End(_) | Event::Eof => break,
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
            }
            if texts.len() - start > TEXT_LIMIT {
                return Err(RepositoryError::Limit { at, what: "the text of an element", limit: TEXT_LIMIT });
            }
        }
        check_characters(texts.get(start..).unwrap_or_default(), self.at())?;
        Ok(start..texts.len())
    }

    /// As [`Xml::text`], into a text of its own.
    pub fn string(&mut self) -> Result<String, RepositoryError> {
        let mut text = String::new();
        self.text(&mut text)?;
        Ok(text)
    }

    /// Passes over the element that was just opened, with all that is in it.
    pub fn skip(&mut self) -> Result<(), RepositoryError> {
        if self.closes_empty() {
            return Ok(());
        }
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.event()?;
        }
        Ok(())
    }

    fn closes_empty(&mut self) -> bool {
        let closes = std::mem::take(&mut self.is_empty);
        self.depth -= usize::from(closes);
        closes
    }

    fn step(&mut self) -> Result<Step, RepositoryError> {
        if self.closes_empty() {
            return Ok(Step::Close);
        }
        let at = self.at();
        // Blanks between elements are not even shown. In texts they count, also after an entity.
        self.reader.config_mut().trim_text_start = true;
        // A borrow of the tag would have to outlive the loop over what is passed over: it is copied.
        let mut tag = std::mem::take(&mut self.tag);
        let mut keep = |start: &BytesStart<'_>| {
            tag.clear();
            tag.push_str(start);
            start.name().0.len()
        };
        let (step, name_length, is_empty) = match self.event()? {
            Event::Start(start) => (Step::Open, keep(&start), false),
            Event::Empty(start) => (Step::Open, keep(&start), true),
            Event::End(_) | Event::Eof => (Step::Close, 0, false),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {
                (Step::Nothing, 0, false)
            }
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                return Err(RepositoryError::Forbidden { at, what: "text between elements" });
            }
        };
        (self.tag, self.name_length, self.is_empty) = (tag, name_length, is_empty);
        self.depth += usize::from(is_empty);
        Ok(step)
    }

    /// The element that was just opened.
    pub fn element(&self) -> Element<'_> {
        let name = local(self.tag.get(..self.name_length).unwrap_or_default());
        Element { name, at: self.at(), content: &self.tag, name_length: self.name_length }
    }

    /// The next event, within the limits; the end of the file only outside of all elements.
    fn event(&mut self) -> Result<Event<'_>, RepositoryError> {
        self.buffer.clear();
        self.reader.get_mut().left = EVENT_LIMIT;
        let event = match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => event,
            Err(error) => {
                let is_over = self.reader.get_mut().left == 0;
                return Err(failure(error, self.reader.buffer_position(), is_over));
            }
        };
        let at = self.reader.buffer_position();
        match &event {
            Event::Start(_) => self.depth += 1,
            Event::End(_) => self.depth = self.depth.saturating_sub(1),
            Event::Eof if self.depth > 0 => {
                let reason = "the file ends inside of an element".to_owned();
                return Err(RepositoryError::Form { at, reason });
            }
            Event::DocType(_) => return Err(RepositoryError::Forbidden { at, what: "a DTD" }),
            Event::Decl(declaration) => check_encoding(declaration, at)?,
            _ => {}
        }
        if self.depth > DEPTH_LIMIT {
            let what = "the depth of elements inside of each other";
            return Err(RepositoryError::Limit { at, what, limit: DEPTH_LIMIT });
        }
        Ok(event)
    }
}

/// A name without the prefix that stands for a namespace.
fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Control characters are no part of XML, and none of a name or a path that is to be written into other files.
fn check_characters(text: &str, at: u64) -> Result<(), RepositoryError> {
    let is_stray = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    // To look at all of them and not stop at the first lets the compiler look at 32 at once.
    match text.bytes().fold(false, |found, byte| found | is_stray(byte)) {
        true => Err(RepositoryError::Forbidden { at, what: "a control character" }),
        false => Ok(()),
    }
}

fn check_encoding(declaration: &BytesDecl<'_>, at: u64) -> Result<(), RepositoryError> {
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(|error| RepositoryError::Form { at, reason: error.to_string() })?;
    match encoding.eq_ignore_ascii_case("utf-8") {
        true => Ok(()),
        false => Err(RepositoryError::Forbidden { at, what: "an encoding other than UTF-8" }),
    }
}

/// The error that the parser gave, as ours.
fn failure(error: quick_xml::Error, at: u64, is_over: bool) -> RepositoryError {
    match error {
        quick_xml::Error::Io(_) if is_over => {
            RepositoryError::Limit { at, what: "a tag or a stretch of text", limit: EVENT_LIMIT }
        }
        quick_xml::Error::Io(source) => {
            RepositoryError::Io(Arc::try_unwrap(source).unwrap_or_else(io::Error::other))
        }
        other => RepositoryError::Form { at, reason: other.to_string() },
    }
}
