//! What resolving carries around: files, problems, names, the day.

use super::Noun;
use crate::diagnostic::{Code, Diagnostic, Place, Severity};
use crate::inventory::{
    codes,
    nearest::{did_you_mean, listed},
    source::{Sources, Span},
    written::{At, Many, May, Text, Word},
};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Every name by kind, with its place; none for what comes with infra.
type Names = BTreeMap<Noun, BTreeMap<String, Option<Span>>>;

/// What resolving carries around.
pub(crate) struct Scope<'a> {
    /// Files, for places.
    pub(crate) sources: &'a Sources,
    /// Today, for what expires.
    pub(crate) today: jiff::civil::Date,
    /// Problems so far.
    pub(crate) out: Vec<Diagnostic>,
    /// Text of a CA file, read before.
    pub(crate) ca: Option<String>,
    names: Names,
    seen: BTreeMap<(Code, String), (Span, String)>,
    spans: BTreeMap<String, Span>,
}

impl<'a> Scope<'a> {
    /// A scope without names.
    pub(crate) fn new(sources: &'a Sources, today: jiff::civil::Date, ca: Option<String>) -> Self {
        Self {
            sources,
            today,
            out: vec![],
            ca,
            names: BTreeMap::new(),
            seen: BTreeMap::new(),
            spans: BTreeMap::new(),
        }
    }

    /// The place of a span.
    pub(crate) fn place(&self, span: Span) -> Place {
        self.sources.place(span)
    }

