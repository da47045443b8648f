//! What a doctor looks at besides what plans are made of.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a user or token may do: path -> privilege -> whether it reaches below that path, as Proxmox works them out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rights(pub BTreeMap<String, BTreeMap<String, bool>>);

impl Rights {
    /// Whether a privilege is held on a path.
    pub fn holds(&self, privilege: &str, path: &str) -> bool {
        let Some(at) = self.deciding(path) else {
            return false;
        };
        let reaches = self.0.get(at).and_then(|held| held.get(privilege));
        reaches.is_some_and(|below| *below || at == path)
    }

    /// Which listed path says what may be done on one: itself, or the nearest above it.
    pub fn deciding<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut at = path;
        while !self.0.contains_key(at) {
            at = match at.rsplit_once('/') {
                Some(("", "")) | None => return None,
                Some(("", _)) => "/",
                Some((above, _)) => above,
            };
        }
        Some(at)
    }
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeHealth {
    /// `pve-manager/9.2.11/14a22df3`.
    pub version: String,
    /// Seconds since the epoch, by its own clock.
    pub time: i64,
    /// IANA name.
    pub timezone: String,
    /// Its name servers.
    pub name_servers: Vec<String>,
    /// Bytes free on its root file system.
    pub root_free: u64,
    /// Bytes of its root file system.
    pub root_total: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_listed_path_decides() {
        let rights = Rights(BTreeMap::from([
            (
                "/".to_owned(),
                BTreeMap::from([("VM.Audit".to_owned(), true)]),
            ),
            ("/storage".to_owned(), BTreeMap::new()),
        ]));
        assert!(rights.holds("VM.Audit", "/vms/110"));
        assert!(rights.holds("VM.Audit", "/"));
        assert!(!rights.holds("VM.Audit", "/storage/local"));
        assert!(!rights.holds("VM.Allocate", "/vms/110"));
        assert!(!Rights::default().holds("VM.Audit", "/"));
    }

    /// An entry of the access control list without `propagate`.
    #[test]
    fn what_does_not_reach_below_a_path_holds_there_alone() {
        let audit = BTreeMap::from([("VM.Audit".to_owned(), false)]);
        let rights = Rights(BTreeMap::from([("/".to_owned(), audit)]));
        assert!(rights.holds("VM.Audit", "/"));
        assert!(!rights.holds("VM.Audit", "/vms/110"));
    }
}
