//! ZFS: the lab's twin against what real OpenZFS 2.3.9 answered.

#![expect(
    clippy::disallowed_methods,
    reason = "lays out stages and reads what was left on them"
)]

mod bench;
#[cfg(feature = "libzetta")]
mod lzc;
mod odd;
mod real;
mod reasons;
mod replay;
mod rig;
mod stage;
mod transcript;
mod verbs;
