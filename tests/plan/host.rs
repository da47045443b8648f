//! Drifts of a host, and hosts that do not answer.

use crate::world::{System, drift, facts, host};
use infra::model::{
    facts::{PathFact, UnitFact},
    observed::{Observed, Reading},
    resource::Reaction,
};
use infra::plan::change::Operation;

fn path<'a>(seen: &'a mut Observed, on: &str, path: &str) -> &'a mut PathFact {
    let paths = &mut facts(seen, on).paths;
    paths.get_mut(path).and_then(Option::as_mut).expect("there")
}

fn unit<'a>(seen: &'a mut Observed, on: &str, name: &str) -> &'a mut UnitFact {
    facts(seen, on).units.get_mut(name).expect("there")
}

#[test]
fn a_removed_package_is_installed() {
    let said = drift(|_, seen| {
        facts(seen, "intranet")
            .packages
            .insert("fail2ban".to_owned(), None);
    });
    assert_eq!(
        said,
        ["+ intranet: packages [hot] installed: nothing -> fail2ban"]
    );
}

#[test]
fn an_edited_sshd_file_is_written_again() {
    let said = drift(|_, seen| {
        path(seen, "intranet", "/etc/ssh/sshd_config.d/00-infra.conf").sha256 =
            Some("0".repeat(64));
    });
    assert_eq!(
        said,
        [
            "~ intranet: file /etc/ssh/sshd_config.d/00-infra.conf [restarts] content: edited -> as in the inventory"
        ]
    );
}

#[test]
fn a_deleted_file_is_written_again() {
    let said = drift(|_, seen| {
        facts(seen, "intranet")
            .paths
            .insert("/etc/fail2ban/jail.d/infra.conf".to_owned(), None);
    });
    assert_eq!(
        said,
        ["+ intranet: file /etc/fail2ban/jail.d/infra.conf [restarts]"]
    );
}

#[test]
fn a_file_that_others_may_write_gets_its_mode_back() {
    let said = drift(|_, seen| {
        path(seen, "extranet", "/etc/docker/daemon.json").mode = 0o666;
    });
    assert_eq!(
        said,
        ["~ extranet: file /etc/docker/daemon.json [restarts] mode: 0666 -> 0644"]
    );
}

#[test]
fn a_file_of_another_owner_is_given_back() {
    let said = drift(|_, seen| {
        let file = path(seen, "extranet", "/etc/docker/daemon.json");
        file.owner = "www-data".to_owned();
        file.uid = 33;
    });
    assert_eq!(
        said,
        ["~ extranet: file /etc/docker/daemon.json [restarts] owner: www-data -> root"]
    );
}

#[test]
fn a_file_where_a_directory_must_be_is_seen() {
    let said = drift(|_, seen| {
        path(seen, "extranet", "/etc/infra").kind = "file".to_owned();
    });
    assert_eq!(
        said,
        ["~ extranet: directory /etc/infra [hot] kind: file -> directory"]
    );
}

#[test]
fn a_stopped_unit_is_started() {
    let said = drift(|_, seen| {
        unit(seen, "intranet", "fail2ban.service").active = "failed".to_owned();
    });
    assert_eq!(
        said,
        ["~ intranet: unit fail2ban.service [hot] state: failed -> active"]
    );
}

#[test]
fn a_disabled_unit_is_enabled() {
    let said = drift(|_, seen| {
        unit(seen, "intranet", "docker.service").enabled = "disabled".to_owned();
    });
    assert_eq!(
        said,
        ["~ intranet: unit docker.service [hot] at boot: disabled -> enabled"]
    );
}

#[test]
fn a_masked_unit_is_enabled() {
    let said = drift(|_, seen| {
        unit(seen, "intranet", "ssh.service").enabled = "masked".to_owned();
    });
    assert_eq!(
        said,
        ["~ intranet: unit ssh.service [hot] at boot: masked -> enabled"]
    );
}

#[test]
fn a_masked_unit_is_unmasked_before_its_new_file_restarts_it() {
    let system = System::flagship();
    let mut seen = system.settled();
    unit(&mut seen, "intranet", "fail2ban.service").enabled = "masked".to_owned();
    let path = "/etc/fail2ban/jail.d/infra.conf";
    facts(&mut seen, "intranet")
        .paths
        .insert(path.to_owned(), None);
    let plan = system.plan(&seen);
    let then = plan.changes.iter().find_map(|change| {
        if let Operation::WriteFile(file) = &change.operation {
            (file.path == path).then_some(&file.then)
        } else {
            None
        }
    });
    let unit = || "fail2ban.service".to_owned();
    let expected = vec![Reaction::Unmask(unit()), Reaction::Restart(unit())];
    assert_eq!(then, Some(&expected));
}

