//! infra's scripts that change a host.

use super::{
    super::{
        machine::{Machine, Reply, is_mount},
        tree::Kind,
    },
    Call, Input, plain,
};

use std::fmt::Write as _;

/// Reads `MODE OWNER GROUP` at the start of a header.
fn ownership(machine: &Machine, header: &str) -> Result<(u32, u32, u32, String), String> {
    let mut words = header.split(' ');
    let (Some(mode), Some(owner), Some(group)) = (words.next(), words.next(), words.next()) else {
        return Err(format!("`{header}` is no header"));
    };
    let mode =
        u32::from_str_radix(mode, 8).map_err(|_| format!("chmod: invalid mode: '{mode}'"))?;
    let uid = machine
        .id_of(owner)
        .ok_or(format!("chown: invalid user: '{owner}:{group}'"))?;
    let gid = machine
        .id_of(group)
        .ok_or(format!("chown: invalid group: '{owner}:{group}'"))?;
    Ok((mode, uid, gid, words.next().unwrap_or_default().to_owned()))
}

/// `infra-write`
pub(super) fn write(machine: &mut Machine, input: &[u8]) -> Reply {
    let mut input = Input(input);
    let mut written = 0;
    while let Some(header) = input.line() {
        let path = input.line().unwrap_or_default();
        let mut one = || -> Result<(), String> {
            let (mode, uid, gid, size) = ownership(machine, header)?;
            let size = size
                .parse()
                .map_err(|_| "the size is no number".to_owned())?;
            let bytes = input.bytes(size).ok_or("the content ends early")?;
            machine.tree.write(path, bytes, uid, gid, mode)
        };
        if let Err(why) = one() {
            return Reply::failed(1, format!("write {path}: {why}"));
        }
        written += 1;
    }
    Reply::said(format!("written {written}\n"))
}

/// `infra-directories`
pub(super) fn directories(machine: &mut Machine, input: &[u8]) -> Reply {
    let mut input = Input(input);
    let mut count = 0;
    while let Some(header) = input.line() {
        let path = input.line().unwrap_or_default();
        let mut one = || -> Result<(), String> {
            let (mode, uid, gid, _) = ownership(machine, header)?;
            make_directory(machine, path, uid, gid, mode)
        };
        if let Err(why) = one() {
            return Reply::failed(1, format!("make {path}: {why}"));
        }
        count += 1;
    }
    Reply::said(format!("made {count}\n"))
}

pub(super) fn make_directory(
    machine: &mut Machine,
    path: &str,
    uid: u32,
    gid: u32,
    mode: u32,
) -> Result<(), String> {
    if machine.tree.is_full() && !machine.tree.exists(path) {
        return Err(format!(
            "mkdir: cannot create directory '{path}': No space left on device"
        ));
    }
    machine.tree.make_parents(path)?;
    if machine.tree.exists(path) && !machine.tree.is_directory(path) {
        return Err(format!(
            "mkdir: cannot create directory '{path}': File exists"
        ));
    }
    machine.tree.place(path, Kind::Directory, uid, gid, mode);
    Ok(())
}

/// `infra-packages`
pub(super) fn packages(machine: &mut Machine, names: &[String]) -> Reply {
    let known = |name: &&String| crate::lab::scripted::debian::find(name).is_none();
    let unknown: Vec<String> = names
        .iter()
        .filter(known)
        .map(|name| format!("E: Unable to locate package {name}"))
        .collect();
    if !unknown.is_empty() {
        return Reply::failed(1, unknown.join("\n"));
    }
    if machine.tree.is_full() && names.iter().any(|name| !machine.has(name)) {
        return Reply::failed(
            100,
            "E: You don't have enough free space in /var/cache/apt/archives/.",
        );
    }
    machine.install(names.iter().map(String::as_str));
    Reply::default()
}

/// `infra-units`
pub(super) fn units(machine: &mut Machine, arguments: &[String]) -> Reply {
    for pair in arguments.chunks(2) {
        let [verb, unit] = pair else {
            return Reply::told(1, "failed units\nan odd number of words\n");
        };
        if let Err(why) = systemctl(machine, verb, unit) {
            return Reply::told(1, format!("failed {verb} {unit}\n{why}\n"));
        }
    }
    Reply::default()
}

