//! The command line of OpenZFS 2.3 over btrfs or plain directories, as recorded from the real one.
//!
//! [`main`] is what `zfs` and `zpool` on the lab's node run: it reads the [`store`], carries out one command and
//! writes the store back, under a lock. A dataset's files lie in a btrfs subvolume (a plain directory where there is no
//! btrfs) that is bind-mounted at its mount point; a snapshot is a read-only snapshot of it.
//!
//! Invariant: an option that it does not know is a usage error, as with the real tool.
//! Invariant: shares nothing with `providers::zfs`; what it says comes from recorded output.

mod answer;
mod change;
mod create;
mod destroy;
mod disk;
mod history;
mod key;
mod list;
mod listing;
mod mount;
mod name;
mod options;
mod print;
mod properties;
mod receive;
mod run;
mod send;
mod sizes;
mod snapshot;
mod store;
mod stream;
mod table;
mod value;
mod zpool;

pub use answer::Answer;
pub use disk::{Change, Disk, Real};
pub use run::{main, make_pool, run};
pub use store::{Store, host_path};
