//! Stack + system -> release.

use super::{
    code::BAD_COMPOSE,
    compose::{Compose, Entry, Texts},
    context::context,
    hash,
    lint::{self, COMPOSE, OVERRIDE},
    mounted, published, unit,
    written::Written,
};
use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::model::{
    desired::Desired,
    ids::SecretName,
    release::{Release, ReleaseFile, ReleaseService},
    secret::{Content, SecretValues},
    stack::{Stack, StackDirectory, StackFile},
};
use crate::template;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Renders one stack. There is a release unless something is an error.
///
/// `values` may be empty, as in an offline check: the release is then complete but has another id, and the sums of files with
/// secrets are those of the redacted text.
pub fn render(
    desired: &Desired,
    stack: &Stack,
    values: &SecretValues,
) -> (Option<Release>, Vec<Diagnostic>) {
    let mut found = lint::written(stack);
    let context = context(desired, stack);
    let known: BTreeSet<SecretName> = desired.secrets.keys().cloned().collect();
    let mut files = Vec::new();
    for file in &stack.files {
        match rendered(file, &context, &known) {
            Ok(text) => files.push(release_file(file, text, values)),
            Err(problems) => found.extend(problems),
        }
    }
    let directories = directories(stack, &context, &known, &mut found);
    if has_errors(&found) {
        return (None, found);
    }
    let texts: Texts = files
        .iter()
        .map(|file| {
            (
                file.path.clone(),
                hash::marked(&desired.system, &file.content, values),
            )
        })
        .collect();
    let (compose, problems) = match read(desired, stack, &context, &known, &files, &texts) {
        Ok(pair) => pair,
        Err(problem) => {
            found.push(problem);
            return (None, found);
        }
    };
    found.extend(problems);
    if has_errors(&found) {
        return (None, found);
    }
    let digests: BTreeMap<&str, Value> = files
        .iter()
        .map(|file| (file.path.as_str(), digest(desired, file, values)))
        .collect();
    let services: Vec<ReleaseService> = compose
        .services()
        .map(|entry| service(stack, &compose, entry, &digests))
        .collect();
    let labels = labels(desired, stack, &services);
    let id = hash::id(&json!({ "stack": stack.name, "files": digests, "labels": labels }));
    files.push(ReleaseFile {
        path: OVERRIDE.to_owned(),
        sha256: hash::sha256(labels.as_bytes()),
        content: Content::text(labels),
        mode: 0o644,
        uid: 0,
        gid: 0,
    });
    let images: BTreeSet<String> = services
        .iter()
        .map(|service| service.image.clone())
        .collect();
    let release = Release {
        system: desired.system.clone(),
        stack: stack.name.clone(),
        host: stack.on.clone(),
        id,
        files,
        images: images.into_iter().collect(),
        services,
        directories,
        data: stack.data.clone(),
        needs_mounts: stack.needs_mounts.clone(),
        datasets: desired.datasets_of(stack),
        guarded: stack.guarded.clone(),
        needs: stack.needs.clone(),
        settle_seconds: stack.settle_seconds,
        timeout_seconds: stack.timeout_seconds,
        unit: unit::unit(desired, stack),
    };
    (Some(release), found)
}

/// Where each port of a stack is published in its compose file, in the order of [`Stack::publish`]; none where that cannot be
/// told.
pub fn published_places(desired: &Desired, stack: &Stack) -> Vec<Option<Place>> {
    let nothing = || vec![None; stack.publish.len()];
    let context = context(desired, stack);
    let known: BTreeSet<SecretName> = desired.secrets.keys().cloned().collect();
    let Some(main) = stack.files.iter().find(|file| file.path == COMPOSE) else {
        return nothing();
    };
    let Ok(content) = rendered(main, &context, &known) else {
        return nothing();
    };
    let text = content.redacted();
    let (Ok(written), Ok(compose)) = (
        Written::read(main, text.clone(), &context, &known),
        Compose::parse(&main.origin, &text, &Texts::new()),
    ) else {
        return nothing();
    };
    published::places(stack, &written, &compose)
}

