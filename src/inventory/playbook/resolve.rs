//! Document -> playbook.

use super::{codes, kind::kind};
use crate::diagnostic::{Code, Diagnostic};
use crate::inventory::{
    codes as own,
    document::{Playbook as Document, Step as Raw},
    nearest::{did_you_mean, listed},
    source::{Sources, Span},
    written::{At, Many, May},
};
use crate::model::playbook::{Kind, Playbook, Step};
use std::collections::BTreeMap;

/// What a playbook is read with.
pub(super) struct Beside<'a> {
    pub(super) name: &'a str,
    /// Every file below the folder, by its path.
    pub(super) files: &'a BTreeMap<String, String>,
    pub(super) sources: &'a Sources,
}

/// Where problems go.
pub(super) struct Complaints<'a> {
    sources: &'a Sources,
    out: &'a mut Vec<Diagnostic>,
}

impl Complaints<'_> {
    pub(super) fn say(&mut self, code: Code, summary: String, span: Span, label: &str, help: &str) {
        let place = self.sources.place(span);
        self.out.push(
            Diagnostic::error(code, summary)
                .at(&place, label)
                .help(help),
        );
    }
}

/// Reads it; none when a part that everything else stands on is missing.
pub(super) fn resolve(
    document: &Document,
    beside: &Beside<'_>,
    out: &mut Vec<Diagnostic>,
) -> Option<Playbook> {
    let mut complaints = Complaints {
        sources: beside.sources,
        out,
    };
    let handlers: Vec<(String, Step)> = list(&document.handlers)
        .filter_map(|at| {
            let step = step(at, beside, true, &mut complaints)?;
            let named = at.value.as_ref().and_then(|raw| raw.name.as_ref());
            if named.is_none() {
                complaints.say(
                    own::MISSING_KEY,
                    "a handler has a `name`".to_owned(),
                    at.span,
                    "no name",
                    "`notify` of a step says which handler follows it",
                );
            }
            Some((step.title.clone(), step))
        })
        .collect();
    let names: Vec<String> = handlers.iter().map(|(name, _)| name.clone()).collect();
    let mut steps = Vec::new();
    for at in document.steps.value.iter().flatten() {
        let notify = at.value.as_ref().and_then(|raw| raw.notify.as_ref());
        let wanted = notify.and_then(|at| at.value.as_ref());
        for one in wanted.iter().flat_map(|many| &many.0) {
            let Some(name) = &one.value else { continue };
            if !names.contains(name) {
                let help = did_you_mean(name, names.iter().map(String::as_str))
                    .unwrap_or_else(|| format!("there is {}", listed(&names)));
                let text = format!("there is no handler `{name}`");
                complaints.say(codes::HANDLER, text, one.span, "unknown handler", &help);
            }
        }
        steps.extend(step(at, beside, false, &mut complaints));
    }
    if document.steps.value.as_ref().is_some_and(Vec::is_empty) {
        complaints.say(
            own::EMPTY,
            "a playbook without steps".to_owned(),
            document.steps.span,
            "no step",
            "write at least one",
        );
    }
    let serial = document.serial.as_ref().and_then(|at| at.value);
    if let (Some(0), Some(at)) = (serial, &document.serial) {
        complaints.say(
            own::OUT_OF_RANGE,
            "a batch of no hosts".to_owned(),
            at.span,
            "at least 1",
            "leave it out to do all hosts at once",
        );
    }
    let vars = document.vars.as_ref().and_then(|at| at.value.as_ref());
    Some(Playbook {
        name: beside.name.to_owned(),
        description: document.description.value.clone()?,
        hosts: document.hosts.value.clone()?,
        serial: serial.map(|count| count as usize),
        vars: vars
            .iter()
            .flat_map(|entries| &entries.0)
            .filter_map(|(key, value)| Some((key.value.clone()?, value.value.clone()?)))
            .collect(),
        steps,
        handlers,
    })
}

fn list<T>(at: &May<Vec<At<T>>>) -> impl Iterator<Item = &At<T>> {
    at.iter().flat_map(|at| at.value.iter().flatten())
}

/// The words of one or many.
pub(super) fn many(at: &May<Many<String>>) -> Vec<String> {
    at.iter()
        .flat_map(|at| &at.value)
        .flat_map(|many| &many.0)
        .filter_map(|one| one.value.clone())
        .collect()
}

/// The words of a list.
pub(super) fn words(at: &May<Vec<At<String>>>) -> Vec<String> {
    list(at).filter_map(|one| one.value.clone()).collect()
}

fn step(
    at: &At<Raw>,
    beside: &Beside<'_>,
    is_handler: bool,
    complaints: &mut Complaints<'_>,
) -> Option<Step> {
    let raw = at.value.as_ref()?;
    let kind = kind(raw, at.span, beside, complaints)?;
    let mut refuse = |code, what: &str, label, help| {
        complaints.say(code, what.to_owned(), at.span, label, help);
    };
    if let Kind::Run {
        creates: None,
        unless: None,
        ..
    } = &kind
        && !is_handler
    {
        refuse(
            codes::RUNS_ALWAYS,
            "this command would run every time",
            "neither `creates` nor `unless`",
            "say what is there afterwards (`creates: PATH`), or which command succeeds then (`unless: [...]`)",
        );
    }
    if matches!(kind, Kind::Restart(_) | Kind::Reload(_)) && !is_handler {
        refuse(
            codes::HANDLER,
            "only a handler starts a unit anew",
            "it would happen every time",
            "write it under `handlers:` with a name, and `notify: NAME` at the steps that it follows",
        );
    }
    let follows = matches!(kind, Kind::Run { .. } | Kind::Restart(_) | Kind::Reload(_));
    if is_handler && !follows {
        refuse(
            codes::HANDLER,
            "a handler restarts or reloads a unit, or runs a command",
            "this one does something else",
            "write it as a step",
        );
    }
    let text = |at: &May<String>| at.as_ref().and_then(|at| at.value.clone());
    Some(Step {
        title: text(&raw.name).unwrap_or_else(|| title(&kind)),
        place: beside.sources.place(at.span),
        kind,
        when: text(&raw.when),
        each: words(&raw.for_each),
        notify: many(&raw.notify),
    })
}

/// A step without a name is called by what it does.
fn title(kind: &Kind) -> String {
    match kind {
        Kind::Run { argv, .. } => format!("run {}", argv.join(" ")),
        Kind::Package(names) => format!("package {}", names.join(" ")),
        Kind::Upgrade => "packages brought up to date".to_owned(),
        Kind::File { path, .. } | Kind::NoFile(path) => format!("file {path}"),
        Kind::Line { path, .. } => format!("line in {path}"),
        Kind::User { name, .. } => format!("user {name}"),
        Kind::Service { name, .. } => format!("unit {name}"),
        Kind::Restart(name) => format!("restart {name}"),
        Kind::Reload(name) => format!("reload {name}"),
        Kind::Sysctl { key, .. } => format!("sysctl {key}"),
        Kind::Mount { at, .. } => format!("mount {at}"),
        Kind::Act(act) => format!("{act:?}").to_lowercase(),
    }
}
