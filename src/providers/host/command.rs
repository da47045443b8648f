//! The scripts and the commands made of them. Pure.
//!
//! A script's name, arguments, input and output are a contract: a scripted host answers by the same one.

use super::write::{FileWrite, UnitVerb};
use crate::model::{
    facts::FactsRequest,
    resource::{FilesystemResource, Reaction},
};
use crate::providers::compose;
use crate::providers::shell::Command;
use crate::providers::ufw;
use crate::providers::zfs;
use std::{fmt::Write as _, time::Duration};

/// `infra-facts`: what stands on a host.
///
/// Input, a line each: `package NAME`, `path PATH`, `unit NAME`, `sysctl KEY`, `nft FAMILY TABLE`, `disk SERIAL`,
/// `zpool NAME`, `ufw`, `docker`, `pve-firewall`, `text PATH`, `user NAME`, `probe WORD\tWORD...` (a command that only looks), `upgrades`.
/// Output: sections, each begun by a line `==infra NAME==`:
/// - `system`: `boot_id ID`, `architecture NAME`, `os CODENAME`, and where sshd is asked over, `ssh` with its
///   `SSH_CONNECTION`: the peer's address and port, the host's own address and port
/// - `packages`: `STATUS\tNAME\tVERSION`, status as dpkg abbreviates it (`ii `), nothing for an unknown name
/// - `paths`: `KIND\tMODE\tUID\tGID\tOWNER\tGROUP\tPATH\tTARGET`; kind is find's `%y`, mode octal; nothing for a path
///   where nothing stands
/// - `hashes`: sha256sum's `HEX  PATH` for the regular files among them
/// - `units`: blocks of `Id=`, `LoadState=`, `ActiveState=`, `UnitFileState=` in the order asked, parted by empty
///   lines; nothing at all where systemd does not run
/// - `sysctls`: `KEY\tVALUE`, blanks in the value made single
/// - `nft`: for each table that is there `FAMILY TABLE\tLINE`, as nft lists it
/// - `disks` when asked for: `SERIAL\tBYTES\tBLKID=CODE\tTAKES=BYTES`, then what `blkid --probe` exports, a tab before
///   each; nothing for a disk that is not there
/// - `mounts`: `/proc/self/mountinfo`
/// - `ufw` (also when Docker is asked for: it tells what stands behind Docker's hook), `docker`, `zfs` when asked for:
///   what those rooms' `FACTS` functions print
/// - `pve-firewall` when asked for: for each file of `/etc/pve/firewall` that is not empty a line `file NAME`, then its
///   lines with a tab before each; `end` after the last. Without `end` they could not be read
/// - `texts`: `PATH\tBASE64`, nothing for what is no file
/// - `users`: `NAME\tHOME\tSHELL\tGROUP GROUP...`, nothing for an unknown name
/// - `probes`: the exit code of each, in the order asked
/// - `upgrades`: names of packages for which apt knows a newer version
/// - `end`: empty; without it the answer was cut off
pub const FACTS_NAME: &str = "infra-facts";
const FACTS: &str = include_str!("scripts/facts.sh");

/// `infra-write`: whole files, atomically.
///
/// Input, for each file: a line `MODE OWNER GROUP SIZE`, a line with the absolute path, then exactly SIZE bytes.
/// Missing folders are made with mode 0755. Output: `written COUNT`. A failure ends it with exit 1 and
/// `write PATH: WHY` on standard error; files before that one are written, that one is untouched.
pub const WRITE_NAME: &str = "infra-write";
const WRITE: &str = include_str!("scripts/write.sh");

/// `infra-directories`: directories with owner and mode.
///
/// Input, for each: a line `MODE OWNER GROUP`, a line with the absolute path. Output: `made COUNT`. A failure: exit 1
/// and `make PATH: WHY` on standard error.
pub const DIRECTORIES_NAME: &str = "infra-directories";
const DIRECTORIES: &str = include_str!("scripts/directories.sh");

/// `infra-packages`: installs the packages that are its arguments, without recommended ones and without questions;
/// files that the owner changed are kept. A failure: exit 1 and apt's words on standard error.
pub const PACKAGES_NAME: &str = "infra-packages";
const PACKAGES: &str = include_str!("scripts/packages.sh");

