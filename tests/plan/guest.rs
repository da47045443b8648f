//! Drifts of guests and of the node that holds them.

use crate::world::{NOTHING, config, drift, host, proxmox, vmid};
use infra::model::observed::{Observed, ObservedGuest, ObservedNode, ObservedStorage, Reading};
use std::collections::BTreeMap;

fn guest(seen: &mut Observed, number: u32) -> &mut ObservedGuest {
    let guests = &mut proxmox(seen).guests;
    guests.get_mut(&vmid(number)).expect("there")
}

fn node(seen: &mut Observed) -> &mut ObservedNode {
    let nodes = &mut proxmox(seen).nodes;
    nodes.get_mut(&host("pve")).expect("there")
}

fn storage<'a>(seen: &'a mut Observed, name: &str) -> &'a mut ObservedStorage {
    node(seen).storages.get_mut(name).expect("there")
}

fn replace(config: &mut BTreeMap<String, String>, key: &str, from: &str, to: &str) {
    let value = config.get_mut(key).expect("a key that is set");
    let new = value.replace(from, to);
    assert_ne!(*value, new, "the drift changes something");
    *value = new;
}

#[test]
fn memory_changed_by_hand_waits_for_a_restart() {
    let said = drift(|_, seen| {
        config(seen, 110).insert("memory".to_owned(), "4096".to_owned());
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [next boot] memory (MiB): 4096 -> 8192",
            "~ pve: guest 110 intranet restart [reboots]"
        ]
    );
}

#[test]
fn cores_that_are_gone_are_one_core() {
    let said = drift(|_, seen| {
        config(seen, 111).remove("cores");
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 111 extranet [next boot] cores: 1 -> 2",
            "~ pve: guest 111 extranet restart [reboots]"
        ]
    );
}

#[test]
fn a_card_on_another_bridge_comes_back_at_once() {
    let said = drift(|_, seen| {
        replace(config(seen, 111), "net0", "vmbr1", "vmbr0");
    });
    assert_eq!(
        said,
        ["~ pve: guest 111 extranet [hot] net0 bridge: vmbr0 -> vmbr1"]
    );
}

#[test]
fn a_card_without_the_firewall_flag_is_protected_again() {
    let said = drift(|_, seen| {
        replace(config(seen, 110), "net0", ",firewall=1", "");
    });
    assert_eq!(
        said,
        ["~ pve: guest 110 intranet [hot] net0 firewall: nothing -> 1"]
    );
}

#[test]
fn another_mac_address_is_put_right() {
    let said = drift(|_, seen| {
        let net = config(seen, 110).get_mut("net0").expect("a card");
        *net = "virtio=BC:24:11:DE:AD:01,bridge=vmbr0,firewall=1".to_owned();
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [restarts] net0 MAC address: BC:24:11:DE:AD:01 -> BC:24:11:09:F0:FB"
        ]
    );
}

#[test]
fn a_tag_of_the_owner_that_is_not_in_the_inventory_goes() {
    let said = drift(|_, seen| {
        let tags = config(seen, 110).get_mut("tags").expect("tags");
        tags.push_str(";mine");
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [hot] tags: infra;infra-media-server-home;mine -> infra;infra-media-server-home"
        ]
    );
}

#[test]
fn notes_are_written_again() {
    let said = drift(|_, seen| {
        config(seen, 110).insert("description".to_owned(), "my notes".to_owned());
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [hot] notes: my notes -> Jellyfin, Immich, monitoring and backups.||Managed by infra: media-server-home/intranet"
        ]
    );
}

#[test]
fn a_guest_that_would_not_start_with_its_node() {
    let said = drift(|_, seen| {
        config(seen, 110).remove("onboot");
    });
    assert_eq!(
        said,
        ["~ pve: guest 110 intranet [hot] starts with the node: 0 -> 1"]
    );
}

#[test]
fn a_disk_that_is_too_small_grows() {
    let said = drift(|_, seen| {
        replace(config(seen, 110), "scsi0", "size=64G", "size=32G");
    });
    assert_eq!(
        said,
        ["~ pve: guest 110 intranet disk scsi0 [hot] size: 32 GiB -> 64 GiB"]
    );
}

