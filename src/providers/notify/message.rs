//! What somebody is told.

use serde::Serialize;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A night begins: only those who wait for a ping are told.
    Begin,
    /// Something failed.
    Failure,
    /// A night ended, and everything is well.
    Well,
    /// A night ended, and something is not well.
    Bad,
}

impl Kind {
    /// Whether somebody should look soon.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::Failure | Self::Bad)
    }
}

/// One message: plain text without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// What it is about.
    pub kind: Kind,
    /// System.
    pub system: String,
    /// One line.
    pub title: String,
    /// The rest.
    pub text: String,
}
