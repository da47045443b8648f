//! Which privilege each option of a guest needs, and which only root may set.

use crate::lab::api::{
    call::{Call, Refusal},
    model::{
        cluster::Model,
        drive::{Card, Drive, is_drive, is_numbered},
    },
};
use std::collections::BTreeMap;

const CPU: &[&str] = &[
    "cores", "sockets", "cpu", "cpulimit", "cpuunits", "numa", "smp", "vcpus",
];
const MEMORY: &[&str] = &["memory", "balloon", "shares", "allow-ksm"];
const HARDWARE: &[&str] = &[
    "acpi",
    "hotplug",
    "kvm",
    "machine",
    "scsihw",
    "smbios1",
    "tablet",
    "vga",
    "watchdog",
    "audio0",
    "rng0",
    "bios",
    "ivshmem",
    "vmgenid",
    "spice_enhancements",
];
const OPTIONS: &[&str] = &[
    "agent",
    "autostart",
    "boot",
    "bootdisk",
    "description",
    "freeze",
    "keyboard",
    "localtime",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "onboot",
    "ostype",
    "protection",
    "reboot",
    "startdate",
    "tags",
    "tdf",
    "template",
    "vmstatestorage",
    "cicustom",
];
const CLOUDINIT: &[&str] = &[
    "cipassword",
    "citype",
    "ciuser",
    "ciupgrade",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

/// Refuses options that the caller may not set or delete.
///
/// # Errors
/// 403 for a missing privilege, 500 for what only root may set.
pub(super) fn check_options(
    model: &Model,
    call: &Call,
    vmid: u32,
    set: &BTreeMap<String, String>,
    delete: &[String],
) -> Result<(), Refusal> {
    if call.who.is_root() {
        return Ok(());
    }
    let path = format!("/vms/{vmid}");
    let changes = set.iter().map(|(key, value)| (key, Some(value.as_str())));
    let removals = delete.iter().map(|key| (key, None));
    for (key, value) in changes.chain(removals) {
        check_option(model, call, &path, key, value)?;
    }
    Ok(())
}

fn check_option(
    model: &Model,
    call: &Call,
    path: &str,
    key: &str,
    value: Option<&str>,
) -> Result<(), Refusal> {
    let needs = |privilege| call.needs(model, path, &[privilege]);
    let only_root = || Err(Refusal::Failed(format!("only root can set '{key}' config")));
    if is_drive(key) || is_numbered(key, "unused") || is_numbered(key, "virtiofs") {
        let is_cdrom = value.is_some_and(|line| {
            let drive = Drive::parse(line);
            drive.is_cdrom() || drive.is_cloudinit()
        });
        if is_numbered(key, "virtiofs")
            && let Some(id) = value.map(|line| mapping_id(line, "dirid"))
        {
            call.needs(model, &format!("/mapping/dir/{id}"), &["Mapping.Use"])?;
        }
        return needs(if is_cdrom {
            "VM.Config.CDROM"
        } else {
            "VM.Config.Disk"
        });
    }
    if is_numbered(key, "net") {
        if let Some(bridge) = value.and_then(|line| Card::parse(line).bridge().map(str::to_owned)) {
            let zone = model.sdn.staged.vnets.get(&bridge);
            let zone = zone.and_then(|vnet| vnet.get("zone"));
            let zone = zone.map_or("localnetwork", String::as_str);
            call.needs(model, &format!("/sdn/zones/{zone}/{bridge}"), &["SDN.Use"])?;
        }
        return needs("VM.Config.Network");
    }
    if is_numbered(key, "ipconfig") || CLOUDINIT.contains(&key) {
        return needs("VM.Config.Cloudinit");
    }
    if is_numbered(key, "hostpci") || is_numbered(key, "usb") {
        if let Some(line) = value {
            let is_spice = key.starts_with("usb") && line.contains("spice");
            if !is_spice && !line.contains("mapping=") {
                return Err(Refusal::Failed(format!(
                    "only root can set '{key}' config for non-mapped devices"
                )));
            }
            let kind = if key.starts_with("usb") { "usb" } else { "pci" };
            let id = mapping_id(line, "mapping");
            call.needs(model, &format!("/mapping/{kind}/{id}"), &["Mapping.Use"])?;
        }
        return needs("VM.Config.HWType");
    }
    if is_numbered(key, "serial") {
        if value.is_some_and(|line| line != "socket") {
            return only_root();
        }
        return needs("VM.Config.HWType");
    }
    match key {
        "startup" => {
            call.needs(model, "/", &["Sys.Modify"])?;
            needs("VM.Config.Options")
        }
        _ if CPU.contains(&key) => needs("VM.Config.CPU"),
        _ if MEMORY.contains(&key) => needs("VM.Config.Memory"),
        _ if HARDWARE.contains(&key) => needs("VM.Config.HWType"),
        _ if OPTIONS.contains(&key) => needs("VM.Config.Options"),
        _ => only_root(),
    }
}

fn mapping_id<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(',')
        .find_map(|part| match part.split_once('=') {
            Some((key, value)) => (key == name).then_some(value),
            None => Some(part),
        })
        .unwrap_or_default()
}

