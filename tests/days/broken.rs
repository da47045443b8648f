//! Stacks that cannot work: each is told by what is wrong with it, and what ran before runs on.

use crate::lab::Lab;
use serde_json::Value;
use std::fs;

const COMPOSE: &str = "templates/jellyfin/compose.yaml";

/// What is done to a stack that runs, and what has to be said.
struct Broken {
    name: &'static str,
    /// File, what is in it, and what will be.
    edit: (&'static str, &'static str, &'static str),
    code: i32,
    says: &'static [&'static str],
}

const fn broken(
    name: &'static str,
    edit: (&'static str, &'static str, &'static str),
    code: i32,
    says: &'static [&'static str],
) -> Broken {
    Broken {
        name,
        edit,
        code,
        says,
    }
}

const IMAGE: &str = "jellyfin: docker.io/jellyfin/jellyfin:10.10.7";
const IMAGES: &str = "templates/images.yaml";
const STACKS: &str = "inventory/media-server-home/stacks.yaml";
const MANIFEST: &str = "templates/jellyfin/stack.yaml";
const NETWORK: &str = "inventory/media-server-home/network.yaml";
const SECRETS: &str = "inventory/media-server-home/secrets.yaml";

/// Nothing is sent to any host before an inventory is right, so these end with 3; the others end on the host.
const CASES: &[Broken] = &[
    broken(
        "a tab",
        (COMPOSE, "  jellyfin:\n", "\tjellyfin:\n"),
        3,
        &["REL002", "templates/jellyfin/compose.yaml:"],
    ),
    broken(
        "a key twice",
        (COMPOSE, "  jellyfin:\n", "  jellyfin:\n    image: x\n"),
        3,
        &["`image` is written twice", "compose.yaml:"],
    ),
    broken(
        "a bracket that nobody closes",
        (COMPOSE, "  jellyfin:\n", "  jellyfin: [\n"),
        3,
        &["REL002", "compose.yaml:"],
    ),
    broken(
        "an undefined variable",
        (COMPOSE, "images.jellyfin", "images.jelyfin"),
        3,
        &["TPL001", "did you mean `jellyfin`?"],
    ),
    broken(
        "an undefined variable in a condition",
        (
            COMPOSE,
            "services:",
            "{% if qicksync %}{% endif %}\nservices:",
        ),
        3,
        &["TPL001", "`quicksync`"],
    ),
    broken(
        "a port that nobody named",
        (COMPOSE, "publish.jellyfin.bind", "host.name"),
        3,
        &["REL00"],
    ),
    broken(
        "an unknown host",
        (
            STACKS,
            "    on: intranet\n    template: jellyfin",
            "    on: intranett\n    template: jellyfin",
        ),
        3,
        &["`intranett`", "stacks.yaml:"],
    ),
    broken(
        "an unknown template",
        (STACKS, "template: jellyfin", "template: jelly"),
        3,
        &["`jelly`", "stacks.yaml:"],
    ),
    broken(
        "an unknown dataset",
        (STACKS, "media: tank/media", "media: tank/medai"),
        3,
        &["tank/medai", "stacks.yaml:"],
    ),
    broken(
        "a mount that is not given",
        (
            STACKS,
            "mounts: {media: tank/media, appdata: tank/appdata}",
            "mounts: {media: tank/media}",
        ),
        3,
        &["appdata", "stacks.yaml:"],
    ),
    broken(
        "needs in a circle",
        (
            STACKS,
            "    template: proxy\n",
            "    template: proxy\n    needs: [openvpn]\n",
        ),
        3,
        &["openvpn", "proxy", "stacks.yaml:"],
    ),
    broken(
        "a port of another stack",
        (
            STACKS,
            "    template: jellyfin\n",
            "    template: jellyfin\n    publish: {jellyfin: 2283/tcp}\n",
        ),
        3,
        &["2283/tcp", "stacks.yaml:"],
    ),
    broken(
        "a secret that is missing",
        (SECRETS, "  restic_password: {age: secrets.age}\n", ""),
        3,
        &["restic_password"],
    ),
    broken(
        "a secret without a value",
        (
            SECRETS,
            "restic_password: {age: secrets.age}",
            "restic_password: {age: {file: secrets.age, key: nothing}}",
        ),
        3,
        &["restic_password"],
    ),
    broken(
        "a second YAML document",
        (
            COMPOSE,
            "services:\n",
            "---\nservices: {}\n---\nservices:\n",
        ),
        3,
        &["REL002", "a second YAML document", "compose.yaml:"],
    ),
    broken(
        "a folder outside of the stack",
        (
            COMPOSE,
            "    volumes:\n",
            "    volumes:\n      - ../../etc:/host\n",
        ),
        3,
        &["REL012", "outside of the stack", "compose.yaml:"],
    ),
    broken(
        "a file that is not there",
        (
            COMPOSE,
            "    volumes:\n",
            "    volumes:\n      - ./extra.conf:/etc/extra.conf:ro\n",
        ),
        3,
        &["REL008", "`./extra.conf`", "compose.yaml:"],
    ),
    broken(
        "a placeholder that nobody closes",
        (COMPOSE, "{{ images.jellyfin }}", "{{ images.jellyfin }"),
        3,
        &["TPL002", "compose.yaml:"],
    ),
    broken(
        "a port that no flow allows",
        (NETWORK, "allow: [jellyfin, immich,", "allow: [immich,"),
        3,
        &["8096/tcp", "no flow lets anybody reach it", "compose.yaml:"],
    ),
    broken(
        "a port of the host itself",
        (
            STACKS,
            "    template: jellyfin\n",
            "    template: jellyfin\n    publish: {jellyfin: 22/tcp}\n",
        ),
        3,
        &["SSH server", "stacks.yaml:"],
    ),
    broken(
        "a port that there is not",
        (MANIFEST, "jellyfin: 8096/tcp", "jellyfin: 80960/tcp"),
        3,
        &["80960", "stack.yaml:"],
    ),
    broken(
        "a directory that climbs",
        (MANIFEST, "/jellyfin/cache\"", "/../../cache\""),
        3,
        &["INV020", "cache"],
    ),
    broken(
        "a misspelled key of the manifest",
        (MANIFEST, "timeout: 180s", "timout: 180s"),
        3,
        &["did you mean `timeout`?", "stack.yaml:"],
    ),
    broken(
        "a variable that the template does not have",
        (
            STACKS,
            "      url: https://jellyfin",
            "      ulr: https://jellyfin",
        ),
        3,
        &["no variable `ulr`", "stacks.yaml:"],
    ),
    broken(
        "a registry that is not there",
        (IMAGES, IMAGE, "jellyfin: registry.invalid/jellyfin:1"),
        1,
        &[
            "pull registry.invalid/jellyfin:1 on intranet",
            "no such host",
        ],
    ),
    broken(
        "an image for another machine",
        (IMAGES, IMAGE, "jellyfin: docker.io/arm64v8/jellyfin:1"),
        1,
        &["made for linux/arm64, and the host is linux/amd64"],
    ),
    broken(
        "a crash loop",
        (
            COMPOSE,
            "  jellyfin:\n",
            "  jellyfin:\n    command: [\"false\"]\n",
        ),
        10,
        &["started again and again", "rolled back to release"],
    ),
    broken(
        "a healthcheck that fails",
        (
            COMPOSE,
            "  jellyfin:\n",
            "  side:\n    image: docker.io/library/nginx:1.29.0\n    restart: always\n    healthcheck: {test: [CMD, \"false\"]}\n  jellyfin:\n",
        ),
        10,
        &["side: its healthcheck fails", "rolled back to release"],
    ),
    broken(
        "a one-shot that fails",
        (
            COMPOSE,
            "  jellyfin:\n",
            "  migrate:\n    image: docker.io/library/nginx:1.29.0\n    restart: \"no\"\n    command: [\"false\"]\n  jellyfin:\n",
        ),
        10,
        &[
            "migrate: it ended with exit code 1",
            "rolled back to release",
        ],
    ),
    broken(
        "a service without an image",
        (
            COMPOSE,
            "  jellyfin:\n",
            "  empty: {restart: always}\n  jellyfin:\n",
        ),
        1,
        &["neither an image nor a build context"],
    ),
];

