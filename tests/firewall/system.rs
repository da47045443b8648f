//! Small systems for tests, one line a thing:
//!
//! ```text
//! zone lan 192.168.1.0/24                 zone vpn 10.8.0.0/24 @pi=wg0
//! set operators 192.168.1.5            
//! node pve 192.168.1.10 10.10.10.1        operators operators
//! guest intranet 110 lan=192.168.1.20/24  host pi 192.168.1.30
//! jump intranet pve                       nameserver intranet 192.168.1.1
//! stack proxy extranet 80/tcp 443/tcp@127.0.0.1
//! dataset tank/media pve                  nfs intranet tank/media
//! flow lan,pi > extranet : 443/tcp | why
//! never any - operators > intranet : 5432/tcp | why
//! ```

use infra::{
    diagnostic::Place,
    model::{
        address::Port,
        dataset::Dataset,
        desired::{ApiAuth, Desired, ProxmoxApi, TlsTrust},
        flow::{AddressSet, Endpoint, Flow, FlowPort, Never, Zone},
        guest::{Guest, GuestMount, MountVia, Nic, RootDisk},
        host::{ExternalHost, Node, SshAccess},
        ids::{HostName, SecretName, ServiceName, SetName, StackName, Vmid, ZoneName},
        retention::Retention,
        size::Bytes,
        stack::{Publish, Stack},
    },
};
use ipnet::IpNet;
use std::collections::BTreeMap;

fn name<T: TryFrom<String>>(text: &str) -> T
where
    T::Error: std::fmt::Debug,
{
    T::try_from(text.to_owned()).expect("a valid name")
}

fn ssh() -> SshAccess {
    SshAccess {
        user: "root".to_owned(),
        port: 22,
        jump: None,
        identity: None,
    }
}

/// Reads a system.
pub(crate) fn system(text: &str) -> Desired {
    let mut out = Desired {
        system: name("test"),
        proxmox: None,
        nodes: BTreeMap::new(),
        guests: BTreeMap::new(),
        adopted: BTreeMap::new(),
        ha_rules: BTreeMap::new(),
        hosts: BTreeMap::new(),
        images: BTreeMap::new(),
        zones: BTreeMap::new(),
        sets: BTreeMap::new(),
        operators: None,
        services: BTreeMap::new(),
        flows: Vec::new(),
        nevers: Vec::new(),
        zpools: BTreeMap::new(),
        datasets: BTreeMap::new(),
        replicas: BTreeMap::new(),
        backups: BTreeMap::new(),
        stacks: BTreeMap::new(),
        checks: Vec::new(),
        nights: None,
        sdn: BTreeMap::new(),
        secrets: BTreeMap::new(),
        authorized_keys: Vec::new(),
        timezone: "Etc/UTC".to_owned(),
    };
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = Place {
            file: "matrix.txt".into(),
            line: u32::try_from(number + 1).expect("short"),
            column: 1,
            offset: 0,
            length: line.len(),
        };
        let (word, rest) = line.split_once(' ').expect("a word and more");
        let words: Vec<&str> = rest.split_whitespace().collect();
        match word {
            "flow" | "never" => row(&mut out, word, rest, place),
            _ => thing(&mut out, word, &words),
        }
    }
    out
}