    /// Begins an error. It is kept when the returned value is dropped.
    pub(crate) fn error(&mut self, code: Code, summary: impl Into<String>) -> Problem<'_> {
        self.problem(Diagnostic::error(code, summary))
    }

    /// Begins a warning.
    pub(crate) fn warning(&mut self, code: Code, summary: impl Into<String>) -> Problem<'_> {
        self.problem(Diagnostic::warning(code, summary))
    }

    fn problem(&mut self, diagnostic: Diagnostic) -> Problem<'_> {
        self.out.push(diagnostic);
        Problem {
            sources: self.sources,
            names: &self.names,
            diagnostic: self.out.last_mut().expect("one was pushed"),
        }
    }

    /// Whether an error was reported.
    pub(crate) fn has_errors(&self) -> bool {
        self.out.iter().any(|d| d.severity == Severity::Error)
    }

    /// Remembers a name that stands in the document.
    pub(crate) fn name(&mut self, noun: Noun, key: &At<String>) {
        if let Some(name) = &key.value {
            self.add(noun, name.clone(), key.span);
        }
    }

    /// Remembers a name.
    pub(crate) fn add(&mut self, noun: Noun, name: String, span: Span) {
        self.names
            .entry(noun)
            .or_default()
            .entry(name)
            .or_insert(Some(span));
    }

    /// Remembers a name that comes with infra.
    pub(crate) fn built_in(&mut self, noun: Noun, name: &str) {
        self.names
            .entry(noun)
            .or_default()
            .entry(name.to_owned())
            .or_insert(None);
    }

    /// Whether the name was written.
    pub(crate) fn knows(&self, noun: Noun, name: &str) -> bool {
        self.names
            .get(&noun)
            .is_some_and(|names| names.contains_key(name))
    }

    /// The names of one kind.
    pub(crate) fn known(&self, noun: Noun) -> impl Iterator<Item = &str> {
        self.names
            .get(&noun)
            .into_iter()
            .flat_map(|names| names.keys().map(String::as_str))
    }

    /// Remembers where a thing stands, for rules that look at the resolved whole.
    pub(crate) fn mark(&mut self, what: impl Into<String>, span: Span) {
        self.spans.insert(what.into(), span);
    }

    /// Where a thing stands.
    pub(crate) fn marked(&self, what: &str) -> Option<Span> {
        self.spans.get(what).copied()
    }

    /// Follows a reference. An unknown one is reported; a name that is written but invalid was reported where it stands.
    pub(crate) fn refer<T: FromStr>(&mut self, noun: Noun, at: &At<String>) -> Option<T> {
        let name = at.value.as_deref()?;
        if self.knows(noun, name) {
            return name.parse().ok();
        }
        let known: Vec<String> = self.known(noun).map(str::to_owned).collect();
        let help = did_you_mean(name, known.iter().map(String::as_str)).unwrap_or_else(|| {
            if known.is_empty() {
                format!("the inventory has no {}", noun.word())
            } else {
                format!("there is {}", listed(&known))
            }
        });
        self.error(
            noun.unknown(),
            format!("there is no {} `{name}`", noun.word()),
        )
        .at(at.span, format!("unknown {}", noun.word()))
        .help(help);
        None
    }

    /// The only one of its kind, when a reference was left out.
    pub(crate) fn only<T: FromStr>(&mut self, noun: Noun, parent: Span, key: &str) -> Option<T> {
        let known: Vec<String> = self.known(noun).map(str::to_owned).collect();
        if let [one] = known.as_slice() {
            return one.parse().ok();
        }
        let help = if known.is_empty() {
            format!("the inventory has no {}", noun.word())
        } else {
            format!(
                "there is more than one {}: choose {}",
                noun.word(),
                listed(&known)
            )
        };
        self.error(codes::MISSING_KEY, format!("`{key}` is missing"))
            .at(parent, "it belongs here")
            .help(help);
        None
    }

    /// The meaning of a word, or a report.
    pub(crate) fn parse<T: Word>(&mut self, at: &At<Text<T>>) -> Option<T> {
        let text = &at.value.as_ref()?.text;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(T::CODE, error.to_string())
                    .at(at.span, format!("expected: {}", T::TITLE));
                None
            }
        }
    }

    /// The meaning of a word that may be left out.
    pub(crate) fn parse_may<T: Word>(&mut self, at: &May<Text<T>>) -> Option<T> {
        at.as_ref().and_then(|at| self.parse(at))
    }

    /// The meanings of one or many words, with their places.
    pub(crate) fn parse_many<T: Word>(&mut self, at: &At<Many<Text<T>>>) -> Vec<(T, Span)> {
        at.value
            .iter()
            .flat_map(|many| &many.0)
            .filter_map(|one| Some((self.parse(one)?, one.span)))
            .collect()
    }

    /// A key of a map that names something of its own.
    pub(crate) fn own_name<T: FromStr<Err: fmt::Display>>(
        &mut self,
        key: &At<String>,
    ) -> Option<T> {
        match key.value.as_ref()?.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.error(codes::INVALID_NAME, error.to_string())
                    .at(key.span, "not a valid name");
                None
            }
        }
    }

    /// Reports a value that may stand only once in a system.
    pub(crate) fn unique(&mut self, code: Code, value: &str, owner: &str, span: Span, help: &str) {
        let key = (code, value.to_owned());
        if let Some((first, first_owner)) = self.seen.get(&key).cloned() {
            self.error(code, format!("{value} is used twice"))
                .at(span, format!("by {owner}"))
                .at(first, format!("already by {first_owner}"))
                .help(help);
        } else {
            self.seen.insert(key, (span, owner.to_owned()));
        }
    }
}

/// A problem that is being described.
pub(crate) struct Problem<'a> {
    sources: &'a Sources,
    names: &'a Names,
    diagnostic: &'a mut Diagnostic,
}

impl Problem<'_> {
    /// Points at a place.
    pub(crate) fn at(self, span: Span, label: impl Into<String>) -> Self {
        let place = self.sources.place(span);
        self.diagnostic.labels.push(crate::diagnostic::Label {
            place,
            text: label.into(),
        });
        self
    }

    /// Points at the place where a name is written.
    pub(crate) fn at_name(self, noun: Noun, name: &str, label: &str) -> Self {
        let span = self
            .names
            .get(&noun)
            .and_then(|names| names.get(name))
            .copied()
            .flatten();
        match span {
            Some(span) => self.at(span, label),
            None => self,
        }
    }

    /// Says what to do.
    pub(crate) fn help(self, help: impl Into<String>) {
        self.diagnostic.help = Some(help.into());
    }
}

/// The value of an optional key, or a default.
pub(crate) fn or<T: Clone>(at: &May<T>, default: T) -> T {
    at.as_ref()
        .and_then(|at| at.value.clone())
        .unwrap_or(default)
}

/// The text of an optional key.
pub(crate) fn text(at: &May<String>) -> Option<String> {
    at.as_ref().and_then(|at| at.value.clone())
}
