//! Releases of compose stacks: rendered files, content hash, labels, order.
//!
//! Invariant: pure; the same input gives the same release id on every machine.
