//! What `infra-facts` printed -> [`HostFacts`]. Pure.

use super::mounts;
use crate::model::facts::{
    DiskFact, DockerFacts, FactsRequest, HostFacts, PathFact, SshPeer, UnitFact, UserFact,
};
use crate::providers::compose;
use crate::providers::ufw;
use crate::providers::zfs;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::{collections::BTreeMap, net::IpAddr};

/// Reads a whole answer. Everything that was asked for is in the result, with its "absent" value when it is not there.
///
/// # Errors
/// What was expected and what was there.
pub fn parse_facts(request: &FactsRequest, text: &str) -> Result<HostFacts, String> {
    let sections = sections(text)?;
    let section = |name: &str| sections.get(name).map_or("", String::as_str);
    let system = pairs(section("system"), ' ');
    let fact = |name: &str| system.get(name).cloned().unwrap_or_default();
    let boot_id = fact("boot_id");
    if boot_id.is_empty() {
        return Err("there is no boot id in it".to_owned());
    }
    let firewall = ufw::parse_facts(section("ufw"))?;
    let docker = match sections.get("docker") {
        Some(text) => compose::parse_facts(text)?,
        None => None,
    };
    let (datasets, zpools) = zfs::parse_facts(section("zfs"))?;
    Ok(HostFacts {
        boot_id,
        architecture: fact("architecture"),
        os: fact("os"),
        ssh_peer: ssh_peer(&fact("ssh"))?,
        packages: packages(request, section("packages")),
        paths: paths(request, section("paths"), section("hashes"))?,
        units: units(request, section("units"))?,
        sysctls: sysctls(request, section("sysctls")),
        nft_tables: nft_tables(request, section("nft")),
        disks: disks(request, section("disks"))?,
        mounts: mounts::parse(section("mounts"))?,
        ufw: firewall.ufw.filter(|_| request.ufw),
        beside_ufw: firewall.beside,
        docker: docker.map(|docker| DockerFacts {
            docker_user: firewall.docker_user,
            ..docker
        }),
        datasets,
        zpools,
        pve_firewall: sections
            .get("pve-firewall")
            .and_then(|text| firewall_files(text)),
        texts: texts(request, section("texts"))?,
        users: users(request, section("users")),
        probes: probes(request, section("probes"))?,
        upgrades: section("upgrades").lines().map(str::to_owned).collect(),
    })
}

/// `192.168.1.50 51234 10.0.10.5 22`, an IPv6 address of a link with its interface (`fe80::1%eth0`).
fn ssh_peer(text: &str) -> Result<Option<SshPeer>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let unclear = || format!("`{text}` is no SSH_CONNECTION");
    let mut words = text.split(' ');
    let address = words.next().unwrap_or_default();
    let address = address.split('%').next().unwrap_or_default();
    let address: IpAddr = address.parse().map_err(|_| unclear())?;
    let port = words.nth(2).and_then(|port| port.parse().ok());
    Ok(Some(SshPeer {
        address: address.to_canonical(),
        port: port.ok_or_else(unclear)?,
    }))
}

/// Files by name; none when they could not all be read.
fn firewall_files(text: &str) -> Option<BTreeMap<String, String>> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let mut name = None;
    let mut is_whole = false;
    for line in text.lines() {
        if let Some(content) = line.strip_prefix('\t') {
            let file = files.entry(String::clone(name.as_ref()?)).or_default();
            file.push_str(content);
            file.push('\n');
        } else if let Some(next) = line.strip_prefix("file ") {
            name = Some(next.to_owned());
        } else if line == "end" {
            is_whole = true;
        }
    }
    is_whole.then_some(files)
}

