//! `infra-facts` and `infra-checks`: what a machine says of itself.

use crate::lab::scripted::{
    machine::{Machine, Reply},
    tree::Kind,
};
use sha2::{Digest, Sha256};
use std::{fmt::Write as _, fs, path::Path};

const ROUTER: &str = "infra-router.service";
const ROUTER_RULES: &str = "/etc/infra/router.nft";

/// `infra-facts`: see the contract where the script is made.
pub(super) fn facts(machine: &mut Machine, input: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(input);
    let asked = |kind: &str| -> Vec<String> {
        let start = format!("{kind} ");
        text.lines()
            .filter_map(|line| line.strip_prefix(&start))
            .map(str::to_owned)
            .collect()
    };
    let wants = |word: &str| text.lines().any(|line| line == word);
    let mut out = String::new();
    // Writing to a string does not fail.
    let mut say = |line: std::fmt::Arguments<'_>| {
        let _ = writeln!(out, "{line}");
    };
    say(format_args!("==infra system=="));
    say(format_args!(
        "boot_id {}\narchitecture amd64\nos trixie",
        machine.boot_id()
    ));
    say(format_args!("==infra packages=="));
    for name in asked("package") {
        if let Some(version) = machine.packages.get(&name) {
            say(format_args!("ii \t{name}\t{version}"));
        }
    }
    say(format_args!("==infra paths=="));
    let mut hashes = String::new();
    for path in asked("path") {
        let Some(entry) = machine.tree.entry(&path) else {
            continue;
        };
        let (kind, target) = match &entry.kind {
            Kind::File(bytes) => {
                let _ = writeln!(hashes, "{:x}  {path}", Sha256::digest(bytes));
                ("f", "")
            }
            Kind::Directory => ("d", ""),
            Kind::Link(target) => ("l", target.as_str()),
        };
        let (owner, group) = (machine.name_of(entry.uid), machine.name_of(entry.gid));
        let (mode, uid, gid) = (entry.mode, entry.uid, entry.gid);
        say(format_args!(
            "{kind}\t{mode:o}\t{uid}\t{gid}\t{owner}\t{group}\t{path}\t{target}"
        ));
    }
    say(format_args!("==infra hashes==\n{hashes}==infra units=="));
    for name in asked("unit") {
        let (load, active, enabled) = machine.unit_state(&name);
        say(format_args!(
            "Id={name}\nLoadState={load}\nActiveState={active}\nUnitFileState={enabled}\n"
        ));
    }
    say(format_args!("==infra sysctls=="));
    for key in asked("sysctl") {
        if let Some(value) = machine.sysctls.get(&key) {
            say(format_args!("{key}\t{value}"));
        }
    }
    say(format_args!("==infra nft=="));
    for table in asked("nft") {
        // The one table that a scripted host knows is the router's, and its unit loads it.
        if machine.unit_state(ROUTER).1 == "active"
            && let Some(Kind::File(bytes)) =
                machine.tree.entry(ROUTER_RULES).map(|entry| &entry.kind)
            && let Some((_, rules)) =
                String::from_utf8_lossy(bytes).split_once(&format!("table {table} {{"))
        {
            say(format_args!("{table}\ttable {table} {{"));
            for line in rules.lines().skip(1) {
                say(format_args!("{table}\t{line}"));
            }
        }
    }
    let disks = asked("disk");
    if !disks.is_empty() {
        let told = machine.disk_facts(&disks);
        say(format_args!(
            "==infra disks==\n{}",
            told.trim_end_matches('\n')
        ));
    }
    say(format_args!("==infra mounts=="));
    for (number, (at, mount)) in machine.mounts.iter().enumerate() {
        let (own, rest) = mount
            .options
            .split_once(',')
            .unwrap_or((&mount.options, "relatime"));
        let (at, source, fstype) = (escape(at), escape(&mount.source), &mount.fstype);
        say(format_args!(
            "{} 1 8:{number} / {at} {own},{rest} - {fstype} {source} {own}",
            number + 30
        ));
    }
    for (at, dataset) in machine.zfs.mounted() {
        let (at, dataset) = (escape(&at), escape(&dataset));
        say(format_args!(
            "90 1 0:50 / {at} rw,relatime - zfs {dataset} rw,xattr"
        ));
    }
    if wants("ufw") || wants("docker") {
        say(format_args!(
            "==infra ufw==\n{}",
            machine.ufw.facts().trim_end()
        ));
    }
    if wants("docker") {
        let docker = if !machine.has("docker-cli") {
            "absent\n".to_owned()
        } else if machine.has_engine() {
            machine.docker.facts()
        } else {
            "end\n".to_owned()
        };
        say(format_args!("==infra docker==\n{}", docker.trim_end()));
    }
    let pools = asked("zpool");
    if !pools.is_empty() {
        let facts = if machine.has("zfsutils-linux") {
            machine.zfs.facts(&pools)
        } else {
            "==zfs not-installed\n".to_owned()
        };
        say(format_args!("==infra zfs==\n{}", facts.trim_end()));
    }
    if wants("pve-firewall") {
        say(format_args!("==infra pve-firewall=="));
        if let Some(files) = machine.pve.as_deref().and_then(firewall_files) {
            say(format_args!("{files}end"));
        }
    }
    for line in of_playbooks(machine, &asked, wants("upgrades")) {
        say(format_args!("{line}"));
    }
    say(format_args!("==infra end=="));
    Reply::said(out)
}

