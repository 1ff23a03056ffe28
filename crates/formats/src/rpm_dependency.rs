//! One relation of an RPM package as text, plain or rich: `name >= 1:2-3`, `(a if b else c)`. Text in, a tree out that
//! borrows it.
//!
//! The rules are those of rpm's manual ("Boolean Dependencies") and, where that is silent, of what rpmbuild takes. Two
//! things that rpmbuild lets pass are refused, since no reader could say what they mean: `else` without an `if`, and a
//! name with unbalanced parentheses. So is a version with an empty part (`1-`, `:1`).

use std::fmt;

use calypte_base::version::RpmVersion;

/// Parentheses inside of each other: the deepest real relations have 4.
const DEPTH_LIMIT: usize = 32;

/// A relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression<'a> {
    /// A name, with or without a demand on its version.
    Simple(Simple<'a>),
    /// All of these, be it by several packages.
    And(Vec<Self>),
    /// One of these at least.
    Or(Vec<Self>),
    /// One thing where another is there.
    If(Box<Conditional<'a>>),
    /// One thing where another is not there.
    Unless(Box<Conditional<'a>>),
    /// All of these by one package.
    With(Vec<Self>),
    /// A package that is the first and not the second.
    Without(Box<Self>, Box<Self>),
}

/// `then if condition else otherwise`, or the same with `unless`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditional<'a> {
    /// What is asked for when the condition holds (`if`) or does not hold (`unless`).
    pub then: Expression<'a>,
    /// The condition.
    pub condition: Expression<'a>,
    /// What is asked for in the other case.
    pub otherwise: Option<Expression<'a>>,
}

/// A name, with or without a demand on its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simple<'a> {
    /// The name of a package, of something that packages provide, or a path.
    pub name: &'a str,
    /// How the version must stand to the one below; there exactly if that is.
    pub operator: Option<Operator>,
    /// The version that is compared with: one that [`RpmVersion::parse`] takes.
    pub version: Option<&'a str>,
}

/// How a version stands to the one in a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `=`
    Equal,
    /// `>=`
    GreaterEqual,
    /// `>`
    Greater,
}

/// Why a text is no relation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a relation between RPM packages: {reason}")]
pub struct DependencyError {
    /// The text, cut at 100 characters.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Operator {
    /// Reads an operator, in any of the spellings that rpm takes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        match text {
            "<" => Some(Self::Less),
            "<=" | "=<" => Some(Self::LessEqual),
            "=" | "==" => Some(Self::Equal),
            ">=" | "=>" => Some(Self::GreaterEqual),
            ">" => Some(Self::Greater),
            _ => None,
        }
    }

    /// Whether an equal version will do.
    #[must_use]
    pub const fn takes_equal(self) -> bool {
        matches!(self, Self::LessEqual | Self::Equal | Self::GreaterEqual)
    }

    /// Whether an earlier version will do.
    #[must_use]
    pub const fn takes_less(self) -> bool {
        matches!(self, Self::Less | Self::LessEqual)
    }

    /// Whether a later version will do.
    #[must_use]
    pub const fn takes_greater(self) -> bool {
        matches!(self, Self::Greater | Self::GreaterEqual)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Equal => "=",
            Self::GreaterEqual => ">=",
            Self::Greater => ">",
        })
    }
}

/// Reads one relation.
///
/// # Errors
/// When rpm would refuse it, in every kind of relation that it can stand in; see the top of the module for what is
/// refused beyond that.
pub fn parse(text: &str) -> Result<Expression<'_>, DependencyError> {
    let mut parser = Parser { rest: text, depth: 0 };
    let parsed = parser.whole();
    parsed.map_err(|reason| DependencyError { text: text.chars().take(100).collect(), reason })
}

/// The words between operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    And,
    Or,
    If,
    Unless,
    Else,
    With,
    Without,
}

impl Word {
    const ALL: [Self; 7] =
        [Self::And, Self::Or, Self::If, Self::Unless, Self::Else, Self::With, Self::Without];

    fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.text() == text)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Or => "or",
            Self::If => "if",
            Self::Unless => "unless",
            Self::Else => "else",
            Self::With => "with",
            Self::Without => "without",
        }
    }
}

/// What may stand at a place, by what stands around it.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    /// One package must be it all, so that only what speaks of one package may stand here.
    one_package: bool,
    /// Beside `or`, since an `if` holds where its condition does not, and would make all of it hold.
    no_if: bool,
    /// Beside `and`, for the same reason the other way round.
    no_unless: bool,
}

impl Around {
    const AND: Self = Self { one_package: false, no_if: false, no_unless: true };
    const OR: Self = Self { one_package: false, no_if: true, no_unless: false };
    const WITH: Self = Self { one_package: true, no_if: false, no_unless: false };
}

