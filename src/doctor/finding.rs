//! What was found.

use serde::Serialize;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Well,
    /// Works, and will not for long or not as well as it could.
    Warning,
    /// It was asked and not answered.
    Unknown,
    /// Something of `infra up` will fail.
    Bad,
}

/// One thing and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `rights`, `version`, `storage`, `bridge`, `time`, `dns`, `space`, `agent` ...
    pub area: &'static str,
    /// What it is about.
    pub subject: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub text: String,
    /// What to do; none when nothing is to be done.
    pub help: Option<String>,
}

impl Finding {
    pub(super) fn well(
        area: &'static str,
        subject: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        Self {
            area,
            subject: subject.into(),
            verdict: Verdict::Well,
            text: text.into(),
            help: None,
        }
    }

    pub(super) fn worse(self, verdict: Verdict, help: impl Into<String>) -> Self {
        Self {
            verdict,
            help: Some(help.into()),
            ..self
        }
    }
}
