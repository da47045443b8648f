//! Every name of a template against the context, before anything is rendered.

use super::{
    code::{UNDEFINED, UNKNOWN_SECRET},
    place::place,
    token::{Kind, Tag, Token, tags},
};
use crate::diagnostic::{Code, Diagnostic};
use serde_json::Value;
use std::{collections::BTreeMap, ops::Range};

const WORDS: &[&str] = &[
    "and", "or", "not", "in", "is", "if", "else", "for", "true", "True", "false", "False", "none",
    "None", "null", "self", "loop",
];

/// Statements whose first word is all there is to them, or whose names are no variables.
const NAMELESS: &[&str] = &[
    "endif",
    "endfor",
    "endset",
    "endfilter",
    "block",
    "endblock",
    "break",
    "continue",
    "include",
    "extends",
    "endraw",
    "filter",
];

/// What a local name stands for.
#[derive(Clone)]
enum Local<'v> {
    /// One of these: the elements of a list in the context.
    OneOf(Vec<&'v Value>),
    /// Something that only rendering can tell.
    Open,
}

/// A block that is open: what it binds, and what its condition has asked for.
#[derive(Default)]
struct Block<'v> {
    /// A loop, the file or an expression binds names; an `if` does not.
    binds: bool,
    locals: BTreeMap<String, Local<'v>>,
    /// Paths such as `route.allow`, after `{% if route?.allow %}`.
    asked: Vec<String>,
}

/// The problems with the names of a template. Names behind a computed index are left to rendering.
pub(super) fn check(file: &str, text: &str, context: &Value) -> Vec<Diagnostic> {
    let mut names = Names {
        file,
        text,
        context,
        blocks: vec![Block {
            binds: true,
            ..Block::default()
        }],
        found: Vec::new(),
    };
    for tag in tags(text) {
        names.tag(&tag);
    }
    names.found
}

struct Names<'v> {
    file: &'v str,
    text: &'v str,
    context: &'v Value,
    blocks: Vec<Block<'v>>,
    found: Vec<Diagnostic>,
}

impl<'v> Names<'v> {
    fn tag(&mut self, tag: &Tag<'_>) {
        let tokens = match tag.tokens.as_slice() {
            [sign, rest @ ..] if sign.is("-") => rest,
            all => all,
        };
        let [head, rest @ ..] = tokens else { return };
        if !tag.statement {
            self.expression(tokens);
        } else if head.is("for") {
            self.for_loop(rest);
        } else if head.is("set") || head.is("set_global") {
            self.set(rest);
        } else if head.is("endfor") || head.is("endif") {
            if self.blocks.len() > 1 {
                self.blocks.pop();
            }
        } else if head.is("if") {
            self.expression(rest);
            let asked = optional_paths(rest);
            self.blocks.push(Block {
                asked,
                ..Block::default()
            });
        } else if head.is("elif") || head.is("else") {
            self.expression(rest);
            if let Some(block) = self.blocks.last_mut() {
                block.asked = optional_paths(rest);
            }
        } else if !NAMELESS.iter().any(|word| head.is(word)) {
            self.expression(rest);
        }
    }

