//! Virtual machines.

use super::{
    Noun, Scope, availability,
    card::Cards,
    cloud_init, device, machine, named,
    names::{entries, items},
    network::Zones,
    option,
    scope::{or, text},
    storage::Datasets,
};
use crate::inventory::{
    codes,
    document::{self, Document, Via},
    word::Seconds,
    written::{At, May, Text},
};
use crate::model::{
    device::KEEPER,
    guest::{Guest, GuestMount, MountVia, Nic, RootDisk},
    ids::{DatasetName, HostName, ImageName, SystemName, Vmid},
    image::Image,
};
use std::{collections::BTreeMap, net::IpAddr};

/// Proxmox's upper limits for a guest (`cores`, `memory` in the API schema, PVE 9.2.11).
const MAX_CORES: u32 = 512;
const MIN_MEMORY_MIB: u64 = 256;
/// `description` holds 8192 characters (API schema, PVE 9.2.11), and infra's own line names the system and the guest.
const MAX_NOTES: usize = 8000;
/// Directories that a guest can have by virtiofs (`virtiofs0` to `virtiofs9`).
const MAX_SHARES: usize = 10;
/// How long Proxmox waits between starts at most; more is a typing error.
const MAX_WAIT: u32 = 3600;

/// All guests by name.
pub(super) fn guests(
    document: &Document,
    system: Option<&SystemName>,
    images: &BTreeMap<ImageName, Image>,
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
            images,
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
    images: &'a BTreeMap<ImageName, Image>,
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
        let (node, homes) = availability::homes(self.document, self.key, raw, scope);
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
        let disk = device::root_disk(raw, scope);
        check_clone(raw, image.as_ref(), disk.as_ref(), self.images, scope);
        let disks = device::data_disks(self.name(), raw, scope);
        let cards = Cards {
            guest: self.key,
            document: self.document,
            system: self.system,
        };
        let nics = cards.resolve(raw, zones, scope);
        let machine = device::machine(raw, scope);
        let pci = device::pci(raw, machine.as_deref(), scope);
        let mounts = self.mounts(raw, node.as_ref(), datasets, scope);
        let ssh = machine::ssh(&raw.ssh, "infra", scope);
        let nameservers = nameservers(self.document, raw, nics.first(), zones, scope);
        let tags = tags(raw, scope);
        availability::check_ties(self.key, raw, scope);
        Some(Guest {
            name: HostName::new(self.name()).ok()?,
            vmid: vmid?,
            ha: availability::high(raw),
            replicas: availability::replicas(self.name(), node.as_ref(), raw, scope),
            node: node?,
            homes,
            image: image?,
            cores,
            cpu: device::cpu(raw, scope),
            memory: memory?,
            balloon,
            firmware: device::firmware(raw, scope),
            tpm: scope.parse_may(&raw.tpm),
            scsi_controller: device::scsi_controller(raw, scope),
            boot: device::boot(raw, &disks, nics.len(), scope),
            disk: disk?,
            disks,
            nics,
            mounts,
            machine,
            pci,
            usb: device::usb(raw, scope),
            agent: or(&raw.agent, true),
            options: option::options(raw, scope),
            onboot: or(&raw.onboot, true),
            startup_order: raw.startup_order.as_ref().and_then(|at| at.value),
            startup_delay: seconds(&raw.startup_delay, scope),
            shutdown_timeout: seconds(&raw.shutdown_timeout, scope),
            pool: scope.parse_may(&raw.pool),
            protection: or(&raw.protection, false),
            tags,
            notes: notes(raw, scope),
            cloud_init: cloud_init::resolve(raw, &ssh.user, scope),
            ssh,
            nameservers,
        })
    }

    fn vmid(&self, raw: &document::Guest, scope: &mut Scope<'_>) -> Option<Vmid> {
        let number = raw.vmid.value?;
        if number == KEEPER {
            scope
                .error(
                    codes::INVALID_VMID,
                    format!("{number} is the id under which infra keeps disks that outlive guests"),
                )
                .at(raw.vmid.span, "taken")
                .help("destroying a guest with this id would destroy those disks: choose another");
            return None;
        }
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

    /// Whether a dataset that stands before this one is shared under the same tag: it keeps it.
    fn is_taken(&self, name: &DatasetName, tag: &str) -> bool {
        let guests = entries(&self.document.guests).iter();
        let mounts = guests
            .filter_map(|(_, raw)| raw.value.as_ref())
            .flat_map(|raw| items(&raw.mounts))
            .filter_map(|at| at.value.as_ref());
        mounts
            .filter(|mount| matches!(or(&mount.via, Via::Virtiofs), Via::Virtiofs))
            .filter_map(|mount| mount.dataset.value.as_deref())
            .any(|other| other < name.as_str() && GuestMount::plain_tag(other) == tag)
    }

    fn mounts(
        &self,
        raw: &document::Guest,
        node: Option<&HostName>,
        datasets: &Datasets,
        scope: &mut Scope<'_>,
    ) -> Vec<GuestMount> {
        let mut out = Vec::new();
        for (place, at) in items(&raw.mounts).iter().enumerate() {
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
            if via == MountVia::Virtiofs && place >= MAX_SHARES {
                scope
                    .error(
                        codes::DEVICE_WITHOUT_PLACE,
                        format!("a guest has room for {MAX_SHARES} directories by virtiofs"),
                    )
                    .at(at.span, "one too many")
                    .help(
                        "mount a parent dataset instead, or use `via: nfs` for the last ones of the list",
                    );
            }
            let tag = GuestMount::plain_tag(name.as_str());
            let is_plain = tag.len() <= GuestMount::LONGEST_TAG && !self.is_taken(&name, &tag);
            out.push(GuestMount {
                share: (!is_plain).then(|| GuestMount::short_tag(&name)),
                dataset: name,
                at: path,
                via,
                read_only: or(&mount.read_only, false),
            });
        }
        out
    }
}

