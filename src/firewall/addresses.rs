//! Sets of addresses with their algebra: what "everything except" means is decided here and nowhere else.

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const V4_LAST: u128 = u32::MAX as u128;

/// A set of IPv4 and IPv6 addresses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Addresses {
    v4: Ranges,
    v6: Ranges,
}

/// Inclusive ranges: sorted, disjoint, never adjacent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn normal(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut out: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match out.last_mut() {
                Some(open) if open.1 == u128::MAX || first <= open.1 + 1 => {
                    open.1 = open.1.max(last);
                }
                Some(_) | None => out.push((first, last)),
            }
        }
        Self(out)
    }

    fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                out.push((first, last));
            }
            if a.1 <= b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        Self(out)
    }

    /// No range is adjacent to another, so whatever is covered lies in one of them.
    fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(first, last)| {
            let after = self.0.partition_point(|own| own.0 <= *first);
            after > 0 && *last <= self.0[after - 1].1
        })
    }

    fn meets(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() < other.0.len() {
            (self, other)
        } else {
            (other, self)
        };
        few.0.iter().any(|(first, last)| {
            let from = many.0.partition_point(|own| own.1 < *first);
            many.0.get(from).is_some_and(|own| own.0 <= *last)
        })
    }

    fn complement(&self, end: u128) -> Self {
        let mut out = Vec::new();
        let mut next = Some(0);
        for &(first, last) in &self.0 {
            if let Some(start) = next
                && start < first
            {
                out.push((start, first - 1));
            }
            next = last.checked_add(1).filter(|n| *n <= end);
        }
        if let Some(start) = next {
            out.push((start, end));
        }
        Self(out)
    }
}

impl Addresses {
    /// Every address there is.
    pub(crate) fn everything() -> Self {
        Self::default().complement()
    }

    /// The union of networks.
    pub(crate) fn of_networks<'a>(networks: impl IntoIterator<Item = &'a IpNet>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => v4.push((
                    u128::from(u32::from(net.network())),
                    u128::from(u32::from(net.broadcast())),
                )),
                IpNet::V6(net) => {
                    v6.push((u128::from(net.network()), u128::from(net.broadcast())));
                }
            }
        }
        Self {
            v4: Ranges::normal(v4),
            v6: Ranges::normal(v6),
        }
    }

    /// These addresses.
    pub(crate) fn of_hosts(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let networks: Vec<IpNet> = addresses.into_iter().map(IpNet::from).collect();
        Self::of_networks(&networks)
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let both = |a: &Ranges, b: &Ranges| Ranges::normal([a.0.as_slice(), &b.0].concat());
        Self {
            v4: both(&self.v4, &other.v4),
            v6: both(&self.v6, &other.v6),
        }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.intersection(&other.v4),
            v6: self.v6.intersection(&other.v6),
        }
    }

    pub(crate) fn complement(&self) -> Self {
        Self {
            v4: self.v4.complement(V4_LAST),
            v6: self.v6.complement(u128::MAX),
        }
    }

    pub(crate) fn without(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    pub(crate) fn has_v4(&self) -> bool {
        !self.v4.0.is_empty()
    }

    pub(crate) fn has_v6(&self) -> bool {
        !self.v6.0.is_empty()
    }

    /// Whether every address of `other` is in this set.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.v4.covers(&other.v4) && self.v6.covers(&other.v6)
    }

    /// Whether the two share an address.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.v4.meets(&other.v4) || self.v6.meets(&other.v6)
    }

    /// The union of many sets.
    pub(crate) fn of_all<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in sets {
            v4.extend(&set.v4.0);
            v6.extend(&set.v6.0);
        }
        Self {
            v4: Ranges::normal(v4),
            v6: Ranges::normal(v6),
        }
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let (ranges, value) = match address {
            IpAddr::V4(a) => (&self.v4, u128::from(u32::from(a))),
            IpAddr::V6(a) => (&self.v6, u128::from(a)),
        };
        let after = ranges.0.partition_point(|r| r.0 <= value);
        after > 0 && value <= ranges.0[after - 1].1
    }

    /// The ranges of one family as numbers, ascending.
    pub(crate) fn ranges(&self, v6: bool) -> &[(u128, u128)] {
        if v6 { &self.v6.0 } else { &self.v4.0 }
    }

    /// The addresses of one family.
    pub(crate) fn of_family(&self, v6: bool) -> Self {
        if v6 {
            Self {
                v4: Ranges::default(),
                v6: self.v6.clone(),
            }
        } else {
            Self {
                v4: self.v4.clone(),
                v6: Ranges::default(),
            }
        }
    }

    /// An inclusive range of one family.
    pub(crate) fn of_range(first: IpAddr, last: IpAddr) -> Option<Self> {
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => Some(Self {
                v4: Ranges(vec![(u128::from(u32::from(a)), u128::from(u32::from(b)))]),
                v6: Ranges::default(),
            }),
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => Some(Self {
                v4: Ranges::default(),
                v6: Ranges(vec![(u128::from(a), u128::from(b))]),
            }),
            (IpAddr::V4(_) | IpAddr::V6(_), _) => None,
        }
    }

    /// The fewest networks that make up the set, IPv4 first, ascending.
    pub(crate) fn networks(&self) -> Vec<IpNet> {
        let v4 = self
            .v4
            .0
            .iter()
            .flat_map(|&(first, last)| Ipv4Subnets::new(v4(first), v4(last), 0).map(IpNet::V4));
        let v6 = self.v6.0.iter().flat_map(|&(first, last)| {
            Ipv6Subnets::new(Ipv6Addr::from(first), Ipv6Addr::from(last), 0).map(IpNet::V6)
        });
        v4.chain(v6).collect()
    }

    /// One address of the set, for examples in messages: not a network's own where there is another.
    pub(crate) fn example(&self) -> Option<IpAddr> {
        let one = |ranges: &Ranges| {
            ranges
                .0
                .first()
                .map(|r| if r.0 < r.1 { r.0 + 1 } else { r.0 })
        };
        one(&self.v4)
            .map(|address| IpAddr::V4(v4(address)))
            .or_else(|| one(&self.v6).map(|address| IpAddr::V6(Ipv6Addr::from(address))))
    }
}

