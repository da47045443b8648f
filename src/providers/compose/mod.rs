//! Docker and compose over a shell.
//!
//! A release lives in `/opt/infra/stacks/<stack>/releases/<id>`; the link `current` beside it says which one runs. Compose
//! always gets `current` as its project directory, so the source of a bind mount is the same path in every release, and
//! Docker resolves it when it makes or starts a container. A path with the id in it would change every service's
//! configuration with every release; with the link, only a changed label ([`crate::model::release::ReleaseService::release`])
//! makes a container anew. The project name is the stack's. Data is never below a release: compose files name it by absolute
//! path, and only release files by relative path.
//!
//! [`deploy`] stages the files and proves the mounts, pulls and checks every image, flips the link and calls compose, and then
//! watches health by its own rules; what fails after the flip is flipped back. Each step is one script in one exec; [`script`]
//! documents their names, inputs and outputs.
//!
//! Invariant: nothing is stopped before its successor's images are present and made for this machine.
//! Invariant: `docker compose --dry-run`, `config --hash` and `up --wait` are never trusted, and volumes are never removed.
//! Invariant: a container without our label for this system is never stopped or removed.

mod client;
mod command;
mod deploy;
mod error;
mod history;
mod parse;
mod redact;
mod registry;
pub mod script;

pub use client::Compose;
pub use command::{LogRequest, enter, exec, follow};
pub use deploy::{DataError, DataGuard, Deployed, Step, Unguarded, deploy, go_back};
pub use error::ComposeError;
pub use history::{Flip, History};
pub use parse::{Ailing, Health, PulledImage, Staged, parse_facts};
pub use redact::redact;
pub use registry::{Tag, Tags};
pub use script::FACTS;

use crate::model::{
    ids::{StackName, SystemName},
    release::Release,
    secret::SecretValues,
};
use std::{collections::BTreeMap, future::Future};

/// What changes nothing.
pub trait ComposeRead: Send + Sync {
    /// Runs a command in the running container of a service; a non-zero exit is an answer.
    fn exec(
        &self,
        stack: &StackName,
        service: &str,
        argv: &[String],
    ) -> impl Future<Output = Result<crate::providers::shell::Output, ComposeError>> + Send;

    /// The releases that the stack had; none when it was never deployed.
    fn history(
        &self,
        stack: &StackName,
    ) -> impl Future<Output = Result<Option<History>, ComposeError>> + Send;

    /// What the containers of a stack wrote, secrets replaced by their names.
    fn logs(
        &self,
        request: &LogRequest<'_>,
        secrets: &SecretValues,
    ) -> impl Future<Output = Result<String, ComposeError>> + Send;

    /// What tags stand for today, asked of their registries by the host's engine.
    fn tags(&self, images: &[String]) -> impl Future<Output = Result<Tags, ComposeError>> + Send;

    /// The texts of files of the release that runs; a file that is not there is absent.
    fn files(
        &self,
        stack: &StackName,
        paths: &[String],
    ) -> impl Future<Output = Result<BTreeMap<String, String>, ComposeError>> + Send;

    /// Waits until every service of the release is well, or says which is not. `seconds` may be 0 for a single look.
    fn health(
        &self,
        release: &Release,
        secrets: &SecretValues,
        seconds: u32,
    ) -> impl Future<Output = Result<Health, ComposeError>> + Send;
}

/// What changes a host.
pub trait ComposeWrite: ComposeRead {
    /// Proves the mounts, makes the directories and writes the release's files beside those of other releases.
    fn stage(
        &self,
        release: &Release,
        secrets: &SecretValues,
    ) -> impl Future<Output = Result<Staged, ComposeError>> + Send;

    /// Asks compose whether the staged files are valid, pulls what is absent, and checks what each image is made for.
    fn pull(
        &self,
        release: &Release,
    ) -> impl Future<Output = Result<Vec<PulledImage>, ComposeError>> + Send;

    /// Makes a staged release the current one and brings it up; `anew` names services whose containers are made anew even
    /// if compose sees no reason. Returns the release that was current.
    fn up(
        &self,
        release: &Release,
        anew: &[String],
    ) -> impl Future<Output = Result<Option<String>, ComposeError>> + Send;

    /// Goes back to an earlier release that is still staged.
    fn back_to(
        &self,
        release: &Release,
        previous: &str,
    ) -> impl Future<Output = Result<(), ComposeError>> + Send;

    /// Stops the containers of a stack and proves it. Nothing is removed.
    fn halt(
        &self,
        stack: &StackName,
        system: &SystemName,
    ) -> impl Future<Output = Result<(), ComposeError>> + Send;

    /// Stops and removes the containers, networks, unit and release files of a stack. Volumes and data stay.
    fn remove(
        &self,
        stack: &StackName,
        system: &SystemName,
    ) -> impl Future<Output = Result<(), ComposeError>> + Send;
}
