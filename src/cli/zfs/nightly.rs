//! What a night does of these verbs, in its own session.

use super::{
    look::{Choice, look},
    prune::{self, Limits, PruneArgs},
    replicate::{self, ReplicateArgs},
    snapshot::{self, SnapshotArgs},
    status,
};
use crate::cli::{context::Context, failure::Failure, session::Session};

const LIMITS: Limits = Limits {
    max_share: 50,
    clock_is_right: false,
};

/// Takes what is due.
pub(crate) async fn snapshot(context: &Context, session: &Session) -> Result<u8, Failure> {
    let args = SnapshotArgs {
        all: false,
        label: None,
        prune: false,
        limits: LIMITS,
    };
    snapshot::show(context, &args, session).await
}

/// Takes one of every dataset under a label that retention never touches.
pub(crate) async fn labelled(
    context: &Context,
    session: &Session,
    label: &str,
) -> Result<u8, Failure> {
    let args = SnapshotArgs {
        all: false,
        label: Some(label.to_owned()),
        prune: false,
        limits: LIMITS,
    };
    snapshot::show(context, &args, session).await
}

/// Destroys what no policy keeps, within the usual limits.
pub(crate) async fn prune(context: &Context, session: &Session) -> Result<u8, Failure> {
    let args = PruneArgs {
        plan: false,
        yes: true,
        limits: LIMITS,
    };
    prune::locked(context, session, &args).await
}

/// Brings every replica up to date.
pub(crate) async fn replicate(context: &Context, session: &Session) -> Result<u8, Failure> {
    let args = ReplicateArgs {
        what: Vec::new(),
        to: None,
        limit: None,
        replica: None,
        plan: false,
        limits: LIMITS,
    };
    replicate::carry_out(context, &args, session).await
}

/// Zpools and snapshots in Prometheus' text format; what could not be seen is missing.
pub(crate) async fn metrics(context: &Context, session: &Session) -> Result<String, Failure> {
    let desired = &session.desired;
    let choice = Choice::read(context, desired)?;
    let seen = look(desired, &session.hosts).await;
    Ok(status::prometheus(&status::report(desired, &seen, &choice)))
}
