//! What a person should look at: a coded problem with its place and its help.
//!
//! Rooms push [`Diagnostic`]s into a `Vec` and go on; `view` prints them all, sorted by place.
//!
//! Invariant: data only. Nothing here prints, reads or decides an exit code.

use serde::Serialize;
use std::sync::Arc;

/// A stable code such as `INV012`; `docs/diagnostics.md` explains every one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Code(pub &'static str);

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing may be touched until it is solved.
    Error,
    /// Probably not what the owner meant.
    Warning,
}

/// A span of one file: 1-based line and column for people, byte offset and length for tools.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Path as shown to the owner, relative to the inventory's folder.
    pub file: Arc<str>,
    /// 1-based.
    pub line: u32,
    /// 1-based, in characters.
    pub column: u32,
    /// Byte offset into the file.
    pub offset: usize,
    /// Length in bytes.
    pub length: usize,
}

/// One pointed-at place and what to see there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What to see there, a short fragment.
    pub text: String,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// A sentence that says what is wrong with the owner's words in it.
    pub summary: String,
    /// Where, most important first.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error with no labels yet.
    pub fn error(code: Code, summary: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            summary: summary.into(),
            labels: vec![],
            help: None,
        }
    }

    /// A warning with no labels yet.
    pub fn warning(code: Code, summary: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, summary)
        }
    }

    /// Adds a pointed-at place.
    #[must_use]
    pub fn at(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            place: place.clone(),
            text: text.into(),
        });
        self
    }

    /// Sets the help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// One file as read, kept so that `view` can show the line a diagnostic points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name as in [`Place::file`].
    pub name: Arc<str>,
    /// Whole text.
    pub text: Arc<str>,
}
