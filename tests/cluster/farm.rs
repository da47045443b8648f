//! A cluster of any size in the lab, an inventory for it, and hands that write through the real client.
//!
//! Machines have no shells here: what a step would do on a host is taken as done. Everything else is what `infra up`
//! does: the same questions, the same plan, the same walk, the same writes.

use infra::{
    apply::{
        Hands, Interrupt, Notes, Receipt, StepFailure, Walk, World as Writer,
        event::{Event, Sink},
        guard::GuardPolicy,
        host_keys::HostKeys,
        journal::Journal,
    },
    firewall::{self, CompiledFirewall},
    inventory::{BuiltinTemplates, load},
    lab::{
        api::{
            BridgeConfig, CatalogueImage, Certificate, Clock, Handle, NodeConfig, StorageConfig,
            TokenConfig, World, WorldConfig, serve,
        },
        backend::Powerless,
    },
    model::{
        desired::{ApiAuth, Desired, TlsTrust},
        ids::HostName,
        image::{Checksum, ImageSource},
        observed::{Observed, Reading},
        secret::SecretValues,
    },
    observe::{Eyes, observe},
    plan::{
        Inputs, Plan,
        change::{Change, Operation},
        plan, questions,
    },
    providers::{
        proxmox::{Client, ClientOptions},
        shell::{Command, Output, Shell, ShellError},
        ssh::{Fleet, FleetOptions, Person},
    },
};
use std::{
    collections::BTreeMap, fmt::Write as _, net::TcpListener, path::Path, sync::Arc, time::Duration,
};

pub(crate) const SECRET: &str = "11111111-2222-4333-8444-555555555555";
const CLOCK: f64 = 0.01;

/// A lab, and an inventory that points at it.
pub(crate) struct Farm {
    pub(crate) lab: World,
    pub(crate) desired: Desired,
    firewall: CompiledFirewall,
    secrets: SecretValues,
    folder: tempfile::TempDir,
    _handle: Handle,
}

