//! infra's scripts for compose stacks.

use super::{
    super::{
        docker::{Container, Project, platform},
        machine::{Machine, Reply},
        tree::Kind,
    },
    Call, Input,
    changes::make_directory,
};
use std::collections::BTreeSet;

const ROOT: &str = "/opt/infra/stacks";

fn say(out: &mut String, word: &str, rest: &str) {
    out.push_str(word);
    out.push(' ');
    out.push_str(rest);
    out.push('\n');
}

/// `infra-stack-stage STACK ID`
pub(super) fn stage(machine: &mut Machine, arguments: &[String], input: &[u8]) -> Reply {
    let [stack, id] = arguments else {
        return Reply::failed(2, "infra-stack-stage: a stack and an id are needed");
    };
    let release = format!("{ROOT}/{stack}/releases/{id}");
    if let Err(why) = make_directory(machine, &release, 0, 0, 0o755) {
        return Reply::failed(1, why);
    }
    let mut input = Input(input);
    let mut out = String::new();
    let mut listed = BTreeSet::new();
    loop {
        let Some(line) = input.line() else {
            return Reply::failed(22, "the input ended early");
        };
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        let outcome = match kind {
            "end" => break,
            "mount" if !machine.mounts.contains_key(rest) && !is_dataset(machine, rest) => {
                return Reply::told(21, format!("missing-mount {rest}\n"));
            }
            // A guest in memory has no files of its node: it takes the mount's word.
            "mount" | "dataset" => Ok(()),
            "directory" => directory(machine, rest),
            "data" => data(machine, &release, stack, rest, &mut listed),
            "file" => file(machine, &release, rest, &mut input, &mut out, &mut listed),
            kind => Err(format!("unknown record {kind}")),
        };
        if let Err(why) = outcome {
            return Reply::failed(22, why);
        }
    }
    let gone: Vec<String> = machine
        .tree
        .below(&release)
        .into_iter()
        .filter(|(path, entry)| entry.kind != Kind::Directory && !listed.contains(path))
        .map(|(path, _)| path)
        .collect();
    for path in gone {
        machine.tree.remove(&format!("{release}/{path}"));
    }
    Reply::said(out)
}

fn is_dataset(machine: &Machine, path: &str) -> bool {
    machine.zfs.mounted().iter().any(|(at, _)| at == path)
}

/// `MODE UID GID` and what follows.
fn head(rest: &str) -> Result<(u32, u32, u32, &str), String> {
    let wrong = || format!("`{rest}` is no record");
    let mut words = rest.splitn(4, ' ');
    let mut number = |radix| {
        words
            .next()
            .and_then(|word| u32::from_str_radix(word, radix).ok())
            .ok_or_else(wrong)
    };
    let (mode, uid, gid) = (number(8)?, number(10)?, number(10)?);
    Ok((mode, uid, gid, words.next().ok_or_else(wrong)?))
}

fn directory(machine: &mut Machine, rest: &str) -> Result<(), String> {
    let (mode, uid, gid, path) = head(rest)?;
    if machine.tree.is_directory(path) {
        return Ok(());
    }
    make_directory(machine, path, uid, gid, mode)
}

/// A folder beside the releases, and the link to it.
fn data(
    machine: &mut Machine,
    release: &str,
    stack: &str,
    rest: &str,
    listed: &mut BTreeSet<String>,
) -> Result<(), String> {
    let (mode, uid, gid, path) = head(rest)?;
    let place = format!("{ROOT}/{stack}/data/{path}");
    if !machine.tree.is_directory(&place) {
        make_directory(machine, &place, uid, gid, mode)?;
    }
    let link = format!("{release}/{path}");
    machine.tree.make_parents(&link)?;
    machine.tree.place(&link, Kind::Link(place), 0, 0, 0o777);
    listed.insert(path.to_owned());
    Ok(())
}

fn file(
    machine: &mut Machine,
    release: &str,
    rest: &str,
    input: &mut Input<'_>,
    out: &mut String,
    listed: &mut BTreeSet<String>,
) -> Result<(), String> {
    let (mode, uid, gid, rest) = head(rest)?;
    let (count, path) = rest.split_once(' ').ok_or("a file without a path")?;
    let bytes = count.parse().ok().and_then(|count| input.bytes(count));
    let bytes = bytes.ok_or_else(|| format!("the input ended inside {path}"))?;
    let full = format!("{release}/{path}");
    match machine.tree.read(&full) {
        Some(old) if old == bytes => {}
        Some(_) => say(out, "changed", path),
        None => say(out, "new", path),
    }
    machine.tree.write(&full, bytes, uid, gid, mode)?;
    listed.insert(path.to_owned());
    Ok(())
}

