//! RPM's boolean formulas in conjunctive normal form: what holds is a list of clauses, each of what must not be there
//! and what may be.
//!
//! `(A if B else C)` is `(A or not B) and (B or C)`; `(A unless B else C)` is `(A or B) and (C or not B)`, as rpm's manual
//! defines them. `with` and `without` speak of one package, so they become one [`Choice`].

use calypte_base::PackageFormat;
use calypte_formats::rpm_dependency::{Conditional, Expression, Operator as Sign, Simple};

use super::{Choice, Operator, Relation};

/// What one formula may come to: those of Fedora have one or two clauses; each nested `or` of `and` multiplies.
const CLAUSES: usize = 64;

/// One clause: what must not be there, and what may be.
pub(super) type Literals<'a> = (Vec<Choice<'a>>, Vec<Choice<'a>>);

/// A choice that holds, or that does not.
pub(super) fn literal(choice: Choice<'_>, holds: bool) -> Vec<Literals<'_>> {
    vec![if holds { (Vec::new(), vec![choice]) } else { (vec![choice], Vec::new()) }]
}

/// The clauses of a formula that holds, or of one that does not; none when there are too many, or when `with` joins
/// what is not of one package.
pub(super) fn normal<'a>(expression: &Expression<'a>, holds: bool) -> Option<Vec<Literals<'a>>> {
    let both = |left: Vec<Literals<'a>>, mut right: Vec<Literals<'a>>| {
        right.splice(0..0, left);
        (right.len() <= CLAUSES).then_some(right)
    };
    match expression {
        Expression::Simple(simple) => Some(literal(relation(simple).into(), holds)),
        Expression::And(parts) | Expression::Or(parts) => {
            let all = parts.iter().map(|part| normal(part, holds));
            if matches!(expression, Expression::And(_)) == holds {
                all.reduce(|left, right| both(left?, right?))?
            } else {
                all.reduce(|left, right| either(&left?, &right?))?
            }
        }
        Expression::If(parts) => {
            let Conditional { then, condition, otherwise } = &**parts;
            let met = either(&normal(condition, false)?, &normal(then, holds)?)?;
            let unmet = match otherwise {
                Some(otherwise) => either(&normal(condition, true)?, &normal(otherwise, holds)?)?,
                // Without `else` it holds wherever the condition does not, and fails only where that does.
                None if holds => Vec::new(),
                None => normal(condition, true)?,
            };
            both(met, unmet)
        }
        Expression::Unless(parts) => {
            let Conditional { then, condition, otherwise } = &**parts;
            let unmet = either(&normal(condition, true)?, &normal(then, holds)?)?;
            match otherwise {
                Some(otherwise) => {
                    both(unmet, either(&normal(condition, false)?, &normal(otherwise, holds)?)?)
                }
                // Without `else` nothing holds where the condition does.
                None if holds => both(normal(then, true)?, normal(condition, false)?),
                None => Some(unmet),
            }
        }
        Expression::With(_) | Expression::Without(..) => {
            let choices = of_one_package(expression)?;
            let all = choices.into_iter().map(|choice| Some(literal(choice, holds)));
            if holds {
                all.reduce(|left, right| either(&left?, &right?))?
            } else {
                all.reduce(|left, right| both(left?, right?))?
            }
        }
    }
}

/// One of two conjunctions: each clause of the one joined with each of the other.
fn either<'a>(left: &[Literals<'a>], right: &[Literals<'a>]) -> Option<Vec<Literals<'a>>> {
    if left.len().saturating_mul(right.len()) > CLAUSES {
        return None;
    }
    let join = |one: &Literals<'a>, other: &Literals<'a>| {
        let mut joined = one.clone();
        joined.0.extend(other.0.iter().cloned());
        joined.1.extend(other.1.iter().cloned());
        joined
    };
    Some(left.iter().flat_map(|one| right.iter().map(move |other| join(one, other))).collect())
}

/// The packages that `with`, `without` and `or` among them speak of.
fn of_one_package<'a>(expression: &Expression<'a>) -> Option<Vec<Choice<'a>>> {
    let choices = match expression {
        Expression::Simple(simple) => vec![relation(simple).into()],
        Expression::Or(parts) => {
            parts.iter().map(of_one_package).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
        }
        Expression::With(parts) => {
            let mut parts = parts.iter();
            let mut choices = of_one_package(parts.next()?)?;
            for part in parts {
                let others = of_one_package(part)?;
                choices = choices
                    .iter()
                    .flat_map(|one| others.iter().map(move |other| joined(one, other)))
                    .collect();
            }
            choices
        }
        Expression::Without(of, without) => {
            let mut choices = of_one_package(of)?;
            for other in of_one_package(without)? {
                // `without (x with y)` would need a set of sets; nobody writes it.
                if !other.with.is_empty() || !other.without.is_empty() {
                    return None;
                }
                choices.iter_mut().for_each(|choice| choice.without.push(other.relation));
            }
            choices
        }
        Expression::And(_) | Expression::If(_) | Expression::Unless(_) => return None,
    };
    (choices.len() <= CLAUSES).then_some(choices)
}

fn joined<'a>(one: &Choice<'a>, other: &Choice<'a>) -> Choice<'a> {
    let mut joined = one.clone();
    joined.with.push(other.relation);
    joined.with.extend(&other.with);
    joined.without.extend(&other.without);
    joined
}

fn relation<'a>(simple: &Simple<'a>) -> Relation<'a> {
    let version = simple.operator.zip(simple.version).map(|(sign, version)| {
        let operator = match sign {
            Sign::Less => Operator::Earlier,
            Sign::LessEqual => Operator::EarlierOrEqual,
            Sign::Equal => Operator::Equal,
            Sign::GreaterEqual => Operator::LaterOrEqual,
            Sign::Greater => Operator::Later,
        };
        (operator, version)
    });
    Relation { format: PackageFormat::Rpm, name: simple.name, qualifier: None, version }
}
