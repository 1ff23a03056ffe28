//! From the tree of nodes to serde's data model. Every error that leaves a node has a place.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::YamlError;
use super::node::{Kind, Node, shortened};

/// What a plain scalar means by the core schema of YAML 1.2 (spec 1.2.2, section 10.3.2), where no type is asked for.
enum Meaning {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text,
}

fn meaning(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Bool(true),
        "false" | "False" | "FALSE" => return Meaning::Bool(false),
        _ => {}
    }
    if let Ok(number) = text.parse() {
        return Meaning::Integer(number);
    }
    // Rust's own grammar of floats also takes words such as `infinity`, which YAML takes for text.
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && text.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if numeric => Meaning::Float(number),
        _ => Meaning::Text,
    }
}

impl Node<'_> {
    fn meaning(&self) -> Meaning {
        match &self.kind {
            Kind::Scalar { text, plain: true } => meaning(text),
            _ => Meaning::Text,
        }
    }

    /// What this is, in the words of an error.
    fn noun(&self) -> String {
        match &self.kind {
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
            Kind::Scalar { .. } if matches!(self.meaning(), Meaning::Null) => "nothing".to_owned(),
            Kind::Scalar { text, .. } => format!("`{}`", shortened(text)),
        }
    }

    fn expected(&self, expected: &str) -> YamlError {
        YamlError::at(self.place, format!("expected {expected}, found {}", self.noun()))
    }

    fn placed<T>(&self, result: Result<T, YamlError>) -> Result<T, YamlError> {
        result.map_err(|error| error.or_at(self.place))
    }
}

/// Implements the methods for numbers: reads one and lets serde check that it fits.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
            match self.meaning() {
                Meaning::Integer(number) => self.placed(visitor.visit_i64(number)),
                Meaning::Float(number) => self.placed(visitor.visit_f64(number)),
                _ => Err(self.expected("a number")),
            }
        }
    )*};
}

/// Implements the methods for strings and for names of keys: the text as it is written, whatever else it could mean.
macro_rules! strings {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
            match (&self.kind, self.meaning()) {
                (Kind::Scalar { .. }, Meaning::Null) => Err(self.expected("a string")),
                (Kind::Scalar { text, .. }, _) => self.placed(visitor.visit_str(text)),
                _ => Err(self.expected("a string")),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &Node<'_> {
    type Error = YamlError;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
    }

    strings! { deserialize_char deserialize_str deserialize_string deserialize_identifier deserialize_bytes deserialize_byte_buf }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match (&self.kind, self.meaning()) {
            (Kind::Sequence(_), _) => self.deserialize_seq(visitor),
            (Kind::Mapping(_), _) => self.deserialize_map(visitor),
            (Kind::Scalar { text, .. }, Meaning::Text) => self.placed(visitor.visit_str(text)),
            (_, Meaning::Bool(value)) => self.placed(visitor.visit_bool(value)),
            (_, Meaning::Integer(number)) => self.placed(visitor.visit_i64(number)),
            (_, Meaning::Float(number)) => self.placed(visitor.visit_f64(number)),
            (_, Meaning::Null) => self.placed(visitor.visit_unit()),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match self.meaning() {
            Meaning::Bool(value) => self.placed(visitor.visit_bool(value)),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match (&self.kind, self.meaning()) {
            (Kind::Scalar { .. }, Meaning::Null) => self.placed(visitor.visit_none()),
            _ => self.placed(visitor.visit_some(self)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match self.meaning() {
            Meaning::Null => self.placed(visitor.visit_unit()),
            _ => Err(self.expected("nothing")),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        self.placed(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match &self.kind {
            Kind::Sequence(items) => self.placed(visitor.visit_seq(Items(items.iter()))),
            _ => Err(self.expected("a list")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, YamlError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        match &self.kind {
            Kind::Mapping(entries) => {
                self.placed(visitor.visit_map(Pairs { entries: entries.iter(), value: None }))
            }
            _ => Err(self.expected("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, YamlError> {
        match &self.kind {
            Kind::Scalar { text, .. } => {
                let name: StrDeserializer<'_, YamlError> = text.as_ref().into_deserializer();
                self.placed(visitor.visit_enum(name))
            }
            _ => Err(self.expected("one of several words")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, YamlError> {
        visitor.visit_unit()
    }
}

/// The items of a list.
struct Items<'node, 'text>(std::slice::Iter<'node, Node<'text>>);

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = YamlError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, YamlError> {
        self.0.next().map(|item| item.placed(seed.deserialize(item))).transpose()
    }
}

/// The entries of a mapping.
struct Pairs<'node, 'text> {
    entries: std::slice::Iter<'node, (Node<'text>, Node<'text>)>,
    value: Option<&'node Node<'text>>,
}

impl<'de> MapAccess<'de> for Pairs<'_, '_> {
    type Error = YamlError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, YamlError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        key.placed(seed.deserialize(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, YamlError> {
        let value =
            self.value.take().ok_or_else(|| YamlError::custom("a value was asked for before its key"))?;
        value.placed(seed.deserialize(value))
    }
}