/// The id that a volume's name carries.
fn owner(volume: &str) -> Option<u32> {
    let name = volume.rsplit('/').next()?;
    let (kind, rest) = name.split_once('-')?;
    let number = rest.split(['-', '.']).next()?;
    matches!(kind, "vm" | "base").then(|| number.parse().ok())?
}

/// Refuses disks on storages that do not exist or that the caller may not use, and sources that it may not read.
///
/// # Errors
/// 403, 500 or a complaint about the parameter.
pub(super) fn check_disks(
    model: &Model,
    call: &Call,
    vmid: u32,
    set: &BTreeMap<String, String>,
) -> Result<(), Refusal> {
    for (key, line) in set.iter().filter(|(key, _)| is_drive(key)) {
        let drive = Drive::parse(line);
        if let Some(source) = drive.option("import-from") {
            check_import(model, call, key, &drive, source)?;
        }
        if drive.file.starts_with('/') && !call.who.is_root() {
            return Err(Refusal::Failed(
                "Only root can pass arbitrary filesystem paths.".to_owned(),
            ));
        }
        let Some((storage, rest)) = drive.volume() else {
            continue;
        };
        let known = model.storages.find(storage)?;
        if is_new(rest) {
            call.needs(
                model,
                &format!("/storage/{storage}"),
                &["Datastore.AllocateSpace"],
            )?;
            if !known.content.contains("images") {
                return Err(Refusal::Failed(format!(
                    "storage '{storage}' does not support content-type 'images'"
                )));
            }
        } else if !call.may(
            model,
            &format!("/storage/{storage}"),
            &["Datastore.AllocateSpace", "Datastore.Audit"],
        ) {
            return Err(Refusal::Denied(format!(
                "Permission check failed (/storage/{storage}, Datastore.Audit)"
            )));
        }
        // `check_volume_access`: another's volume takes the right to its disks.
        let other = owner(rest).filter(|owner| *owner != vmid && !is_new(rest));
        if let Some(other) = other.filter(|_| !drive.is_cdrom()) {
            call.needs(model, &format!("/vms/{other}"), &["VM.Config.Disk"])?;
        }
    }
    Ok(())
}

fn check_import(
    model: &Model,
    call: &Call,
    key: &str,
    drive: &Drive,
    source: &str,
) -> Result<(), Refusal> {
    if drive.volume().is_none_or(|(_, size)| size != "0") {
        let text = format!(
            "{key} - import-from requires special syntax - use <storage ID>:0,import-from=<source>"
        );
        return Err(Refusal::parameter(key, text));
    }
    if source.starts_with('/') {
        let text = "Only root can pass arbitrary filesystem paths.";
        return if call.who.is_root() {
            Ok(())
        } else {
            Err(Refusal::Failed(text.to_owned()))
        };
    }
    let Some((storage, name)) = source.split_once(':') else {
        return Err(Refusal::Failed(format!(
            "unable to parse volume ID '{source}'"
        )));
    };
    model.storages.find(storage)?;
    if name.starts_with("iso/") || name.starts_with("vztmpl/") || name.starts_with("snippets/") {
        let text = format!(
            "{source} has wrong type '{}' - not an image",
            name.split('/').next().unwrap_or_default()
        );
        return Err(Refusal::Failed(text));
    }
    if call.may(
        model,
        &format!("/storage/{storage}"),
        &["Datastore.AllocateSpace", "Datastore.Audit"],
    ) {
        Ok(())
    } else {
        Err(Refusal::Denied(format!(
            "Permission check failed (/storage/{storage}, Datastore.Audit)"
        )))
    }
}

/// Whether what follows the storage asks for a new volume.
fn is_new(rest: &str) -> bool {
    rest == "cloudinit"
        || (!rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}
