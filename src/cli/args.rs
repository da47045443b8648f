//! What may be typed. The doc comments are the manual.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Run a Proxmox/ZFS homelab from one inventory.
///
/// stdout is the answer, stderr is the talk. Exit codes: 0 done, 1 failed, 2 usage, 3 inventory invalid, 4 changes
/// pending (only with --exit-code), 5 unreachable, 6 partly applied, 7 locked by another run, 8 plan is stale, 9 reverted
/// by the guard, 10 release rolled back, 11 refused by policy, 12 a check failed, 130 interrupted.
#[derive(Debug, Parser)]
#[command(
    name = "infra",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Inventory folder; by default the only one under `inventory/`
    #[arg(
        short,
        long,
        global = true,
        value_name = "DIR",
        env = "INFRA_INVENTORY"
    )]
    pub(crate) inventory: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only what matches: host names with `*`, `@zone`, `node/NAME`, `stack/NAME`, separated by commas
    #[arg(long, global = true, value_name = "SELECTOR")]
    pub(crate) on: Option<String>,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Say only answers and failures
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// No colour (also `NO_COLOR`)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,
    /// Speak to the built-in lab instead of the real machines
    #[arg(long, global = true)]
    pub(crate) lab: bool,
    /// The lab's folder
    #[arg(long, global = true, value_name = "DIR", env = "INFRA_LAB_DIR")]
    pub(crate) lab_dir: Option<PathBuf>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Init(super::init::InitArgs),
    /// Check the inventory offline, every problem at once
    Check,
    Plan(super::plan::PlanArgs),
    Up(super::up::UpArgs),
    Destroy(super::destroy::DestroyArgs),
    Import(super::import::ImportArgs),
    Inventory(super::inventory::InventoryArgs),
    /// Show what runs, where, how healthy
    Status,
    /// Look for what would make `up` fail: rights, storages, bridges, clocks, name servers, agents, room
    ///
    /// Asks and writes nothing. Exits with 12 when something is bad, with 5 when something could not be asked.
    Doctor,
    /// Run the system's own checks against the live system
    ///
    /// Exits with 12 when a check fails, with 5 when a machine that was to ask did not answer.
    Verify,
    /// Look at the flow matrix, explain it, apply it under a guard, prove it
    #[command(subcommand)]
    Firewall(super::firewall::FirewallVerb),
    /// Look at images, pin their checksums
    #[command(subcommand)]
    Images(super::images::ImagesVerb),
    /// Work with guests
    #[command(subcommand)]
    Vm(super::vm::VmVerb),
    /// Snapshots, what is kept of them, and the health of zpools
    #[command(subcommand)]
    Zfs(super::zfs::ZfsVerb),
    /// Backups: run, look, check, drill, bring back
    #[command(subcommand)]
    Backup(super::backup::BackupVerb),
    /// Disaster recovery: the runbook, and the run that carries it out
    #[command(subcommand)]
    Dr(super::dr::DrVerb),
    Play(super::play::PlayArgs),
    Nightly(super::nightly::NightlyArgs),
    /// Nightly jobs that begin by themselves
    #[command(subcommand)]
    Timers(super::timers::TimersVerb),
    /// Secrets: where they come from, who uses them, new values
    #[command(subcommand)]
    Secrets(super::secrets::SecretsVerb),
    /// Compose stacks: deploy, look at, take back
    #[command(subcommand)]
    Stack(super::stack::StackVerb),
    /// Try everything without a server: a Proxmox node with real guests on this machine
    #[cfg(feature = "lab")]
    #[command(subcommand)]
    Lab(super::lab::LabVerb),
    /// Print the JSON Schema of inventory files, for editors
    Schema,
    /// Print shell completions
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    Man(super::manual::ManArgs),
}
