//! A filesystem's files made those of one of its snapshots, in place. `zfs rollback` would destroy every newer snapshot, the one
//! taken for safety included; this destroys none.

use super::{engine::Zfs, error::ZfsError};
use crate::model::snapshot::SnapshotId;
use crate::providers::shell::{Command, Shell};
use std::time::Duration;

/// Name of the script that makes a filesystem's files those of a snapshot. Arguments: dataset, the snapshot's short
/// name, and `look` to change nothing. Output: rsync's itemized lines.
pub const ROLL_FORWARD_SCRIPT: &str = "infra-zfs-roll-forward";

const ROLL_FORWARD: &str = include_str!("scripts/rollforward.sh");

/// Terabytes that differ.
const COPY_PATIENCE: Duration = Duration::from_hours(12);

impl<S: Shell> Zfs<'_, S> {
    /// What [`roll_forward`](Self::roll_forward) would change.
    ///
    /// # Errors
    /// The dataset is not mounted, its snapshot cannot be read, or the host has no rsync.
    pub async fn differing(&self, snapshot: &SnapshotId) -> Result<Vec<String>, ZfsError> {
        self.rsync(snapshot, &["look"]).await
    }

    /// Makes a mounted filesystem's files those of its snapshot, and proves it.
    ///
    /// # Errors
    /// As [`differing`](Self::differing), and when something still differs afterwards.
    pub async fn roll_forward(&self, snapshot: &SnapshotId) -> Result<Vec<String>, ZfsError> {
        let changed = self.rsync(snapshot, &[]).await?;
        let still = self.rsync(snapshot, &["look"]).await?;
        match still.first() {
            None => Ok(changed),
            Some(first) => Err(ZfsError::Partly {
                dataset: snapshot.dataset.to_string(),
                said: format!("{} things still differ, {first} first", still.len()),
            }),
        }
    }

    async fn rsync(&self, snapshot: &SnapshotId, look: &[&str]) -> Result<Vec<String>, ZfsError> {
        let command = Command::script(ROLL_FORWARD_SCRIPT, ROLL_FORWARD)
            .args([snapshot.dataset.as_str(), snapshot.name.as_str()])
            .args(look.iter().copied())
            .timeout(COPY_PATIENCE);
        let output = self.0.run(command).await?;
        if !output.is_success() {
            let (host, dataset) = (self.0.host().as_str(), snapshot.dataset.as_str());
            return Err(ZfsError::of(host, dataset, &output));
        }
        Ok(output.text().lines().map(str::to_owned).collect())
    }
}
