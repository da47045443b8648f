//! The HTTPS API of a Proxmox VE node: its own model, its own endpoint table, tasks, locks, digests.
//!
//! Invariant: an endpoint that is not modelled answers 501 with its path, never a made-up success.
