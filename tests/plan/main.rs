//! Plans and how they are walked, without any network: what differs, what is done about it, in which order.

mod adopt;
mod disk;
mod filesystem;
mod firewall;
mod guest;
mod host;
#[expect(
    clippy::disallowed_methods,
    reason = "makes a holder look silent with touch"
)]
mod lock;
mod partial;
mod stack;
mod storage;
#[expect(
    clippy::disallowed_methods,
    reason = "tears and reads the journal of a killed run"
)]
mod walk;
mod whole;
mod world;
