//! How lists, maps, structs and variants of the tree are walked while they are read.

use super::codes;
use super::reader::{Fault, Reader};
use super::source::Span;
use super::tree::{Key, Node};
use super::written;
use crate::diagnostic::Diagnostic;
use serde::de::{self, IntoDeserializer, Visitor};

/// What an `At` reads: file, start, end, value. The value is none when it was faulty and has been reported.
pub(super) struct Parts<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) next: u8,
}

impl<'de> de::SeqAccess<'de> for Parts<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let mark = self.reader.node.map_or(self.reader.parent, |n| n.mark);
        self.next += 1;
        match self.next {
            1 => seed.deserialize(mark.file.into_deserializer()).map(Some),
            2 => seed.deserialize(mark.start.into_deserializer()).map(Some),
            3 => seed.deserialize(mark.end.into_deserializer()).map(Some),
            _ => match seed.deserialize(self.reader) {
                Ok(value) => Ok(Some(value)),
                Err(fault) => {
                    let place = self.reader.sink.sources.place(mark);
                    let label = if fault.code == codes::MISSING_KEY {
                        "it belongs here"
                    } else {
                        "here"
                    };
                    let mut problem =
                        Diagnostic::error(fault.code, fault.summary).at(&place, label);
                    problem.help = fault.help;
                    self.reader.sink.push(problem);
                    Ok(None)
                }
            },
        }
    }
}

/// A list.
pub(super) struct Items<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) items: std::slice::Iter<'a, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.items
            .next()
            .map(|node| seed.deserialize(self.reader.below(node, self.reader.key)))
            .transpose()
    }
}

/// A map with the owner's own keys.
pub(super) struct Pairs<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) entries: std::slice::Iter<'a, (Key, Node)>,
    pub(super) value: Option<Reader<'a>>,
}

impl<'de> de::MapAccess<'de> for Pairs<'de> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, node)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(self.reader.below(node, &key.text));
        seed.deserialize(KeyReader {
            text: &key.text,
            mark: key.mark,
        })
        .map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let value = self.value.take().expect("a key was read before its value");
        seed.deserialize(value)
    }
}

/// A key: text with its place.
struct KeyReader<'a> {
    text: &'a str,
    mark: Span,
}

impl<'de> de::Deserializer<'de> for KeyReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == written::AT {
            visitor.visit_seq(KeyParts { key: self, next: 0 })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct KeyParts<'a> {
    key: KeyReader<'a>,
    next: u8,
}

impl<'de> de::SeqAccess<'de> for KeyParts<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.next += 1;
        match self.next {
            1 => seed.deserialize(self.key.mark.file.into_deserializer()),
            2 => seed.deserialize(self.key.mark.start.into_deserializer()),
            3 => seed.deserialize(self.key.mark.end.into_deserializer()),
            _ => seed.deserialize(KeyReader {
                text: self.key.text,
                mark: self.key.mark,
            }),
        }
        .map(Some)
    }
}

/// A struct: its known keys in their order, present or not.
pub(super) struct Fields<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) entries: &'a [(Key, Node)],
    /// Values of misspelled keys, by the key that was meant.
    pub(super) meant: Vec<(&'static str, &'a Node)>,
    pub(super) known: std::slice::Iter<'static, &'static str>,
    pub(super) value: Option<Reader<'a>>,
}

impl<'de> de::MapAccess<'de> for Fields<'de> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some(field) = self.known.next() else {
            return Ok(None);
        };
        let written = self.entries.iter().find(|(key, _)| key.text == *field);
        let meant = self.meant.iter().find(|(key, _)| key == field);
        let node = written
            .map(|(_, node)| node)
            .or(meant.map(|(_, node)| *node));
        self.value = Some(Reader {
            node,
            key: field,
            parent: node.map_or(self.reader.parent, |node| node.mark),
            sink: self.reader.sink,
        });
        seed.deserialize((*field).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let value = self.value.take().expect("a key was read before its value");
        seed.deserialize(value)
    }
}

/// `{variant: value}`.
pub(super) struct Variant<'a> {
    pub(super) name: &'a str,
    pub(super) value: Reader<'a>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Reader<'de>;

    fn variant_seed<V: de::DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Reader<'de>), Fault> {
        let name = seed.deserialize(self.name.into_deserializer())?;
        Ok((name, self.value))
    }
}

impl<'de> de::VariantAccess<'de> for Reader<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(self.expected("nothing"))
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_seq(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_struct(self, "", fields, visitor)
    }
}
