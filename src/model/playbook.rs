//! Ordered steps over hosts, as read: texts may still hold placeholders.

use crate::diagnostic::Place;
use std::collections::BTreeMap;

/// A playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Playbook {
    /// Its file's name without the ending.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Selector of its hosts; `all` for every host.
    pub hosts: String,
    /// So many hosts at once; all unless given.
    pub serial: Option<usize>,
    /// Variables with their default; none for one that must be given.
    pub vars: BTreeMap<String, Option<String>>,
    /// Steps, in order.
    pub steps: Vec<Step>,
    /// What follows a change once, at the end of a host's steps, by name and in order.
    pub handlers: Vec<(String, Step)>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The owner's words, or the kind's.
    pub title: String,
    /// Where it stands.
    pub place: Place,
    /// What it does.
    pub kind: Kind,
    /// Expression that must be true of a host.
    pub when: Option<String>,
    /// Repeated for each of these, as `item`.
    pub each: Vec<String>,
    /// Handlers that follow when it changed something.
    pub notify: Vec<String>,
}

/// What a step does. Everything that is a text may hold placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A command, unless what it makes is there.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// Not run when this is there.
        creates: Option<String>,
        /// Not run when this command succeeds.
        unless: Option<Vec<String>>,
    },
    /// Debian packages that must be installed.
    Package(Vec<String>),
    /// All packages brought up to date.
    Upgrade,
    /// A file.
    File {
        /// Absolute path.
        path: String,
        /// Its text.
        content: String,
        /// Whether placeholders in the text are filled in.
        template: bool,
        /// Owner.
        owner: String,
        /// Group.
        group: String,
        /// Permission bits.
        mode: u32,
    },
    /// A file that must not be there.
    NoFile(String),
    /// A line in a file.
    Line {
        /// Absolute path.
        path: String,
        /// The line.
        line: String,
        /// Replaces the lines that begin so.
        starts: Option<String>,
    },
    /// A login.
    User {
        /// Name.
        name: String,
        /// Shell.
        shell: String,
        /// Groups beside its own.
        groups: Vec<String>,
        /// All keys that may log in; none leaves them alone.
        keys: Option<Vec<String>>,
    },
    /// A systemd unit.
    Service {
        /// Name.
        name: String,
        /// At boot.
        enabled: bool,
        /// Now.
        active: bool,
    },
    /// Handlers only: a unit is started anew.
    Restart(String),
    /// Handlers only: a unit reads its settings again.
    Reload(String),
    /// A kernel setting, now and after a reboot.
    Sysctl {
        /// Dotted key.
        key: String,
        /// Value.
        value: String,
    },
    /// A mount, as a systemd unit.
    Mount {
        /// Where.
        at: String,
        /// What.
        what: String,
        /// Filesystem type.
        fstype: String,
        /// Mount options.
        options: String,
    },
    /// Something that is not a state of one host.
    Act(Act),
}

/// What is done rather than compared. Each is a verb of infra, or a moment in which nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Reboots the hosts, one after the other, and waits for them.
    Reboot {
        /// Also those that do not ask for it.
        always: bool,
    },
    /// `infra stack deploy` of these, or of all on the hosts.
    Deploy(Vec<String>),
    /// `infra stack update`, then deploy; a stack that does not get well goes back.
    Update(Vec<String>),
    /// `infra zfs snapshot --label`.
    Snapshot(String),
    /// `infra backup run`.
    Backup,
    /// `infra firewall apply`.
    Firewall,
    /// `infra verify`.
    Check,
    /// Somebody agrees.
    Confirm(String),
    /// Nothing happens for so many seconds.
    Pause(u32),
}
