//! Values whose JSON type changes from endpoint to endpoint: `"1"`, `1`, `1.0`, `true`.

use serde::{Deserialize, Deserializer, de};
use std::fmt;

/// Any scalar, as text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in super::super) struct Text(pub(in super::super) String);

/// A whole number, however it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Number(pub(in super::super) i64);

/// A boolean: a number (0 is false) or a word, each also as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Flag(pub(in super::super) bool);

struct Scalar;

impl de::Visitor<'_> for Scalar {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Text, E> {
        Ok(Text(if value { "1" } else { "0" }.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Text, E> {
        Ok(Text(value.to_string()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar)
    }
}

/// The whole part of a decimal or scientific number that fits 53 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked on the line before"
)]
fn whole(text: &str) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let value: f64 = text.trim().parse().ok()?;
    (value.abs() <= EXACT).then(|| value.trunc() as i64)
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let number = text.trim().parse().ok().or_else(|| whole(&text));
        number
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is not a number")))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        match text.trim() {
            "true" | "on" | "yes" => Ok(Self(true)),
            "" | "false" | "off" | "no" => Ok(Self(false)),
            other => {
                let number = whole(other);
                let why = || de::Error::custom(format!("`{other}` is not a boolean"));
                number.map(|number| Self(number != 0)).ok_or_else(why)
            }
        }
    }
}

impl Number {
    /// The number, 0 where it is negative.
    pub(in super::super) fn unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn numbers_come_in_every_dress() {
        for json in ["1024", "\"1024\"", "1024.0", "1.024e3", "\"1.024E+03\""] {
            assert_eq!(read(json), Some(Number(1024)), "{json}");
        }
        assert_eq!(read("270553174016"), Some(Number(270_553_174_016)));
        assert_eq!(read::<Number>("\"many\""), None);
        assert_eq!(read::<Number>("1e300"), None);
        assert_eq!(read::<Number>("[1]"), None);
    }

    #[test]
    fn booleans_come_as_numbers_and_strings() {
        for json in ["1", "\"1\"", "true", "\"true\""] {
            assert_eq!(read(json), Some(Flag(true)), "{json}");
        }
        assert_eq!(read("0"), Some(Flag(false)));
        assert_eq!(read::<Flag>("\"maybe\""), None);
    }

    #[test]
    fn a_configuration_value_keeps_its_text() {
        assert_eq!(read("\"0012\""), Some(Text("0012".to_owned())));
        assert_eq!(read("2"), Some(Text("2".to_owned())));
        assert_eq!(read("0.5"), Some(Text("0.5".to_owned())));
        assert_eq!(read("true"), Some(Text("1".to_owned())));
    }
}
