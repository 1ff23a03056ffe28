//! What is wrong in a catalog file, and where: in goes a file's text and a span of it, out comes an error with file,
//! line, column, a caret under the place and what to do about it. Kept apart from the reader, since the checks that
//! come after reading point at their places in the same way.

use std::fmt;

use crate::yaml::Span;

/// The most characters of a source line that are shown; longer ones are cut around the place.
const SHOWN_WIDTH: usize = 120;

/// One error in one catalog file. Displays over several lines, with the source line and a caret under the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named to the reader.
    pub file: String,
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
    /// How many characters the place spans on its line, at least 1.
    pub length: usize,
    /// What is wrong, without a trailing dot.
    pub message: String,
    /// The line as it stands in the file, without its line break.
    pub source_line: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl std::error::Error for Diagnostic {}

impl Diagnostic {
    /// This error with advice on how to mend it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The advice, where there is any.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = number.len();
        let (before, shown) = window(&self.source_line, self.column - 1);
        let padding = self.column - 1 - before;
        // A caret never runs past the text that is shown.
        let carets = self.length.min(shown.chars().count().saturating_sub(padding)).max(1);
        writeln!(formatter, "error: {}", self.message)?;
        writeln!(formatter, "{:gutter$}--> {}:{}:{}", "", self.file, self.line, self.column)?;
        writeln!(formatter, "{:gutter$} |", "")?;
        writeln!(formatter, "{number} | {shown}")?;
        write!(formatter, "{:gutter$} | {:padding$}{}", "", "", "^".repeat(carets))?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\n{:gutter$} = help: {hint}", "")?;
        }
        Ok(())
    }
}

/// The part of a line that is shown, and how many characters were cut before it. Control characters (which a hostile
/// file could use to drive the terminal) and tabs (which would shift the caret) each become one harmless character.
fn window(line: &str, column: usize) -> (usize, String) {
    let clean = |character: char| if character.is_control() { ' ' } else { character };
    if line.chars().count() <= SHOWN_WIDTH {
        return (0, line.chars().map(clean).collect());
    }
    let before = column.saturating_sub(SHOWN_WIDTH / 2);
    (before, line.chars().skip(before).take(SHOWN_WIDTH).map(clean).collect())
}

/// A catalog file's name and text: what places point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, as errors name it.
    pub file: String,
    /// All of its text.
    pub text: String,
}

impl Source {
    /// A file by its name and text.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }

    /// An error at this place.
    #[must_use]
    pub fn diagnostic(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        diagnostic(&self.file, &self.text, span, message.into(), None)
    }

    /// The line number of a place, from 1.
    #[must_use]
    pub fn line(&self, span: Span) -> usize {
        locate(&self.text, span.start).0
    }
}

/// An error at a span of a text.
pub(crate) fn diagnostic(
    file: &str,
    text: &str,
    span: Span,
    message: String,
    hint: Option<String>,
) -> Diagnostic {
    let (line, line_start, start) = locate(text, span.start);
    let rest = text.get(line_start..).unwrap_or_default();
    let source_line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let column = text.get(line_start..start).map_or(0, |before| before.chars().count());
    let end = usize::try_from(span.end).unwrap_or(usize::MAX).min(line_start + source_line.len());
    let length = text.get(start..end).map_or(1, |covered| covered.trim_end().chars().count()).max(1);
    Diagnostic {
        file: file.to_owned(),
        line,
        column: column + 1,
        length,
        message,
        source_line: source_line.to_owned(),
        hint,
    }
}

/// Line number from 1, byte offset of the line's start, byte offset of the place (moved back to a character's start).
fn locate(text: &str, offset: u32) -> (usize, usize, usize) {
    let mut offset = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    // A place at the very end of the text belongs to its last line and not to the empty one after it.
    let mut searched = &text[..offset];
    if offset == text.len() {
        searched = searched.trim_end_matches(['\n', '\r']);
        offset = searched.len();
    }
    let line_start = searched.rfind('\n').map_or(0, |position| position + 1);
    (searched.matches('\n').count() + 1, line_start, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_place_with_a_caret() {
        let source = Source::new("a.yaml", "one: 1\ntwö: x # ü\n");
        let shown = source.diagnostic(Span { start: 13, end: 14 }, "wrong").with_hint("mend it").to_string();
        insta::assert_snapshot!(shown, @"
        error: wrong
         --> a.yaml:2:6
          |
        2 | twö: x # ü
          |      ^
          = help: mend it
        ");
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_do_not_reach_the_terminal() {
        let source = Source::new("a.yaml", format!("\u{1b}[2J{}x{}", "a".repeat(400), "b".repeat(400)));
        let shown = source.diagnostic(Span { start: 404, end: 405 }, "wrong").to_string();
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert!(shown.lines().all(|line| line.len() < 140), "{shown}");
        let line = shown.lines().nth(3).unwrap();
        let caret = shown.lines().nth(4).unwrap();
        assert_eq!(line.find('x'), caret.find('^'), "{shown}");
    }

    #[test]
    fn places_outside_of_the_text_are_moved_into_it() {
        for (text, start) in [("", 7), ("a: ü", 4), ("a: 1\n", 5), ("a: 1\n\n\n", 4000)] {
            let error = Source::new("a.yaml", text).diagnostic(Span { start, end: start + 9 }, "wrong");
            assert_eq!(error.line, 1, "{text:?}");
            assert!(error.to_string().contains('^'), "{text:?}");
        }
    }
}
