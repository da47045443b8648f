//! The address space, cut into parts that every rule treats alike.

use crate::firewall::addresses::{Addresses, written};
use crate::firewall::matrix::{Machine, machines};
use crate::model::{desired::Desired, ids::HostName};
use ipnet::IpNet;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Part of one family's address space: an address of a machine, the rest of a zone, of a set, or of the Internet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `intranet`, `lan`, `operators`, `internet`.
    pub label: String,
    /// The machine, when the place is one of its addresses.
    pub machine: Option<HostName>,
    /// One address of it, such as a machine there would have.
    pub example: IpAddr,
    #[serde(skip)]
    pub(crate) addresses: Addresses,
}

impl Place {
    /// Whether the place is of IPv6.
    pub fn is_v6(&self) -> bool {
        self.example.is_ipv6()
    }
}

/// A run of addresses that belongs to one place.
#[derive(Debug, Clone, Copy)]
struct Piece {
    first: u128,
    last: u128,
    place: usize,
}

/// All places, with the way from an address to its place.
#[derive(Debug, Clone)]
pub(crate) struct Atlas {
    pub(crate) places: Vec<Place>,
    pieces: [Vec<Piece>; 2],
    /// How many pieces a place has.
    counts: Vec<usize>,
}

impl Atlas {
    /// The places of a system, cut further where one of `sets` would cut them.
    pub(crate) fn new<'a>(
        desired: &Desired,
        sets: impl IntoIterator<Item = &'a Addresses>,
    ) -> Self {
        let mut atlas = Self::of_regions(desired, regions(desired));
        for set in sets {
            while let Err(place) = atlas.members(set) {
                let parts: Vec<Region> = atlas
                    .places
                    .iter()
                    .enumerate()
                    .flat_map(|(at, old)| {
                        let region = |addresses: Addresses, label: String| Region {
                            label,
                            machine: old.machine.clone(),
                            addresses,
                        };
                        if at != place {
                            return vec![region(old.addresses.clone(), old.label.clone())];
                        }
                        let inside = old.addresses.intersection(set);
                        let label = match inside.networks().as_slice() {
                            [one] => format!("{} {}", old.label, written(one)),
                            [one, ..] => format!("{} {}...", old.label, written(one)),
                            [] => old.label.clone(),
                        };
                        vec![
                            region(inside, label),
                            region(old.addresses.without(set), old.label.clone()),
                        ]
                    })
                    .collect();
                atlas = Self::of_regions(desired, parts);
            }
        }
        atlas
    }

    fn of_regions(desired: &Desired, regions: Vec<Region>) -> Self {
        let edges: Vec<IpNet> = desired
            .zones
            .values()
            .flat_map(|z| z.cidrs.clone())
            .collect();
        let mut places = Vec::new();
        for region in regions {
            for v6 in [false, true] {
                let addresses = region.addresses.of_family(v6);
                if let Some(example) = example(&addresses, v6, &edges) {
                    places.push(Place {
                        label: region.label.clone(),
                        machine: region.machine.clone(),
                        example,
                        addresses,
                    });
                }
            }
        }
        let mut counts = vec![0; places.len()];
        let pieces = [false, true].map(|v6| {
            let mut pieces = Vec::new();
            for (place, of) in places.iter().enumerate() {
                for &(first, last) in of.addresses.ranges(v6) {
                    counts[place] += 1;
                    pieces.push(Piece { first, last, place });
                }
            }
            pieces.sort_unstable_by_key(|piece| piece.first);
            pieces
        });
        Self {
            places,
            pieces,
            counts,
        }
    }

    /// The place of an address.
    pub(crate) fn place_of(&self, address: IpAddr) -> Option<usize> {
        self.places
            .iter()
            .position(|place| place.addresses.contains(address))
    }

    /// Which places a set consists of; the first place that it would cut, when it is no union of places.
    pub(crate) fn members(&self, set: &Addresses) -> Result<Vec<bool>, usize> {
        let mut found = vec![0_usize; self.places.len()];
        for v6 in [false, true] {
            let pieces = &self.pieces[usize::from(v6)];
            for &(first, last) in set.ranges(v6) {
                let from = pieces.partition_point(|piece| piece.last < first);
                for piece in pieces[from..].iter().take_while(|p| p.first <= last) {
                    if piece.first < first || piece.last > last {
                        return Err(piece.place);
                    }
                    found[piece.place] += 1;
                }
            }
        }
        let cut = found
            .iter()
            .zip(&self.counts)
            .position(|(found, count)| *found > 0 && found < count);
        match cut {
            Some(place) => Err(place),
            None => Ok(found.iter().map(|found| *found > 0).collect()),
        }
    }
}

