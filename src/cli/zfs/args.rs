//! What may be typed behind `infra zfs`.

use super::{clone, coverage, hold, list, prune, replicate, retention, rollback, snapshot, status};
use crate::cli::{
    context::Context,
    failure::Failure,
    plan::PlanArgs,
    up::{Called, UpArgs},
};
use clap::Subcommand;

/// Snapshots, retention, and the health of zpools
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ZfsVerb {
    /// Show what would change at datasets; `infra plan` narrowed to them
    Plan(PlanArgs),
    /// Carry it out; `infra up` narrowed to datasets
    Apply(UpArgs),
    Snapshot(snapshot::SnapshotArgs),
    List(list::ListArgs),
    Prune(prune::PruneArgs),
    Retention(retention::RetentionArgs),
    Rollback(rollback::RollbackArgs),
    Clone(clone::CloneArgs),
    Hold(hold::HoldArgs),
    Release(hold::HoldArgs),
    Replicate(replicate::ReplicateArgs),
    /// Say which datasets and volumes are in no snapshot schedule or no backup
    Coverage,
    Status(status::StatusArgs),
}

impl ZfsVerb {
    /// The selector of verbs that are another one narrowed.
    pub(crate) fn narrows_to(&self) -> Option<&'static str> {
        matches!(self, Self::Plan(_) | Self::Apply(_)).then_some("dataset/*")
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &ZfsVerb) -> Result<u8, Failure> {
    match verb {
        ZfsVerb::Plan(args) => crate::cli::plan::run(context, args),
        ZfsVerb::Apply(args) => {
            let called = Called::new("zfs apply", "zfs plan");
            let args = UpArgs {
                called,
                ..args.clone()
            };
            crate::cli::up::run(context, &args)
        }
        ZfsVerb::Snapshot(args) => snapshot::run(context, args),
        ZfsVerb::List(args) => list::run(context, args),
        ZfsVerb::Prune(args) => prune::run(context, args),
        ZfsVerb::Retention(args) => retention::run(context, args),
        ZfsVerb::Rollback(args) => rollback::run(context, args),
        ZfsVerb::Clone(args) => clone::run(context, args),
        ZfsVerb::Hold(args) => hold::run(context, args, true),
        ZfsVerb::Release(args) => hold::run(context, args, false),
        ZfsVerb::Replicate(args) => replicate::run(context, args),
        ZfsVerb::Coverage => coverage::run(context),
        ZfsVerb::Status(args) => status::run(context, args),
    }
}
