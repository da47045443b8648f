//! Guests cloned from a template that infra makes, by sharing blocks and by copying, and a disk that moves.

use crate::{hand::Hand, lab::Lab};
use std::fs;

const CLONES: &str = "images:
  golden:
    url: https://cloud.debian.org/images/golden.qcow2
    checksum: \"sha256:abababababababababababababababababababababababababababababababab\"
    template: {vmid: 9001, storage: local-zfs, clone: linked}
  solid:
    url: https://cloud.debian.org/images/solid.qcow2
    checksum: \"sha256:abababababababababababababababababababababababababababababababab\"
    template: {vmid: 9002, storage: local-zfs, clone: full}
guests:
  leaf:
    {vmid: 121, image: golden, pool: farm, memory: 1GiB, disk: {storage: local-zfs, size: 8GiB, ssd: true}, nics: [{zone: lan, address: 192.168.1.41}]}
  copy:
    {vmid: 122, image: solid, memory: 1GiB, disk: {storage: fast, size: 8GiB}, nics: [{zone: lan, address: 192.168.1.42}]}
";

#[test]
fn guests_are_cloned_from_a_template_and_a_disk_moves_while_it_is_used() {
    let lab = Lab::with_more(CLONES);
    lab.up().says(0, &["Done."]);
    let hand = Hand::at(&lab);
    let full = hand.option(122, "scsi0");
    let model = lab.model().to_string();
    assert!(
        model.contains("\"parent\":\"local-zfs:base-9001-disk-0\""),
        "linked"
    );
    assert!(
        !model.contains("\"parent\":\"local-zfs:base-9002-disk-0\""),
        "copied"
    );
    assert!(full.starts_with("fast:vm-122-disk-0"), "{full}");
    // What its template does not have is there before its first start.
    let tuned = hand.option(121, "scsi0");
    assert!(tuned.contains("ssd=1"), "{tuned}");
    lab.settled();

    let path = lab.path("inventory/media-server-home/more.yaml");
    let text = fs::read_to_string(&path).expect("written");
    fs::write(&path, text.replace("storage: fast", "storage: local-zfs")).expect("written");
    lab.run(&["--lab", "plan"]).says(
        0,
        &[
            "guest 122 copy disk scsi0 storage",
            "storage: fast → local-zfs",
        ],
    );
    lab.up().says(0, &["Done. 1 change carried out."]);
    let moved = hand.option(122, "scsi0");
    assert!(moved.starts_with("local-zfs:vm-122-disk-"), "{moved}");
    lab.settled();

    // What shares its blocks with others is not destroyed under them.
    let ran = lab.run(&["--lab", "destroy", "9001", "--confirm", "template-golden"]);
    assert_ne!(ran.code, Some(0), "{}", ran.text);
    assert!(hand.guest(9001).is_some());
    lab.run(&["--lab", "destroy", "leaf", "--confirm", "leaf"])
        .says(
            0,
            &[
                "the inventory still names it: the next `infra up` makes leaf anew",
                "Done.",
            ],
        );
    assert_eq!(hand.guest(121), None);
}