#[test]
fn what_ran_before_serves_on_whatever_is_wrong_with_its_successor() {
    let lab = Lab::running();
    let history = || -> Value {
        let args = ["--lab", "--json", "stack", "history", "jellyfin"];
        let output = lab.command(&args).output().expect("run");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let before = history()["history"]["current"].clone();
    for case in CASES {
        let (file, from, to) = case.edit;
        let path = lab.path(file);
        let path = if path.exists() {
            path
        } else {
            lab.path("inventory/media-server-home").join(file)
        };
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(
            text.contains(from),
            "{}: `{from}` is not in {file}",
            case.name
        );
        fs::write(&path, text.replacen(from, to, 1)).expect("written");
        let ran = lab.up();
        assert_eq!(ran.code, Some(case.code), "{}: {}", case.name, ran.text);
        for words in case.says {
            assert!(
                ran.text.contains(words),
                "{}: {words}: {}",
                case.name,
                ran.text
            );
        }
        fs::write(&path, text).expect("written");
        assert_eq!(history()["history"]["current"], before, "{}", case.name);
        lab.run(&["--lab", "stack", "status", "jellyfin"])
            .says(0, &["healthy", "as wanted", "10.10.7"]);
    }
    lab.settled();
}

/// The files of a release that do not fit leave the one that runs as it is.
#[test]
fn a_full_disk_stops_a_stack_before_it_is_touched() {
    let lab = Lab::running();
    lab.another_jellyfin("10.10.8");
    lab.fault(&["host", "intranet", "disk-full"]);
    lab.up()
        .says(1, &["No space left on device", "Now true: 0 changes"]);
    lab.fault(&["clear"]);
    lab.run(&["--lab", "stack", "status", "jellyfin"])
        .says(12, &["healthy", "10.10.7"]);
    lab.recovers();
}
