//! `zfs` and `zpool` over a shell, machine formats only.
//!
//! Invariant: never `destroy -r`, never `-R`, never `-f`.
