//! Sets of ports with their algebra, for all three protocols at once.

use crate::model::address::{Port, PortRange, Proto};
use serde::Serialize;

/// A set of TCP ports, UDP ports, and ICMP echo.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct PortSet {
    tcp: Ranges,
    udp: Ranges,
    icmp: bool,
}

/// Inclusive ranges: sorted, disjoint, never adjacent. Wider than a port, so that "after the last" is a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Ranges(Vec<(u32, u32)>);

const LAST: u32 = u16::MAX as u32;

impl Ranges {
    fn all() -> Self {
        Self(vec![(1, LAST)])
    }

    fn normal(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match out.last_mut() {
                Some(open) if first <= open.1 + 1 => open.1 = open.1.max(last),
                Some(_) | None => out.push((first, last)),
            }
        }
        Self(out)
    }

    fn union(&self, other: &Self) -> Self {
        match (self.0.is_empty(), other.0.is_empty()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            (false, false) => Self::normal([self.0.as_slice(), &other.0].concat()),
        }
    }

    fn intersection(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        for a in &self.0 {
            for b in &other.0 {
                let (first, last) = (a.0.max(b.0), a.1.min(b.1));
                if first <= last {
                    out.push((first, last));
                }
            }
        }
        Self(out)
    }

    fn without(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        for &(first, last) in &self.0 {
            let mut next = first;
            for &(a, b) in &other.0 {
                if b < next || a > last {
                    continue;
                }
                if a > next {
                    out.push((next, a - 1));
                }
                next = b + 1;
            }
            if next <= last {
                out.push((next, last));
            }
        }
        Self(out)
    }
}

impl PortSet {
    /// Every port of every protocol.
    pub fn all() -> Self {
        Self {
            tcp: Ranges::all(),
            udp: Ranges::all(),
            icmp: true,
        }
    }

    /// These ports.
    pub fn of<'a>(ports: impl IntoIterator<Item = &'a Port>) -> Self {
        let (mut tcp, mut udp, mut icmp) = (Vec::new(), Vec::new(), false);
        for port in ports {
            let range = (u32::from(port.range.first), u32::from(port.range.last));
            match port.proto {
                Proto::Tcp => tcp.push(range),
                Proto::Udp => udp.push(range),
                Proto::Icmp => icmp = true,
            }
        }
        Self {
            tcp: Ranges::normal(tcp),
            udp: Ranges::normal(udp),
            icmp,
        }
    }

    /// What a rule with this protocol (none means all) and these ports (none means all) matches.
    pub(crate) fn matched(proto: Option<Proto>, ranges: &[PortRange]) -> Self {
        let ports = || {
            if ranges.is_empty() {
                return Ranges::all();
            }
            Ranges::normal(
                ranges
                    .iter()
                    .map(|r| (u32::from(r.first), u32::from(r.last)))
                    .collect(),
            )
        };
        match proto {
            None => Self {
                tcp: ports(),
                udp: ports(),
                icmp: ranges.is_empty(),
            },
            Some(Proto::Tcp) => Self {
                tcp: ports(),
                ..Self::default()
            },
            Some(Proto::Udp) => Self {
                udp: ports(),
                ..Self::default()
            },
            Some(Proto::Icmp) => Self::echo(),
        }
    }

    /// ICMP echo alone.
    pub(crate) fn echo() -> Self {
        Self {
            icmp: true,
            ..Self::default()
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.tcp.0.is_empty() && self.udp.0.is_empty() && !self.icmp
    }

    /// In one or in the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            tcp: self.tcp.union(&other.tcp),
            udp: self.udp.union(&other.udp),
            icmp: self.icmp || other.icmp,
        }
    }

    /// In both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            tcp: self.tcp.intersection(&other.tcp),
            udp: self.udp.intersection(&other.udp),
            icmp: self.icmp && other.icmp,
        }
    }

    /// In this one and not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self {
            tcp: self.tcp.without(&other.tcp),
            udp: self.udp.without(&other.udp),
            icmp: self.icmp && !other.icmp,
        }
    }

    /// Whether all of `other` is in it.
    pub fn covers(&self, other: &Self) -> bool {
        other.without(self).is_empty()
    }

    /// Whether a port of this number and protocol is in it; only the first number of `port` counts.
    pub fn contains(&self, port: Port) -> bool {
        let number = u32::from(port.range.first);
        let has = |ranges: &Ranges| ranges.0.iter().any(|r| r.0 <= number && number <= r.1);
        match port.proto {
            Proto::Tcp => has(&self.tcp),
            Proto::Udp => has(&self.udp),
            Proto::Icmp => self.icmp,
        }
    }

    /// The ports, TCP first, ascending.
    pub fn ports(&self) -> Vec<Port> {
        let of = |proto: Proto, ranges: &Ranges| -> Vec<Port> {
            ranges
                .0
                .iter()
                .filter_map(|&(first, last)| {
                    let first = u16::try_from(first).ok()?;
                    let last = u16::try_from(last).ok()?;
                    Some(Port {
                        proto,
                        range: PortRange { first, last },
                    })
                })
                .collect()
        };
        let mut out = of(Proto::Tcp, &self.tcp);
        out.extend(of(Proto::Udp, &self.udp));
        if self.icmp {
            out.push(Port {
                proto: Proto::Icmp,
                range: PortRange {
                    first: 0,
                    last: u16::MAX,
                },
            });
        }
        out
    }

    /// The ports as words; `everything` for all of them.
    pub fn words(&self) -> String {
        if *self == Self::all() {
            return "everything".to_owned();
        }
        let whole = Ranges::all();
        let words: Vec<String> = self
            .ports()
            .iter()
            .map(|port| match port.proto {
                Proto::Tcp if self.tcp == whole => "all TCP".to_owned(),
                Proto::Udp if self.udp == whole => "all UDP".to_owned(),
                Proto::Tcp | Proto::Udp | Proto::Icmp => port.to_string(),
            })
            .collect();
        words.join(", ")
    }
}

