//! The flagship, compiled as the binary compiles it, and the world in which nothing is left to do for it.

use infra::{
    baseline,
    firewall::{self, CompiledFirewall, DockerUser},
    inventory::{BuiltinTemplates, load},
    model::{
        dataset::MARKER,
        desired::Desired,
        facts::{
            ContainerFact, DatasetFact, DiskFact, DockerFacts, HostFacts, MountFact, PathFact,
            PropertyFact, UnitFact, ZpoolFact,
        },
        guest::Guest,
        ids::{DatasetName, HostName, StackName, Vmid},
        image::{Checksum, ImageSource},
        observed::{
            Observed, ObservedGuest, ObservedNode, ObservedProxmox, ObservedStorage, Reading,
        },
        property,
        release::Release,
        resource::Resource,
        secret::SecretValues,
        size::Bytes,
    },
    plan::{Inputs, Obstacle, Plan, change::Operation, drive, fingerprint, plan},
    release,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::LazyLock,
};

/// Loading and rendering take most of a test's time, so they are done once.
pub(crate) static FLAGSHIP: LazyLock<(System, Observed)> = LazyLock::new(|| {
    let system = System::load();
    let settled = system.settled();
    (system, settled)
});

/// An inventory, compiled.
#[derive(Clone)]
pub(crate) struct System {
    pub(crate) desired: Desired,
    firewall: CompiledFirewall,
    pub(crate) resources: BTreeMap<HostName, Vec<Resource>>,
    pub(crate) releases: BTreeMap<StackName, Release>,
    pub(crate) secrets: SecretValues,
}

pub(crate) fn host(name: &str) -> HostName {
    HostName::new(name).expect("a host name")
}

pub(crate) fn dataset(name: &str) -> DatasetName {
    DatasetName::new(name).expect("a dataset name")
}

pub(crate) fn vmid(number: u32) -> Vmid {
    Vmid::new(number).expect("a VMID")
}

impl System {
    /// The built-in media server with made-up secrets.
    pub(crate) fn flagship() -> Self {
        FLAGSHIP.0.clone()
    }

