//! SSH through libssh2: one thread per host owns the session.
//!
//! Invariant: the host key is checked before the first byte of authentication, always.
//! Invariant: argv is quoted here and nowhere else.
