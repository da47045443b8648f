//! What Proxmox takes without a word and fails on later: found by `infra doctor`, and by a plan before its first write.

use crate::farm::{Farm, inventory};
use infra::{
    doctor::{AgentAnswer, Finding, Seen, Verdict, examine, missing, needs},
    lab::api::WorldConfig,
    model::{
        firewall::{PveRule, PveRuleKind},
        health::Rights,
        observed::Reading,
    },
    plan::Plan,
    providers::proxmox::{ConfigChange, FirewallScope, ProxmoxRead as _, ProxmoxWrite as _},
};
use std::{collections::BTreeMap, time::Duration};

async fn findings(farm: &Farm) -> Vec<Finding> {
    let seen = farm.wanted().look(&farm.client(), None).await;
    let Some(Reading::Seen(proxmox)) = &seen.proxmox else {
        panic!("the API answers")
    };
    let asked = Seen {
        proxmox,
        rights: Err("nobody asked".to_owned()),
        nodes: BTreeMap::new(),
        agents: BTreeMap::new(),
        now: 0,
    };
    examine(&farm.desired, &asked)
}

/// What is bad, one line each.
fn bad(findings: &[Finding]) -> Vec<String> {
    let bad = findings.iter().filter(|one| one.verdict == Verdict::Bad);
    bad.map(|one| {
        assert!(one.help.is_some(), "{one:?}");
        format!("{} {}: {}", one.area, one.subject, one.text)
    })
    .collect()
}

fn blocks(plan: &Plan, why: &str) -> bool {
    plan.blocked.iter().any(|blocked| blocked.why.contains(why))
}

fn guest(more: &str) -> String {
    inventory(1, 1).replace("memory: 512MiB", &format!("memory: 512MiB, {more}"))
}

