//! Texts as parts of SQL statements, as MariaDB reads them.

/// A string in quotes. Backslashes escape, which they do unless `NO_BACKSLASH_ESCAPES` is set.
pub fn string(text: &str) -> String {
    let mut quoted = String::from("'");
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            // A statement is one line to a server that is being bootstrapped.
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\0' => quoted.push_str("\\0"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// A name in backticks.
pub fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// The name of a database where GRANT reads a pattern.
pub fn pattern(text: &str) -> String {
    name(&text.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(string("a'b\\c\nd"), "'a\\'b\\\\c\\nd'");
        assert_eq!(name("a`b"), "`a``b`");
        assert_eq!(pattern("my_app%"), "`my\\_app\\%`");
    }
}
