//! Plain commands: the few that infra sends, and those by which a person looks around or breaks something.

use super::{
    super::{
        machine::{Machine, Reply},
        tree::Kind,
    },
    Call, changes,
};
use sha2::{Digest as _, Sha256};

/// `infra-fetch-checksums`: the sums that a publisher puts beside its images. What is published is made of the folder's
/// address, so that it is the same every time.
pub(super) fn checksums(urls: &[String]) -> Reply {
    let Some((folder, _)) = urls.last().and_then(|url| url.rsplit_once('/')) else {
        return Reply::failed(4, "curl: no URL specified");
    };
    let line = |file: &str| {
        let sum = Sha256::digest(format!("{folder}/{file}"));
        format!("{sum:x}  {file}\n")
    };
    Reply::said(line("debian.qcow2") + &line("debian-13-generic-amd64.qcow2"))
}

/// A command that is no script.
pub(super) fn answer(machine: &mut Machine, argv: &[String], call: &Call<'_>) -> Reply {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let read = look(machine, &words);
    if let Some(reply) = read {
        return reply;
    }
    if !call.is_root {
        let program = words.first().copied().unwrap_or_default();
        return Reply::failed(1, format!("{program}: Permission denied"));
    }
    change(machine, &words, call.input).unwrap_or_else(|| {
        let program = words.first().copied().unwrap_or_default();
        Reply::failed(
            127,
            format!("timeout: failed to run command '{program}': No such file or directory"),
        )
    })
}

/// The exit code of a command that only looks; one that it does not know is not there.
pub(super) fn probe(machine: &Machine, argv: &[String]) -> u8 {
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    look(machine, &words).map_or(127, |reply| reply.code)
}

fn of(outcome: Result<String, String>, code: u8) -> Reply {
    outcome.map_or_else(|why| Reply::failed(code, why), Reply::said)
}

/// What anyone may run.
fn look(machine: &Machine, words: &[&str]) -> Option<Reply> {
    Some(match words {
        ["true"] => Reply::default(),
        ["false"] => Reply {
            code: 1,
            ..Reply::default()
        },
        ["echo", words @ ..] => Reply::said(format!("{}\n", words.join(" "))),
        ["hostname"] => Reply::said(format!("{}\n", machine.name)),
        ["cat", path] | ["cat", "--", path] => match machine.tree.read(path) {
            Some(bytes) => Reply {
                stdout: bytes.to_vec(),
                ..Reply::default()
            },
            None => Reply::failed(1, format!("cat: {path}: No such file or directory")),
        },
        ["test", "-e", path] => Reply {
            code: u8::from(!machine.tree.exists(path)),
            ..Reply::default()
        },
        ["systemctl", "is-active", unit] => {
            let (_, active, _) = machine.unit_state(unit);
            Reply::told(
                if active == "active" { 0 } else { 3 },
                format!("{active}\n"),
            )
        }
        ["dpkg-query", "-W", "-f", "${Package}\\n"] => {
            let names: Vec<&str> = machine.package_names().into_iter().collect();
            Reply::said(format!("{}\n", names.join("\n")))
        }
        ["/usr/bin/systemd-sysusers", file] if machine.tree.exists(file) => Reply::default(),
        ["/usr/sbin/sshd", "-t"] if machine.has("openssh-server") => Reply::default(),
        _ => return None,
    })
}

/// What root may run.
fn change(machine: &mut Machine, words: &[&str], input: &[u8]) -> Option<Reply> {
    Some(match words {
        ["rm", "-f", "--", path] | ["rm", "-f", path] if machine.tree.is_directory(path) => {
            Reply::failed(1, format!("rm: cannot remove '{path}': Is a directory"))
        }
        ["rm", "-f", "--", path] | ["rm", "-f", path] => {
            machine.tree.remove(path);
            Reply::default()
        }
        ["rm", "-rf", "--", path] | ["rm", "-rf", path] => {
            machine.tree.remove_tree(path);
            Reply::default()
        }
        ["tee", path] => {
            let old = machine.tree.entry(path).cloned();
            let (uid, gid, mode) =
                old.map_or((0, 0, 0o644), |entry| (entry.uid, entry.gid, entry.mode));
            machine
                .tree
                .place(path, Kind::File(input.to_vec()), uid, gid, mode);
            Reply {
                stdout: input.to_vec(),
                ..Reply::default()
            }
        }
        ["chmod", mode, path] => match (u32::from_str_radix(mode, 8), machine.tree.entry_mut(path))
        {
            (Ok(mode), Some(entry)) => {
                entry.mode = mode;
                Reply::default()
            }
            _ => Reply::failed(
                1,
                format!("chmod: cannot access '{path}': No such file or directory"),
            ),
        },
        ["useradd", options @ .., name] => {
            if machine.users.contains_key(*name) {
                return Some(Reply::failed(
                    9,
                    format!("useradd: user '{name}' already exists"),
                ));
            }
            let id = machine
                .users
                .values()
                .filter(|id| **id < 60_000)
                .max()
                .map_or(1_000, |id| id + 1);
            machine.users.insert((*name).to_owned(), id.max(1_000));
            machine.settle(name, options);
            Reply::default()
        }
        ["usermod", options @ .., name] => {
            machine.settle(name, options);
            Reply::default()
        }
        ["systemctl", "reboot"] => {
            machine.tree.remove("/run/reboot-required");
            machine.boot(None);
            Reply::default()
        }
        ["umount", path] => match machine.mounts.remove(*path) {
            Some(_) => Reply::default(),
            None => Reply::failed(32, format!("umount: {path}: not mounted.")),
        },
        ["apt-get", "-y", "remove" | "purge", package]
        | ["apt-get", "remove" | "purge", "-y", package] => {
            machine.remove_package(package);
            Reply::default()
        }
        ["sysctl", "-w", pair] => match pair.split_once('=') {
            Some((key, value)) => changes::sysctl(machine, &[key.to_owned(), value.to_owned()]),
            None => Reply::failed(1, "sysctl: a key and a value are needed"),
        },
        ["systemctl", "daemon-reload"] => Reply::default(),
        ["systemctl", verb, unit] | ["systemctl", verb, "--", unit] => of(
            changes::systemctl(machine, verb, unit).map(|()| String::new()),
            1,
        ),
        ["ufw", words @ ..] if machine.has("ufw") => of(machine.ufw.run(words), 1),
        [program @ ("zfs" | "zpool"), words @ ..] if machine.has("zfsutils-linux") => {
            machine.zfs.run(program, words)
        }
        ["docker", words @ ..] if machine.has("docker-cli") => {
            if machine.has_engine() {
                of(machine.docker.run(words), 1)
            } else {
                Reply::failed(
                    1,
                    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                )
            }
        }
        _ => return None,
    })
}
