//! What a guest's root disk is made from: a volume to import, or a template to clone.

use super::holding::storage_can_hold;
use crate::model::{
    desired::Desired,
    host::Node,
    ids::{HostName, SystemName, Vmid},
    image::{Image, ImageSource, Template},
    observed::{ObservedGuest, ObservedProxmox},
};
use crate::plan::{
    change::Operation,
    draft::{Draft, Proposal},
    guest_config::TAG,
};
use std::collections::BTreeMap;

/// What the root disk comes from, once the changes that it needs are done.
pub(super) struct Origin {
    pub(super) from: From,
    pub(super) needs: Vec<String>,
}

/// What the root disk comes from.
pub(super) enum From {
    /// A volume that is imported.
    Volume(String),
    /// A template that is cloned.
    Template {
        vmid: Vmid,
        on: HostName,
        full: bool,
    },
}

/// Proposes what brings the image to the node. None when something forbids it, which is said.
pub(super) fn origin(
    draft: &mut Draft,
    desired: &Desired,
    image: &Image,
    node: &Node,
    seen: &ObservedProxmox,
) -> Option<Origin> {
    let Some(template) = &image.template else {
        let (volume, needs) = volume(draft, image, node, seen)?;
        return Some(Origin {
            from: From::Volume(volume),
            needs,
        });
    };
    let on = template.node.clone().unwrap_or_else(|| node.name.clone());
    let needs = template_on(draft, desired, image, template, &on, seen)?;
    if on != node.name
        && let Some(storage) = disk_storage(template, seen)
        && let Some(live) = seen.nodes.get(&on)
        && live
            .storages
            .get(&storage)
            .is_some_and(|found| !found.shared)
    {
        draft.block(
            template_subject(image, template),
            format!(
                "it is on node {on}, on storage `{storage}` of that node alone: Proxmox clones it to no other node, \
                 and guests of {} are made from it",
                node.name
            ),
            "Keep the template on a storage that the nodes share, or give each node an image with a template of its own.",
        );
        return None;
    }
    Some(Origin {
        from: From::Template {
            vmid: template.vmid,
            on,
            full: template.full,
        },
        needs,
    })
}

/// Where a template's disk is, or will be.
fn disk_storage(template: &Template, seen: &ObservedProxmox) -> Option<String> {
    let found = seen.guests.get(&template.vmid);
    let config = found.and_then(|found| found.config.as_ref());
    let live = config.and_then(|config| config.get("scsi0")?.split_once(':'));
    let live = live.map(|(storage, _)| storage.to_owned());
    live.or_else(|| template.storage.as_ref().map(ToString::to_string))
}

fn template_subject(image: &Image, template: &Template) -> String {
    format!("template {} {}", template.vmid, image.name)
}

fn subject(image: &Image) -> String {
    format!("image {}", image.name)
}

/// The volume that disks are imported from, and the change that brings it there.
fn volume(
    draft: &mut Draft,
    image: &Image,
    node: &Node,
    seen: &ObservedProxmox,
) -> Option<(String, Vec<String>)> {
    let volume = image.volume(&node.import_storage)?;
    let (storage, _) = volume.split_once(':')?;
    let live = seen.nodes.get(&node.name);
    let is_there = live
        .and_then(|live| live.storages.get(storage))
        .is_some_and(|storage| storage.volumes.contains_key(&volume));
    if is_there {
        return Some((volume, Vec::new()));
    }
    let proposal = Proposal::create("guests are made from it").field("volume", None, Some(&volume));
    let storage = node.import_storage.to_string();
    let operation = match &image.source {
        ImageSource::Download(download) if download.checksum.is_none() => {
            draft.block(
                subject(image),
                "its checksum is not known: nothing would tell a damaged download from a good one",
                "Run `infra images refresh`, which pins the published checksum in `images.lock`.",
            );
            return None;
        }
        ImageSource::Download(download) => Operation::DownloadImage {
            node: node.name.clone(),
            storage,
            image: image.name.clone(),
            download: download.clone(),
        },
        ImageSource::Upload {
            path,
            filename,
            checksum,
        } => Operation::UploadImage {
            node: node.name.clone(),
            storage,
            path: path.clone(),
            filename: filename.clone(),
            checksum: checksum.clone(),
        },
        ImageSource::Volume(_) | ImageSource::Template => {
            draft.block(
                subject(image),
                format!("node {} has no volume `{volume}`", node.name),
                "Put it there, or let infra download it: `url:` instead of `volume:`.",
            );
            return None;
        }
    };
    let id = draft.propose(&node.name, &subject(image), proposal, operation);
    Some((volume, vec![id]))
}

