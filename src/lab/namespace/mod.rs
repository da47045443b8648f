//! Real Debian guests in namespaces, on real bridges, behind a really enforced Proxmox firewall.
//!
//! Invariant: whatever it makes on the machine it can remove, also after a crash.
