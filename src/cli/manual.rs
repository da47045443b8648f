//! `infra schema`, `completions`, `man`: what other tools want to know about this one.

use super::{args::Cli, context::Context, exit, failure::Failure};
use clap::CommandFactory as _;

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

/// Prints the manual page.
pub(crate) fn man(context: &Context) -> Result<u8, Failure> {
    let mut out = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut out)
        .map_err(|error| super::failure::failed(&error))?;
    context.terminal.answer(&String::from_utf8_lossy(&out));
    Ok(exit::DONE)
}