fn v4(value: u128) -> Ipv4Addr {
    Ipv4Addr::from(u32::try_from(value).expect("IPv4 ranges end at 2^32 - 1"))
}

/// How a network is written in rules: a single address without its prefix length, as Proxmox and UFW print it.
pub(crate) fn written(network: &IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.trunc().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(networks: &[&str]) -> Addresses {
        let networks: Vec<IpNet> = networks.iter().map(|n| n.parse().expect("valid")).collect();
        Addresses::of_networks(&networks)
    }

    #[test]
    fn everything_without_a_network_is_written_back_as_networks() {
        let rest = Addresses::everything().without(&set(&["128.0.0.0/1", "::/0"]));
        assert_eq!(
            rest.networks().iter().map(written).collect::<Vec<_>>(),
            ["0.0.0.0/1"]
        );
        assert!(Addresses::everything().complement().is_empty());
        assert_eq!(Addresses::everything().networks().len(), 2);
    }

    #[test]
    fn adjacent_networks_merge() {
        let halves = set(&["10.0.0.0/25", "10.0.0.128/25"]);
        assert_eq!(
            halves.networks().iter().map(written).collect::<Vec<_>>(),
            ["10.0.0.0/24"]
        );
        assert!(halves.covers(&set(&["10.0.0.7/32"])));
        assert!(!halves.covers(&set(&["10.0.1.0/32"])));
    }

    fn networks() -> impl Strategy<Value = Vec<IpNet>> {
        proptest::collection::vec(
            prop_oneof![
                (any::<u32>(), 0..=32_u8).prop_map(|(a, p)| IpNet::V4(
                    ipnet::Ipv4Net::new(Ipv4Addr::from(a), p).expect("prefix")
                )),
                (any::<u128>(), 0..=128_u8).prop_map(|(a, p)| IpNet::V6(
                    ipnet::Ipv6Net::new(Ipv6Addr::from(a), p).expect("prefix")
                )),
            ],
            0..6,
        )
    }

    proptest! {
        #[test]
        fn the_algebra_agrees_with_membership(a in networks(), b in networks(), x in any::<u32>(), y in any::<u128>()) {
            let (left, right) = (Addresses::of_networks(&a), Addresses::of_networks(&b));
            for probe in [IpAddr::V4(Ipv4Addr::from(x)), IpAddr::V6(Ipv6Addr::from(y))]
                .into_iter().chain(a.iter().chain(&b).map(IpNet::network))
            {
                let (in_a, in_b) = (a.iter().any(|n| n.contains(&probe)), b.iter().any(|n| n.contains(&probe)));
                prop_assert_eq!(left.contains(probe), in_a);
                prop_assert_eq!(left.union(&right).contains(probe), in_a || in_b);
                prop_assert_eq!(left.intersection(&right).contains(probe), in_a && in_b);
                prop_assert_eq!(left.without(&right).contains(probe), in_a && !in_b);
                prop_assert_eq!(left.complement().contains(probe), !in_a);
            }
            prop_assert_eq!(&Addresses::of_networks(&left.networks()), &left);
        }
    }
}
