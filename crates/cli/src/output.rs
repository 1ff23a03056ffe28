//! What goes to standard output: tables for eyes, JSON for programs; colour only on terminals.

use std::io::Write as _;

use anyhow::Result;
use serde::Serialize;

/// The form of what a command prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// Text and tables for people
    #[default]
    Text,
    /// One JSON document with a stable schema, named in its `schema` key
    Json,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On terminals, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Makes this the rule for both standard streams.
    pub fn apply(self) {
        match self {
            Self::Auto => {}
            Self::Always => anstream::ColorChoice::Always.write_global(),
            Self::Never => anstream::ColorChoice::Never.write_global(),
        }
    }
}

/// A document for programs: the schema's name and version beside the data.
#[derive(Debug, Serialize)]
struct Document<'a, T> {
    schema: &'a str,
    #[serde(flatten)]
    data: &'a T,
}

/// Prints a value as one JSON document whose first key is `schema`, such as `calypte.show/1`.
///
/// # Errors
/// When standard output cannot be written.
pub fn json<T: Serialize>(schema: &str, data: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(&Document { schema, data })?;
    text.push('\n');
    print(&text)
}

/// Prints text as it is.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A table with aligned columns, two blanks between them.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Table {
    /// A table with these column titles; the columns numbered in `right` (from 0) are aligned to the right.
    #[must_use]
    pub fn new(titles: &[&str], right: &[usize]) -> Self {
        Self { rows: vec![titles.iter().map(ToString::to_string).collect()], right: right.to_vec() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text; the title line is bold on terminals.
    #[must_use]
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let gap = widths[column] - cell.chars().count();
                let (before, after) = if self.right.contains(&column) { (gap, 0) } else { (0, gap) };
                line.push_str(&format!("{:before$}{cell}{:after$}  ", "", ""));
            }
            let line = line.trim_end();
            let bold = anstyle::Style::new().bold();
            text.push_str(&if number == 0 { format!("{bold}{line}{bold:#}\n") } else { format!("{line}\n") });
        }
        text
    }
}

/// A number of bytes for eyes: `312 B`, `4.2 kB`, `64.0 MB` (powers of 1,000).
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut value = count as f64;
    let mut unit = "B";
    for next in ["kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{value:.1} {unit}") }
}

/// Escapes what would steer a terminal: text from packages and mirrors is not ours.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["PACKAGE", "SIZE"], &[1]);
        table.row(vec!["libc6".into(), bytes(12_345_678)]);
        table.row(vec!["tzdata".into(), bytes(7)]);
        let text = anstream::adapter::strip_str(&table.render()).to_string();
        assert_eq!(text, "PACKAGE     SIZE\nlibc6    12.3 MB\ntzdata       7 B\n");
    }

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\n");
    }
}