fn disks(request: &FactsRequest, text: &str) -> Result<BTreeMap<String, Option<DiskFact>>, String> {
    let nothing = |serial: &String| (serial.clone(), None);
    let mut out: BTreeMap<_, _> = request.disks.iter().map(nothing).collect();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let (Some(serial), Some(bytes)) = (fields.next(), fields.next()) else {
            return Err(format!("`{line}` is no disk"));
        };
        let bytes = bytes
            .parse()
            .map_err(|_| format!("`{bytes}` is not the size of disk {serial}"))?;
        let told: BTreeMap<&str, &str> = fields.filter_map(|field| field.split_once('=')).collect();
        let say = |key: &str| {
            let value = told.get(key).filter(|value| !value.is_empty());
            value.map(|value| (*value).to_owned())
        };
        let fact = DiskFact {
            bytes,
            kind: say("TYPE"),
            uuid: say("UUID"),
            table: say("PTTYPE"),
            // 0 something was found, 2 nothing is there; everything else is no answer that could be relied on.
            unclear: !matches!(told.get("BLKID"), Some(&("0" | "2"))),
            filesystem_bytes: say("TAKES").and_then(|takes| takes.parse().ok()),
        };
        out.insert(serial.to_owned(), Some(fact));
    }
    Ok(out)
}

fn texts(request: &FactsRequest, text: &str) -> Result<BTreeMap<String, Option<String>>, String> {
    let nothing = |path: &String| (path.clone(), None);
    let mut out: BTreeMap<_, _> = request.texts.iter().map(nothing).collect();
    for line in text.lines() {
        let (path, coded) = line.split_once('\t').unwrap_or((line, ""));
        let bytes = STANDARD
            .decode(coded)
            .map_err(|error| format!("{path}: {error}"))?;
        let content = String::from_utf8(bytes).map_err(|_| format!("{path} is not text"))?;
        out.insert(path.to_owned(), Some(content));
    }
    Ok(out)
}

fn users(request: &FactsRequest, text: &str) -> BTreeMap<String, Option<UserFact>> {
    let nothing = |name: &String| (name.clone(), None);
    let mut out: BTreeMap<_, _> = request.users.iter().map(nothing).collect();
    for line in text.lines() {
        let mut fields = line.split('\t').map(str::to_owned);
        if let (Some(name), Some(home), Some(shell), Some(groups)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        {
            let groups = groups.split_whitespace().map(str::to_owned).collect();
            out.insert(
                name,
                Some(UserFact {
                    home,
                    shell,
                    groups,
                }),
            );
        }
    }
    out
}

fn probes(request: &FactsRequest, text: &str) -> Result<Vec<(Vec<String>, bool)>, String> {
    let codes: Vec<&str> = text.lines().collect();
    if codes.len() != request.probes.len() {
        let (asked, told) = (request.probes.len(), codes.len());
        return Err(format!(
            "it tells of {told} commands, and {asked} were asked for"
        ));
    }
    let asked = request.probes.iter().cloned();
    Ok(asked
        .zip(codes.into_iter().map(|code| code == "0"))
        .collect())
}

/// The sections by name. What stands before the first is a login shell's chatter.
fn sections(text: &str) -> Result<BTreeMap<&str, String>, String> {
    let mut out: BTreeMap<&str, String> = BTreeMap::new();
    let mut current: Option<&mut String> = None;
    let mut last = "";
    for line in text.lines() {
        let frame = line
            .strip_prefix("==infra ")
            .and_then(|rest| rest.strip_suffix("=="));
        if let Some(name) = frame {
            last = name;
            current = Some(out.entry(name).or_default());
        } else if let Some(section) = current.as_deref_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    if last == "end" {
        Ok(out)
    } else {
        Err(format!("it is cut off in the section `{last}`"))
    }
}

fn pairs(text: &str, separator: char) -> BTreeMap<&str, String> {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .map(|(key, value)| (key, value.to_owned()))
        .collect()
}

fn packages(request: &FactsRequest, text: &str) -> BTreeMap<String, Option<String>> {
    let mut installed = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        // The second letter is the state; `ii`, `hi` and the like are installed.
        let state = fields.next().and_then(|status| status.chars().nth(1));
        if let (Some('i'), Some(name), Some(version)) = (state, fields.next(), fields.next()) {
            installed.insert(name, version);
        }
    }
    let version = |name: &String| installed.get(name.as_str()).map(|v| (*v).to_owned());
    let names = request.packages.iter();
    names.map(|name| (name.clone(), version(name))).collect()
}

fn paths(
    request: &FactsRequest,
    stood: &str,
    hashes: &str,
) -> Result<BTreeMap<String, Option<PathFact>>, String> {
    let hashes: BTreeMap<&str, &str> = hashes
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(hex, path)| (path, hex))
        .collect();
    let nothing = |path: &String| (path.clone(), None);
    let mut out: BTreeMap<_, _> = request.paths.iter().map(nothing).collect();
    for line in stood.lines() {
        let (path, fact) =
            path_fact(line, &hashes).ok_or_else(|| format!("`{line}` describes no path"))?;
        out.insert(path, Some(fact));
    }
    Ok(out)
}

