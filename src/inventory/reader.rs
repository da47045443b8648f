//! A serde deserializer over the tree that does not stop at the first problem.
//!
//! Every [`super::written::At`] catches what goes wrong below it, reports it with its place and lets its neighbours be
//! read. Unknown keys are reported here, because only here the list of known ones is at hand.

use super::{
    access::{Fields, Items, Pairs, Parts, Variant},
    codes,
    nearest::{did_you_mean, listed, nearest},
    source::{Sources, Span},
    tree::{Kind, Node},
    written,
};
use crate::diagnostic::{Code, Diagnostic};
use serde::de::{self, IntoDeserializer, Visitor};
use std::{cell::RefCell, fmt};

/// Where problems go, and the files they are in.
pub(crate) struct Sink<'a> {
    /// Files.
    pub(crate) sources: &'a Sources,
    /// Problems so far.
    pub(crate) out: RefCell<Vec<Diagnostic>>,
}

impl Sink<'_> {
    pub(super) fn push(&self, diagnostic: Diagnostic) {
        self.out.borrow_mut().push(diagnostic);
    }
}

/// Something at one place of the tree that is about to be read; nothing there when `node` is none.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(super) node: Option<&'a Node>,
    /// The key it is read from, for messages.
    pub(super) key: &'a str,
    /// Where the missing thing should have been.
    pub(super) parent: Span,
    pub(super) sink: &'a Sink<'a>,
}

impl<'a> Reader<'a> {
    /// Reads from the root of a document.
    pub(crate) fn root(node: &'a Node, sink: &'a Sink<'a>) -> Self {
        Self {
            node: Some(node),
            key: "",
            parent: node.mark,
            sink,
        }
    }

    pub(super) fn below(self, node: &'a Node, key: &'a str) -> Self {
        Self {
            node: Some(node),
            key,
            parent: node.mark,
            sink: self.sink,
        }
    }

    fn present(self) -> Result<&'a Node, Fault> {
        self.node
            .ok_or_else(|| Fault::new(codes::MISSING_KEY, format!("`{}` is missing", self.key)))
    }

    pub(super) fn expected(self, what: &str) -> Fault {
        let noun = self.node.map_or("nothing", Node::noun);
        Fault::new(codes::WRONG_KIND, format!("expected {what}, found {noun}"))
    }

    fn scalar(self, what: &str) -> Result<(&'a str, bool), Fault> {
        let node = self.present()?;
        match &node.kind {
            Kind::Scalar { text, plain } if !node.is_null() => Ok((text, *plain)),
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => Err(self.expected(what)),
        }
    }

    fn number<T: std::str::FromStr>(self, what: &str) -> Result<T, Fault> {
        let (text, plain) = self.scalar(what)?;
        plain.then(|| text.parse().ok()).flatten().ok_or_else(|| {
            Fault::new(
                codes::WRONG_KIND,
                format!("expected {what}, found `{text}`"),
            )
        })
    }
}

/// Why a value could not be read.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(super) code: Code,
    pub(super) summary: String,
    pub(super) help: Option<String>,
}

