//! Compose files of other people become stacks as they are.

use crate::folder::Folder;
use std::{fs, path::Path};

/// Everything that compose files do with each other.
const PROJECT: &[(&str, &str)] = &[
    (
        "docker-compose.yml",
        "# The order and every space of this file stay.
version: \"3.8\"
x-common: &common
    restart: unless-stopped
    environment: &env
        TZ:   Europe/Paris
include:
  - path: ./tools/compose.yaml
services:
  vpn:
    <<: *common
    image: \"docker.io/qmcgaw/gluetun:${GLUETUN_TAG:-v3.40.0}\"
    cap_add: [NET_ADMIN]
    ports: ['8080:8080/tcp', \"127.0.0.1:8888:8888\"]
    env_file: [vpn.env]
  torrent:
    extends: {file: base.yml, service: app}
    network_mode: \"service:vpn\"
    volumes:
      - ./config:/config
      - type: bind
        source: ./web.conf
        target: /etc/web.conf
        read_only: true
    environment:
        <<: *env
        PUID: '1001'
    configs: [motd]
    secrets:
      - source: key
        target: /run/key
  debug:
    profiles: [debug]
    image: docker.io/library/busybox:1.37.0
    command: [\"sh\", \"-c\", \"echo {{ not a template }} $$HOME\"]
configs:
  motd: {content: \"hello ${WHO}\"}
secrets:
  key: {file: ./key.txt}
",
    ),
    (
        "base.yml",
        "services:\n  app:\n    image: lscr.io/linuxserver/qbittorrent:5.1.2\n    restart: unless-stopped\n",
    ),
    (
        "tools/compose.yaml",
        "services:\n  tool:\n    image: docker.io/library/alpine:3.22\n    restart: \"no\"\n",
    ),
    ("vpn.env", "VPN_SERVICE_PROVIDER=nordvpn\n"),
    (".env", "WHO=world\n"),
    ("web.conf", "listen 80;\n"),
    ("key.txt", "not a real key\n"),
];

fn flagship() -> Folder {
    let folder = Folder::new();
    assert_eq!(folder.run(&["init", "media-server-home"]).code, 0);
    folder
}

fn project(folder: &Folder, files: &[(&str, &str)]) -> String {
    for (path, text) in files {
        let path = folder.path().join("Media Box").join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    }
    "Media Box/docker-compose.yml".to_owned()
}

#[test]
fn a_project_is_taken_as_it_is_with_all_that_it_refers_to() {
    let folder = flagship();
    let file = project(&folder, PROJECT);
    let add = ["stack", "add", &file, "--on", "extranet"];
    let said = folder.run(&add);
    assert_eq!(said.code, 3, "{}", said.talk);
    for words in [
        "publishes 8080/tcp (media-box-vpn) on `extranet`, and no flow",
        "templates/media-box/compose.yaml:14:13",
        "`--from lan` writes the flow",
    ] {
        assert!(said.talk.contains(words), "{words}: {}", said.talk);
    }
    assert_eq!(folder.run(&["check"]).code, 0);
    let said = folder.run(&[&add[..], &["--from", "lan"]].concat());
    assert_eq!(said.code, 0, "{}", said.talk);
    let template = folder.path().join("inventory/media-server-home/templates");
    let template = [template, folder.path().join("templates")]
        .into_iter()
        .map(|root| root.join("media-box"))
        .find(|path| path.is_dir())
        .expect("a template");
    for (path, text) in PROJECT {
        let own = if *path == "docker-compose.yml" {
            "compose.yaml"
        } else {
            path
        };
        let written = fs::read_to_string(template.join(own)).expect("copied");
        assert_eq!(written, *text, "{path}");
    }
    let manifest = fs::read_to_string(template.join("stack.yaml")).expect("a manifest");
    insta::assert_snapshot!(manifest);
    assert_eq!(folder.run(&["check"]).code, 0);
    let list = folder.run(&["stack", "list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&list.out).expect("JSON");
    let row = rows["stacks"]
        .as_array()
        .expect("rows")
        .iter()
        .find(|row| row["stack"] == "media-box")
        .expect("listed");
    assert_eq!(
        row["services"],
        serde_json::json!(["vpn", "torrent", "tool"])
    );
    let again = folder.run(&["stack", "add", &file, "--on", "extranet"]);
    assert!(
        again.code == 2 && again.talk.contains("a stack `media-box` already"),
        "{}",
        again.talk
    );
}

/// Nothing stays written, so the inventory is as good as before.
#[track_caller]
fn refused(compose: &str, line: usize, words: &str) {
    let folder = flagship();
    let file = project(&folder, &[("docker-compose.yml", compose)]);
    let said = folder.run(&["stack", "add", &file, "--on", "intranet", "--name", "mine"]);
    assert_eq!(said.code, 3, "{}", said.talk);
    assert!(said.talk.contains(words), "{}", said.talk);
    let place = format!("templates/mine/compose.yaml:{line}:");
    assert!(said.talk.contains(&place), "{place} {}", said.talk);
    let left = |root: &Path| root.join("mine").exists();
    assert!(!left(&folder.path().join("templates")));
    assert!(!left(
        &folder.path().join("inventory/media-server-home/templates")
    ));
    assert_eq!(folder.run(&["check"]).code, 0);
}

#[test]
fn what_cannot_work_is_told_with_its_line_and_nothing_is_written() {
    refused(
        "services:\n  a:\n    image: x:1\n    volumes:\n      - ../media:/media\n",
        5,
        "outside of the stack",
    );
    refused(
        "services:\n  a:\n    image: x:1\n    env_file:\n      - gone.env\n",
        5,
        "no file of the template",
    );
    refused("services:\n  a:\n    build: .\n", 3, "built on its host");
}

#[test]
fn a_stack_needs_a_host_that_exists_and_a_file_that_is_compose() {
    let folder = flagship();
    let file = project(&folder, PROJECT);
    let said = folder.run(&["stack", "add", &file]);
    assert!(
        said.code == 2 && said.talk.contains("--on HOST"),
        "{}",
        said.talk
    );
    let said = folder.run(&["stack", "add", &file, "--on", "intranett"]);
    assert!(
        said.code == 2 && said.talk.contains("no host `intranett`"),
        "{}",
        said.talk
    );
    for (text, words) in [
        ("services:\n\ta: {image: x}\n", "not YAML"),
        ("a: 1\n", "names no service"),
    ] {
        let file = project(&folder, &[("docker-compose.yml", text)]);
        let said = folder.run(&["stack", "add", &file, "--on", "extranet"]);
        assert!(said.code == 3 && said.talk.contains(words), "{}", said.talk);
    }
}
