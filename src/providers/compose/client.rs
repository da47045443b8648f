//! The scripts, run and understood.

use super::{
    ComposeRead, ComposeWrite,
    command::{self, LogRequest},
    error::ComposeError,
    history::{self, History},
    parse::{self, Health, PulledImage, Staged},
    redact::redact,
    registry::{self, Tags},
    script,
};
use crate::model::{
    ids::{StackName, SystemName},
    release::Release,
    secret::SecretValues,
};
use crate::providers::shell::{Command, Output, Shell, ShellError, short};
use std::collections::BTreeMap;

/// A stack without a folder of its own.
const NEVER_DEPLOYED: i32 = 81;

/// Compose on the host of a shell.
#[derive(Debug)]
pub struct Compose<'s, S> {
    shell: &'s S,
}

impl<'s, S: Shell> Compose<'s, S> {
    /// Compose on this shell's host.
    pub fn new(shell: &'s S) -> Self {
        Self { shell }
    }

    fn failed(&self, name: &str, output: &Output) -> ComposeError {
        let host = self.shell.host().clone();
        let complaint = output.complaint();
        if complaint.contains("No space left on device")
            || complaint.contains("no space left on device")
        {
            return ComposeError::DiskFull {
                host,
                why: complaint,
            };
        }
        let code = if output.signal.is_some() {
            -1
        } else {
            output.code
        };
        ComposeError::Shell(ShellError::Failed {
            host,
            command: name.to_owned(),
            code,
            complaint,
        })
    }

    fn garbled(&self, name: &str, why: String) -> ComposeError {
        ComposeError::Shell(ShellError::Garbled {
            host: self.shell.host().clone(),
            command: name.to_owned(),
            why,
        })
    }

    /// What a script did that leaves containers of others alone.
    fn ours(&self, name: &str, stack: &StackName, output: &Output) -> Result<(), ComposeError> {
        if output.is_success() {
            return Ok(());
        }
        if output.code == 61 {
            return Err(ComposeError::Foreign {
                host: self.shell.host().clone(),
                stack: stack.clone(),
                containers: parse::values(&output.text(), "foreign /"),
            });
        }
        Err(self.failed(name, output))
    }

    async fn flip(
        &self,
        release: &Release,
        command: Command,
    ) -> Result<Option<String>, ComposeError> {
        let output = self.shell.run(command).await?;
        match output.code {
            0 if output.is_success() => Ok(parse::previous(&output.text())),
            41 => Err(ComposeError::NotStarted {
                host: self.shell.host().clone(),
                stack: release.stack.clone(),
                why: output.complaint(),
                previous: parse::previous(&output.text()),
                services: vec![],
            }),
            _ => Err(self.failed(script::UP_NAME, &output)),
        }
    }
}

/// The one value that a script printed before it gave up.
fn said(output: &Output, head: &str) -> Option<String> {
    parse::values(&output.text(), head).into_iter().next()
}

impl<S: Shell> ComposeRead for Compose<'_, S> {
    async fn exec(
        &self,
        stack: &StackName,
        service: &str,
        argv: &[String],
    ) -> Result<Output, ComposeError> {
        let command = command::exec(stack, service, argv);
        let name = short(&command);
        let output = self.shell.run(command).await?;
        if output.code == 71 {
            return Err(self.failed(&name, &output));
        }
        Ok(output)
    }

    async fn history(&self, stack: &StackName) -> Result<Option<History>, ComposeError> {
        let output = self.shell.run(command::history(stack)).await?;
        if output.code == NEVER_DEPLOYED {
            return Ok(None);
        }
        if !output.is_success() {
            return Err(self.failed(script::HISTORY_NAME, &output));
        }
        history::parse(&output.text())
            .map(Some)
            .map_err(|why| self.garbled(script::HISTORY_NAME, why))
    }

    async fn logs(
        &self,
        request: &LogRequest<'_>,
        secrets: &SecretValues,
    ) -> Result<String, ComposeError> {
        let output = self.shell.run(command::logs(request)).await?;
        if output.is_success() {
            Ok(redact(&output.text(), secrets))
        } else {
            Err(self.failed(script::LOGS_NAME, &output))
        }
    }

    async fn tags(&self, images: &[String]) -> Result<Tags, ComposeError> {
        let output = self.shell.run(command::digests(images)).await?;
        if !output.is_success() {
            return Err(self.failed(script::DIGESTS_NAME, &output));
        }
        registry::parse(&output.text()).map_err(|why| self.garbled(script::DIGESTS_NAME, why))
    }

    async fn files(
        &self,
        stack: &StackName,
        paths: &[String],
    ) -> Result<BTreeMap<String, String>, ComposeError> {
        let output = self.shell.run(command::files(stack, paths)).await?;
        if !output.is_success() {
            return Err(self.failed(script::FILES_NAME, &output));
        }
        parse::files(&output.stdout).map_err(|why| self.garbled(script::FILES_NAME, why))
    }

    async fn health(
        &self,
        release: &Release,
        secrets: &SecretValues,
        seconds: u32,
    ) -> Result<Health, ComposeError> {
        let output = self.shell.run(command::health(release, seconds)).await?;
        if !matches!(output.code, 0 | 51) || output.signal.is_some() {
            return Err(self.failed(script::HEALTH_NAME, &output));
        }
        parse::health(&redact(&output.text(), secrets))
            .map_err(|why| self.garbled(script::HEALTH_NAME, why))
    }
}

