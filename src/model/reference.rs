//! What an option in Proxmox's own words names and does not bring along: Proxmox takes it without looking, and the guest
//! fails at its next start.

use super::{
    ids::HostName,
    observed::{ObservedProxmox, Question},
};
use std::collections::BTreeMap;

/// Something that has to be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// A bridge of the node.
    Bridge(String),
    /// A PCI resource mapping with a device of the node.
    Pci(String),
    /// A USB resource mapping with a device of the node.
    Usb(String),
    /// A directory mapping with a directory of the node.
    Directory(String),
    /// A snippet that cloud-init is given: a volume id.
    Snippet(String),
}

impl Reference {
    /// What the options of a guest name, each with its option.
    pub fn of(config: &BTreeMap<String, String>) -> Vec<(String, Self)> {
        let mut out = Vec::new();
        for (key, value) in config {
            let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
            let part = |name: &str| {
                let mut parts = value.split(',');
                parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
            };
            let first = value.split(',').next().filter(|first| !first.contains('='));
            let found: Vec<Self> = match stem {
                "net" => part("bridge")
                    .map(|name| Self::Bridge(name.to_owned()))
                    .into_iter()
                    .collect(),
                "hostpci" => part("mapping")
                    .map(|name| Self::Pci(name.to_owned()))
                    .into_iter()
                    .collect(),
                "usb" => part("mapping")
                    .map(|name| Self::Usb(name.to_owned()))
                    .into_iter()
                    .collect(),
                "virtiofs" => part("dirid")
                    .or(first)
                    .map(|name| Self::Directory(name.to_owned()))
                    .into_iter()
                    .collect(),
                "cicustom" => value
                    .split(',')
                    .filter_map(|part| Some(Self::Snippet(part.split_once('=')?.1.to_owned())))
                    .collect(),
                _ => Vec::new(),
            };
            out.extend(found.into_iter().map(|reference| (key.clone(), reference)));
        }
        out
    }

    /// What is missing on a node, and what to do about it; none when it is there, or when nobody could say.
    pub fn missing(&self, node: &HostName, seen: &ObservedProxmox) -> Option<(String, String)> {
        let mapped = |kind: &str, name: &str, known: &BTreeMap<String, Vec<String>>, asked| {
            if seen.unanswered(&asked).is_some() {
                return None;
            }
            let help = "Make it under Datacenter > Resource Mappings.".to_owned();
            let Some(entries) = known.get(name) else {
                return Some((format!("there is no {kind} mapping `{name}`"), help));
            };
            let is_here = |entry: &String| {
                let mut parts = entry.split(',');
                parts.any(|part| part.strip_prefix("node=") == Some(node.as_str()))
            };
            (!entries.iter().any(is_here)).then(|| {
                let text = format!("{kind} mapping `{name}` names nothing of node {node}");
                (
                    text,
                    format!("Add {node} to it under Datacenter > Resource Mappings."),
                )
            })
        };
        let live = || {
            let asked = Question::Node(node.clone());
            let live = seen.nodes.get(node)?;
            (seen.unanswered(&asked).is_none() && live.status != "offline").then_some(live)
        };
        match self {
            Self::Bridge(name) => (!live()?.bridges.contains_key(name)).then(|| {
                (
                    format!("node {node} has no bridge `{name}`"),
                    format!("Create it under {node} > System > Network."),
                )
            }),
            Self::Pci(name) => mapped("PCI", name, &seen.pci_mappings, Question::PciMappings),
            Self::Usb(name) => mapped("USB", name, &seen.usb_mappings, Question::UsbMappings),
            Self::Directory(name) => {
                mapped("directory", name, &seen.dir_mappings, Question::DirMappings)
            }
            Self::Snippet(volume) => {
                let storage = volume.split(':').next().unwrap_or_default();
                let held = live()?.storages.get(storage);
                let is_there = held.is_some_and(|held| held.volumes.contains_key(volume));
                (!is_there).then(|| {
                    let text = format!("node {node} has no snippet `{volume}`");
                    let help = format!(
                        "Proxmox's API stores no snippets: put the file into the `snippets` folder of storage `{storage}` on {node}."
                    );
                    (text, help)
                })
            }
        }
    }
}
