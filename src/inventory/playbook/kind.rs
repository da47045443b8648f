//! The one thing that a step does.

use super::{
    codes,
    resolve::{Beside, Complaints, many, words},
};
use crate::inventory::{
    codes as own,
    document::{Reboot, Step as Raw},
    source::Span,
    word::{AbsolutePath, Mode, Seconds},
    written::{At, May, Text},
};
use crate::model::playbook::{Act, Kind};

const MODE: u32 = 0o644;

/// The kind of a step; none when it has none or several, which was said.
pub(super) fn kind(
    raw: &Raw,
    span: Span,
    beside: &Beside<'_>,
    complaints: &mut Complaints<'_>,
) -> Option<Kind> {
    let mut found: Vec<Option<Kind>> = Vec::new();
    let mut read = Read {
        beside,
        complaints: &mut *complaints,
    };
    each(&raw.run, &mut found, |run| {
        Some(Kind::Run {
            argv: argv(&run.argv, &mut read)?,
            creates: text(&run.creates),
            unless: run.unless.is_some().then(|| words(&run.unless)),
        })
    });
    if raw.package.is_some() {
        found.push(Some(Kind::Package(many(&raw.package))));
    }
    if let Some(at) = &raw.upgrade {
        found.push(at.value.filter(|wanted| *wanted).map(|_| Kind::Upgrade));
    }
    each(&raw.file, &mut found, |file| {
        let path = read.path(&file.path)?;
        let is_absent = file.absent.as_ref().and_then(|at| at.value) == Some(true);
        match (&file.content, is_absent) {
            (None, true) => Some(Kind::NoFile(path)),
            (Some(content), false) => Some(Kind::File {
                path,
                content: content.value.clone()?,
                template: true,
                owner: text(&file.owner).unwrap_or_else(root),
                group: text(&file.group).unwrap_or_else(root),
                mode: read.mode(&file.mode),
            }),
            (Some(_), true) | (None, false) => {
                read.complaints.say(
                    own::ONE_OF,
                    "a file has a `content`, or is `absent: true`".to_owned(),
                    file.path.span,
                    "exactly one of the two",
                    "for text from a file of yours use `template`",
                );
                None
            }
        }
    });
    each(&raw.template, &mut found, |file| {
        let name = file.source.value.clone()?;
        let path = read.path(&file.path)?;
        let Some(content) = read.beside.files.get(&name).cloned() else {
            read.complaints.say(
                codes::NO_TEMPLATE,
                format!("there is no file `{name}` beside the playbook"),
                file.source.span,
                "no such file",
                "the path is relative to the folder `playbooks/`",
            );
            return None;
        };
        Some(Kind::File {
            path,
            content,
            template: true,
            owner: text(&file.owner).unwrap_or_else(root),
            group: text(&file.group).unwrap_or_else(root),
            mode: read.mode(&file.mode),
        })
    });
    each(&raw.line, &mut found, |line| {
        Some(Kind::Line {
            path: read.path(&line.path)?,
            line: line.line.value.clone()?,
            starts: text(&line.starts),
        })
    });
    each(&raw.user, &mut found, |user| {
        Some(Kind::User {
            name: user.name.value.clone()?,
            shell: text(&user.shell).unwrap_or_else(|| "/bin/bash".to_owned()),
            groups: many(&user.groups),
            keys: user.keys.is_some().then(|| many(&user.keys)),
        })
    });
    each(&raw.service, &mut found, |unit| {
        Some(Kind::Service {
            name: unit.name.value.clone()?,
            enabled: unit
                .enabled
                .as_ref()
                .and_then(|at| at.value)
                .unwrap_or(true),
            active: unit.active.as_ref().and_then(|at| at.value).unwrap_or(true),
        })
    });
    each(&raw.restart, &mut found, |name| {
        Some(Kind::Restart(name.clone()))
    });
    each(&raw.reload, &mut found, |name| {
        Some(Kind::Reload(name.clone()))
    });
    each(&raw.sysctl, &mut found, |setting| {
        Some(Kind::Sysctl {
            key: setting.key.value.clone()?,
            value: setting.value.value.clone()?,
        })
    });
    each(&raw.mount, &mut found, |mount| {
        Some(Kind::Mount {
            at: read.path(&mount.at)?,
            what: mount.what.value.clone()?,
            fstype: mount.fstype.value.clone()?,
            options: text(&mount.options).unwrap_or_else(|| "nosuid,nodev".to_owned()),
        })
    });
    act(raw, &mut found, &mut read);
    if found.len() == 1 {
        return found.pop().flatten();
    }
    let words: Vec<&str> = [
        "run", "package", "upgrade", "file", "template", "line", "user", "service", "restart",
        "reload", "sysctl", "mount", "reboot", "stack", "zfs", "backup", "firewall", "check",
        "confirm", "pause",
    ]
    .to_vec();
    complaints.say(
        codes::ONE_KIND,
        format!("a step does one thing, this one does {}", found.len()),
        span,
        "exactly one kind",
        &format!("the kinds are {}", words.join(", ")),
    );
    None
}