#[test]
fn a_disk_that_is_larger_is_named_and_left_alone() {
    let said = drift(|_, seen| {
        replace(config(seen, 110), "scsi0", "size=64G", "size=100G");
    });
    assert_eq!(
        said,
        [
            "? guest 110 intranet: disk scsi0 is 100 GiB, the inventory says 64 GiB; disks never shrink"
        ]
    );
}

#[test]
fn a_root_disk_that_is_gone_blocks() {
    let said = drift(|_, seen| {
        config(seen, 110).remove("scsi0");
    });
    assert_eq!(
        said,
        ["! guest 110 intranet: its root disk `scsi0` is gone"]
    );
}

#[test]
fn a_seed_taken_out_of_the_drive_is_put_back() {
    let said = drift(|_, seen| {
        config(seen, 110).insert("ide2".to_owned(), "none,media=cdrom".to_owned());
    });
    let words = "~ pve: guest 110 intranet seed [hot] ide2: nothing -> infra-media-server-home-110-7afbf7acf3db-";
    assert!(said.len() == 1 && said[0].starts_with(words), "{said:?}");
}

#[test]
fn a_seed_with_a_private_key_does_not_stay() {
    let said = drift(|_, seen| {
        let boot = "local:iso/infra-media-server-home-110-boot.iso,media=cdrom";
        config(seen, 110).insert("ide2".to_owned(), boot.to_owned());
    });
    let words = "~ pve: guest 110 intranet seed [hot] ide2: local:iso/infra-media-server-home-110-boot.iso -> \
                 infra-media-server-home-110-7afbf7acf3db-";
    assert!(said.len() == 1 && said[0].starts_with(words), "{said:?}");
}

#[test]
fn a_staged_value_waits_for_a_restart_and_is_not_sent_twice() {
    let said = drift(|_, seen| {
        config(seen, 110).insert("memory".to_owned(), "4096".to_owned());
        guest(seen, 110)
            .pending
            .insert("memory".to_owned(), Some("8192".to_owned()));
    });
    assert_eq!(said, ["~ pve: guest 110 intranet restart [reboots]"]);
}

#[test]
fn a_value_staged_by_hand_is_taken_back_without_a_restart() {
    let said = drift(|_, seen| {
        guest(seen, 110)
            .pending
            .insert("cores".to_owned(), Some("1".to_owned()));
    });
    assert_eq!(
        said,
        ["~ pve: guest 110 intranet [hot] cores: 1 at the next start -> 4"]
    );
}

#[test]
fn a_disks_option_staged_by_hand_is_taken_back() {
    let said = drift(|_, seen| {
        let kept = config(seen, 110)["scsi0"].replace(",discard=on", "");
        let pending = &mut guest(seen, 110).pending;
        pending.insert("scsi0".to_owned(), Some(kept));
    });
    assert_eq!(
        said,
        ["~ pve: guest 110 intranet [hot] scsi0 discard: nothing -> 1"]
    );
}

#[test]
fn a_card_added_by_hand_is_named_and_left_alone() {
    let said = drift(|_, seen| {
        config(seen, 110).insert(
            "net1".to_owned(),
            "virtio=BC:24:11:00:00:09,bridge=vmbr0".to_owned(),
        );
    });
    assert_eq!(
        said,
        ["? guest 110 intranet: net1 virtio=BC:24:11:00:00:09,bridge=vmbr0"]
    );
}

#[test]
fn a_directory_mapping_that_is_gone_is_made_again() {
    let said = drift(|_, seen| {
        proxmox(seen).dir_mappings.remove("tank-media");
    });
    assert_eq!(
        said,
        ["+ pve: directory mapping tank-media [hot] map: nothing -> node=pve,path=/mnt/tank/media"]
    );
}

