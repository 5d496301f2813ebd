//! Serde over nodes: the raw model is derived, the mistakes are told in people's words and with their places.

use super::field::FIELD_MARKER;
use super::node::{Node, NodeValue};
use crate::diagnostic::Mistake;
use crate::nearest::suggest;
use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// Reads a value of the raw model, noting every mistake that a field, a key or an item can survive.
pub(super) fn from_node<T: DeserializeOwned>(node: &Node, mistakes: &mut Vec<Mistake>) -> Option<T> {
    let found = RefCell::new(std::mem::take(mistakes));
    let result = T::deserialize(NodeDeserializer { node, mistakes: &found });
    *mistakes = found.into_inner();
    result.map_err(|error| mistakes.push(error.into_mistake(node))).ok()
}

/// A mistake on its way up to the nearest node.
#[derive(Debug)]
pub(super) struct NodeError {
    span: Option<Range<usize>>,
    message: String,
    hint: Option<String>,
}

impl NodeError {
    /// The mistake belongs to `node`, unless a node below has taken it.
    fn at(mut self, node: &Node) -> NodeError {
        self.span.get_or_insert_with(|| node.span.clone());
        self
    }

    fn into_mistake(self, node: &Node) -> Mistake {
        Mistake::new(self.span.unwrap_or(node.span.clone()), self.message).hint_maybe(self.hint)
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for NodeError {}

impl de::Error for NodeError {
    fn custom<T: fmt::Display>(message: T) -> NodeError {
        NodeError {
            span: None,
            message: message.to_string(),
            hint: None,
        }
    }

    fn invalid_type(unexpected: Unexpected, expected: &dyn Expected) -> NodeError {
        let found = match unexpected {
            Unexpected::Str(_) => "a text",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map | Unexpected::StructVariant | Unexpected::NewtypeVariant => "keys with values",
            _ => return NodeError::custom(format!("expected {expected}, found {unexpected}")),
        };
        NodeError::custom(format!("expected {expected}, found {found}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> NodeError {
        let hint = suggest(variant, "one of", expected.iter().copied());
        NodeError {
            span: None,
            message: format!("unknown value `{variant}`"),
            hint: Some(hint),
        }
    }
}

/// A node being read.
#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
    mistakes: &'a RefCell<Vec<Mistake>>,
}

impl<'a> NodeDeserializer<'a> {
    fn below(self, node: &'a Node) -> NodeDeserializer<'a> {
        NodeDeserializer {
            node,
            mistakes: self.mistakes,
        }
    }

    fn expected(self, what: &str) -> NodeError {
        de::Error::custom(format!("expected {what}, found {}", self.node.kind()))
    }

    fn items(self) -> Items<'a> {
        let items = match &self.node.value {
            NodeValue::List(items) => items.as_slice(),
            _ => &[],
        };
        Items {
            items: items.iter(),
            parent: self,
        }
    }

    /// The entries whose keys are texts, known (if it is said which are) and not repeated; the others are noted.
    fn entries(self, map: &'a [(Node, Node)], known: Option<&'static [&'static str]>) -> Entries<'a> {
        let mut entries: Vec<&(Node, Node)> = Vec::with_capacity(map.len());
        let mut seen = std::collections::HashSet::new();
        for entry in map {
            match key_fault(&entry.0, known, &seen) {
                Some(mistake) => self.mistakes.borrow_mut().push(mistake),
                None => {
                    seen.extend(entry.0.scalar());
                    entries.push(entry);
                }
            }
        }
        Entries {
            entries: entries.into_iter(),
            value: None,
            parent: self,
        }
    }
}

/// Why an entry can't be read, judged by its key.
fn key_fault(key: &Node, known: Option<&[&str]>, seen: &std::collections::HashSet<&str>) -> Option<Mistake> {
    let Some(name) = key.scalar() else {
        return Some(Mistake::new(
            key.span.clone(),
            format!("a key must be a text, this is {}", key.kind()),
        ));
    };
    if seen.contains(name) {
        let mistake = Mistake::new(key.span.clone(), format!("the key `{name}` is given twice"));
        return Some(mistake.hint("keep one of them"));
    }
    let known = known.filter(|known| !known.contains(&name))?;
    let mistake = Mistake::new(key.span.clone(), format!("unknown key `{name}`"));
    Some(mistake.hint(suggest(name, "known keys", known.iter().copied())))
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_> {
    type Error = NodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::Null => visitor.visit_unit(),
            NodeValue::Scalar(text) => visitor.visit_str(text),
            NodeValue::List(_) => visitor.visit_seq(self.items()),
            NodeValue::Map(map) => visitor.visit_map(self.entries(map, None)),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::Scalar(text) => visitor.visit_str(text),
            _ => Err(self.expected("a text")),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        let number = self.node.scalar().and_then(|text| text.parse().ok());
        match number {
            Some(number) => visitor.visit_u64(number),
            None => Err(self.expected("a whole number")),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        match self.node.value {
            NodeValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        if name == FIELD_MARKER {
            return visitor.visit_seq(FieldParts {
                next: Part::Start,
                parent: self,
            });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::List(_) => visitor.visit_seq(self.items()),
            _ => Err(self.expected("a list")),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::List(items) if items.len() == length => visitor.visit_seq(self.items()),
            NodeValue::List(items) => Err(de::Error::custom(format!(
                "expected {length} texts in a list, found {}",
                items.len()
            ))),
            _ => Err(self.expected(&format!("{length} texts in a list"))),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::Map(map) => visitor.visit_map(self.entries(map, None)),
            _ => Err(self.expected("names with values")),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::Map(map) => visitor.visit_map(self.entries(map, Some(fields))),
            _ => Err(self.expected(&format!("the keys {}", fields.join(", ")))),
        }
        .map_err(|error| error.at(self.node))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, NodeError> {
        match &self.node.value {
            NodeValue::Scalar(_) => visitor.visit_enum(Choice {
                name: self,
                content: None,
            }),
            NodeValue::Map(map) if map.len() == 1 => visitor.visit_enum(Choice {
                name: self.below(&map[0].0),
                content: Some(self.below(&map[0].1)),
            }),
            _ => Err(self.expected(&format!("one of {}", variants.join(", ")))),
        }
        .map_err(|error| error.at(self.node))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple_struct
        identifier ignored_any
    }
}

/// The items of a list.
struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    parent: NodeDeserializer<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = NodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, NodeError> {
        let next = self.items.next();
        next.map(|node| seed.deserialize(self.parent.below(node))).transpose()
    }
}

/// The entries of a map that can be read.
struct Entries<'a> {
    entries: std::vec::IntoIter<&'a (Node, Node)>,
    value: Option<&'a Node>,
    parent: NodeDeserializer<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = NodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, NodeError> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(self.parent.below(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, NodeError> {
        match self.value.take() {
            Some(value) => seed.deserialize(self.parent.below(value)),
            None => Err(de::Error::custom("a value was read before its key")),
        }
    }
}

/// What a `Field` asks for, in turn.
enum Part {
    Start,
    End,
    Value,
    Nothing,
}

struct FieldParts<'a> {
    next: Part,
    parent: NodeDeserializer<'a>,
}

impl<'de> SeqAccess<'de> for FieldParts<'_> {
    type Error = NodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, NodeError> {
        let node = self.parent.node;
        let offset = |offset: usize| -> U64Deserializer<NodeError> { (offset as u64).into_deserializer() };
        match std::mem::replace(&mut self.next, Part::Nothing) {
            Part::Start => {
                self.next = Part::End;
                seed.deserialize(offset(node.span.start)).map(Some)
            }
            Part::End => {
                self.next = Part::Value;
                seed.deserialize(offset(node.span.end)).map(Some)
            }
            Part::Value => match seed.deserialize(self.parent) {
                Ok(value) => Ok(Some(value)),
                Err(error) => {
                    self.parent.mistakes.borrow_mut().push(error.into_mistake(node));
                    Ok(None)
                }
            },
            Part::Nothing => Ok(None),
        }
    }
}

/// A choice by name: `json`, or `kv: {…}`.
struct Choice<'a> {
    name: NodeDeserializer<'a>,
    content: Option<NodeDeserializer<'a>>,
}

impl<'de, 'a> EnumAccess<'de> for Choice<'a> {
    type Error = NodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), NodeError> {
        let Some(text) = self.name.node.scalar() else {
            return Err(self.name.expected("a name").at(self.name.node));
        };
        let name: StrDeserializer<NodeError> = text.into_deserializer();
        let variant = seed.deserialize(name).map_err(|error| error.at(self.name.node))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = NodeError;

    fn unit_variant(self) -> Result<(), NodeError> {
        match self.content {
            Some(content) if content.node.value != NodeValue::Null => {
                let name = self.name.node.scalar().unwrap_or_default();
                Err(NodeError::at(
                    de::Error::custom(format!("`{name}` takes nothing")),
                    content.node,
                ))
            }
            _ => Ok(()),
        }
    }

    /// A name alone reads as a name with nothing: good for those that need nothing, a mistake for the others.
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, NodeError> {
        let name = self.name;
        match self.content {
            Some(content) => seed.deserialize(content),
            None => seed
                .deserialize(name.below(&Node::null_at(name.node.span.clone())))
                .map_err(|error| {
                    let needs = error
                        .message
                        .replace("expected", "needs")
                        .replace(", found nothing", "");
                    let message = format!("`{}` {needs}", name.node.scalar().unwrap_or_default());
                    NodeError { message, ..error }
                }),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, _visitor: V) -> Result<V::Value, NodeError> {
        Err(de::Error::custom("the model has no such choice"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, NodeError> {
        Err(de::Error::custom("the model has no such choice"))
    }
}