struct Region {
    label: String,
    machine: Option<HostName>,
    addresses: Addresses,
}

/// Machines by address, then what is left of the zones and of the Internet, cut by the sets.
fn regions(desired: &Desired) -> Vec<Region> {
    let machines: Vec<Machine<'_>> = machines(desired);
    let mut out = Vec::new();
    let mut taken = Addresses::default();
    for machine in &machines {
        for network in machine.addresses.networks() {
            for single in network
                .subnets(network.max_prefix_len())
                .into_iter()
                .flatten()
            {
                let addresses = Addresses::of_networks([&single]).without(&taken);
                taken = taken.union(&addresses);
                out.push(Region {
                    label: machine.name.to_string(),
                    machine: Some(machine.name.clone()),
                    addresses,
                });
            }
        }
    }
    let mut rest: Vec<Region> = Vec::new();
    let mut zoned = Addresses::default();
    for zone in desired.zones.values() {
        let whole = Addresses::of_networks(&zone.cidrs);
        rest.push(Region {
            label: zone.name.to_string(),
            machine: None,
            addresses: whole.without(&zoned).without(&taken),
        });
        zoned = zoned.union(&whole);
    }
    rest.push(Region {
        label: "internet".to_owned(),
        machine: None,
        addresses: zoned.complement().without(&taken),
    });
    for set in desired.sets.values() {
        let addresses = Addresses::of_networks(&set.cidrs);
        let mut next = Vec::with_capacity(rest.len());
        for region in rest {
            if !region.addresses.meets(&addresses) {
                next.push(region);
                continue;
            }
            let is_base = region.label == "internet"
                || desired
                    .zones
                    .keys()
                    .any(|zone| zone.as_str() == region.label);
            let label = if is_base {
                set.name.to_string()
            } else {
                format!("{}+{}", region.label, set.name)
            };
            next.push(Region {
                label,
                machine: None,
                addresses: region.addresses.intersection(&addresses),
            });
            next.push(Region {
                addresses: region.addresses.without(&addresses),
                ..region
            });
        }
        rest = next;
    }
    out.extend(rest);
    out.retain(|region| !region.addresses.is_empty());
    out
}

/// Public addresses that stand for the Internet where they can: the ones that documents are written with come first.
const OUTSIDE: [&str; 6] = [
    "203.0.113.9",
    "198.51.100.9",
    "192.0.2.9",
    "9.9.9.9",
    "2001:db8::9",
    "2620:fe::fe",
];

/// An address that a machine of the place could have.
fn example(addresses: &Addresses, v6: bool, edges: &[IpNet]) -> Option<IpAddr> {
    let known = OUTSIDE
        .iter()
        .filter_map(|text| text.parse::<IpAddr>().ok());
    let outside = known
        .filter(|address| address.is_ipv6() == v6)
        .find(|address| addresses.contains(*address));
    if outside.is_some() {
        return outside;
    }
    let address = |value: u128| -> Option<IpAddr> {
        if v6 {
            return Some(IpAddr::V6(Ipv6Addr::from(value)));
        }
        u32::try_from(value)
            .ok()
            .map(|v| IpAddr::V4(Ipv4Addr::from(v)))
    };
    let is_edge = |address: &IpAddr| {
        edges.iter().any(|net| {
            net.prefix_len() < net.max_prefix_len() - 1
                && (net.network() == *address || net.broadcast() == *address)
        })
    };
    let ranges = addresses.ranges(v6);
    let inner = ranges.iter().flat_map(|&(first, last)| {
        let second = first.checked_add(1).filter(|second| *second <= last);
        [Some(first), second].into_iter().flatten()
    });
    inner
        .filter_map(address)
        .find(|address| !is_edge(address) && !address.is_unspecified())
        .or_else(|| ranges.first().and_then(|range| address(range.0)))
}
