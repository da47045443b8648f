//! Parse, run, render the failure, return the exit code. Nothing else.

fn main() {}
