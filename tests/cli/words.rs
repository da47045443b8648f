//! What the program says, and with which exit code.

use crate::folder::{Folder, Said};
use std::fs;

/// The flagship, written out.
fn flagship() -> Folder {
    let folder = Folder::new();
    let said = folder.run(&["init", "media-server-home"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    folder
}

fn system_yaml(folder: &Folder) -> std::path::PathBuf {
    folder
        .path()
        .join("inventory/media-server-home/system.yaml")
}

#[test]
fn init_says_what_it_wrote_and_what_only_the_owner_can_supply() {
    let said = Folder::new().run(&["init", "media-server-home"]);
    insta::assert_snapshot!(said.out);
    assert_eq!((said.code, said.talk.as_str()), (0, ""));
}

#[test]
fn init_writes_over_nothing_and_keeps_every_secret() {
    let folder = flagship();
    let secrets = folder
        .path()
        .join("inventory/media-server-home/secrets.age");
    let before = fs::read(&secrets).expect("secrets");
    let again = folder.run(&["init", "media-server-home"]);
    assert!(
        again.out.starts_with("Everything of media-server-home is"),
        "{}",
        again.out
    );
    fs::write(system_yaml(&folder), "mine").expect("written");
    let said = folder.run(&["init", "media-server-home"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    assert!(
        said.out
            .contains("1 of its files are yours now: no file was written"),
        "{}",
        said.out
    );
    assert!(said.out.contains("none was missing"), "{}", said.out);
    assert_eq!(
        fs::read_to_string(system_yaml(&folder)).expect("file"),
        "mine"
    );
    assert_eq!(fs::read(&secrets).expect("secrets"), before);
}

#[test]
fn a_lost_age_key_is_told_and_no_secret_is_made_anew() {
    let folder = flagship();
    let secrets = folder
        .path()
        .join("inventory/media-server-home/secrets.age");
    let before = fs::read(&secrets).expect("secrets");
    fs::remove_file(folder.path().join(".config/infra/age.txt")).expect("removed");
    let said = folder.run(&["init", "media-server-home"]);
    assert_eq!(said.code, 1);
    assert!(
        said.talk.contains("failed to open") && said.talk.contains("put its age key into place"),
        "{}",
        said.talk
    );
    assert_eq!(fs::read(&secrets).expect("secrets"), before);
}

#[test]
fn secrets_and_the_age_key_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = flagship();
    for file in [
        "inventory/media-server-home/secrets.age",
        ".config/infra/age.txt",
    ] {
        let mode = fs::metadata(folder.path().join(file))
            .expect(file)
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn a_usage_mistake_is_2_and_says_how_to_go_on() {
    let folder = Folder::new();
    let talk = |args: &[&str]| {
        let Said { code, out, talk } = folder.run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {talk}");
        talk
    };
    assert!(talk(&["frobnicate"]).contains("unrecognized subcommand 'frobnicate'"));
    assert!(talk(&["plan"]).contains("infra init media-server-home"));
    assert!(talk(&["init", "media-sever-home"]).contains("failed to find the built-in system"));
    for name in ["a", "b"] {
        fs::create_dir_all(folder.path().join("inventory").join(name)).expect("made");
    }
    assert!(talk(&["plan"]).contains("inventory/a, inventory/b"));
}

#[test]
fn check_finds_everything_at_once_offline_and_exits_3() {
    let folder = flagship();
    let text = fs::read_to_string(system_yaml(&folder)).expect("file");
    fs::write(
        system_yaml(&folder),
        text.replace("authorized_keys", "authorised_keys") + "\nfrob: 1\n",
    )
    .expect("written");
    let said = folder.run(&["check"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""), "{}", said.talk);
    for word in ["authorised_keys", "did you mean", "frob", "system.yaml:"] {
        assert!(said.talk.contains(word), "{word}: {}", said.talk);
    }
    let json = folder.run(&["check", "--json"]);
    assert_eq!((json.code, json.talk.as_str()), (3, ""));
    let found: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    assert!(
        found["diagnostics"].as_array().expect("a list").len() >= 2,
        "{found}"
    );
}

#[test]
fn a_plan_without_its_secrets_touches_nothing_and_names_each() {
    let said = flagship().run(&["plan"]);
    assert_eq!(said.code, 3);
    assert!(said.talk.contains("INFRA_PROXMOX_TOKEN"), "{}", said.talk);
    assert!(said.talk.contains("Nothing was touched"), "{}", said.talk);
}

#[test]
fn the_lab_that_is_not_up_is_5_and_says_how_to_bring_it_up() {
    let folder = flagship();
    for verb in ["plan", "up", "status", "verify"] {
        let said = folder.run(&["--lab", verb]);
        assert_eq!(said.code, 5, "{verb}: {}", said.talk);
        assert!(said.talk.contains("infra lab up"), "{verb}: {}", said.talk);
    }
}

#[test]
fn no_colour_reaches_a_pipe() {
    let folder = flagship();
    for environment in [
        &[][..],
        &[("NO_COLOR", "1")][..],
        &[("TERM", "xterm-256color")][..],
    ] {
        let said = folder.run_with(&["check"], environment);
        assert!(!said.talk.contains('\u{1b}'), "{environment:?}");
        assert!(!said.out.contains('\u{1b}'), "{environment:?}");
    }
}

#[test]
fn a_zone_whose_addresses_all_belong_to_a_set_can_be_asked_about() {
    let folder = Folder::new();
    let said = folder.run(&["init", "secure-homelab-server"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    let said = folder.run(&["firewall", "explain", "tailnet", "server", "443/tcp"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    assert!(said.out.contains("100.64.0.1 "), "{}", said.out);
    let said = folder.run(&["firewall", "explain", "tailnett", "server", "443/tcp"]);
    assert_eq!(said.code, 2, "{}", said.talk);
}

#[test]
fn passwords_of_mounts_are_asked_for_with_the_other_secrets() {
    let folder = Folder::new();
    let said = folder.run(&["init", "secure-homelab-server"]);
    assert_eq!(said.code, 0, "{}", said.talk);
    let said = folder.run(&["plan"]);
    assert_ne!(said.code, 0, "{}", said.talk);
    for variable in [
        "STORAGEBOX_PASSWORD",
        "BACKUPBOX_PASSWORD",
        "TAILSCALE_AUTH_KEY",
    ] {
        assert!(said.talk.contains(variable), "{variable}: {}", said.talk);
    }
}
