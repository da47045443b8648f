//! What a playbook does rather than compares.

use super::{args::PlayArgs, batch::Seen, stacks};
use crate::cli::{
    backup,
    context::Context,
    exit,
    failure::{Failure, failed},
    firewall,
    session::{Lab, Session},
    verify, zfs,
};
use crate::model::{ids::HostName, playbook::Act};
use crate::providers::{
    host::HostRead as _,
    shell::{Command, Shell as _},
    ssh::SshHost,
};
use std::{
    cell::Cell,
    time::{Duration, Instant},
};

/// Services get so long to answer before a check counts.
const PATIENCE: Duration = Duration::from_secs(30);
/// A host that is not back by then is looked after by its owner.
const BOOT: Duration = Duration::from_mins(10);
/// Snapshots of one label are apart by this.
const NEXT_NAME: Duration = Duration::from_secs(1);
const REBOOT_REQUIRED: &str = "/run/reboot-required";

/// An act with what it is done to.
pub(super) struct Doing<'a> {
    pub(super) context: &'a Context,
    pub(super) args: &'a PlayArgs,
    pub(super) session: &'a Session,
    pub(super) lab: Option<&'a Lab>,
    /// Whether anything of the batch changes: what only goes before a change is left out without one.
    pub(super) changes: bool,
    /// When the last snapshot was taken.
    pub(super) snapshot: Cell<Option<Instant>>,
}

/// An act in words, for `--check` and for the question.
pub(super) fn words(act: &Act, hosts: &[HostName]) -> String {
    let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
    let hosts = hosts.join(", ");
    match act {
        Act::Reboot { always: true } => format!("reboot {hosts}, one after the other"),
        Act::Reboot { always: false } => format!("reboot {hosts} where it is asked for"),
        Act::Deploy(names) => format!("deploy stacks ({}) on {hosts}", names.join(", ")),
        Act::Update(names) => format!("update stacks ({}) on {hosts}", names.join(", ")),
        Act::Snapshot(label) => format!("snapshot all datasets as `{label}`"),
        Act::Backup => "run all backup jobs".to_owned(),
        Act::Firewall => "bring the firewall in line".to_owned(),
        Act::Check => "ask the system's checks".to_owned(),
        Act::Confirm(text) => format!("ask: {text}"),
        Act::Pause(seconds) => format!("wait {seconds} s"),
    }
}

/// Whether an act changes something by itself; what only prepares or asks does not.
pub(super) async fn is_pending(
    context: &Context,
    session: &Session,
    act: &Act,
    hosts: &[HostName],
    seen: &Seen,
) -> Result<bool, Failure> {
    Ok(match act {
        Act::Reboot { .. } => hosts.iter().any(|host| {
            let found = seen.compared.get(host);
            found.is_some_and(|found| found.wants_reboot)
        }),
        Act::Deploy(names) => {
            let names = stacks::named(session, names, hosts)?;
            let plan = stacks::pending(context, session, &names).await?;
            !plan.changes.is_empty()
        }
        Act::Update(names) => {
            let names = stacks::named(session, names, hosts)?;
            let words: Vec<String> = names.iter().map(ToString::to_string).collect();
            let moved = crate::cli::stack::moved(context, session, &words).await?;
            moved
                || !stacks::pending(context, session, &names)
                    .await?
                    .changes
                    .is_empty()
        }
        Act::Firewall => firewall::is_pending(context, session).await?,
        Act::Snapshot(_) | Act::Backup | Act::Check | Act::Confirm(_) | Act::Pause(_) => false,
    })
}

