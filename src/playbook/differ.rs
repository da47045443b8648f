//! What of a host's tasks is not as it should be, as changes in the order of the steps.

use super::{
    Task,
    ask::{REBOOT_REQUIRED, mount_file, sysctl_file},
    line,
};
use crate::baseline::unit_name;
use crate::model::{
    facts::{HostFacts, UserFact},
    ids::HostName,
    playbook::Kind,
    resource::{FileResource, Reaction, Resource},
    secret::Content,
};
use crate::plan::{
    Blocked, Inputs,
    change::{Action, Change, Field, Impact, Operation},
    compare as compare_resources,
};
use std::collections::BTreeSet;

/// An upgrade downloads and unpacks; a Raspberry Pi takes its time.
const UPGRADE_SECONDS: u64 = 3_600;
/// A command of a playbook that takes longer is given up.
const RUN_SECONDS: u64 = 600;

/// What a host's tasks come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// The changes of each task, by its place in the list; a task that is as it should be has none.
    pub changes: Vec<(usize, Vec<Change>)>,
    /// Handlers that follow, by name and in their order.
    pub handlers: Vec<(String, Change)>,
    /// Which change calls which handlers, by the change's id.
    pub calls: Vec<(String, Vec<String>)>,
    /// What could not be compared.
    pub blocked: Vec<Blocked>,
    /// The host asks for a reboot.
    pub wants_reboot: bool,
}

/// Where a login's home is.
pub(super) fn home(name: &str, seen: Option<&UserFact>) -> String {
    match seen {
        Some(fact) if !fact.home.is_empty() => fact.home.clone(),
        Some(_) | None if name == "root" => "/root".to_owned(),
        Some(_) | None => format!("/home/{name}"),
    }
}

/// Compares the tasks of a host with what was seen on it. Every change waits for the ones before it on the same host. The
/// handlers in `owed` were called by an earlier run and have not run.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other kind is resources or a command, which `resources` tells"
)]
pub fn compare(
    inputs: &Inputs<'_>,
    host: &HostName,
    tasks: &[Task],
    handlers: &[(String, Task)],
    owed: &BTreeSet<String>,
    facts: &HostFacts,
) -> Compared {
    let mut out = Compared {
        wants_reboot: facts
            .paths
            .get(REBOOT_REQUIRED)
            .is_some_and(Option::is_some),
        ..Compared::default()
    };
    let mut seen_texts = facts.texts.clone();
    let mut called: BTreeSet<&str> = owed.iter().map(String::as_str).collect();
    let mut before: Option<String> = None;
    for (at, task) in tasks.iter().enumerate() {
        let mut changes = match &task.kind {
            Kind::Line { path, line, starts } => {
                let text = seen_texts.get(path).cloned().flatten();
                let seen = facts.paths.get(path).and_then(Option::as_ref);
                if let Some(blocked) = line::no_text(host, path, seen, text.as_deref()) {
                    out.blocked.push(blocked);
                    continue;
                }
                match line::with(&text.unwrap_or_default(), line, starts.as_deref()) {
                    None => Vec::new(),
                    Some(new) => {
                        // The next step that touches the file finds this one's work in it.
                        seen_texts.insert(path.clone(), Some(new.clone()));
                        vec![edited(host, task, path, line, &new, facts)]
                    }
                }
            }
            kind => match resources(kind, facts) {
                Some(list) => {
                    let (found, blocked) = compare_resources(inputs, host, &list, facts);
                    out.blocked.extend(blocked);
                    found
                }
                None => command(host, task, facts),
            },
        };
        // Several changes of one task, and one subject in two tasks, must not share an id.
        for (number, change) in changes.iter_mut().enumerate() {
            change.id = format!(
                "{host}: step {}.{}: {}",
                task.step + 1,
                number + 1,
                change.subject
            );
            change.reason.clone_from(&task.title);
            change.needs = before.iter().cloned().collect();
            before = Some(change.id.clone());
        }
        if !changes.is_empty() {
            called.extend(task.notify.iter().map(String::as_str));
            let own = changes.iter().map(|change| change.id.clone());
            out.calls.extend(own.map(|id| (id, task.notify.clone())));
            out.changes.push((at, changes));
        }
    }
    for (name, task) in handlers
        .iter()
        .filter(|(name, _)| called.contains(name.as_str()))
    {
        let mut change = follow(host, name, task);
        change.needs = before.iter().cloned().collect();
        before = Some(change.id.clone());
        out.handlers.push((name.clone(), change));
    }
    out
}

fn change(host: &HostName, task: &Task, subject: &str, operation: Operation) -> Change {
    Change {
        id: String::new(),
        host: host.clone(),
        subject: subject.to_owned(),
        action: Action::Update,
        fields: Vec::new(),
        impact: Impact::Hot,
        reason: task.title.clone(),
        needs: Vec::new(),
        operation,
    }
}

