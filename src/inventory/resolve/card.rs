//! Network cards of guests.

use super::{
    Noun, Scope, named,
    network::{self, Zones},
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{self, Document},
    written::At,
};
use crate::model::{address::Mac, guest::Nic, ids::ZoneName};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Proxmox's own prefix for locally assigned cards (`BC:24:11`, registered to Proxmox).
const MAC_PREFIX: [u8; 3] = [0xbc, 0x24, 0x11];
/// The largest 802.1Q tag that a card may carry.
const MAX_VLAN: u16 = 4094;
/// Card models that Debian has drivers for (`net[n]` in the API schema, PVE 9.2.11).
const MODELS: [&str; 5] = ["virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"];

/// What the cards of one guest are resolved with.
pub(super) struct Cards<'a> {
    pub(super) guest: &'a At<String>,
    pub(super) document: &'a Document,
    pub(super) system: &'a str,
}

impl Cards<'_> {
    fn name(&self) -> &str {
        self.guest.value.as_deref().unwrap_or_default()
    }

    /// The cards of a guest.
    pub(super) fn resolve(
        &self,
        raw: &document::Guest,
        zones: &Zones,
        scope: &mut Scope<'_>,
    ) -> Vec<Nic> {
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
        if let Some(at) = nic.firewall.as_ref().filter(|at| at.value == Some(false)) {
            scope
                .warning(
                    codes::UNSEEN_CARD,
                    format!(
                        "Proxmox's firewall does not see card net{index} of `{}`",
                        self.name()
                    ),
                )
                .at(at.span, "no flow is enforced here but by the guest itself")
                .help("leave `firewall` out, unless what the card carries must not be filtered");
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
        let addresses =
            network::card_addresses(self.guest, zone, &nic.address, nic.zone.span, scope);
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
            model: model(nic, scope),
            firewall: or(&nic.firewall, true),
            rate: rate(nic, scope),
            mtu: mtu(nic, scope),
        })
    }

    /// The same guest has the same card on every machine that runs infra.
    fn derived_mac(&self, index: usize) -> Mac {
        let digest = Sha256::digest(format!("{}/{}/{index}", self.system, self.name()));
        let [a, b, c] = MAC_PREFIX;
        Mac([a, b, c, digest[0], digest[1], digest[2]])
    }
}

fn model(nic: &document::Nic, scope: &mut Scope<'_>) -> String {
    let model = text(&nic.model).unwrap_or_else(|| "virtio".to_owned());
    if let Some(at) = nic
        .model
        .as_ref()
        .filter(|_| !MODELS.contains(&model.as_str()))
    {
        scope
            .error(
                codes::INVALID_CHOICE,
                format!("`{model}` is not a card model"),
            )
            .at(at.span, format!("one of {}", MODELS.join(", ")));
    }
    model
}

/// Kept as text: Proxmox stores it as it was written.
fn rate(nic: &document::Nic, scope: &mut Scope<'_>) -> Option<String> {
    let at = nic.rate.as_ref()?;
    let rate = at.value.clone()?;
    let valid = rate
        .parse::<f64>()
        .is_ok_and(|rate| rate > 0.0 && rate <= 10240.0);
    if !valid {
        scope
            .error(codes::OUT_OF_RANGE, format!("`{rate}` is not a rate"))
            .at(at.span, "megabytes a second, above 0 and at most 10240");
    }
    Some(rate)
}

fn mtu(nic: &document::Nic, scope: &mut Scope<'_>) -> Option<u16> {
    let at = nic.mtu.as_ref()?;
    let mtu = at.value?;
    if mtu != 1 && !(576..=65520).contains(&mtu) {
        scope
            .error(codes::OUT_OF_RANGE, format!("{mtu} is not an MTU"))
            .at(at.span, "1 for the bridge's own, or 576 to 65520");
    } else if nic
        .model
        .as_ref()
        .is_some_and(|model| model.value.as_deref() != Some("virtio"))
    {
        scope
            .error(
                codes::DEVICE_WITHOUT_PLACE,
                "only `virtio` cards have an MTU of their own",
            )
            .at(at.span, "needs `model: virtio`");
    }
    Some(mtu)
}