    fn load() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventory/media-server-home");
        let today = jiff::civil::date(2026, 11, 20);
        let loaded = load(&folder, today, &BuiltinTemplates::new()).expect("readable");
        let mut desired = loaded.desired.expect("a valid inventory");
        for image in desired.images.values_mut() {
            if let ImageSource::Download(download) = &mut image.source {
                download.checksum = Some(Checksum {
                    algorithm: "sha256".to_owned(),
                    hex: "ab".repeat(32),
                });
            }
        }
        let mut secrets = SecretValues::default();
        for name in desired.secrets.keys() {
            secrets.insert(name.clone(), format!("value-of-{name}").into());
        }
        Self::compile(desired, secrets)
    }

    /// Compiles as `cli` does.
    pub(crate) fn compile(desired: Desired, secrets: SecretValues) -> Self {
        let (firewall, _) = firewall::compile(&desired);
        let mut resources = baseline::resources(&desired);
        for (host, rules) in &firewall.docker {
            resources
                .entry(host.clone())
                .or_default()
                .extend(firewall::docker_resources(rules));
        }
        let releases = desired
            .stacks
            .values()
            .map(|stack| {
                let (rendered, problems) = release::render(&desired, stack, &secrets);
                let rendered = rendered.unwrap_or_else(|| panic!("{}: {problems:?}", stack.name));
                (stack.name.clone(), rendered)
            })
            .collect();
        Self {
            desired,
            firewall,
            resources,
            releases,
            secrets,
        }
    }

    pub(crate) fn plan(&self, observed: &Observed) -> Plan {
        let inputs = Inputs {
            desired: &self.desired,
            firewall: &self.firewall,
            resources: &self.resources,
            releases: &self.releases,
            secrets: &self.secrets,
            observed,
        };
        plan(&inputs, false).expect("no cycle")
    }

    /// A node as it comes from the installer, with its zpool and its second bridge, and no guest.
    pub(crate) fn fresh(&self) -> Observed {
        let mut proxmox = ObservedProxmox {
            version: "9.2.11".to_owned(),
            pci_mappings: self.pci_mappings(),
            ..ObservedProxmox::default()
        };
        let mut hosts = BTreeMap::new();
        for node in self.desired.nodes.values() {
            let mut live = ObservedNode {
                status: "online".to_owned(),
                ..ObservedNode::default()
            };
            for zone in self.desired.zones.values() {
                if let Some(bridge) = &zone.bridge {
                    live.bridges.insert(bridge.to_string(), Vec::new());
                }
            }
            for (storage, kind, content) in [
                ("local", "dir", &["iso", "import", "vztmpl"][..]),
                ("local-zfs", "zfspool", &["images", "rootdir"][..]),
            ] {
                let storage_seen = ObservedStorage {
                    kind: kind.to_owned(),
                    content: content.iter().map(|c| (*c).to_owned()).collect(),
                    active: true,
                    shared: false,
                    available: Bytes::gib(500).0,
                    volumes: BTreeMap::new(),
                };
                live.storages.insert(storage.to_owned(), storage_seen);
            }
            proxmox.nodes.insert(node.name.clone(), live);
            let facts = HostFacts {
                boot_id: "4c6a2f43-9a65-4a4b-8f0e-1f5f6c1f4e11".to_owned(),
                architecture: "amd64".to_owned(),
                os: "trixie".to_owned(),
                zpools: self.zpools(&node.name),
                ..HostFacts::default()
            };
            hosts.insert(node.name.clone(), Reading::Seen(facts));
        }
        for guest in self.desired.guests.keys() {
            hosts.insert(guest.clone(), Reading::Absent);
        }
        Observed {
            proxmox: Some(Reading::Seen(proxmox)),
            hosts,
        }
    }

    /// What guests are given of the nodes' devices.
    fn pci_mappings(&self) -> BTreeMap<String, Vec<String>> {
        let devices = self.desired.guests.values().flat_map(|guest| {
            let entry = format!("node={},path=0000:00:02.0,id=8086:1912", guest.node);
            let mappings = guest.pci.iter().map(|device| device.mapping.clone());
            mappings.map(move |mapping| (mapping, vec![entry.clone()]))
        });
        devices.collect()
    }

    /// The world in which every wish is fulfilled.
    pub(crate) fn settled(&self) -> Observed {
        let first = self.plan(&self.fresh());
        let mut observed = self.fresh();
        let proxmox = proxmox(&mut observed);
        proxmox.firewall = self.firewall.pve.clone();
        for change in &first.changes {
            if let Operation::CreateGuest { node, vmid, params } = &change.operation {
                let mut found = read_back(self.guest(*vmid), params);
                found.node = node.to_string();
                proxmox.guests.insert(*vmid, found);
            } else if let Operation::SealSeed {
                vmid,
                node,
                storage,
                seed,
                ..
            } = &change.operation
            {
                let config = proxmox.guests.get_mut(vmid).expect("created before");
                let config = config.config.as_mut().expect("configured");
                let value = drive(storage, &seed.filename);
                config.insert("ide2".to_owned(), format!("{value},size=374K"));
                volume(proxmox, node, storage, &format!("iso/{}", seed.filename));
            } else if let Operation::DownloadImage {
                node,
                storage,
                download,
                ..
            } = &change.operation
            {
                let name = format!("import/{}", download.filename);
                volume(proxmox, node, storage, &name);
            } else if let Operation::MapDirectory {
                mapping,
                node,
                path,
                ..
            } = &change.operation
            {
                let entry = format!("node={node},path={path}");
                proxmox.dir_mappings.insert(mapping.clone(), vec![entry]);
            }
        }
        for host in self.desired.all_hosts() {
            let facts = self.facts(host);
            observed.hosts.insert(host.clone(), Reading::Seen(facts));
        }
        observed
    }

    fn guest(&self, vmid: Vmid) -> &Guest {
        let mut guests = self.desired.guests.values();
        guests.find(|guest| guest.vmid == vmid).expect("ours")
    }

    fn zpools(&self, host: &HostName) -> BTreeMap<String, ZpoolFact> {
        let pools = self.desired.zpools.values();
        pools
            .filter(|pool| &pool.host == host)
            .map(|pool| {
                let fact = ZpoolFact {
                    health: "ONLINE".to_owned(),
                    size: Bytes::gib(4096).0,
                    free: Bytes::gib(4000).0,
                };
                (pool.name.to_string(), fact)
            })
            .collect()
    }

    fn facts(&self, host: &HostName) -> HostFacts {
        let mut facts = HostFacts {
            boot_id: "0b9f3d4e-52c1-4d5c-93a4-8a3a4ad2f3c7".to_owned(),
            architecture: "amd64".to_owned(),
            os: "trixie".to_owned(),
            ufw: self.firewall.ufw.get(host).cloned(),
            zpools: self.zpools(host),
            ..HostFacts::default()
        };
        for resource in self.resources.get(host).into_iter().flatten() {
            self.fulfil(&mut facts, resource);
        }
        for wanted in self.desired.datasets.values().filter(|d| &d.host == host) {
            let mut fact = DatasetFact {
                kind: "filesystem".to_owned(),
                ..DatasetFact::default()
            };
            let mut put = |name: &str, value: &str, source: &str| {
                let value = PropertyFact {
                    value: value.to_owned(),
                    source: source.to_owned(),
                };
                fact.properties.insert(name.to_owned(), value);
            };
            for (name, value) in &wanted.properties {
                put(name, &property::canonical(name, value), "local");
            }
            put("mounted", "yes", "-");
            put("org.infra:system", self.desired.system.as_str(), "local");
            facts.datasets.insert(wanted.name.clone(), fact);
            let mountpoint = wanted.properties.get("mountpoint");
            for directory in &wanted.directories {
                let mountpoint = mountpoint.expect("a directory stands in a mounted dataset");
                let path = match directory.path.as_str() {
                    "." => mountpoint.clone(),
                    inside => format!("{mountpoint}/{inside}"),
                };
                let seen = entry("directory", directory.uid, directory.gid, directory.mode);
                facts.paths.insert(path, Some(seen));
            }
            if let Some(mountpoint) = mountpoint
                && self.desired.is_worked_on(&wanted.name)
            {
                let marker = format!("{mountpoint}/{MARKER}");
                let mut seen = entry("file", 0, 0, 0o444);
                seen.sha256 = Some(fingerprint(format!("{}\n", wanted.name).as_bytes()));
                facts.paths.insert(marker, Some(seen));
            }
        }
        if let Some(chain) = self.firewall.docker.get(host) {
            facts.docker = Some(docker(chain));
        }
        for release in self.releases.values().filter(|r| &r.host == host) {
            deploy(&mut facts, release);
        }
        facts
    }

    fn fulfil(&self, facts: &mut HostFacts, resource: &Resource) {
        match resource {
            Resource::Package(name) => {
                let version = Some("1.0-1".to_owned());
                facts.packages.insert(name.clone(), version);
            }
            Resource::File(file) => {
                let bytes = file.content.filled(&self.secrets).expect("has a value");
                let mut seen = entry("file", 0, 0, file.mode);
                seen.sha256 = Some(fingerprint(&bytes));
                facts.paths.insert(file.path.clone(), Some(seen));
            }
            Resource::Directory { path, mode, .. } => {
                let seen = entry("directory", 0, 0, *mode);
                facts.paths.insert(path.clone(), Some(seen));
            }
            Resource::NoFile { path, .. } => {
                facts.paths.insert(path.clone(), None);
            }
            Resource::Unit { name, .. } => {
                facts.units.insert(name.clone(), at_work());
                if let Some(at) = self.mount_of(name) {
                    let mount = MountFact {
                        fstype: "virtiofs".to_owned(),
                        source: at.clone(),
                        options: "rw,nosuid,nodev".to_owned(),
                    };
                    facts.mounts.insert(at, mount);
                }
            }
            Resource::Filesystem(wanted) => {
                let fact = DiskFact {
                    bytes: Bytes::gib(100).0,
                    kind: Some(wanted.kind.to_string()),
                    uuid: Some(wanted.uuid.clone()),
                    filesystem_bytes: Some(Bytes::gib(100).0),
                    ..DiskFact::default()
                };
                facts.disks.insert(wanted.disk.clone(), Some(fact));
            }
            Resource::Sysctl { key, value } => {
                facts.sysctls.insert(key.clone(), Some(value.clone()));
            }
            Resource::NftTable { table, text, .. } => {
                // nft indents with tabs and parts chains with empty lines.
                let listed = text
                    .replace("  ", "\t")
                    .replace("}\n\tchain", "}\n\n\tchain");
                facts.nft_tables.insert(table.clone(), Some(listed));
            }
        }
    }

    fn mount_of(&self, unit: &str) -> Option<String> {
        let mut mounts = self.desired.guests.values().flat_map(|g| &g.mounts);
        mounts
            .find(|mount| baseline::unit_name(&mount.at) == unit)
            .map(|mount| mount.at.clone())
    }
}