/// The compose file with everything that is wrong with it.
fn read(
    desired: &Desired,
    stack: &Stack,
    context: &Value,
    known: &BTreeSet<SecretName>,
    files: &[ReleaseFile],
    texts: &Texts,
) -> Result<(Compose, Vec<Diagnostic>), Diagnostic> {
    let main = stack.files.iter().find(|file| file.path == COMPOSE);
    let content = files.iter().find(|file| file.path == COMPOSE);
    // A template without the file is refused by the inventory.
    let (Some(main), Some(content)) = (main, content) else {
        let text = format!("`{COMPOSE}` names no service");
        return Err(Diagnostic::error(BAD_COMPOSE, text));
    };
    let text = content.content.redacted();
    let written = Written::read(main, text, context, known).map_err(|both| {
        let (written, broken) = *both;
        let text = format!("`{}` is not a compose file: {}", main.origin, broken.why);
        let problem = Diagnostic::error(BAD_COMPOSE, text);
        let problem = written.label(problem, &broken.range, "here");
        match broken.first {
            Some(first) => written.label(problem, &first, "first here"),
            None => problem,
        }
    })?;
    let marked = texts.get(COMPOSE).map_or("", String::as_str);
    let compose = Compose::parse(&main.origin, marked, texts)?;
    let problems = lint::rendered(desired, stack, &written, &compose, files);
    Ok((compose, problems))
}

fn has_errors(found: &[Diagnostic]) -> bool {
    found
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}

fn rendered(
    file: &StackFile,
    context: &Value,
    known: &BTreeSet<SecretName>,
) -> Result<Content, Vec<Diagnostic>> {
    if file.raw {
        Ok(Content::text(&file.text))
    } else {
        template::render(&file.origin, &file.text, context, known)
    }
}

/// A file with secrets is its owner's alone, or its group's where the manifest names a group.
fn release_file(file: &StackFile, content: Content, values: &SecretValues) -> ReleaseFile {
    let (uid, gid) = file.owner;
    let private = if gid == 0 { 0o700 } else { 0o750 };
    ReleaseFile {
        path: file.path.clone(),
        sha256: hash::filled(&content, values),
        mode: if content.has_secrets() {
            file.mode & private
        } else {
            file.mode
        },
        content,
        uid,
        gid,
    }
}

fn directories(
    stack: &Stack,
    context: &Value,
    known: &BTreeSet<SecretName>,
    found: &mut Vec<Diagnostic>,
) -> Vec<StackDirectory> {
    let mut out = Vec::new();
    for directory in &stack.directories {
        let origin = format!("directory `{}` of stack `{}`", directory.path, stack.name);
        match template::render(&origin, &directory.path, context, known) {
            // An option that nobody asked for.
            Ok(path) if !path.has_secrets() && path.redacted().is_empty() => {}
            Ok(path) if !path.has_secrets() && is_plain_absolute(&path.redacted()) => {
                out.push(StackDirectory {
                    path: path.redacted(),
                    ..directory.clone()
                });
            }
            Ok(path) => found.push(
                Diagnostic::error(
                    super::code::PATH,
                    format!("the {origin} is `{}`", path.redacted()),
                )
                .help("a directory on the host is written as an absolute path without `..`"),
            ),
            Err(problems) => found.extend(problems),
        }
    }
    out
}

fn is_plain_absolute(path: &str) -> bool {
    path.starts_with('/')
        && !path.contains(['\n', '\r'])
        && path.split('/').all(|part| part != "..")
}

fn digest(desired: &Desired, file: &ReleaseFile, values: &SecretValues) -> Value {
    json!([
        hash::sha256(hash::marked(&desired.system, &file.content, values).as_bytes()),
        file.mode,
        file.uid,
        file.gid
    ])
}