fn project(machine: &Machine, folder: &str) -> Result<Project, String> {
    let texts: Result<Vec<String>, String> = ["compose.yaml", "compose.infra.yaml"]
        .iter()
        .map(|name| {
            let path = format!("{folder}/{name}");
            machine
                .tree
                .text(&path)
                .ok_or(format!("open {path}: no such file or directory"))
        })
        .collect();
    Project::read(&texts?)
}

/// `infra-stack-pull STACK ID IMAGE...`
pub(super) fn pull(machine: &mut Machine, arguments: &[String]) -> Reply {
    let [stack, id, images @ ..] = arguments else {
        return Reply::failed(2, "infra-stack-pull: a stack and an id are needed");
    };
    if !machine.has_engine() {
        return Reply::failed(
            31,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        );
    }
    if let Err(why) = project(machine, &format!("{ROOT}/{stack}/releases/{id}")) {
        return Reply::failed(31, why);
    }
    let mut out = String::new();
    for image in images {
        if let Err(why) = machine.docker.pull(image) {
            let mut reply = Reply::failed(32, why);
            reply.stdout = format!("{out}not-pulled {image}\n").into_bytes();
            return reply;
        }
        let id = machine.docker.images.get(image).map_or("", String::as_str);
        let made_for = platform(image);
        say(&mut out, "image", &format!("{image} {id} {made_for}"));
        if made_for != "linux/amd64" {
            say(
                &mut out,
                "wrong-architecture",
                &format!("{image} {made_for} linux/amd64"),
            );
            return Reply::told(33, out);
        }
    }
    Reply::said(out)
}

/// `infra-stack-up STACK ID SERVICE...`
pub(super) fn up(machine: &mut Machine, arguments: &[String], call: &Call<'_>) -> Reply {
    let [stack, id, anew @ ..] = arguments else {
        return Reply::failed(2, "infra-stack-up: a stack and an id are needed");
    };
    let base = format!("{ROOT}/{stack}");
    let current = format!("{base}/current");
    let previous = machine
        .tree
        .link(&current)
        .and_then(|target| target.rsplit('/').next())
        .unwrap_or_default()
        .to_owned();
    let said = format!("previous {previous}\n");
    let unit = format!("infra-stack-{stack}.service");
    if !call.input.is_empty() {
        if let Err(why) = machine.tree.write(
            &format!("/etc/systemd/system/{unit}"),
            call.input,
            0,
            0,
            0o644,
        ) {
            return Reply::failed(1, why);
        }
        machine.enable(&unit, true);
    }
    let word = if call.input.is_empty() {
        "back"
    } else {
        "deploy"
    };
    if previous != *id {
        let file = format!("{base}/history");
        let mut text = machine.tree.text(&file).unwrap_or_default();
        say(&mut text, &call.now.to_string(), &format!("{word} {id}"));
        if let Err(why) = machine.tree.write(&file, text.as_bytes(), 0, 0, 0o600) {
            return Reply::failed(1, why);
        }
    }
    machine
        .tree
        .place(&current, Kind::Link(format!("releases/{id}")), 0, 0, 0o777);
    let now = call.now.to_string();
    let outcome = project(machine, &current).and_then(|project| {
        machine.docker.up(stack, &project, &[], &now)?;
        if !anew.is_empty() {
            machine.docker.up(stack, &project, anew, &now)?;
        }
        let orphaned = machine.docker.orphaned(stack);
        machine.docker.up(stack, &project, &orphaned, &now)
    });
    match outcome {
        Ok(()) => Reply::said(said),
        Err(why) => {
            let mut reply = Reply::failed(41, why);
            reply.stdout = said.into_bytes();
            reply
        }
    }
}

/// `infra-stack-health STACK TIMEOUT SETTLE SERVICE...`: nothing changes by waiting here, so the first look decides.
pub(super) fn health(machine: &mut Machine, arguments: &[String]) -> Reply {
    let [stack, _, _, services @ ..] = arguments else {
        return Reply::failed(2, "infra-stack-health: a stack and two limits are needed");
    };
    let ailing = machine.docker.ailing(stack, services);
    if ailing.is_empty() {
        let unit = format!("infra-stack-{stack}.service");
        if machine.is_loaded(&unit)
            && let Err(why) = machine.start(&unit)
        {
            return Reply::failed(1, why);
        }
        Reply::said("healthy\n")
    } else {
        Reply::told(51, ailing)
    }
}