fn adopted(config: &str) -> String {
    let text = inventory(1, 1);
    format!("{text}adopted:\n  old:\n    vmid: 300\n    config: {{{config}}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_new_guest_lacks_is_found_before_anything_is_written() {
    /// An inventory, what is different in the lab, who is told of, and which words.
    type Case = (String, fn(&mut WorldConfig), &'static str, &'static str);
    let nothing: fn(&mut WorldConfig) = |_| {};
    let cases: [Case; 7] = [
        (
            guest("cores: 1"),
            |config| {
                let content = &mut config.storages.get_mut("local").expect("has one").content;
                content.retain(|kind| kind != "import");
            },
            "storage local on pve1: does not hold `import`",
            "storage `local` does not hold `import`",
        ),
        (
            guest("disks: {photos: {storage: local, size: 1GiB}}"),
            nothing,
            "storage local on pve1: does not hold `images`",
            "storage `local` does not hold `images`",
        ),
        (
            guest("tpm: nowhere, machine: q35, uefi: {storage: local-zfs}"),
            nothing,
            "storage nowhere on pve1: does not exist",
            "node pve1 has no storage `nowhere`",
        ),
        (
            inventory(1, 1).replace("bridge: vmbr0", "bridge: vmbr9"),
            nothing,
            "bridge vmbr9 on pve1: does not exist",
            "node pve1 has no bridge `vmbr9`",
        ),
        (
            guest("pci: [igpu]"),
            nothing,
            "mapping igpu on pve1: there is no PCI mapping `igpu`",
            "there is no PCI mapping `igpu`",
        ),
        (
            guest("usb: [zigbee]"),
            nothing,
            "mapping zigbee on pve1: there is no USB mapping `zigbee`",
            "there is no USB mapping `zigbee`",
        ),
        (
            guest("machine: q35"),
            |config| {
                config
                    .storages
                    .get_mut("local-zfs")
                    .expect("has one")
                    .capacity = 1 << 30;
            },
            "",
            "free and the disk wants",
        ),
    ];
    for (text, prepare, found, blocked) in cases {
        let farm = Farm::with(&text, prepare);
        let lines = bad(&findings(&farm).await);
        assert!(
            found.is_empty() || lines.iter().any(|line| line.starts_with(found)),
            "{found}: {lines:#?}"
        );
        let before = farm.lab.requests_by_endpoint();
        let plan = farm.plan(&farm.client()).await;
        assert!(
            blocked.is_empty() || blocks(&plan, blocked),
            "{blocked}: {:#?}",
            plan.blocked
        );
        let after = farm.lab.requests_by_endpoint();
        let wrote = after
            .keys()
            .filter(|name| !name.starts_with("GET ") && !before.contains_key(*name));
        assert_eq!(wrote.count(), 0, "a look writes nothing");
    }
}

/// A guest that somebody made, in a farm that adopts it with these options.
async fn with_old(config: &str) -> Farm {
    let farm = Farm::with(&adopted(config), |_| {});
    let client = farm.client();
    let options = [("name", "old"), ("cores", "1"), ("memory", "256")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let vmid = 300_u32.try_into().expect("valid");
    let upid = client.create_vm("pve1", vmid, &options.into()).await;
    let upid = upid.expect("accepted");
    let limit = Duration::from_mins(1);
    client.wait(&upid, limit).await.expect("made");
    farm
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_adopted_guest_names_has_to_be_there() {
    for (config, area, why) in [
        (
            "net0: \"virtio=BC:24:11:00:00:01,bridge=vmbr9\"",
            "bridge vmbr9",
            "node pve1 has no bridge `vmbr9`",
        ),
        (
            "virtiofs0: \"dirid=media\"",
            "mapping media",
            "there is no directory mapping `media`",
        ),
        (
            "hostpci0: \"mapping=igpu\"",
            "mapping igpu",
            "there is no PCI mapping `igpu`",
        ),
        (
            "cicustom: \"user=local:snippets/old.yaml\"",
            "snippet local:snippets/old.yaml",
            "node pve1 has no snippet `local:snippets/old.yaml`",
        ),
    ] {
        let farm = with_old(config).await;
        let lines = bad(&findings(&farm).await);
        let found = format!("{area} on pve1: {why}");
        assert!(
            lines.iter().any(|line| line.starts_with(&found)),
            "{found}: {lines:#?}"
        );
        let plan = farm.plan(&farm.client()).await;
        assert!(blocks(&plan, why), "{:#?}", plan.blocked);
        assert!(
            plan.changes
                .iter()
                .all(|change| !change.subject.starts_with("guest 300"))
        );
    }
    // What is there is written.
    let farm = with_old("cores: 2, net0: \"virtio=BC:24:11:00:00:01,bridge=vmbr0\"").await;
    let plan = farm.plan(&farm.client()).await;
    assert!(plan.blocked.is_empty(), "{:#?}", plan.blocked);
    assert!(farm.apply(&plan).await.is_complete());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_names_no_security_group_is_found() {
    let farm = Farm::new(1, 1);
    let client = farm.client();
    let plan = farm.plan(&client).await;
    assert!(farm.apply(&plan).await.is_complete());
    let theirs = PveRule {
        kind: PveRuleKind::Group,
        action: "gone".to_owned(),
        enable: true,
        proto: None,
        source: None,
        dest: None,
        sport: None,
        dport: None,
        icmp_type: None,
        r#macro: None,
        iface: None,
        log: None,
        comment: None,
    };
    client
        .insert_rule(&FirewallScope::Cluster, &theirs)
        .await
        .expect("Proxmox takes it");
    let lines = bad(&findings(&farm).await);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("there is no security group `gone`")),
        "{lines:#?}"
    );
}

/// The names of the groups that infra makes are made by infra: no inventory can make one too long.
#[tokio::test(flavor = "multi_thread")]
async fn no_group_of_ours_has_a_name_over_18_characters() {
    let long = inventory(1, 2).replace("name: farm", "name: a-farm-with-a-long-name");
    let farm = Farm::with(&long, |_| {});
    let plan = farm.plan(&farm.client()).await;
    let receipt = farm.apply(&plan).await;
    let failed: Vec<_> = receipt.failed().collect();
    assert!(receipt.is_complete(), "{failed:#?}");
    let seen = farm.wanted().look(&farm.client(), None).await;
    let Some(Reading::Seen(proxmox)) = seen.proxmox else {
        panic!("the API answers")
    };
    assert!(!proxmox.firewall.groups.is_empty());
    for name in proxmox.firewall.groups.keys() {
        assert!(name.len() <= 18, "{name}");
    }
}

#[test]
fn rights_are_named_for_every_storage_pool_and_template() {
    let text = guest("pool: farm, disks: {photos: {storage: fast, size: 1GiB}}").replace(
        "\"}\nzones",
        "\", template: {vmid: 9001, storage: local-zfs}}\nzones",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let desired = crate::farm::wish(folder.path(), &text);
    let all: Vec<String> = missing(needs(&desired, "9.2.11"), &Rights::default())
        .into_iter()
        .map(|need| format!("{} {}", need.privilege, need.path))
        .collect();
    for need in [
        "Datastore.AllocateSpace /storage/fast",
        "Datastore.AllocateSpace /storage/local-zfs",
        "Pool.Allocate /pool/farm",
        "VM.Clone /vms/9001",
        "VM.Allocate /vms/9001",
        "VM.Config.Disk /vms/999999999",
        "VM.Audit /vms",
        "Datastore.Allocate /storage/local",
        "SDN.Use /sdn/zones/localnetwork/vmbr0",
    ] {
        assert!(all.iter().any(|line| line == need), "{need}: {all:#?}");
    }
}

#[test]
fn rights_are_named_for_the_options_of_adopted_guests() {
    let text = adopted(
        "cores: 2, net0: \"virtio=BC:24:11:00:00:01,bridge=vmbr0\", virtiofs0: \"dirid=media\", usb0: \"mapping=zigbee\"",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let desired = crate::farm::wish(folder.path(), &text);
    let all: Vec<String> = needs(&desired, "9.2.11")
        .into_iter()
        .filter(|need| need.purpose.contains("adopted"))
        .map(|need| format!("{} {}", need.privilege, need.path))
        .collect();
    assert_eq!(
        all,
        [
            "Mapping.Use /mapping/dir",
            "Mapping.Use /mapping/usb",
            "SDN.Use /sdn/zones/localnetwork/vmbr0",
            "VM.Audit /vms/300",
            "VM.Config.CPU /vms/300",
            "VM.Config.Disk /vms/300",
            "VM.Config.HWType /vms/300",
            "VM.Config.Network /vms/300",
        ]
    );
}

/// What is missing is given where it is missing: an entry of its own on a path hides what is given above it.
#[tokio::test(flavor = "multi_thread")]
async fn what_gives_a_privilege_names_the_path_that_lacks_it() {
    let farm = Farm::new(1, 1);
    let seen = farm.wanted().look(&farm.client(), None).await;
    let Some(Reading::Seen(proxmox)) = &seen.proxmox else {
        panic!("the API answers")
    };
    let mut all: BTreeMap<String, bool> = needs(&farm.desired, &proxmox.version)
        .into_iter()
        .map(|need| (need.privilege.to_owned(), true))
        .collect();
    let mut rights = Rights(BTreeMap::from([("/".to_owned(), all.clone())]));
    let judged = |rights: &Rights| -> Vec<(Verdict, String)> {
        let asked = Seen {
            proxmox,
            rights: Ok(rights.clone()),
            nodes: BTreeMap::new(),
            agents: BTreeMap::from([("g1".parse().expect("valid"), AgentAnswer::MayNotBeAsked)]),
            now: 0,
        };
        let findings = examine(&farm.desired, &asked).into_iter();
        let of_rights = findings.filter(|one| one.area == "rights" || one.area == "agent");
        of_rights
            .map(|one| {
                let help = one.help.unwrap_or_default();
                (
                    one.verdict,
                    format!("{}: {}; {help}", one.subject, one.text),
                )
            })
            .collect()
    };
    // Agents are asked if they may be: everything else works without.
    let said = judged(&rights);
    assert_eq!(said.len(), 4, "{said:#?}");
    assert_eq!(said[0].0, Verdict::Well);
    for (at, words) in [
        (1, "VM.GuestAgent.Audit: is missing on /vms/1001"),
        (2, "VM.GuestAgent.FileRead: is missing on /vms/1001"),
        (3, "g1: may not be asked"),
    ] {
        assert_eq!(said[at].0, Verdict::Warning);
        assert!(said[at].1.starts_with(words), "{said:#?}");
    }
    assert!(
        said[1].1.contains(
            "`pveum acl modify / --users infra@pve --tokens 'infra@pve!lab' --roles Infra`"
        )
    );
    all.remove("VM.Allocate");
    rights.0.insert("/vms".to_owned(), all);
    let said = judged(&rights);
    assert_eq!(said[0].0, Verdict::Bad);
    for words in [
        "VM.Allocate: is missing on /vms/1001",
        "`pveum role modify Infra --append 1 --privs VM.Allocate`",
        "`pveum acl modify /vms --users",
    ] {
        assert!(said[0].1.contains(words), "{words}: {said:#?}");
    }
}

/// What is asked for is enough: a token that holds exactly that, path by path, makes everything and leaves no seed.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_that_are_asked_for_are_enough() {
    let text = guest("disks: {photos: {storage: local-zfs, size: 1GiB}}").replace(
        "\"}\nzones",
        "\", template: {vmid: 9001, storage: local-zfs}}\nzones",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let mut grants: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for need in needs(&crate::farm::wish(folder.path(), &text), "9.2.11") {
        let privileges = grants.entry(need.path).or_default();
        privileges.push(need.privilege.to_owned());
    }
    let farm = Farm::with(&text, |config| {
        for token in config.tokens.values_mut() {
            token.grants.clone_from(&grants);
        }
    });
    let plan = farm.plan(&farm.client()).await;
    assert!(!plan.changes.is_empty(), "{plan:#?}");
    assert!(plan.blocked.is_empty(), "{:#?}", plan.blocked);
    let receipt = farm.apply(&plan).await;
    assert!(receipt.is_complete(), "{receipt:#?}");
    let again = farm.plan(&farm.client()).await;
    assert!(again.changes.is_empty(), "{:#?}", again.changes);
    assert!(again.blocked.is_empty(), "{:#?}", again.blocked);
}

/// One option that only root may set is refused by the API too: the check is no rule of our own.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_root_may_set_is_refused_by_the_api_as_well() {
    let farm = with_old("cores: 1").await;
    let change = ConfigChange {
        set: BTreeMap::from([("serial0".to_owned(), "/dev/ttyS0".to_owned())]),
        ..ConfigChange::default()
    };
    let vmid = 300_u32.try_into().expect("valid");
    let error = farm.client().update_config("pve1", vmid, &change).await;
    let why = error.expect_err("refused").to_string();
    assert!(why.contains("only root"), "{why}");
}
