//! The whole flagship: from nothing, with nothing left to do, and in between.

use crate::world::{NOTHING, System, dataset, facts, host, proxmox, reaches, sound, vmid, words};
use infra::{
    model::{
        device::{DataDisk, DriveTuning, Firmware},
        firewall::PveScope,
        firewall_step::{PveLevel, PveStep},
        guest::MountVia,
        ids::StackName,
        image::{ImageSource, Template},
        observed::{ObservedGuest, Reading},
        size::Bytes,
    },
    plan::{
        Plan,
        change::{Change, Operation},
        questions,
    },
};
use std::collections::{BTreeMap, BTreeSet};

fn fresh() -> Plan {
    let system = System::flagship();
    system.plan(&system.fresh())
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.changes.iter().map(|change| &*change.id).collect()
}

fn step(plan: &Plan, id: &str) -> usize {
    let is_there = |change: &usize| plan.changes[*change].id == id;
    let mut steps = plan.steps.iter();
    let found = steps.position(|step| step.changes.iter().any(is_there));
    found.unwrap_or_else(|| panic!("{id} is not in the plan"))
}

/// Whether the first change waits for the second, directly or not.
fn waits(plan: &Plan, first: &str, second: &str) -> bool {
    reaches(plan, step(plan, first), step(plan, second))
}

#[test]
fn a_settled_system_has_an_empty_plan() {
    let system = System::flagship();
    let plan = system.plan(&system.settled());
    assert_eq!(words(&plan), NOTHING);
    assert!(plan.is_empty());
    assert_eq!(plan.hosts, 3);
    assert!(plan.compared > 80, "{} things were compared", plan.compared);
}

#[test]
fn a_guest_starts_on_the_datasets_that_are_made_again_and_not_on_their_bare_directories() {
    let system = System::flagship();
    let mut seen = system.settled();
    let on_node = facts(&mut seen, "pve");
    on_node.datasets.remove(&dataset("tank/backups"));
    on_node.paths.remove("/mnt/tank/backups/.infra-dataset");
    let guest = proxmox(&mut seen).guests.get_mut(&vmid(110));
    guest.expect("there").status = "stopped".to_owned();
    let plan = system.plan(&seen);
    for what in ["", " directories"] {
        let behind = format!("pve: dataset tank/backups{what}");
        assert!(
            waits(&plan, "pve: guest 110 intranet power", &behind),
            "{what}"
        );
    }
}

#[test]
fn what_is_mounted_over_nfs_is_let_through_first() {
    let mut system = System::flagship();
    let guest = system.desired.guests.get_mut(&host("intranet"));
    for mount in &mut guest.expect("there").mounts {
        mount.via = MountVia::Nfs;
    }
    let system = System::compile(system.desired, system.secrets);
    let plan = system.plan(&system.fresh());
    sound(&plan);
    let mount = "intranet: unit mnt-tank-media.mount";
    let firewall = ids(&plan)
        .into_iter()
        .filter(|id| id.contains("firewall of"));
    for needed in firewall.chain(["intranet: ufw"]) {
        assert!(waits(&plan, mount, needed), "{needed}");
    }
}

#[test]
fn the_same_question_has_the_same_answer_to_the_byte() {
    let system = System::flagship();
    let bytes = |plan: &Plan| serde_json::to_vec(plan).expect("a document");
    let (one, two) = (system.plan(&system.fresh()), fresh());
    assert_eq!(bytes(&one), bytes(&two));
    let read: Plan = serde_json::from_slice(&bytes(&one)).expect("reads back");
    assert_eq!(read, one);
}