fn act(raw: &Raw, found: &mut Vec<Option<Kind>>, read: &mut Read<'_, '_>) {
    let mut add = |act: Option<Act>| found.push(act.map(Kind::Act));
    if let Some(at) = &raw.reboot {
        add(at.value.map(|when| Act::Reboot {
            always: when == Reboot::Always,
        }));
    }
    if let Some(at) = &raw.stack {
        let stacks = at.value.as_ref();
        add(
            stacks.and_then(|stacks| match (&stacks.deploy, &stacks.update) {
                (Some(_), None) => Some(Act::Deploy(many(&stacks.deploy))),
                (None, Some(_)) => Some(Act::Update(many(&stacks.update))),
                (Some(_), Some(_)) | (None, None) => {
                    read.complaints.say(
                        own::ONE_OF,
                        "stacks are deployed or updated".to_owned(),
                        at.span,
                        "exactly one of `deploy` and `update`",
                        "for example `stack: {update: all}`",
                    );
                    None
                }
            }),
        );
    }
    if let Some(at) = &raw.zfs {
        let label = at.value.as_ref().and_then(|zfs| zfs.snapshot.value.clone());
        add(label.map(Act::Snapshot));
    }
    if let Some(at) = &raw.backup {
        add(at.value.map(|_| Act::Backup));
    }
    if let Some(at) = &raw.firewall {
        add(at.value.map(|_| Act::Firewall));
    }
    if let Some(at) = &raw.check {
        add(at.value.map(|_| Act::Check));
    }
    if let Some(at) = &raw.confirm {
        add(at.value.clone().map(Act::Confirm));
    }
    if let Some(at) = &raw.pause {
        let seconds = read.word::<Seconds>(at, own::INVALID_DURATION, "for example `30s`");
        add(seconds.map(|seconds| Act::Pause(seconds.0)));
    }
}

/// What reading a step needs.
struct Read<'a, 'c> {
    beside: &'a Beside<'a>,
    complaints: &'a mut Complaints<'c>,
}

impl Read<'_, '_> {
    fn word<T: std::str::FromStr<Err: std::fmt::Display>>(
        &mut self,
        at: &At<Text<T>>,
        code: crate::diagnostic::Code,
        help: &str,
    ) -> Option<T> {
        let text = &at.value.as_ref()?.text;
        match text.parse::<T>() {
            Ok(value) => Some(value),
            Err(error) => {
                self.complaints
                    .say(code, error.to_string(), at.span, "not understood", help);
                None
            }
        }
    }

    /// A path that is filled in later is looked at then.
    fn path(&mut self, at: &At<Text<AbsolutePath>>) -> Option<String> {
        let text = &at.value.as_ref()?.text;
        if text.contains("{{") {
            return Some(text.clone());
        }
        let help = "for example `/etc/motd`";
        self.word(at, own::INVALID_PATH, help).map(|path| path.0)
    }

    fn mode(&mut self, at: &May<Text<Mode>>) -> u32 {
        at.as_ref()
            .and_then(|at| self.word(at, own::INVALID_MODE, "for example `0644`"))
            .map_or(MODE, |mode| mode.0)
    }
}

fn each<T>(at: &May<T>, found: &mut Vec<Option<Kind>>, read: impl FnOnce(&T) -> Option<Kind>) {
    if let Some(at) = at {
        found.push(at.value.as_ref().and_then(read));
    }
}

fn text(at: &May<String>) -> Option<String> {
    at.as_ref().and_then(|at| at.value.clone())
}

fn root() -> String {
    "root".to_owned()
}

fn argv(at: &At<Vec<At<String>>>, read: &mut Read<'_, '_>) -> Option<Vec<String>> {
    let list = at.value.as_ref()?;
    if list.is_empty() {
        read.complaints.say(
            own::EMPTY,
            "a command without a program".to_owned(),
            at.span,
            "a program and its arguments",
            "for example `[systemctl, daemon-reload]`",
        );
        return None;
    }
    list.iter().map(|word| word.value.clone()).collect()
}