fn service(
    stack: &Stack,
    compose: &Compose,
    entry: Entry<'_>,
    digests: &BTreeMap<&str, Value>,
) -> ReleaseService {
    let files = files_of(compose, entry, digests);
    let parent = entry.shares_network_of();
    // Its dependants lose their network with it, so they are made anew together.
    let parent_release = parent
        .and_then(|name| compose.services().find(|other| other.name == name))
        .filter(|other| other.shares_network_of().is_none())
        .map(|other| service(stack, compose, other, digests).release);
    let used: BTreeMap<&str, &Value> = digests
        .iter()
        .filter(|(path, _)| files.iter().any(|file| file == *path))
        .map(|(path, digest)| (*path, digest))
        .collect();
    let image = entry.text("image").unwrap_or_default();
    let pinned = stack
        .digests
        .get(image)
        .map(|digest| format!("{image}@{digest}"));
    let mut made_from = json!({
        "service": entry.value,
        "surroundings": compose.surroundings(),
        "files": used,
        "parent": parent_release,
    });
    if let Some(pinned) = &pinned {
        made_from["pinned"] = json!(pinned);
    }
    let release = hash::id(&made_from);
    ReleaseService {
        name: entry.name.to_owned(),
        release,
        image: pinned.unwrap_or_else(|| image.to_owned()),
        one_shot: entry.is_one_shot(),
        healthcheck: entry.has_healthcheck(),
        shares_network_of: parent.map(str::to_owned),
        files,
    }
}

/// Compose reads `.env` for every service; a file that `include` names may hold anything.
fn files_of(compose: &Compose, entry: Entry<'_>, digests: &BTreeMap<&str, Value>) -> Vec<String> {
    let sources: Vec<String> = mounted::sources(compose, entry)
        .iter()
        .filter_map(|source| mounted::inside(&source.path))
        .collect();
    digests
        .keys()
        .filter(|path| {
            (**path == ".env")
                || (compose.includes() && **path != COMPOSE)
                || sources.iter().any(|source| mounted::covers(source, path))
        })
        .map(|path| (*path).to_owned())
        .collect()
}

