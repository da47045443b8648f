//! Virtual machines.

use super::{
    Noun, Scope, machine, named,
    names::{entries, items},
    network::{self, Zones},
    scope::{or, text},
    storage::Datasets,
};
use crate::inventory::{
    codes,
    document::{self, Document, Via},
    written::At,
};
use crate::model::{
    address::Mac,
    guest::{Guest, GuestMount, MountVia, Nic, RootDisk},
    ids::{DatasetName, HostName, ImageName, SystemName, Vmid, ZoneName},
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, net::IpAddr};

/// Proxmox's own prefix for locally assigned cards (`BC:24:11`, registered to Proxmox).
const MAC_PREFIX: [u8; 3] = [0xbc, 0x24, 0x11];
/// Proxmox's upper limits for a guest (`cores`, `memory` in the API schema, PVE 9.2.11).
const MAX_CORES: u32 = 512;
const MIN_MEMORY_MIB: u64 = 256;
/// The largest 802.1Q tag that a card may carry.
const MAX_VLAN: u16 = 4094;

/// All guests by name.
pub(super) fn guests(
    document: &Document,
    system: Option<&SystemName>,
    zones: &Zones,
    datasets: &Datasets,
    scope: &mut Scope<'_>,
) -> BTreeMap<HostName, Guest> {
    let mut out = BTreeMap::new();
    for (key, raw) in entries(&document.guests) {
        let name = scope.own_name::<HostName>(key);
        let Some(raw) = &raw.value else { continue };
        let guest = GuestKey {
            key,
            document,
            system: system.map_or("", SystemName::as_str),
        };
        if let Some(resolved) = guest.resolve(raw, zones, datasets, scope)
            && let Some(name) = name
        {
            out.insert(name, resolved);
        }
    }
    out
}

struct GuestKey<'a> {
    key: &'a At<String>,
    document: &'a Document,
    system: &'a str,
}

