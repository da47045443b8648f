//! Inventories, valid and invalid: every file in `valid` and `invalid` is a case, named by what it shows.

#![expect(clippy::disallowed_methods, reason = "reads the samples")]

mod documents;
mod flagship;
mod folders;
mod limits;
mod restoration;
mod samples;
