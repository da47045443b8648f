//! `infra lab up|down|status|reset`: the built-in lab's life.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    system,
};
use crate::lab::{
    folder::LabFolder,
    namespace::{Missing, missing},
    run::{self, RunError, Settings, Status, Up},
    state::{LabKind, LabState},
};
use crate::model::desired::Desired;
use crate::view::words;
use clap::{Args, Subcommand, ValueEnum};
use std::{ffi::OsString, fmt::Write as _, path::PathBuf};

/// Try everything without a server
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LabVerb {
    /// Start a lab for the inventory, in the background, and wait until it is ready
    Up(LabArgs),
    /// End the lab and remove everything from the machine; disks stay
    Down,
    /// Tell whether the lab is up, where it is, and which images are stand-ins
    Status,
    /// End the lab and forget its guests, datasets and keys; the cache stays
    Reset,
    /// Break something in the lab, to see what infra makes of it
    #[command(subcommand)]
    Fault(super::lab_fault::FaultVerb),
    /// Hold a lab in the foreground until it is interrupted
    Serve(LabArgs),
}

/// How a lab behaves.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LabArgs {
    /// How its guests are made; by default real ones where this machine can, else scripted ones
    #[arg(long, value_enum)]
    pub(crate) kind: Option<Kind>,
    /// Factor on the lab's delays: 1 waits as long as a real node does
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1, value_parser = factor)]
    pub(crate) clock: f64,
}

/// The kinds of guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Real Debian systems in namespaces; needs root and a few packages
    Namespace,
    /// In memory, over real SSH: no root, up in a second; runs no services and carries no packets
    Scripted,
}

/// The kind that was asked for, else the best that this machine can run; with the reason when that is the lesser one.
fn choose(args: LabArgs, desired: &Desired) -> (LabKind, Option<String>) {
    match args.kind {
        Some(Kind::Namespace) => (LabKind::Namespace, None),
        Some(Kind::Scripted) => (LabKind::Scripted, None),
        None if desired.nodes.len() > 1 => {
            let why = "real guests know one node, and the inventory has several".to_owned();
            (LabKind::Scripted, Some(why))
        }
        None => {
            let missing: Vec<String> = missing().iter().map(ToString::to_string).collect();
            if missing.is_empty() {
                (LabKind::Namespace, None)
            } else {
                let why = format!("real ones need {}", missing.join(", "));
                (LabKind::Scripted, Some(why))
            }
        }
    }
}

fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && (0.0..=10.0).contains(&factor) => Ok(factor),
        Ok(_) | Err(_) => Err("write a number from 0 to 10, for example 0.1".to_owned()),
    }
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &LabVerb) -> Result<u8, Failure> {
    let folder = folder(context)?;
    match verb {
        LabVerb::Up(args) => up(context, &folder, *args),
        LabVerb::Down => down(context, &folder),
        LabVerb::Status => status(context, &folder),
        LabVerb::Reset => {
            run::reset(&folder).map_err(told)?;
            answer(
                context,
                "The lab is down and has forgotten everything.",
                "down",
            );
            Ok(exit::DONE)
        }
        LabVerb::Fault(verb) => super::lab_fault::run(context, &folder, verb),
        LabVerb::Serve(args) => serve(context, folder, *args),
    }
}

/// The lab's folder, as an absolute path: what the lab makes on the machine is named after it.
pub(super) fn folder(context: &Context) -> Result<LabFolder, Failure> {
    let path = std::path::absolute(context.lab_folder()).map_err(|error| failed(&error))?;
    Ok(LabFolder::new(path))
}

fn up(context: &Context, folder: &LabFolder, args: LabArgs) -> Result<u8, Failure> {
    // Whatever is wrong with the inventory is said here, not in the log of a process in the background.
    let system = system::load(context)?;
    let (kind, why) = choose(args, &system.desired);
    if let Some(why) = why {
        context.terminal.tell(&format!(
            "The lab's guests are scripted ones, in memory: {why}. What only a real guest can answer will be reported \
             as not proven."
        ));
    }
    let command = [
        OsString::from(program()?),
        "lab".into(),
        "serve".into(),
        "--kind".into(),
        kind.to_string().into(),
        "--clock".into(),
        args.clock.to_string().into(),
        "--lab-dir".into(),
        folder.root().into(),
        "--inventory".into(),
        system.folder.into(),
    ];
    let begun = std::time::Instant::now();
    let mut say = |line: &str| context.terminal.tell(&format!("  {line}"));
    let up = run::up(folder, &command, &mut say).map_err(told)?;
    let (state, text) = match &up {
        Up::Already(state) => (state, "is up already".to_owned()),
        Up::Now(state) => {
            let seconds = begun.elapsed().as_secs_f64();
            (state, format!("is up after {seconds:.1} s"))
        }
    };
    if args.kind.is_some() && state.kind != kind {
        let text = format!("the lab that is up has {} guests", state.kind);
        return Err(Failure::new(exit::USAGE, text)
            .hint("End it first: `infra lab down`, or use another folder: `--lab-dir DIR`."));
    }
    if state.system != system.desired.system.as_str() {
        let text = format!("the lab that is up was made for `{}`", state.system);
        return Err(Failure::new(exit::USAGE, text)
            .hint("End it first: `infra lab down`, or use another folder: `--lab-dir DIR`."));
    }
    if context.global.json {
        context.terminal.json(&public(state));
    } else {
        context.terminal.answer(&format!(
            "The lab for {} ({} guests) {text}. Next: `{}`.\n",
            state.system,
            state.kind,
            context.again("--lab up")
        ));
    }
    Ok(exit::DONE)
}