impl GuestKey<'_> {
    fn name(&self) -> &str {
        self.key.value.as_deref().unwrap_or_default()
    }

    fn resolve(
        &self,
        raw: &document::Guest,
        zones: &Zones,
        datasets: &Datasets,
        scope: &mut Scope<'_>,
    ) -> Option<Guest> {
        let vmid = self.vmid(raw, scope);
        let node: Option<HostName> = match &raw.node {
            Some(at) => scope.refer(Noun::Node, at),
            None => scope.only(Noun::Node, self.key.span, "node"),
        };
        let image: Option<ImageName> = match &raw.image {
            Some(at) => scope.refer(Noun::Image, at),
            None => scope.only(Noun::Image, self.key.span, "image"),
        };
        let memory = scope.parse(&raw.memory);
        let balloon = scope.parse_may(&raw.balloon);
        if let Some(memory) = memory
            && memory.as_mib() < MIN_MEMORY_MIB
        {
            scope
                .error(
                    codes::OUT_OF_RANGE,
                    format!("{memory} is too little memory for Debian"),
                )
                .at(raw.memory.span, format!("at least {MIN_MEMORY_MIB}MiB"))
                .help("a bare number is bytes: write for example `2GiB`");
        }
        if let (Some(memory), Some(balloon), Some(at)) = (memory, balloon, &raw.balloon)
            && balloon > memory
        {
            scope
                .error(
                    codes::BALLOON_ABOVE_MEMORY,
                    format!("ballooning cannot leave {balloon} of {memory}"),
                )
                .at(at.span, "more than the memory")
                .at(raw.memory.span, "the memory")
                .help("`balloon` is the least memory that the guest keeps");
        }
        let cores = or(&raw.cores, 2);
        if !(1..=MAX_CORES).contains(&cores)
            && let Some(at) = &raw.cores
        {
            scope
                .error(
                    codes::OUT_OF_RANGE,
                    format!("a guest has 1 to {MAX_CORES} cores"),
                )
                .at(at.span, "out of range");
        }
        let disk = disk(raw, scope);
        let nics = self.nics(raw, zones, scope);
        let mounts = self.mounts(raw, node.as_ref(), datasets, scope);
        let ssh = machine::ssh(&raw.ssh, "infra", scope);
        let nameservers = nameservers(self.document, raw, nics.first(), zones, scope);
        let tags = tags(raw, scope);
        Some(Guest {
            name: HostName::new(self.name()).ok()?,
            vmid: vmid?,
            node: node?,
            image: image?,
            cores,
            cpu: text(&raw.cpu).unwrap_or_else(|| "host".to_owned()),
            memory: memory?,
            balloon,
            disk: disk?,
            nics,
            mounts,
            pci: items(&raw.pci)
                .iter()
                .filter_map(|at| at.value.clone())
                .collect(),
            onboot: or(&raw.onboot, true),
            startup_order: raw.startup_order.as_ref().and_then(|at| at.value),
            tags,
            notes: text(&raw.notes).unwrap_or_default(),
            ssh,
            nameservers,
        })
    }

    fn vmid(&self, raw: &document::Guest, scope: &mut Scope<'_>) -> Option<Vmid> {
        let number = raw.vmid.value?;
        match Vmid::new(number) {
            Ok(vmid) => {
                scope.unique(
                    codes::DUPLICATE_VMID,
                    &format!("VMID {vmid}"),
                    self.name(),
                    raw.vmid.span,
                    "a VMID is unique in a cluster",
                );
                Some(vmid)
            }
            Err(error) => {
                scope
                    .error(codes::INVALID_VMID, error.to_string())
                    .at(raw.vmid.span, "out of range");
                None
            }
        }
    }

    fn nics(&self, raw: &document::Guest, zones: &Zones, scope: &mut Scope<'_>) -> Vec<Nic> {
        let Some(list) = &raw.nics.value else {
            return vec![];
        };
        if list.0.is_empty() {
            scope
                .error(
                    codes::NO_ADDRESS,
                    format!("`{}` has no network card", self.name()),
                )
                .at(raw.nics.span, "no card")
                .help("infra reaches a guest over its first card");
        }
        let mut out = Vec::new();
        for (index, at) in list.0.iter().enumerate() {
            let Some(nic) = &at.value else { continue };
            out.extend(self.nic(index, nic, zones, scope));
        }
        out
    }

    fn nic(
        &self,
        index: usize,
        nic: &document::Nic,
        zones: &Zones,
        scope: &mut Scope<'_>,
    ) -> Option<Nic> {
        let mac = scope.parse_may(&nic.mac);
        if let (Some(mac), Some(at)) = (mac, &nic.mac) {
            if mac.0[0] & 1 == 1 {
                scope
                    .error(codes::INVALID_MAC, format!("{mac} is a multicast address"))
                    .at(at.span, "not the address of a card")
                    .help("the second hex digit of a card's address is even");
            }
            scope.unique(
                codes::DUPLICATE_MAC,
                &format!("the MAC address {mac}"),
                self.name(),
                at.span,
                "leave `mac` out: infra derives a stable address for each card",
            );
        }
        let vlan = nic.vlan.as_ref().and_then(|at| at.value);
        if let (Some(tag), Some(at)) = (vlan, &nic.vlan)
            && !(1..=MAX_VLAN).contains(&tag)
        {
            scope
                .error(codes::OUT_OF_RANGE, format!("{tag} is not a VLAN tag"))
                .at(at.span, format!("from 1 to {MAX_VLAN}"));
        }
        let name: Option<ZoneName> = scope.refer(Noun::Zone, &nic.zone);
        let facts = zones.named(&name?)?;
        let zone = &facts.zone;
        let addresses = network::card_addresses(self.key, zone, &nic.address, nic.zone.span, scope);
        if nic
            .address
            .value
            .as_ref()
            .is_some_and(|many| many.0.is_empty())
        {
            scope
                .error(codes::NO_ADDRESS, "a card needs an address")
                .at(nic.address.span, "no address")
                .help(
                    "guests have static addresses; infra, flows and checks refer to them by name",
                );
        }
        let gateways: Vec<IpAddr> = match &nic.gateway {
            Some(_) => named::addresses(self.document, &nic.gateway, scope)
                .into_iter()
                .filter(|(gateway, span)| {
                    let reachable = addresses.iter().any(|net| net.contains(gateway))
                        || zone.cidrs.iter().any(|net| net.contains(gateway));
                    if !reachable {
                        scope
                            .error(
                                codes::GATEWAY_OUTSIDE,
                                format!("the gateway {gateway} cannot be reached"),
                            )
                            .at(*span, "in none of the card's networks")
                            .at(nic.address.span, "the card's addresses");
                    }
                    reachable
                })
                .map(|(gateway, _)| gateway)
                .collect(),
            None if index == 0 => facts.gateways.clone(),
            None => vec![],
        };
        let Some(bridge) = zone.bridge.clone() else {
            scope
                .error(
                    codes::NO_BRIDGE,
                    format!("zone `{}` has no bridge to hang a card on", zone.name),
                )
                .at(nic.zone.span, "this zone")
                .help("add `bridge: vmbrN` to the zone");
            return None;
        };
        Some(Nic {
            zone: zone.name.clone(),
            bridge,
            mac: mac.unwrap_or_else(|| self.derived_mac(index)),
            addresses,
            gateways,
            vlan,
        })
    }

    /// The same guest has the same card on every machine that runs infra.
    fn derived_mac(&self, index: usize) -> Mac {
        let digest = Sha256::digest(format!("{}/{}/{index}", self.system, self.name()));
        let [a, b, c] = MAC_PREFIX;
        Mac([a, b, c, digest[0], digest[1], digest[2]])
    }

    fn mounts(
        &self,
        raw: &document::Guest,
        node: Option<&HostName>,
        datasets: &Datasets,
        scope: &mut Scope<'_>,
    ) -> Vec<GuestMount> {
        let mut out = Vec::new();
        for at in items(&raw.mounts) {
            let Some(mount) = &at.value else { continue };
            let at_path = scope.parse_may(&mount.at).map(|path| path.0);
            let Some(name) = scope.refer::<DatasetName>(Noun::Dataset, &mount.dataset) else {
                continue;
            };
            let Some(dataset) = datasets.get(&name) else {
                continue;
            };
            let own = dataset
                .properties
                .get("mountpoint")
                .filter(|path| path.starts_with('/'))
                .cloned();
            let Some(path) = at_path.or(own) else {
                scope
                    .error(codes::MISSING_KEY, "`at` is missing")
                    .at(at.span, "it belongs here")
                    .help(format!(
                        "`{name}` has no mount point of its own to take over"
                    ));
                continue;
            };
            let span = mount.at.as_ref().map_or(mount.dataset.span, |at| at.span);
            scope.unique(
                codes::DUPLICATE_MOUNT,
                &format!("the mount point {path} of `{}`", self.name()),
                name.as_str(),
                span,
                "mount each dataset once and at a place of its own",
            );
            let via = match or(&mount.via, Via::Virtiofs) {
                Via::Virtiofs => MountVia::Virtiofs,
                Via::Nfs => MountVia::Nfs,
            };
            if via == MountVia::Virtiofs
                && let Some(node) = node
                && *node != dataset.host
            {
                scope
                    .error(
                        codes::VIRTIOFS_ELSEWHERE,
                        format!("virtiofs shares a directory of the guest's own node, and `{name}` is on `{}`", dataset.host),
                    )
                    .at(mount.dataset.span, format!("on `{}`", dataset.host))
                    .at(self.key.span, format!("runs on `{node}`"))
                    .help("write `via: nfs`");
            }
            out.push(GuestMount {
                dataset: name,
                at: path,
                via,
                read_only: or(&mount.read_only, false),
            });
        }
        out
    }
}