/// The inventory: guests are dealt out to the nodes in turn.
pub(crate) fn inventory(nodes: usize, guests: usize) -> String {
    let mut text = String::from(
        "version: 1\nname: farm\ntimezone: Etc/UTC\n\
         proxmox:\n  endpoint: https://pve1:8006\n  token: {id: infra@pve!lab, secret: token}\n  tls: {fingerprint: \"",
    );
    text.push_str(&["AB"; 32].join(":"));
    text.push_str("\"}\nsecrets:\n  token: {env: TOKEN}\nnodes:\n");
    for node in 1..=nodes {
        let _ = writeln!(
            text,
            "  pve{node}: {{address: 10.0.0.{node}, iso_storage: local, import_storage: local}}"
        );
    }
    text.push_str(
        "images:\n  debian-13: {url: \"https://images.test/debian.qcow2\", filename: debian.qcow2, checksum: \"sha256:",
    );
    text.push_str(&"0".repeat(64));
    text.push_str(
        "\"}\nzones:\n  lan: {cidrs: 10.0.0.0/16, bridge: vmbr0, gateway: router, nameservers: router}\n\
         sets: {router: [10.0.255.1], operators: [10.0.254.1]}\noperators: operators\n\
         services: {ssh: 22/tcp, api: 8006/tcp, web: 443/tcp}\nauthorized_keys:\n\
         \x20 - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\nflows:\n",
    );
    let list = |name: &str, count: usize| {
        (1..=count)
            .map(|number| format!("{name}{number}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (all_nodes, all_guests) = (list("pve", nodes), list("g", guests));
    let _ = writeln!(
        text,
        "  - {{from: operators, to: [{all_nodes}, {all_guests}], allow: ssh, reason: administration}}\n\
         \x20 - {{from: operators, to: [{all_nodes}], allow: api, reason: the API}}\n\
         \x20 - {{from: lan, to: g1, allow: web, reason: pages}}\nguests:"
    );
    for guest in 1..=guests {
        let (node, high, low) = ((guest - 1) % nodes + 1, 1 + guest / 250, guest % 250 + 1);
        let _ = writeln!(
            text,
            "  g{guest}: {{vmid: {}, node: pve{node}, image: debian-13, memory: 512MiB, \
             disk: {{storage: local-zfs, size: 4GiB}}, nics: [{{zone: lan, address: 10.0.{high}.{low}}}]}}",
            1000 + guest
        );
    }
    text
}

fn sha256(bytes: &[u8]) -> String {
    infra::plan::fingerprint(bytes)
}

/// The smallest qcow2 that says how large its disk is.
fn qcow2(bytes: u64) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[..8].copy_from_slice(b"QFI\xfb\0\0\0\x03");
    image[24..32].copy_from_slice(&bytes.to_be_bytes());
    image
}

fn config(folder: &Path, desired: &Desired) -> WorldConfig {
    let image = folder.join("debian.qcow2");
    std::fs::write(&image, qcow2(2 << 30)).expect("written");
    let backend = Arc::new(Powerless::default());
    let mut config = WorldConfig::single("pve1", "10.0.0.1".parse().expect("address"), backend);
    for (name, node) in &desired.nodes {
        let bridge = BridgeConfig {
            cidr: Some(format!("{}/16", node.address)),
            ports: vec!["eth0".to_owned()],
            ..BridgeConfig::default()
        };
        let member = NodeConfig {
            address: node.address,
            bridges: BTreeMap::from([("vmbr0".to_owned(), bridge)]),
        };
        config.nodes.insert(name.to_string(), member);
    }
    let storage =
        |kind: &str, path: Option<&str>, pool: Option<&str>, content: &[&str]| StorageConfig {
            kind: kind.to_owned(),
            content: content.iter().map(|kind| (*kind).to_owned()).collect(),
            path: path.map(str::to_owned),
            pool: pool.map(str::to_owned),
            folder: folder.join(path.unwrap_or("zfs").trim_start_matches('/')),
            capacity: 16 << 40,
        };
    config.storages = BTreeMap::from([
        (
            "local".to_owned(),
            storage("dir", Some("/var/lib/vz"), None, &["iso", "import"]),
        ),
        (
            "local-zfs".to_owned(),
            storage("zfspool", None, Some("rpool/data"), &["images"]),
        ),
    ]);
    config.tokens = BTreeMap::from([("infra@pve!lab".to_owned(), TokenConfig::least(SECRET))]);
    config.catalogue.insert(
        "https://images.test/debian.qcow2".to_owned(),
        CatalogueImage {
            file: image,
            sha256: None,
        },
    );
    config.clock = Clock::scaled(CLOCK);
    config
}

/// Reads an inventory; its image is the lab's.
pub(crate) fn wish(folder: &Path, text: &str) -> Desired {
    let own = folder.join("inventory");
    std::fs::create_dir_all(&own).expect("made");
    std::fs::write(own.join("farm.yaml"), text).expect("written");
    let today = jiff::civil::date(2026, 11, 20);
    let loaded = load(&own, today, &BuiltinTemplates::new()).expect("readable");
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let mut desired = loaded.desired.expect("a valid inventory");
    for image in desired.images.values_mut() {
        if let ImageSource::Download(download) = &mut image.source {
            download.checksum = Some(Checksum {
                algorithm: "sha256".to_owned(),
                hex: sha256(&qcow2(2 << 30)),
            });
        }
    }
    desired
}

impl Farm {
    /// A cluster without guests, and the inventory that wants them. Needs a tokio runtime.
    pub(crate) fn new(nodes: usize, guests: usize) -> Self {
        Self::with(&inventory(nodes, guests), |_| {})
    }

    /// The same for another inventory, and a cluster that is changed before it is there.
    pub(crate) fn with(text: &str, prepare: impl FnOnce(&mut WorldConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut desired = wish(folder.path(), text);
        let mut config = config(folder.path(), &desired);
        prepare(&mut config);
        let lab = World::new(config).expect("a world");
        let certificate = Certificate::generate(&["pve1".to_owned()]).expect("certificate");
        let listener = TcpListener::bind("127.0.0.1:0").expect("socket");
        let handle = serve(listener, lab.clone(), &certificate).expect("serving");
        let fingerprint = certificate.fingerprint();
        let byte = |index: usize| {
            u8::from_str_radix(&fingerprint[2 * index..2 * index + 2], 16).expect("hex")
        };
        let api = desired.proxmox.as_mut().expect("has one");
        api.host = handle.address().ip().to_string();
        api.port = handle.address().port();
        api.tls = TlsTrust::Fingerprint(std::array::from_fn(byte));
        let ApiAuth::Token { secret, .. } = &api.auth else {
            panic!("a token")
        };
        let mut secrets = SecretValues::default();
        secrets.insert(secret.clone(), SECRET.to_owned().into());
        let (firewall, _) = firewall::compile(&desired);
        Self {
            lab,
            desired,
            firewall,
            secrets,
            folder,
            _handle: handle,
        }
    }

    /// Another wish for the same cluster.
    pub(crate) fn wish(&mut self, text: &str) {
        let api = self.desired.proxmox.take();
        self.desired = wish(self.folder.path(), text);
        self.desired.proxmox = api;
        self.firewall = firewall::compile(&self.desired).0;
    }

    /// A client of the farm's API.
    pub(crate) fn client(&self) -> Client {
        let api = self.desired.proxmox.as_ref().expect("has one");
        Client::connect(api, &self.secrets, ClientOptions::default().scaled(CLOCK))
            .expect("a client")
    }

    /// Looks and compares, as `infra plan` does.
    pub(crate) async fn plan(&self, client: &Client) -> Plan {
        let lab = self.lab.clone();
        let files = move || lab.firewall_files();
        self.wanted().plan(client, Some(Box::new(files))).await
    }

    /// The same where no node's shell tells the firewall's files.
    pub(crate) async fn plan_without_a_shell(&self, client: &Client) -> Plan {
        self.wanted().plan(client, None).await
    }

    pub(crate) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            desired: &self.desired,
            firewall: &self.firewall,
            secrets: &self.secrets,
        }
    }

    /// Carries a plan out, as `infra up` does.
    pub(crate) async fn apply(&self, plan: &Plan) -> Receipt {
        self.carry_out(plan, false).await
    }

    /// The same, waiting for guests that are started until they let us in. Here they never do.
    pub(crate) async fn apply_and_wait_for_guests(&self, plan: &Plan) -> Receipt {
        self.carry_out(plan, true).await
    }

    async fn carry_out(&self, plan: &Plan, waits: bool) -> Receipt {
        let state = self.folder.path().join("state");
        let options = FleetOptions {
            known_hosts: self.folder.path().join("known_hosts"),
            person: Person::default(),
            identity: None,
            addresses: BTreeMap::new(),
        };
        let (api, secrets) = (self.desired.proxmox.clone(), self.secrets.clone());
        let world = Writer {
            proxmox: Some(self.client()),
            fleet: Fleet::new(&self.desired, &options),
            secrets: self.secrets.clone(),
            folder: self.folder.path().to_owned(),
            host_keys: HostKeys::below(&state),
            pause: Duration::from_millis(5),
            // No shell, so no machine on which a guard could be armed.
            guard: GuardPolicy::Covered,
            reconnect: Box::new(move || {
                let options = ClientOptions::default().scaled(CLOCK);
                Client::connect(api.as_ref()?, &secrets, options).ok()
            }),
        };
        let hands = FarmHands { world, waits };
        let walk = Walk {
            sink: Arc::new(Silence),
            journal: Arc::new(Journal::begin(&state).expect("opens")),
            interrupt: Interrupt::default(),
            now: || "2026-11-20T12:00:00Z".to_owned(),
        };
        walk.run(plan, &hands).await.expect("the journal is kept")
    }
}

/// What a plan compares the cluster with.
pub(crate) struct Wanted<'a> {
    pub(crate) desired: &'a Desired,
    pub(crate) firewall: &'a CompiledFirewall,
    pub(crate) secrets: &'a SecretValues,
}