impl Expression<'_> {
    fn check(&self, around: Around) -> Result<(), String> {
        let is_of_one = matches!(self, Self::Simple(_) | Self::Or(_) | Self::With(_) | Self::Without(..));
        if around.one_package && !is_of_one {
            return Err("inside of `with` and `without`, only these and `or` may stand".to_owned());
        }
        match self {
            Self::Simple(_) => Ok(()),
            Self::And(operands) => operands.iter().try_for_each(|operand| operand.check(Around::AND)),
            Self::Or(operands) => {
                let inside = Around { one_package: around.one_package, ..Around::OR };
                operands.iter().try_for_each(|operand| operand.check(inside))
            }
            Self::With(operands) => operands.iter().try_for_each(|operand| operand.check(Around::WITH)),
            Self::Without(left, right) => {
                left.check(Around::WITH)?;
                right.check(Around::WITH)
            }
            Self::If(_) if around.no_if => Err("beside `or`, `and` is meant and not `if`".to_owned()),
            Self::If(conditional) => conditional.check(Around::AND),
            Self::Unless(_) if around.no_unless => {
                Err("beside `and`, `or` is meant and not `unless`".to_owned())
            }
            Self::Unless(conditional) => conditional.check(Around::OR),
        }
    }
}

impl Conditional<'_> {
    fn check(&self, inside: Around) -> Result<(), String> {
        self.then.check(inside)?;
        self.condition.check(Around::default())?;
        self.otherwise.as_ref().map_or(Ok(()), |otherwise| otherwise.check(inside))
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

/// What rpm takes for a blank.
fn is_blank(character: char) -> bool {
    character.is_ascii_whitespace() || matches!(character, '\x0b' | ',')
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Expression<'a>, String> {
        self.skip_blanks();
        let expression = self.operand()?;
        expression.check(Around::default())?;
        self.skip_blanks();
        match self.rest.is_empty() {
            true => Ok(expression),
            false => Err("something follows its end".to_owned()),
        }
    }

    fn operand(&mut self) -> Result<Expression<'a>, String> {
        match self.rest.strip_prefix('(') {
            Some(rest) => {
                self.rest = rest;
                self.rich()
            }
            None => self.simple().map(Expression::Simple),
        }
    }

    /// What follows an opening parenthesis, up to the closing one.
    fn rich(&mut self) -> Result<Expression<'a>, String> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(format!("more than {DEPTH_LIMIT} parentheses are open"));
        }
        let (mut operands, mut words) = (Vec::new(), Vec::new());
        loop {
            self.skip_blanks();
            if self.rest.starts_with(')') {
                return Err("an operand is missing before `)`".to_owned());
            }
            operands.push(self.operand()?);
            self.skip_blanks();
            if let Some(rest) = self.rest.strip_prefix(')') {
                self.rest = rest;
                break;
            }
            let word = self.word()?;
            if !may_follow(&words, word) {
                return Err(format!(
                    "`{}` cannot stand there; parentheses would tell what it belongs to",
                    word.text()
                ));
            }
            words.push(word);
        }
        self.depth -= 1;
        joined(operands, &words).ok_or_else(|| "it has operands without a word between them".to_owned())
    }

    fn word(&mut self) -> Result<Word, String> {
        if self.rest.is_empty() {
            return Err("a parenthesis is not closed".to_owned());
        }
        let is_end = |character: char| character == ')' || is_blank(character) && character != ',';
        let text = self.take(self.rest.find(is_end).unwrap_or(self.rest.len()));
        Word::from_text(text).ok_or_else(|| {
            format!("`{}` is none of and, or, if, unless, else, with, without", text.escape_debug())
        })
    }

    fn simple(&mut self) -> Result<Simple<'a>, String> {
        let name = self.token();
        if !name.starts_with(|first: char| {
            first.is_ascii_alphanumeric() || !first.is_ascii() || "_/".contains(first)
        }) {
            return Err("a name must begin with a letter, a digit, `_` or `/`".to_owned());
        }
        if name.matches('(').count() != name.matches(')').count() {
            return Err(format!("the parentheses in `{name}` do not match"));
        }
        let before = self.rest;
        self.skip_blanks();
        let Some(operator) = Operator::from_text(self.token()) else {
            self.rest = before;
            return Ok(Simple { name, operator: None, version: None });
        };
        self.skip_blanks();
        let version = self.token();
        check_version(version)?;
        Ok(Simple { name, operator: Some(operator), version: Some(version) })
    }

    /// A name, an operator or a version: up to a blank, or to a closing parenthesis that it did not open itself.
    fn token(&mut self) -> &'a str {
        let mut open = 0_usize;
        let end = self.rest.find(|character: char| {
            if character == '(' {
                open += 1;
            } else if character == ')' {
                if open == 0 {
                    return true;
                }
                open -= 1;
            }
            is_blank(character)
        });
        self.take(end.unwrap_or(self.rest.len()))
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(is_blank);
    }
}

/// Whether a word may follow those that stand before it between the same parentheses.
fn may_follow(words: &[Word], word: Word) -> bool {
    match words {
        [] => word != Word::Else,
        [Word::If | Word::Unless] => word == Word::Else,
        [first, ..] => word == *first && matches!(word, Word::And | Word::Or | Word::With),
    }
}

