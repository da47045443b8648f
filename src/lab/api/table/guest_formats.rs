//! The property strings of a guest: disks, cards and the rest.

use super::param::{BOOLEAN, INTEGER, NUMBER, Param, Params, TEXT, alias, opt, req, word};
/// Property strings that the schema calls by a name.
pub(crate) fn named(format: &str) -> Option<Params> {
    match format {
        "pve-qm-boot" => Some(BOOT),
        "pve-qm-ipconfig" => Some(IPCONFIG),
        "pve-qm-hostpci" => Some(HOSTPCI),
        "pve-qm-cicustom" => Some(CICUSTOM),
        _ => None,
    }
}

/// Not spelled out in the schema; from the manual of qm.
const BOOT: Params = &[&[opt("legacy", TEXT).by_default(), opt("order", TEXT)]];

const CICUSTOM: Params = &[&[
    opt("meta", TEXT.format("pve-volume-id")),
    opt("network", TEXT.format("pve-volume-id")),
    opt("user", TEXT.format("pve-volume-id")),
    opt("vendor", TEXT.format("pve-volume-id")),
]];

const IPCONFIG: Params = &[&[
    opt("gw", TEXT.format("ipv4")).requires("ip"),
    opt("gw6", TEXT.format("ipv6")).requires("ip6"),
    opt("ip", TEXT.format("pve-ipv4-config")),
    opt("ip6", TEXT.format("pve-ipv6-config")),
]];

const HOSTPCI: Params = &[&[
    opt("host", TEXT).by_default(),
    opt("mapping", TEXT.format("pve-configid")),
    opt("rombar", BOOLEAN),
    opt("romfile", TEXT),
    opt("pcie", BOOLEAN),
    opt("x-vga", BOOLEAN),
    opt("legacy-igd", BOOLEAN),
    opt("driver", word(&["vfio", "keep"])),
    opt("mdev", TEXT),
    opt("vendor-id", TEXT),
    opt("device-id", TEXT),
    opt("sub-vendor-id", TEXT),
    opt("sub-device-id", TEXT),
]];

/// What every kind of disk takes.
const DISK: &[Param] = &[
    opt("aio", word(&["native", "threads", "io_uring"])),
    opt("backup", BOOLEAN),
    opt("bps", INTEGER),
    opt("bps_max_length", INTEGER.min(1)),
    opt("bps_rd", INTEGER),
    alias("bps_rd_length", "bps_rd_max_length"),
    opt("bps_rd_max_length", INTEGER.min(1)),
    opt("bps_wr", INTEGER),
    alias("bps_wr_length", "bps_wr_max_length"),
    opt("bps_wr_max_length", INTEGER.min(1)),
    opt(
        "cache",
        word(&["none", "writethrough", "writeback", "unsafe", "directsync"]),
    ),
    opt("detect_zeroes", BOOLEAN),
    opt("discard", word(&["ignore", "on"])),
    req("file", TEXT.format("pve-volume-id-or-qm-path")).by_default(),
    opt(
        "format",
        word(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]),
    ),
    opt("import-from", TEXT.format("pve-volume-id-or-absolute-path")),
    opt("iops", INTEGER),
    opt("iops_max", INTEGER),
    opt("iops_max_length", INTEGER.min(1)),
    opt("iops_rd", INTEGER),
    alias("iops_rd_length", "iops_rd_max_length"),
    opt("iops_rd_max", INTEGER),
    opt("iops_rd_max_length", INTEGER.min(1)),
    opt("iops_wr", INTEGER),
    alias("iops_wr_length", "iops_wr_max_length"),
    opt("iops_wr_max", INTEGER),
    opt("iops_wr_max_length", INTEGER.min(1)),
    opt("mbps", NUMBER),
    opt("mbps_max", NUMBER),
    opt("mbps_rd", NUMBER),
    opt("mbps_rd_max", NUMBER),
    opt("mbps_wr", NUMBER),
    opt("mbps_wr_max", NUMBER),
    opt("media", word(&["cdrom", "disk"])).or("disk"),
    opt("replicate", BOOLEAN).or("1"),
    opt("rerror", word(&["ignore", "report", "stop"])),
    opt("serial", TEXT.format("urlencoded").max(60)),
    opt("shared", BOOLEAN).or("0"),
    opt("size", TEXT.format("disk-size")),
    opt("snapshot", BOOLEAN),
    alias("volume", "file"),
    opt("werror", word(&["enospc", "ignore", "report", "stop"])),
];