/// The files of the Proxmox firewall; none when they cannot be read.
fn firewall_files(pve: &Path) -> Option<String> {
    let mut out = String::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(pve.join("firewall")).ok()? {
        names.push(entry.ok()?.file_name().into_string().ok()?);
    }
    names.sort();
    for name in names
        .iter()
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "fw"))
    {
        let text = fs::read_to_string(pve.join("firewall").join(name)).ok()?;
        let _ = writeln!(out, "file {name}");
        for line in text.lines() {
            let _ = writeln!(out, "\t{line}");
        }
    }
    Some(out)
}

/// What only playbooks ask for. Packages of a scripted host are always the newest.
fn of_playbooks(
    machine: &Machine,
    asked: &dyn Fn(&str) -> Vec<String>,
    upgrades: bool,
) -> Vec<String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut out = Vec::new();
    let mut section = |name: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            out.push(format!("==infra {name}=="));
            out.extend(lines);
        }
    };
    let text = |path: String| {
        let bytes = machine.tree.read(&path)?;
        Some(format!("{path}\t{}", STANDARD.encode(bytes)))
    };
    section(
        "texts",
        asked("text").into_iter().filter_map(text).collect(),
    );
    let user = |name: String| {
        machine.users.get(&name)?;
        let home = if name == "root" {
            "/root".to_owned()
        } else {
            format!("/home/{name}")
        };
        let shell = machine
            .shells
            .get(&name)
            .map_or("/bin/bash", String::as_str);
        let mut groups = vec![name.clone()];
        groups.extend(machine.memberships.get(&name).cloned().unwrap_or_default());
        Some(format!("{name}\t{home}\t{shell}\t{}", groups.join(" ")))
    };
    section(
        "users",
        asked("user").into_iter().filter_map(user).collect(),
    );
    let probes = asked("probe").into_iter().map(|line| {
        let argv: Vec<String> = line.split('\t').map(str::to_owned).collect();
        super::plain::probe(machine, &argv).to_string()
    });
    section("probes", probes.collect());
    if upgrades {
        section("upgrades", Vec::new());
    }
    out
}

/// Blanks as the kernel writes them.
fn escape(text: &str) -> String {
    text.replace('\\', "\\134").replace(' ', "\\040")
}

/// `infra-checks`: mounts and containers are known; nobody listens and nothing runs in a scripted host, and it says so.
pub(super) fn checks(machine: &Machine, input: &[u8]) -> Reply {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut out = String::new();
    for line in String::from_utf8_lossy(input).lines() {
        let mut fields = line.split('\t');
        let (Some(number), Some(kind)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (word, text) = if kind == "mounts" {
            let line = |(at, mount): (&String, &crate::lab::scripted::machine::Mount)| {
                format!("{} {}\n", escape(at), mount.fstype)
            };
            let mut mounts: String = machine.mounts.iter().map(line).collect();
            for (at, _) in machine.zfs.mounted() {
                let _ = writeln!(mounts, "{} zfs", escape(&at));
            }
            ("mounts", mounts)
        } else if let ("exec" | "exit", Some(stack), Some(service)) =
            (kind, fields.next(), fields.next())
            && !machine.docker.runs(stack, service)
        {
            (
                "error",
                format!("no running container of {stack}/{service}"),
            )
        } else {
            ("unasked", super::NEEDS_REAL_GUESTS.to_owned())
        };
        let _ = writeln!(out, "{number}\t{word}\t{}", STANDARD.encode(text));
    }
    Reply::said(out)
}
