//! Secrets: references that may travel anywhere, values that may not.

use super::ids::SecretName;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a secret's value comes from. The reference is public, the value never is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// An age-encrypted YAML map (name -> value); path relative to the inventory.
    Age {
        /// File.
        file: String,
        /// Key inside the decrypted map.
        key: String,
    },
    /// A SOPS file with age recipients; path relative to the inventory, key as a dotted path.
    Sops {
        /// File.
        file: String,
        /// Dotted path inside the document.
        key: String,
    },
    /// An environment variable.
    Env(String),
    /// A file whose content, less one trailing newline, is the value.
    File(String),
    /// A command whose standard output, less one trailing newline, is the value.
    Command(Vec<String>),
}

/// The values of one run. Debug is redacted; there is no Display and no Serialize.
#[derive(Debug, Default, Clone)]
pub struct SecretValues(BTreeMap<SecretName, SecretString>);

impl SecretValues {
    /// Remembers one value.
    pub fn insert(&mut self, name: SecretName, value: SecretString) {
        self.0.insert(name, value);
    }

    /// The value. Name the reason where you call it: every call is a place where a secret leaves its box.
    pub fn expose(&self, name: &SecretName) -> Option<&str> {
        self.0.get(name).map(SecretString::expose_secret)
    }

    /// The names that have a value.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.0.keys()
    }
}

/// A piece of a rendered file: text that may be shown, or the name of a secret to be filled in last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Public text.
    Text(String),
    /// Filled in at the moment of writing.
    Secret(SecretName),
    /// The same between double quotes, as davfs2 reads them: `\` and `"` of the value get a `\` (davfs2.conf(5)).
    Quoted(SecretName),
}

/// A rendered file whose secrets are still names. Safe to print, diff and store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Content(pub Vec<Piece>);

impl Content {
    /// Content without secrets.
    pub fn text(text: impl Into<String>) -> Self {
        Self(vec![Piece::Text(text.into())])
    }

    /// Whether any secret is in it; such files are never diffed by content.
    pub fn has_secrets(&self) -> bool {
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Secret(_) | Piece::Quoted(_)))
    }

    /// The names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretName> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret(name) | Piece::Quoted(name) => Some(name),
            Piece::Text(_) => None,
        })
    }

    /// The text with `<secret:name>` in place of each value: what people may see.
    pub fn redacted(&self) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Secret(name) => format!("<secret:{name}>"),
                Piece::Quoted(name) => format!("\"<secret:{name}>\""),
            })
            .collect()
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// The name of the first secret that has no value.
    pub fn filled(&self, values: &SecretValues) -> Result<Vec<u8>, SecretName> {
        let mut out = Vec::new();
        let value = |name: &SecretName| values.expose(name).ok_or_else(|| name.clone());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Secret(name) => out.extend_from_slice(value(name)?.as_bytes()),
                Piece::Quoted(name) => {
                    out.push(b'"');
                    for byte in value(name)?.bytes() {
                        if matches!(byte, b'\\' | b'"') {
                            out.push(b'\\');
                        }
                        out.push(byte);
                    }
                    out.push(b'"');
                }
            }
        }
        Ok(out)
    }
}
