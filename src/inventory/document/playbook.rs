//! A playbook.

use crate::inventory::{
    word::{AbsolutePath, Mode, Seconds},
    written::{At, Entries, Many, May, Text},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Ordered steps over selected hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "infra playbook")]
pub(crate) struct Playbook {
    /// What it is for.
    pub(crate) description: At<String>,
    /// Its hosts: `all`, `nodes`, `guests`, `hosts`, or a selector as behind `--on`.
    pub(crate) hosts: At<String>,
    /// So many hosts at once, one batch after the other; all at once unless given.
    pub(crate) serial: May<u32>,
    /// Variables with their defaults; `null` for one that must be given with `--var`.
    pub(crate) vars: Option<At<Entries<Option<String>>>>,
    /// Steps, in order.
    pub(crate) steps: At<Vec<At<Step>>>,
    /// What follows a change once, after the steps of a host.
    pub(crate) handlers: May<Vec<At<Step>>>,
}

/// One step. Exactly one kind of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// What is true afterwards, in your words; the name of a handler.
    pub(crate) name: May<String>,
    /// An expression that must be true of a host, as `host.kind == "guest"`.
    pub(crate) when: May<String>,
    /// Repeated for each of these, as `{{ item }}`.
    pub(crate) for_each: May<Vec<At<String>>>,
    /// Handlers that follow when it changed something.
    pub(crate) notify: May<Many<String>>,
    /// A command, unless what it makes is there.
    pub(crate) run: May<Run>,
    /// Packages that must be installed.
    pub(crate) package: May<Many<String>>,
    /// `true`: all packages are brought up to date.
    pub(crate) upgrade: May<bool>,
    /// A file with this content, or none.
    pub(crate) file: May<File>,
    /// A file made from a template beside the playbook.
    pub(crate) template: May<Template>,
    /// A line in a file.
    pub(crate) line: May<Line>,
    /// A login with its keys.
    pub(crate) user: May<User>,
    /// A systemd unit.
    pub(crate) service: May<Service>,
    /// In a handler: a unit that is started anew.
    pub(crate) restart: May<String>,
    /// In a handler: a unit that reads its settings again.
    pub(crate) reload: May<String>,
    /// A kernel setting, now and after a reboot.
    pub(crate) sysctl: May<Sysctl>,
    /// A mount.
    pub(crate) mount: May<Mount>,
    /// A reboot, waited for: `needed` or `always`.
    pub(crate) reboot: May<Reboot>,
    /// Compose stacks.
    pub(crate) stack: May<Stack>,
    /// A snapshot of all datasets under a label.
    pub(crate) zfs: May<Zfs>,
    /// `run`: the backups that are due.
    pub(crate) backup: May<Backup>,
    /// `apply`: the firewall in line with the matrix.
    pub(crate) firewall: May<Firewall>,
    /// `all`: the system's own checks.
    pub(crate) check: May<Check>,
    /// Somebody agrees to this text.
    pub(crate) confirm: May<String>,
    /// Nothing happens for so long.
    pub(crate) pause: May<Text<Seconds>>,
}

/// A command.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// Program and arguments.
    pub(crate) argv: At<Vec<At<String>>>,
    /// Not run when this path is there.
    pub(crate) creates: May<String>,
    /// Not run when this command succeeds.
    pub(crate) unless: May<Vec<At<String>>>,
}

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// Absolute path.
    pub(crate) path: At<Text<AbsolutePath>>,
    /// Its text.
    pub(crate) content: May<String>,
    /// `true`: it must not be there.
    pub(crate) absent: May<bool>,
    /// Owner, `root` unless given.
    pub(crate) owner: May<String>,
    /// Group, `root` unless given.
    pub(crate) group: May<String>,
    /// Permission bits, `0644` unless given.
    pub(crate) mode: May<Text<Mode>>,
}

/// A file made from a template.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Template {
    /// Absolute path.
    pub(crate) path: At<Text<AbsolutePath>>,
    /// The template: a path beside the playbook.
    pub(crate) source: At<String>,
    /// Owner, `root` unless given.
    pub(crate) owner: May<String>,
    /// Group, `root` unless given.
    pub(crate) group: May<String>,
    /// Permission bits, `0644` unless given.
    pub(crate) mode: May<Text<Mode>>,
}

/// A line in a file.
#[expect(clippy::struct_field_names, reason = "`line:` is what a person writes")]
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    /// Absolute path.
    pub(crate) path: At<Text<AbsolutePath>>,
    /// The line.
    pub(crate) line: At<String>,
    /// Takes the place of the lines that begin so.
    pub(crate) starts: May<String>,
}

/// A login.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// Name.
    pub(crate) name: At<String>,
    /// Shell, `/bin/bash` unless given.
    pub(crate) shell: May<String>,
    /// Groups beside its own.
    pub(crate) groups: May<Many<String>>,
    /// All keys that may log in.
    pub(crate) keys: May<Many<String>>,
}

/// A systemd unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Its name with suffix.
    pub(crate) name: At<String>,
    /// Whether it begins at boot, `true` unless given.
    pub(crate) enabled: May<bool>,
    /// Whether it runs, `true` unless given.
    pub(crate) active: May<bool>,
}

/// A kernel setting.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sysctl {
    /// Dotted key.
    pub(crate) key: At<String>,
    /// Value.
    pub(crate) value: At<String>,
}

/// A mount.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mount {
    /// Mount point.
    pub(crate) at: At<Text<AbsolutePath>>,
    /// What is mounted.
    pub(crate) what: At<String>,
    /// Filesystem type.
    pub(crate) fstype: At<String>,
    /// Options, `nosuid,nodev` unless given.
    pub(crate) options: May<String>,
}

/// When a host is rebooted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Reboot {
    /// When it asks for it, `/run/reboot-required`.
    Needed,
    /// In any case.
    Always,
}

/// Stacks. Exactly one of these; `all` stands for those on the hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stack {
    /// Brought in line with the inventory.
    pub(crate) deploy: May<Many<String>>,
    /// Given the images of today first; one that does not get well goes back.
    pub(crate) update: May<Many<String>>,
}

/// ZFS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zfs {
    /// The label of a snapshot of all datasets.
    pub(crate) snapshot: At<String>,
}

/// Backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backup {
    /// Those that are due.
    Run,
}

/// The firewall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Firewall {
    /// In line with the matrix.
    Apply,
}

/// Checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Check {
    /// All of the system's.
    All,
}
