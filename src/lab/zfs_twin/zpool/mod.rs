//! `zpool`: pools of the lab's one virtual disk, or of virtual disks that the node was given.
//!
//! Invariant: touches no real disk; a device that the store does not name does not exist.

mod change;
mod create;
mod list;
mod status;

pub(super) use change::{
    clear, export, import, offline, online, remove, replace, scrub, set, wait,
};
pub(super) use create::{add, create, destroy};
pub(super) use list::{get, list};
pub(super) use status::status;

use super::{
    answer::{Answer, Result},
    store::{Pool, Store},
};

/// A refusal with the head of `zpool`'s usage behind it.
fn usage(why: &str) -> Answer {
    Answer::refused(2, format!("{why}\nusage: zpool command args ..."))
}

fn no_pool(name: &str) -> Answer {
    Answer::refused(1, format!("cannot open '{name}': no such pool"))
}

fn chosen<'a>(store: &'a Store, names: &[String]) -> Result<Vec<(&'a String, &'a Pool)>> {
    if names.is_empty() {
        return Ok(store.pools.iter().collect());
    }
    names
        .iter()
        .map(|name| store.pools.get_key_value(name).ok_or_else(|| no_pool(name)))
        .collect()
}

/// State of a pool or part whose disks are these.
fn state(pool: &Pool) -> &'static str {
    if pool
        .parts
        .iter()
        .any(|part| part.disks.iter().any(|disk| disk.offline))
    {
        "DEGRADED"
    } else {
        "ONLINE"
    }
}
