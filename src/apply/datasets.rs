//! Datasets that may have a key: it goes from the secrets to the standard input of `zfs`, and nowhere else.

use super::{hands::World, walk::StepFailure};
use crate::model::ids::{DatasetName, HostName, SecretName, SystemName};
use crate::providers::zfs::{Zfs, ZfsWrite as _};
use std::collections::BTreeMap;

impl<P> World<P> {
    pub(super) async fn create_dataset(
        &self,
        host: &HostName,
        (dataset, system): (&DatasetName, &SystemName),
        properties: &BTreeMap<String, String>,
        key: Option<&SecretName>,
    ) -> Result<(), StepFailure> {
        let passphrase = key.map(|key| self.passphrase(key)).transpose()?;
        Zfs(self.shell(host)?)
            .create(dataset, system, properties, passphrase)
            .await?;
        Ok(())
    }

    pub(super) async fn load_key(
        &self,
        host: &HostName,
        dataset: &DatasetName,
        key: &SecretName,
    ) -> Result<(), StepFailure> {
        let passphrase = self.passphrase(key)?;
        Zfs(self.shell(host)?).load_key(dataset, passphrase).await?;
        Ok(())
    }

    fn passphrase(&self, key: &SecretName) -> Result<&str, StepFailure> {
        self.secrets.expose(key).ok_or_else(|| {
            StepFailure::told(
                format!("the secret {key} has no value"),
                "`secrets:` in the inventory says where it comes from.",
            )
        })
    }
}
