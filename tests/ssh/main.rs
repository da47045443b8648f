//! The SSH client against a real sshd that each test starts for itself on a loopback port.

#![expect(
    clippy::disallowed_methods,
    reason = "starts sshd, ssh-keygen and ssh-agent, and writes their files"
)]
#![expect(
    clippy::unwrap_in_result,
    reason = "a test that cannot run here says so, and one whose tools fail stops"
)]

mod channels;
mod host;
#[cfg(feature = "lab")]
mod scripted;
mod sshd;
mod trust;
