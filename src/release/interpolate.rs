//! `${VAR:-x}` as compose fills it in from the project's `.env` file.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The variables of a project, and the names that were asked for and have no value.
pub(super) struct Variables {
    known: BTreeMap<String, String>,
}

impl Variables {
    /// Reads the text of a `.env` file: `NAME=value`, quotes around a value taken off, comments left out.
    pub(super) fn of_env(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let known = lines
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim()).to_owned()))
            .collect();
        Self { known }
    }

    /// The value with every text in it filled in; names without a value go into `unset`.
    pub(super) fn fill(&self, value: &Value, unset: &mut BTreeSet<String>) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, unset)),
            Value::Array(items) => items.iter().map(|item| self.fill(item, unset)).collect(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), self.fill(value, unset)))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    /// One text.
    pub(super) fn text(&self, text: &str, unset: &mut BTreeSet<String>) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(body) = after.strip_prefix('{') {
                let Some(end) = closing(body) else {
                    out.push('$');
                    rest = after;
                    continue;
                };
                out.push_str(&self.braced(&body[..end], unset));
                rest = &body[end + 1..];
            } else {
                let name = name(after);
                if name.is_empty() {
                    out.push('$');
                } else {
                    out.push_str(&self.plain(name, unset));
                }
                rest = &after[name.len()..];
            }
        }
        out.push_str(rest);
        out
    }

    fn plain(&self, name: &str, unset: &mut BTreeSet<String>) -> String {
        self.known.get(name).cloned().unwrap_or_else(|| {
            unset.insert(name.to_owned());
            String::new()
        })
    }

    /// `NAME`, `NAME:-default`, `NAME-default`, `NAME:?message`, `NAME?message`, `NAME:+other`, `NAME+other`.
    fn braced(&self, body: &str, unset: &mut BTreeSet<String>) -> String {
        let name = name(body);
        let rest = &body[name.len()..];
        let (colon, rest) = match rest.strip_prefix(':') {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let value = self
            .known
            .get(name)
            .filter(|value| !(colon && value.is_empty()));
        let mut letters = rest.chars();
        match (letters.next(), value) {
            (Some('-'), None) | (Some('+'), Some(_)) => self.text(letters.as_str(), unset),
            (Some('+'), None) => String::new(),
            (_, Some(value)) => value.clone(),
            (_, None) => self.plain(name, unset),
        }
    }
}

fn name(text: &str) -> &str {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !word(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        ""
    } else {
        &text[..end]
    }
}

/// The brace that closes what has just been opened.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some((inner, _)) = inner.split_once(quote)
        {
            return inner;
        }
    }
    value
        .split_once(" #")
        .map_or(value, |(value, _)| value)
        .trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of compose's own reference on interpolation.
    #[test]
    fn every_form_is_filled_in() {
        let variables =
            Variables::of_env("# c\nTAG=v1\nEMPTY=\nexport Q=\"a b\" # x\nS='$x'\nC=1 # one\n");
        let mut unset = BTreeSet::new();
        let mut fill = |text: &str| variables.text(text, &mut unset);
        for (text, wanted) in [
            ("a:$TAG", "a:v1"),
            ("a:${TAG}-b", "a:v1-b"),
            ("${NO:-x}", "x"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${NO-x}", "x"),
            ("${NO:-${TAG:-y}}", "v1"),
            ("${TAG:+yes}", "yes"),
            ("${NO+yes}", ""),
            ("${TAG:?must}", "v1"),
            ("$$TAG $ ${", "$TAG $ ${"),
            ("${Q}|${S}|${C}", "a b|$x|1"),
            ("cost: 5$", "cost: 5$"),
        ] {
            assert_eq!(fill(text), wanted, "{text}");
        }
        assert_eq!(fill("${GONE:?must}${OTHER}$THIRD"), "");
        let names: Vec<&str> = unset.iter().map(String::as_str).collect();
        assert_eq!(names, ["GONE", "OTHER", "THIRD"]);
    }
}