impl Doing<'_> {
    /// Does it. Anything but 0 ends the play.
    pub(super) async fn act(&self, act: &Act, hosts: &[HostName]) -> Result<u8, Failure> {
        let (context, session) = (self.context, self.session);
        match act {
            Act::Reboot { always } => {
                for host in hosts {
                    self.reboot(host, *always).await?;
                }
                Ok(exit::DONE)
            }
            Act::Deploy(names) => {
                let names = stacks::named(session, names, hosts)?;
                Ok(stacks::deploy(context, session, &names).await?.0)
            }
            Act::Update(names) => {
                let names = stacks::named(session, names, hosts)?;
                stacks::update(context, session, self.lab, &names).await
            }
            Act::Firewall => firewall::unattended(context, session, self.lab).await,
            Act::Check => {
                let checks = &session.desired.checks;
                verify::shown(context, session, checks, PATIENCE).await
            }
            Act::Snapshot(_) | Act::Backup | Act::Confirm(_) | Act::Pause(_) if !self.changes => {
                Ok(exit::DONE)
            }
            Act::Snapshot(label) => {
                if session.desired.zpools.is_empty() {
                    return Ok(exit::DONE);
                }
                // Names have seconds, and a batch may take less than one.
                if let Some(last) = self.snapshot.get() {
                    tokio::time::sleep(NEXT_NAME.saturating_sub(last.elapsed())).await;
                }
                let mut whole = context.in_folder(&session.world.folder);
                whole.global.on = None;
                let code = zfs::nightly::labelled(&whole, session, label).await?;
                self.snapshot.set(Some(Instant::now()));
                Ok(code)
            }
            Act::Backup => {
                let mut whole = context.in_folder(&session.world.folder);
                whole.global.on = None;
                let came = backup::jobs::run_jobs(&whole, session, &[], false).await?;
                Ok(backup::jobs::show(&whole, &came))
            }
            Act::Confirm(text) => self.confirm(text),
            Act::Pause(seconds) => {
                tokio::time::sleep(Duration::from_secs(u64::from(*seconds))).await;
                Ok(exit::DONE)
            }
        }
    }

    fn confirm(&self, text: &str) -> Result<u8, Failure> {
        let terminal = self.context.terminal;
        if self.args.yes {
            terminal.tell(&format!("{text} Agreed beforehand."));
            return Ok(exit::DONE);
        }
        if !terminal.can_ask() {
            return Err(Failure::new(exit::USAGE, "there is nobody to ask")
                .because(text.to_owned())
                .hint("Agree beforehand with `--yes`."));
        }
        match terminal.ask(&format!("{text} [yes / no]")).as_deref() {
            Some("yes" | "y") => Ok(exit::DONE),
            Some(_) | None => Err(Failure::new(exit::FAILED, "you did not agree")
                .hint("What was done before this step stays done.")),
        }
    }

    async fn reboot(&self, host: &HostName, always: bool) -> Result<(), Failure> {
        let shell = self.session.hosts.get(host).ok_or_else(|| {
            Failure::new(
                exit::UNREACHABLE,
                format!("the inventory gives no shell access to {host}"),
            )
        })?;
        let asked = shell
            .run(Command::new(["test", "-e", REBOOT_REQUIRED]))
            .await
            .map_err(|error| failed(&error))?;
        if !(asked.is_success() || always && self.changes) {
            return Ok(());
        }
        self.context.terminal.tell(&format!("{host} reboots ..."));
        let before = boot_id(shell).await?;
        // The connection may go before the answer comes; what counts is the next boot.
        let _ = shell
            .run(Command::new(["systemctl", "reboot"]).timeout(Duration::from_secs(20)))
            .await;
        let begun = Instant::now();
        loop {
            if let Ok(now) = boot_id(shell).await
                && now != before
            {
                self.context.terminal.tell(&format!("{host} is back."));
                return Ok(());
            }
            if begun.elapsed() > BOOT {
                return Err(Failure::new(
                    exit::UNREACHABLE,
                    format!(
                        "{host} did not come back within {} minutes",
                        BOOT.as_secs() / 60
                    ),
                )
                .hint(format!(
                    "Look at its console: `{}`.",
                    self.context.again(&format!("vm console {host}"))
                )));
            }
            tokio::time::sleep(self.session.world.pause.max(Duration::from_millis(50))).await;
        }
    }
}

async fn boot_id(shell: &SshHost) -> Result<String, Failure> {
    let facts = shell
        .facts(&crate::model::facts::FactsRequest::default())
        .await;
    facts
        .map(|facts| facts.boot_id)
        .map_err(|error| Failure::of(exit::UNREACHABLE, &error))
}
