//! Plans from an observation in which questions were not answered.

use crate::world::{System, config, drift, host, proxmox, vmid, words};
use infra::{
    model::{
        firewall_step::PveLevel,
        observed::{Observed, Question, Unanswered},
    },
    plan::Obstacle,
};

fn leave_open(seen: &mut Observed, question: Question) {
    proxmox(seen).unanswered.push(Unanswered {
        question,
        why: "failed to hear the answer".to_owned(),
        hint: None,
    });
}

#[test]
fn a_guest_whose_configuration_is_unknown_is_left_as_it_is_and_the_rest_goes_on() {
    let said = drift(|_, seen| {
        proxmox(seen)
            .guests
            .get_mut(&vmid(110))
            .expect("there")
            .config = None;
        leave_open(seen, Question::Guest(vmid(110)));
        config(seen, 111).insert("onboot".to_owned(), "0".to_owned());
    });
    assert_eq!(
        said,
        [
            "~ pve: guest 111 extranet [hot] starts with the node: 0 -> 1",
            "unknown guest 110 intranet: the configuration of guest 110 could not be read: failed to hear the answer",
            "unknown the configuration of guest 110: the configuration of guest 110 could not be read: failed to hear the answer",
        ]
    );
}

#[test]
fn an_unknown_level_of_the_firewall_is_not_written_anew() {
    let said = drift(|_, seen| {
        proxmox(seen).firewall.nodes.clear();
        leave_open(seen, Question::Firewall(PveLevel::Node(host("pve"))));
    });
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(
        said[0].starts_with("unknown the firewall of node pve:"),
        "{said:#?}"
    );
}

#[test]
fn a_guest_never_starts_behind_an_unknown_firewall() {
    let system = System::flagship();
    for level in [
        PveLevel::Cluster,
        PveLevel::Guest(vmid(110)),
        // The main switch waits for these too, and guests wait for the main switch.
        PveLevel::Guest(vmid(111)),
        PveLevel::Node(host("pve")),
    ] {
        let mut seen = system.fresh();
        leave_open(&mut seen, Question::Firewall(level));
        let plan = system.plan(&seen);
        assert!(plan.has(Obstacle::Unknown) && !plan.has(Obstacle::Refused));
        let started: Vec<String> = words(&plan)
            .into_iter()
            .filter(|line| line.contains("guest 110 intranet"))
            .filter(|line| !line.starts_with("unknown"))
            .collect();
        assert_eq!(started, Vec::<String>::new());
        // The main switch waits for the whole picture.
        assert!(!words(&plan).iter().any(|line| line.contains("main switch")));
    }
}

#[test]
fn what_proxmox_complains_about_is_part_of_the_plan() {
    let system = System::flagship();
    let mut seen = system.settled();
    proxmox(&mut seen)
        .complaints
        .push("Proxmox skips rule 0 of the firewall of guest 110: no such alias".to_owned());
    let plan = system.plan(&seen);
    assert!(plan.is_empty());
    assert_eq!(plan.complaints.len(), 1);
}
