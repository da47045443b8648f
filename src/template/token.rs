//! The words inside `{{ }}` and `{% %}`, as far as names need them.

use std::ops::Range;

/// What a word is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Ident,
    /// A string; its content unless it has escapes.
    Str(Option<String>),
    /// A number.
    Number,
    /// An operator or bracket.
    Sign,
}

/// A word with its place in the template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) range: Range<usize>,
}

impl Token<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Ident | Kind::Sign)
    }

    pub(super) fn is_name(&self) -> bool {
        self.kind == Kind::Ident
    }
}

/// One `{{ }}` (statement is false) or `{% %}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) statement: bool,
    pub(super) tokens: Vec<Token<'a>>,
}

/// Every tag of a template that Tera has accepted already, comments and raw blocks left out.
pub(super) fn tags(text: &str) -> Vec<Tag<'_>> {
    scan(text, |_| {})
}

/// Where the tags and comments of a template stand; a raw block is two tags with text between them.
pub(super) fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    scan(text, |range| out.push(range));
    out
}

fn scan(text: &str, mut saw: impl FnMut(Range<usize>)) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        let close = match text.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                at = text[open..]
                    .find("#}")
                    .map_or(text.len(), |end| open + end + 2);
                saw(open..at);
                continue;
            }
            Some(_) | None => {
                at = open + 1;
                continue;
            }
        };
        let (tokens, end) = tokens(text, open + 2, close);
        at = end;
        saw(open..end);
        let statement = close == "%}";
        if statement && tokens.first().is_some_and(|word| word.is("raw")) {
            at = raw_end(text, at);
        } else {
            tags.push(Tag { statement, tokens });
        }
    }
    tags
}

fn raw_end(text: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(open) = text[at..].find("{%").map(|found| at + found) {
        let (tokens, end) = tokens(text, open + 2, "%}");
        if tokens.first().is_some_and(|word| word.is("endraw")) {
            return end;
        }
        at = open + 2;
    }
    text.len()
}

fn tokens<'a>(text: &'a str, from: usize, close: &str) -> (Vec<Token<'a>>, usize) {
    let mut out: Vec<Token<'a>> = Vec::new();
    // Braces of map literals, so that `}}` inside one does not end the tag.
    let mut braces = 0_usize;
    let mut at = from;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if braces == 0 && rest.starts_with(close) {
            return (out, at + 2);
        }
        let (kind, length) = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
            (Kind::Ident, end)
        } else if first.is_ascii_digit() {
            let end = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '_'))
                .unwrap_or(rest.len());
            (Kind::Number, end)
        } else if matches!(first, '"' | '\'' | '`') {
            string(rest, first)
        } else {
            const LONG: [&str; 8] = ["?.", "?[", "==", "!=", "<=", ">=", "//", "**"];
            let long = LONG.iter().find(|sign| rest.starts_with(**sign));
            braces += usize::from(first == '{');
            braces = braces.saturating_sub(usize::from(first == '}'));
            (Kind::Sign, long.map_or(first.len_utf8(), |sign| sign.len()))
        };
        out.push(Token {
            kind,
            text: &rest[..length],
            range: at..at + length,
        });
        at += length;
    }
    (out, text.len())
}

fn string(rest: &str, quote: char) -> (Kind, usize) {
    let mut escaped = false;
    let mut plain = true;
    for (index, c) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            (escaped, plain) = (true, false);
        } else if c == quote {
            let content = plain.then(|| rest[1..index].to_owned());
            return (Kind::Str(content), index + 1);
        }
    }
    (Kind::Str(None), rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        tags(text)
            .into_iter()
            .map(|tag| tag.tokens.into_iter().map(|token| token.text).collect())
            .collect()
    }

    #[test]
    fn comments_and_raw_blocks_hold_no_words() {
        let text = "{# {{ a }} #}{% raw %}{{ b }}{% endraw %}{{ c?.d[\"e-f\"] | x(y=1) }} { z }";
        let found = words(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            found[0],
            [
                "c", "?.", "d", "[", "\"e-f\"", "]", "|", "x", "(", "y", "=", "1", ")"
            ]
        );
    }

    #[test]
    fn strings_and_map_literals_may_hold_closing_signs() {
        assert_eq!(words("{{ \"}}\" ~ {\"a\": b}.a }}").len(), 1);
        assert_eq!(words("{%- if a == '%}' -%}x{% endif %}").len(), 2);
    }
}
