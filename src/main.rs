//! Parse, run, render the failure, return the exit code. Nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(infra::cli::main(std::env::args_os()))
}