fn thing(out: &mut Desired, word: &str, words: &[&str]) {
    let networks = |words: &[&str]| -> Vec<IpNet> {
        let network = |word: &&str| {
            let host = || word.parse::<std::net::IpAddr>().ok().map(IpNet::from);
            word.parse().ok().or_else(host).expect("a network")
        };
        words.iter().map(network).collect()
    };
    match word {
        "zone" => {
            let zone_name: ZoneName = name(words[0]);
            let behind = words.iter().filter_map(|word| word.strip_prefix('@'));
            let behind = behind.map(|word| word.split_once('=').expect("host=interface"));
            let nets: Vec<&str> = words[1..]
                .iter()
                .copied()
                .filter(|w| !w.starts_with('@'))
                .collect();
            let zone = Zone {
                interfaces: behind
                    .map(|(host, card)| (name::<HostName>(host), card.to_owned()))
                    .collect(),
                name: zone_name.clone(),
                cidrs: networks(&nets),
                bridge: None,
                router: None,
                masquerade: false,
                within: None,
            };
            out.zones.insert(zone_name, zone);
        }
        "set" => {
            let name: SetName = name(words[0]);
            let cidrs = networks(&words[1..]);
            out.sets.insert(name.clone(), AddressSet { name, cidrs });
        }
        "operators" => out.operators = Some(name(words[0])),
        "node" => {
            let addresses = networks(&words[1..]);
            let node = Node {
                name: name(words[0]),
                address: addresses[0].addr(),
                ssh: ssh(),
                bridges: [(name("vmbr1"), addresses[1..].to_vec())].into(),
                made: BTreeMap::new(),
                iso_storage: name("local"),
                import_storage: name("local"),
                routes: vec![],
            };
            out.nodes.insert(node.name.clone(), node);
            out.proxmox = Some(ProxmoxApi {
                host: "pve".to_owned(),
                port: 8006,
                auth: ApiAuth::Token {
                    id: "root@pam!t".to_owned(),
                    secret: name::<SecretName>("token"),
                },
                tls: TlsTrust::Fingerprint([0; 32]),
            });
        }
        "host" => {
            let host = ExternalHost {
                name: name(words[0]),
                address: words[1].parse().expect("an address"),
                ssh: ssh(),
                zone: None,
                mounts: vec![],
            };
            out.hosts.insert(host.name.clone(), host);
        }
        "guest" => {
            let guest = guest(words, &networks);
            out.guests.insert(guest.name.clone(), guest);
        }
        "jump" => {
            let guest: HostName = name(words[0]);
            out.guests.get_mut(&guest).expect("a guest").ssh.jump = Some(name(words[1]));
        }
        "nameserver" => {
            let guest: HostName = name(words[0]);
            let server = words[1].parse().expect("an address");
            out.guests
                .get_mut(&guest)
                .expect("a guest")
                .nameservers
                .push(server);
        }
        "stack" => {
            let stack = stack(words);
            out.stacks.insert(stack.name.clone(), stack);
        }
        "dataset" => {
            let dataset = Dataset {
                name: name(words[0]),
                host: name(words[1]),
                profile: None,
                properties: BTreeMap::new(),
                key: None,
                directories: vec![],
                snapshots: None,
                retention: Retention::STANDARD,
                hooks: vec![],
                waivers: BTreeMap::new(),
            };
            out.datasets.insert(dataset.name.clone(), dataset);
        }
        "nfs" => {
            let guest: HostName = name(words[0]);
            let mount = GuestMount {
                dataset: name(words[1]),
                share: None,
                at: format!("/mnt/{}", words[1]),
                via: MountVia::Nfs,
                read_only: false,
            };
            let guest = out.guests.get_mut(&guest).expect("a guest");
            guest.mounts.push(mount);
        }
        _ => panic!("unknown thing {word}"),
    }
}