pub(super) const AGENT: Params = &[&[
    req("enabled", BOOLEAN).or("0").by_default(),
    opt("freeze-fs", BOOLEAN).or("1"),
    alias("freeze-fs-on-backup", "freeze-fs"),
    opt("fstrim_cloned_disks", BOOLEAN).or("0"),
    alias("guest-fsfreeze", "freeze-fs"),
    opt("type", word(&["virtio", "isa"])).or("virtio"),
]];

pub(super) const AUDIO: Params = &[&[
    req("device", word(&["ich9-intel-hda", "intel-hda", "AC97"])),
    opt("driver", word(&["spice", "none"])).or("spice"),
]];

pub(super) const EFIDISK: Params = &[&[
    opt("efitype", word(&["2m", "4m"])).or("2m"),
    req("file", TEXT.format("pve-volume-id-or-qm-path")).by_default(),
    opt(
        "format",
        word(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]),
    ),
    opt("import-from", TEXT.format("pve-volume-id-or-absolute-path")),
    opt("ms-cert", word(&["2011", "2023", "2023w", "2023k"])).or("2011"),
    opt("pre-enrolled-keys", BOOLEAN).or("0"),
    opt("size", TEXT.format("disk-size")),
    alias("volume", "file"),
]];

pub(super) const IDE: Params = &[
    DISK,
    &[
        opt("model", TEXT.format("urlencoded").max(120)),
        opt("ssd", BOOLEAN),
        opt("wwn", TEXT.pattern("(?^:^(0x)[0-9a-fA-F]{16})")),
    ],
];

pub(super) const IVSHMEM: Params = &[&[
    opt("name", TEXT.pattern("[a-zA-Z0-9\\-]+")),
    req("size", INTEGER.min(1)),
]];

pub(super) const MACHINE: Params = &[&[
    opt("aw-bits", NUMBER.min(32).max(64)),
    opt("enable-s3", BOOLEAN),
    opt("enable-s4", BOOLEAN),
    opt("type", TEXT.pattern("(pc|pc(-i440fx)?-\\d+(\\.\\d+)+(\\+pve\\d+)?(\\.pxe)?|q35|pc-q35-\\d+(\\.\\d+)+(\\+pve\\d+)?(\\.pxe)?|virt(?:-\\d+(\\.\\d+)+)?(\\+pve\\d+)?)").max(40)).by_default(),
    opt("viommu", word(&["intel", "virtio"])),
]];

pub(super) const MEMORY: Params = &[&[req("current", INTEGER.min(16)).or("512").by_default()]];

pub(super) const NET: Params = &[&[
    opt("bridge", TEXT.format("pve-bridge-id")),
    alias("e1000", "macaddr").naming("model"),
    alias("e1000-82540em", "macaddr").naming("model"),
    alias("e1000-82544gc", "macaddr").naming("model"),
    alias("e1000-82545em", "macaddr").naming("model"),
    alias("e1000e", "macaddr").naming("model"),
    opt("firewall", BOOLEAN),
    opt("host-tunnel", BOOLEAN),
    alias("i82551", "macaddr").naming("model"),
    alias("i82557b", "macaddr").naming("model"),
    alias("i82559er", "macaddr").naming("model"),
    opt("link_down", BOOLEAN),
    opt("macaddr", TEXT.format("mac-addr")),
    req(
        "model",
        word(&[
            "e1000",
            "e1000-82540em",
            "e1000-82544gc",
            "e1000-82545em",
            "e1000e",
            "i82551",
            "i82557b",
            "i82559er",
            "ne2k_isa",
            "ne2k_pci",
            "pcnet",
            "rtl8139",
            "virtio",
            "vmxnet3",
        ]),
    )
    .by_default(),
    opt("mtu", INTEGER.min(1).max(65520)),
    alias("ne2k_isa", "macaddr").naming("model"),
    alias("ne2k_pci", "macaddr").naming("model"),
    alias("pcnet", "macaddr").naming("model"),
    opt("queues", INTEGER.min(0).max(64)),
    opt("rate", NUMBER.min(0)),
    alias("rtl8139", "macaddr").naming("model"),
    opt("tag", INTEGER.min(1).max(4094)),
    opt(
        "trunks",
        TEXT.pattern("(?^:\\d+(?:-\\d+)?(?:;\\d+(?:-\\d+)?)*)"),
    ),
    alias("virtio", "macaddr").naming("model"),
    alias("vmxnet3", "macaddr").naming("model"),
]];

