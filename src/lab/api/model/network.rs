//! The network interfaces of a node, those that wait in `interfaces.new` included.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// One interface as configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Interface {
    /// `bridge`, `eth` ...
    pub(crate) kind: String,
    pub(crate) cidr: Option<String>,
    pub(crate) gateway: Option<String>,
    /// Ports of a bridge, separated by blanks.
    pub(crate) ports: String,
    pub(crate) autostart: bool,
    pub(crate) vlan_aware: bool,
    pub(crate) comments: Option<String>,
    /// VLANs that a bridge carries.
    #[serde(default)]
    pub(crate) vids: Option<String>,
    #[serde(default)]
    pub(crate) mtu: Option<u32>,
    #[serde(default)]
    pub(crate) cidr6: Option<String>,
    /// Whether it exists now, or only in the file.
    pub(crate) active: bool,
    pub(crate) priority: u32,
}

/// Interfaces of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Network {
    pub(crate) live: BTreeMap<String, Interface>,
    /// The whole next configuration, while changes wait.
    pub(crate) staged: Option<BTreeMap<String, Interface>>,
}

impl Network {
    /// What the API shows and changes: the staged configuration if there is one.
    pub(crate) fn shown(&self) -> &BTreeMap<String, Interface> {
        self.staged.as_ref().unwrap_or(&self.live)
    }

    /// The staged configuration, begun if there is none.
    pub(crate) fn stage(&mut self) -> &mut BTreeMap<String, Interface> {
        self.staged.get_or_insert_with(|| self.live.clone())
    }

    /// Makes the staged configuration live.
    pub(crate) fn apply(&mut self) {
        if let Some(mut staged) = self.staged.take() {
            for interface in staged.values_mut() {
                interface.active = true;
            }
            self.live = staged;
        }
    }

    /// The text of what waits, if anything does.
    pub(crate) fn changes(&self) -> Option<String> {
        let staged = self.staged.as_ref()?;
        let mut lines =
            String::from("--- /etc/network/interfaces\n+++ /etc/network/interfaces.new\n");
        let all: std::collections::BTreeSet<&String> =
            self.live.keys().chain(staged.keys()).collect();
        for name in all {
            let (old, new) = (self.live.get(name), staged.get(name));
            if old == new {
                continue;
            }
            lines.extend(old.map(|interface| interface.stanza(name, '-')));
            lines.extend(new.map(|interface| interface.stanza(name, '+')));
        }
        Some(lines)
    }
}

impl Interface {
    fn stanza(&self, name: &str, sign: char) -> String {
        let method = if self.cidr.is_some() {
            "static"
        } else {
            "manual"
        };
        let mut lines = Vec::new();
        if self.autostart {
            lines.push(format!("auto {name}"));
        }
        lines.push(format!("iface {name} inet {method}"));
        lines.extend(self.cidr.iter().map(|cidr| format!("\taddress {cidr}")));
        lines.extend(
            self.gateway
                .iter()
                .map(|gateway| format!("\tgateway {gateway}")),
        );
        if self.kind == "bridge" {
            let ports = if self.ports.is_empty() {
                "none"
            } else {
                &self.ports
            };
            lines.push(format!("\tbridge-ports {ports}"));
        }
        lines
            .iter()
            .map(|line| format!("{sign}{line}\n"))
            .collect::<Vec<_>>()
            .concat()
    }

    /// As the API shows it.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        put("type", json!(self.kind));
        put("families", json!(["inet"]));
        put(
            "method",
            json!(if self.cidr.is_some() {
                "static"
            } else {
                "manual"
            }),
        );
        put("method6", json!("manual"));
        put("priority", json!(self.priority));
        if self.active {
            put("active", json!(1));
        }
        if self.autostart {
            put("autostart", json!(1));
        }
        if self.kind == "bridge" {
            put("bridge_fd", json!("0"));
            put("bridge_ports", json!(self.ports));
            put("bridge_stp", json!("off"));
            if self.vlan_aware {
                put("bridge_vlan_aware", json!(1));
                put(
                    "bridge_vids",
                    json!(self.vids.as_deref().unwrap_or("2-4094")),
                );
            }
        }
        if let Some((address, bits)) = self.cidr.as_deref().and_then(|cidr| cidr.split_once('/')) {
            put("address", json!(address));
            put("netmask", json!(bits));
            put("cidr", json!(self.cidr));
        }
        if let Some(cidr) = &self.cidr6 {
            put("cidr6", json!(cidr));
        }
        if let Some(mtu) = self.mtu {
            put("mtu", json!(mtu.to_string()));
        }
        if let Some(gateway) = &self.gateway {
            put("gateway", json!(gateway));
        }
        if let Some(comments) = &self.comments {
            put("comments", json!(format!("{}\n", comments.trim_end())));
        }
        fields
    }
}