#[test]
fn a_directory_mapping_of_another_folder_is_corrected() {
    let said = drift(|_, seen| {
        proxmox(seen).dir_mappings.insert(
            "tank-media".to_owned(),
            vec!["node=pve,path=/srv/media".to_owned()],
        );
    });
    assert_eq!(
        said,
        [
            "~ pve: directory mapping tank-media [hot] map: node=pve,path=/srv/media -> node=pve,path=/mnt/tank/media"
        ]
    );
}

#[test]
fn a_directory_mapping_keeps_the_entries_of_other_nodes() {
    let said = drift(|_, seen| {
        let entries = ["node=pve2,path=/mnt/two", "node=pve,path=/srv/media"];
        let entries = entries.map(str::to_owned).to_vec();
        let mappings = &mut proxmox(seen).dir_mappings;
        mappings.insert("tank-media".to_owned(), entries);
    });
    assert_eq!(
        said,
        [
            "~ pve: directory mapping tank-media [hot] map: node=pve2,path=/mnt/two node=pve,path=/srv/media -> \
             node=pve2,path=/mnt/two node=pve,path=/mnt/tank/media"
        ]
    );
}

#[test]
fn a_guest_that_proxmox_works_on_is_not_changed_meanwhile() {
    let changed = |lock: &str| {
        drift(|_, seen| {
            config(seen, 110).insert("memory".to_owned(), "4096".to_owned());
            guest(seen, 110).lock = Some(lock.to_owned());
        })
    };
    let said = changed("backup");
    let blocked = "! guest 110 intranet: Proxmox works on it (lock `backup`)";
    assert!(said.iter().any(|line| line == blocked), "{said:#?}");
    let untouched = drift(|_, seen| guest(seen, 110).lock = Some("backup".to_owned()));
    assert_eq!(untouched, NOTHING);
}

/// An import or a full clone goes on when the answer to it was lost; its marks come with its end.
#[test]
fn a_guest_that_is_still_made_is_nobody_elses() {
    for lock in ["create", "clone"] {
        let said = drift(|_, seen| {
            let found = guest(seen, 110);
            found.lock = Some(lock.to_owned());
            found.config = Some(BTreeMap::new());
        });
        let waits = format!("! guest 110 intranet: Proxmox works on it (lock `{lock}`)");
        assert_eq!(said, [waits]);
    }
}

/// A clone begins with the cloud-init drive of its template.
#[test]
fn a_clone_that_was_not_configured_yet_is_ours_by_its_notes() {
    let said = drift(|_, seen| {
        guest(seen, 110).status = "stopped".to_owned();
        let config = config(seen, 110);
        config.remove("tags");
        let drive = "local-zfs:vm-110-cloudinit,media=cdrom";
        config.insert("ide2".to_owned(), drive.to_owned());
    });
    assert!(!said.iter().any(|line| line.starts_with('!')), "{said:#?}");
    assert!(said.iter().any(|line| line.contains("ide2")), "{said:#?}");
}

#[test]
fn what_was_set_by_hand_and_the_inventory_does_not_speak_of_is_named() {
    let said = drift(|_, seen| {
        let net = config(seen, 110).get_mut("net0").expect("a card");
        net.push_str(",rate=10,mtu=1400");
        let config = config(seen, 110);
        config.insert(
            "efidisk0".to_owned(),
            "local-zfs:vm-110-disk-9,size=1M".to_owned(),
        );
        config.insert(
            "tpmstate0".to_owned(),
            "local-zfs:vm-110-disk-8,size=4M".to_owned(),
        );
    });
    assert_eq!(
        said,
        [
            "? guest 110 intranet: efidisk0 local-zfs:vm-110-disk-9,size=1M",
            "? guest 110 intranet: net0 MTU 1400, which the inventory does not name",
            "? guest 110 intranet: net0 rate (MB/s) 10, which the inventory does not name",
            "? guest 110 intranet: tpmstate0 local-zfs:vm-110-disk-8,size=4M",
        ]
    );
}