#[test]
fn from_nothing_every_thing_of_the_inventory_is_made() {
    let system = System::flagship();
    let plan = system.plan(&system.fresh());
    sound(&plan);
    assert!(plan.blocked.is_empty(), "{:?}", plan.blocked);
    let ids: BTreeSet<&str> = ids(&plan).into_iter().collect();
    let wanted = |id: String| assert!(ids.contains(&*id), "{id}");
    for guest in system.desired.guests.values() {
        let subject = format!("pve: guest {} {}", guest.vmid, guest.name);
        for what in ["", " first-boot seed", " disk scsi0", " power", " seed"] {
            wanted(format!("{subject}{what}"));
        }
        for mount in &guest.mounts {
            wanted(format!("pve: directory mapping {}", mount.tag()));
        }
        wanted(format!("{}: ufw", guest.name));
        wanted(format!("{}: packages", guest.name));
    }
    for dataset in system.desired.datasets.keys() {
        wanted(format!("pve: dataset {dataset}"));
    }
    for (host, resources) in &system.resources {
        for resource in resources {
            let key = resource.key();
            // Packages are one change, and a table is loaded by its unit.
            if !key.starts_with("package ") && !key.starts_with("nftables ") {
                wanted(format!("{host}: {key}"));
            }
        }
    }
    for release in system.releases.values() {
        wanted(format!("{}: stack {}", release.host, release.stack));
    }
}

#[test]
fn everything_that_is_compared_was_asked_for() {
    let system = System::flagship();
    let asked = questions(&system.desired, &system.resources, system.releases.values());
    let mut settled = system.settled();
    for (name, request) in &asked.hosts {
        let facts = crate::world::facts(&mut settled, name.as_str());
        let unasked = |what: &str, seen: Vec<&String>, asked: &[String]| {
            for seen in seen {
                assert!(
                    asked.contains(seen),
                    "{name}: {what} {seen} is not asked for"
                );
            }
        };
        unasked("path", facts.paths.keys().collect(), &request.paths);
        unasked("unit", facts.units.keys().collect(), &request.units);
        unasked(
            "package",
            facts.packages.keys().collect(),
            &request.packages,
        );
        unasked("sysctl", facts.sysctls.keys().collect(), &request.sysctls);
        unasked(
            "nft",
            facts.nft_tables.keys().collect(),
            &request.nft_tables,
        );
        assert_eq!(request.docker, facts.docker.is_some(), "{name}: Docker");
        assert_eq!(request.ufw, facts.ufw.is_some(), "{name}: UFW");
        assert_eq!(request.zpools.is_empty(), facts.zpools.is_empty());
    }
}

#[test]
fn a_guest_never_runs_before_it_is_protected_and_routed() {
    let plan = fresh();
    for power in [
        "pve: guest 110 intranet power",
        "pve: guest 111 extranet power",
    ] {
        let firewall = ids(&plan)
            .into_iter()
            .filter(|id| id.contains("firewall of"));
        for id in firewall.filter(|id| id.starts_with("pve:")) {
            assert!(waits(&plan, power, id), "{power} does not wait for {id}");
        }
        assert!(waits(&plan, power, "pve: unit infra-router.service"));
        assert!(waits(&plan, power, "pve: sysctl net.ipv4.ip_forward"));
    }
}

/// The flagship, cloned from a template of the owner's that has these options.
fn from_a_template(options: &[(&str, &str)], change: impl FnOnce(&mut System)) -> Vec<String> {
    let mut system = System::flagship();
    for image in system.desired.images.values_mut() {
        image.source = ImageSource::Template;
        image.template = Some(Template {
            vmid: vmid(9000),
            node: None,
            storage: None,
            full: false,
        });
    }
    change(&mut system);
    let mut seen = system.fresh();
    let options = options.iter();
    let config = options.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let golden = ObservedGuest {
        node: "pve".to_owned(),
        name: "golden".to_owned(),
        kind: "qemu".to_owned(),
        status: "stopped".to_owned(),
        template: true,
        config: Some(config.collect()),
        ..ObservedGuest::default()
    };
    proxmox(&mut seen).guests.insert(vmid(9000), golden);
    let plan = system.plan(&seen);
    sound(&plan);
    let set = plan.changes.iter().filter_map(|change| {
        if let Operation::ConfigureGuest { vmid: of, set, .. } = &change.operation {
            (*of == vmid(110)).then_some(set)
        } else {
            None
        }
    });
    let set = set.flatten().map(|(key, value)| format!("{key}: {value}"));
    words(&plan)
        .into_iter()
        .filter(|line| line.starts_with('!'))
        .chain(set)
        .collect()
}

const DISK: (&str, &str) = ("scsi0", "local-zfs:base-9000-disk-0,size=8G");