fn at_work() -> UnitFact {
    UnitFact {
        load: "loaded".to_owned(),
        active: "active".to_owned(),
        enabled: "enabled".to_owned(),
    }
}

/// What stands at a path; root's names for number 0.
pub(crate) fn entry(kind: &str, uid: u32, gid: u32, mode: u32) -> PathFact {
    let name = |id: u32| match id {
        0 => "root".to_owned(),
        id => id.to_string(),
    };
    PathFact {
        kind: kind.to_owned(),
        owner: name(uid),
        group: name(gid),
        uid,
        gid,
        mode,
        sha256: None,
        target: None,
    }
}

/// A guest as Proxmox 9.2.11 reads it back: an imported and grown disk, keys of its own, no vmid.
fn read_back(guest: &Guest, params: &BTreeMap<String, String>) -> ObservedGuest {
    let mut config = params.clone();
    config.remove("vmid");
    let disk = format!(
        "{}:vm-{}-disk-0,discard=on,iothread=1,size={}G",
        guest.disk.storage,
        guest.vmid,
        guest.disk.size.as_gib_ceil()
    );
    config.insert("scsi0".to_owned(), disk);
    config.insert("meta".to_owned(), "creation-qemu=10.1.2".to_owned());
    config.insert("smbios1".to_owned(), "uuid=7b1f".to_owned());
    config.insert("vmgenid".to_owned(), "0f0e".to_owned());
    if let Some(notes) = config.get_mut("description") {
        notes.push('\n');
    }
    ObservedGuest {
        name: guest.name.to_string(),
        kind: "qemu".to_owned(),
        status: "running".to_owned(),
        config: Some(config),
        digest: Some("d1".to_owned()),
        ..ObservedGuest::default()
    }
}

