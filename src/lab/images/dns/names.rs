//! What the lab's name server knows.

use std::{collections::BTreeMap, net::Ipv4Addr};

/// The names of the lab's world: exact ones, and `*.suffix` ones for everything below a suffix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    known: BTreeMap<String, Ipv4Addr>,
    outside: Ipv4Addr,
}

/// What there is to say about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It has this address.
    Address(Ipv4Addr),
    /// It does not exist.
    Absent,
}

impl Names {
    /// `known` maps names, or `*.suffix`, to addresses; every other public name leads to `outside`.
    pub fn new(known: &BTreeMap<String, Ipv4Addr>, outside: Ipv4Addr) -> Self {
        let known = known
            .iter()
            .map(|(name, address)| (normal(name), *address))
            .collect();
        Self { known, outside }
    }

    /// Looks a name up. An exact name wins over a wildcard, a longer wildcard over a shorter one.
    pub fn lookup(&self, name: &str) -> Answer {
        let name = normal(name);
        if let Some(address) = self.known.get(&name) {
            return Answer::Address(*address);
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(address) = self.known.get(&format!("*.{parent}")) {
                return Answer::Address(*address);
            }
            rest = parent;
        }
        if is_private(&name) {
            Answer::Absent
        } else {
            Answer::Address(self.outside)
        }
    }
}

/// DNS compares names without case; the root's dot at the end is optional.
fn normal(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Names that the public DNS does not have: one label, reverse zones, and the domains reserved by RFC 8375, RFC 6761
/// and RFC 6762.
fn is_private(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !name.contains('.')
        || last == "arpa"
        || matches!(
            last,
            "local" | "localhost" | "invalid" | "test" | "internal" | "lan" | "home"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
    const PROXY: Ipv4Addr = Ipv4Addr::new(10, 10, 10, 2);
    const NODE: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);

    fn names() -> Names {
        let known = BTreeMap::from([
            ("*.home.arpa".to_owned(), PROXY),
            ("pve.home.arpa".to_owned(), NODE),
            ("db.lan".to_owned(), NODE),
        ]);
        Names::new(&known, OUTSIDE)
    }

    #[test]
    fn known_names_have_their_addresses_whatever_the_case() {
        assert_eq!(names().lookup("PVE.home.arpa."), Answer::Address(NODE));
        assert_eq!(names().lookup("photos.home.arpa"), Answer::Address(PROXY));
        assert_eq!(names().lookup("a.b.home.arpa"), Answer::Address(PROXY));
    }

    #[test]
    fn every_public_name_leads_outside() {
        assert_eq!(names().lookup("ghcr.io"), Answer::Address(OUTSIDE));
        assert_eq!(names().lookup("x.example.org"), Answer::Address(OUTSIDE));
    }

    #[test]
    fn a_private_name_that_nobody_defined_does_not_exist() {
        for name in ["databse", "nas.lan", "10.1.168.192.in-addr.arpa", "x.test"] {
            assert_eq!(names().lookup(name), Answer::Absent, "{name}");
        }
        let bare = Names::new(&BTreeMap::new(), OUTSIDE);
        assert_eq!(bare.lookup("photos.home.arpa"), Answer::Absent);
        assert_eq!(bare.lookup(""), Answer::Absent);
    }
}
