//! Telling people, with every known secret taken out first.

use super::args::NightlyArgs;
use crate::cli::{context::Context, session, system::System};
use crate::model::{nights::Target, secret::SecretValues};
use crate::providers::{
    compose::redact,
    notify::{Kind, Message, tell},
};
use crate::secrets::{self, Identities, Surroundings};
use futures_util::future::join_all;
use std::{cell::Cell, path::PathBuf};

/// Those whom the inventory names, ready to be told.
pub(super) struct Voice {
    pub(super) system: String,
    lab: bool,
    targets: Vec<(String, Target)>,
    folder: PathBuf,
    /// What the targets need. One without a value silences its own target only.
    secrets: SecretValues,
    /// Those of the session, once it is open.
    known: SecretValues,
    /// Somebody was told of a failure.
    pub(super) has_told: Cell<bool>,
    /// How often somebody could not be told.
    pub(super) unheard: Cell<usize>,
}

impl Voice {
    /// Reads what telling needs, and nothing else: it must work when the rest does not.
    pub(super) fn of(context: &Context, args: &NightlyArgs, system: &System) -> Self {
        let desired = &system.desired;
        let is_silent = args.no_notify || (context.global.lab && !args.notify);
        let nights = desired.nights.as_ref().filter(|_| !is_silent);
        let surroundings = Surroundings {
            folder: &system.folder,
            variables: &context.env.variables,
            identities: Identities::read(&session::key_files(context)),
        };
        let mut values = SecretValues::default();
        for name in nights.iter().flat_map(|nights| nights.secrets()) {
            let one = std::slice::from_ref(name);
            if let Ok(found) = secrets::resolve(&desired.secrets, one, &surroundings)
                && let Some(value) = found.expose(name)
            {
                values.insert(name.clone(), value.to_owned().into());
            }
        }
        Self {
            system: desired.system.to_string(),
            lab: context.global.lab,
            targets: nights
                .iter()
                .flat_map(|nights| nights.notify.clone())
                .collect(),
            folder: system.folder.clone(),
            secrets: values,
            known: SecretValues::default(),
            has_told: Cell::new(false),
            unheard: Cell::new(0),
        }
    }

    /// From now on these are taken out too.
    pub(super) fn hide(&mut self, secrets: &SecretValues) {
        self.known = secrets.clone();
    }

    /// A text without secrets.
    pub(super) fn clean(&self, text: &str) -> String {
        redact(&redact(text, &self.known), &self.secrets)
    }

    /// Tells everybody whom it concerns, all at once; who could not be told is complained about.
    pub(super) async fn say(&self, context: &Context, kind: Kind, title: &str, text: &str) {
        let lab = if self.lab { "[lab] " } else { "" };
        let message = Message {
            kind,
            system: self.system.clone(),
            title: self.clean(&format!("{lab}{title}")),
            text: self.clean(text),
        };
        let concerned = self
            .targets
            .iter()
            .filter(|(_, target)| kind.is_urgent() || !target.failures_only);
        let sent = concerned.map(|(name, target)| {
            let message = &message;
            async move { (name, target, self.one(target, message).await) }
        });
        for (name, target, result) in join_all(sent).await {
            match result {
                Ok(()) if kind.is_urgent() => self.has_told.set(true),
                Ok(()) => {}
                Err(why) => {
                    self.unheard.set(self.unheard.get() + 1);
                    let word = target.channel.word();
                    context
                        .terminal
                        .complain(&self.clean(&format!("{name} ({word}) was not told: {why}")));
                }
            }
        }
    }

    async fn one(&self, target: &Target, message: &Message) -> Result<(), String> {
        let ca = match &target.ca {
            None => None,
            Some(file) => Some(
                std::fs::read_to_string(self.folder.join(file))
                    .map_err(|error| format!("failed to read {file}: {error}"))?,
            ),
        };
        tell(&target.channel, &self.secrets, ca.as_deref(), message)
            .await
            .map_err(|error| format!("failed to {error}"))
    }
}