fn volume(proxmox: &mut ObservedProxmox, node: &HostName, storage: &str, name: &str) {
    let node = proxmox.nodes.get_mut(node).expect("known");
    let storage_seen = node.storages.get_mut(storage).expect("known");
    let id = format!("{storage}:{name}");
    storage_seen.volumes.insert(id, 382_976);
}

fn docker(chain: &DockerUser) -> DockerFacts {
    DockerFacts {
        version: "26.1.5+dfsg1".to_owned(),
        firewall_backend: "iptables".to_owned(),
        containers: Vec::new(),
        docker_user: Some(chain.lines()),
    }
}

fn deploy(facts: &mut HostFacts, release: &Release) {
    let mut link = entry("link", 0, 0, 0o777);
    link.target = Some(format!("releases/{}", release.id));
    facts.paths.insert(release.current(), Some(link));
    for file in &release.files {
        let mut seen = entry("file", file.uid, file.gid, file.mode);
        seen.sha256 = Some(file.sha256.clone());
        let path = format!("{}/{}", release.path(), file.path);
        facts.paths.insert(path, Some(seen));
    }
    let mut unit = entry("file", 0, 0, 0o644);
    unit.sha256 = Some(release.unit.sha256.clone());
    facts.paths.insert(release.unit.path(), Some(unit));
    facts.units.insert(release.unit.name.clone(), at_work());
    for directory in &release.directories {
        let seen = entry("directory", directory.uid, directory.gid, directory.mode);
        facts
            .paths
            .entry(directory.path.clone())
            .or_insert(Some(seen));
    }
    let containers = release.services.iter().map(|service| ContainerFact {
        name: format!("{}-{}-1", release.stack, service.name),
        project: release.stack.to_string(),
        service: service.name.clone(),
        release: Some(service.release.clone()),
        system: Some(release.system.to_string()),
        image: service.image.clone(),
        image_id: format!("sha256:{}", fingerprint(service.image.as_bytes())),
        state: if service.one_shot {
            "exited"
        } else {
            "running"
        }
        .to_owned(),
        health: if service.healthcheck { "healthy" } else { "" }.to_owned(),
        started_at: "2026-11-20T08:00:00Z".to_owned(),
        ..ContainerFact::default()
    });
    let docker = facts.docker.as_mut().expect("a stack needs Docker");
    docker.containers.extend(containers);
}

