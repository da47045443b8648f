//! Connections of closed flows are forgotten: rules let what is established pass.

use crate::apply::hands::World;
use crate::model::{address::Proto, ids::HostName};
use crate::providers::guard;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

pub use crate::providers::guard::Connection;

/// What became of a machine's connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flushed {
    /// So many were ended.
    Ended(usize),
    /// It cannot say what it tracks: what was open stays open.
    Unknown(String),
}

impl<P> World<P> {
    /// Ends, on each machine, the connections of which `is_closed` says so.
    pub async fn flush(
        &self,
        machines: &BTreeSet<HostName>,
        is_closed: impl Fn(&HostName, &Connection) -> bool,
    ) -> BTreeMap<HostName, Flushed> {
        let is_closed = &is_closed;
        let each = machines.iter().map(|machine| async move {
            let Ok(shell) = self.shell(machine) else {
                return (machine.clone(), Flushed::Ended(0));
            };
            let ended = async {
                let Some(all) = guard::connections(shell).await? else {
                    return Ok(Flushed::Unknown("conntrack is not installed".to_owned()));
                };
                let gone: Vec<Connection> = all
                    .connections
                    .into_iter()
                    // An echo is answered and over.
                    .filter(|connection| connection.proto != Proto::Icmp)
                    .filter(|connection| is_closed(machine, connection))
                    .collect();
                if gone.is_empty() {
                    return Ok(Flushed::Ended(0));
                }
                Ok(Flushed::Ended(guard::forget(shell, &gone).await?))
            };
            let outcome: Result<Flushed, crate::providers::shell::ShellError> = ended.await;
            let outcome = outcome.unwrap_or_else(|error| Flushed::Unknown(error.to_string()));
            (machine.clone(), outcome)
        });
        join_all(each).await.into_iter().collect()
    }
}
