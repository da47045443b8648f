//! The flow matrix compiler: `Desired` -> Proxmox rules, UFW rules and Docker rules.
//!
//! Invariant: pure. It never opens a pair that the matrix does not list.