/// A disk that shares blocks with its template is where the template's is.
fn check_clone(
    raw: &document::Guest,
    image: Option<&ImageName>,
    disk: Option<&RootDisk>,
    images: &BTreeMap<ImageName, Image>,
    scope: &mut Scope<'_>,
) {
    if let (Some(disk), Some(raw)) = (disk, &raw.disk.value)
        && let Some(image) = image.and_then(|name| images.get(name))
        && let Some(template) = &image.template
        && let Some(storage) = &template.storage
        && !template.full
        && *storage != disk.storage
    {
        scope
            .error(
                codes::DEVICE_WITHOUT_PLACE,
                format!(
                    "a disk that shares blocks with template {} cannot be on `{}`",
                    template.vmid, disk.storage
                ),
            )
            .at(raw.storage.span, format!("the template is on `{storage}`"))
            .help("name the template's storage, or write `clone: full` in the image's `template`");
    }
}

/// The notes, to which infra adds a line of its own.
fn notes(raw: &document::Guest, scope: &mut Scope<'_>) -> String {
    let notes = text(&raw.notes).unwrap_or_default();
    if let Some(at) = &raw.notes
        && notes.chars().count() > MAX_NOTES
    {
        scope
            .error(
                codes::OUT_OF_RANGE,
                "Proxmox keeps 8192 characters of notes",
            )
            .at(
                at.span,
                format!("at most {MAX_NOTES}, beside infra's own line"),
            );
    }
    notes
}

fn seconds(at: &May<Text<Seconds>>, scope: &mut Scope<'_>) -> Option<u32> {
    let Seconds(seconds) = scope.parse_may(at)?;
    if let Some(at) = at.as_ref().filter(|_| seconds > MAX_WAIT) {
        scope
            .error(codes::OUT_OF_RANGE, "nobody waits longer than an hour")
            .at(at.span, format!("at most {MAX_WAIT}s"));
    }
    Some(seconds)
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