impl Wanted<'_> {
    /// Looks and compares.
    pub(crate) async fn plan(&self, client: &Client, files: Option<Files>) -> Plan {
        let seen = self.look(client, files).await;
        self.compare(&seen)
    }

    /// Compares with what was seen.
    pub(crate) fn compare(&self, seen: &Observed) -> Plan {
        let none = BTreeMap::new();
        let inputs = Inputs {
            desired: self.desired,
            firewall: self.firewall,
            resources: &none,
            releases: &BTreeMap::new(),
            secrets: self.secrets,
            observed: seen,
        };
        plan(&inputs, true).expect("no cycle")
    }

    /// Looks. One node's shell tells the firewall's files; nothing else is asked of a shell.
    pub(crate) async fn look(&self, client: &Client, files: Option<Files>) -> Observed {
        let none = BTreeMap::new();
        let mut asked = questions(self.desired, &none, [].into_iter());
        asked.hosts.retain(|_, request| request.pve_firewall);
        let hosts: BTreeMap<HostName, NodeShell> = match (asked.hosts.keys().next(), files) {
            (Some(name), Some(files)) => {
                let name = name.clone();
                BTreeMap::from([(name.clone(), NodeShell { name, files })])
            }
            _ => BTreeMap::new(),
        };
        let eyes = Eyes {
            proxmox: Some(client),
            hosts: &hosts,
        };
        let mut seen: Observed = observe(&asked, &eyes).await;
        if let Some(Reading::Failed { why, .. }) = &seen.proxmox {
            panic!("the API was not seen: {why}");
        }
        if !hosts.is_empty()
            && let Some(Reading::Failed { why, .. }) = seen.hosts.values().next()
        {
            panic!("the node was not seen: {why}");
        }
        // Machines have no shells here, as far as a plan is concerned.
        seen.hosts.clear();
        seen
    }
}