    fn for_loop(&mut self, tokens: &[Token<'_>]) {
        let Some(middle) = tokens.iter().position(|token| token.is("in")) else {
            return;
        };
        let (bound, source) = (&tokens[..middle], &tokens[middle + 1..]);
        // The filter after the list sees the element, so the list comes first and the rest in the new scope.
        let end = source
            .iter()
            .position(|token| token.is("if"))
            .unwrap_or(source.len());
        self.expression(&source[..end]);
        let elements = self.elements(&source[..end]);
        let names: Vec<&Token<'_>> = bound.iter().filter(|token| token.is_name()).collect();
        let mut locals = BTreeMap::new();
        if let [name] = names.as_slice() {
            locals.insert(name.text.to_owned(), elements);
        } else {
            for name in names {
                locals.insert(name.text.to_owned(), Local::Open);
            }
        }
        self.blocks.push(Block {
            binds: true,
            locals,
            asked: vec![],
        });
        self.expression(&source[end..]);
    }

    fn set(&mut self, tokens: &[Token<'_>]) {
        let [name, rest @ ..] = tokens else { return };
        self.expression(rest);
        if let Some(block) = self.blocks.iter_mut().rev().find(|block| block.binds) {
            block.locals.insert(name.text.to_owned(), Local::Open);
        }
    }

    /// The elements of a plain path into the context.
    fn elements(&self, tokens: &[Token<'_>]) -> Local<'v> {
        let mut steps = tokens.iter().filter(|token| !token.is("."));
        let Some(root) = steps.next() else {
            return Local::Open;
        };
        let plain = tokens.iter().all(|token| token.is(".") || token.is_name());
        if !plain || self.local(root.text).is_some() {
            return Local::Open;
        }
        let value = steps.try_fold(self.context.get(root.text), |value, step| {
            value.map(|value| value.get(step.text))
        });
        match value.flatten() {
            Some(Value::Array(elements)) => Local::OneOf(elements.iter().collect()),
            Some(_) | None => Local::Open,
        }
    }

    fn local(&self, name: &str) -> Option<&Local<'v>> {
        self.blocks
            .iter()
            .rev()
            .find_map(|block| block.locals.get(name))
    }

    fn expression(&mut self, tokens: &[Token<'_>]) {
        let comprehension = tokens.windows(2).filter(|pair| pair[0].is("for"));
        let locals: BTreeMap<String, Local<'v>> = comprehension
            .map(|pair| (pair[1].text.to_owned(), Local::Open))
            .collect();
        self.blocks.push(Block {
            binds: true,
            locals,
            asked: vec![],
        });
        let mut at = 0;
        while at < tokens.len() {
            at = if starts_path(tokens, at) {
                self.path(tokens, at)
            } else {
                at + 1
            };
        }
        self.blocks.pop();
    }

    /// Checks the path that starts at `at`; returns where the scan goes on.
    fn path(&mut self, tokens: &[Token<'_>], at: usize) -> usize {
        let root = &tokens[at];
        let mut values: Vec<&'v Value> = match self.local(root.text) {
            Some(Local::Open) => return at + 1,
            Some(Local::OneOf(values)) => values.clone(),
            None => match self.context.get(root.text) {
                Some(value) => vec![value],
                None if tested(tokens, at + 1) => return at + 1,
                None => {
                    self.undefined(root.text, "", &root.range, self.context);
                    return at + 1;
                }
            },
        };
        let mut shown = root.text.to_owned();
        let mut next = at + 1;
        // Stops at `?.` and at a computed index: what follows is allowed to be missing, or is known to rendering only.
        while let Some((key, used)) = literal_step(&tokens[next..]) {
            let missing = values
                .iter()
                .copied()
                .find(|value| step(value, &key).is_none());
            if let Some(value) = missing {
                let end = &tokens[next + used - 1];
                let path = format!("{shown}.{key}");
                let is_asked = self.blocks.iter().any(|block| block.asked.contains(&path));
                if !is_asked && !tested(tokens, next + used) {
                    let range = root.range.start..end.range.end;
                    self.undefined(&key, &shown, &range, value);
                }
                return next + used;
            }
            values = values
                .iter()
                .filter_map(|value| step(value, &key))
                .collect();
            shown = format!("{shown}.{key}");
            next += used;
        }
        next
    }

    fn undefined(&mut self, name: &str, parent: &str, range: &Range<usize>, within: &Value) {
        let known: Vec<&str> = match within {
            Value::Object(map) => map.keys().map(String::as_str).collect(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => vec![],
        };
        let (code, summary) = describe(name, parent, within);
        let label = if parent == "secrets" {
            "not a secret of this system"
        } else {
            "not defined"
        };
        let help = match (nearest(name, &known), known.as_slice()) {
            (Some(word), _) => format!("did you mean `{word}`?"),
            (None, []) => format!("nothing can be read from `{parent}`"),
            (None, names) => format!("there is {}", listed(names)),
        };
        let place = place(self.file, self.text, range);
        self.found.push(
            Diagnostic::error(code, summary)
                .at(&place, label)
                .help(help),
        );
    }
}

fn describe(name: &str, parent: &str, within: &Value) -> (Code, String) {
    match (parent, within) {
        ("secrets", _) => (
            UNKNOWN_SECRET,
            format!("no secret of this system is called `{name}`"),
        ),
        ("", _) => (UNDEFINED, format!("the variable `{name}` is not defined")),
        (_, Value::Object(_)) => (UNDEFINED, format!("`{parent}` has no `{name}`")),
        (_, _) => (
            UNDEFINED,
            format!("`{parent}` is not a map, so it has no `{name}`"),
        ),
    }
}

fn step<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Array(list) => key.parse().ok().and_then(|index: usize| list.get(index)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            value.get(key)
        }
    }
}

/// `.name`, `["name"]` or `[0]`, with the number of its tokens.
fn literal_step(tokens: &[Token<'_>]) -> Option<(String, usize)> {
    match tokens {
        [dot, name, ..] if dot.is(".") && name.is_name() => Some((name.text.to_owned(), 2)),
        [open, key, close, ..] if open.is("[") && close.is("]") => match &key.kind {
            Kind::Str(Some(text)) => Some((text.clone(), 3)),
            Kind::Number => Some((key.text.to_owned(), 3)),
            Kind::Str(None) | Kind::Ident | Kind::Sign => None,
        },
        _ => None,
    }
}

/// Whether the name at `at` is read as a variable.
fn starts_path(tokens: &[Token<'_>], at: usize) -> bool {
    let token = &tokens[at];
    if !token.is_name() || WORDS.contains(&token.text) {
        return false;
    }
    let before = |back: usize, sign: &str| {
        at.checked_sub(back)
            .and_then(|index| tokens.get(index))
            .is_some_and(|token| token.is(sign))
    };
    let after = |sign: &str| tokens.get(at + 1).is_some_and(|token| token.is(sign));
    let field_filter_or_test = before(1, ".")
        || before(1, "?.")
        || before(1, "|")
        || before(1, "is")
        || (before(1, "not") && before(2, "is"));
    let map_key = after(":") && (before(1, "{") || before(1, ","));
    !(field_filter_or_test || map_key || after("(") || after("="))
}

/// The paths that a condition asks for with `?.`, written with plain dots.
fn optional_paths(tokens: &[Token<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let [before @ .., root] = &tokens[..at] else {
            continue;
        };
        let Some(field) = tokens.get(at + 1) else {
            continue;
        };
        if !token.is("?.") || !root.is_name() || !field.is_name() {
            continue;
        }
        let mut path = vec![field.text, root.text];
        let mut rest = before;
        while let [earlier @ .., name, dot] = rest {
            if !dot.is(".") || !name.is_name() {
                break;
            }
            path.push(name.text);
            rest = earlier;
        }
        path.reverse();
        out.push(path.join("."));
    }
    out
}

/// Whether `is defined`, `is undefined` or their opposites follow: the one way to ask whether a name is there.
fn tested(tokens: &[Token<'_>], at: usize) -> bool {
    let mut words = tokens[at.min(tokens.len())..].iter();
    if !words.next().is_some_and(|token| token.is("is")) {
        return false;
    }
    let word = match words.next() {
        Some(token) if token.is("not") => words.next(),
        other => other,
    };
    word.is_some_and(|token| token.is("defined") || token.is("undefined"))
}

/// The known name that was probably meant.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .iter()
        .map(|word| (distance(name, word), *word))
        .filter(|(distance, word)| *distance <= limit && *distance < word.chars().count())
        .min()
        .map(|(_, word)| word)
}

/// Edits between two words; two neighbours changing places is one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let least = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped {
                    least.min(table[i - 2][j - 2] + 1)
                } else {
                    least
                }
            };
        }
    }
    table[a.len()][b.len()]
}

fn listed(names: &[&str]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.len() > MOST { ", ..." } else { "" };
    format!("{}{more}", shown.join(", "))
}
