//! From `argv` to an exit code.

use super::{
    args::{Cli, Verb},
    context::Context,
    env::Env,
    exit,
    failure::Failure,
};
use crate::view::{Loudness, Terminal};
use clap::Parser as _;
use std::ffi::OsString;

/// Parses, runs, tells a failure, and gives the exit code.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> u8 {
    let argv: Vec<OsString> = argv.into_iter().collect();
    #[cfg(feature = "lab")]
    if let Some(code) = as_zfs(&argv) {
        return code;
    }
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => {
            // Clap knows which stream help and complaints go to.
            let _ = error.print();
            return if error.use_stderr() {
                exit::USAGE
            } else {
                exit::DONE
            };
        }
    };
    let env = Env::read();
    let terminal = Terminal::new(Loudness {
        quiet: cli.global.quiet,
        verbose: cli.global.verbose,
        plain: cli.global.no_color || env.no_color,
    });
    let narrow = if let Verb::Zfs(verb) = &cli.command {
        verb.narrows_to().map(str::to_owned)
    } else if let Verb::Stack(verb) = &cli.command {
        verb.narrows_to()
    } else {
        None
    };
    let context = Context {
        global: cli.global,
        env,
        terminal,
        narrow,
    };
    run(&context, cli.command).unwrap_or_else(|failure| failure.tell(context.terminal))
}

fn run(context: &Context, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Init(args) => super::init::run(context, &args),
        Verb::Check => super::check::run(context),
        Verb::Plan(args) => super::plan::run(context, &args),
        Verb::Up(args) => super::up::run(context, &args),
        Verb::Destroy(args) => super::destroy::run(context, &args),
        Verb::Import(args) => super::import::run(context, &args),
        Verb::Inventory(args) => super::inventory::run(context, &args),
        Verb::Status => super::status::run(context),
        Verb::Doctor => super::doctor::run(context),
        Verb::Verify => super::verify::run(context),
        Verb::Firewall(verb) => super::firewall::run(context, &verb),
        Verb::Images(verb) => super::images::run(context, &verb),
        Verb::Vm(verb) => super::vm::run(context, &verb),
        Verb::Zfs(verb) => super::zfs::run(context, &verb),
        Verb::Backup(verb) => super::backup::run(context, &verb),
        Verb::Dr(verb) => super::dr::run(context, &verb),
        Verb::Play(args) => super::play::run(context, &args),
        Verb::Nightly(args) => super::nightly::run(context, &args),
        Verb::Timers(verb) => super::timers::run(context, &verb),
        Verb::Secrets(verb) => super::secrets::run(context, &verb),
        Verb::Stack(verb) => super::stack::run(context, &verb),
        #[cfg(feature = "lab")]
        Verb::Lab(verb) => super::lab::run(context, &verb),
        Verb::Schema => Ok(super::manual::schema(context)),
        Verb::Completions { shell } => Ok(super::manual::completions(context, shell)),
        Verb::Man(args) => super::manual::man(context, &args),
    }
}

/// On the lab's node this binary stands in for `zfs`, `zpool` and what mount(8) calls for their filesystems.
#[cfg(feature = "lab")]
fn as_zfs(argv: &[OsString]) -> Option<u8> {
    let [program, args @ ..] = argv else {
        return None;
    };
    let name = std::path::Path::new(program).file_name()?.to_str()?;
    if !matches!(name, "zfs" | "zpool" | "mount.zfs") {
        return None;
    }
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    Some(crate::lab::zfs_twin::main(name, &args))
}
