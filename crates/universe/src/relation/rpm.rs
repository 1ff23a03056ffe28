//! Relations between RPM packages: `name`, `name >= 1:2-3`, and the boolean formulas of rpm's manual ("Boolean
//! Dependencies"), each brought into clauses.
//!
//! In a table the entries of a field stand apart by [`SEPARATOR`], since names may hold commas and blanks stand before
//! operators. [`SCRIPT`] before an entry says that only scriptlets need it.

use std::cmp::Ordering;
use std::fmt;

use calypte_base::PackageFormat;
use calypte_base::version::RpmVersion;
use calypte_formats::rpm_dependency;

use super::{Clause, Clauses, Entries, Operator, Relation, RelationError, formula};

/// Between the entries of a field.
pub const SEPARATOR: char = '\u{1f}';

/// Before an entry that only scriptlets need.
pub const SCRIPT: char = '\u{1e}';

const EXAMPLE: &str = "`name`, `name >= 1.0-1` or `(name if other)`";

/// Writes a relation as a package has it.
pub(super) fn write(relation: &Relation<'_>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str(relation.name)?;
    let Some((operator, version)) = relation.version else { return Ok(()) };
    let operator = match operator {
        Operator::Earlier => "<",
        Operator::EarlierOrEqual => "<=",
        Operator::Equal => "=",
        Operator::LaterOrEqual => ">=",
        Operator::Later => ">",
    };
    write!(formatter, " {operator} {version}")
}

/// Whether what is provided has a version in common with what is demanded, as libsolv has it: a release counts only
/// where both have one, and what is provided without a release is of every release.
pub(super) fn overlap(demanded: (Operator, &str), provided: (Operator, &str)) -> bool {
    let (Ok(first), Ok(second)) = (RpmVersion::parse(demanded.1), RpmVersion::parse(provided.1)) else {
        return false;
    };
    match first.compare_in_relation(&second) {
        Ordering::Less => demanded.0.later() || provided.0.earlier(),
        Ordering::Greater => demanded.0.earlier() || provided.0.later(),
        Ordering::Equal => {
            (first.release().is_some() && second.release().is_none())
                || (demanded.0.equal() && provided.0.equal())
                || (demanded.0.earlier() && provided.0.earlier())
                || (demanded.0.later() && provided.0.later())
        }
    }
}

/// The entries of a field, without a look into them.
pub(super) fn entries(field: &str) -> Entries<'_> {
    super::entries(field, SEPARATOR)
}

/// The relations of a field that is a plain list, such as `Provides` and `Obsoletes`.
pub fn relations(field: &str) -> impl Iterator<Item = Result<Relation<'_>, RelationError>> {
    entries(field).map(|entry| plain(entry).ok_or_else(|| error(entry)))
}

/// The clauses of one requirement.
pub(super) fn clauses(entry: &str) -> Clauses<'_> {
    read(entry, true)
}

/// The clauses of one conflict: that it does not hold.
pub(super) fn refused(entry: &str) -> Clauses<'_> {
    read(entry, false)
}

/// An entry as it is shown to people.
#[must_use]
pub fn shown(entry: &str) -> &str {
    entry.trim_start_matches(SCRIPT)
}

fn error(entry: &str) -> RelationError {
    RelationError { text: shown(entry).chars().take(100).collect(), example: EXAMPLE }
}

fn read(entry: &str, holds: bool) -> Clauses<'_> {
    let text = shown(entry);
    let for_scripts = text.len() != entry.len();
    let literals = match plain(text) {
        Some(relation) => Some(formula::literal(relation.into(), holds)),
        None => rpm_dependency::parse(text).ok().and_then(|expression| formula::normal(&expression, holds)),
    };
    let literals = literals.ok_or_else(|| error(entry))?;
    let clause = |(when, any)| Clause { when, any, for_scripts };
    Ok(literals.into_iter().map(clause).collect())
}

