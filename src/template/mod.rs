//! Tera templates -> text whose secrets are still names.
//!
//! Invariant: pure; an undefined variable anywhere is an error with its place.