pub(super) fn systemctl(machine: &mut Machine, verb: &str, unit: &str) -> Result<(), String> {
    let missing = || format!("Failed to {verb} {unit}: Unit {unit} not found.");
    match verb {
        "enable" | "disable" if !machine.is_loaded(unit) => {
            Err(format!("Failed to {verb} unit: Unit {unit} does not exist"))
        }
        "enable" | "disable" => {
            machine.enable(unit, verb == "enable");
            Ok(())
        }
        "try-restart" if machine.unit_state(unit).1 != "active" => Ok(()),
        "start" => machine.start(unit),
        "stop" => machine.stop(unit),
        "restart" | "reload-or-restart" if !machine.is_loaded(unit) => Err(missing()),
        "restart" | "reload-or-restart" | "try-restart" => {
            if is_mount(unit) {
                machine.stop(unit)?;
            }
            machine.start(unit)
        }
        _ => Err(format!("Unknown command verb '{verb}'.")),
    }
}

/// `infra-react`
pub(super) fn react(machine: &mut Machine, arguments: &[String], call: &Call<'_>) -> Reply {
    let mut words = arguments.iter().map(String::as_str);
    while let Some(verb) = words.next() {
        let (step, outcome) = match verb {
            "daemon-reload" => (verb.to_owned(), Ok(())),
            "sysctl" => {
                load_sysctls(machine);
                (verb.to_owned(), Ok(()))
            }
            // No unit of a scripted host is ever masked.
            "unmask" => {
                let unit = words.next().unwrap_or_default();
                (format!("{verb} {unit}"), Ok(()))
            }
            "reload" | "restart" => {
                let unit = words.next().unwrap_or_default();
                (
                    format!("{verb} {unit}"),
                    systemctl(machine, "restart", unit),
                )
            }
            "run" => {
                let count = words
                    .next()
                    .and_then(|count| count.parse().ok())
                    .unwrap_or(0);
                let argv: Vec<String> = words.by_ref().take(count).map(str::to_owned).collect();
                let reply = plain::answer(machine, &argv, call);
                let outcome = if reply.code == 0 {
                    Ok(())
                } else {
                    Err(String::from_utf8_lossy(&reply.stderr).trim().to_owned())
                };
                (
                    format!("run {}", argv.first().map_or("", String::as_str)),
                    outcome,
                )
            }
            verb => (verb.to_owned(), Err("unknown reaction".to_owned())),
        };
        if let Err(why) = outcome {
            return Reply::told(1, format!("failed {step}\n{why}\n"));
        }
    }
    Reply::default()
}

/// `/etc/sysctl.d/*.conf`, in order; a key that the kernel does not have is a warning, as with systemd-sysctl.
fn load_sysctls(machine: &mut Machine) {
    let texts: Vec<String> = machine
        .tree
        .below("/etc/sysctl.d")
        .into_values()
        .filter_map(|entry| match &entry.kind {
            Kind::File(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Kind::Directory | Kind::Link(_) => None,
        })
        .collect();
    for line in texts
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.starts_with('#'))
    {
        if let Some((key, value)) = line.split_once('=')
            && let Some(live) = machine.sysctls.get_mut(&key.trim().replace('/', "."))
        {
            value.trim().clone_into(live);
        }
    }
}

/// `infra-sysctl`
pub(super) fn sysctl(machine: &mut Machine, arguments: &[String]) -> Reply {
    for pair in arguments.chunks(2) {
        let live = pair.first().and_then(|key| machine.sysctls.get_mut(key));
        if let ([_, value], Some(live)) = (pair, live) {
            live.clone_from(value);
        } else {
            let key = pair.first().map_or("", String::as_str);
            return Reply::told(1, format!("failed sysctl {key}\nit cannot be written\n"));
        }
    }
    Reply::default()
}

/// `infra-ufw`
pub(super) fn ufw(machine: &mut Machine, input: &[u8]) -> Reply {
    let mut reply = Reply::default();
    for line in String::from_utf8_lossy(input).lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let outcome = match words.as_slice() {
            ["ufw", words @ ..] => machine.ufw.run(words),
            ["ipv6", on] => {
                machine.ufw.set_ipv6(*on == "yes");
                Ok(String::new())
            }
            ["enable"] => {
                machine.enable("ufw.service", true);
                machine.ufw.run(&["enable"])
            }
            _ => Err(format!("unknown step: {line}")),
        };
        match outcome {
            Ok(said) => reply.stderr.extend_from_slice(said.as_bytes()),
            Err(why) => {
                reply
                    .stderr
                    .extend_from_slice(format!("{why}\n").as_bytes());
                reply.code = 1;
                break;
            }
        }
    }
    reply.stdout = format!("==after==\n{}", machine.ufw.facts()).into_bytes();
    reply
}

