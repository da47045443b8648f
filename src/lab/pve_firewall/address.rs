//! What the `source` and `dest` of a rule stand for.

use super::{
    chain::Family,
    ipset::{self, Owner},
};
use crate::lab::backend::{FirewallScope, FirewallSnapshot};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};

/// Where names are looked up: the cluster, with a guest before it where there is one.
pub(super) struct Names<'a> {
    pub(super) cluster: &'a FirewallSnapshot,
    pub(super) guest: Option<(u32, &'a FirewallScope)>,
    /// The node's own subnet, unless an alias of that name replaces it.
    pub(super) local_network: Option<IpNet>,
}

/// One side of a rule, in iptables' words, by family; a family that is absent does not get the rule.
pub(super) type Side = BTreeMap<Family, String>;

impl Names<'_> {
    /// The matches of `source` or `dest`; none when a name is gone or nothing makes sense of the text.
    pub(super) fn side(&self, text: &str, source: bool) -> Option<Side> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Family::BOTH.map(|family| (family, String::new())).into());
        }
        if let Some(name) = text.strip_prefix('+') {
            let owner = self.set_owner(name)?;
            let bare = bare(name);
            let end = if source { "src" } else { "dst" };
            let matched = |family| {
                let set = ipset::set_name(owner, bare, family);
                (family, format!("-m set --match-set {set} {end} "))
            };
            return Some(Family::BOTH.map(matched).into());
        }
        if let Some((first, last)) = range(text) {
            let end = if source { "src" } else { "dst" };
            let matched = format!("-m iprange --{end}-range {first}-{last} ");
            return Some([(Family::of(first), matched)].into());
        }
        let mut lists: BTreeMap<Family, Vec<String>> = BTreeMap::new();
        for part in text.split(',') {
            let network = self.network(part)?;
            let list = lists.entry(Family::of(network.addr())).or_default();
            list.push(network.to_string());
        }
        let flag = if source { "-s" } else { "-d" };
        let sides = lists.into_iter();
        Some(
            sides
                .map(|(family, list)| (family, format!("{flag} {} ", list.join(","))))
                .collect(),
        )
    }

    /// A network, an address, or an alias.
    pub(super) fn network(&self, text: &str) -> Option<IpNet> {
        let text = text.trim();
        if let Ok(network) = text.parse::<IpNet>() {
            return Some(network.trunc());
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(address.into());
        }
        let name = bare(text);
        let find = |aliases: &BTreeMap<String, String>| {
            let found = aliases
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, cidr)| cidr.clone())
        };
        let own = self.guest.filter(|_| !text.starts_with("dc/"));
        let shared = !text.starts_with("guest/");
        let cidr = own
            .and_then(|(_, scope)| find(&scope.aliases))
            .or_else(|| shared.then(|| find(&self.cluster.aliases)).flatten());
        match cidr {
            Some(cidr) => {
                let network = cidr.parse::<IpNet>().ok();
                let network = network.or_else(|| cidr.parse::<IpAddr>().ok().map(IpNet::from));
                network.map(|network| network.trunc())
            }
            None if name.eq_ignore_ascii_case("local_network") => self.local_network,
            None => None,
        }
    }

    fn set_owner(&self, name: &str) -> Option<Owner> {
        let key = bare(name);
        let guest = self.guest.filter(|_| !name.starts_with("dc/"));
        if let Some((vmid, scope)) = guest
            && scope.ipsets.contains_key(key)
        {
            return Some(Owner::Guest(vmid));
        }
        let shared = !name.starts_with("guest/");
        let known = self.cluster.ipsets.contains_key(key) || key == "management";
        (shared && known).then_some(Owner::Cluster)
    }
}

fn bare(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse::<IpAddr>().ok()?, last.parse::<IpAddr>().ok()?);
    (first.is_ipv4() == last.is_ipv4()).then_some((first, last))
}