impl Serialize for PortSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.ports().iter().map(Port::to_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ports() -> impl Strategy<Value = Vec<Port>> {
        let one = (0..3_u8, 1..=60_u16, 0..20_u16).prop_map(|(proto, first, length)| match proto {
            0 => format!("{first}-{}/tcp", first + length),
            1 => format!("{first}-{}/udp", first + length),
            _ => "icmp".to_owned(),
        });
        let one = one.prop_map(|text| text.parse::<Port>().expect("a port"));
        proptest::collection::vec(one, 0..5)
    }

    fn single(proto: Proto, number: u16) -> Port {
        Port {
            proto,
            range: PortRange::one(number),
        }
    }

    proptest! {
        #[test]
        fn the_algebra_agrees_with_membership(a in ports(), b in ports()) {
            let (left, right) = (PortSet::of(&a), PortSet::of(&b));
            prop_assert_eq!(&PortSet::of(&left.ports()), &left);
            prop_assert_eq!(left.covers(&right), right.without(&left).is_empty());
            for proto in [Proto::Tcp, Proto::Udp, Proto::Icmp] {
                for number in 1..90 {
                    let probe = single(proto, number);
                    let is_in = |list: &[Port]| list.iter().any(|p| {
                        p.proto == proto && (proto == Proto::Icmp || p.range.contains(number))
                    });
                    let (in_a, in_b) = (is_in(&a), is_in(&b));
                    prop_assert_eq!(left.contains(probe), in_a);
                    prop_assert_eq!(left.union(&right).contains(probe), in_a || in_b);
                    prop_assert_eq!(left.intersection(&right).contains(probe), in_a && in_b);
                    prop_assert_eq!(left.without(&right).contains(probe), in_a && !in_b);
                }
            }
        }
    }

    #[test]
    fn words_are_short_for_the_whole() {
        assert_eq!(PortSet::all().words(), "everything");
        let all_tcp = PortSet::matched(Some(Proto::Tcp), &[]);
        assert_eq!(all_tcp.union(&PortSet::echo()).words(), "all TCP, icmp");
    }
}