/// What stands between two parentheses, as one; none when the words do not fit the operands.
fn joined<'a>(mut operands: Vec<Expression<'a>>, words: &[Word]) -> Option<Expression<'a>> {
    let conditional = |operands: Vec<Expression<'a>>| {
        let mut operands = operands.into_iter();
        let (then, condition) = (operands.next()?, operands.next()?);
        Some(Box::new(Conditional { then, condition, otherwise: operands.next() }))
    };
    match words.first() {
        None => operands.pop(),
        Some(Word::And) => Some(Expression::And(operands)),
        Some(Word::Or) => Some(Expression::Or(operands)),
        Some(Word::With) => Some(Expression::With(operands)),
        Some(Word::Without) => {
            let (right, left) = (operands.pop()?, operands.pop()?);
            Some(Expression::Without(Box::new(left), Box::new(right)))
        }
        Some(Word::If) => conditional(operands).map(Expression::If),
        Some(Word::Unless) => conditional(operands).map(Expression::Unless),
        Some(Word::Else) => None,
    }
}

fn check_version(text: &str) -> Result<(), String> {
    let version = RpmVersion::parse(text).map_err(|error| error.to_string())?;
    let is_stray = |byte: u8| !byte.is_ascii_alphanumeric() && !b"._+%{}~^:-".contains(&byte);
    if text.bytes().any(is_stray) || text.contains("..") || version.version().contains('-') {
        return Err(format!("`{text}` has a second `-`, a `..`, or a character that no version may have"));
    }
    Ok(())
}

impl fmt::Display for Expression<'_> {
    /// As rpm writes it: one blank between words, parentheses around each part that is not simple.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chain = |formatter: &mut fmt::Formatter<'_>, operands: &[Self], word: Word| {
            formatter.write_str("(")?;
            for (count, operand) in operands.iter().enumerate() {
                if count > 0 {
                    write!(formatter, " {} ", word.text())?;
                }
                write!(formatter, "{operand}")?;
            }
            formatter.write_str(")")
        };
        match self {
            Self::Simple(simple) => write!(formatter, "{simple}"),
            Self::And(operands) => chain(formatter, operands, Word::And),
            Self::Or(operands) => chain(formatter, operands, Word::Or),
            Self::With(operands) => chain(formatter, operands, Word::With),
            Self::Without(left, right) => write!(formatter, "({left} without {right})"),
            Self::If(conditional) => conditional.write(formatter, Word::If),
            Self::Unless(conditional) => conditional.write(formatter, Word::Unless),
        }
    }
}

impl Conditional<'_> {
    fn write(&self, formatter: &mut fmt::Formatter<'_>, word: Word) -> fmt::Result {
        write!(formatter, "({} {} {}", self.then, word.text(), self.condition)?;
        if let Some(otherwise) = &self.otherwise {
            write!(formatter, " else {otherwise}")?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Display for Simple<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)?;
        match (self.operator, self.version) {
            (Some(operator), Some(version)) => write!(formatter, " {operator} {version}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(name: &str) -> Expression<'_> {
        Expression::Simple(Simple { name, operator: None, version: None })
    }

    #[test]
    fn plain_relations() {
        let parsed = |text| match parse(text) {
            Ok(Expression::Simple(Simple { name, operator, version })) => (name, operator, version),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(parsed("libc.so.6(GLIBC_2.34)(64bit)"), ("libc.so.6(GLIBC_2.34)(64bit)", None, None));
        assert_eq!(parsed(" a >= 1:2-3 "), ("a", Some(Operator::GreaterEqual), Some("1:2-3")));
        assert_eq!(parsed("config(a) =< 2^git"), ("config(a)", Some(Operator::LessEqual), Some("2^git")));
        assert_eq!(parsed("((/bin/sh))"), ("/bin/sh", None, None));
    }

    #[test]
    fn trees() {
        let conditional =
            |otherwise| Box::new(Conditional { then: simple("a"), condition: simple("b"), otherwise });
        for (text, tree) in [
            ("(a and b and (c))", Expression::And(vec![simple("a"), simple("b"), simple("c")])),
            (
                "(a or (b with c))",
                Expression::Or(vec![simple("a"), Expression::With(vec![simple("b"), simple("c")])]),
            ),
            ("(a without b)", Expression::Without(Box::new(simple("a")), Box::new(simple("b")))),
            ("(a if b)", Expression::If(conditional(None))),
            ("(a if b else c)", Expression::If(conditional(Some(simple("c"))))),
            ("(a unless b else c)", Expression::Unless(conditional(Some(simple("c"))))),
        ] {
            assert_eq!(parse(text), Ok(tree), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let text = "((a >= 1:2-3 with b(c)) if (d or (e without f = 2)) else (g and h))";
        assert_eq!(parse(text).unwrap().to_string(), text);
        let spread = "( (a => 1:2-3 with  b(c))if (d or,(e  without f == 2)) else\t(g and h,) )";
        assert!(parse(spread).is_err(), "a comma after a word is a part of it");
        assert_eq!(parse(&spread.replace("or,", "or ,")).unwrap().to_string(), text);
        // Without a blank, all of it is the name, as it is for rpm.
        assert!(parse("a>=1").is_ok_and(|parsed| parsed == simple("a>=1")));
    }
}
