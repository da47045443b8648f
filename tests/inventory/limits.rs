//! What Proxmox has room for, beyond what a sample can show.

use infra::{
    inventory::{BuiltinTemplates, Loaded, load},
    model::{guest::GuestMount, ids::HostName},
};
use std::{fs, path::Path};

/// A sample that is fine but for its last line, with other lines in its place.
fn with(lines: &str) -> Loaded {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inventory/invalid/usb-device-by-its-id.yaml");
    let text = fs::read_to_string(sample).expect("readable");
    let wrong = "    usb: [\"1234:5678\"]\n";
    assert!(text.ends_with(wrong), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sample.yaml");
    fs::write(&path, text.replace(wrong, lines)).expect("written");
    let today = jiff::civil::date(2026, 11, 20);
    load(&path, today, &BuiltinTemplates::new()).expect("readable")
}

fn summaries(loaded: &Loaded) -> Vec<&str> {
    let all = loaded.diagnostics.iter();
    all.map(|diagnostic| diagnostic.summary.as_str()).collect()
}

#[test]
fn notes_have_room_for_infras_own_line() {
    let noted = |length: usize| with(&format!("    notes: {}\n", "a".repeat(length)));
    assert_eq!(summaries(&noted(8000)), [""; 0]);
    assert_eq!(
        summaries(&noted(8001)),
        ["Proxmox keeps 8192 characters of notes"]
    );
}

#[test]
fn options_that_proxmox_takes_are_taken() {
    let loaded = with(
        "    cpu: host,flags=+aes;-pcid\n    options: {cpulimit: 1.5, vga: \"virtio,memory=64\", tablet: false, hotplug: \"network,disk\"}\n    usb: [zigbee]\n",
    );
    assert_eq!(summaries(&loaded), [""; 0]);
}

/// A tag that fits and that nobody else has is the dataset's name, as it always was.
#[test]
fn every_share_has_a_tag_of_its_own_that_qemu_takes() {
    let long = "a-very-long-name-for-a-folder-of-photos";
    let loaded = with(&format!(
        "    mounts:\n\
         \x20     - {{dataset: tank/media, at: /srv/a}}\n\
         \x20     - {{dataset: tank/photos/raw, at: /srv/b}}\n\
         \x20     - {{dataset: tank/photos-raw, at: /srv/c}}\n\
         \x20     - {{dataset: tank/{long}, at: /srv/d}}\n\
         zfs:\n  tank: {{host: pve, datasets: {{media: {{}}, photos: {{datasets: {{raw: {{}}}}}}, photos-raw: {{}}, {long}: {{}}}}}}\n"
    ));
    assert_eq!(summaries(&loaded), [""; 0]);
    let desired = loaded.desired.expect("valid");
    let web = HostName::new("web").expect("a name");
    let tags: Vec<String> = desired.guests[&web]
        .mounts
        .iter()
        .map(GuestMount::tag)
        .collect();
    assert_eq!(tags[0], "tank-media");
    assert_eq!(tags[2], "tank-photos-raw");
    assert!(tags[1].starts_with("tank-photos-raw-"), "{tags:?}");
    assert!(
        tags[3].starts_with("tank-a-very-long-name-for-a"),
        "{tags:?}"
    );
    assert!(tags.iter().all(|tag| tag.len() <= 36), "{tags:?}");
}
