//! What `--lab` replaces: endpoint, TLS pin, token, SSH trust, image catalogue; and nothing else.

use super::{exit, failure::Failure, session::Lab};
use crate::model::{
    desired::{ApiAuth, Desired, TlsTrust},
    ids::SecretName,
    image::{Checksum, ImageSource},
};
use crate::providers::ssh::FleetOptions;
use secrecy::SecretString;
use std::net::SocketAddr;

/// What takes the place of the inventory's own.
#[derive(Default)]
pub(super) struct Substitutes {
    /// Secret values.
    pub(super) secrets: Vec<(SecretName, SecretString)>,
    /// Where the API really listens. The inventory keeps its own address: rules are made of it.
    pub(super) api: Option<SocketAddr>,
    /// Why nobody stands in the lab's networks to ask from there; none when `infra --lab` does.
    pub(super) nobody_here: Option<String>,
}

/// Points an inventory at the lab.
#[cfg(feature = "lab")]
pub(super) fn into(
    desired: &mut Desired,
    lab: &Lab,
    fleet: &mut FleetOptions,
) -> Result<Substitutes, Failure> {
    if lab.system != desired.system.as_str() {
        let text = format!(
            "the lab was made for `{}`, this inventory is `{}`",
            lab.system, desired.system
        );
        return Err(Failure::new(exit::USAGE, text)
            .hint("Make one for it: `infra lab down`, then `infra lab up`."));
    }
    let name = SecretName::new("lab_token").map_err(|e| super::failure::failed(&e))?;
    let mut substitutes = Substitutes {
        api: lab.api.as_ref().map(|api| api.address),
        nobody_here: nobody_here(lab),
        ..Substitutes::default()
    };
    if let (Some(api), Some(lab)) = (&mut desired.proxmox, &lab.api) {
        api.tls = TlsTrust::Fingerprint(fingerprint(&lab.fingerprint)?);
        api.auth = ApiAuth::Token {
            id: lab.token_id.clone(),
            secret: name.clone(),
        };
        substitutes
            .secrets
            .push((name, SecretString::from(lab.token_secret.clone())));
    }
    desired.authorized_keys = vec![lab.operator_public_key.clone()];
    for image in desired.images.values_mut() {
        if let Some((url, sum)) = lab.images.get(image.name.as_str())
            && let ImageSource::Download(download) = &mut image.source
        {
            download.url.clone_from(url);
            download.checksum = Some(Checksum {
                algorithm: "sha256".to_owned(),
                hex: sum.clone(),
            });
        }
    }
    let known_hosts = lab.folder.join("known_hosts");
    pin_nodes(&known_hosts, &lab.known_hosts)?;
    fleet.known_hosts = known_hosts;
    fleet.identity = Some(lab.operator_key.clone());
    fleet.addresses.clone_from(&lab.ssh);
    fleet.person = crate::providers::ssh::Person::default();
    Ok(substitutes)
}

/// The lab's registries serve images of their own, so it has a lock of its own.
pub(super) fn digests(desired: &mut Desired, lock: &std::path::Path) -> Result<(), Failure> {
    let own = match std::fs::read_to_string(lock) {
        Ok(text) => crate::inventory::ImageLock::parse(&text).map_err(|why| {
            Failure::new(
                exit::FAILED,
                format!("{} cannot be read: {why}", lock.display()),
            )
            .hint("Remove it: `infra --lab stack update` writes it anew.")
        })?,
        Err(_) => crate::inventory::ImageLock::default(),
    };
    for stack in desired.stacks.values_mut() {
        stack.digests = own.digests();
    }
    Ok(())
}

/// The lab's nodes are known from its state; guests are pinned by infra itself, in the same file.
#[cfg(feature = "lab")]
fn pin_nodes(path: &std::path::Path, lines: &[String]) -> Result<(), Failure> {
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    let mut changed = false;
    for line in lines {
        let name = line.split(' ').next().unwrap_or_default();
        if !text.lines().any(|known| known == line) {
            // A lab that was made anew has new keys under the same names.
            let kept: Vec<&str> = text
                .lines()
                .filter(|known| known.split(' ').next() != Some(name))
                .collect();
            text = [kept.as_slice(), &[line.as_str(), ""]].concat().join("\n");
            changed = true;
        }
    }
    if changed {
        std::fs::write(path, text).map_err(|error| {
            Failure::of(exit::FAILED, &error).hint(format!("It is {}.", path.display()))
        })?;
    }
    Ok(())
}

#[cfg(feature = "lab")]
pub(super) fn fingerprint(hex: &str) -> Result<[u8; 32], Failure> {
    let mut out = [0; 32];
    let valid = hex.len() == 64 && hex.is_ascii();
    for (index, byte) in out.iter_mut().enumerate().take(if valid { 32 } else { 0 }) {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).map_err(|_| garbled())?;
    }
    if valid { Ok(out) } else { Err(garbled()) }
}

#[cfg(feature = "lab")]
fn garbled() -> Failure {
    Failure::new(
        exit::FAILED,
        "the lab's state file holds no certificate fingerprint",
    )
    .hint("Make the lab anew: `infra lab down`, then `infra lab up`.")
}

/// The factor on the lab's delays.
#[cfg(feature = "lab")]
pub(super) fn clock(lab: &Lab) -> f64 {
    lab.clock
}

/// Without the feature no lab exists.
#[cfg(not(feature = "lab"))]
pub(super) fn into(
    _desired: &mut Desired,
    lab: &Lab,
    _fleet: &mut FleetOptions,
) -> Result<Substitutes, Failure> {
    match *lab {}
}

/// Where a system's runs against the lab leave their journal and receipts.
#[cfg(feature = "lab")]
pub(super) fn runs(lab: &Lab) -> std::path::PathBuf {
    crate::lab::folder::LabFolder::new(&lab.folder).runs()
}

#[cfg(feature = "lab")]
fn nobody_here(lab: &Lab) -> Option<String> {
    use crate::lab::state::LabKind;
    match lab.kind {
        LabKind::Namespace => None,
        LabKind::Scripted => Some(crate::lab::scripted::NEEDS_REAL_GUESTS.to_owned()),
    }
}

/// Without the feature no lab exists.
#[cfg(not(feature = "lab"))]
pub(super) fn runs(lab: &Lab) -> std::path::PathBuf {
    match *lab {}
}

/// What to say before anything is done in the lab.
#[cfg(feature = "lab")]
pub(super) fn announcement(lab: &Lab) -> &'static str {
    use crate::lab::state::LabKind;
    match lab.kind {
        LabKind::Namespace => "This is the lab: nothing real is touched.",
        LabKind::Scripted => {
            "This is the lab: nothing real is touched. Its guests are scripted: they remember what is done to them, \
             and no service runs."
        }
    }
}

/// Without the feature no lab exists.
#[cfg(not(feature = "lab"))]
pub(super) fn announcement(lab: &Lab) -> &'static str {
    match *lab {}
}

/// Without the feature no lab exists.
#[cfg(not(feature = "lab"))]
pub(super) fn clock(lab: &Lab) -> f64 {
    match *lab {}
}
