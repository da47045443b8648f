//! Looking at and changing a host's UFW.

use super::{FACTS, command::words, error::UfwError, parse::parse_facts};
use crate::model::ufw::{Ufw, UfwStep, UfwSteps};
use crate::providers::shell::{Command, Shell};
use std::{future::Future, time::Duration};

/// Name of the script that changes UFW. Input: one step a line, words separated by TAB (`ufw allow ...`,
/// `ipv6 yes|no`, `enable`). Output: `==after==`, then what [`FACTS`] prints. Exit code of the first step that
/// failed, else 0; with no input it only looks.
pub const SCRIPT: &str = "infra-ufw";

const APPLY: &str = include_str!("scripts/apply.sh");

/// Each step starts a Python interpreter, on a busy small host a second's work.
const A_STEP: Duration = Duration::from_secs(5);

/// Looks at a host's UFW.
pub trait UfwRead {
    /// UFW as it is, none when it is not installed.
    fn ufw(&self) -> impl Future<Output = Result<Option<Ufw>, UfwError>> + Send;
}

/// Changes a host's UFW.
pub trait UfwWrite {
    /// Carries out the steps in order, and says what stands afterwards. Steps that are so already change nothing.
    fn carry_out(&self, steps: &UfwSteps) -> impl Future<Output = Result<Ufw, UfwError>> + Send;
}

/// UFW on the host of a shell.
#[derive(Debug)]
pub struct UfwClient<'a, S> {
    shell: &'a S,
}

impl<'a, S: Shell> UfwClient<'a, S> {
    /// UFW on this host.
    pub fn new(shell: &'a S) -> Self {
        Self { shell }
    }

    async fn run(&self, steps: &[UfwStep]) -> Result<Option<Ufw>, UfwError> {
        let host = || self.shell.host().clone();
        let lines: String = steps
            .iter()
            .map(|step| words(step).join("\t") + "\n")
            .collect();
        let count = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let command = Command::script(SCRIPT, &format!("{FACTS}\n{APPLY}"))
            .stdin(lines)
            .timeout(crate::providers::shell::DEFAULT_TIMEOUT + A_STEP * count.min(200));
        let output = self
            .shell
            .run(command)
            .await
            .map_err(|source| UfwError::Shell {
                host: host(),
                source,
            })?;
        if !output.is_success() {
            return Err(UfwError::Refused {
                host: host(),
                code: output.code,
                complaint: output.complaint(),
            });
        }
        let text = output.text();
        let garbled = |why: String| UfwError::Garbled { host: host(), why };
        let (_, after) = text
            .split_once("==after==\n")
            .ok_or_else(|| garbled("no `==after==` in the answer".to_owned()))?;
        Ok(parse_facts(after).map_err(garbled)?.ufw)
    }
}

impl<S: Shell> UfwRead for UfwClient<'_, S> {
    async fn ufw(&self) -> Result<Option<Ufw>, UfwError> {
        self.run(&[]).await
    }
}

impl<S: Shell> UfwWrite for UfwClient<'_, S> {
    async fn carry_out(&self, steps: &UfwSteps) -> Result<Ufw, UfwError> {
        let missing = |missing: String| UfwError::NotSo {
            host: self.shell.host().clone(),
            missing,
        };
        let after = self
            .run(&steps.0)
            .await?
            .ok_or_else(|| missing("it is not installed".to_owned()))?;
        match steps.0.iter().find_map(|step| undone(step, &after, steps)) {
            Some(what) => Err(missing(what)),
            None => Ok(after),
        }
    }
}

/// What a step was to bring about and did not.
fn undone(step: &UfwStep, after: &Ufw, steps: &UfwSteps) -> Option<String> {
    let shown = |rule: &UfwStep| words(rule).join(" ");
    let is_there = |rule| after.rules.contains(rule);
    let comes_back = |rule| {
        steps.0.iter().any(|other| match other {
            UfwStep::Append(new) | UfwStep::Prepend(new) => new == rule,
            UfwStep::Ipv6(_) | UfwStep::Delete(_) | UfwStep::Default(..) | UfwStep::Enable => false,
        })
    };
    let done = match step {
        UfwStep::Ipv6(on) => after.ipv6 == *on,
        UfwStep::Prepend(rule) | UfwStep::Append(rule) => is_there(rule),
        UfwStep::Delete(rule) => !is_there(rule) || comes_back(rule),
        UfwStep::Default(direction, action) => {
            use crate::model::ufw::UfwDirection::{In, Out, Route};
            let now = match direction {
                In => after.incoming,
                Out => after.outgoing,
                Route => after.routed,
            };
            now == *action
        }
        UfwStep::Enable => after.enabled,
    };
    (!done).then(|| format!("`{}` had no effect", shown(step)))
}
