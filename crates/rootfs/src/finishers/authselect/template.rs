//! authselect's language of templates (authselect-profiles(5)): a text with operators in braces, and the features that
//! are on, in; the text that they leave, out.
//!
//! `{include if X}` and `{exclude if X}` keep or drop their line, `{continue if X}` and `{stop if X}` what follows,
//! `{if X:one|other}` stands for one of two texts, `{imply "f" if X}` turns a feature on. X is made of quoted features,
//! `and`, `or`, `not` and parentheses, read from the left, `and` binding no closer than `or`.

use std::collections::BTreeSet;

/// Deepest nesting of parentheses: far more than any profile has, and nothing that could exhaust the stack.
const DEPTH_LIMIT: usize = 32;

/// Renders a template.
///
/// # Errors
/// When an expression cannot be read.
pub(super) fn render(template: &str, features: &BTreeSet<String>) -> Result<String, String> {
    let mut features = features.clone();
    let mut rendered = String::with_capacity(template.len());
    for line in template.split_inclusive('\n') {
        match render_line(line, &mut features)? {
            Outcome::Line(text) => rendered.push_str(&text),
            Outcome::Dropped => {}
            Outcome::End(text) => {
                rendered.push_str(&text);
                break;
            }
        }
    }
    let trimmed: Vec<&str> = rendered.split('\n').map(str::trim_ascii_end).collect();
    Ok(trimmed.join("\n"))
}

/// What becomes of a line.
enum Outcome {
    Line(String),
    Dropped,
    /// What stood before the operator that ends the text.
    End(String),
}

fn render_line(line: &str, features: &mut BTreeSet<String>) -> Result<Outcome, String> {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let operator =
            after.split_once('}').and_then(|(inside, after)| Some((Operator::read(inside)?, after)));
        // Braces that are no operator are text.
        let Some((operator, after)) = operator else {
            text.push('{');
            rest = after;
            continue;
        };
        rest = after;
        match operator {
            Operator::Keep { keep, when } if evaluate(when, features)? != keep => {
                return Ok(Outcome::Dropped);
            }
            Operator::Keep { .. } => {}
            Operator::Go { go, when } if evaluate(when, features)? == go => return Ok(Outcome::Dropped),
            Operator::Go { .. } => return Ok(Outcome::End(text)),
            Operator::Imply { feature, when } => {
                if evaluate(when, features)? {
                    features.insert(feature.to_owned());
                }
                return Ok(Outcome::Dropped);
            }
            Operator::Either { when, one, other } => {
                text.push_str(if evaluate(when, features)? { one } else { other });
            }
        }
    }
    text.push_str(rest);
    Ok(Outcome::Line(text))
}

/// What stands between two braces.
enum Operator<'a> {
    /// Keeps the line if the expression has this outcome.
    Keep {
        keep: bool,
        when: &'a str,
    },
    /// Goes on behind the line if the expression has this outcome, and ends the text otherwise.
    Go {
        go: bool,
        when: &'a str,
    },
    Imply {
        feature: &'a str,
        when: &'a str,
    },
    Either {
        when: &'a str,
        one: &'a str,
        other: &'a str,
    },
}

