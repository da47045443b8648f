//! What people do by hand: each with its traces in the plan and with the system's own view of what is right.

mod firewall;
mod guest;
mod node;
mod stack;
mod vm;

use crate::lab::Place;

/// One change by hand.
#[derive(Debug)]
pub(crate) struct Drift {
    /// In a person's words.
    pub(crate) what: &'static str,
    /// Where, and the shell commands.
    pub(crate) hand: (Place, &'static str),
    /// The addresses of the changes that must be planned, and no others.
    pub(crate) ids: &'static [&'static str],
    /// What the plan must say.
    pub(crate) words: &'static [&'static str],
    /// Where, shell commands that look with the system's own tools, and what they print when all is right.
    pub(crate) look: (Place, &'static str, &'static str),
    /// It neither hides nor causes another one of the list.
    pub(crate) gets_along: bool,
}

impl Drift {
    fn new(
        what: &'static str,
        hand: (Place, &'static str),
        ids: &'static [&'static str],
        words: &'static [&'static str],
        look: (Place, &'static str, &'static str),
    ) -> Self {
        Self {
            what,
            hand,
            ids,
            words,
            look,
            gets_along: true,
        }
    }

    /// Not at once with the others.
    fn apart(mut self) -> Self {
        self.gets_along = false;
        self
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Drift> {
    [
        vm::all(),
        node::all(),
        firewall::all(),
        guest::all(),
        stack::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
