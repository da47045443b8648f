//! A node that routes between zones: forwarding, and masquerading of what leaves for the Internet.

use crate::model::{
    desired::Desired,
    flow::Zone,
    host::Node,
    resource::{FileResource, Reaction, Resource},
    secret::Content,
};
use ipnet::IpNet;
use std::fmt::Write as _;

const RULES: &str = "/etc/infra/router.nft";
const SYSCTL: &str = "/etc/sysctl.d/60-infra-router.conf";
const UNIT: &str = "infra-router.service";
const TABLE: &str = "ip infra_router";

/// What a routing node needs; nothing for a node that does not route.
pub(super) fn resources(desired: &Desired, node: &Node) -> Vec<Resource> {
    let routed: Vec<&Zone> = desired
        .zones
        .values()
        .filter(|zone| zone.router.as_ref() == Some(&node.name))
        .collect();
    if routed.is_empty() {
        return Vec::new();
    }
    let file = |path: &str, text: String, then: Vec<Reaction>, purpose: &str| {
        Resource::File(FileResource {
            path: path.to_owned(),
            content: Content::text(text),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            then,
            purpose: purpose.to_owned(),
        })
    };
    let names: Vec<&str> = routed.iter().map(|zone| zone.name.as_str()).collect();
    let purpose = format!("{} routes for {}", node.name, names.join(", "));
    let table = table(desired, &routed);
    vec![
        Resource::Package("nftables".to_owned()),
        file(
            SYSCTL,
            "# Made by infra; edits are replaced.\nnet.ipv4.ip_forward = 1\n".to_owned(),
            vec![Reaction::Sysctl],
            &purpose,
        ),
        Resource::Sysctl {
            key: "net.ipv4.ip_forward".to_owned(),
            value: "1".to_owned(),
        },
        file(
            RULES,
            // It is replaced as a whole, in one transaction.
            format!(
                "# Made by infra; edits are replaced.\ntable {TABLE}\ndelete table {TABLE}\n{table}"
            ),
            vec![Reaction::DaemonReload, Reaction::Restart(UNIT.to_owned())],
            &purpose,
        ),
        file(
            &format!("/etc/systemd/system/{UNIT}"),
            unit(),
            vec![Reaction::DaemonReload, Reaction::Restart(UNIT.to_owned())],
            &purpose,
        ),
        Resource::Unit {
            name: UNIT.to_owned(),
            enabled: true,
            active: true,
        },
        Resource::NftTable {
            table: TABLE.to_owned(),
            text: table,
            unit: UNIT.to_owned(),
        },
    ]
}

/// Our own nftables table: it is replaced as a whole and nobody else's rule is in it.
///
/// A guest's packet is tracked twice on a node: on its firewall bridge and when it is routed. Without a zone of its own
/// the first pass would decide the NAT of the second, for an interface without an address (Proxmox's own manual names
/// the zone for masquerading with the firewall on).
fn table(desired: &Desired, routed: &[&Zone]) -> String {
    let inside: Vec<String> = desired
        .zones
        .values()
        .flat_map(|zone| &zone.cidrs)
        .filter(|cidr| matches!(cidr, IpNet::V4(_)))
        .map(ToString::to_string)
        .collect();
    let mut text = format!(
        "table {TABLE} {{\n\
         \x20 chain prerouting {{\n\
         \x20   type filter hook prerouting priority raw; policy accept;\n\
         \x20   iifname \"fwbr*\" ct zone set 1\n\
         \x20 }}\n\
         \x20 chain postrouting {{\n\
         \x20   type nat hook postrouting priority srcnat; policy accept;\n\
         \x20   oifname \"fwbr*\" return\n",
    );
    for zone in routed.iter().filter(|zone| zone.masquerade) {
        for cidr in zone
            .cidrs
            .iter()
            .filter(|cidr| matches!(cidr, IpNet::V4(_)))
        {
            let _ = writeln!(
                text,
                "    ip saddr {cidr} ip daddr != {{ {} }} masquerade comment \"infra:{}\"",
                inside.join(", "),
                zone.name
            );
        }
    }
    text.push_str("  }\n}\n");
    text
}

fn unit() -> String {
    format!(
        "# Made by infra; edits are replaced.\n\
         [Unit]\n\
         Description=Routing between the zones of infra\n\
         After=network.target\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         ExecStart=/usr/sbin/nft -f {RULES}\n\
         ExecStop=/usr/sbin/nft delete table {TABLE}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}
