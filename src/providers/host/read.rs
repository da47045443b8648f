//! Reading a host.

use super::{command, error::HostError, parse::parse_facts};
use crate::model::facts::{FactsRequest, HostFacts};
use crate::providers::shell::{Shell, ShellError, short};
use std::future::Future;

/// Looks at a host and touches nothing.
pub trait HostRead {
    /// Everything that was asked for, in one exec.
    fn facts(
        &self,
        request: &FactsRequest,
    ) -> impl Future<Output = Result<HostFacts, HostError>> + Send;
}

impl<S: Shell> HostRead for S {
    async fn facts(&self, request: &FactsRequest) -> Result<HostFacts, HostError> {
        let command = command::facts(request).map_err(|unspeakable| HostError::Unspeakable {
            host: self.host().clone(),
            what: unspeakable.0,
        })?;
        let shown = short(&command);
        let output = self.demand(command).await?;
        parse_facts(request, &output.text()).map_err(|why| {
            HostError::Shell(ShellError::Garbled {
                host: self.host().clone(),
                command: shown,
                why,
            })
        })
    }
}
