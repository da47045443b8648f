//! How a secret travels through Tera: as a marker that is cut out again.

use super::code::SECRET_ALTERED;
use crate::diagnostic::Diagnostic;
use crate::model::ids::SecretName;
use crate::model::secret::{Content, Piece};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// The value of the variable `secrets`: name -> marker.
pub(super) fn markers(known: &BTreeSet<SecretName>) -> Value {
    let entries = known.iter().map(|name| {
        let marker = format!("{OPEN}{name}{CLOSE}");
        (name.to_string(), Value::String(marker))
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// Whether a secret's marker, or a part of one, is in the text.
pub(super) fn touches(text: &str) -> bool {
    text.contains([OPEN, CLOSE])
}

/// Cuts rendered text at its markers.
pub(super) fn cut(
    file: &str,
    text: &str,
    known: &BTreeSet<SecretName>,
) -> Result<Content, Diagnostic> {
    let altered = || {
        Diagnostic::error(
            SECRET_ALTERED,
            format!("a secret does not arrive whole in `{file}`"),
        )
        .help("write `{{ secrets.NAME }}` alone, without filters or slices; a program that needs it quoted is better given a file")
    };
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let (name, tail) = after.split_once(CLOSE).ok_or_else(altered)?;
        let name = known
            .iter()
            .find(|secret| secret.as_str() == name)
            .ok_or_else(altered)?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Secret(name.clone()));
        rest = tail;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    let stray = |piece: &Piece| matches!(piece, Piece::Text(text) if touches(text));
    if pieces.iter().any(stray) {
        return Err(altered());
    }
    Ok(Content(pieces))
}