/// What is ours and what it was made from; images by the digests that their tags stood for.
fn labels(desired: &Desired, stack: &Stack, services: &[ReleaseService]) -> String {
    let entries = services.iter().map(|service| {
        let labels = json!({
            "infra.system": desired.system,
            "infra.stack": stack.name,
            "infra.release": service.release,
        });
        let is_pinned = stack
            .digests
            .values()
            .any(|digest| service.image.ends_with(&format!("@{digest}")));
        let image = if is_pinned {
            format!("    image: {}\n", json!(service.image))
        } else {
            String::new()
        };
        format!("  {}:\n{image}    labels: {labels}\n", json!(service.name))
    });
    let head = "# Made by infra: what is ours, and what it was made from.\nservices:\n";
    std::iter::once(head.to_owned()).chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ids::{HostName, ServiceName, StackName, SystemName},
        secret::SecretSource,
        stack::Publish,
    };
    use secrecy::SecretString;

    const VPN: &str = "\
x-base: &base {restart: unless-stopped}
services:
  vpn:
    <<: *base
    image: {{ images.vpn }}
    ports: [\"{{ publish.vpn.bind }}:1194/udp\"]
    secrets: [key]
  torrent:
    <<: *base
    image: docker.io/x/torrent:1
    network_mode: service:vpn
  web:
    <<: *base
    image: docker.io/x/web:1
    volumes: [./web:/etc/web:ro, data:/data, {type: bind, source: /mnt/tank/media/films, target: /films}]
    environment: {NAME: \"no\"}
  init:
    image: docker.io/x/init@sha256:00
volumes: {data: {}}
secrets:
  key: {file: secrets/key}
";

    fn file(path: &str, text: &str) -> StackFile {
        StackFile {
            path: path.to_owned(),
            text: text.to_owned(),
            raw: false,
            mode: 0o644,
            owner: (0, 0),
            origin: format!("templates/vpn/{path}"),
        }
    }

    fn stack(name: &str, needs: &[&str]) -> Stack {
        Stack {
            name: StackName::new(name).expect("valid"),
            on: HostName::new("pi").expect("valid"),
            template: "vpn".to_owned(),
            files: vec![
                file("compose.yaml", VPN),
                file("web/site.conf", "listen {{ host.address }};\n"),
                file("secrets/key", "{{ secrets.vpn_key }}"),
            ],
            variables: BTreeMap::new(),
            images: [("vpn".to_owned(), "docker.io/x/vpn:1".to_owned())].into(),
            mounts: [("media".to_owned(), "/mnt/tank/media".to_owned())].into(),
            publish: vec![Publish {
                service: ServiceName::new("vpn").expect("valid"),
                port: "1194/udp".parse().expect("valid"),
                address: None,
            }],
            needs_mounts: vec!["/mnt/tank/media".to_owned()],
            guarded: vec![],
            needs: needs
                .iter()
                .map(|name| StackName::new(*name).expect("valid"))
                .collect(),
            directories: vec![StackDirectory {
                path: "{{ mounts.media }}/films".to_owned(),
                uid: 1000,
                gid: 1000,
                mode: 0o755,
            }],
            settle_seconds: 5,
            timeout_seconds: 60,
            waivers: BTreeMap::new(),
            backup: crate::model::backup::StackBackup::default(),
            data: vec![],
            digests: BTreeMap::new(),
        }
    }

    fn desired() -> Desired {
        let mut desired = Desired {
            system: SystemName::new("home").expect("valid"),
            proxmox: None,
            nodes: BTreeMap::new(),
            guests: BTreeMap::new(),
            ha_rules: BTreeMap::new(),
            sdn: BTreeMap::new(),
            adopted: BTreeMap::new(),
            hosts: BTreeMap::new(),
            images: BTreeMap::new(),
            zones: BTreeMap::new(),
            sets: BTreeMap::new(),
            operators: None,
            services: BTreeMap::new(),
            flows: vec![],
            nevers: vec![],
            zpools: BTreeMap::new(),
            replicas: BTreeMap::new(),
            backups: BTreeMap::new(),
            nights: None,
            datasets: BTreeMap::new(),
            stacks: BTreeMap::new(),
            checks: vec![],
            secrets: BTreeMap::new(),
            authorized_keys: vec![],
            timezone: "Europe/Paris".to_owned(),
        };
        let host: crate::model::host::ExternalHost = serde_json::from_value(json!({
            "name": "pi", "address": "192.168.1.30", "zone": null,
            "ssh": {"user": "root", "port": 22, "jump": null, "identity": null},
        }))
        .expect("an external host");
        desired.hosts.insert(host.name.clone(), host);
        let secret = SecretName::new("vpn_key").expect("valid");
        desired
            .secrets
            .insert(secret, SecretSource::Env("KEY".to_owned()));
        desired
    }

    fn values(key: &str) -> SecretValues {
        let mut values = SecretValues::default();
        values.insert(
            SecretName::new("vpn_key").expect("valid"),
            SecretString::from(key),
        );
        values
    }

    fn release(change: impl FnOnce(&mut Stack), key: &str) -> Release {
        let mut stack = stack("vpn", &[]);
        change(&mut stack);
        let (release, found) = render(&desired(), &stack, &values(key));
        assert!(found.is_empty(), "{found:#?}");
        release.expect("rendered")
    }

    fn problems(change: impl FnOnce(&mut Stack)) -> Vec<String> {
        let mut stack = stack("vpn", &[]);
        change(&mut stack);
        let (_, found) = render(&desired(), &stack, &values("k"));
        found
            .into_iter()
            .map(|problem| format!("{} {}", problem.code.0, problem.summary))
            .collect()
    }

    /// The compose file with one text for another.
    fn compose(stack: &mut Stack, from: &str, to: &str) {
        assert!(
            stack.files[0].text.contains(from),
            "{from} is in the compose file"
        );
        stack.files[0].text = stack.files[0].text.replace(from, to);
    }

    fn changed(before: &Release, after: &Release) -> Vec<String> {
        assert_ne!(before.id, after.id);
        before
            .services
            .iter()
            .zip(&after.services)
            .filter(|(a, b)| a.release != b.release)
            .map(|(a, _)| a.name.clone())
            .collect()
    }

    #[test]
    fn a_release_knows_its_services_and_their_files() {
        let release = release(|_| {}, "k");
        let shown: Vec<String> = release
            .services
            .iter()
            .map(|s| {
                format!(
                    "{} {} {:?} once={} net={:?}",
                    s.name, s.image, s.files, s.one_shot, s.shares_network_of
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"vpn docker.io/x/vpn:1 ["secrets/key"] once=false net=None"#,
                r#"torrent docker.io/x/torrent:1 [] once=false net=Some("vpn")"#,
                r#"web docker.io/x/web:1 ["web/site.conf"] once=false net=None"#,
                r"init docker.io/x/init@sha256:00 [] once=true net=None",
            ]
        );
        assert_eq!(release.directories[0].path, "/mnt/tank/media/films");
        let key = release
            .files
            .iter()
            .find(|file| file.path == "secrets/key")
            .expect("there");
        assert_eq!(
            (key.mode, key.sha256.as_str()),
            (0o600, hash::sha256(b"k").as_str())
        );
        assert_eq!(release.id.len(), 16);
        let labels = release
            .files
            .last()
            .expect("the override")
            .content
            .redacted();
        assert!(labels.contains(&format!(
            r#""infra.release":"{}""#,
            release.services[0].release
        )));
    }

    #[test]
    fn a_change_makes_exactly_its_users_anew() {
        let before = release(|_| {}, "k");
        assert_eq!(before, release(|_| {}, "k"));
        let config = release(|s| s.files[1].text.push_str("# more\n"), "k");
        assert_eq!(changed(&before, &config), ["web"]);
        let rotated = release(|_| {}, "another key");
        assert_eq!(changed(&before, &rotated), ["vpn", "torrent"]);
        let image = release(|s| compose(s, "torrent:1", "torrent:2"), "k");
        assert_eq!(changed(&before, &image), ["torrent"]);
        let volumes = release(
            |s| compose(s, "volumes: {data: {}}", "volumes: {data: {name: d}}"),
            "k",
        );
        assert_eq!(
            changed(&before, &volumes),
            ["vpn", "torrent", "web", "init"]
        );
        let comment = release(
            |s| compose(s, "volumes: {data", "# nothing\nvolumes: {data"),
            "k",
        );
        assert_eq!(changed(&before, &comment), [""; 0]);
    }

    #[test]
    fn a_secret_is_in_no_part_of_a_release() {
        let release = release(|_| {}, "hunter2 hunter2");
        let shown = format!(
            "{release:?}{}",
            serde_json::to_string(&release).expect("json")
        );
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn a_locked_tag_runs_by_its_digest() {
        let tag = "docker.io/x/torrent:1";
        let digest = format!("sha256:{}", "ab".repeat(32));
        let before = release(|_| {}, "k");
        let locked = release(
            |s| drop(s.digests.insert(tag.to_owned(), digest.clone())),
            "k",
        );
        assert_eq!(changed(&before, &locked), ["torrent"]);
        let wanted = format!("{tag}@{digest}");
        assert_eq!(locked.services[1].image, wanted);
        assert!(locked.images.contains(&wanted) && !locked.images.contains(&tag.to_owned()));
        let labels = locked
            .files
            .last()
            .expect("the override")
            .content
            .redacted();
        assert!(labels.contains(&format!("image: \"{wanted}\"")), "{labels}");
        assert_eq!(labels.matches("image:").count(), 1);
    }

    /// REL002.
    #[test]
    fn a_stack_without_a_usable_compose_file_is_refused() {
        assert_eq!(
            problems(|s| drop(s.files.remove(0))),
            ["REL002 `compose.yaml` names no service"]
        );
        assert_eq!(
            problems(|s| s.files[0].text = "services: {}".to_owned()),
            ["REL002 `templates/vpn/compose.yaml` names no service"]
        );
        let found = problems(|s| s.files[0].text = "services:\n  a: [1\n".to_owned());
        assert!(
            found[0].starts_with("REL002 `templates/vpn/compose.yaml` is not a compose file: "),
            "{found:?}"
        );
    }

    /// REL003, REL004.
    #[test]
    fn published_ports_and_the_manifest_agree() {
        let found = problems(|s| {
            compose(
                s,
                "image: docker.io/x/web:1",
                "image: docker.io/x/web:1\n    ports: [8080:80, 127.0.0.1:9:9]",
            );
        });
        assert_eq!(
            found,
            [
                "REL003 `templates/vpn/compose.yaml`: service `web` publishes 8080/tcp, which the manifest does not name"
            ]
        );
        let found =
            problems(|s| compose(s, "    ports: [\"{{ publish.vpn.bind }}:1194/udp\"]\n", ""));
        assert_eq!(
            found,
            [
                "REL004 stack `vpn` publishes 1194/udp as `vpn`, and no service of `templates/vpn/compose.yaml` does"
            ]
        );
        let host = |s: &mut Stack| {
            compose(
                s,
                "ports: [\"{{ publish.vpn.bind }}:1194/udp\"]",
                "network_mode: host",
            );
        };
        assert_eq!(problems(host), [""; 0]);
    }

    /// REL005, REL007.
    #[test]
    fn what_runs_is_one_published_version() {
        assert_eq!(
            problems(|s| compose(s, "web:1", "web")),
            [
                "REL005 `templates/vpn/compose.yaml`: service `web` runs `docker.io/x/web`, which is not one version"
            ]
        );
        assert_eq!(
            problems(|s| compose(s, "image: docker.io/x/web:1", "build: .")),
            ["REL007 `templates/vpn/compose.yaml`: service `web` is built on its host"]
        );
    }

    /// REL008.
    #[test]
    fn a_file_that_is_mounted_is_part_of_the_template() {
        assert_eq!(
            problems(|s| compose(s, "./web:", "./wbe:")),
            [
                "REL008 `templates/vpn/compose.yaml`: service `web` uses `./wbe`, which is no file of the template"
            ]
        );
    }

    /// REL009, REL012.
    #[test]
    fn names_and_paths_keep_to_their_place() {
        let found = problems(|s| drop(s.variables.insert("host".to_owned(), json!("x"))));
        assert_eq!(
            found,
            ["REL009 stack `vpn` has a variable `host`, a name that infra uses itself"]
        );
        assert_eq!(
            problems(|s| s.files.push(file("../x", ""))),
            ["REL012 `../x` cannot be a file of the template `vpn`"]
        );
        assert_eq!(
            problems(|s| s.directories[0].path = "{{ stack }}/x".to_owned()),
            ["REL012 the directory `{{ stack }}/x` of stack `vpn` is `vpn/x`"]
        );
    }

    /// REL011.
    #[test]
    fn a_secret_in_the_compose_file_is_a_warning_and_still_counts() {
        let inline = |s: &mut Stack| compose(s, "NAME: \"no\"", "NAME: \"{{ secrets.vpn_key }}\"");
        assert_eq!(
            problems(inline),
            [
                "REL011 `templates/vpn/compose.yaml` holds a secret, which `docker inspect` then shows"
            ]
        );
        let release = |key: &str| {
            let mut stack = stack("vpn", &[]);
            inline(&mut stack);
            render(&desired(), &stack, &values(key))
                .0
                .expect("rendered")
        };
        assert_eq!(
            changed(&release("a"), &release("b")),
            ["vpn", "torrent", "web"]
        );
    }
}