fn path_fact(line: &str, hashes: &BTreeMap<&str, &str>) -> Option<(String, PathFact)> {
    let fields: Vec<&str> = line.splitn(8, '\t').collect();
    let [kind, mode, uid, gid, owner, group, path, target] = fields.as_slice() else {
        return None;
    };
    let fact = PathFact {
        kind: match *kind {
            "f" => "file",
            "d" => "directory",
            "l" => "link",
            _ => "other",
        }
        .to_owned(),
        owner: (*owner).to_owned(),
        group: (*group).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        mode: u32::from_str_radix(mode, 8).ok()?,
        sha256: hashes.get(path).map(|hex| (*hex).to_owned()),
        target: (*kind == "l").then(|| (*target).to_owned()),
    };
    Some(((*path).to_owned(), fact))
}

/// The blocks come in the order asked: an alias answers with another `Id`.
fn units(request: &FactsRequest, text: &str) -> Result<BTreeMap<String, UnitFact>, String> {
    let blocks: Vec<BTreeMap<&str, String>> = text
        .split("\n\n")
        .map(|block| pairs(block, '='))
        .filter(|block| !block.is_empty())
        .collect();
    if !blocks.is_empty() && blocks.len() != request.units.len() {
        let (asked, told) = (request.units.len(), blocks.len());
        return Err(format!(
            "it tells of {told} units, and {asked} were asked for"
        ));
    }
    let unit = |index: usize| {
        let block = blocks.get(index);
        let value = |key: &str| block.and_then(|b| b.get(key)).cloned().unwrap_or_default();
        UnitFact {
            load: value("LoadState"),
            active: value("ActiveState"),
            enabled: value("UnitFileState"),
        }
    };
    let names = request.units.iter().enumerate();
    Ok(names.map(|(n, name)| (name.clone(), unit(n))).collect())
}

fn sysctls(request: &FactsRequest, text: &str) -> BTreeMap<String, Option<String>> {
    let mut told = pairs(text, '\t');
    let keys = request.sysctls.iter();
    keys.map(|key| (key.clone(), told.remove(key.as_str())))
        .collect()
}

