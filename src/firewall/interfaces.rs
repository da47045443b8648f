//! Zones that stand behind an interface of a machine.

use super::addresses::Addresses;
use crate::model::{desired::Desired, ids::HostName};
use ipnet::IpNet;

/// The interfaces of one machine behind which zones stand, with what stands there: a packet from there comes in by that
/// interface and by no other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Interfaces(Vec<(String, Addresses)>);

impl Interfaces {
    /// Those of a machine.
    pub(crate) fn of(desired: &Desired, machine: &HostName) -> Self {
        let zones = desired.zones.values();
        let here = zones.filter_map(|zone| {
            let name = zone.interfaces.get(machine)?;
            Some((name.clone(), Addresses::of_networks(&zone.cidrs)))
        });
        let mut out: Vec<(String, Addresses)> = Vec::new();
        for (name, addresses) in here {
            match out.iter_mut().find(|(other, _)| *other == name) {
                Some((_, all)) => *all = all.union(&addresses),
                None => out.push((name, addresses)),
            }
        }
        Self(out)
    }

    /// What stands behind an interface; none when no zone does.
    pub(crate) fn behind(&self, name: &str) -> Option<&Addresses> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, addresses)| addresses)
    }

    /// Whether all of it stands behind one of them.
    pub(crate) fn hold(&self, addresses: &Addresses) -> bool {
        self.0.iter().any(|(_, all)| all.covers(addresses))
    }

    /// A set as networks, each with the interface behind which all of it stands.
    pub(crate) fn parts(&self, addresses: &Addresses) -> Vec<(IpNet, Option<&str>)> {
        let mut out = Vec::new();
        let mut rest = addresses.clone();
        for (name, behind) in &self.0 {
            let part = addresses.intersection(behind);
            rest = rest.without(behind);
            out.extend(
                part.networks()
                    .into_iter()
                    .map(|net| (net, Some(name.as_str()))),
            );
        }
        let rest = rest.networks().into_iter().map(|net| (net, None));
        rest.chain(out).collect()
    }
}
