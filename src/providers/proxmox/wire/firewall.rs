//! `.../firewall/*` of cluster, groups, nodes and guests.

use super::{Flag, Number, Text};
use crate::model::firewall::{PveAlias, PveRule, PveRuleKind};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET .../options`, with the digest among them.
pub(in super::super) type Options = BTreeMap<String, Option<Text>>;

/// One row of `GET .../rules`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Rule {
    /// A number in the list, a string in the single rule.
    #[serde(default)]
    pub(in super::super) pos: Number,
    #[serde(rename = "type")]
    kind: String,
    action: String,
    /// Stored disabled when it is absent.
    #[serde(default)]
    enable: Flag,
    #[serde(default)]
    pub(in super::super) digest: Option<String>,
    /// Field -> why Proxmox skips the whole rule (`no such alias`).
    #[serde(default)]
    pub(in super::super) errors: BTreeMap<String, String>,
    #[serde(default)]
    proto: Option<Text>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    dest: Option<String>,
    #[serde(default)]
    sport: Option<Text>,
    #[serde(default)]
    dport: Option<Text>,
    #[serde(default, rename = "icmp-type")]
    icmp_type: Option<Text>,
    #[serde(default)]
    r#macro: Option<String>,
    #[serde(default)]
    iface: Option<String>,
    #[serde(default)]
    log: Option<String>,
    #[serde(default)]
    comment: Option<String>,
}

impl Rule {
    /// The rule in the model's words; the error is a type of rule that infra does not know.
    pub(in super::super) fn into_model(self) -> Result<PveRule, String> {
        let kind = match self.kind.as_str() {
            "in" => PveRuleKind::In,
            "out" => PveRuleKind::Out,
            "forward" => PveRuleKind::Forward,
            "group" => PveRuleKind::Group,
            other => return Err(format!("rule {} has the type `{other}`", self.pos.0)),
        };
        let text = |value: Option<Text>| value.map(|Text(text)| text);
        Ok(PveRule {
            kind,
            action: self.action,
            enable: self.enable.0,
            proto: text(self.proto),
            source: self.source,
            dest: self.dest,
            sport: text(self.sport),
            dport: text(self.dport),
            icmp_type: text(self.icmp_type),
            r#macro: self.r#macro,
            iface: self.iface,
            log: self.log,
            comment: self.comment,
        })
    }
}

/// One row of `GET .../aliases`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Alias {
    pub(in super::super) name: String,
    cidr: String,
    #[serde(default)]
    comment: Option<String>,
}

impl Alias {
    pub(in super::super) fn into_model(self) -> (String, PveAlias) {
        (
            self.name,
            PveAlias {
                cidr: self.cidr,
                comment: self.comment,
            },
        )
    }
}

/// One row of `GET .../ipset`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Ipset {
    pub(in super::super) name: String,
    #[serde(default)]
    pub(in super::super) comment: Option<String>,
}

/// One row of `GET .../ipset/{name}`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Member {
    pub(in super::super) cidr: String,
    #[serde(default)]
    pub(in super::super) nomatch: Flag,
}

/// One row of `GET /cluster/firewall/groups`.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Group {
    pub(in super::super) group: String,
    #[serde(default)]
    pub(in super::super) comment: Option<String>,
}
