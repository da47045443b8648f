//! `infra schema`, `completions`, `man`: what other tools want to know about this one.

use super::{args::Cli, context::Context, exit, failure::Failure};
use clap::{Args, Command, CommandFactory as _};
use std::fmt::Write as _;

/// Prints the JSON Schema of inventory files.
pub(crate) fn schema(context: &Context) -> u8 {
    context.terminal.json(&crate::inventory::schema());
    exit::DONE
}

/// Prints shell completions.
pub(crate) fn completions(context: &Context, shell: clap_complete::Shell) -> u8 {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "infra", &mut out);
    context.terminal.answer(&String::from_utf8_lossy(&out));
    exit::DONE
}

/// Print the manual page.
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// The whole reference, every verb of it, as Markdown (`docs/cli.md`)
    #[arg(long)]
    pub(crate) markdown: bool,
}

/// Prints the manual page, or the reference.
pub(crate) fn man(context: &Context, args: &ManArgs) -> Result<u8, Failure> {
    if args.markdown {
        context.terminal.answer(&reference());
        return Ok(exit::DONE);
    }
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut out)
        .map_err(|error| super::failure::failed(&error))?;
    context.terminal.answer(&String::from_utf8_lossy(&out));
    Ok(exit::DONE)
}

/// The whole reference: exit codes, then every verb. Options that all verbs take are told once, with the program.
fn reference() -> String {
    let mut out = "# Command line\n\nPrinted by `infra man --markdown`. stdout is the answer, stderr is the talk.\n\n\
                   ## Exit codes\n\n| code | meaning |\n|---|---|\n"
        .to_owned();
    for (code, meaning) in exit::MEANINGS {
        let _ = writeln!(out, "| {code} | {meaning} |");
    }
    let mut program = Cli::command();
    program.build();
    section(&mut out, &mut program);
    let mut verbs = Cli::command().mut_args(|arg| {
        let global = arg.is_global_set();
        arg.hide(global)
    });
    verbs.build();
    for verb in verbs.get_subcommands_mut() {
        sections(&mut out, verb);
    }
    out
}

fn sections(out: &mut String, command: &mut Command) {
    section(out, command);
    for verb in command.get_subcommands_mut() {
        sections(out, verb);
    }
}

/// One command's help, without the values that this machine's environment gives its options.
fn section(out: &mut String, command: &mut Command) {
    let name = command.get_bin_name().unwrap_or("infra").to_owned();
    let mut command = command.clone().mut_args(|arg| arg.hide_env_values(true));
    let help = command.render_long_help().to_string();
    let _ = write!(out, "\n## {name}\n\n```text\n");
    for line in help.trim_end().lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push_str("```\n");
}
