//! Hashes: canonical JSON, content with secrets, ids.

use crate::model::{
    ids::SystemName,
    secret::{Content, Piece, SecretValues},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hex digits of an id: 64 bits, short enough for a path and a label.
const ID_DIGITS: usize = 16;

/// Lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing to a `String` cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The id of a value; the order of keys does not matter.
pub(super) fn id(value: &Value) -> String {
    let mut text = sha256(canonical(value).to_string().as_bytes());
    text.truncate(ID_DIGITS);
    text
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.into_iter()
                .map(|key| (key.clone(), canonical(&map[key])))
                .collect()
        }
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The text with a digest in place of every secret: what ids are made from. A digest is salted with system and name, so that
/// equal passwords of two systems do not show.
pub(super) fn marked(system: &SystemName, content: &Content, values: &SecretValues) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Secret(name) | Piece::Quoted(name) => {
            let value = values.expose(name).unwrap_or_default();
            let digest = sha256(format!("{system}\n{name}\n{value}").as_bytes());
            format!("<secret:{name}:{digest}>")
        }
    };
    content.0.iter().map(piece).collect()
}

/// SHA-256 of what is written to the host, or of the redacted text where a value is missing.
pub(super) fn filled(content: &Content, values: &SecretValues) -> String {
    match content.filled(values) {
        Ok(bytes) => sha256(&bytes),
        Err(_) => sha256(content.redacted().as_bytes()),
    }
}
