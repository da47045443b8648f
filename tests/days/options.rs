//! Every option of a guest changed by hand: the plan names it in the owner's words with what putting it right does to the
//! guest, `up` puts it right, and the next plan is empty.

use crate::{hand::Hand, lab::Lab};
use serde_json::Value;

/// Option, what the hand writes, the line of the plan, and the impact on a running guest.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// They act at once, in the hand and in the repair.
const HOT: &[Case] = &[
    ("name", "other", "name: other → intranet", "hot"),
    ("onboot", "0", "starts with the node: 0 → 1", "hot"),
    ("startup", "order=9", "start order: 9 → 2", "hot"),
    ("description", "mine", "notes: mine → ", "hot"),
    (
        "tags",
        "infra-media-server-home",
        "tags: infra-media-server-home → ",
        "hot",
    ),
    (
        "balloon",
        "2048",
        "balloon minimum (MiB): 2048 → 4096",
        "hot",
    ),
    (
        "boot",
        "order=net0",
        "boot order: net0 at the next start → scsi0",
        "next_boot",
    ),
];

/// They act when QEMU starts, so the repair needs a restart.
const COLD: &[Case] = &[
    ("agent", "enabled=0", "guest agent: ", "reboot"),
    ("cores", "1", "cores: 1 → 4", "reboot"),
    ("cpu", "kvm64", "CPU type: kvm64 → host", "reboot"),
    ("memory", "6144", "memory (MiB): 6144 → 8192", "reboot"),
    (
        "scsihw",
        "virtio-scsi-pci",
        "SCSI controller: virtio-scsi-pci → virtio-scsi-single",
        "reboot",
    ),
    ("ostype", "other", "ostype: other → l26", "reboot"),
    (
        "virtiofs0",
        "dirid=tank-photos",
        "virtiofs0 directory mapping: tank-photos → ",
        "reboot",
    ),
];

struct Seen {
    text: String,
    plan: Value,
}

fn look(lab: &Lab) -> Seen {
    let text = lab.run(&["--lab", "plan", "-v"]).text;
    let json = lab
        .command(&["--lab", "plan", "--json"])
        .output()
        .expect("run");
    let plan = serde_json::from_slice(&json.stdout).expect("JSON");
    Seen { text, plan }
}

impl Seen {
    fn impact(&self, subject: &str) -> &str {
        let changes = self.plan["changes"].as_array().expect("a list");
        let is_it = |change: &&Value| change["subject"] == subject;
        let found = changes.iter().find(is_it);
        let found = found.unwrap_or_else(|| panic!("no {subject} in:\n{}", self.text));
        found["impact"].as_str().expect("a word")
    }
}

#[test]
fn every_option_changed_by_hand_is_named_judged_and_put_right() {
    let lab = Lab::running();
    let hand = Hand::at(&lab);
    let guest = "guest 110 intranet";
    for (key, value, words, impact) in HOT {
        let right = hand.option(110, key);
        hand.set(110, &[(key, value)]);
        let seen = look(&lab);
        assert!(seen.text.contains(words), "{key}: {words}\n{}", seen.text);
        assert_eq!(seen.impact(guest), *impact, "{key}\n{}", seen.text);
        let changes = seen.plan["changes"].as_array().expect("a list").len();
        assert_eq!(changes, 1, "{key}\n{}", seen.text);
        hand.set(110, &[(key, &right)]);
    }
    lab.settled();

    // A card, part by part.
    let card = hand.option(110, "net0");
    let mac = card.split(',').next().expect("a model").to_owned();
    for (value, words, impact) in [
        (
            card.replace("bridge=vmbr0", "bridge=vmbr1"),
            "net0 bridge: vmbr1 → vmbr0",
            "hot",
        ),
        (card.replace(",firewall=1", ""), "net0 firewall: 1", "hot"),
        (format!("{card},tag=7"), "net0 VLAN tag: 7 → gone", "hot"),
        (
            format!("{card},link_down=1"),
            "net0 link down: 1 → gone",
            "hot",
        ),
        (
            card.replace(&mac, "virtio=BC:24:11:00:99:01"),
            "net0 MAC address: BC:24:11:00:99:01 → ",
            "restart",
        ),
        (
            card.replace("virtio=", "e1000="),
            "net0 model: e1000 → virtio",
            "restart",
        ),
    ] {
        hand.set(110, &[("net0", &value)]);
        let seen = look(&lab);
        assert!(seen.text.contains(words), "{value}: {words}\n{}", seen.text);
        assert_eq!(seen.impact(guest), impact, "{value}\n{}", seen.text);
        hand.set(110, &[("net0", &card)]);
    }
    lab.settled();

    // What acts at a start only: staged by the hand it is taken back unnoticed ...
    hand.set(110, &[("cores", "1")]);
    let seen = look(&lab);
    assert!(
        seen.text.contains("cores: 1 at the next start → 4"),
        "{}",
        seen.text
    );
    assert_eq!(seen.impact(guest), "hot", "{}", seen.text);
    lab.up().says(0, &["Done. 1 change carried out."]);

    // ... and once the guest runs with it, it takes a restart, which is announced and can be refused.
    let drifted: Vec<(&str, &str)> = COLD.iter().map(|(key, value, ..)| (*key, *value)).collect();
    hand.set(110, &drifted);
    hand.restart(110);
    let seen = look(&lab);
    for (key, _, words, _) in COLD {
        assert!(seen.text.contains(words), "{key}: {words}\n{}", seen.text);
    }
    assert_eq!(seen.impact(guest), "next_boot", "{}", seen.text);
    assert_eq!(
        seen.impact("guest 110 intranet restart"),
        "reboot",
        "{}",
        seen.text
    );
    for max in ["hot", "next-boot", "restart"] {
        lab.run(&["--lab", "up", "--yes", "--max-impact", max])
            .says(
                11,
                &["more impact than allowed", "guest 110 intranet restart"],
            );
    }
    lab.up().says(0, &["Done."]);
    for (key, value, ..) in COLD {
        assert_ne!(hand.option(110, key), *value, "{key}");
    }
    lab.settled();
}

#[test]
fn a_changed_seed_says_what_it_will_do_and_what_it_never_does_again() {
    let lab = Lab::running();
    let path = lab.path("inventory/media-server-home/guests.yaml");
    let text = std::fs::read_to_string(&path).expect("guests");
    let more = "    cloud_init:\n      packages: [htop]\n      user_data: \"bootcmd: [[touch, /run/x]]\"\n    notes: HTTPS";
    std::fs::write(&path, text.replace("    notes: HTTPS", more)).expect("written");
    let seen = look(&lab);
    for words in [
        "guest 111 extranet seed  the instance id stays: host keys stay, and what ran once does not run again  [next boot]",
        "cloud-init packages: never runs again",
        "cloud-init bootcmd: runs at the next boot",
    ] {
        assert!(seen.text.contains(words), "{words}\n{}", seen.text);
    }
    lab.run(&["--lab", "up", "--yes", "--max-impact", "hot"])
        .says(11, &["guest 111 extranet seed"]);
    lab.up().says(0, &["Done. 1 change carried out."]);
    lab.settled();
}
