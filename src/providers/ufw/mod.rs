//! UFW over a shell.
//!
//! Invariant: never `ufw reset`; rules are added before others are deleted, and deleted by rule, not by number.
