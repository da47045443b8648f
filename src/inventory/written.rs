//! The building blocks of the document: values that know their place and their schema.

use super::source::Span;
use crate::diagnostic::Code;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt, marker::PhantomData, str::FromStr};

/// Newtype names by which [`super::reader::Reader`] knows these types.
pub(crate) const AT: &str = "$at";
/// See [`Many`].
pub(crate) const MANY: &str = "$many";
/// See [`Short`].
pub(crate) const SHORT: &str = "$short";

/// A value and its place. Without a value, what was wrong has been reported already.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    /// Where it stands; for a missing one, where it belongs.
    pub(crate) span: Span,
    /// The value.
    pub(crate) value: Option<T>,
}

/// A key that may be left out.
pub(crate) type May<T> = Option<At<T>>;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = At<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<At<T>, A::Error> {
                let file = parts.next_element()?.unwrap_or(0);
                let start = parts.next_element()?.unwrap_or(0);
                let end = parts.next_element()?.unwrap_or(0);
                Ok(At {
                    span: Span { file, start, end },
                    value: parts.next_element()?,
                })
            }
        }
        deserializer.deserialize_newtype_struct(AT, Parts(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

/// A map with the owner's own keys, in the owner's order.
#[derive(Debug, Clone)]
pub(crate) struct Entries<T>(pub(crate) Vec<(At<String>, At<T>)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Entries<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<T>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": inner})
    }
}

/// One value, or a list of them.
#[derive(Debug, Clone)]
pub(crate) struct Many<T>(pub(crate) Vec<At<T>>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list")
            }

            fn visit_some<D: Deserializer<'de>>(self, one: D) -> Result<Many<T>, D::Error> {
                At::deserialize(one).map(|one| Many(vec![one]))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                list: D,
            ) -> Result<Many<T>, D::Error> {
                Vec::deserialize(list).map(Many)
            }
        }
        deserializer.deserialize_newtype_struct(MANY, OneOrMany(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Many<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<T>();
        json_schema!({"anyOf": [inner, {"type": "array", "items": inner}]})
    }
}

/// A short form in one word, or the full form as a map.
#[derive(Debug, Clone)]
pub(crate) enum Short<T> {
    /// The one word.
    Word(String),
    /// The map.
    Full(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrFull<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for WordOrFull<T> {
            type Value = Short<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a map")
            }

            fn visit_some<D: Deserializer<'de>>(self, word: D) -> Result<Short<T>, D::Error> {
                String::deserialize(word).map(Short::Word)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                full: D,
            ) -> Result<Short<T>, D::Error> {
                T::deserialize(full).map(Short::Full)
            }
        }
        deserializer.deserialize_newtype_struct(SHORT, WordOrFull(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Short<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("WordOr{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<T>();
        json_schema!({"anyOf": [{"type": "string"}, inner]})
    }
}

/// Text whose meaning is a `T`; it is parsed while resolving, so that a bad one has its own code.
pub(crate) struct Text<T> {
    /// As written.
    pub(crate) text: String,
    meaning: PhantomData<fn() -> T>,
}

impl<T> Clone for Text<T> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            meaning: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de, T> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            text: String::deserialize(deserializer)?,
            meaning: PhantomData,
        })
    }
}

impl<T: Word> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        T::TITLE.into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "title": T::TITLE, "examples": T::EXAMPLES})
    }
}

/// A type that is written as one word.
pub(crate) trait Word: FromStr<Err: fmt::Display> {
    /// The code of a word that is none.
    const CODE: Code;
    /// What it is, for editors.
    const TITLE: &'static str;
    /// Some, for editors.
    const EXAMPLES: &'static [&'static str];
}

macro_rules! words {
    ($($type:ty, $code:ident, $title:literal, $examples:expr;)+) => {$(
        impl Word for $type {
            const CODE: Code = super::codes::$code;
            const TITLE: &'static str = $title;
            const EXAMPLES: &'static [&'static str] = &$examples;
        }
    )+};
}

words! {
    crate::model::size::Bytes, INVALID_SIZE, "size", ["8GiB", "512MiB"];
    crate::model::address::Port, INVALID_PORT, "port", ["443/tcp", "53/udp", "6000-6010/tcp", "icmp"];
    crate::model::address::Mac, INVALID_MAC, "MAC address", ["BC:24:11:00:00:01"];
    crate::model::ids::SystemName, INVALID_NAME, "system name", ["media-server-home"];
    crate::model::ids::DatasetName, INVALID_NAME, "dataset with its zpool", ["vault/home"];
    crate::model::ids::StorageId, INVALID_NAME, "storage id", ["local-zfs", "local"];
    crate::model::ids::PoolName, INVALID_NAME, "pool name", ["homelab", "home/media"];
    crate::model::ids::BridgeName, INVALID_NAME, "bridge name", ["vmbr0"];
    super::word::Network, INVALID_ADDRESS, "network", ["192.168.1.0/24", "fd00::/64"];
    super::word::Address, INVALID_ADDRESS, "address", ["192.168.1.20"];
    super::word::CardAddress, INVALID_ADDRESS, "address, the prefix length comes from the zone", ["192.168.1.20", "192.168.1.20/24"];
    super::word::Mode, INVALID_MODE, "permission bits", ["0755", "0640"];
    super::word::Owner, INVALID_MODE, "numeric user and group", ["1000:1000"];
    super::word::Seconds, INVALID_DURATION, "duration", ["30s", "3m", "1h"];
    crate::model::calendar::Calendar, INVALID_SCHEDULE, "schedule", ["daily 02:30", "weekly sun 03:00", "monthly 1 04:00"];
    super::word::Day, INVALID_DATE, "date", ["2027-01-31"];
    super::word::Fingerprint, INVALID_FINGERPRINT, "SHA-256 fingerprint", ["AB:CD:EF:... (32 bytes)"];
    super::word::Sum, INVALID_CHECKSUM, "checksum", ["sha512:<128 hex digits>", "sha256:<64 hex digits>"];
    super::word::AbsolutePath, INVALID_PATH, "absolute path", ["/mnt/tank/media"];
}
