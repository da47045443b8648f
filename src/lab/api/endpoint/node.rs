//! A node as such.

use crate::lab::api::{
    call::{Answer, Call, Outcome},
    model::cluster::Model,
};
use serde_json::{Value, json};

pub(crate) fn list(model: &Model, call: &Call) -> Answer {
    let all = model.nodes.iter().map(|(name, node)| {
        let mut item = json!({
            "id": format!("node/{name}"), "node": name, "type": "node", "status": "unknown",
            "ssl_fingerprint": call.fingerprint,
        });
        if node.is_counted {
            item["status"] = json!("online");
            item["uptime"] = json!((call.now - node.booted).max(0));
            for (key, value) in [
                ("cpu", 0_u64),
                ("maxcpu", 2),
                ("mem", 1_188_524_032),
                ("maxmem", MEMORY),
                ("disk", 28_548_001_792),
                ("maxdisk", DISK),
            ] {
                item[key] = json!(value);
            }
            item["level"] = json!("");
        }
        item
    });
    Outcome::data(all.collect::<Vec<_>>())
}

const MEMORY: u64 = 25_276_510_208;
const DISK: u64 = 270_553_174_016;

pub(crate) fn status(model: &Model, call: &Call) -> Answer {
    let booted = model
        .nodes
        .get(call.node())
        .map_or(call.now, |node| node.booted);
    let version = super::cluster::VERSION;
    Outcome::data(json!({
        "boot-info": {"mode": "legacy-bios"},
        "cpu": 0,
        "cpuinfo": {
            "cores": 2, "cpus": 2, "family": "6", "flags": "fpu vme sse sse2 ht aes avx avx2", "hvm": "1",
            "mhz": "2596.096", "model": "infra lab", "sockets": 1, "user_hz": 100, "vendor": "GenuineIntel",
        },
        "current-kernel": {
            "machine": "x86_64", "release": "6.17.4-1-pve", "sysname": "Linux", "version": "#1 SMP PREEMPT_DYNAMIC PMX",
        },
        "idle": 0,
        "ksm": {"shared": 0},
        "kversion": "Linux 6.17.4-1-pve #1 SMP PREEMPT_DYNAMIC",
        "loadavg": ["0.02", "0.62", "1.56"],
        "memory": {"available": 24_087_986_176_u64, "free": 21_514_776_576_u64, "total": MEMORY, "used": 1_188_524_032_u64},
        "pveversion": format!("pve-manager/{version}/14a22df3"),
        "rootfs": {"avail": 69_024_747_520_u64, "free": 242_005_172_224_u64, "total": DISK, "used": 28_548_001_792_u64},
        "swap": {"free": 0, "total": 0, "used": 0},
        "uptime": (call.now - booted).max(0),
        "wait": 0,
    }))
}

pub(crate) fn dns(_model: &Model, _call: &Call) -> Answer {
    Outcome::data(json!({"dns1": "192.168.1.1"}))
}

pub(crate) fn time(_model: &Model, call: &Call) -> Answer {
    Outcome::data(json!({"localtime": call.now, "time": call.now, "timezone": "Etc/UTC"}))
}

/// Machine versions of QEMU 11.1 as packaged by Proxmox, with what they change.
const MACHINES: &[(&str, &str)] = &[
    ("11.1", ""),
    (
        "11.0+pve2",
        "Enable hv_emcs for Windows 11/2022/2025 to mitigate issues with VBS.",
    ),
    (
        "11.0+pve1",
        "Use host_tunnel=off by default for VirtIO NICs.",
    ),
    ("11.0", ""),
    ("10.2", ""),
    ("10.1", ""),
    (
        "10.0+pve1",
        "Set host_mtu vNIC option even with default value for migration compat.",
    ),
    ("10.0", ""),
    ("9.2+pve1", "Disables S3/S4 power states by default."),
    ("9.2", ""),
    ("9.1", ""),
    ("9.0", ""),
    ("8.2", ""),
    ("8.1", ""),
    ("8.0", ""),
    ("7.2", ""),
    ("7.1", ""),
    ("7.0", ""),
    ("6.2", ""),
    ("6.1", ""),
    ("6.0", ""),
    ("5.2", ""),
];

pub(crate) fn machines(_model: &Model, _call: &Call) -> Answer {
    let mut all: Vec<Value> = Vec::new();
    for (version, changes) in MACHINES {
        for kind in ["i440fx", "q35"] {
            let mut item =
                json!({"id": format!("pc-{kind}-{version}"), "type": kind, "version": version});
            if !changes.is_empty() {
                item["changes"] = json!(changes);
            }
            all.push(item);
        }
    }
    Outcome::data(all)
}