impl<S: Shell> ComposeWrite for Compose<'_, S> {
    async fn stage(
        &self,
        release: &Release,
        secrets: &SecretValues,
    ) -> Result<Staged, ComposeError> {
        let command =
            command::stage(release, secrets).map_err(|secret| ComposeError::MissingSecret {
                stack: release.stack.clone(),
                secret,
            })?;
        let output = self.shell.run(command).await?;
        if output.is_success() {
            return Ok(parse::staged(&output.text()));
        }
        let (host, stack) = (self.shell.host().clone(), release.stack.clone());
        if output.code == 21 {
            if let Some(path) = said(&output, "missing-mount ") {
                return Err(ComposeError::MissingMount { host, stack, path });
            }
            if let Some(path) = said(&output, "bare-mount ") {
                let dataset = release.datasets.get(&path).map(ToString::to_string);
                return Err(ComposeError::BareMount {
                    host,
                    stack,
                    dataset: dataset.unwrap_or_default(),
                    path,
                });
            }
        }
        Err(self.failed(script::STAGE_NAME, &output))
    }

    async fn pull(&self, release: &Release) -> Result<Vec<PulledImage>, ComposeError> {
        let output = self.shell.run(command::pull(release)).await?;
        if output.is_success() {
            return Ok(parse::images(&output.text()));
        }
        let host = self.shell.host().clone();
        let why = output.complaint();
        if let ComposeError::DiskFull { host, why } = self.failed(script::PULL_NAME, &output) {
            return Err(ComposeError::DiskFull { host, why });
        }
        if output.code == 31 {
            return Err(ComposeError::Invalid {
                host,
                stack: release.stack.clone(),
                why,
            });
        }
        if let Some(image) = said(&output, "not-pulled ") {
            return Err(ComposeError::NotPulled { host, image, why });
        }
        if let Some(line) = said(&output, "wrong-architecture ") {
            let words: Vec<&str> = line.split(' ').collect();
            if let [image, have, want] = words.as_slice() {
                return Err(ComposeError::WrongArchitecture {
                    host,
                    image: (*image).to_owned(),
                    have: (*have).to_owned(),
                    want: (*want).to_owned(),
                });
            }
        }
        Err(self.failed(script::PULL_NAME, &output))
    }

    async fn up(&self, release: &Release, anew: &[String]) -> Result<Option<String>, ComposeError> {
        self.flip(release, command::up(release, anew)).await
    }

    async fn back_to(&self, release: &Release, previous: &str) -> Result<(), ComposeError> {
        self.flip(release, command::flip(release, previous))
            .await
            .map(drop)
    }

    async fn halt(&self, stack: &StackName, system: &SystemName) -> Result<(), ComposeError> {
        let output = self.shell.run(command::halt(stack, system)).await?;
        self.ours(script::HALT_NAME, stack, &output)
    }

    async fn remove(&self, stack: &StackName, system: &SystemName) -> Result<(), ComposeError> {
        let output = self.shell.run(command::remove(stack, system)).await?;
        self.ours(script::REMOVE_NAME, stack, &output)
    }
}