/// The file with the line in it; owner and mode stay.
fn edited(
    host: &HostName,
    task: &Task,
    path: &str,
    line: &str,
    new: &str,
    facts: &HostFacts,
) -> Change {
    let seen = facts.paths.get(path).and_then(Option::as_ref);
    let file = FileResource {
        path: path.to_owned(),
        content: Content::text(new),
        owner: seen.map_or_else(|| "root".to_owned(), |fact| fact.uid.to_string()),
        group: seen.map_or_else(|| "root".to_owned(), |fact| fact.gid.to_string()),
        mode: seen.map_or(0o644, |fact| fact.mode),
        then: Vec::new(),
        purpose: task.title.clone(),
    };
    let operation = Operation::WriteFile(file);
    Change {
        fields: vec![Field::new("line", None, Some(line))],
        ..change(host, task, &format!("file {path}"), operation)
    }
}

/// The kinds that are states which every plan knows; none for a command.
fn resources(kind: &Kind, facts: &HostFacts) -> Option<Vec<Resource>> {
    let file = |path: &str, text: &str, mode, then| {
        Resource::File(FileResource {
            path: path.to_owned(),
            content: Content::text(text),
            owner: "root".to_owned(),
            group: "root".to_owned(),
            mode,
            then,
            purpose: String::new(),
        })
    };
    Some(match kind {
        Kind::Package(names) => names.iter().cloned().map(Resource::Package).collect(),
        Kind::File {
            path,
            content,
            owner,
            group,
            mode,
            ..
        } => vec![Resource::File(FileResource {
            path: path.clone(),
            content: Content::text(content.clone()),
            owner: owner.clone(),
            group: group.clone(),
            mode: *mode,
            then: then(path),
            purpose: String::new(),
        })],
        Kind::NoFile(path) => vec![Resource::NoFile {
            path: path.clone(),
            then: then(path),
        }],
        Kind::Service {
            name,
            enabled,
            active,
        } => vec![Resource::Unit {
            name: name.clone(),
            enabled: *enabled,
            active: *active,
        }],
        Kind::Sysctl { key, value } => vec![
            file(
                &sysctl_file(key),
                &format!("# Made by infra; edits are replaced.\n{key} = {value}\n"),
                0o644,
                Vec::new(),
            ),
            Resource::Sysctl {
                key: key.clone(),
                value: value.clone(),
            },
        ],
        Kind::Mount {
            at,
            what,
            fstype,
            options,
        } => vec![
            file(
                &mount_file(at),
                &format!(
                    "# Made by infra; edits are replaced.\n[Unit]\nDescription={at} (infra)\n\n[Mount]\nWhat={what}\n\
                     Where={at}\nType={fstype}\nOptions={options}\n\n[Install]\nWantedBy=multi-user.target\n"
                ),
                0o644,
                vec![Reaction::DaemonReload],
            ),
            Resource::Unit {
                name: unit_name(at),
                enabled: true,
                active: true,
            },
        ],
        Kind::User {
            name,
            keys: Some(keys),
            ..
        } if is_as_wanted(kind, facts) => {
            let seen = facts.users.get(name).and_then(Option::as_ref);
            logins(name, keys, seen)
        }
        Kind::Run { .. }
        | Kind::Upgrade
        | Kind::User { .. }
        | Kind::Line { .. }
        | Kind::Restart(_)
        | Kind::Reload(_)
        | Kind::Act(_) => return None,
    })
}

/// Unit files are read again; a broken sshd configuration is seen before anything relies on it.
fn then(path: &str) -> Vec<Reaction> {
    if path.starts_with("/etc/systemd/system/") {
        vec![Reaction::DaemonReload]
    } else if path.starts_with("/etc/ssh/sshd_config") {
        let check = ["/usr/sbin/sshd", "-t"].map(str::to_owned);
        // At once, while whoever writes it can still put the former file back.
        vec![
            Reaction::Run(check.to_vec()),
            Reaction::Reload("ssh.service".to_owned()),
        ]
    } else {
        Vec::new()
    }
}

/// Whether the login itself is as it should be; its keys are another matter.
fn is_as_wanted(kind: &Kind, facts: &HostFacts) -> bool {
    let Kind::User {
        name,
        shell,
        groups,
        ..
    } = kind
    else {
        return true;
    };
    let seen = facts.users.get(name).and_then(Option::as_ref);
    seen.is_some_and(|seen| {
        seen.shell == *shell && groups.iter().all(|group| seen.groups.contains(group))
    })
}

fn logins(name: &str, keys: &[String], seen: Option<&UserFact>) -> Vec<Resource> {
    let folder = format!("{}/.ssh", home(name, seen));
    let mut text = String::new();
    for key in keys {
        text.push_str(key.trim());
        text.push('\n');
    }
    vec![
        Resource::Directory {
            path: folder.clone(),
            owner: name.to_owned(),
            group: name.to_owned(),
            mode: 0o700,
        },
        Resource::File(FileResource {
            path: format!("{folder}/authorized_keys"),
            content: Content::text(format!("# Made by infra; edits are replaced.\n{text}")),
            owner: name.to_owned(),
            group: name.to_owned(),
            mode: 0o600,
            then: Vec::new(),
            purpose: String::new(),
        }),
    ]
}

