//! Choices: a Rust enum is read from a variant's name, or from a mapping in which exactly one key is a variant's name.

use serde::Deserializer;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::node::{Kind, Node};
use super::problem::Problem;
use crate::nearest::{advice, listed};

/// A node from which one of `variants` is to be read.
pub(super) struct Choice<'node> {
    pub(super) node: &'node Node,
    pub(super) variants: &'static [&'static str],
}

impl Choice<'_> {
    /// The entry of a mapping whose key names the variant.
    fn chosen<'node>(&self, entries: &'node [(Node, Node)]) -> Result<&'node (Node, Node), Problem> {
        let names = |entry: &&(Node, Node)| matches!(&entry.0.kind, Kind::Scalar { text, .. } if self.variants.contains(&text.as_str()));
        let mut chosen = entries.iter().filter(names);
        let first = chosen.next().ok_or_else(|| self.unknown(entries))?;
        match chosen.next() {
            None => Ok(first),
            Some((second, _)) => Err(Problem::at(
                second.span,
                format!("{} and {} exclude each other", key(&first.0), key(second)),
            )
            .with_hint(format!("give exactly one of {}", listed(self.variants)))),
        }
    }

    fn unknown(&self, entries: &[(Node, Node)]) -> Problem {
        let Some((first, _)) = entries.first() else {
            return Problem::at(self.node.span, "empty mapping")
                .with_hint(format!("give one of {}", listed(self.variants)));
        };
        let name = match &first.kind {
            Kind::Scalar { text, .. } => text.as_str(),
            _ => "",
        };
        Problem::at(first.span, format!("no key here says what this is (found `{name}`)")).with_hint(advice(
            name,
            self.variants,
            "one of these keys must be given",
        ))
    }
}

fn key(node: &Node) -> String {
    match &node.kind {
        Kind::Scalar { text, .. } => format!("`{text}`"),
        _ => node.noun(),
    }
}

impl<'de, 'node> EnumAccess<'de> for Choice<'node> {
    type Error = Problem;
    type Variant = Content<'node>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'node>), Problem> {
        let Kind::Mapping(entries) = &self.node.kind else {
            return Ok((seed.deserialize(self.node)?, Content::Name(self.node)));
        };
        let (name, value) = self.chosen(entries)?;
        let Kind::Scalar { text, .. } = &name.kind else { return Err(self.unknown(entries)) };
        let variant: StrDeserializer<'_, Problem> = text.as_str().into_deserializer();
        let chosen = seed.deserialize(variant).map_err(|problem| problem.or_at(name.span))?;
        Ok((chosen, Content::Entry { mapping: self.node, name, text, value }))
    }
}

/// Where a variant's value is to be found.
pub(super) enum Content<'node> {
    /// Nowhere: the variant was given by its name alone.
    Name(&'node Node),
    /// In the mapping, or under its key `name`.
    Entry { mapping: &'node Node, name: &'node Node, text: &'node str, value: &'node Node },
}

impl<'de> VariantAccess<'de> for Content<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        match self {
            Self::Name(_) => Ok(()),
            Self::Entry { name, text, .. } => Err(Problem::at(name.span, format!("`{text}` takes no value"))
                .with_hint(format!("write just `{text}`"))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(VariantValue(self))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Problem> {
        VariantValue(self).value()?.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        VariantValue(self).deserialize_struct("", fields, visitor)
    }
}

/// A variant's value. Whether it is the whole mapping or only what stands under the variant's key is known once the
/// type asks: a struct with a field of the variant's own name wants the whole.
struct VariantValue<'node>(Content<'node>);

impl<'node> VariantValue<'node> {
    /// What stands under the variant's key, which then must be alone in its mapping.
    fn value(self) -> Result<&'node Node, Problem> {
        match self.0 {
            Content::Name(node) => Err(Problem::at(node.span, format!("{} needs a value", node.noun()))
                .with_hint("write `name: value` in place of the bare name")),
            Content::Entry { mapping, text, value, .. } => {
                let other = mapping.entries()?.iter().find(|(_, other)| !std::ptr::eq(other, value));
                match other {
                    None => Ok(value),
                    Some((other, _)) => Err(Problem::at(other.span, format!("unknown key {}", key(other)))
                        .with_hint(format!("`{text}` stands alone; its options belong under it"))),
                }
            }
        }
    }
}

impl<'de> Deserializer<'de> for VariantValue<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Content::Entry { mapping, text, .. } if fields.contains(&text) => {
                mapping.deserialize_struct(name, fields, visitor)
            }
            _ => self.value()?.deserialize_struct(name, fields, visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.value()?.deserialize_tuple_struct(name, length, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.value()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.value()?.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_option(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_bool(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_str(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_map(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_u64(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_i64(visitor)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple identifier ignored_any
    }
}
