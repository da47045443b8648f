//! The named formats of the schema: one check each, with the complaint of the real API.

use super::{address, check::parse_properties, guest_formats};

/// Checks a text against a named format; `path` is the name by which complaints call it. Unknown names refuse everything; a test keeps the table free of them.
///
/// # Errors
/// The complaint, without line break.
pub(crate) fn check(name: &str, text: &str, path: &str) -> Result<(), String> {
    if let Some(item) = name.strip_suffix("-list") {
        if text.is_empty() {
            return Ok(());
        }
        return text
            .split([',', ';', ' ', '\0'])
            .filter(|part| !part.is_empty())
            .try_for_each(|part| check(item, part, path));
    }
    if LOOSE.contains(&name) {
        return Ok(());
    }
    if let Some(params) = guest_formats::named(name) {
        return parse_properties(params, text, path)
            .map(|_| ())
            .map_err(|text| text.strip_suffix('\n').unwrap_or(&text).to_owned());
    }
    let Some((_, judge)) = CHECKS.iter().find(|(known, _)| *known == name) else {
        return Err(format!("format '{name}' is not modelled"));
    };
    judge(text)
}

/// Whether there is a check for a format.
#[cfg(test)]
pub(crate) fn is_known(name: &str) -> bool {
    if let Some(item) = name.strip_suffix("-list") {
        return is_known(item);
    }
    LOOSE.contains(&name)
        || guest_formats::named(name).is_some()
        || CHECKS.iter().any(|(known, _)| *known == name)
}