fn nft_tables(request: &FactsRequest, text: &str) -> BTreeMap<String, Option<String>> {
    let mut listed: BTreeMap<&str, String> = BTreeMap::new();
    for (table, line) in text.lines().filter_map(|line| line.split_once('\t')) {
        let rules = listed.entry(table).or_default();
        rules.push_str(line);
        rules.push('\n');
    }
    let names = request.nft_tables.iter();
    names
        .map(|table| (table.clone(), listed.remove(table.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Debian 13 guest in its own namespaces, root, dash as `sh`.
    const DEBIAN_13: &str = include_str!("parse/debian-13.txt");

    fn request() -> FactsRequest {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        FactsRequest {
            packages: list(&["openssh-server", "docker.io", "nosuchpkg", "ufw"]),
            paths: list(&[
                "/etc/hostname",
                "/etc/nothing here",
                "/etc/shadow",
                "/etc/os-release",
                "/tmp",
                "/etc/hostname/under",
                "/srv/my films",
            ]),
            units: list(&[
                "ssh.service",
                "sshd.service",
                "nosuch.service",
                "systemd-modules-load.service",
                "mnt-tank\\x2dmedia.mount",
                "unattended-upgrades.service",
            ]),
            sysctls: list(&[
                "net.ipv4.ip_forward",
                "net.ipv4.ip_local_port_range",
                "net.ipv9.nothing",
            ]),
            ..FactsRequest::default()
        }
    }

    #[test]
    fn a_real_answer_is_read() {
        let facts = parse_facts(&request(), DEBIAN_13).expect("a whole answer");
        assert_eq!(
            (facts.os.as_str(), facts.architecture.as_str()),
            ("trixie", "amd64")
        );
        assert_eq!(facts.boot_id.len(), 36);
        assert_eq!(
            facts.packages["openssh-server"].as_deref(),
            Some("1:10.0p1-7+deb13u4")
        );
        for absent in ["docker.io", "nosuchpkg", "ufw"] {
            assert_eq!(facts.packages[absent], None, "{absent}");
        }
        let shadow = facts.paths["/etc/shadow"].as_ref().expect("it stands");
        assert_eq!(
            (shadow.kind.as_str(), shadow.group.as_str(), shadow.mode),
            ("file", "shadow", 0o640)
        );
        assert_eq!(shadow.sha256.as_ref().map(String::len), Some(64));
        let link = facts.paths["/etc/os-release"].as_ref().expect("it stands");
        assert_eq!(
            (link.kind.as_str(), link.target.as_deref()),
            ("link", Some("../usr/lib/os-release"))
        );
        assert_eq!(link.sha256, None);
        let films = facts.paths["/srv/my films"].as_ref().expect("it stands");
        assert_eq!((films.kind.as_str(), films.mode), ("directory", 0o755));
        assert_eq!(
            facts.paths["/tmp"].as_ref().expect("it stands").mode,
            0o1777
        );
        assert_eq!(facts.paths["/etc/nothing here"], None);
        assert_eq!(facts.paths["/etc/hostname/under"], None);
        assert_eq!(
            facts.sysctls["net.ipv4.ip_local_port_range"].as_deref(),
            Some("32768 60999")
        );
        assert_eq!(facts.sysctls["net.ipv9.nothing"], None);
        assert_eq!(facts.mounts["/"].fstype, "ext4");
        assert_eq!(facts.mounts["/proc/sys"].fstype, "proc");
    }

    #[test]
    fn units_are_told_apart_by_order_since_an_alias_answers_with_another_name() {
        let facts = parse_facts(&request(), DEBIAN_13).expect("a whole answer");
        assert_eq!(facts.units["sshd.service"], facts.units["ssh.service"]);
        assert_eq!(facts.units["ssh.service"].enabled, "enabled");
        assert_eq!(facts.units["nosuch.service"].load, "not-found");
        assert_eq!(facts.units["systemd-modules-load.service"].load, "masked");
        assert_eq!(facts.units["unattended-upgrades.service"].active, "active");
        let mut fewer = request();
        fewer.units.pop();
        assert!(
            parse_facts(&fewer, DEBIAN_13).is_err(),
            "one block too many is no answer to this"
        );
    }

    #[test]
    fn an_answer_that_was_cut_off_anywhere_is_refused() {
        let whole: Vec<&str> = DEBIAN_13.lines().collect();
        for kept in 0..whole.len() - 1 {
            let text = whole[..kept].join("\n");
            assert!(
                parse_facts(&request(), &text).is_err(),
                "{kept} lines were enough"
            );
        }
    }

    #[test]
    fn what_a_login_shell_says_first_is_no_fact() {
        let chatty = format!("Welcome back!\n==not ours==\n{DEBIAN_13}");
        let facts = parse_facts(&request(), &chatty);
        assert_eq!(facts, parse_facts(&request(), DEBIAN_13));
    }
}
