//! What may be typed behind `infra backup`.

use super::{check, drill, forget, jobs, keys, list, restore};
use crate::cli::{context::Context, failure::Failure};
use clap::Subcommand;

/// Backups with restic or borg
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum BackupVerb {
    Run(jobs::RunArgs),
    List(list::ListArgs),
    Restore(restore::RestoreArgs),
    Drill(drill::DrillArgs),
    Check(check::CheckArgs),
    Forget(forget::ForgetArgs),
    Keys(keys::KeysArgs),
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &BackupVerb) -> Result<u8, Failure> {
    match verb {
        BackupVerb::Run(args) => jobs::run(context, args),
        BackupVerb::List(args) => list::run(context, args),
        BackupVerb::Restore(args) => restore::run(context, args),
        BackupVerb::Drill(args) => drill::run(context, args),
        BackupVerb::Check(args) => check::run(context, args),
        BackupVerb::Forget(args) => forget::run(context, args),
        BackupVerb::Keys(args) => keys::run(context, args),
    }
}