fn down(context: &Context, folder: &LabFolder) -> Result<u8, Failure> {
    let had_something = run::down(folder).map_err(told)?;
    let text = if had_something {
        "The lab is down; nothing of it is left on the machine but its folder."
    } else {
        "The lab was not up."
    };
    answer(context, text, "down");
    Ok(exit::DONE)
}

fn status(context: &Context, folder: &LabFolder) -> Result<u8, Failure> {
    let place = folder.root().display();
    let (word, text, detail) = match run::status(folder).map_err(told)? {
        Status::Up(state) => {
            let stand_ins = words::count(
                state.stand_ins.len(),
                "image is a stand-in",
                "images are stand-ins",
            );
            let images = match state.kind {
                LabKind::Namespace => format!("{stand_ins}:"),
                LabKind::Scripted => "in memory: services and packets need real guests".to_owned(),
            };
            let api = state.api.as_ref().map_or_else(
                || "no node".to_owned(),
                |api| format!("API {}", api.address),
            );
            let mut text = format!(
                "The lab for {} is up in {place}: {} guests, {api}, clock {}, {images}\n",
                state.system, state.kind, state.clock
            );
            for (image, runs) in &state.stand_ins {
                let _ = writeln!(text, "  {image}: {runs}");
            }
            ("up", text, public(&state))
        }
        Status::Busy { pid } => (
            "busy",
            format!("The lab in {place} is starting or ending (process {pid}).\n"),
            serde_json::json!({ "pid": pid }),
        ),
        Status::Dead { remains } => {
            let text = format!(
                "The process of the lab in {place} is gone; left behind: {}.\nRun `{}`.\n",
                remains.join(", "),
                context.again("lab down")
            );
            ("dead", text, serde_json::json!({ "remains": remains }))
        }
        Status::Down => (
            "down",
            format!("No lab is up in {place}.\n"),
            serde_json::json!({}),
        ),
    };
    if context.global.json {
        let answer = serde_json::json!({ "status": word, "folder": folder.root(), "lab": detail });
        context.terminal.json(&answer);
    } else {
        context.terminal.answer(&text);
    }
    Ok(exit::DONE)
}

fn serve(context: &Context, folder: LabFolder, args: LabArgs) -> Result<u8, Failure> {
    let system = system::load(context)?;
    let settings = Settings {
        kind: choose(args, &system.desired).0,
        folder,
        cache: context.env.cache.join("lab"),
        clock: args.clock,
        program: program()?,
        proxy: context.env.proxy(),
    };
    let terminal = context.terminal;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    runtime
        .block_on(run::serve(&system.desired, &settings, move |line| {
            terminal.tell(line);
        }))
        .map_err(told)?;
    Ok(exit::DONE)
}

/// This very program, to be started again and to play `zfs` on the node.
fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| failed(&error))
}

/// The state without its secret: answers end up in logs.
fn public(state: &LabState) -> serde_json::Value {
    let mut value = serde_json::json!(state);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("token_secret");
    }
    value
}

fn answer(context: &Context, text: &str, status: &str) {
    if context.global.json {
        context
            .terminal
            .json(&serde_json::json!({ "status": status }));
    } else {
        context.terminal.answer(&format!("{text}\n"));
    }
}

/// A lab that takes orders.
pub(super) fn require_up(context: &Context, folder: &LabFolder) -> Result<(), Failure> {
    if let Status::Up(_) = run::status(folder).map_err(told)? {
        return Ok(());
    }
    let text = format!("no lab is up in {}", folder.root().display());
    Err(Failure::new(exit::UNREACHABLE, text)
        .hint(format!("Start one: `{}`.", context.again("lab up"))))
}

pub(super) fn told(error: RunError) -> Failure {
    let code = match &error {
        RunError::Held { .. } => exit::LOCKED,
        RunError::Machine { .. } | RunError::NoNode | RunError::Refused { .. } => exit::USAGE,
        RunError::Namespace(_)
        | RunError::Scripted(_)
        | RunError::Images(_)
        | RunError::Api(_)
        | RunError::File { .. }
        | RunError::State { .. }
        | RunError::Process { .. }
        | RunError::Ended { .. } => exit::FAILED,
    };
    let failure = Failure::of(code, &error);
    match error {
        RunError::Machine { missing } => {
            let packages: Vec<&str> = missing.iter().filter_map(Missing::package).collect();
            let failure =
                failure.hint("Guests in memory need nothing: `infra lab up --kind scripted`.");
            if packages.is_empty() {
                failure
            } else {
                failure.hint(format!(
                    "Install them: `apt install {}`.",
                    packages.join(" ")
                ))
            }
        }
        RunError::Ended { .. } | RunError::Namespace(_) => {
            failure.hint("Clean up and look again: `infra lab down`, then `infra lab up`.")
        }
        RunError::Held { .. }
        | RunError::NoNode
        | RunError::Refused { .. }
        | RunError::Scripted(_)
        | RunError::Images(_)
        | RunError::Api(_)
        | RunError::File { .. }
        | RunError::State { .. }
        | RunError::Process { .. } => failure,
    }
}