impl<'a> Operator<'a> {
    fn read(inside: &'a str) -> Option<Self> {
        if inside.contains(['{', '\n']) {
            return None;
        }
        for (word, operator) in [
            ("include if ", Self::keep as fn(bool, &'a str) -> Self),
            ("exclude if ", Self::keep),
            ("continue if ", Self::go),
            ("stop if ", Self::go),
        ] {
            if let Some(when) = inside.strip_prefix(word) {
                let positive = word.starts_with("include") || word.starts_with("continue");
                return (!when.is_empty() && !when.contains(['|', ':'])).then(|| operator(positive, when));
            }
        }
        if let Some(imply) = inside.strip_prefix("imply \"") {
            let (feature, when) = imply.split_once("\" if ")?;
            return Some(Self::Imply { feature, when });
        }
        let (when, values) = inside.strip_prefix("if ")?.split_once(':')?;
        let (one, other) = values.split_once('|').unwrap_or((values, ""));
        (!when.is_empty() && !other.contains('|')).then_some(Self::Either { when, one, other })
    }

    const fn keep(keep: bool, when: &'a str) -> Self {
        Self::Keep { keep, when }
    }

    const fn go(go: bool, when: &'a str) -> Self {
        Self::Go { go, when }
    }
}

/// Whether an expression holds.
fn evaluate(expression: &str, features: &BTreeSet<String>) -> Result<bool, String> {
    let mut rest = expression;
    let value = sequence(&mut rest, features, 0).filter(|_| rest.trim_ascii().is_empty());
    value.ok_or_else(|| format!("the expression `{expression}` cannot be read"))
}

fn sequence(rest: &mut &str, features: &BTreeSet<String>, depth: usize) -> Option<bool> {
    let mut value = term(rest, features, depth)?;
    loop {
        let after = rest.trim_ascii_start();
        if after.is_empty() || after.starts_with(')') {
            *rest = after;
            return Some(value);
        }
        let (operator, after) = word(after);
        *rest = after;
        let other = term(rest, features, depth)?;
        value = match operator.to_ascii_lowercase().as_str() {
            "and" => value && other,
            "or" => value || other,
            _ => return None,
        };
    }
}

fn term(rest: &mut &str, features: &BTreeSet<String>, depth: usize) -> Option<bool> {
    let mut negated = false;
    loop {
        let text = rest.trim_ascii_start();
        if let Some(quoted) = text.strip_prefix('"') {
            let (feature, after) = quoted.split_once('"')?;
            *rest = after;
            return Some(features.contains(feature) != negated);
        }
        if let Some(inside) = text.strip_prefix('(') {
            if depth >= DEPTH_LIMIT {
                return None;
            }
            *rest = inside;
            let value = sequence(rest, features, depth + 1)?;
            *rest = rest.strip_prefix(')')?;
            return Some(value != negated);
        }
        let (operator, after) = word(text);
        if !operator.eq_ignore_ascii_case("not") {
            return None;
        }
        negated = !negated;
        *rest = after;
    }
}

/// The letters at the start of a text, and the rest.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, features: &[&str]) -> String {
        render(template, &features.iter().map(|feature| (*feature).to_owned()).collect()).unwrap()
    }

    #[test]
    fn operators_do_as_the_manual_says() {
        for (template, without, with) in [
            ("a\nb {include if \"x\"}\nc\n", "a\nc\n", "a\nb\nc\n"),
            ("a\nb {exclude if \"x\"}  \nc\n", "a\nb\nc\n", "a\nc\n"),
            ("a {if \"x\":one|other} b\n", "a other b\n", "a one b\n"),
            ("a {if not \"x\":nullok}\n", "a nullok\n", "a\n"),
            ("a\n{continue if \"x\"}\nb\n", "a\n", "a\nb\n"),
            ("a\n{stop if \"x\"}\nb\n", "a\nb\n", "a\n"),
            ("{imply \"y\" if \"x\"}\na {include if \"y\"}\nb\n", "b\n", "a\nb\n"),
            ("{if \"x\" and not \"y\":1}{if \"x\" or \"y\":2}{if not (\"x\" or \"y\"):3}\n", "3\n", "12\n"),
            ("{no operator} {\n", "{no operator} {\n", "{no operator} {\n"),
            ("", "", ""),
        ] {
            assert_eq!(rendered(template, &[]), without, "{template}");
            assert_eq!(rendered(template, &["x"]), with, "{template}");
        }
    }

    #[test]
    fn a_line_of_fedora() {
        let line = "group: files {if \"with-altfiles\":altfiles }systemd {exclude if \"with-group-merging\"}\n\
                    hosts: files {if \"with-mdns4\" and not \"with-mdns6\":mdns4_minimal [NOTFOUND=return] }dns\n";
        assert_eq!(rendered(line, &[]), "group: files systemd\nhosts: files dns\n");
        assert_eq!(
            rendered(line, &["with-mdns4", "with-group-merging"]),
            "hosts: files mdns4_minimal [NOTFOUND=return] dns\n"
        );
    }

    #[test]
    fn expressions_that_make_no_sense_are_refused() {
        let deep = format!("{}\"x\"{}", "(".repeat(100), ")".repeat(100));
        for expression in ["\"x\" \"y\"", "x", "\"x", "(\"x\"", "\"x\" and", "not", "\"x\")", deep.as_str()] {
            assert!(evaluate(expression, &BTreeSet::new()).is_err(), "{expression}");
        }
    }
}