/// What Proxmox said.
pub(crate) fn proxmox(observed: &mut Observed) -> &mut ObservedProxmox {
    match &mut observed.proxmox {
        Some(Reading::Seen(seen)) => seen,
        other => panic!("{other:?}"),
    }
}

/// What a host said.
pub(crate) fn facts<'a>(observed: &'a mut Observed, name: &str) -> &'a mut HostFacts {
    match observed.hosts.get_mut(&host(name)) {
        Some(Reading::Seen(seen)) => seen,
        other => panic!("{name}: {other:?}"),
    }
}

/// One value of a guest's configuration.
pub(crate) fn config(observed: &mut Observed, number: u32) -> &mut BTreeMap<String, String> {
    let guest = proxmox(observed).guests.get_mut(&vmid(number));
    guest
        .and_then(|guest| guest.config.as_mut())
        .expect("configured")
}

/// A plan in words, one line a change, an obstacle (`!`) or a thing left alone (`?`).
pub(crate) fn words(plan: &Plan) -> Vec<String> {
    let absent = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let changes = plan.changes.iter().map(|change| {
        let fields: Vec<String> = change
            .fields
            .iter()
            .map(|f| format!("{}: {} -> {}", f.name, absent(&f.before), absent(&f.after)))
            .collect();
        let (symbol, id, impact) = (change.action.symbol(), &change.id, change.impact);
        let line = format!("{symbol} {id} [{impact}] {}", fields.join("; "));
        line.trim_end().replace('\n', "|")
    });
    let blocked = plan.blocked.iter().map(|blocked| {
        let kind = match blocked.obstacle {
            Obstacle::Unreachable => "unreachable",
            Obstacle::Unknown => "unknown",
            Obstacle::Refused => "!",
        };
        format!("{kind} {}: {}", blocked.what, blocked.why)
    });
    let unmanaged = plan.unmanaged.iter().map(|what| format!("? {what}"));
    let later = plan
        .later
        .iter()
        .map(|(host, why)| format!("later {host}: {why}"));
    changes
        .chain(blocked)
        .chain(unmanaged)
        .chain(later)
        .collect()
}

/// What the plan says after one drift of the settled flagship. The plan itself is checked on the way.
pub(crate) fn drift(change: impl FnOnce(&mut System, &mut Observed)) -> Vec<String> {
    let (mut system, mut observed) = FLAGSHIP.clone();
    change(&mut system, &mut observed);
    let plan = system.plan(&observed);
    sound(&plan);
    words(&plan)
}

/// What a plan says that finds nothing.
pub(crate) const NOTHING: [&str; 0] = [];

/// What must hold of every plan.
pub(crate) fn sound(plan: &Plan) {
    let ids: BTreeSet<&str> = plan.changes.iter().map(|c| c.id.as_str()).collect();
    assert_eq!(ids.len(), plan.changes.len(), "ids are unique");
    let mut stepped: Vec<usize> = plan.steps.iter().flat_map(|s| s.changes.clone()).collect();
    stepped.sort_unstable();
    let all: Vec<usize> = (0..plan.changes.len()).collect();
    assert_eq!(stepped, all, "every change is in exactly one step");
    let mut step_of = BTreeMap::new();
    for (at, step) in plan.steps.iter().enumerate() {
        assert!(
            step.needs.iter().all(|need| *need < at),
            "step {at} is in order"
        );
        for change in &step.changes {
            step_of.insert(plan.changes[*change].id.as_str(), (at, *change));
        }
    }
    for change in &plan.changes {
        let (own, _) = step_of[change.id.as_str()];
        for need in &change.needs {
            let (needed, _) = *step_of
                .get(need.as_str())
                .unwrap_or_else(|| panic!("{} needs {need}, which is no change", change.id));
            let needs = own == needed || plan.steps[own].needs.contains(&needed);
            assert!(needs, "{} does not need {need}", change.id);
        }
    }
}

/// Whether a step waits for another, directly or not.
pub(crate) fn reaches(plan: &Plan, from: usize, to: usize) -> bool {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(step) = open.pop() {
        if step == to {
            return true;
        }
        if seen.insert(step) {
            open.extend(&plan.steps[step].needs);
            open.extend(plan.steps[step].after);
        }
    }
    false
}
