//! Disks, firmware and devices of guests.

use super::{
    Scope,
    names::{entries, items},
    scope::{or, text},
};
use crate::inventory::{
    codes,
    document::{self, Disk, Filesystem, NamedDisk},
    source::Span,
    written::{May, Short},
};
use crate::model::{
    device::{DataDisk, DiskMount, DriveTuning, FilesystemKind, Firmware, PciDevice, UsbDevice},
    guest::RootDisk,
    size::Bytes,
};

/// What QEMU calls its cache modes (`scsi[n]` in the API schema, PVE 9.2.11).
const CACHES: [&str; 5] = ["none", "writethrough", "writeback", "directsync", "unsafe"];
/// Controllers that Debian has drivers for (`scsihw`).
const CONTROLLERS: [&str; 6] = [
    "virtio-scsi-single",
    "virtio-scsi-pci",
    "lsi",
    "lsi53c810",
    "megasas",
    "pvscsi",
];
/// A SCSI serial number holds 20 characters (QEMU).
const SERIAL_LENGTH: usize = 20;
/// `scsi0` is the root disk, 30 others fit.
const MOST_DISKS: usize = 30;

/// The root disk.
pub(super) fn root_disk(raw: &document::Guest, scope: &mut Scope<'_>) -> Option<RootDisk> {
    let disk: &Disk = raw.disk.value.as_ref()?;
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
    let tuning = DriveTuning {
        discard: or(&disk.discard, true),
        iothread: or(&disk.iothread, true),
        ssd: may(&disk.ssd),
        backup: may(&disk.backup),
        cache: cache(&disk.cache, scope),
    };
    Some(RootDisk {
        storage: storage?,
        size: size?,
        tuning,
    })
}

fn cache(cache: &May<String>, scope: &mut Scope<'_>) -> Option<String> {
    if let Some(at) = cache
        && let Some(mode) = at.value.as_deref()
        && !CACHES.contains(&mode)
    {
        scope
            .error(
                codes::INVALID_CHOICE,
                format!("`{mode}` is not a cache mode"),
            )
            .at(at.span, format!("one of {}", CACHES.join(", ")));
    }
    text(cache)
}

fn may(switch: &May<bool>) -> Option<bool> {
    switch.as_ref().and_then(|at| at.value)
}

/// The further disks, in the owner's order.
pub(super) fn data_disks(
    guest: &str,
    raw: &document::Guest,
    scope: &mut Scope<'_>,
) -> Vec<DataDisk> {
    let all = entries(&raw.disks);
    if let Some((key, _)) = all.get(MOST_DISKS) {
        scope
            .error(codes::OUT_OF_RANGE, "a SCSI bus holds 31 disks")
            .at(key.span, "one too many");
    }
    let mut out = Vec::new();
    for (key, disk) in all {
        let (Some(name), Some(disk)) = (key.value.clone(), &disk.value) else {
            continue;
        };
        let valid = name.len() <= SERIAL_LENGTH
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !valid {
            scope
                .error(codes::INVALID_NAME, format!("`{name}` is not a disk name"))
                .at(
                    key.span,
                    "at most 20 lower-case letters, digits and dashes: it is the serial number",
                );
        }
        if let Some(disk) = data_disk(guest, name, disk, key.span, scope) {
            out.push(disk);
        }
    }
    out
}

fn data_disk(
    guest: &str,
    name: String,
    disk: &NamedDisk,
    span: Span,
    scope: &mut Scope<'_>,
) -> Option<DataDisk> {
    let storage = scope.parse(&disk.storage);
    let size: Option<Bytes> = scope.parse(&disk.size);
    if let Some(size) =
        size.filter(|size| size.0 < Bytes::gib(1).0 || size.0 % Bytes::gib(1).0 != 0)
    {
        scope
            .error(
                codes::OUT_OF_RANGE,
                format!("{size} is not a whole number of GiB"),
            )
            .at(disk.size.span, "Proxmox allocates whole GiB");
    }
    let keep = or(&disk.keep, true);
    if keep {
        scope.unique(
            codes::DUPLICATE_NAME,
            &format!("the disk `{name}`"),
            guest,
            span,
            "a disk that outlives its guest is known by its name in the whole system",
        );
    }
    let tuning = DriveTuning {
        discard: or(&disk.discard, true),
        iothread: or(&disk.iothread, true),
        ssd: may(&disk.ssd),
        backup: may(&disk.backup),
        cache: cache(&disk.cache, scope),
    };
    let mount = mount(guest, &name, disk, scope);
    Some(DataDisk {
        name,
        storage: storage?,
        size: size?,
        keep,
        tuning,
        mount,
    })
}

