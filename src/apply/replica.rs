//! Makes a far dataset have what a near one has: looks at both sides, sends what `replication` says comes next, looks
//! again. It ends when the far side has the newest snapshot by its guid, or says why it cannot.

use crate::model::{
    ids::{DatasetName, SnapshotName, SystemName},
    snapshot::SnapshotId,
};
use crate::providers::{
    shell::{Shell as _, ShellError},
    ssh::{SshHost, carry},
    zfs::{
        self, Zfs, ZfsError, ZfsRead as _, ZfsWrite as _,
        transfer::{Ending, Sending, abort, ending, far_state, on_one_host, receive, send},
    },
};
use crate::replication::{Base, Divergence, Far, Near, Next, after, doubt, next, tag, unmarked};

/// A stream that is cut again and again is somebody else's problem.
const CUTS: usize = 3;

/// One pair of datasets.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The system whose snapshots are replicated.
    pub system: &'a SystemName,
    /// Name of the replica: in the tags and bookmarks that keep its base.
    pub replica: &'a str,
    /// Host of the source.
    pub near: &'a SshHost,
    /// Source.
    pub source: &'a DatasetName,
    /// Host of the target.
    pub far: &'a SshHost,
    /// Target.
    pub target: &'a DatasetName,
    /// Bytes a second; then the data pass through this machine even within one host.
    pub limit: Option<u64>,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The far side has the newest snapshot, by its guid.
    UpToDate {
        /// Its name on the near side.
        newest: SnapshotName,
    },
    /// There is nothing of this system to send.
    NoSnapshot,
    /// Nothing can go on top of what the far side has. Nothing was sent.
    Diverged(Divergence),
    /// ZFS refused.
    Refused {
        /// What was being done.
        step: String,
        /// ZFS's words.
        said: String,
    },
}

/// What was done, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Steps that were carried out.
    pub steps: Vec<String>,
    /// How it ended.
    pub end: End,
}

/// Why it is not known how it ended.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// There is no such dataset.
    #[error("find {dataset} on {host}")]
    NoSource {
        /// Source.
        dataset: DatasetName,
        /// Its host.
        host: String,
    },
    /// A snapshot went over and is not there.
    #[error(
        "find what was sent in {target}: both commands ended well, and the snapshot with guid {guid} is not there"
    )]
    Vanished {
        /// Target.
        target: DatasetName,
        /// Its guid.
        guid: u64,
    },
    /// ZFS on one of the hosts.
    #[error("replicate {dataset}")]
    Zfs {
        /// The dataset that it was about.
        dataset: DatasetName,
        /// Why.
        #[source]
        source: ZfsError,
    },
    /// The way between the hosts.
    #[error("carry {dataset}")]
    Way {
        /// The dataset that was carried.
        dataset: DatasetName,
        /// Why.
        #[source]
        source: ShellError,
    },
}

/// Looks at both sides.
///
/// # Errors
/// When a side gives no answer, or there is no source.
pub async fn look(job: &Job<'_>) -> Result<(Near, Far), ReplicaError> {
    let zfs = |dataset: &DatasetName| {
        let dataset = dataset.clone();
        move |source| ReplicaError::Zfs { dataset, source }
    };
    let here = Zfs(job.near)
        .dataset(job.source)
        .await
        .map_err(zfs(job.source))?;
    let Some(view) = here.datasets.get(job.source) else {
        return Err(ReplicaError::NoSource {
            dataset: job.source.clone(),
            host: job.near.host().to_string(),
        });
    };
    let near = Near {
        dataset: job.source.clone(),
        snapshots: view.snapshots.clone(),
        bookmarks: view.bookmarks.clone(),
        is_encrypted: view.is_unlocked.is_some(),
        version: here.version.clone(),
    };
    let there = Zfs(job.far)
        .dataset(job.target)
        .await
        .map_err(zfs(job.target))?;
    let mut far = Far {
        dataset: job.target.clone(),
        exists: false,
        snapshots: Vec::new(),
        token: None,
        written_since: None,
        version: there.version.clone(),
    };
    if let Some(view) = there.datasets.get(job.target) {
        far.exists = true;
        far.snapshots.clone_from(&view.snapshots);
        let since = near.common(&far).map(|common| common.name.clone());
        (far.token, far.written_since) = far_state(job.far, job.target, since.as_ref())
            .await
            .map_err(zfs(job.target))?;
    }
    Ok((near, far))
}