#[test]
fn a_template_that_is_not_built_as_clones_need_it_is_refused_before_the_first_of_them() {
    let said = from_a_template(&[("virtio0", DISK.1)], |_| {});
    assert!(
        said[0].ends_with("template 9000 has no disk `scsi0`"),
        "{said:#?}"
    );
    // A second disk stands where data disks of the inventory are attached.
    let further = [DISK, ("scsi1", "local-zfs:base-9000-disk-1,size=1G")];
    let with_disk = |system: &mut System| {
        let guest = system.desired.guests.get_mut(&host("intranet"));
        guest.expect("known").disks.push(DataDisk {
            name: "photos".to_owned(),
            storage: "local-zfs".parse().expect("valid"),
            size: Bytes::gib(100),
            keep: false,
            tuning: DriveTuning::default(),
            mount: None,
        });
    };
    let said = from_a_template(&further, with_disk);
    let blocked = "! guest 110 intranet: its template 9000 has a disk of its own at `scsi1`, where disks of the inventory are attached";
    assert_eq!(said, [blocked]);
    let said = from_a_template(&further, |_| {});
    assert!(!said.iter().any(|line| line.starts_with('!')), "{said:#?}");
}

/// Another one would push that of the template aside, to hang on nothing for ever.
#[test]
fn a_clone_keeps_the_firmware_disks_of_its_template() {
    let with_firmware = |system: &mut System| {
        let guest = system
            .desired
            .guests
            .get_mut(&host("intranet"))
            .expect("known");
        guest.firmware = Firmware::Ovmf {
            storage: "local-zfs".parse().expect("valid"),
            secure_boot: false,
        };
        guest.tpm = Some("local-zfs".parse().expect("valid"));
    };
    let own = [DISK, ("efidisk0", "local-zfs:base-9000-disk-1,size=4M")];
    let said = from_a_template(&own, with_firmware);
    assert!(
        !said.iter().any(|line| line.starts_with("efidisk0")),
        "{said:#?}"
    );
    assert!(
        said.iter()
            .any(|line| line == "tpmstate0: local-zfs:1,version=v2.0"),
        "{said:#?}"
    );
    let said = from_a_template(&[DISK], with_firmware);
    assert!(
        said.iter()
            .any(|line| line.starts_with("efidisk0: local-zfs:1,")),
        "{said:#?}"
    );
}

/// A clone has the firewall of its template, or none, whatever was written for its id before.
#[test]
fn a_clone_is_protected_once_it_is_there() {
    let mut system = System::flagship();
    for image in system.desired.images.values_mut() {
        image.template = Some(Template {
            vmid: vmid(9000),
            node: None,
            storage: Some("local-zfs".parse().expect("valid")),
            full: false,
        });
    }
    let mut seen = system.fresh();
    let leftover = PveScope {
        options: BTreeMap::from([("enable".to_owned(), "1".to_owned())]),
        ..PveScope::default()
    };
    let firewall = &mut proxmox(&mut seen).firewall;
    firewall.guests.insert(vmid(110), leftover);
    let plan = system.plan(&seen);
    sound(&plan);
    for guest in ["110 intranet", "111 extranet"] {
        let number = guest.split(' ').next().expect("a number");
        let clone = format!("pve: guest {guest} clone");
        let level = format!("pve: firewall of guest {number} ");
        let rules: Vec<&str> = ids(&plan)
            .into_iter()
            .filter(|id| id.starts_with(&level))
            .collect();
        assert!(!rules.is_empty(), "{level}");
        for id in rules {
            assert!(waits(&plan, id, &clone), "{id} does not wait for {clone}");
            assert!(waits(&plan, &format!("pve: guest {guest} power"), id));
        }
    }
    // What stands there for an earlier guest of the id is gone with the cloning, so it is written again.
    let sets_enable = |change: &Change| {
        let Operation::Firewall { steps, .. } = &change.operation else {
            return false;
        };
        steps.iter().any(|step| {
            matches!(step, PveStep::Options { level: PveLevel::Guest(of), set }
                if *of == vmid(110) && set.get("enable").is_some_and(|on| on == "1"))
        })
    };
    assert!(plan.changes.iter().any(sets_enable));
}