fn run(argv: &[String], seconds: u64) -> Operation {
    Operation::RunCommand {
        argv: argv.to_vec(),
        seconds,
    }
}

/// A task that is a command, when it has to run.
fn command(host: &HostName, task: &Task, facts: &HostFacts) -> Vec<Change> {
    match &task.kind {
        Kind::Run {
            argv,
            creates,
            unless,
        } => {
            let is_made = creates
                .as_ref()
                .is_some_and(|path| facts.paths.get(path).is_some_and(Option::is_some));
            let holds = unless
                .as_ref()
                .is_some_and(|argv| facts.probes.contains(&(argv.clone(), true)));
            if is_made || holds {
                return Vec::new();
            }
            let subject = format!("command {}", argv.join(" "));
            vec![change(host, task, &subject, run(argv, RUN_SECONDS))]
        }
        Kind::Upgrade => {
            if facts.upgrades.is_empty() {
                return Vec::new();
            }
            let argv = [
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "NEEDRESTART_SUSPEND=1",
                "apt-get",
                "-y",
                "-q",
                "-o",
                "DPkg::Lock::Timeout=300",
                "-o",
                "Dpkg::Options::=--force-confdef",
                "-o",
                "Dpkg::Options::=--force-confold",
                "--with-new-pkgs",
                "upgrade",
            ];
            let names = facts.upgrades.join(" ");
            let operation = run(&argv.map(str::to_owned), UPGRADE_SECONDS);
            vec![Change {
                fields: vec![Field::new("newer", None, Some(&names))],
                impact: Impact::Restart,
                ..change(host, task, "packages", operation)
            }]
        }
        Kind::User {
            name,
            shell,
            groups,
            keys,
        } => {
            let seen = facts.users.get(name).and_then(Option::as_ref);
            if is_as_wanted(&task.kind, facts) {
                return Vec::new();
            }
            let groups = groups.join(",");
            let mut argv: Vec<&str> = if seen.is_some() {
                vec!["usermod", "--shell", shell]
            } else {
                vec!["useradd", "--create-home", "--user-group", "--shell", shell]
            };
            if !groups.is_empty() {
                argv.extend(if seen.is_some() {
                    ["--append", "--groups"].as_slice()
                } else {
                    ["--groups"].as_slice()
                });
                argv.push(&groups);
            }
            argv.extend(["--", name]);
            let argv: Vec<String> = argv.into_iter().map(str::to_owned).collect();
            let mut out = vec![change(
                host,
                task,
                &format!("user {name}"),
                run(&argv, RUN_SECONDS),
            )];
            for resource in keys.iter().flat_map(|keys| logins(name, keys, seen)) {
                let operation = match resource {
                    Resource::File(file) => Operation::WriteFile(file),
                    Resource::Directory {
                        path,
                        owner,
                        group,
                        mode,
                    } => Operation::MakeDirectory {
                        path,
                        owner,
                        group,
                        mode,
                    },
                    Resource::Package(_)
                    | Resource::Filesystem(_)
                    | Resource::NoFile { .. }
                    | Resource::Unit { .. }
                    | Resource::Sysctl { .. }
                    | Resource::NftTable { .. } => continue,
                };
                out.push(change(host, task, &format!("keys of {name}"), operation));
            }
            out
        }
        Kind::Package(_)
        | Kind::File { .. }
        | Kind::NoFile(_)
        | Kind::Line { .. }
        | Kind::Service { .. }
        | Kind::Restart(_)
        | Kind::Reload(_)
        | Kind::Sysctl { .. }
        | Kind::Mount { .. }
        | Kind::Act(_) => Vec::new(),
    }
}

/// A handler that was called.
fn follow(host: &HostName, name: &str, task: &Task) -> Change {
    let words = |argv: &[&str]| -> Vec<String> { argv.iter().map(|w| (*w).to_owned()).collect() };
    let (subject, operation) = match &task.kind {
        Kind::Restart(unit) => (
            format!("unit {unit}"),
            Operation::RestartUnit { unit: unit.clone() },
        ),
        Kind::Reload(unit) => (
            format!("unit {unit}"),
            run(
                &words(&["systemctl", "reload-or-restart", "--", unit]),
                RUN_SECONDS,
            ),
        ),
        Kind::Run { argv, .. } => (
            format!("command {}", argv.join(" ")),
            run(argv, RUN_SECONDS),
        ),
        // Reading a playbook allows no other kind for a handler.
        Kind::Package(_)
        | Kind::Upgrade
        | Kind::File { .. }
        | Kind::NoFile(_)
        | Kind::Line { .. }
        | Kind::User { .. }
        | Kind::Service { .. }
        | Kind::Sysctl { .. }
        | Kind::Mount { .. }
        | Kind::Act(_) => ("nothing".to_owned(), run(&words(&["true"]), RUN_SECONDS)),
    };
    Change {
        id: format!("{host}: handler {name}"),
        impact: Impact::Restart,
        ..change(host, task, &subject, operation)
    }
}
