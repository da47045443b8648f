//! infra's scripts for snapshots, carried out by the twin.

use crate::lab::scripted::machine::{Machine, Reply};
use std::fmt::Write as _;

/// `infra-zfs-survey MARK POOL|DATASET...`
pub(super) fn survey(machine: &mut Machine, arguments: &[String], now: jiff::Timestamp) -> Reply {
    let [mark, names @ ..] = arguments else {
        return Reply::failed(2, "infra-zfs-survey: a property is needed");
    };
    let mut out = format!("==zfs clock {}\n", now.as_second());
    let version = machine.zfs.run("zfs", &["version"]);
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let first = version.lines().next().unwrap_or_default();
    // Writing to a string does not fail.
    let _ = writeln!(out, "==zfs version {}", first.trim_start_matches("zfs-"));
    let columns = format!(
        "name,type,guid,createtxg,creation,used,userrefs,clones,origin,mounted,keystatus,{mark}"
    );
    for name in names {
        let pool = name.split('/').next().unwrap_or(name);
        let depth = if name == pool {
            ["-r"].as_slice()
        } else {
            &["-d", "1"]
        };
        let health = [
            "list",
            "-Hp",
            "-o",
            "name,health,size,alloc,free,cap,frag",
            pool,
        ];
        let status = ["status", "-p", pool];
        let types = "filesystem,volume,snapshot,bookmark";
        let things = [
            &["list", "-H", "-p"],
            depth,
            &["-t", types, "-o", &columns, name],
        ]
        .concat();
        for (about, program, words) in [
            ("pool", "zpool", health.as_slice()),
            ("status", "zpool", &status),
            ("things", "zfs", &things),
        ] {
            let reply = machine.zfs.run(program, words);
            let said = String::from_utf8_lossy(&reply.stdout);
            let complaint = String::from_utf8_lossy(&reply.stderr).replace('\n', " ");
            let _ = writeln!(
                out,
                "==zfs {about} {pool}\n{said}\n==zfs exit {} {complaint}",
                reply.code
            );
        }
    }
    out.push_str("==zfs end\n");
    Reply::said(out)
}

/// `infra-zfs-snapshot NAME [-o PROPERTY=VALUE]...`
pub(super) fn snapshot(machine: &mut Machine, arguments: &[String], input: &[u8]) -> Reply {
    let [name, options @ ..] = arguments else {
        return Reply::failed(2, "infra-zfs-snapshot: a name is needed");
    };
    let input = String::from_utf8_lossy(input);
    let ids: Vec<String> = input.lines().map(|line| format!("{line}@{name}")).collect();
    let words = std::iter::once("snapshot").chain(options.iter().map(String::as_str));
    let words: Vec<&str> = words.chain(ids.iter().map(String::as_str)).collect();
    machine.zfs.run("zfs", &words)
}

/// `infra-zfs-destroy`
pub(super) fn destroy(machine: &mut Machine, input: &[u8]) -> Reply {
    let mut out = String::new();
    for line in String::from_utf8_lossy(input).lines() {
        let (code, said) = if line.contains('%') {
            (2, "a range is never destroyed".to_owned())
        } else if !line.contains('@') {
            (2, "this is no snapshot".to_owned())
        } else {
            let reply = machine.zfs.run("zfs", &["destroy", line]);
            let said = String::from_utf8_lossy(&reply.stderr)
                .trim()
                .replace('\n', "\t");
            (reply.code, said)
        };
        let _ = writeln!(out, "==zfs exit {code} {said}");
    }
    out.push_str("==zfs end\n");
    Reply::said(out)
}

/// `infra-zfs-hold hold|release TAG`
pub(super) fn hold(machine: &mut Machine, arguments: &[String], input: &[u8]) -> Reply {
    let [verb, tag] = arguments else {
        return Reply::failed(2, "infra-zfs-hold: a verb and a tag are needed");
    };
    let mut out = Reply::default();
    for line in String::from_utf8_lossy(input).lines() {
        let reply = machine.zfs.run("zfs", &[verb, tag, line]);
        let said = String::from_utf8_lossy(&reply.stderr).into_owned();
        if reply.code == 0 {
            out.stdout
                .extend_from_slice(format!("changed {line}\n").as_bytes());
        } else if !said.contains("tag already exists") && !said.contains("no such tag") {
            out.code = 1;
            out.stderr.extend_from_slice(said.as_bytes());
        }
    }
    out
}
