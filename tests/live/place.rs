//! Where the real Proxmox is, from the environment.

use std::{env, io::Write as _};

/// A Proxmox that may be used up, and a free corner of its network.
pub(crate) struct Place {
    /// The zpool that its owner gives up: everything below `<zpool>/infra-live` is destroyed in the end.
    pub(crate) ok_to_destroy: String,
    pub(crate) node: String,
    pub(crate) address: String,
    pub(crate) fingerprint: String,
    pub(crate) token_id: String,
    pub(crate) token: String,
    /// `known_hosts` lines of the node.
    pub(crate) known_hosts: String,
    /// Private key that root on the node accepts; its public half lies beside it as `.pub`.
    pub(crate) key: String,
    /// The address from which this machine is seen by the node and the guest.
    pub(crate) operator: String,
    pub(crate) network: String,
    pub(crate) gateway: String,
    pub(crate) nameserver: String,
    pub(crate) bridge: String,
    pub(crate) storage: String,
    pub(crate) vmid: String,
    pub(crate) guest: String,
    pub(crate) image: String,
    pub(crate) checksum: String,
    /// Whether the guest runs without KVM, for a Proxmox that is itself a guest.
    pub(crate) emulate: bool,
}

impl Place {
    /// What the environment names; none, and a line past the test runner, when it names nothing to destroy.
    pub(crate) fn named() -> Option<Self> {
        let Ok(ok_to_destroy) = env::var("INFRA_LIVE_OK_TO_DESTROY") else {
            let text = "SKIPPED the live suite: INFRA_LIVE_OK_TO_DESTROY names no zpool (docs/live-tests.md)";
            writeln!(std::io::stderr(), "{text}").expect("stderr");
            return None;
        };
        let mut missing = Vec::new();
        let mut need = |name: &str| {
            let name = format!("INFRA_LIVE_{name}");
            env::var(&name).unwrap_or_else(|_| {
                missing.push(name);
                String::new()
            })
        };
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let place = Self {
            ok_to_destroy,
            node: need("NODE"),
            address: need("ADDRESS"),
            fingerprint: need("FINGERPRINT"),
            token_id: need("TOKEN_ID"),
            token: need("TOKEN"),
            known_hosts: file(&need("KNOWN_HOSTS")),
            key: need("KEY"),
            operator: need("OPERATOR"),
            network: need("NETWORK"),
            gateway: need("GATEWAY"),
            nameserver: need("NAMESERVER"),
            guest: need("GUEST"),
            image: need("IMAGE"),
            checksum: need("CHECKSUM"),
            bridge: env::var("INFRA_LIVE_BRIDGE").unwrap_or_else(|_| "vmbr0".to_owned()),
            storage: env::var("INFRA_LIVE_STORAGE").unwrap_or_else(|_| "local-zfs".to_owned()),
            vmid: env::var("INFRA_LIVE_VMID").unwrap_or_else(|_| "9190".to_owned()),
            emulate: env::var("INFRA_LIVE_EMULATE").is_ok_and(|value| value == "1"),
        };
        assert!(
            missing.is_empty(),
            "the live suite also needs {}: docs/live-tests.md",
            missing.join(", ")
        );
        assert!(
            !place.known_hosts.trim().is_empty(),
            "INFRA_LIVE_KNOWN_HOSTS holds no key of the node"
        );
        Some(place)
    }

    /// A place that does not exist, to check what the suite writes without one.
    pub(crate) fn imagined(key: &std::path::Path) -> Self {
        let text = str::to_owned;
        Self {
            ok_to_destroy: text("scratch"),
            node: text("pve"),
            address: text("192.168.1.10"),
            fingerprint: ["AB"; 32].join(":"),
            token_id: text("infra@pve!live"),
            token: text("not a token"),
            known_hosts: String::new(),
            key: key.display().to_string(),
            operator: text("192.168.1.50"),
            network: text("192.168.1.0/24"),
            gateway: text("192.168.1.1"),
            nameserver: text("192.168.1.1"),
            bridge: text("vmbr0"),
            storage: text("local-zfs"),
            vmid: text("9190"),
            guest: text("192.168.1.20"),
            image: text("https://example.org/debian-13.qcow2"),
            checksum: format!("sha256:{}", "ab".repeat(32)),
            emulate: true,
        }
    }

    /// The inventory of the suite: one node, one guest, one tree of datasets, a small matrix.
    pub(crate) fn inventory(&self) -> String {
        let Self {
            ok_to_destroy: zpool,
            node,
            address,
            fingerprint,
            token_id,
            operator,
            network,
            gateway,
            nameserver,
            bridge,
            storage,
            vmid,
            guest,
            image,
            checksum,
            key,
            ..
        } = self;
        let public = std::fs::read_to_string(format!("{key}.pub")).expect("the key's public half");
        let public = public.trim();
        // A guest that is a guest's guest may have no hardware to run on.
        let emulation = if self.emulate {
            "\n    cpu: qemu64\n    options: {kvm: 0}"
        } else {
            ""
        };
        format!(
            r#"version: 1
name: infra-live
proxmox:
  endpoint: https://{node}:8006
  token: {{id: "{token_id}", secret: token}}
  tls: {{fingerprint: "{fingerprint}"}}
secrets:
  token: {{env: INFRA_LIVE_TOKEN}}
authorized_keys: ["{public}"]
nodes:
  {node}:
    address: {address}
    ssh: {{identity: "{key}"}}
sets:
  operators: [{operator}]
  router: [{gateway}]
  resolver: [{nameserver}]
operators: operators
zones:
  lan: {{cidrs: "{network}", bridge: {bridge}, gateway: router, nameservers: resolver}}
services:
  ssh: 22/tcp
  proxmox: 8006/tcp
  dns: [53/udp, 53/tcp]
  web: [80/tcp, 443/tcp]
  ntp: 123/udp
flows:
  - {{from: operators, to: {node}, allow: [ssh, proxmox], reason: administration}}
  - {{from: operators, to: probe, allow: ssh, reason: administration}}
  - {{from: probe, to: internet, allow: [dns, web, ntp], reason: "updates, names and time"}}
  - {{from: probe, to: [router, resolver], allow: [dns, web], reason: "names, and mirrors nearby"}}
never:
  - {{from: internet, to: probe, reason: nothing here is public}}
images:
  debian-13: {{url: "{image}", checksum: "{checksum}"}}
guests:
  probe:
    vmid: {vmid}
    node: {node}
    cores: 1
    memory: 1GiB
    disk: {{storage: {storage}, size: 8GiB}}
    nics: [{{zone: lan, address: {guest}}}]
    ssh: {{identity: "{key}"}}
    notes: Made by infra's live suite.{emulation}
zfs:
  {zpool}:
    host: {node}
    datasets:
      infra-live:
        profile: appdata
        snapshots: daily
        datasets: {{photos: {{profile: photos, snapshots: weekly}}}}
checks:
  - {{name: the guest answers its operator, from: operators, tcp: "probe:ssh"}}
"#
        )
    }
}
