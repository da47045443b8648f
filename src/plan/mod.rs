//! Desired + observed -> plan: every change with its reason, impact and order, decided before the first write.
//!
//! Invariant: pure and deterministic: the same input gives the same bytes.
