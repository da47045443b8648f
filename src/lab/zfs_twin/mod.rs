//! The command line of OpenZFS 2.3 over btrfs or plain directories, as recorded from the real one.
//!
//! Invariant: an option that it does not know is a usage error, as with the real tool.
