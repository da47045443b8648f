//! Commands inside a namespace.

use super::error::ProveError;
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// Programs that a room needs.
const TOOLS: [&str; 6] = [
    "ip",
    "nsenter",
    "iptables-restore",
    "ip6tables-restore",
    "ipset",
    "sh",
];

/// Whether a room can be made here.
pub(super) fn check() -> Result<(), ProveError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ProveError::NotRoot);
    }
    let missing: Vec<String> = TOOLS
        .iter()
        .filter(|tool| {
            let found = Command::new("sh")
                .args(["-c", "command -v \"$1\"", "sh", tool])
                .stdout(Stdio::null())
                .status();
            !found.is_ok_and(|status| status.success())
        })
        .map(|tool| (*tool).to_owned())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ProveError::Tools { tools: missing })
    }
}

/// Runs a program with text on its standard input.
pub(super) fn run(space: &str, argv: &[&str], input: &str) -> Result<String, ProveError> {
    let failed = |stderr: String| ProveError::Command {
        space: space.to_owned(),
        command: argv.join(" "),
        stderr,
    };
    let [program, args @ ..] = argv else {
        return Err(failed("no command".to_owned()));
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stdin = child.stdin.take();
    // Written beside the reading, so that a program that talks much cannot block both.
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input.as_bytes())));
        child.wait_with_output()
    })
    .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(failed(
        String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    ))
}

/// Runs a program in a namespace: nothing but its network is another, which is quicker than `ip netns exec`.
pub(super) fn run_in(space: &str, argv: &[&str], input: &str) -> Result<String, ProveError> {
    let network = format!("--net=/run/netns/{space}");
    let argv = [&["nsenter", network.as_str()], argv].concat();
    run(space, &argv, input)
}
