//! What every managed host must look like before its stacks: packages, files, units, kernel settings.
//!
//! Invariant: pure. It lists resources in the order in which they must be true; it never asks what is there.
