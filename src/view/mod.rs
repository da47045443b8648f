//! All that is printed: stdout is the answer, stderr is the talk.
//!
//! Invariant: the only room that writes to a terminal.