type Check = (&'static str, fn(&str) -> Result<(), String>);

/// Formats of options that the lab stores and does nothing with.
const LOOSE: &[&str] = &[
    "pve-cpuset",
    "pve-hotplug-features",
    "pve-qemu-sev-fmt",
    "pve-qemu-tdx-fmt",
    "pve-qm-rng",
    "pve-qm-smbios1",
    "pve-qm-watchdog",
    "pve-vm-cpu-conf",
    "pve-qm-ide",
    "pve-qm-bootdisk",
    "pve-calendar-event",
    "pve-replication-job-id",
    "pve-sdn-bgp-rt",
    "pve-sdn-dhcp-range",
    "pve-sdn-fabric-id",
    "pve-sdn-subnet-id",
    "pve-storage-path-in-property-string",
    "pve-volume-id-or-absolute-path",
    "pve-volume-id-or-qm-path",
    "storage-pair",
    "email-opt",
    "email",
    "prune-backups",
    "string",
    "pve-storage-path",
    "pve-storage-server",
    "pve-storage-portal-dns",
    "pve-storage-options",
    "pve-storage-vgname",
    "pve-dir-override",
    "pve-acl-path",
    "graphite-path",
    "pem-string",
    "pem-certificate-chain",
    "pve-storage-zfs-blocksize",
    "bridge-pair",
    "pve-command-batch",
    "pve-phys-bits",
    "pve-vlan-id-or-range",
];

const CHECKS: &[Check] = &[
    ("pve-node", |t| {
        when(
            is_dns_label(t),
            "value does not look like a valid node name",
        )
    }),
    ("pve-vmid", |t| {
        let valid = !t.starts_with('0')
            && t.parse::<u32>()
                .is_ok_and(|n| (100..=999_999_999).contains(&n));
        when(valid, "value does not look like a valid VM ID")
    }),
    ("dns-name", |t| {
        let valid = t.len() <= 253 && t.split('.').all(is_dns_label);
        when(valid, "value does not look like a valid DNS name")
    }),
    ("pve-storage-id", |t| {
        let valid = t.len() >= 2
            && t.starts_with(|c: char| c.is_ascii_alphabetic())
            && t.ends_with(|c: char| c.is_ascii_alphanumeric())
            && is_made_of(t, "-_.");
        when(
            valid,
            &format!("storage ID '{t}' contains illegal characters"),
        )
    }),
    ("pve-configid", |t| {
        let valid =
            t.len() >= 2 && t.starts_with(|c: char| c.is_ascii_alphabetic()) && is_made_of(t, "-_");
        when(valid, &format!("invalid configuration ID '{t}'"))
    }),
    ("pve-iface", |t| {
        let valid = (2..=20).contains(&t.len())
            && t.starts_with(|c: char| c.is_ascii_alphanumeric())
            && is_made_of(t, "-_.:");
        when(valid, &format!("invalid network interface name '{t}'"))
    }),
    ("pve-bridge-id", |t| {
        when(
            !t.is_empty() && is_made_of(t, "-_."),
            &format!("invalid bridge ID '{t}'"),
        )
    }),
    ("pve-poolid", |t| {
        let valid = !t.is_empty()
            && t.split('/').count() <= 3
            && t.split('/').all(|p| !p.is_empty() && is_made_of(p, "-_."));
        when(valid, &format!("pool ID '{t}' contains invalid characters"))
    }),
    ("pve-volume-id", |t| {
        let valid = t
            .split_once(':')
            .is_some_and(|(storage, rest)| !storage.is_empty() && !rest.is_empty());
        when(valid, &format!("unable to parse volume ID '{t}'"))
    }),
    ("urlencoded", |t| {
        let valid = t
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-%_.!~*'()".contains(&b));
        when(valid, &format!("invalid urlencoded string: {t}"))
    }),
    ("pve-tag", |t| {
        let valid =
            t.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && is_made_of(t, "-_+.");
        when(valid, "invalid characters in tag")
    }),
    ("disk-size", |t| {
        let number = t.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(t);
        when(
            number.parse::<f64>().is_ok(),
            &format!("value does not look like a valid disk size: {t}"),
        )
    }),
    ("mac-addr", |t| {
        let parts: Vec<&str> = t.split(':').collect();
        let hex = parts.len() == 6
            && parts
                .iter()
                .all(|p| p.len() == 2 && u8::from_str_radix(p, 16).is_ok());
        let unicast = hex && u8::from_str_radix(parts[0], 16).is_ok_and(|first| first & 1 == 0);
        when(
            unicast,
            "value does not look like a valid unicast MAC address",
        )
    }),
    ("pve-startup-order", startup),
    ("ip", |t| {
        when(
            t.parse::<std::net::IpAddr>().is_ok(),
            "value does not look like a valid IP address",
        )
    }),
    ("ipv4", |t| {
        when(
            t.parse::<std::net::Ipv4Addr>().is_ok(),
            "value does not look like a valid IPv4 address",
        )
    }),
    ("ipv6", |t| {
        when(
            t.parse::<std::net::Ipv6Addr>().is_ok(),
            "value does not look like a valid IPv6 address",
        )
    }),
    ("ipv4mask", |t| {
        let valid = t.parse::<u8>().is_ok_and(|bits| bits <= 32)
            || t.parse::<std::net::Ipv4Addr>().is_ok_and(|mask| {
                mask.to_bits().leading_ones() + mask.to_bits().trailing_zeros() == 32
            });
        when(valid, "value does not look like a valid IPv4 netmask")
    }),
    ("address", |t| {
        let valid = t.parse::<std::net::IpAddr>().is_ok() || t.split('.').all(is_dns_label);
        when(
            valid,
            &format!("value '{t}' does not look like a valid address"),
        )
    }),
    ("CIDR", |t| {
        when(
            address::is_cidr(t, None),
            "value does not look like a valid CIDR network",
        )
    }),
    ("CIDRv4", |t| {
        when(
            address::is_cidr(t, Some(4)),
            "value does not look like a valid IPv4 CIDR network",
        )
    }),
    ("CIDRv6", |t| {
        when(
            address::is_cidr(t, Some(6)),
            "value does not look like a valid IPv6 CIDR network",
        )
    }),
    ("pve-ipv4-config", |t| {
        when(
            t == "dhcp" || address::is_cidr(t, Some(4)),
            "value does not look like a valid ipv4 network configuration",
        )
    }),
    ("pve-ipv6-config", |t| {
        when(
            matches!(t, "dhcp" | "auto") || address::is_cidr(t, Some(6)),
            "value does not look like a valid ipv6 network configuration",
        )
    }),
    ("IPorCIDR", |t| {
        when(
            address::is_address_or_network(t),
            "value does not look like a valid IP address or CIDR network",
        )
    }),
    ("IPorCIDRorAlias", |t| {
        let valid = address::is_address_or_network(t) || address::is_alias(t);
        when(
            valid,
            "value does not look like a valid IP address, CIDR network or alias",
        )
    }),
    ("pve-fw-addr-spec", address::check_list),
    ("pve-fw-dport-spec", address::check_ports),
    ("pve-fw-sport-spec", address::check_ports),
    ("pve-fw-protocol-spec", |t| {
        let known = PROTOCOLS.contains(&t) || t.parse::<u8>().is_ok();
        when(known, &format!("unknown protocol '{t}'"))
    }),
    ("pve-fw-icmp-type-spec", |t| {
        let known = ICMP.contains(&t) || t.parse::<u8>().is_ok();
        when(known, &format!("invalid icmp-type '{t}'"))
    }),
    ("pve-fw-conntrack-helper", |t| {
        let known = [
            "amanda",
            "ftp",
            "irc",
            "netbios-ns",
            "pptp",
            "sane",
            "sip",
            "snmp",
            "tftp",
        ]
        .contains(&t);
        when(known, &format!("unknown conntrack helper '{t}'"))
    }),
    ("pve-storage-content", |t| {
        let known = [
            "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
        ]
        .contains(&t);
        when(known, &format!("invalid content type '{t}'"))
    }),
    ("pve-realm", |t| {
        let valid = t.starts_with(|c: char| c.is_ascii_alphabetic()) && is_made_of(t, "-_.");
        when(valid, "value does not look like a valid realm")
    }),
    ("pve-userid", |t| {
        when(
            is_user(t),
            &format!("value '{t}' does not look like a valid user name"),
        )
    }),
    ("pve-groupid", |t| {
        when(
            !t.is_empty() && is_made_of(t, "-_."),
            &format!("group name '{t}' contains invalid characters"),
        )
    }),
    ("pve-roleid", |t| {
        when(
            !t.is_empty() && is_made_of(t, "-_."),
            &format!("role name '{t}' contains invalid characters"),
        )
    }),
    ("pve-tokenid", |t| {
        when(
            t.split_once('!')
                .is_some_and(|(user, token)| is_user(user) && !token.is_empty()),
            &format!("value '{t}' does not look like a valid token ID"),
        )
    }),
    ("pve-priv", |t| {
        let known = crate::lab::api::model::access::PRIVILEGES.contains(&t);
        when(known, &format!("invalid privilege '{t}'"))
    }),
    ("pve-task-status-type", |t| {
        when(
            ["ok", "error", "warning", "unknown"].contains(&t),
            &format!("invalid task status '{t}'"),
        )
    }),
    ("pve-ha-resource-id", |t| {
        let id = t.strip_prefix("vm:").or_else(|| t.strip_prefix("ct:"));
        when(
            id.is_some_and(|id| id.parse::<u32>().is_ok()),
            &format!("unable to parse HA resource ID '{t}'"),
        )
    }),
    ("pve-ha-node", |t| {
        let (name, priority) = t.split_once(':').unwrap_or((t, "0"));
        when(
            is_dns_label(name) && priority.parse::<u32>().is_ok(),
            &format!("value does not look like a valid ha group node '{t}'"),
        )
    }),
    ("pve-ha-resource-or-vm-id", |t| {
        let id = t
            .strip_prefix("vm:")
            .or_else(|| t.strip_prefix("ct:"))
            .unwrap_or(t);
        when(
            id.parse::<u32>().is_ok(),
            &format!("unable to parse HA resource ID '{t}'"),
        )
    }),
];

const PROTOCOLS: &[&str] = &[
    "tcp",
    "udp",
    "icmp",
    "igmp",
    "ipv6-icmp",
    "icmpv6",
    "sctp",
    "dccp",
    "udplite",
    "esp",
    "ah",
    "gre",
    "ipip",
    "ipv6",
    "ospf",
    "vrrp",
    "all",
];

/// Names that iptables knows, as far as the lab's firewall needs them.
pub(crate) const ICMP: &[&str] = &[
    "any",
    "echo-request",
    "echo-reply",
    "destination-unreachable",
    "network-unreachable",
    "host-unreachable",
    "protocol-unreachable",
    "port-unreachable",
    "fragmentation-needed",
    "source-quench",
    "redirect",
    "router-advertisement",
    "router-solicitation",
    "time-exceeded",
    "ttl-zero-during-transit",
    "parameter-problem",
    "timestamp-request",
    "timestamp-reply",
    "packet-too-big",
    "neighbour-solicitation",
    "neighbour-advertisement",
    "neighbor-solicitation",
    "neighbor-advertisement",
];

fn startup(text: &str) -> Result<(), String> {
    let valid = text.split(',').all(|part| {
        let value = part
            .strip_prefix("order=")
            .or_else(|| part.strip_prefix("up="))
            .or_else(|| part.strip_prefix("down="))
            .unwrap_or(part);
        !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit())
    });
    when(valid, "unable to parse startup options")
}

fn when(valid: bool, complaint: &str) -> Result<(), String> {
    if valid {
        Ok(())
    } else {
        Err(complaint.to_owned())
    }
}

fn is_made_of(text: &str, marks: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && is_made_of(text, "-")
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_user(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(name, realm)| {
        !name.is_empty()
            && !name.contains([':', '/', '\\', ' ', '\t', '\n'])
            && realm.starts_with(|c: char| c.is_ascii_alphabetic())
            && is_made_of(realm, "-_.")
    })
}
