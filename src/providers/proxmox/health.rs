//! What a doctor asks: rights, and how each node is.

use super::{
    client::Client,
    endpoint,
    error::{ProxmoxError, Refusal},
    request::Request,
    wire::{
        access::{Permissions, Version},
        node,
    },
};
use crate::model::{
    health::{NodeHealth, Rights},
    ids::Vmid,
};

impl Client {
    /// What the user or token of this client may do, by path.
    ///
    /// # Errors
    /// What the API said.
    pub async fn rights(&self) -> Result<Rights, ProxmoxError> {
        let request = Request::new(&endpoint::PERMISSIONS, &[]);
        let paths: Permissions = self.fetch(&request).await?;
        Ok(Rights(
            paths
                .into_iter()
                .map(|(path, privileges)| {
                    let reach = privileges.into_iter().map(|(name, below)| (name, below.0));
                    (path, reach.collect())
                })
                .collect(),
        ))
    }

    /// Which version of Proxmox VE answers.
    ///
    /// # Errors
    /// What the API said.
    pub async fn version(&self) -> Result<String, ProxmoxError> {
        let version: Version = self.fetch(&Request::new(&endpoint::VERSION, &[])).await?;
        Ok(version.version)
    }

    /// How a node is: version, clock, name servers, room on its root file system.
    ///
    /// # Errors
    /// What the API said.
    pub async fn health(&self, name: &str) -> Result<NodeHealth, ProxmoxError> {
        let status = Request::new(&endpoint::NODE_STATUS, &[name]);
        let time = Request::new(&endpoint::NODE_TIME, &[name]);
        let dns = Request::new(&endpoint::NODE_DNS, &[name]);
        let (status, time, dns) = tokio::try_join!(
            self.fetch::<node::Status>(&status),
            self.fetch::<node::Time>(&time),
            self.fetch::<node::Dns>(&dns),
        )?;
        Ok(NodeHealth {
            version: status.pveversion,
            time: time.time.0,
            timezone: time.timezone,
            name_servers: [dns.dns1, dns.dns2, dns.dns3]
                .into_iter()
                .flatten()
                .collect(),
            root_free: status.rootfs.avail.unsigned(),
            root_total: status.rootfs.total.unsigned(),
        })
    }

    /// Whether the agent in a guest answers.
    ///
    /// # Errors
    /// When the API itself did not answer, or lets nobody of our rights ask.
    pub async fn agent_answers(&self, node: &str, vmid: Vmid) -> Result<bool, ProxmoxError> {
        let number = vmid.to_string();
        let request = Request::new(&endpoint::AGENT_PING, &[node, number.as_str()]);
        match self.send(&request).await {
            Ok(_) => Ok(true),
            Err(error) if error.refusal() == Some(Refusal::Forbidden) => Err(error),
            Err(error) if error.refusal().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