/// A relation that is no formula, read without the parser of formulas: nearly all are.
fn plain(text: &str) -> Option<Relation<'_>> {
    let text = text.trim_ascii();
    if text.starts_with('(') || text.is_empty() {
        return None;
    }
    let relation = |name, version| Relation { format: PackageFormat::Rpm, name, qualifier: None, version };
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let name = words.next()?;
    let Some(sign) = words.next() else { return Some(relation(name, None)) };
    let operator = match sign {
        "<" => Operator::Earlier,
        "<=" => Operator::EarlierOrEqual,
        "=" => Operator::Equal,
        ">=" => Operator::LaterOrEqual,
        ">" => Operator::Later,
        _ => return None,
    };
    let version = words.next()?;
    words.next().is_none().then(|| relation(name, Some((operator, version))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::Choice;

    #[test]
    fn ranges_that_overlap() {
        for (provided, demanded, met) in [
            ("a", "a >= 2", true),
            ("a = 1.2-3", "a", true),
            ("a = 1.2-3", "a = 1.2", true),
            ("a = 1.2-3", "a >= 1.2", true),
            ("a = 1.2-3", "a > 1.2", false),
            ("a = 1.2-3", "a < 1.2-4", true),
            ("a = 1.2-3", "a <= 1.2-2", false),
            ("a = 1.2", "a = 1.2-3", true),
            ("a = 1.2", "a > 1.2-3", true),
            ("a = 1:1.0-1", "a >= 2", true),
            ("a = 1.0-1", "a >= 1:0.1", false),
            ("a = 1.0~rc1-1", "a >= 1.0", false),
            ("a = 1.0^git1-1", "a > 1.0", true),
            ("a >= 2", "a < 3", true),
            ("a >= 3", "a < 3", false),
        ] {
            let (provided, demanded) = (plain(provided).unwrap(), plain(demanded).unwrap());
            assert_eq!(demanded.met_by(&provided), met, "{provided} for {demanded}");
        }
    }

    fn shown_clauses(entry: &str) -> String {
        let list = |choices: &[Choice<'_>]| {
            let one = |choice: &Choice<'_>| {
                let mut text = choice.relation.to_string();
                choice.with.iter().for_each(|with| text.push_str(&format!(" with {with}")));
                choice.without.iter().for_each(|without| text.push_str(&format!(" without {without}")));
                text
            };
            choices.iter().map(one).collect::<Vec<_>>().join(" | ")
        };
        let clause = |clause: &Clause<'_>| match (clause.when.is_empty(), clause.for_scripts) {
            (true, false) => list(&clause.any),
            (true, true) => format!("[script] {}", list(&clause.any)),
            (false, _) => format!("{} -> {}", list(&clause.when).replace('|', "&"), list(&clause.any)),
        };
        match clauses(entry) {
            Ok(clauses) => clauses.iter().map(clause).collect::<Vec<_>>().join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_entries_come_to() {
        for (entry, expected) in [
            ("libc.so.6(GLIBC_2.34)(64bit)", "libc.so.6(GLIBC_2.34)(64bit)"),
            ("a >= 1:2-3", "a >= 1:2-3"),
            ("\u{1e}/bin/sh", "[script] /bin/sh"),
            ("(a and b >= 2)", "a; b >= 2"),
            ("(a or b)", "a | b"),
            ("(a if b)", "b -> a"),
            ("(a if b else c)", "b -> a; b | c"),
            ("(a if (b and c))", "b & c -> a"),
            ("(a if (b or c))", "b -> a; c -> a"),
            ("(a unless b)", "a; b -> "),
            ("(a unless b else c)", "b | a; b -> c"),
            ("(a >= 1 with a < 2)", "a >= 1 with a < 2"),
            ("(a without b)", "a without b"),
            ("((a >= 1 with a < 2) or c)", "a >= 1 with a < 2 | c"),
            ("((a or b) with c)", "a with c | b with c"),
            (
                "(a",
                "`(a` is not a relation to a package, such as `name`, `name >= 1.0-1` or `(name if other)`",
            ),
            (
                "a >=",
                "`a >=` is not a relation to a package, such as `name`, `name >= 1.0-1` or `(name if other)`",
            ),
        ] {
            assert_eq!(shown_clauses(entry), expected, "{entry}");
        }
    }

    #[test]
    fn conflicts_are_what_must_not_hold() {
        let when = |entry| {
            let names = |clause: &Clause<'_>| {
                clause.when.iter().map(|choice| choice.relation.name).collect::<Vec<_>>().join("&")
            };
            refused(entry).unwrap().iter().map(names).collect::<Vec<_>>().join(";")
        };
        assert_eq!(when("a < 2"), "a");
        assert_eq!(when("(a and b)"), "a&b");
        assert_eq!(when("(a or b)"), "a;b");
    }
}
