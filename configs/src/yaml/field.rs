//! Values of the raw model that remember where they were written, and survive being wrong.
//!
//! A `Field` whose value can't be read is `Broken`, its mistake noted, and the rest of the document is read on: that is
//! how all mistakes of a file are told at once.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

/// The name by which the deserializer of nodes knows a field.
pub(super) const FIELD_MARKER: &str = "configs::Field";

/// A value of the raw model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Field<T> {
    /// Not in the document.
    #[default]
    Absent,
    /// There, but wrong: already told.
    Broken,
    /// There, at these bytes of the file.
    Given(T, Range<usize>),
}

impl<T> Field<T> {
    /// The value and its place.
    pub(super) fn given(&self) -> Option<(&T, Range<usize>)> {
        match self {
            Field::Given(value, span) => Some((value, span.clone())),
            Field::Absent | Field::Broken => None,
        }
    }

    /// The value alone.
    pub(super) fn value(&self) -> Option<&T> {
        self.given().map(|(value, _)| value)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD_MARKER, FieldVisitor(PhantomData))
    }
}

/// Reads start, end and value; no value means that it was wrong.
struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (Some(start), Some(end)) = (access.next_element()?, access.next_element()?) else {
            return Ok(Field::Broken);
        };
        Ok(access
            .next_element()?
            .map_or(Field::Broken, |value| Field::Given(value, start..end)))
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Names with values, in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ordered<T>(pub(super) Vec<(Field<String>, Field<T>)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OrderedVisitor(PhantomData))
    }
}

struct OrderedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedVisitor<T> {
    type Value = Ordered<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Ordered(entries))
    }
}

impl<T: JsonSchema> JsonSchema for Ordered<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Map_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
