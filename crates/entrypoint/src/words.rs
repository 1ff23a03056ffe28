//! Taking a text apart into words as a shell does, where it has nothing but words: quotes and backslashes mean what they
//! mean there, and every character that would make a shell do more than that is refused.

use crate::failure::{Failure, Result};

/// Characters that mean more than themselves outside of quotes; redirections are up to the caller.
const SPECIAL: &str = "|&;()<>$`*?[]{}~!#\n";

/// Characters that mean more than themselves inside of double quotes.
const SPECIAL_QUOTED: &str = "$`";

/// A part of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A word, its quotes taken off.
    Word(String),
    /// An operator of `operators`.
    Operator(&'static str),
}

/// The words of a text.
///
/// # Errors
/// At anything but words.
pub fn words(text: &str) -> Result<Vec<String>> {
    let word = |part| match part {
        Part::Word(word) => Some(word),
        Part::Operator(_) => None,
    };
    Ok(parts(text, &[])?.into_iter().filter_map(word).collect())
}

/// The words of a text and the operators between them; a longer operator must stand before one that it starts with.
///
/// # Errors
/// At anything else.
pub fn parts(text: &str, operators: &[&'static str]) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        // What stands directly behind a word ends it first.
        if word.is_none()
            && let Some(operator) = operators.iter().find(|operator| rest.starts_with(**operator))
        {
            parts.push(Part::Operator(operator));
            rest = rest.get(operator.len()..).unwrap_or_default();
            // `2>&12` is another file than that of `2>&1`.
            if operator.ends_with(char::is_numeric) && !rest.is_empty() && !rest.starts_with([' ', '\t']) {
                return Err(refused('&'));
            }
            continue;
        }
        match character {
            ' ' | '\t' => {
                parts.extend(word.take().map(Part::Word));
                rest = after(rest, character);
            }
            '\'' | '"' => rest = quoted(after(rest, character), character, word.get_or_insert_default())?,
            '\\' => rest = escaped(after(rest, character), word.get_or_insert_default())?,
            '<' | '>' if !operators.is_empty() && word.as_deref().is_some_and(is_no_number) => {
                parts.extend(word.take().map(Part::Word));
            }
            _ if SPECIAL.contains(character) => return Err(refused(character)),
            _ => {
                word.get_or_insert_default().push(character);
                rest = after(rest, character);
            }
        }
    }
    parts.extend(word.map(Part::Word));
    Ok(parts)
}

/// Reads up to the closing quote; gives what is behind it.
fn quoted<'t>(text: &'t str, quote: char, word: &mut String) -> Result<&'t str> {
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = after(rest, character);
        match character {
            _ if character == quote => return Ok(rest),
            '\\' if quote == '"' => match rest.chars().next() {
                Some(next) if "\"\\$`".contains(next) => {
                    word.push(next);
                    rest = after(rest, next);
                }
                _ => word.push('\\'),
            },
            _ if quote == '"' && SPECIAL_QUOTED.contains(character) => return Err(refused(character)),
            _ => word.push(character),
        }
    }
    Err(Failure::new(format!("a {quote} is not closed")))
}

fn escaped<'t>(text: &'t str, word: &mut String) -> Result<&'t str> {
    match text.chars().next() {
        Some(character) if character != '\n' => {
            word.push(character);
            Ok(after(text, character))
        }
        _ => Err(Failure::new("a backslash at the end of a line")),
    }
}

/// A number before `<` or `>` would say which file is redirected.
fn is_no_number(word: &str) -> bool {
    !word.bytes().all(|byte| byte.is_ascii_digit())
}

fn after(text: &str, character: char) -> &str {
    text.get(character.len_utf8()..).unwrap_or_default()
}

fn refused(character: char) -> Failure {
    let shown = if character == '\n' { "a line break".to_owned() } else { format!("`{character}`") };
    Failure::new(format!("{shown} outside of quotes asks for a shell, and there is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_a_shell_reads_them() {
        for (text, expected) in [
            ("", &[][..]),
            ("  a\tb ", &["a", "b"]),
            ("'a b'c\"d e\"\\ f", &["a bcd e f"]),
            ("'' \"\"", &["", ""]),
            ("'\"'\"'\"", &["\"'"]),
            ("'$x `y`'", &["$x `y`"]),
            ("\"a\\\"b\\\\c\\d\\$\"", &["a\"b\\c\\d$"]),
            ("a=b --x='c'", &["a=b", "--x=c"]),
            ("\\$x \\;", &["$x", ";"]),
            ("grüße", &["grüße"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn all_else_is_refused() {
        for text in [
            "$x", "`x`", "\"$x\"", "\"`x`\"", "a;b", "a&b", "a|b", "(a)", "a*", "a?", "[a]", "{a,b}", "~",
            "!a", "#a", "a\nb", "a<b", "a>b",
        ] {
            assert!(words(text).unwrap_err().to_string().contains("asks for a shell"), "{text}");
        }
        for text in ["'a", "\"a", "a\\", "\\\n", "\"\\"] {
            assert!(words(text).is_err(), "{text}");
        }
    }
}