/// `infra-units`: pairs of arguments `VERB UNIT`, verb one of `enable`, `disable`, `start`, `stop`.
/// A failure: exit 1, on standard output `failed VERB UNIT`, then systemd's words and the unit's last journal lines.
pub const UNITS_NAME: &str = "infra-units";
const UNITS: &str = include_str!("scripts/units.sh");

/// `infra-react`: reactions as arguments, in order: `daemon-reload`, `sysctl`, `unmask UNIT`, `reload UNIT`,
/// `restart UNIT`, `run COUNT WORD...`. A failure: exit 1, on standard output `failed REACTION`, then why.
pub const REACT_NAME: &str = "infra-react";
const REACT: &str = include_str!("scripts/react.sh");

/// `infra-sysctl`: pairs of arguments `KEY VALUE`, written to the running kernel.
/// A failure: exit 1, on standard output `failed sysctl KEY`, then why.
pub const SYSCTL_NAME: &str = "infra-sysctl";
const SYSCTL: &str = include_str!("scripts/sysctl.sh");

/// `infra-disk`: arguments `make SERIAL KIND UUID AT` or `grow SERIAL KIND UUID AT`.
///
/// `make` makes a filesystem on a disk that is provably empty; one that has exactly this filesystem is fine. `grow` lets
/// a mounted one take all of its disk. Exit 70: refused, and nothing was written; why is on standard error.
pub const DISK_NAME: &str = "infra-disk";
const DISK: &str = include_str!("scripts/disk.sh");

/// The text of `infra-facts`: the functions of the rooms that know UFW, Docker and ZFS, then its own.
pub(super) fn facts_text() -> String {
    [ufw::FACTS, compose::FACTS, zfs::FACTS, FACTS].join("\n")
}

/// Every script by name, for those who check them.
pub fn scripts() -> [(&'static str, String); 8] {
    [
        (FACTS_NAME, facts_text()),
        (WRITE_NAME, WRITE.to_owned()),
        (DIRECTORIES_NAME, DIRECTORIES.to_owned()),
        (PACKAGES_NAME, PACKAGES.to_owned()),
        (UNITS_NAME, UNITS.to_owned()),
        (REACT_NAME, REACT.to_owned()),
        (SYSCTL_NAME, SYSCTL.to_owned()),
        (DISK_NAME, DISK.to_owned()),
    ]
}

/// A name that the line-based requests cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unspeakable(pub String);

fn line(text: &str) -> Result<&str, Unspeakable> {
    if text.contains(['\n', '\r', '\0', '\t']) {
        Err(Unspeakable(text.to_owned()))
    } else {
        Ok(text)
    }
}

fn word(text: &str) -> Result<&str, Unspeakable> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.starts_with('-') {
        Err(Unspeakable(text.to_owned()))
    } else {
        line(text)
    }
}

fn absolute(path: &str) -> Result<&str, Unspeakable> {
    if path.starts_with('/') && !path.ends_with('/') {
        line(path)
    } else {
        Err(Unspeakable(path.to_owned()))
    }
}

/// One exec that answers everything.
pub(super) fn facts(request: &FactsRequest) -> Result<Command, Unspeakable> {
    let mut input = String::new();
    let mut ask = |kind: &str, names: &[String], check: fn(&str) -> Result<&str, Unspeakable>| {
        for name in names {
            // Writing to a string does not fail.
            let _ = writeln!(input, "{kind} {}", check(name)?);
        }
        Ok(())
    };
    ask("package", &request.packages, word)?;
    ask("path", &request.paths, absolute)?;
    ask("unit", &request.units, word)?;
    ask("sysctl", &request.sysctls, word)?;
    ask("nft", &request.nft_tables, line)?;
    ask("disk", &request.disks, word)?;
    ask("zpool", &request.zpools, word)?;
    ask("text", &request.texts, absolute)?;
    ask("user", &request.users, word)?;
    for argv in &request.probes {
        let words: Result<Vec<&str>, Unspeakable> = argv.iter().map(|word| line(word)).collect();
        let words = words?;
        if words.iter().any(|word| word.is_empty()) {
            return Err(Unspeakable(argv.join(" ")));
        }
        let _ = writeln!(input, "probe {}", words.join("\t"));
    }
    for (asked, name) in [
        (request.ufw, "ufw\n"),
        (request.docker, "docker\n"),
        (request.upgrades, "upgrades\n"),
    ] {
        if asked {
            input.push_str(name);
        }
    }
    if request.pve_firewall {
        input.push_str("pve-firewall\n");
    }
    Ok(Command::script(FACTS_NAME, &facts_text())
        .stdin(input)
        .timeout(Duration::from_mins(2)))
}

