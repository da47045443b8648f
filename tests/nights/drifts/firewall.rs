//! The flow matrix as Proxmox, UFW and Docker carry it out.

use super::Drift;
use crate::lab::Place::{Desk, Extranet, Intranet};

pub(super) fn all() -> Vec<Drift> {
    vec![
        Drift::new(
            "a rule added on Proxmox",
            (Desk, "pve POST /nodes/pve/qemu/110/firewall/rules -d type=in -d action=ACCEPT -d enable=1 -d proto=tcp -d dport=5432"),
            &["pve: firewall of guest 110"],
            &["5432"],
            (Desk, "pve GET /nodes/pve/qemu/110/firewall/rules | grep -c '\"dport\":\"5432\"' || true", "0"),
        ),
        Drift::new(
            "a rule removed on Proxmox",
            (Desk, "pve DELETE /cluster/firewall/groups/$(pve GET /nodes/pve/qemu/111/firewall/rules | grep -o 'infra-[0-9a-f]\\{12\\}' | head -n 1)/1"),
            &["pve: firewall of group infra-"],
            &["firewall of group infra-"],
            (Desk, "pve GET /cluster/firewall/groups/$(pve GET /nodes/pve/qemu/111/firewall/rules | grep -o 'infra-[0-9a-f]\\{12\\}' | head -n 1) | grep -o '\"dport\":\"[^\"]*\"' | cut -d '\"' -f 4 | tr '\\n' ' '", "22 80,443 1194 1194 443,9100 2283,3000,3001,8096 53,80,443 53,123 53 53"),
        ),
        Drift::new(
            "rules in another order on Proxmox",
            (Desk, "pve PUT /cluster/firewall/groups/$(pve GET /nodes/pve/qemu/111/firewall/rules | grep -o 'infra-[0-9a-f]\\{12\\}' | head -n 1)/1 -d moveto=4"),
            &["pve: firewall of group infra-"],
            &["firewall of group infra-"],
            (Desk, "pve GET /cluster/firewall/groups/$(pve GET /nodes/pve/qemu/111/firewall/rules | grep -o 'infra-[0-9a-f]\\{12\\}' | head -n 1) | grep -o '\"dport\":\"[^\"]*\"' | cut -d '\"' -f 4 | tr '\\n' ' '", "22 80,443 1194 1194 443,9100 2283,3000,3001,8096 53,80,443 53,123 53 53"),
        )
        .apart(),
        Drift::new(
            "a rule switched off on Proxmox",
            (Desk, "pve PUT /cluster/firewall/groups/$(pve GET /nodes/pve/qemu/110/firewall/rules | grep -o 'infra-[0-9a-f]\\{12\\}' | head -n 1)/1 -d enable=0"),
            &["pve: firewall of group infra-"],
            &["firewall of group infra-"],
            (Desk, "pve GET /cluster/firewall/groups/$(pve GET /nodes/pve/qemu/110/firewall/rules | grep -o 'infra-[0-9a-f]\\{12\\}' | head -n 1) | grep -o '\"enable\":1' | wc -l", "10"),
        )
        .apart(),
        Drift::new(
            "a guest's firewall switched off",
            (Desk, "pve PUT /nodes/pve/qemu/111/firewall/options -d enable=0"),
            &["pve: firewall of guest 111"],
            &["enable"],
            (Desk, "pve GET /nodes/pve/qemu/111/firewall/options | grep -o '\"enable\":[01]'", "\"enable\":1"),
        )
        .apart(),
        Drift::new(
            "a guest that lets everything in",
            (Desk, "pve PUT /nodes/pve/qemu/111/firewall/options -d policy_in=ACCEPT"),
            &["pve: firewall of guest 111"],
            &["policy_in"],
            (Desk, "pve GET /nodes/pve/qemu/111/firewall/options | grep -c '\"policy_in\":\"ACCEPT\"' || true", "0"),
        )
        .apart(),
        Drift::new(
            "the whole firewall switched off",
            (Desk, "pve PUT /cluster/firewall/options -d enable=0"),
            &["pve: firewall of datacenter"],
            &["firewall of datacenter"],
            (Desk, "pve GET /cluster/firewall/options | grep -o '\"enable\":[01]'", "\"enable\":1"),
        )
        .apart(),
        Drift::new(
            "one more network among the operators",
            (Desk, "pve POST /cluster/firewall/ipset/infra-set-operators -d cidr=192.168.1.0/24"),
            &["pve: firewall of datacenter"],
            &["192.168.1.0/24"],
            (Desk, "pve GET /cluster/firewall/ipset/infra-set-operators | grep -o '\"cidr\":\"[^\"]*\"'", "\"cidr\":\"192.168.1.50\""),
        ),
        Drift::new(
            "an address missing in a set",
            (Desk, "pve DELETE /cluster/firewall/ipset/infra-host-extranet/10.10.10.2"),
            &["pve: firewall of datacenter"],
            &["10.10.10.2"],
            (Desk, "pve GET /cluster/firewall/ipset/infra-host-extranet | grep -o '\"cidr\":\"[^\"]*\"' || true", "\"cidr\":\"10.10.10.2\""),
        )
        .apart(),
        Drift::new(
            "an alias with another network",
            (Desk, "pve PUT /cluster/firewall/aliases/local_network -d cidr=192.168.0.0/16"),
            &["pve: firewall of datacenter"],
            &["192.168.0.0/16"],
            (Desk, "pve GET /cluster/firewall/aliases | grep -o '\"cidr\":\"[^\"]*\"'", "\"cidr\":\"192.168.1.10\""),
        )
        .apart(),
        Drift::new(
            "a rule of the node removed",
            (Desk, "pve DELETE /nodes/pve/firewall/rules/2"),
            &["pve: firewall of node pve"],
            &["firewall of node pve"],
            (Desk, "pve GET /nodes/pve/firewall/rules | grep -o '\"pos\":' | wc -l", "3"),
        ),
        Drift::new(
            "a rule added to UFW",
            (Intranet, "ufw allow 8080/tcp >/dev/null"),
            &["intranet: ufw"],
            &["8080"],
            (Intranet, "ufw status | grep -c 8080 || true", "0"),
        ),
        Drift::new(
            "a rule removed from UFW",
            (Extranet, "ufw --force delete 2 >/dev/null"),
            &["extranet: ufw"],
            &["extranet"],
            (Extranet, "ufw status | grep -c '^80,443/tcp' || true", "1"),
        ),
        Drift::new(
            "UFW switched off",
            (Extranet, "ufw --force disable >/dev/null"),
            &["extranet: ufw"],
            &["state: inactive → active"],
            (Extranet, "ufw status | head -n 1", "Status: active"),
        )
        .apart(),
        Drift::new(
            "UFW that lets everything in",
            (Intranet, "ufw default allow incoming >/dev/null"),
            &["intranet: ufw"],
            &["incoming"],
            (Intranet, "ufw status verbose | sed -n 's/^Default: //p'", "deny (incoming), allow (outgoing), deny (routed)"),
        )
        .apart(),
        Drift::new(
            "a rule of UFW taken out of the kernel",
            (Intranet, "iptables -D ufw-user-input 2"),
            &["intranet: ufw"],
            &["intranet"],
            (Intranet, "iptables -S ufw-user-input | grep -c -- '-A' || true", "2"),
        )
        .apart(),
        Drift::new(
            "the rules for published ports flushed",
            (Intranet, "iptables -F INFRA-DOCKER"),
            &["intranet: docker firewall chain"],
            &["live rules: other → as in the inventory"],
            (Intranet, "test $(iptables -S INFRA-DOCKER | grep -c -- '-A') -gt 1 && echo there || true", "there"),
        ),
        Drift::new(
            "the way into the rules for published ports taken away",
            (Extranet, "iptables -D DOCKER-USER -j INFRA-DOCKER"),
            &["extranet: docker firewall chain"],
            &["live rules: other → as in the inventory"],
            (Extranet, "iptables -S DOCKER-USER | sed -n 2p", "-A DOCKER-USER -j INFRA-DOCKER"),
        ),
        Drift::new(
            "forwarded packets that are not asked for published ports",
            (Intranet, "iptables -D FORWARD -j DOCKER-USER"),
            &["intranet: docker firewall chain"],
            &["live rules: other → as in the inventory"],
            (Intranet, "iptables -S FORWARD | sed -n 2p", "-A FORWARD -j DOCKER-USER"),
        )
        .apart(),
    ]
}
