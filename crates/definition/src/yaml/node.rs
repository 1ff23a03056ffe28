//! Text in, a tree of nodes with their places out; everything that the strict reader refuses as syntax is refused here.

use granit_parser::{Event, Parser, ScalarStyle, StrInput, StructureStyle};

use super::problem::Problem;
use super::scalar::{Meaning, meaning};
use super::{MAX_DEPTH, MAX_NODES, MAX_SIZE, Span};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) kind: Kind,
}

/// The three kinds of YAML node.
#[derive(Debug)]
pub(super) enum Kind {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// What a scalar means: only plain ones can mean anything but text.
    pub(super) fn meaning(&self) -> Meaning {
        match &self.kind {
            Kind::Scalar { text, plain: true } => meaning(text),
            _ => Meaning::Text,
        }
    }
}

/// Reads the one document of a text.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > MAX_SIZE {
        let message = format!(
            "the file has {} bytes, more than the {MAX_SIZE} that a catalog file may have",
            text.len()
        );
        return Err(Problem::at(Span::default(), message));
    }
    let options = granit_parser::options! {
        strict_indentation: true,
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { parser: Parser::new_from_str_with_options(text, options), nodes: 0 };
    let mut document = None;
    loop {
        match builder.next()? {
            (Event::DocumentStart(..), span) if document.is_some() => {
                return Err(Problem::at(
                    span,
                    "a catalog file holds one document, and here starts a second one",
                )
                .with_hint("put it into a file of its own"));
            }
            (Event::DocumentStart(_, Some(_)), _) => {
                let message = "directives are not used in catalog files";
                return Err(Problem::at(Span::default(), message).with_hint("delete the `%YAML` line"));
            }
            (Event::DocumentStart(..), _) => {
                let (event, span) = builder.next()?;
                document = Some(builder.node(event, span, 1)?);
            }
            (Event::StreamEnd, _) => break,
            _ => {}
        }
    }
    document.ok_or_else(|| Problem::at(Span::default(), "the file is empty"))
}

struct Builder<'text> {
    parser: Parser<'text, StrInput<'text>>,
    nodes: usize,
}

impl<'text> Builder<'text> {
    fn next(&mut self) -> Result<(Event<'text>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(&span))),
            Some(Err(error)) => {
                let offset =
                    error.marker().byte_offset().and_then(|offset| u32::try_from(offset).ok()).unwrap_or(0);
                Err(Problem::at(
                    Span { start: offset, end: offset },
                    format!("not valid YAML: {}", error.info()),
                ))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Result<Node, Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Problem::at(span, format!("the file has more than {MAX_NODES} values")));
        }
        if depth > MAX_DEPTH {
            return Err(Problem::at(span, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        refuse_decoration(&event, span)?;
        match event {
            Event::Scalar(text, style, ..) => Ok(Node {
                span,
                kind: Kind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain },
            }),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let (event, inner) = self.next()?;
                    if matches!(event, Event::SequenceEnd) {
                        return Ok(Node {
                            span: Span { end: inner.end.max(span.end), ..span },
                            kind: Kind::Sequence(items),
                        });
                    }
                    items.push(self.node(event, inner, depth + 1)?);
                }
            }
            Event::MappingStart(style, ..) => self.mapping(style, span, depth),
            _ => Err(Problem::at(span, "not valid YAML: a value was expected here")),
        }
    }

    fn mapping(&mut self, style: StructureStyle, span: Span, depth: usize) -> Result<Node, Problem> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        // Catalog mappings are small, but a hostile file's need not be: a set keeps the search for duplicates short.
        let mut seen = std::collections::BTreeSet::new();
        loop {
            let (event, inner) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                // An error about a block mapping as a whole points at its first key: its end is lines away.
                let shown = match (style, entries.first()) {
                    (StructureStyle::Block, Some((key, _))) => key.span,
                    _ => Span { end: inner.end.max(span.end), ..span },
                };
                return Ok(Node { span: shown, kind: Kind::Mapping(entries) });
            }
            let key = self.node(event, inner, depth + 1)?;
            let Kind::Scalar { text, plain } = &key.kind else {
                return Err(Problem::at(key.span, "a key must be a string, not a list or mapping"));
            };
            if *plain && text == "<<" {
                return Err(Problem::at(key.span, "merge keys (`<<`) are not used in catalog files")
                    .with_hint("write the keys out, or share them by `from:`, `streams:` and `variants:`"));
            }
            if !seen.insert(text.clone()) {
                return Err(Problem::at(key.span, format!("key `{text}` is given twice"))
                    .with_hint("delete one of the two, or merge their values"));
            }
            let (event, inner) = self.next()?;
            let value = self.node(event, inner, depth + 1)?;
            entries.push((key, value));
        }
    }
}

/// Anchors, aliases and tags: they make one text mean another's value, or a value another type.
fn refuse_decoration(event: &Event<'_>, span: Span) -> Result<(), Problem> {
    if event.is_alias() {
        return Err(Problem::at(span, "aliases (`*name`) are not used in catalog files")
            .with_hint("write the value out"));
    }
    if event.anchor_id().is_some() {
        return Err(Problem::at(span, "anchors (`&name`) are not used in catalog files")
            .with_hint("delete the anchor"));
    }
    if let Some(tag) = event.tag() {
        return Err(Problem::at(span, format!("tags (`{}`) are not used in catalog files", tag.original()))
            .with_hint("delete the tag; quote the value if it is to be a string"));
    }
    Ok(())
}

fn place(span: &granit_parser::Span) -> Span {
    let offset = |marker: &granit_parser::Marker| {
        marker.byte_offset().and_then(|offset| u32::try_from(offset).ok()).unwrap_or_default()
    };
    let start = span.tag_start.as_ref().map_or_else(|| offset(&span.start), offset);
    Span { start, end: offset(&span.end).max(start) }
}
