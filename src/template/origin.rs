//! From which line of a template each rendered line comes.
//!
//! The template is rendered once more with a mark at the head of each line that is not inside a tag. Where a tag trims the
//! white space beside it, a mark would change what is rendered, so such a line has none and goes with the one before.

use super::{text::render, token::ranges};
use crate::model::ids::SecretName;
use serde_json::Value;
use std::collections::BTreeSet;

const OPEN: char = '\u{E002}';
const CLOSE: char = '\u{E003}';

/// For each line that the template renders to, the 1-based line it comes from. None where that cannot be told for sure.
pub fn origins(text: &str, context: &Value, secrets: &BTreeSet<SecretName>) -> Option<Vec<usize>> {
    if text.contains([OPEN, CLOSE]) {
        return None;
    }
    let plain = render("", text, context, secrets).ok()?.redacted();
    let marked = render("", &marked(text), context, secrets).ok()?.redacted();
    let (bare, lines) = unmarked(&marked);
    (bare == plain).then_some(lines)
}

fn marked(text: &str) -> String {
    let tags = ranges(text);
    let mut out = String::new();
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let inside = tags.iter().any(|tag| tag.start < at && at < tag.end);
        let head = line.trim_start();
        let trims = head.starts_with("{%-") || head.starts_with("{{-") || head.starts_with("{#-");
        let before = text[..at].trim_end();
        let trimmed = before.ends_with("-%}") || before.ends_with("-}}") || before.ends_with("-#}");
        if !inside && !trims && !trimmed {
            out.push(OPEN);
            out.push_str(&(number + 1).to_string());
            out.push(CLOSE);
        }
        out.push_str(line);
        at += line.len();
    }
    out
}

/// The text without its marks, and the first mark at or before each line.
fn unmarked(text: &str) -> (String, Vec<usize>) {
    let mut bare = String::new();
    let mut lines = Vec::new();
    let mut last = 1;
    for line in text.split_inclusive('\n') {
        let mut first = None;
        let mut rest = line;
        while let Some((before, after)) = rest.split_once(OPEN) {
            bare.push_str(before);
            let (number, after) = after.split_once(CLOSE).unwrap_or(("", after));
            last = number.parse().unwrap_or(last);
            first = first.or((before.trim().is_empty()).then_some(last));
            rest = after;
        }
        bare.push_str(rest);
        lines.push(first.unwrap_or(last));
    }
    (bare, lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(text: &str) -> Option<Vec<usize>> {
        let context = json!({ "web": ["a", "b"], "tls": false });
        origins(text, &context, &BTreeSet::new())
    }

    #[test]
    fn a_line_is_traced_through_loops_and_branches() {
        let text = "top: 1\n{% for w in web %}\n  {{ w }}: 1\n{% endfor %}\n{% if tls %}\nno: 1\n{% endif %}\nend: 1\n";
        // Each round of the loop gives an empty line and one with a key.
        assert_eq!(of(text), Some(vec![1, 2, 3, 4, 3, 4, 5, 8]));
    }

    #[test]
    fn what_trims_is_traced_as_far_as_that_is_sure() {
        let text = "a: 1\n{%- for w in web %}\n{{ w }}: 1\n{%- endfor %}\nb: {# two\nlines #} 2\n";
        let lines = of(text).expect("sure");
        assert_eq!((lines[0], lines.last()), (1, Some(&5)));
        assert_eq!(of("{{ nothing }}"), None);
        assert_eq!(
            of("a\n{% raw %}\n{{ b }}\n{% endraw %}\nc"),
            Some(vec![1, 2, 3, 4, 5])
        );
    }
}
