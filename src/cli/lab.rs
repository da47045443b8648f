//! `infra lab`: the built-in world to try everything in.

use super::{
    context::Context,
    exit,
    failure::{Failure, failed},
    system,
};
use crate::lab::{
    folder::LabFolder,
    run::{self, RunError, Settings, Status, Up},
    state::LabState,
};
use crate::view::palette;
use clap::{Args, Subcommand};
use std::{ffi::OsString, fmt::Write as _, path::PathBuf};

/// Run the built-in lab.
///
/// A Proxmox-compatible API, a node and guests that are real Debian systems in namespaces (needs root on Linux). It lives in one
/// folder, touches nothing else of this machine, and `infra --lab ...` speaks to it instead of the real machines.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LabVerb {
    /// Start the lab for the inventory
    Up(LabArgs),
    /// End the lab and remove what it made; guests' disks stay
    Down,
    /// Say whether it is up
    Status,
    /// End the lab and forget its guests
    Reset,
    /// Hold a lab in the foreground
    #[command(hide = true)]
    Serve(LabArgs),
}

/// How a lab is made.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LabArgs {
    /// Factor on the lab's delays; 1 is real time
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1)]
    pub(crate) clock: f64,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, verb: &LabVerb) -> Result<u8, Failure> {
    let folder = LabFolder::new(context.lab_folder());
    match verb {
        LabVerb::Up(args) => up(context, &folder, *args),
        LabVerb::Down => {
            let was_up = run::down(&folder).map_err(|error| told(&error))?;
            context.terminal.tell(if was_up {
                "The lab is down."
            } else {
                "No lab was up."
            });
            Ok(exit::DONE)
        }
        LabVerb::Status => status(context, &folder),
        LabVerb::Reset => {
            run::reset(&folder).map_err(|error| told(&error))?;
            context
                .terminal
                .tell("The lab is down and has forgotten its guests.");
            Ok(exit::DONE)
        }
        LabVerb::Serve(args) => serve(context, folder, *args),
    }
}

fn told(error: &RunError) -> Failure {
    let failure = failed(error);
    match error {
        RunError::Machine { missing } => {
            let told: Vec<String> = missing.iter().map(ToString::to_string).collect();
            failure.hint(format!("It needs {}.", told.join(", ")))
        }
        RunError::Held { .. } => failure.hint("Wait for it, or end it: `infra lab down`."),
        RunError::Ended { .. } => failure.hint("`infra lab down` removes what it left."),
        RunError::Namespace(_)
        | RunError::Images(_)
        | RunError::Api(_)
        | RunError::File { .. }
        | RunError::State { .. }
        | RunError::Process { .. } => failure,
        #[expect(clippy::wildcard_enum_match_arm, reason = "the rest says it all")]
        _ => failure,
    }
}

/// The same command line as ours, with `serve`.
fn serving(context: &Context, args: LabArgs) -> Result<Vec<OsString>, Failure> {
    let program = std::env::current_exe().map_err(|error| failed(&error))?;
    let inventory = context.inventory()?;
    Ok(vec![
        program.into(),
        "--inventory".into(),
        inventory.into(),
        "--lab-dir".into(),
        context.lab_folder().into(),
        "lab".into(),
        "serve".into(),
        "--clock".into(),
        args.clock.to_string().into(),
    ])
}

fn up(context: &Context, folder: &LabFolder, args: LabArgs) -> Result<u8, Failure> {
    // Problems of the inventory are told here, with their places, and not in the lab's log.
    system::load(context)?;
    let command = serving(context, args)?;
    let mut say = |line: &str| {
        context
            .terminal
            .tell(&format!("  {}", palette::faint(line)))
    };
    let state = match run::up(folder, &command, &mut say).map_err(|error| told(&error))? {
        Up::Already(state) => {
            context.terminal.tell("The lab is up already.");
            state
        }
        Up::Now(state) => {
            context.terminal.tell("The lab is up.");
            state
        }
    };
    show(context, &state);
    Ok(exit::DONE)
}

fn serve(context: &Context, folder: LabFolder, args: LabArgs) -> Result<u8, Failure> {
    let loaded = system::load(context)?;
    let settings = Settings {
        folder,
        cache: cache(context),
        clock: args.clock,
        program: std::env::current_exe().map_err(|error| failed(&error))?,
        proxy: context.env.variables.get("http_proxy").cloned(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    runtime
        .block_on(run::serve(&loaded.desired, &settings, |line| {
            crate::view::Terminal::new(crate::view::Loudness::default()).tell(line);
        }))
        .map_err(|error| told(&error))?;
    Ok(exit::DONE)
}

/// What labs share: the guests' base image, packages, stand-in images.
fn cache(context: &Context) -> PathBuf {
    context.env.cache.join("lab")
}

fn status(context: &Context, folder: &LabFolder) -> Result<u8, Failure> {
    match run::status(folder).map_err(|error| told(&error))? {
        Status::Up(state) => {
            show(context, &state);
            Ok(exit::DONE)
        }
        Status::Busy { pid } => {
            context.terminal.answer(&format!(
                "The lab is coming up or going down (process {pid}).\n"
            ));
            Ok(exit::DONE)
        }
        Status::Dead { remains } => {
            let mut text = String::from("The lab's process is gone; left on this machine:\n");
            for one in remains {
                let _ = writeln!(text, "  {one}");
            }
            context
                .terminal
                .answer(&(text + "`infra lab down` removes it.\n"));
            Ok(exit::FAILED)
        }
        Status::Down => {
            context.terminal.answer("No lab is up.\n");
            Ok(exit::DONE)
        }
    }
}

fn show(context: &Context, state: &LabState) {
    if context.global.json {
        context.terminal.json(&serde_json::json!({
            "kind": state.kind,
            "system": state.system,
            "api": state.api,
            "clock": state.clock,
            "stand_ins": state.stand_ins,
        }));
        return;
    }
    let mut text = format!(
        "Lab for {}: Proxmox API at https://{} (clock x{}).\nImages that are stand-ins:\n",
        state.system, state.api, state.clock
    );
    for (image, really) in &state.stand_ins {
        let _ = writeln!(text, "  {image}: {really}");
    }
    text.push_str("Speak to it with `infra --lab ...`; end it with `infra lab down`.\n");
    context.terminal.answer(&text);
}