/// Where a disk is mounted. Its place is one of the guest's, as those of datasets are.
fn mount(guest: &str, name: &str, disk: &NamedDisk, scope: &mut Scope<'_>) -> Option<DiskMount> {
    let Some(place) = &disk.at else {
        if let Some(filesystem) = &disk.filesystem {
            scope
                .error(
                    codes::MISSING_KEY,
                    format!("the disk `{name}` has a `filesystem` and no place"),
                )
                .at(filesystem.span, "without `at` infra makes none")
                .help("add `at: /srv/...`, or leave `filesystem` out");
        }
        return None;
    };
    let at = scope.parse(place)?.0;
    scope.unique(
        codes::DUPLICATE_MOUNT,
        &format!("the mount point {at} of `{guest}`"),
        name,
        place.span,
        "mount each disk and dataset once and at a place of its own",
    );
    let kind = disk.filesystem.as_ref().and_then(|at| at.value);
    let filesystem = match kind {
        Some(Filesystem::Xfs) => FilesystemKind::Xfs,
        Some(Filesystem::Ext4) | None => FilesystemKind::Ext4,
    };
    Some(DiskMount { at, filesystem })
}

/// The firmware.
pub(super) fn firmware(raw: &document::Guest, scope: &mut Scope<'_>) -> Firmware {
    let Some(uefi) = raw.uefi.as_ref().and_then(|at| at.value.as_ref()) else {
        return Firmware::Seabios;
    };
    match scope.parse(&uefi.storage) {
        Some(storage) => Firmware::Ovmf {
            storage,
            secure_boot: or(&uefi.secure_boot, false),
        },
        None => Firmware::Seabios,
    }
}

/// The machine type (`machine` in the API schema, PVE 9.2.11).
pub(super) fn machine(raw: &document::Guest, scope: &mut Scope<'_>) -> Option<String> {
    let at = raw.machine.as_ref()?;
    let machine = at.value.clone()?;
    let version = |rest: &str| {
        rest.strip_prefix('-').is_some_and(|version| {
            version.split_once('.').is_some_and(|(major, minor)| {
                let number = |text: &str| {
                    !text.is_empty()
                        && text
                            .bytes()
                            .all(|b| b.is_ascii_digit() || b == b'.' || b == b'+')
                };
                number(major) && number(minor.trim_start_matches("0+pve"))
                    || number(major) && number(minor)
            })
        })
    };
    let valid = matches!(machine.as_str(), "q35" | "pc")
        || machine.strip_prefix("pc-q35").is_some_and(version)
        || machine.strip_prefix("pc-i440fx").is_some_and(version);
    if !valid {
        scope
            .error(
                codes::INVALID_CHOICE,
                format!("`{machine}` is not a machine type"),
            )
            .at(
                at.span,
                "`q35`, `pc`, or one with a version: `pc-q35-9.2`, `pc-i440fx-9.2`",
            );
    }
    Some(machine)
}

/// The CPU: a model, and what Proxmox knows of one (`cpu` in the API schema, PVE 9.2.11).
pub(super) fn cpu(raw: &document::Guest, scope: &mut Scope<'_>) -> String {
    const PARTS: [&str; 7] = [
        "cputype",
        "flags",
        "guest-phys-bits",
        "hidden",
        "hv-vendor-id",
        "phys-bits",
        "reported-model",
    ];
    let cpu = text(&raw.cpu).unwrap_or_else(|| "host".to_owned());
    let is_model = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+'))
    };
    let is_part = |part: &str| match part.split_once('=') {
        Some(("cputype", model)) => is_model(model),
        Some(("flags", flags)) => flags
            .split(';')
            .all(|flag| flag.starts_with(['+', '-']) && flag.len() > 1),
        Some((name, value)) => PARTS.contains(&name) && !value.is_empty(),
        None => false,
    };
    let mut parts = cpu.split(',');
    let first = parts.next().unwrap_or_default();
    if let Some(at) = &raw.cpu
        && !((is_model(first) || is_part(first)) && parts.all(is_part))
    {
        scope
            .error(codes::INVALID_CHOICE, format!("`{cpu}` is not a CPU"))
            .at(
                at.span,
                "a model, then `name=value` parts, with commas between",
            )
            .help("`host`, `x86-64-v2-AES`, or for example `host,flags=+aes;-pcid`");
    }
    cpu
}

