//! What a host needs to load the rules, now and whenever Docker starts.

use super::rule::DockerUser;
use crate::model::{
    resource::{FileResource, Reaction, Resource},
    secret::Content,
};

/// The unit that loads the rules; restarting it repairs the live ones.
pub const DOCKER_UNIT: &str = "infra-docker-firewall.service";

const SCRIPT: &str = include_str!("files/docker-firewall.sh");
const UNIT: &str = include_str!("files/infra-docker-firewall.service");

/// Two fragments for `iptables-restore --noflush`, one for `nft -f`, a script that picks by Docker's backend, and a unit.
pub fn docker_resources(rules: &DockerUser) -> Vec<Resource> {
    let file = |path: &str, text: String, then: Vec<Reaction>| {
        Resource::File(FileResource {
            path: path.to_owned(),
            content: Content::text(text),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o644,
            then,
            purpose: rules.purpose().to_owned(),
        })
    };
    let restart = || vec![Reaction::Restart(DOCKER_UNIT.to_owned())];
    vec![
        Resource::Directory {
            path: "/etc/infra".to_owned(),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode: 0o755,
        },
        file(
            "/etc/infra/docker-firewall.v4",
            fragment(&rules.v4, &rules.egress.v4),
            restart(),
        ),
        file(
            "/etc/infra/docker-firewall.v6",
            fragment(&rules.v6, &rules.egress.v6),
            restart(),
        ),
        file("/etc/infra/docker-firewall.nft", tables(rules), restart()),
        file(
            "/etc/infra/docker-firewall.sh",
            SCRIPT.to_owned(),
            restart(),
        ),
        file(
            "/etc/systemd/system/infra-docker-firewall.service",
            UNIT.to_owned(),
            vec![
                Reaction::DaemonReload,
                Reaction::Restart(DOCKER_UNIT.to_owned()),
            ],
        ),
        Resource::Unit {
            name: DOCKER_UNIT.to_owned(),
            enabled: true,
            active: true,
        },
    ]
}

/// Naming a chain empties it before the rules are added, all in one transaction: also one that is not needed any more.
fn fragment(rules: &[String], egress: &[String]) -> String {
    format!(
        "# Made by infra from the flow matrix.\n*filter\n:INFRA-DOCKER - [0:0]\n:INFRA-DOCKER-OUT - [0:0]\n{}\nCOMMIT\n",
        [rules, egress].concat().join("\n")
    )
}

/// Both tables, replaced in one transaction. The chain stands before Docker's own: what it drops is gone, what it accepts
/// is asked again by whoever else has a chain there.
fn tables(rules: &DockerUser) -> String {
    let table = |family: &str, rules: &[String], egress: &[String]| {
        let rules = rules.join("\n\t\t");
        let containers = if egress.is_empty() {
            String::new()
        } else {
            let egress = egress.join("\n\t\t");
            format!("\tchain containers {{\n\t\t{egress}\n\t}}\n")
        };
        format!(
            "table {family} infra-docker\ndelete table {family} infra-docker\ntable {family} infra-docker {{\n{containers}\tchain forward {{\n\
             \t\ttype filter hook forward priority filter - 10; policy accept;\n\t\t{rules}\n\t}}\n}}\n"
        )
    };
    format!(
        "# Made by infra from the flow matrix.\n{}{}",
        table("ip", &rules.nft4, &rules.egress.nft4),
        table("ip6", &rules.nft6, &rules.egress.nft6)
    )
}