/// Gives the firewall's files by their names below `/etc/pve`.
pub(crate) type Files = Box<dyn Fn() -> BTreeMap<String, String> + Send + Sync>;

/// A node of which only the firewall's files are asked.
struct NodeShell {
    name: HostName,
    files: Files,
}

impl Shell for NodeShell {
    fn host(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, command: Command) -> Result<Output, ShellError> {
        assert_eq!(command.script_name(), Some("infra-facts"), "{command:?}");
        let mut text = String::from("==infra system==\nboot_id 1\n==infra pve-firewall==\n");
        for (name, content) in (self.files)() {
            let Some(name) = name.strip_prefix("firewall/") else {
                continue;
            };
            let _ = writeln!(text, "file {name}");
            for line in content.lines() {
                let _ = writeln!(text, "\t{line}");
            }
        }
        text.push_str("end\n==infra end==\n");
        Ok(Output {
            stdout: text.into_bytes(),
            ..Output::default()
        })
    }
}

struct Silence;

impl Sink for Silence {
    fn tell(&self, _event: Event) {}
}

/// The real hands, without the shells.
struct FarmHands {
    world: Writer<Client>,
    /// Whether guests that are started are waited for.
    waits: bool,
}

impl Hands for FarmHands {
    async fn carry_out(&self, changes: Vec<Change>, notes: Notes) -> Result<(), StepFailure> {
        for change in changes {
            if let Operation::StartGuest { node, vmid, .. } = &change.operation
                && !self.waits
            {
                self.world.power_on(node, *vmid, &notes).await?;
            } else if let Operation::RestartGuest { node, vmid, .. } = &change.operation {
                self.world.power_off(node, *vmid, &notes).await?;
                self.world.power_on(node, *vmid, &notes).await?;
            } else if let Operation::SealSeed {
                node,
                vmid,
                storage,
                seed,
                replaces,
            } = &change.operation
            {
                self.world
                    .seal_read_seed(node, *vmid, storage, seed, replaces.as_deref(), &notes)
                    .await?;
            } else if let Operation::ApplyNetwork {
                node,
                writes,
                expects,
            } = &change.operation
            {
                self.world
                    .apply_unguarded_network(node, writes, expects, &notes)
                    .await?;
            } else if let Operation::ApplySdn {
                writes,
                zones,
                nodes,
            } = &change.operation
            {
                self.world
                    .apply_unguarded_sdn(writes, zones, nodes, &notes)
                    .await?;
            } else if let Operation::EmptyDrive {
                node,
                vmid,
                guest,
                seed,
            } = &change.operation
            {
                self.world
                    .empty_read_drive(node, *vmid, guest, seed.as_deref(), &notes)
                    .await?;
            } else if let Operation::EnableFirewall { steps, nodes, .. } = change.operation.clone()
            {
                // Without shells nothing can prove that we still come in.
                let operation = Operation::Firewall { steps, nodes };
                let change = Change {
                    operation,
                    ..change
                };
                self.world.carry_out(vec![change], notes.clone()).await?;
            } else {
                self.world.carry_out(vec![change], notes.clone()).await?;
            }
        }
        Ok(())
    }
}
