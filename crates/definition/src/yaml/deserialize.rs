//! From the tree of nodes to serde's data model. Every error that leaves a node has a place.

use serde::Deserializer;
use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::enumeration::Choice;
use super::node::{Kind, Node};
use super::problem::Problem;
use super::scalar::Meaning;
use super::spanned::SPANNED;

impl Node {
    /// What this is, in the words of an error.
    pub(super) fn noun(&self) -> String {
        match (&self.kind, self.meaning()) {
            (Kind::Sequence(_), _) => "a list".to_owned(),
            (Kind::Mapping(_), _) => "a mapping".to_owned(),
            (_, Meaning::Null) => "nothing".to_owned(),
            (Kind::Scalar { text, .. }, Meaning::Text) => format!("the string `{}`", shortened(text)),
            (Kind::Scalar { text, .. }, Meaning::Bool(_)) => format!("the boolean `{}`", shortened(text)),
            (Kind::Scalar { text, .. }, _) => format!("the number `{}`", shortened(text)),
        }
    }

    fn expected(&self, expected: &str) -> Problem {
        let problem = Problem::at(self.span, format!("expected {expected}, found {}", self.noun()));
        match (&self.kind, self.meaning()) {
            (Kind::Scalar { .. }, Meaning::Null) => {
                problem.with_hint("give a value, or delete the key; nothing is written `\"\"`, `[]` or `{}`")
            }
            _ => problem,
        }
    }

    fn string(&self) -> Result<&str, Problem> {
        match (&self.kind, self.meaning()) {
            (Kind::Scalar { text, .. }, Meaning::Text) => Ok(text),
            (
                Kind::Scalar { text, .. },
                Meaning::Bool(_) | Meaning::Integer(_) | Meaning::OddInteger | Meaning::Float(_),
            ) => Err(self
                .expected("a string")
                .with_hint(format!("write it in quotes: \"{}\"", shortened(text)))),
            _ => Err(self.expected("a string")),
        }
    }

    fn integer(&self) -> Result<i128, Problem> {
        match (&self.kind, self.meaning()) {
            (_, Meaning::Integer(number)) => Ok(number),
            (_, Meaning::OddInteger) => {
                Err(self.expected("a whole number").with_hint("write it in decimal, without leading zero"))
            }
            (Kind::Scalar { text, plain: false }, _) if text.parse::<i128>().is_ok() => {
                Err(self.expected("a whole number").with_hint(format!("write it without quotes: {text}")))
            }
            _ => Err(self.expected("a whole number")),
        }
    }

    fn items(&self) -> Result<&[Self], Problem> {
        match &self.kind {
            Kind::Sequence(items) => Ok(items),
            Kind::Scalar { text, .. } if self.meaning() != Meaning::Null => {
                let words = shortened(text).split_whitespace().collect::<Vec<_>>().join(", ");
                Err(self.expected("a list").with_hint(format!("write it as a list: [{words}]")))
            }
            _ => Err(self.expected("a list")),
        }
    }

    pub(super) fn entries(&self) -> Result<&[(Self, Self)], Problem> {
        match &self.kind {
            Kind::Mapping(entries) => Ok(entries),
            _ => Err(self.expected("`key: value` pairs")),
        }
    }
}

/// Long texts do not belong into an error's first line.
fn shortened(text: &str) -> String {
    let mut short: String =
        text.chars().take(60).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Implements the methods for the integer types: reads a whole number and checks its range.
macro_rules! integers {
    ($($method:ident $visit:ident $type:ty)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let number = self.integer()?;
            let value = <$type>::try_from(number).map_err(|_| {
                let (least, most) = (<$type>::MIN, <$type>::MAX);
                Problem::at(self.span, format!("`{number}` is out of range: it must be {least} to {most}"))
            })?;
            visitor.$visit(value).map_err(|problem: Problem| problem.or_at(self.span))
        }
    )*};
}

/// Implements the methods for strings and for names of keys and variants.
macro_rules! strings {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            visitor.visit_str(self.string()?).map_err(|problem: Problem| problem.or_at(self.span))
        }
    )*};
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Problem;

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
    }

    strings! { deserialize_char deserialize_str deserialize_string deserialize_identifier deserialize_bytes deserialize_byte_buf }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match (&self.kind, self.meaning()) {
            (Kind::Sequence(_), _) => self.deserialize_seq(visitor),
            (Kind::Mapping(_), _) => self.deserialize_map(visitor),
            (_, Meaning::Text) => self.deserialize_str(visitor),
            (_, Meaning::Bool(_)) => self.deserialize_bool(visitor),
            (_, Meaning::Integer(_) | Meaning::OddInteger) => self.deserialize_i64(visitor),
            (_, Meaning::Float(_)) => self.deserialize_f64(visitor),
            (_, Meaning::Null) => self.deserialize_unit(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.meaning() {
            Meaning::Bool(value) => {
                visitor.visit_bool(value).map_err(|problem: Problem| problem.or_at(self.span))
            }
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.meaning() {
            Meaning::Float(value) => visitor.visit_f64(value).map_err(|problem: Problem| {
                problem.or_at(self.span).with_hint("write it in quotes if it is to be a string")
            }),
            Meaning::Integer(_) => self.deserialize_i64(visitor),
            _ => Err(self.expected("a number")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        // Optional keys are left out; a key without value is not another way to say that.
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.meaning() {
            Meaning::Null => visitor.visit_unit().map_err(|_: Problem| self.expected("a value")),
            _ => Err(self.expected("nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self).map_err(|problem: Problem| problem.or_at(self.span))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(Items(self.items()?.iter())).map_err(|problem: Problem| problem.or_at(self.span))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if name == SPANNED {
            return visitor.visit_seq(Placed { node: self, part: 0 });
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let entries = Pairs { entries: self.entries()?.iter(), value: None };
        visitor.visit_map(entries).map_err(|problem: Problem| problem.or_at(self.span))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor
            .visit_enum(Choice { node: self, variants })
            .map_err(|problem: Problem| problem.or_at(self.span))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
}

/// The items of a list.
struct Items<'node>(std::slice::Iter<'node, Node>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        self.0
            .next()
            .map(|item| seed.deserialize(item).map_err(|problem| problem.or_at(item.span)))
            .transpose()
    }
}

/// The parts of a [`super::Spanned`].
struct Placed<'node> {
    node: &'node Node,
    part: u8,
}

impl<'de> SeqAccess<'de> for Placed<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let offset = |offset: u32| -> U32Deserializer<Problem> { offset.into_deserializer() };
        self.part = self.part.saturating_add(1);
        match self.part {
            1 => seed.deserialize(offset(self.node.span.start)).map(Some),
            2 => seed.deserialize(offset(self.node.span.end)).map(Some),
            3 => seed.deserialize(self.node).map_err(|problem| problem.or_at(self.node.span)).map(Some),
            _ => Ok(None),
        }
    }
}

/// The entries of a mapping.
struct Pairs<'node> {
    entries: std::slice::Iter<'node, (Node, Node)>,
    value: Option<&'node Node>,
}

impl<'de> MapAccess<'de> for Pairs<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(key).map_err(|problem| problem.or_at(key.span)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let value = self
            .value
            .take()
            .ok_or_else(|| serde::de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(value).map_err(|problem| problem.or_at(value.span))
    }
}