#[test]
fn a_kernel_setting_is_set_back() {
    let said = drift(|_, seen| {
        facts(seen, "pve")
            .sysctls
            .insert("net.ipv4.ip_forward".to_owned(), Some("0".to_owned()));
    });
    assert_eq!(
        said,
        ["~ pve: sysctl net.ipv4.ip_forward [hot] value: 0 -> 1"]
    );
}

#[test]
fn a_flushed_table_of_a_unit_that_still_counts_as_active_is_loaded_again() {
    let said = drift(|_, seen| {
        let tables = &mut facts(seen, "pve").nft_tables;
        tables.insert("ip infra_router".to_owned(), None);
    });
    assert_eq!(
        said,
        ["~ pve: nftables ip infra_router [restarts] live rules: none -> as in the inventory"]
    );
}

#[test]
fn a_table_that_was_edited_by_hand_is_loaded_again() {
    let said = drift(|_, seen| {
        let tables = &mut facts(seen, "pve").nft_tables;
        let table = tables.get_mut("ip infra_router").and_then(Option::as_mut);
        let table = table.expect("there");
        *table = table.replace("masquerade", "accept");
    });
    assert_eq!(
        said,
        [
            "~ pve: nftables ip infra_router [restarts] live rules: other rules -> as in the inventory"
        ]
    );
}

#[test]
fn a_table_is_loaded_once_when_its_unit_is_started_anyway() {
    let said = drift(|_, seen| {
        unit(seen, "pve", "infra-router.service").active = "inactive".to_owned();
        let tables = &mut facts(seen, "pve").nft_tables;
        tables.insert("ip infra_router".to_owned(), None);
    });
    assert_eq!(
        said,
        ["~ pve: unit infra-router.service [hot] state: inactive -> active"]
    );
}

#[test]
fn a_table_is_loaded_as_well_when_its_unit_runs_and_is_only_enabled() {
    let said = drift(|_, seen| {
        unit(seen, "pve", "infra-router.service").enabled = "disabled".to_owned();
        let tables = &mut facts(seen, "pve").nft_tables;
        tables.insert("ip infra_router".to_owned(), None);
    });
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn a_guest_hidden_by_a_router_that_does_not_forward_does_not_keep_it_from_being_mended() {
    let said = drift(|_, seen| {
        facts(seen, "pve")
            .sysctls
            .insert("net.ipv4.ip_forward".to_owned(), Some("0".to_owned()));
        let why = "failed to reach extranet: timed out".to_owned();
        seen.hosts
            .insert(host("extranet"), Reading::Failed { why, hint: None });
    });
    assert_eq!(
        said,
        [
            "~ pve: sysctl net.ipv4.ip_forward [hot] value: 0 -> 1",
            "later extranet: it lies behind pve, which does not route as it should",
        ]
    );
}

#[test]
fn a_mount_that_is_gone_is_mounted() {
    let said = drift(|_, seen| {
        unit(seen, "intranet", "mnt-tank-media.mount").active = "inactive".to_owned();
        facts(seen, "intranet").mounts.remove("/mnt/tank/media");
    });
    assert_eq!(
        said,
        ["~ intranet: unit mnt-tank-media.mount [hot] state: inactive -> active"]
    );
}

#[test]
fn a_host_that_does_not_answer_is_unreachable_and_not_empty() {
    let said = drift(|_, seen| {
        let why = "failed to reach intranet: connection refused".to_owned();
        seen.hosts
            .insert(host("intranet"), Reading::Failed { why, hint: None });
    });
    assert_eq!(
        said,
        ["unreachable host intranet: failed to reach intranet: connection refused"]
    );
}

#[test]
fn a_host_that_was_not_asked_is_unreachable() {
    let said = drift(|_, seen| {
        seen.hosts.remove(&host("extranet"));
    });
    assert_eq!(said, ["unreachable host extranet: it was not asked"]);
}

#[test]
fn an_api_that_does_not_answer_is_unreachable_and_no_guest_is_created() {
    let said = drift(|_, seen| {
        let why = "failed to log in to 192.168.1.10".to_owned();
        seen.proxmox = Some(Reading::Failed { why, hint: None });
    });
    assert_eq!(
        said,
        ["unreachable the Proxmox API: failed to log in to 192.168.1.10"]
    );
}
