//! A playbook, filled in for one host.

use crate::diagnostic::{Diagnostic, Label};
use crate::model::{
    ids::HostName,
    playbook::{Act, Kind, Playbook, Step},
    secret::Piece,
};
use crate::template;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a step may know of its host, as `host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Name.
    pub name: HostName,
    /// `node`, `guest` or `host`.
    pub kind: &'static str,
    /// Address.
    pub address: String,
    /// Login.
    pub user: String,
    /// VMID of a guest.
    pub vmid: Option<u32>,
    /// Node of a guest.
    pub node: Option<String>,
}

/// One step of one host, with nothing left to fill in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The step's number.
    pub step: usize,
    /// In words.
    pub title: String,
    /// What.
    pub kind: Kind,
    /// Handlers.
    pub notify: Vec<String>,
}

impl Task {
    /// What is done rather than compared.
    pub fn act(&self) -> Option<&Act> {
        match &self.kind {
            Kind::Act(act) => Some(act),
            Kind::Run { .. }
            | Kind::Package(_)
            | Kind::Upgrade
            | Kind::File { .. }
            | Kind::NoFile(_)
            | Kind::Line { .. }
            | Kind::User { .. }
            | Kind::Service { .. }
            | Kind::Restart(_)
            | Kind::Reload(_)
            | Kind::Sysctl { .. }
            | Kind::Mount { .. } => None,
        }
    }
}

/// Handlers by the name that `notify` has.
pub(super) type Handlers = Vec<(String, Task)>;

/// The tasks of a host, and its handlers by name.
///
/// # Errors
/// Every text that cannot be filled in, with the step's place.
pub fn tasks(
    playbook: &Playbook,
    host: &Host,
    vars: &BTreeMap<String, String>,
) -> Result<(Vec<Task>, Handlers), Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut tasks = Vec::new();
    for (number, step) in playbook.steps.iter().enumerate() {
        let each: Vec<Option<&String>> = if step.each.is_empty() {
            vec![None]
        } else {
            step.each.iter().map(Some).collect()
        };
        for item in each {
            let filling = Filling {
                step,
                context: context(host, vars, item),
            };
            match filling.task(number) {
                Ok(Some(task)) => tasks.push(task),
                Ok(None) => {}
                Err(found) => problems.extend(found),
            }
        }
    }
    let mut handlers = Vec::new();
    for (number, (name, step)) in playbook.handlers.iter().enumerate() {
        let filling = Filling {
            step,
            context: context(host, vars, None),
        };
        match filling.task(playbook.steps.len() + number) {
            Ok(Some(task)) => handlers.push((name.clone(), task)),
            Ok(None) => {}
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok((tasks, handlers))
    } else {
        Err(problems)
    }
}

fn context(host: &Host, vars: &BTreeMap<String, String>, item: Option<&String>) -> Value {
    let mut out = json!({
        "host": {
            "name": host.name, "kind": host.kind, "address": host.address, "user": host.user,
            "vmid": host.vmid.map(|vmid| vmid.to_string()).unwrap_or_default(),
            "node": host.node.clone().unwrap_or_default(),
        }
    });
    for (name, value) in vars {
        out[name] = value.clone().into();
    }
    if let Some(item) = item {
        out["item"] = item.clone().into();
    }
    out
}

/// One step and what it knows.
struct Filling<'a> {
    step: &'a Step,
    context: Value,
}

type Filled<T> = Result<T, Vec<Diagnostic>>;

impl Filling<'_> {
    /// Problems point at the step: what stands inside a text has no line of its own.
    fn text(&self, text: &str) -> Filled<String> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(text.to_owned());
        }
        let place = &self.step.place;
        let rendered = template::render(&place.file, text, &self.context, &BTreeSet::new());
        let content = rendered.map_err(|found| {
            let here = |mut problem: Diagnostic| {
                problem.labels = vec![Label {
                    place: place.clone(),
                    text: "in this step".to_owned(),
                }];
                problem
            };
            found.into_iter().map(here).collect::<Vec<_>>()
        })?;
        let pieces = content.0.into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Secret(_) | Piece::Quoted(_) => String::new(),
        });
        Ok(pieces.collect())
    }

    fn texts(&self, all: &[String]) -> Filled<Vec<String>> {
        all.iter().map(|text| self.text(text)).collect()
    }

    fn task(&self, number: usize) -> Filled<Option<Task>> {
        if let Some(when) = &self.step.when {
            let asked = format!("{{% if {when} %}}yes{{% endif %}}");
            if self.text(&asked)? != "yes" {
                return Ok(None);
            }
        }
        Ok(Some(Task {
            step: number,
            title: self.text(&self.step.title)?,
            kind: self.kind()?,
            notify: self.step.notify.clone(),
        }))
    }

    fn kind(&self) -> Filled<Kind> {
        Ok(match &self.step.kind {
            Kind::Run {
                argv,
                creates,
                unless,
            } => Kind::Run {
                argv: self.texts(argv)?,
                creates: creates.as_ref().map(|path| self.text(path)).transpose()?,
                unless: unless.as_ref().map(|argv| self.texts(argv)).transpose()?,
            },
            Kind::Package(names) => Kind::Package(self.texts(names)?),
            Kind::Upgrade => Kind::Upgrade,
            Kind::File {
                path,
                content,
                template,
                owner,
                group,
                mode,
            } => Kind::File {
                path: self.text(path)?,
                content: if *template {
                    self.text(content)?
                } else {
                    content.clone()
                },
                template: *template,
                owner: self.text(owner)?,
                group: self.text(group)?,
                mode: *mode,
            },
            Kind::NoFile(path) => Kind::NoFile(self.text(path)?),
            Kind::Line { path, line, starts } => Kind::Line {
                path: self.text(path)?,
                line: self.text(line)?,
                starts: starts.as_ref().map(|text| self.text(text)).transpose()?,
            },
            Kind::User {
                name,
                shell,
                groups,
                keys,
            } => Kind::User {
                name: self.text(name)?,
                shell: self.text(shell)?,
                groups: self.texts(groups)?,
                keys: keys.as_ref().map(|keys| self.texts(keys)).transpose()?,
            },
            Kind::Service {
                name,
                enabled,
                active,
            } => Kind::Service {
                name: self.text(name)?,
                enabled: *enabled,
                active: *active,
            },
            Kind::Restart(name) => Kind::Restart(self.text(name)?),
            Kind::Reload(name) => Kind::Reload(self.text(name)?),
            Kind::Sysctl { key, value } => Kind::Sysctl {
                key: self.text(key)?,
                value: self.text(value)?,
            },
            Kind::Mount {
                at,
                what,
                fstype,
                options,
            } => Kind::Mount {
                at: self.text(at)?,
                what: self.text(what)?,
                fstype: self.text(fstype)?,
                options: self.text(options)?,
            },
            Kind::Act(act) => Kind::Act(match act {
                Act::Deploy(names) => Act::Deploy(self.texts(names)?),
                Act::Update(names) => Act::Update(self.texts(names)?),
                Act::Snapshot(label) => Act::Snapshot(self.text(label)?),
                Act::Confirm(text) => Act::Confirm(self.text(text)?),
                Act::Reboot { .. } | Act::Backup | Act::Firewall | Act::Check | Act::Pause(_) => {
                    act.clone()
                }
            }),
        })
    }
}