fn disk(raw: &document::Guest, scope: &mut Scope<'_>) -> Option<RootDisk> {
    let disk = raw.disk.value.as_ref()?;
    let storage = scope.parse(&disk.storage);
    let size = scope.parse(&disk.size);
    if let Some(size) = size
        && size.as_gib_ceil() < 4
    {
        scope
            .error(
                codes::OUT_OF_RANGE,
                format!("{size} is too small for a Debian guest with Docker"),
            )
            .at(disk.size.span, "at least 4GiB")
            .help("a bare number is bytes: write for example `32GiB`");
    }
    Some(RootDisk {
        storage: storage?,
        size: size?,
    })
}

fn nameservers(
    document: &Document,
    raw: &document::Guest,
    first: Option<&Nic>,
    zones: &Zones,
    scope: &mut Scope<'_>,
) -> Vec<IpAddr> {
    match &raw.nameservers {
        Some(_) => named::addresses(document, &raw.nameservers, scope)
            .into_iter()
            .map(|(address, _)| address)
            .collect(),
        None => first
            .and_then(|nic| zones.named(&nic.zone))
            .map(|facts| facts.nameservers.clone())
            .unwrap_or_default(),
    }
}

/// Proxmox's rule for tags (`pve-tag`, seen with PVE 9.2.11); `infra` and `infra-*` are ours.
fn tags(raw: &document::Guest, scope: &mut Scope<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for at in items(&raw.tags) {
        let Some(tag) = &at.value else { continue };
        let valid = tag
            .starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && tag.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '+' | '.')
            });
        if !valid {
            scope
                .error(codes::INVALID_NAME, format!("`{tag}` is not a tag"))
                .at(at.span, "lower-case letters, digits, `-`, `_`, `+` and `.`");
        } else if tag == "infra" || tag.starts_with("infra-") {
            scope
                .error(codes::NAME_TAKEN, format!("the tag `{tag}` is infra's own"))
                .at(at.span, "infra marks its guests with it");
        } else {
            out.push(tag.clone());
        }
    }
    out
}