fn guest(words: &[&str], networks: &dyn Fn(&[&str]) -> Vec<IpNet>) -> Guest {
    let nic = |word: &&str| {
        let (zone, addresses) = word.split_once('=').expect("zone=addresses");
        let addresses: Vec<&str> = addresses.split(',').filter(|a| !a.is_empty()).collect();
        Nic {
            zone: name(zone),
            bridge: name("vmbr0"),
            mac: "BC:24:11:00:00:0A".parse().expect("valid"),
            addresses: networks(&addresses),
            gateways: vec![],
            vlan: None,
            model: "virtio".to_owned(),
            firewall: true,
            rate: None,
            mtu: None,
        }
    };
    Guest {
        name: name(words[0]),
        vmid: Vmid::new(words[1].parse().expect("a number")).expect("valid"),
        node: name("pve"),
        homes: Vec::new(),
        ha: None,
        replicas: Vec::new(),
        image: name("debian-13"),
        cores: 1,
        cpu: "host".to_owned(),
        memory: Bytes(1 << 30),
        balloon: None,
        machine: None,
        firmware: infra::model::device::Firmware::Seabios,
        tpm: None,
        scsi_controller: "virtio-scsi-single".to_owned(),
        disks: vec![],
        disk: RootDisk {
            storage: name("local"),
            size: Bytes(1 << 30),
            tuning: infra::model::device::DriveTuning::default(),
        },
        nics: words[2..].iter().map(nic).collect(),
        mounts: vec![],
        pci: vec![],
        usb: vec![],
        agent: true,
        boot: vec![],
        options: BTreeMap::new(),
        startup_delay: None,
        shutdown_timeout: None,
        pool: None,
        protection: false,
        cloud_init: infra::model::cloud_init::CloudInit::default(),
        onboot: true,
        startup_order: None,
        tags: vec![],
        notes: String::new(),
        ssh: ssh(),
        nameservers: vec![],
    }
}

fn stack(words: &[&str]) -> Stack {
    let publish = |word: &&str| {
        let (port, address) = word
            .split_once('@')
            .map_or((*word, None), |(p, a)| (p, Some(a)));
        Publish {
            service: name::<ServiceName>("web"),
            port: port.parse().expect("a port"),
            address: address.map(|a| a.parse().expect("an address")),
        }
    };
    Stack {
        publish: words[2..].iter().map(publish).collect(),
        ..empty_stack(name(words[0]), name(words[1]))
    }
}

fn row(out: &mut Desired, word: &str, rest: &str, place: Place) {
    let (rest, reason) = rest.split_once('|').unwrap_or((rest, ""));
    let (ends, ports) = rest.split_once(':').map_or((rest, ""), |(ends, ports)| {
        // An IPv6 address has colons too, but ends are names.
        (ends, ports)
    });
    let (from, to) = ends.split_once('>').expect("from > to");
    let (from, except) = from.split_once(" - ").unwrap_or((from, ""));
    let known = |text: &str| -> Vec<Endpoint> {
        let names = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        names.map(|name| endpoint(out, name)).collect()
    };
    // `tcp/22 ... ; log limit` after the ports.
    let (ports, words) = ports.split_once(';').unwrap_or((ports, ""));
    let (from, except, to) = (known(from), known(except), known(to));
    let ports: Vec<FlowPort> = ports
        .split_whitespace()
        .map(|port| FlowPort {
            service: None,
            port: port.parse::<Port>().expect("a port"),
        })
        .collect();
    let reason = reason.trim().to_owned();
    if word == "flow" {
        out.flows.push(Flow {
            id: format!("row-{}", place.line),
            from,
            to,
            allow: ports,
            reason,
            log: words.contains("log"),
            limit: words.contains("limit"),
            place,
        });
    } else {
        out.nevers.push(Never {
            from,
            except,
            to,
            deny: ports,
            reason,
            place,
        });
    }
}

fn endpoint(system: &Desired, text: &str) -> Endpoint {
    match text {
        "any" => Endpoint::Any,
        "internet" => Endpoint::Internet,
        _ if system.zones.keys().any(|zone| zone.as_str() == text) => Endpoint::Zone(name(text)),
        _ if system.sets.keys().any(|set| set.as_str() == text) => Endpoint::Set(name(text)),
        _ => Endpoint::Host(name(text)),
    }
}

fn empty_stack(name: StackName, on: HostName) -> Stack {
    Stack {
        name,
        on,
        template: String::new(),
        files: vec![],
        variables: BTreeMap::new(),
        images: BTreeMap::new(),
        mounts: BTreeMap::new(),
        publish: vec![],
        needs_mounts: vec![],
        guarded: vec![],
        needs: vec![],
        directories: vec![],
        settle_seconds: 0,
        timeout_seconds: 0,
        waivers: BTreeMap::new(),
        backup: infra::model::backup::StackBackup::default(),
        data: vec![],
        digests: BTreeMap::new(),
    }
}