#[test]
fn what_needs_what_is_in_order() {
    let plan = fresh();
    for (first, second) in [
        ("pve: guest 110 intranet", "pve: image debian-13"),
        (
            "pve: guest 110 intranet",
            "pve: guest 110 intranet first-boot seed",
        ),
        (
            "pve: guest 110 intranet",
            "pve: directory mapping tank-media",
        ),
        (
            "pve: directory mapping tank-media",
            "pve: dataset tank/media",
        ),
        (
            "pve: guest 110 intranet power",
            "pve: guest 110 intranet disk scsi0",
        ),
        (
            "pve: guest 110 intranet seed",
            "pve: guest 110 intranet power",
        ),
        ("intranet: packages", "pve: guest 110 intranet power"),
        ("intranet: packages", "pve: unit infra-router.service"),
        ("intranet: ufw", "intranet: packages"),
        ("intranet: unit docker.service", "intranet: packages"),
        ("intranet: stack jellyfin", "intranet: ufw"),
        (
            "intranet: stack jellyfin",
            "intranet: unit mnt-tank-media.mount",
        ),
        ("intranet: stack jellyfin", "intranet: unit docker.service"),
        (
            "intranet: stack jellyfin",
            "intranet: unit infra-docker-firewall.service",
        ),
        (
            "intranet: stack monitoring",
            "extranet: stack node-exporter",
        ),
    ] {
        assert!(
            waits(&plan, first, second),
            "{first} does not wait for {second}"
        );
        assert!(!waits(&plan, second, first), "{second} waits for {first}");
    }
}

/// Switching the firewall on comes after every rule, and under the same guard.
#[test]
fn the_firewall_is_one_step_that_ends_with_switching_it_on() {
    let plan = fresh();
    let firewall: Vec<&str> = ids(&plan)
        .into_iter()
        .filter(|id| id.starts_with("pve: firewall of"))
        .collect();
    let on = &plan.steps[step(&plan, firewall[0])];
    let together: Vec<&str> = on.changes.iter().map(|at| &*plan.changes[*at].id).collect();
    assert!(firewall.len() > 10, "{firewall:?}");
    assert!(
        firewall.iter().all(|id| together.contains(id)),
        "{together:?}"
    );
    let last = &plan.changes[*on.changes.last().expect("a change")].operation;
    assert!(matches!(last, Operation::EnableFirewall { .. }), "{last:?}");
}

#[test]
fn stacks_do_not_need_each_other_unless_they_say_so() {
    let plan = fresh();
    for change in &plan.changes {
        let Operation::DeployStack(release) = &change.operation else {
            continue;
        };
        let needed = change.needs.iter().filter(|id| id.contains(": stack "));
        let needed: BTreeSet<&str> = needed.filter_map(|id| id.rsplit(' ').next()).collect();
        let wanted: BTreeSet<&str> = release.needs.iter().map(StackName::as_str).collect();
        assert_eq!(needed, wanted, "{}", release.stack);
    }
}

#[test]
fn the_main_switch_comes_last_and_alone() {
    let plan = fresh();
    let switches: Vec<_> = plan
        .changes
        .iter()
        .filter(|change| matches!(change.operation, Operation::EnableFirewall { .. }))
        .collect();
    let [switch] = switches.as_slice() else {
        panic!("{switches:?}");
    };
    let Operation::EnableFirewall { steps, .. } = &switch.operation else {
        unreachable!("filtered above");
    };
    assert_eq!(steps.len(), 1);
    for id in ids(&plan) {
        if id.starts_with("pve: firewall of") && id != switch.id {
            assert!(waits(&plan, &switch.id, id), "{id}");
        }
    }
}

/// The service for nftables takes the dead-man switch for an error.
#[test]
fn the_main_switch_knows_where_nftables_enforces() {
    let system = System::flagship();
    for (value, expected) in [("0", false), ("1", true)] {
        let mut seen = system.fresh();
        let scope = PveScope {
            options: BTreeMap::from([("nftables".to_owned(), value.to_owned())]),
            ..PveScope::default()
        };
        let firewall = &mut proxmox(&mut seen).firewall;
        firewall.nodes.insert(host("pve"), scope);
        let plan = system.plan(&seen);
        let is_so = |change: &Change| matches!(change.operation, Operation::EnableFirewall { nftables, .. } if nftables == expected);
        assert!(plan.changes.iter().any(is_so), "{value}");
    }
}

