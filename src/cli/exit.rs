//! Exit codes. They are documented in `docs/cli.md` and never change their meaning.

/// Done.
pub(crate) const DONE: u8 = 0;
/// Failed.
pub(crate) const FAILED: u8 = 1;
/// Used wrongly.
pub(crate) const USAGE: u8 = 2;
/// The inventory is invalid.
pub(crate) const INVALID: u8 = 3;
/// Changes are pending (only with `--exit-code`).
pub(crate) const PENDING: u8 = 4;
/// Something could not be reached.
pub(crate) const UNREACHABLE: u8 = 5;
/// Partly applied.
pub(crate) const PARTIAL: u8 = 6;
/// Another run holds the lock.
pub(crate) const LOCKED: u8 = 7;
/// The plan is stale.
pub(crate) const STALE: u8 = 8;
/// The guard reverted a change.
pub(crate) const REVERTED: u8 = 9;
/// A release was rolled back.
pub(crate) const ROLLED_BACK: u8 = 10;
/// Refused by policy.
pub(crate) const REFUSED: u8 = 11;
/// A check failed.
pub(crate) const CHECK_FAILED: u8 = 12;
/// Interrupted.
pub(crate) const INTERRUPTED: u8 = 130;

/// Every exit code with its meaning, as the reference prints them.
pub(crate) const MEANINGS: &[(u8, &str)] = &[
    (DONE, "done"),
    (FAILED, "failed"),
    (USAGE, "used wrongly"),
    (INVALID, "the inventory is invalid"),
    (PENDING, "changes are pending (only with `--exit-code`)"),
    (UNREACHABLE, "something could not be reached"),
    (PARTIAL, "partly applied"),
    (LOCKED, "locked by another run"),
    (STALE, "the plan is stale"),
    (REVERTED, "reverted by the guard"),
    (ROLLED_BACK, "a release was rolled back"),
    (
        REFUSED,
        "refused by policy: `--max-impact`, `never`, protection",
    ),
    (CHECK_FAILED, "a check failed"),
    (INTERRUPTED, "interrupted"),
];