/// `infra-stack-digests REFERENCE...`: a tag stands for what its name makes of it.
pub(super) fn digests(machine: &Machine, arguments: &[String]) -> Reply {
    let mut out = String::from("platform linux/amd64\n");
    for image in arguments {
        let answer = match machine.docker.tag(image) {
            Ok(digest) => serde_json::json!({
                "Descriptor": {"digest": digest},
                "Platforms": [{"architecture": platform(image).trim_start_matches("linux/"), "os": "linux"}],
            }),
            Err(why) => serde_json::json!({ "message": why }),
        };
        say(&mut out, "answer", &format!("{image} {answer}"));
    }
    out.push_str("end\n");
    Reply::said(out)
}

/// `infra-stack-history STACK`
pub(super) fn history(machine: &Machine, arguments: &[String]) -> Reply {
    let [stack] = arguments else {
        return Reply::failed(2, "infra-stack-history: a stack is needed");
    };
    let base = format!("{ROOT}/{stack}");
    if !machine.tree.is_directory(&format!("{base}/releases")) {
        return Reply::failed(81, "");
    }
    let current = machine.tree.link(&format!("{base}/current"));
    let current = current.and_then(|target| target.rsplit('/').next());
    let mut out = format!("current {}\n", current.unwrap_or_default());
    let below = machine.tree.below(&format!("{base}/releases"));
    for id in below.keys().filter(|path| !path.contains('/')) {
        say(&mut out, "staged", &format!("{id} 0"));
    }
    let flips = machine.tree.text(&format!("{base}/history"));
    for line in flips.unwrap_or_default().lines() {
        say(&mut out, "flip", line);
    }
    out.push_str("end\n");
    Reply::said(out)
}

/// `infra-stack-logs STACK LINES SINCE FOLLOW SERVICE...`: containers here say what they are.
pub(super) fn logs(machine: &Machine, arguments: &[String]) -> Reply {
    let [stack, _, _, _, services @ ..] = arguments else {
        return Reply::failed(2, "infra-stack-logs: a stack and three words are needed");
    };
    let chosen = |c: &Container| {
        c.project == *stack && (services.is_empty() || services.contains(&c.service))
    };
    let mut out = String::new();
    for (name, container) in &machine.docker.containers {
        if chosen(container) {
            say(&mut out, &format!("{name}  |"), container.state);
        }
    }
    Reply::said(out)
}

/// `infra-stack-files STACK`
pub(super) fn files(machine: &Machine, arguments: &[String], input: &[u8]) -> Reply {
    let [stack] = arguments else {
        return Reply::failed(2, "infra-stack-files: a stack is needed");
    };
    let mut input = Input(input);
    let mut out = String::new();
    while let Some(path) = input.line() {
        if let Some(text) = machine.tree.text(&format!("{ROOT}/{stack}/current/{path}")) {
            say(&mut out, "file", &format!("{} {path}", text.len()));
            out.push_str(&text);
        }
    }
    out.push_str("end\n");
    Reply::said(out)
}

/// `infra-stack-exec STACK SERVICE ARGV...`: there is no process to run anything, so `true` is all that is known.
pub(super) fn exec(machine: &Machine, arguments: &[String]) -> Reply {
    let [stack, service, argv @ ..] = arguments else {
        return Reply::failed(2, "infra-stack-exec: a stack and a service are needed");
    };
    if !machine.docker.runs(stack, service) {
        let why = format!("service {service} of stack {stack} does not run");
        return Reply::failed(71, why);
    }
    match argv {
        [program] if program == "true" => Reply::default(),
        _ => Reply::failed(127, "a scripted container runs nothing but `true`"),
    }
}

/// `infra-stack-remove STACK SYSTEM`
pub(super) fn remove(machine: &mut Machine, arguments: &[String]) -> Reply {
    let [stack, system] = arguments else {
        return Reply::failed(2, "infra-stack-remove: a stack and a system are needed");
    };
    let is_foreign =
        |c: &Container| c.project == *stack && c.labels.get("infra.system") != Some(system);
    let mut foreign = String::new();
    for (name, _) in machine
        .docker
        .containers
        .iter()
        .filter(|(_, c)| is_foreign(c))
    {
        say(&mut foreign, "foreign", &format!("/{name}"));
    }
    if !foreign.is_empty() {
        return Reply::told(61, foreign);
    }
    let unit = format!("infra-stack-{stack}.service");
    machine.units.remove(&unit);
    machine.tree.remove(&format!("/etc/systemd/system/{unit}"));
    machine.docker.containers.retain(|_, c| c.project != *stack);
    machine.tree.remove_tree(&format!("{ROOT}/{stack}"));
    Reply::default()
}
