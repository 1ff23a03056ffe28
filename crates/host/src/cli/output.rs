//! What goes to standard output and standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::HostError;

/// A line to standard error; when that is closed there is nobody to tell.
pub(super) fn line(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Text to standard output. A closed pipe is no error: whoever read had enough.
pub(super) fn print(text: &str) -> Result<(), HostError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(HostError::io("write", "standard output")(error))
        }
        _ => Ok(()),
    }
}

/// A value as one JSON document whose first key is `schema`.
pub(super) fn json(schema: &str, value: &impl Serialize) -> Result<(), HostError> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        schema: &'a str,
        #[serde(flatten)]
        data: &'a T,
    }
    plain_json(&Document { schema, data: value })
}

/// A value as one JSON document, as it is.
pub(super) fn plain_json(value: &impl Serialize) -> Result<(), HostError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| HostError::io("write", "standard output")(error.into()))?;
    print(&(text + "\n"))
}

/// Text from images and registries is not ours: what would steer a terminal is replaced.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A number of bytes for eyes (powers of 1,000).
pub(super) fn bytes(count: u64) -> String {
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

/// Columns, two blanks between them.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    printable(&text)
}
