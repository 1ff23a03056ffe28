//! Text in, a tree of nodes with their places out; everything that costs more than its size is refused here.

use std::borrow::Cow;
use std::collections::BTreeSet;

use granit_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::{MAX_DEPTH, Place, YamlError};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node<'text> {
    pub(super) place: Place,
    pub(super) kind: Kind<'text>,
}

/// The three kinds of YAML node.
#[derive(Debug)]
pub(super) enum Kind<'text> {
    Scalar { text: Cow<'text, str>, plain: bool },
    Sequence(Vec<Node<'text>>),
    Mapping(Vec<(Node<'text>, Node<'text>)>),
}

/// Reads the one document of a text.
pub(super) fn parse(text: &str, max_nodes: usize) -> Result<Node<'_>, YamlError> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, nodes: 0, max_nodes };
    let mut document = None;
    loop {
        match builder.next()? {
            (Event::DocumentStart(..), place) if document.is_some() => {
                return Err(YamlError::at(place, "a second document starts here"));
            }
            (Event::DocumentStart(..), _) => {
                let (event, place) = builder.next()?;
                document = Some(builder.node(event, place, 1)?);
            }
            (Event::StreamEnd, _) => break,
            _ => {}
        }
    }
    document.ok_or_else(|| YamlError::at(Place { line: 1, column: 1 }, "there is no document"))
}

struct Builder<'text> {
    parser: Parser<'text, StrInput<'text>>,
    nodes: usize,
    max_nodes: usize,
}

impl<'text> Builder<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Place), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span.start))),
            Some(Err(error)) => {
                Err(YamlError::at(place(error.marker()), format!("no valid YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, place: Place, depth: usize) -> Result<Node<'text>, YamlError> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > self.max_nodes {
            return Err(YamlError::at(place, format!("there are more than {} values", self.max_nodes)));
        }
        if depth > MAX_DEPTH {
            return Err(YamlError::at(place, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        refuse_decoration(&event, place)?;
        let kind = match event {
            Event::Scalar(text, style, ..) => Kind::Scalar { text, plain: style == ScalarStyle::Plain },
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let (event, inner) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        break Kind::Sequence(items);
                    }
                    items.push(self.node(event, inner, depth + 1)?);
                }
            }
            Event::MappingStart(..) => Kind::Mapping(self.entries(depth)?),
            _ => return Err(YamlError::at(place, "no valid YAML: a value was expected here")),
        };
        Ok(Node { place, kind })
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(Node<'text>, Node<'text>)>, YamlError> {
        let mut entries: Vec<(Node<'text>, Node<'text>)> = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, inner) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, inner, depth + 1)?;
            let Kind::Scalar { text, plain } = &key.kind else {
                return Err(YamlError::at(key.place, "a key must be a string, not a list or mapping"));
            };
            if *plain && text == "<<" {
                return Err(YamlError::at(key.place, "merge keys (`<<`) are not accepted"));
            }
            if !seen.insert(text.clone()) {
                return Err(YamlError::at(key.place, format!("key `{}` is given twice", shortened(text))));
            }
            let (event, inner) = self.next()?;
            let value = self.node(event, inner, depth + 1)?;
            entries.push((key, value));
        }
    }
}

/// Aliases make a short text a long value, tags make a value another type; an anchor is of no use without aliases.
fn refuse_decoration(event: &Event<'_>, place: Place) -> Result<(), YamlError> {
    if event.is_alias() {
        return Err(YamlError::at(place, "aliases (`*name`) are not accepted"));
    }
    if event.anchor_id().is_some() {
        return Err(YamlError::at(place, "anchors (`&name`) are not accepted"));
    }
    match event.tag() {
        Some(tag) => {
            let reason = format!("tags (`{}`) are not accepted", shortened(&tag.original()));
            Err(YamlError::at(place, reason))
        }
        None => Ok(()),
    }
}

/// Lines are counted from 1 by the parser, columns from 0.
fn place(marker: &Marker) -> Place {
    Place { line: marker.line().max(1), column: marker.col().saturating_add(1) }
}

/// Long texts do not belong into an error.
pub(super) fn shortened(text: &str) -> String {
    let mut short: String =
        text.chars().take(60).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