pub(super) fn write_files(files: &[FileWrite]) -> Result<Command, Unspeakable> {
    let mut input = Vec::new();
    for file in files {
        let (owner, group) = (word(&file.owner)?, word(&file.group)?);
        let (mode, size) = (file.mode, file.bytes.len());
        let path = absolute(&file.path)?;
        input.extend_from_slice(format!("{mode:04o} {owner} {group} {size}\n{path}\n").as_bytes());
        input.extend_from_slice(&file.bytes);
    }
    Ok(Command::script(WRITE_NAME, WRITE)
        .stdin(input)
        .timeout(Duration::from_mins(3)))
}

pub(super) fn make_directories(
    directories: &[super::write::DirectoryWrite],
) -> Result<Command, Unspeakable> {
    let mut input = String::new();
    for directory in directories {
        let (owner, group) = (word(&directory.owner)?, word(&directory.group)?);
        let path = absolute(&directory.path)?;
        let _ = writeln!(input, "{:04o} {owner} {group}\n{path}", directory.mode);
    }
    Ok(Command::script(DIRECTORIES_NAME, DIRECTORIES).stdin(input))
}

pub(super) fn remove_file(path: &str) -> Result<Command, Unspeakable> {
    Ok(Command::new(["rm", "-f", "--", absolute(path)?]))
}

/// Half an hour: a Raspberry Pi on a slow line installs Docker, and may wait five minutes for a lock first.
pub(super) fn install_packages(names: &[String]) -> Result<Command, Unspeakable> {
    for name in names {
        word(name)?;
    }
    Ok(Command::script(PACKAGES_NAME, PACKAGES)
        .args(names)
        .timeout(Duration::from_mins(30)))
}

pub(super) fn set_units(units: &[(UnitVerb, String)]) -> Result<Command, Unspeakable> {
    let mut command = Command::script(UNITS_NAME, UNITS).timeout(Duration::from_mins(5));
    for (verb, unit) in units {
        command = command.args([verb.as_str(), word(unit)?]);
    }
    Ok(command)
}

pub(super) fn react(reactions: &[Reaction]) -> Result<Command, Unspeakable> {
    let mut command = Command::script(REACT_NAME, REACT).timeout(Duration::from_mins(5));
    for reaction in reactions {
        command = match reaction {
            Reaction::DaemonReload => command.args(["daemon-reload"]),
            Reaction::Sysctl => command.args(["sysctl"]),
            Reaction::Unmask(unit) => command.args(["unmask", word(unit)?]),
            Reaction::Reload(unit) => command.args(["reload", word(unit)?]),
            Reaction::Restart(unit) => command.args(["restart", word(unit)?]),
            Reaction::Run(argv) => command.args(["run", &argv.len().to_string()]).args(argv),
        };
    }
    Ok(command)
}

pub(super) fn set_sysctls(settings: &[(String, String)]) -> Result<Command, Unspeakable> {
    let mut command = Command::script(SYSCTL_NAME, SYSCTL);
    for (key, value) in settings {
        command = command.args([word(key)?, line(value)?]);
    }
    Ok(command)
}

/// A filesystem made, or grown to the size of its disk. Reading a large disk here and there takes seconds, not minutes.
pub(super) fn disk(verb: &str, wanted: &FilesystemResource) -> Result<Command, Unspeakable> {
    Ok(Command::script(DISK_NAME, DISK)
        .args([verb, word(&wanted.disk)?, &wanted.kind.to_string()])
        .args([word(&wanted.uuid)?, absolute(&wanted.at)?])
        .timeout(Duration::from_mins(10)))
}