#[test]
fn files_of_a_host_travel_together() {
    let plan = fresh();
    let step = &plan.steps[step(&plan, "intranet: file /etc/infra/docker-firewall.v4")];
    let together: Vec<&str> = step
        .changes
        .iter()
        .map(|at| &*plan.changes[*at].id)
        .collect();
    assert_eq!(
        together,
        [
            "intranet: file /etc/ssh/sshd_config.d/00-infra.conf",
            "intranet: file /etc/fail2ban/jail.d/infra.conf",
            "intranet: file /etc/apt/apt.conf.d/52infra-upgrades",
            "intranet: file /etc/docker/daemon.json",
            "intranet: file /etc/systemd/system/mnt-tank-media.mount",
            "intranet: file /etc/systemd/system/mnt-tank-photos.mount",
            "intranet: file /etc/systemd/system/mnt-tank-appdata.mount",
            "intranet: file /etc/systemd/system/mnt-tank-backups.mount",
            "intranet: directory /etc/infra",
            "intranet: file /etc/infra/docker-firewall.v4",
            "intranet: file /etc/infra/docker-firewall.v6",
            "intranet: file /etc/infra/docker-firewall.nft",
            "intranet: file /etc/infra/docker-firewall.sh",
            "intranet: file /etc/systemd/system/infra-docker-firewall.service",
        ]
    );
}

#[test]
fn a_removed_guest_is_made_as_from_nothing_and_its_neighbours_stay() {
    let system = System::flagship();
    let mut seen = system.settled();
    proxmox(&mut seen).guests.remove(&vmid(111));
    proxmox(&mut seen).firewall.guests.remove(&vmid(111));
    seen.hosts.insert(host("extranet"), Reading::Absent);
    let plan = system.plan(&seen);
    sound(&plan);
    let again: BTreeSet<&str> = ids(&plan).into_iter().collect();
    let first = fresh();
    let own = |id: &&str| id.starts_with("extranet: ") || id.starts_with("pve: guest 111 ");
    let wanted: BTreeSet<&str> = ids(&first).into_iter().filter(own).collect();
    let (rest, own): (BTreeSet<&str>, BTreeSet<&str>) = again.into_iter().partition(|id| !own(id));
    assert_eq!(own, wanted);
    assert!(
        rest.iter()
            .all(|id| id.starts_with("pve: firewall of guest 111")),
        "{rest:?}"
    );
}

#[test]
fn a_first_boot_that_was_interrupted_is_taken_up_again() {
    let system = System::flagship();
    let mut seen = system.settled();
    let boot = "local:iso/infra-media-server-home-111-boot.iso,media=cdrom".to_owned();
    crate::world::config(&mut seen, 111).insert("ide2".to_owned(), boot);
    let guest = proxmox(&mut seen)
        .guests
        .get_mut(&vmid(111))
        .expect("there");
    guest.status = "stopped".to_owned();
    seen.hosts.insert(host("extranet"), Reading::Absent);
    let plan = system.plan(&seen);
    sound(&plan);
    let ids = ids(&plan);
    assert!(ids.contains(&"pve: guest 111 extranet power"));
    assert!(ids.contains(&"pve: guest 111 extranet seed"));
    assert!(ids.contains(&"extranet: packages"), "{ids:?}");
    assert!(!ids.contains(&"pve: guest 111 extranet"), "it is there");
    assert!(waits(
        &plan,
        "extranet: packages",
        "pve: guest 111 extranet power"
    ));
}

#[test]
fn a_part_of_a_plan_is_a_plan() {
    let plan = fresh();
    let whole = plan.fingerprint.clone();
    let part = plan
        .only(|change| change.host == host("extranet"))
        .expect("no cycle");
    sound(&part);
    assert_ne!(part.fingerprint, whole);
    assert!(
        part.changes
            .iter()
            .all(|change| change.host == host("extranet"))
    );
    assert!(part.changes.len() > 10);
}