#[test]
fn somebody_elses_guest_under_our_vmid_blocks() {
    let said = drift(|_, seen| {
        config(seen, 111).insert("tags".to_owned(), "windows".to_owned());
    });
    assert_eq!(
        said,
        [
            "! guest 111 extranet: VMID 111 is taken by `extranet` on pve, which infra did not make (no tag `infra-media-server-home`)"
        ]
    );
}

#[test]
fn a_storage_that_is_missing_blocks() {
    let said = drift(|_, seen| {
        node(seen).storages.remove("local-zfs");
    });
    assert_eq!(
        said,
        [
            "! guest 110 intranet: node pve has no storage `local-zfs`",
            "! guest 111 extranet: node pve has no storage `local-zfs`"
        ]
    );
}

#[test]
fn a_storage_that_does_not_take_disks_blocks() {
    let said = drift(|_, seen| {
        storage(seen, "local-zfs").content = vec!["rootdir".to_owned()];
    });
    assert_eq!(
        said,
        [
            "! guest 110 intranet: storage `local-zfs` does not hold `images`",
            "! guest 111 extranet: storage `local-zfs` does not hold `images`"
        ]
    );
}

#[test]
fn a_storage_that_is_off_blocks() {
    let said = drift(|_, seen| {
        storage(seen, "local").active = false;
    });
    assert_eq!(
        said,
        [
            "! guest 110 intranet: storage `local` is not active",
            "! guest 111 extranet: storage `local` is not active"
        ]
    );
}

#[test]
fn a_bridge_that_is_missing_blocks_its_guest_alone() {
    let said = drift(|_, seen| {
        node(seen).bridges.remove("vmbr1");
    });
    assert_eq!(
        said,
        ["! guest 111 extranet: node pve has no bridge `vmbr1`"]
    );
}

#[test]
fn a_full_storage_matters_only_to_a_guest_that_is_not_there() {
    let said = drift(|_, seen| {
        storage(seen, "local-zfs").available = 1 << 30;
    });
    assert_eq!(said, NOTHING);
}

#[test]
fn a_stopped_guest_is_started_and_not_judged() {
    let said = drift(|_, seen| {
        guest(seen, 110).status = "stopped".to_owned();
        seen.hosts.insert(host("intranet"), Reading::Absent);
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet power [hot] state: stopped -> running",
            "later intranet: it does not run"
        ]
    );
}

#[test]
fn memory_of_a_stopped_guest_needs_no_restart() {
    let said = drift(|_, seen| {
        guest(seen, 110).status = "stopped".to_owned();
        config(seen, 110).insert("memory".to_owned(), "4096".to_owned());
        seen.hosts.insert(host("intranet"), Reading::Absent);
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [hot] memory (MiB): 4096 -> 8192",
            "~ pve: guest 110 intranet power [hot] state: stopped -> running",
            "later intranet: it does not run"
        ]
    );
}

#[test]
fn somebody_elses_stopped_guest_under_our_vmid_blocks() {
    let said = drift(|_, seen| {
        guest(seen, 111).status = "stopped".to_owned();
        config(seen, 111).remove("tags");
        seen.hosts.insert(host("extranet"), Reading::Absent);
    });
    assert_eq!(
        said,
        [
            "! guest 111 extranet: VMID 111 is taken by `extranet` on pve, which infra did not make (no tag `infra-media-server-home`)",
            "later extranet: it does not run"
        ]
    );
}

#[test]
fn a_guest_that_moved_is_configured_where_it_lives_and_then_moved_home() {
    let said = drift(|_, seen| {
        guest(seen, 110).node = "pve2".to_owned();
        config(seen, 110).insert("description".to_owned(), "mine".to_owned());
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 110 intranet [hot] notes: mine -> Jellyfin, Immich, monitoring and backups.||Managed by infra: media-server-home/intranet",
            "~ pve: guest 110 intranet move [stops] node: pve2 -> pve",
            "~ pve: guest 110 intranet seed [hot] ide2: nothing -> infra-media-server-home-110-7afbf7acf3db-5bd4f8554f531796d78d3fe96b864f534f53742344134413.iso"
        ]
    );
}
