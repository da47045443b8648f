//! What a command does to a machine, and what it says.
//!
//! Invariant: a command that it does not know changes nothing and exits with 127.

mod changes;
mod facts;
mod guard;
mod plain;
mod snapshots;
mod stack;

pub(super) use guard::Switch;

use super::{
    line::Request,
    machine::{Machine, Reply},
};

/// Why a scripted lab proves nothing about services and packets.
pub const NEEDS_REAL_GUESTS: &str = "needs real guests";

/// Carries out a command line for a login.
pub(super) fn answer(
    machine: &mut Machine,
    login: &str,
    line: &str,
    input: &[u8],
    now: jiff::Timestamp,
) -> Reply {
    machine.visits.execs += 1;
    let Some(request) = Request::parse(line) else {
        return Reply::failed(2, "sh: a scripted host runs simple commands only");
    };
    let may_sudo = machine
        .logins
        .iter()
        .any(|known| known.name == login && known.sudo);
    if request.sudo && login != "root" && (!may_sudo || machine.refuses_sudo) {
        return Reply::failed(1, "sudo: a password is required");
    }
    let is_root = login == "root" || request.sudo;
    let input = input.get(request.preamble..).unwrap_or_default();
    let call = Call {
        is_root,
        input,
        now,
    };
    match request.script() {
        Some((name, arguments)) => script(machine, name, arguments, &call),
        None => plain::answer(machine, &request.argv, &call),
    }
}

/// What comes with a command.
struct Call<'a> {
    is_root: bool,
    input: &'a [u8],
    now: jiff::Timestamp,
}

fn script(machine: &mut Machine, name: &str, arguments: &[String], call: &Call<'_>) -> Reply {
    if name == "infra-facts" {
        return facts::facts(machine, call.input);
    }
    if name == "infra-zfs-facts" {
        return Reply::said(machine.zfs.facts(arguments));
    }
    if name == "infra-zfs-survey" {
        return snapshots::survey(machine, arguments, call.now);
    }
    if name == "infra-fetch-checksums" {
        return plain::checksums(arguments);
    }
    if name == "infra-first-boot" {
        return Reply::said("status: done\n");
    }
    if !call.is_root {
        return Reply::failed(1, format!("{name}: Permission denied"));
    }
    match name {
        "infra-write" => changes::write(machine, call.input),
        "infra-directories" => changes::directories(machine, call.input),
        "infra-packages" => changes::packages(machine, arguments),
        "infra-units" => changes::units(machine, arguments),
        "infra-react" => changes::react(machine, arguments, call),
        "infra-disk" => machine.change_disk(arguments),
        "infra-sysctl" => changes::sysctl(machine, arguments),
        "infra-ufw" => changes::ufw(machine, call.input),
        "infra-lock" => changes::lock(machine, arguments, call),
        "infra-zfs-create" => changes::zfs_create(machine, arguments, call.input),
        "infra-zfs-directories" => changes::zfs_directories(machine, arguments, call.input),
        "infra-zfs-snapshot" => snapshots::snapshot(machine, arguments, call.input),
        "infra-zfs-destroy" => snapshots::destroy(machine, call.input),
        "infra-zfs-hold" => snapshots::hold(machine, arguments, call.input),
        "infra-stack-stage" => stack::stage(machine, arguments, call.input),
        "infra-stack-pull" => stack::pull(machine, arguments),
        "infra-stack-up" => stack::up(machine, arguments, call),
        "infra-stack-health" => stack::health(machine, arguments),
        "infra-stack-digests" => stack::digests(machine, arguments),
        "infra-stack-history" => stack::history(machine, arguments),
        "infra-stack-logs" => stack::logs(machine, arguments),
        "infra-stack-files" => stack::files(machine, arguments, call.input),
        "infra-stack-exec" => stack::exec(machine, arguments),
        "infra-stack-remove" => stack::remove(machine, arguments),
        "infra-checks" => facts::checks(machine, call.input),
        "infra-guard" => guard::guard(machine, arguments),
        // What the API stores is in force at once, and no packet was ever tracked.
        "infra-firewall-settle" => Reply::said(""),
        "infra-connections" => Reply::said("absent\n"),
        _ => Reply::failed(
            127,
            format!("sh: {name}: a scripted host does not know this script"),
        ),
    }
}

/// Input that is read line by line and by exact counts of bytes.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn line(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        str::from_utf8(line).ok()
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }
}