/// `infra-lock ACTION FOLDER TOKEN MAX_AGE`
pub(super) fn lock(machine: &mut Machine, arguments: &[String], call: &Call<'_>) -> Reply {
    let [action, folder, token, max_age] = arguments else {
        return Reply::failed(2, "infra-lock: four arguments are needed");
    };
    let file = |name: &str| format!("{folder}/{name}");
    let now = call.now.as_second();
    let beat: Option<i64> = machine
        .tree
        .text(&file("beat"))
        .and_then(|text| text.parse().ok());
    let age = beat.map_or(0, |beat| now - beat);
    let is_mine = machine.tree.text(&file("token")).as_deref() == Some(token);
    let keep = |machine: &mut Machine| {
        // The folder is ours alone.
        let _ = machine
            .tree
            .write(&file("beat"), now.to_string().as_bytes(), 0, 0, 0o600);
    };
    let said = match action.as_str() {
        "take" if beat.is_some() && age < max_age.parse().unwrap_or(i64::MAX) => {
            format!(
                "held {age} {}",
                machine.tree.text(&file("holder")).unwrap_or_default()
            )
        }
        "take" => {
            let dead = machine.tree.text(&file("holder")).unwrap_or_default();
            machine.tree.remove_tree(folder);
            for (name, bytes) in [("token", token.as_bytes()), ("holder", call.input)] {
                let _ = machine.tree.write(&file(name), bytes, 0, 0, 0o600);
            }
            keep(machine);
            format!("taken {dead}")
        }
        "beat" if is_mine => {
            keep(machine);
            "taken".to_owned()
        }
        "release" | "break" if is_mine => {
            machine.tree.remove_tree(folder);
            "released".to_owned()
        }
        "break" => "released".to_owned(),
        "beat" | "release" => "lost".to_owned(),
        _ => return Reply::failed(2, format!("unknown action: {action}")),
    };
    Reply::said(format!("{said}\n"))
}

/// `infra-zfs-create DATASET MOUNTPOINT [-o PROPERTY=VALUE]...`
pub(super) fn zfs_create(machine: &mut Machine, arguments: &[String], input: &[u8]) -> Reply {
    let [dataset, mountpoint, options @ ..] = arguments else {
        return Reply::failed(
            2,
            "infra-zfs-create: a dataset and a mount point are needed",
        );
    };
    let point = match mountpoint.as_str() {
        "inherit" => dataset
            .rsplit_once('/')
            .and_then(|(parent, name)| Some(format!("{}/{name}", machine.zfs.mountpoint(parent)?))),
        "-" => None,
        path => Some(path.to_owned()),
    };
    if let Some(point) = point.filter(|point| !machine.tree.below(point).is_empty()) {
        return Reply::failed(64, format!("{point} is not empty"));
    }
    let words = std::iter::once("create").chain(options.iter().map(String::as_str));
    let words: Vec<&str> = words.chain([dataset.as_str()]).collect();
    let created = machine.zfs.run_with("zfs", &words, input);
    if created.code != 0 {
        return created;
    }
    if let Some(point) = machine.zfs.mountpoint(dataset)
        && let Err(why) = make_directory(machine, &point, 0, 0, 0o755)
    {
        return Reply::failed(1, why);
    }
    Reply::default()
}

/// `infra-zfs-directories DATASET`
pub(super) fn zfs_directories(machine: &mut Machine, arguments: &[String], input: &[u8]) -> Reply {
    let dataset = arguments.first().map_or("", String::as_str);
    if !machine.zfs.has(dataset) {
        return Reply::failed(
            1,
            format!("cannot open '{dataset}': dataset does not exist"),
        );
    }
    let Some(root) = machine.zfs.mountpoint(dataset) else {
        return Reply::failed(65, format!("{dataset} is not mounted"));
    };
    let mut out = String::new();
    let marker = format!("{root}/.infra-dataset");
    let name = format!("{dataset}\n");
    if machine.tree.text(&marker).as_deref() != Some(name.as_str()) {
        if let Err(why) = machine.tree.write(&marker, name.as_bytes(), 0, 0, 0o444) {
            return Reply::failed(1, why);
        }
        out.push_str("changed .infra-dataset\n");
    }
    for line in String::from_utf8_lossy(input).lines() {
        let mut words = line.splitn(4, ' ');
        let mut number = |radix| {
            words
                .next()
                .and_then(|word| u32::from_str_radix(word, radix).ok())
        };
        let (Some(uid), Some(gid), Some(mode)) = (number(10), number(10), number(8)) else {
            return Reply::failed(1, format!("`{line}` is no directory"));
        };
        let path = words.next().unwrap_or(".");
        let full = if path == "." {
            root.clone()
        } else {
            format!("{root}/{path}")
        };
        let entry = machine.tree.entry(&full);
        if entry.is_none_or(|entry| (entry.uid, entry.gid, entry.mode) != (uid, gid, mode)) {
            if let Err(why) = make_directory(machine, &full, uid, gid, mode) {
                return Reply::failed(66, why);
            }
            // Writing to a string does not fail.
            let _ = writeln!(out, "changed {path}");
        }
    }
    Reply::said(out)
}