/// The changes that make a template, in order; none of them when it is there.
fn template_on(
    draft: &mut Draft,
    desired: &Desired,
    image: &Image,
    template: &Template,
    on: &HostName,
    seen: &ObservedProxmox,
) -> Option<Vec<String>> {
    let name = template_subject(image, template);
    let node = desired.nodes.get(on)?;
    let found = seen.guests.get(&template.vmid);
    if let Some(found) = found
        && found.template
    {
        report_old(draft, image, found, &name);
        // Clones boot from it, and it is what grows.
        let config = found.config.as_ref();
        if config.is_some_and(|config| !config.contains_key("scsi0")) {
            draft.block(
                name,
                format!("template {} has no disk `scsi0`", template.vmid),
                "Guests of infra boot from `scsi0`: attach the template's disk there in a new template, or let infra make \
                 one: `url:` and `storage:`.",
            );
            return None;
        }
        return Some(Vec::new());
    }
    if image.source == ImageSource::Template {
        draft.block(
            name,
            format!("there is no template with the id {}", template.vmid),
            "Make it in Proxmox, or let infra make it: add `url:` and `storage:` to the image.",
        );
        return None;
    }
    let mut needs = Vec::new();
    match found {
        None => {
            let (volume, before) = volume(draft, image, node, seen)?;
            let storage = template.storage.as_ref()?;
            let Some(live) = seen.nodes.get(on) else {
                draft.block(
                    name,
                    format!("the cluster has no node `{on}`"),
                    "Write the node's name as `pvesh get /nodes` prints it.",
                );
                return None;
            };
            if !storage_can_hold(draft, &name, on, live, storage.as_str(), "images") {
                return None;
            }
            needs.push(
                draft.propose(
                    &node.name,
                    &name,
                    Proposal::create("guests are cloned from it")
                        .field("from", None, Some(&volume))
                        .after(before),
                    Operation::CreateGuest {
                        node: node.name.clone(),
                        vmid: template.vmid,
                        params: params(&desired.system, image, storage.as_str(), &volume),
                    },
                ),
            );
        }
        Some(found) if !is_ours(&desired.system, image, found) => {
            draft.block(
                name,
                format!("VMID {} is taken by `{}`", template.vmid, found.name),
                "Choose another `vmid` for the template.",
            );
            return None;
        }
        Some(_) => {}
    }
    needs.push(draft.propose(
        &node.name,
        &format!("{name} conversion"),
        Proposal::update("only a template can be cloned by sharing blocks").after(needs.clone()),
        Operation::MakeTemplate {
            node: node.name.clone(),
            vmid: template.vmid,
        },
    ));
    Some(needs)
}

/// A template is never made anew under the guests that share its blocks.
fn report_old(draft: &mut Draft, image: &Image, found: &ObservedGuest, name: &str) {
    let (Some(config), Some(tag)) = (&found.config, content_tag(image)) else {
        return;
    };
    let tags = config.get("tags").map(String::as_str).unwrap_or_default();
    let is_other = tags
        .split([';', ',', ' '])
        .any(|other| other.starts_with(CONTENT) && other != tag);
    if is_other {
        draft.leave_alone(format!(
            "{name}: made from an older file of the image; give the template a new `vmid` to clone from the new one"
        ));
    }
}

/// How tags that name an image's content begin.
const CONTENT: &str = "infra-image-";

fn content_tag(image: &Image) -> Option<String> {
    let ImageSource::Download(download) = &image.source else {
        return None;
    };
    let checksum = download.checksum.as_ref()?;
    Some(format!("{CONTENT}{}", checksum.hex.get(..12)?))
}

fn template_name(image: &Image) -> String {
    format!("template-{}", image.name.as_str().replace('_', "-"))
}

fn is_ours(system: &SystemName, image: &Image, found: &ObservedGuest) -> bool {
    let mark = format!("{TAG}-{system}");
    let tags = found.config.as_ref().and_then(|config| config.get("tags"));
    found.name == template_name(image)
        && tags.is_none_or(|tags| tags.split([';', ',', ' ']).any(|tag| tag == mark))
}

/// A bare guest with the image as its disk: what clones change is set at each clone.
fn params(
    system: &SystemName,
    image: &Image,
    storage: &str,
    volume: &str,
) -> BTreeMap<String, String> {
    let mut tags = vec![TAG.to_owned(), format!("{TAG}-{system}")];
    tags.extend(content_tag(image));
    tags.sort();
    [
        ("name", template_name(image)),
        ("memory", "512".to_owned()),
        ("ostype", "l26".to_owned()),
        ("scsihw", "virtio-scsi-single".to_owned()),
        ("serial0", "socket".to_owned()),
        ("boot", "order=scsi0".to_owned()),
        ("tags", tags.join(";")),
        (
            "description",
            format!(
                "Managed by infra: template of image {} of {system}",
                image.name
            ),
        ),
        (
            "scsi0",
            format!("{storage}:0,import-from={volume},discard=on,iothread=1"),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