/// The SCSI controller.
pub(super) fn scsi_controller(raw: &document::Guest, scope: &mut Scope<'_>) -> String {
    let controller = text(&raw.scsi_controller).unwrap_or_else(|| CONTROLLERS[0].to_owned());
    if let Some(at) = raw
        .scsi_controller
        .as_ref()
        .filter(|_| !CONTROLLERS.contains(&controller.as_str()))
    {
        scope
            .error(
                codes::INVALID_CHOICE,
                format!("`{controller}` is not a SCSI controller"),
            )
            .at(at.span, format!("one of {}", CONTROLLERS.join(", ")));
    }
    controller
}

/// The boot order. Only what has a fixed slot can stand in it.
pub(super) fn boot(
    raw: &document::Guest,
    disks: &[DataDisk],
    cards: usize,
    scope: &mut Scope<'_>,
) -> Vec<String> {
    let list = items(&raw.boot);
    let mut out = Vec::new();
    for at in list {
        let Some(device) = &at.value else { continue };
        let card = device
            .strip_prefix("net")
            .and_then(|number| number.parse::<usize>().ok())
            .is_some_and(|number| number < cards);
        if device == "scsi0" || device == "ide2" || card {
            out.push(device.clone());
            continue;
        }
        let help = if disks.iter().any(|disk| &disk.name == device) {
            "a guest starts from its root disk, `scsi0`; further disks hold data"
        } else {
            "it can start from `scsi0` (the root disk), `ide2` (the CD-ROM drive) and its cards, `net0` ..."
        };
        scope
            .error(
                codes::DEVICE_WITHOUT_PLACE,
                format!("the guest cannot start from `{device}`"),
            )
            .at(at.span, "no such device")
            .help(help);
    }
    if list.is_empty() {
        out.push("scsi0".to_owned());
    }
    out
}

/// PCI devices.
pub(super) fn pci(
    raw: &document::Guest,
    machine: Option<&str>,
    scope: &mut Scope<'_>,
) -> Vec<PciDevice> {
    let mut out = Vec::new();
    for at in items(&raw.pci) {
        match &at.value {
            Some(Short::Word(mapping)) => {
                mapping_name(mapping, at.span, scope);
                out.push(PciDevice {
                    mapping: mapping.clone(),
                    pcie: false,
                    primary_gpu: false,
                });
            }
            Some(Short::Full(device)) => {
                let Some(mapping) = device.mapping.value.clone() else {
                    continue;
                };
                mapping_name(&mapping, device.mapping.span, scope);
                let pcie = or(&device.pcie, false);
                let is_q35 = machine.is_some_and(|machine| machine.contains("q35"));
                if let Some(at) = device.pcie.as_ref().filter(|_| pcie && !is_q35) {
                    scope
                        .error(
                            codes::DEVICE_WITHOUT_PLACE,
                            "only machine type `q35` has a PCI Express bus",
                        )
                        .at(at.span, "needs it")
                        .help("write `machine: q35`, or leave `pcie` out");
                }
                out.push(PciDevice {
                    mapping,
                    pcie,
                    primary_gpu: or(&device.primary_gpu, false),
                });
            }
            None => {}
        }
    }
    out
}

/// A raw address is root's alone; Proxmox lets tokens pass only what an administrator mapped.
fn mapping_name(text: &str, span: Span, scope: &mut Scope<'_>) {
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !is_name {
        scope
            .error(
                codes::INVALID_OPTION,
                format!("`{text}` is not the name of a resource mapping"),
            )
            .at(span, "only root may pass a device by its address")
            .help(
                "map the device under Datacenter > Resource Mappings and write the mapping's name",
            );
    }
}

/// USB devices.
pub(super) fn usb(raw: &document::Guest, scope: &mut Scope<'_>) -> Vec<UsbDevice> {
    for at in items(&raw.usb) {
        match &at.value {
            Some(Short::Word(mapping)) => mapping_name(mapping, at.span, scope),
            Some(Short::Full(device)) => {
                if let Some(mapping) = &device.mapping.value {
                    mapping_name(mapping, device.mapping.span, scope);
                }
            }
            None => {}
        }
    }
    let device = |short: &Short<document::Usb>| match short {
        Short::Word(mapping) => Some(UsbDevice {
            mapping: mapping.clone(),
            usb3: false,
        }),
        Short::Full(device) => Some(UsbDevice {
            mapping: device.mapping.value.clone()?,
            usb3: or(&device.usb3, false),
        }),
    };
    items(&raw.usb)
        .iter()
        .filter_map(|at| device(at.value.as_ref()?))
        .collect()
}
