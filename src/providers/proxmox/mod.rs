//! The Proxmox VE API: auth, encoding, errors, tasks.
//!
//! Invariant: TLS is pinned or CA-checked; an ambiguous write is never sent twice.
