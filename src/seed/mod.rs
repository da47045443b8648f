//! NoCloud seeds: what a new guest reads at its first boot, as cloud-init documents in an ISO 9660 image.
//!
//! Invariant: pure; the same input gives the same bytes.