pub(super) const NUMA: Params = &[&[
    req(
        "cpus",
        TEXT.pattern("(?^:\\d+(?:-\\d+)?(?:;\\d+(?:-\\d+)?)*)"),
    ),
    opt(
        "hostnodes",
        TEXT.pattern("(?^:\\d+(?:-\\d+)?(?:;\\d+(?:-\\d+)?)*)"),
    ),
    opt("memory", NUMBER),
    opt("policy", word(&["preferred", "bind", "interleave"])),
]];

pub(super) const SATA: Params = &[
    DISK,
    &[
        opt("ssd", BOOLEAN),
        opt("wwn", TEXT.pattern("(?^:^(0x)[0-9a-fA-F]{16})")),
    ],
];

pub(super) const SCSI: Params = &[
    DISK,
    &[
        opt("iothread", BOOLEAN),
        opt("product", TEXT.pattern("[A-Za-z0-9\\-_\\s]{,16}")),
        opt("queues", INTEGER.min(2)),
        opt("ro", BOOLEAN),
        opt("scsiblock", BOOLEAN).or("0"),
        opt("ssd", BOOLEAN),
        opt("vendor", TEXT.pattern("[A-Za-z0-9\\-_\\s]{,8}")),
        opt("wwn", TEXT.pattern("(?^:^(0x)[0-9a-fA-F]{16})")),
    ],
];

pub(super) const SPICE_ENHANCEMENTS: Params = &[&[
    opt("foldersharing", BOOLEAN).or("0"),
    opt("videostreaming", word(&["off", "all", "filter"])).or("off"),
]];

pub(super) const TPMSTATE: Params = &[&[
    req("file", TEXT.format("pve-volume-id-or-qm-path")).by_default(),
    opt("format", word(&["raw", "qcow2", "vmdk"])),
    opt("import-from", TEXT.format("pve-volume-id-or-absolute-path")),
    opt("size", TEXT.format("disk-size")),
    opt("version", word(&["v1.2", "v2.0"])).or("v1.2"),
    alias("volume", "file"),
]];

pub(super) const UNUSED: Params = &[&[
    req("file", TEXT.format("pve-volume-id")).by_default(),
    alias("volume", "file"),
]];

pub(super) const USB: Params = &[&[
    opt("host", TEXT.pattern("(?^:(?:(?:(?^:(0x)?([0-9A-Fa-f]{4}):(0x)?([0-9A-Fa-f]{4})))|(?:(?^:(\\d+)\\-(\\d+(\\.\\d+)*)))|[Ss][Pp][Ii][Cc][Ee]))")).by_default(),
    opt("mapping", TEXT.format("pve-configid")),
    opt("usb3", BOOLEAN).or("0"),
]];

pub(super) const VGA: Params = &[&[
    opt("clipboard", word(&["vnc"])),
    opt("memory", INTEGER.min(4).max(512)),
    opt(
        "type",
        word(&[
            "cirrus",
            "qxl",
            "qxl2",
            "qxl3",
            "qxl4",
            "none",
            "serial0",
            "serial1",
            "serial2",
            "serial3",
            "std",
            "virtio",
            "virtio-gl",
            "vmware",
        ]),
    )
    .or("std")
    .by_default(),
]];

pub(super) const VIRTIO: Params = &[DISK, &[opt("iothread", BOOLEAN), opt("ro", BOOLEAN)]];

pub(super) const VIRTIOFS: Params = &[&[
    opt("cache", word(&["auto", "always", "metadata", "never"])).or("auto"),
    opt("direct-io", BOOLEAN).or("0"),
    req("dirid", TEXT.format("pve-configid")).by_default(),
    opt("expose-acl", BOOLEAN).or("0"),
    opt("expose-xattr", BOOLEAN).or("0"),
]];
