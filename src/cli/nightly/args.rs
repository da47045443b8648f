//! What may be typed behind `infra nightly`.

use super::{run as night, unit_failed};
use crate::cli::{context::Context, failure::Failure};
use crate::model::nights::Job;
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser as _},
};

/// Run the night: every job in order, with one summary.
///
/// Snapshots, prune, replicas, backups, drills, checks, drift, certificates, images. A job that fails stops no other one and is told
/// at once to those whom `nights:` names; the summary comes at the end. The timers of `infra timers install` call this.
#[derive(Debug, Clone, Args)]
pub(crate) struct NightlyArgs {
    /// Only this job; nobody is told unless it fails (can be repeated)
    #[arg(
        long,
        value_name = "JOB",
        value_parser = PossibleValuesParser::new(Job::ALL.map(Job::word)).map(|word| {
            Job::ALL.into_iter().find(|job| job.word() == word).unwrap_or(Job::Check)
        })
    )]
    pub(crate) job: Vec<Job>,
    /// Tell nobody
    #[arg(long)]
    pub(crate) no_notify: bool,
    /// Tell people about the lab too
    #[arg(long, conflicts_with = "no_notify")]
    pub(crate) notify: bool,
    /// Minutes to wait for a run that is going on
    #[arg(long, value_name = "MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=1440))]
    pub(crate) wait: u64,
    /// Tell that a unit failed which could not tell so itself; systemd calls this
    #[arg(long, hide = true, conflicts_with_all = ["job", "no_notify"])]
    pub(crate) failed: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, args: &NightlyArgs) -> Result<u8, Failure> {
    if args.failed {
        unit_failed::run(context, args)
    } else {
        night::run(context, args)
    }
}
