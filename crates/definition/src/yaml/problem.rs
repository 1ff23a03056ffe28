//! An error on its way up from a node: serde's errors know no place, so each node on the way adds its own if none has.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::Span;
use crate::nearest::advice;

/// What is wrong, where if that is known yet, and what to do.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Option<Span>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    pub(super) fn at(span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), hint: None }
    }

    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The place, unless a node further in has given a nearer one.
    pub(super) fn or_at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    fn nowhere(message: String, hint: Option<String>) -> Self {
        Self { span: None, message, hint }
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::nowhere(message.to_string(), None)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::nowhere(format!("expected {expected}, found {unexpected}"), None)
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::nowhere(format!("unknown value `{variant}`"), Some(advice(variant, expected, "valid values")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::nowhere(format!("unknown key `{field}`"), Some(advice(field, expected, "valid keys")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::nowhere(format!("key `{field}` is missing"), Some(format!("add `{field}: …` to this mapping")))
    }
}
