//! Why a command ends badly: its exit code, the error with its causes, and what to do.

use super::exit;
use crate::view::{Terminal, palette};

/// A command that ends badly.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// First line what failed; the following ones its causes. Empty when all has been said already.
    lines: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure in our own words.
    pub(crate) fn new(code: u8, what: impl Into<String>) -> Self {
        Self {
            code,
            lines: vec![what.into()],
            hints: Vec::new(),
        }
    }

    /// A failure that has been told already.
    pub(crate) fn said(code: u8) -> Self {
        Self {
            code,
            lines: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// An error with its causes.
    pub(crate) fn of(code: u8, error: &dyn std::error::Error) -> Self {
        let mut lines = vec![format!("failed to {error}")];
        let mut cause = error.source();
        while let Some(error) = cause {
            lines.push(error.to_string());
            cause = error.source();
        }
        Self {
            code,
            lines,
            hints: Vec::new(),
        }
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.lines.push(cause.into());
        self
    }

    /// Adds what can be done about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Everything on one line.
    pub(crate) fn text(&self) -> String {
        self.lines.join(": ")
    }

    /// Its exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// Prints it; gives the exit code.
    pub(crate) fn tell(&self, terminal: Terminal) -> u8 {
        for (number, line) in self.lines.iter().enumerate() {
            let lead = if number == 0 {
                palette::bad("error:")
            } else {
                "  because:".to_owned()
            };
            terminal.complain(&format!("{lead} {line}"));
        }
        for hint in &self.hints {
            terminal.complain(&format!("{} {hint}", palette::hint("help:")));
        }
        self.code
    }
}

/// For errors that carry nothing but themselves.
pub(crate) fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::of(exit::FAILED, error)
}
