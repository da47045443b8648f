//! The chains of the node itself.

use super::{
    address::Names,
    chain::{Chains, Family},
    ipset::{self, Owner},
    rule::{Interface, Target, add_rules},
};
use crate::lab::backend::FirewallScope;

/// Management ports: the API, consoles, the SPICE proxy, SSH, live migration.
const MANAGEMENT: &[&str] = &["8006", "5900:5999", "3128", "22", "60000:60050"];

/// Adds what comes into the node and what it sends. The node's own rules stand before the cluster's, and both before
/// the built-in way in for the management set.
pub(super) fn add_node(
    chains: &mut Chains,
    family: Family,
    names: &Names<'_>,
    node: &FirewallScope,
) {
    let (incoming, outgoing) = ("PVEFW-HOST-IN", "PVEFW-HOST-OUT");
    chains.add("PVEFW-INPUT", format!("-j {incoming}"));
    chains.add("PVEFW-OUTPUT", format!("-j {outgoing}"));
    let done = "-j RETURN";
    for (chain, loopback) in [(incoming, "-i lo"), (outgoing, "-o lo")] {
        chains.add(chain, format!("{loopback} -j ACCEPT"));
        chains.add(chain, "-m conntrack --ctstate INVALID -j DROP");
        chains.add(
            chain,
            "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        );
        match family {
            Family::V4 => chains.add(chain, format!("-p igmp {done}")),
            Family::V6 => chains.add_neighbour_discovery(chain, chain == incoming, done),
        }
    }
    let sides = [
        ("in", incoming, "policy_in", "DROP"),
        ("out", outgoing, "policy_out", "ACCEPT"),
    ];
    for (direction, chain, policy, default) in sides {
        let target = Target {
            chain,
            direction,
            accept: done,
            accepted_by_group: done,
            interface: Interface::Node,
        };
        add_rules(chains, family, names, &node.rules, &target);
        add_rules(chains, family, names, &names.cluster.rules, &target);
        if direction == "in" {
            let set = ipset::set_name(Owner::Cluster, "management", family);
            for port in MANAGEMENT {
                let rule = format!("-m set --match-set {set} src -p tcp --dport {port} {done}");
                chains.add(chain, rule);
            }
        } else if let Some(local) = names.network("local_network")
            && Family::of(local.addr()) == family
        {
            for port in ["8006", "22", "5900:5999", "3128"] {
                chains.add(chain, format!("-d {local} -p tcp --dport {port} {done}"));
            }
        }
        let policy = names.cluster.options.get(policy);
        chains.add_policy(chain, policy.map_or(default, |p| p.trim()), done);
    }
}
