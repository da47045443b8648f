//! The command line as a person meets it: words, exit codes, streams. No server is spoken to.

#![expect(
    clippy::disallowed_methods,
    reason = "runs the program in folders of its own"
)]
#![expect(clippy::print_stdout, reason = "says why it skipped")]

mod ansible;
mod folder;
mod reference;
mod secrets;
mod stack_add;
mod words;