impl Fault {
    fn new(code: Code, summary: String) -> Self {
        Self {
            code,
            summary,
            help: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(codes::WRONG_KIND, message.to_string())
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(
            codes::WRONG_KIND,
            format!("expected {expected}, found {unexpected}"),
        )
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.number($what)?)
        }
    )+};
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    /// By YAML 1.2: `yes` and `no` are words, `0755` is text because its zero would be lost.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let node = self.present()?;
        match &node.kind {
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
            Kind::Scalar { .. } if node.is_null() => visitor.visit_unit(),
            Kind::Scalar { text, plain: false } => visitor.visit_borrowed_str(text),
            Kind::Scalar { text, plain: true } => {
                let digits = text.trim_start_matches('-');
                let octal_like =
                    digits.len() > 1 && digits.starts_with('0') && !digits.contains('.');
                match text.as_str() {
                    "true" | "True" | "TRUE" => visitor.visit_bool(true),
                    "false" | "False" | "FALSE" => visitor.visit_bool(false),
                    _ if octal_like || !digits.starts_with(|c: char| c.is_ascii_digit()) => {
                        visitor.visit_borrowed_str(text)
                    }
                    number => {
                        if let Ok(whole) = number.parse::<i64>() {
                            visitor.visit_i64(whole)
                        } else if let Ok(real) = number.parse::<f64>() {
                            visitor.visit_f64(real)
                        } else {
                            visitor.visit_borrowed_str(text)
                        }
                    }
                }
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let what = "true or false";
        match self.scalar(what)? {
            ("true" | "True" | "TRUE", true) => visitor.visit_bool(true),
            ("false" | "False" | "FALSE", true) => visitor.visit_bool(false),
            (text, _) => Err(Fault {
                help: matches!(text, "yes" | "no" | "on" | "off")
                    .then(|| "in YAML 1.2 only `true` and `false` are booleans".to_owned()),
                ..Fault::new(
                    codes::WRONG_KIND,
                    format!("expected {what}, found `{text}`"),
                )
            }),
        }
    }

    numbers! {
        deserialize_u8 visit_u8 "a number from 0 to 255",
        deserialize_u16 visit_u16 "a number from 0 to 65535",
        deserialize_u32 visit_u32 "a whole number",
        deserialize_u64 visit_u64 "a whole number",
        deserialize_i64 visit_i64 "a whole number",
        deserialize_f64 visit_f64 "a number"
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let (text, _) = self.scalar("text")?;
        visitor.visit_borrowed_str(text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.node.is_none_or(Node::is_null) {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match name {
            written::AT => visitor.visit_seq(Parts {
                reader: self,
                next: 0,
            }),
            written::MANY | written::SHORT => match self.present()?.kind {
                Kind::List(_) if name == written::MANY => visitor.visit_newtype_struct(self),
                Kind::Map(_) if name == written::SHORT => visitor.visit_newtype_struct(self),
                Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => visitor.visit_some(self),
            },
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.present()?.kind {
            Kind::List(items) => visitor.visit_seq(Items {
                reader: self,
                items: items.iter(),
            }),
            Kind::Scalar { .. } | Kind::Map(_) => Err(self.expected("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let node = self.present()?;
        match &node.kind {
            Kind::Map(entries) => visitor.visit_map(Pairs {
                reader: self,
                entries: entries.iter(),
                value: None,
            }),
            Kind::Scalar { .. } | Kind::List(_) => Err(self.expected("a map")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let node = self.present()?;
        let entries: &[_] = match &node.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar { .. } if node.is_null() => &[],
            Kind::Scalar { .. } | Kind::List(_) => {
                return Err(self.expected(&format!("a map with {}", listed(fields))));
            }
        };
        // A misspelled key is reported and then read as what was meant, so that it hides nothing else.
        let mut meant = Vec::new();
        for (key, node) in entries {
            if fields.contains(&key.text.as_str()) {
                continue;
            }
            let place = self.sink.sources.place(key.mark);
            let near = nearest(&key.text, fields.iter().copied());
            let help = near.map_or_else(
                || format!("possible here: {}", listed(fields)),
                |near| format!("did you mean `{near}`?"),
            );
            let problem = Diagnostic::error(
                codes::UNKNOWN_KEY,
                format!("there is no key `{}` here", key.text),
            );
            self.sink.push(problem.at(&place, "unknown key").help(help));
            meant.extend(near.map(|near| (near, node)));
        }
        visitor.visit_map(Fields {
            reader: self,
            entries,
            meant,
            known: fields.iter(),
            value: None,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let node = self.present()?;
        let unknown = |text: &str, code| Fault {
            help: Some(
                did_you_mean(text, variants.iter().copied())
                    .unwrap_or_else(|| format!("possible here: {}", listed(variants))),
            ),
            ..Fault::new(code, format!("`{text}` is not possible here"))
        };
        match &node.kind {
            Kind::Scalar { text, .. } if !node.is_null() => {
                if variants.contains(&text.as_str()) {
                    visitor.visit_enum(text.as_str().into_deserializer())
                } else {
                    Err(unknown(text, codes::INVALID_CHOICE))
                }
            }
            Kind::Map(entries) if entries.len() == 1 => {
                let (key, value) = &entries[0];
                if variants.contains(&key.text.as_str()) {
                    visitor.visit_enum(Variant {
                        name: &key.text,
                        value: self.below(value, &key.text),
                    })
                } else {
                    Err(unknown(&key.text, codes::UNKNOWN_KEY))
                }
            }
            Kind::Map(_) => Err(Fault::new(
                codes::ONE_OF,
                format!("exactly one of {} must be here", listed(variants)),
            )),
            Kind::Scalar { .. } | Kind::List(_) => {
                Err(self.expected(&format!("one of {}", listed(variants))))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}