/// Replicates one pair. `say` hears of each step before it is taken.
///
/// # Errors
/// When a side gives no answer, or what was sent is not there.
pub async fn replicate(job: &Job<'_>, say: &dyn Fn(&str)) -> Result<Report, ReplicaError> {
    let (mut steps, mut cuts, mut is_token_fresh) = (Vec::new(), 0, true);
    let mut last: Option<u64> = None;
    loop {
        let (near, far) = look(job).await?;
        if let Some(doubt) = doubt(&near, &far).filter(|_| steps.is_empty()) {
            say(&doubt);
        }
        let (sending, guid) = match next(&near, &far, job.system) {
            Next::NoSnapshot => return Ok(report(steps, End::NoSnapshot)),
            Next::Diverged(how) => return Ok(report(steps, End::Diverged(how))),
            Next::Nothing { newest, guid } => {
                keep(job, &near, &far, guid).await?;
                return Ok(report(steps, End::UpToDate { newest }));
            }
            Next::Resume { token } => (Sending::Resume { token }, None),
            Next::Full { to, guid, raw } => {
                let snapshot = id(job.source, &to);
                (Sending::Full { snapshot, raw }, Some(guid))
            }
            Next::Incremental {
                from,
                to,
                guid,
                through,
                raw,
                theirs,
            } => {
                if !theirs.is_empty() {
                    let names: Vec<&str> = theirs.iter().map(SnapshotName::as_str).collect();
                    say(&format!(
                        "{} has snapshots of its own, which stay: {}",
                        job.target,
                        names.join(", ")
                    ));
                }
                let base = match from {
                    Base::Snapshot(name) => format!("@{name}"),
                    Base::Bookmark(name) => format!("#{name}"),
                };
                let sending = Sending::Incremental {
                    base,
                    snapshot: id(job.source, &to),
                    through,
                    raw,
                };
                (sending, Some(guid))
            }
        };
        if let Some(guid) = guid.filter(|guid| last == Some(*guid)) {
            return Err(ReplicaError::Vanished {
                target: job.target.clone(),
                guid,
            });
        }
        let step = told(&sending);
        say(&format!("{} -> {}: {step}", job.source, job.target));
        match transfer(job, &sending, !far.exists).await? {
            Ending::Arrived => {
                last = guid;
                steps.push(step);
            }
            // What arrived is kept over there, and the next look finds the token.
            Ending::Cut { .. } if cuts < CUTS => {
                cuts += 1;
                steps.push(format!("{step}: cut"));
            }
            // A token that one side does not take is of no use to anybody: start over, once.
            Ending::TokenRejected { .. } if is_token_fresh => {
                is_token_fresh = false;
                say(&format!(
                    "{}: the interrupted receive cannot go on; it starts over",
                    job.target
                ));
                forget(job).await?;
                steps.push(format!("{step}: rejected, started over"));
            }
            Ending::Cut { said } | Ending::TokenRejected { said } | Ending::Refused { said } => {
                return Ok(report(steps, End::Refused { step, said }));
            }
        }
    }
}

fn report(steps: Vec<String>, end: End) -> Report {
    Report { steps, end }
}

fn id(dataset: &DatasetName, name: &SnapshotName) -> SnapshotId {
    SnapshotId {
        dataset: dataset.clone(),
        name: name.clone(),
    }
}

/// A step as people read it.
pub fn told(sending: &Sending) -> String {
    match sending {
        Sending::Full { snapshot, .. } => format!("all of @{}", snapshot.name),
        Sending::Incremental {
            base,
            snapshot,
            through,
            ..
        } => {
            let between = if *through { " with those between" } else { "" };
            format!("{base} to @{}{between}", snapshot.name)
        }
        Sending::Resume { .. } => "the rest of an interrupted stream".to_owned(),
    }
}

async fn transfer(job: &Job<'_>, sending: &Sending, is_new: bool) -> Result<Ending, ReplicaError> {
    let zfs = |source| ReplicaError::Zfs {
        dataset: job.source.clone(),
        source,
    };
    // Held before it travels: a prune on the way must not take it.
    if let Sending::Full { snapshot, .. } | Sending::Incremental { snapshot, .. } = sending {
        Zfs(job.near)
            .hold(&tag(job.replica), std::slice::from_ref(snapshot))
            .await
            .map_err(zfs)?;
    }
    if job.near.host() == job.far.host() && job.limit.is_none() {
        return on_one_host(job.near, sending, job.target, is_new)
            .await
            .map_err(zfs);
    }
    let carried = carry(
        job.near.target(),
        &send(sending),
        job.far.target(),
        &receive(job.target, is_new),
        job.limit,
    )
    .await
    .map_err(|source| ReplicaError::Way {
        dataset: job.source.clone(),
        source,
    })?;
    Ok(ending(sending, &carried.sent, &carried.received))
}

async fn forget(job: &Job<'_>) -> Result<(), ReplicaError> {
    abort(job.far, job.target)
        .await
        .map_err(|source| ReplicaError::Zfs {
            dataset: job.target.clone(),
            source,
        })
}

/// Keeps the common base: first the new one on both sides, then the old one goes.
async fn keep(job: &Job<'_>, near: &Near, far: &Far, guid: u64) -> Result<(), ReplicaError> {
    let zfs = |source| ReplicaError::Zfs {
        dataset: job.source.clone(),
        source,
    };
    let (tag, keeping) = (tag(job.replica), after(near, far, job.replica, guid));
    let (here, there) = (Zfs(job.near), Zfs(job.far));
    here.hold(&tag, &keeping.hold_near).await.map_err(zfs)?;
    there.hold(&tag, &keeping.hold_far).await.map_err(zfs)?;
    if let Some((snapshot, name)) = &keeping.bookmark {
        zfs::bookmark(job.near, snapshot, name).await.map_err(zfs)?;
    }
    here.release(&tag, &keeping.release_near)
        .await
        .map_err(zfs)?;
    there
        .release(&tag, &keeping.release_far)
        .await
        .map_err(zfs)?;
    for name in &keeping.drop_bookmarks {
        here.destroy_bookmark(job.source, name).await.map_err(zfs)?;
    }
    there
        .mark(job.system, &unmarked(near, far, job.system))
        .await
        .map_err(zfs)?;
    Ok(())
}
