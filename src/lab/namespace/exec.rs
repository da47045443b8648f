//! Programs of the machine: argv in, text out.

use super::error::NamespaceError;
use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

/// A login shell of another user may have no `sbin` in its own.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// When it cannot be started or exits with anything but 0.
pub(super) fn run(argv: &[&str]) -> Result<String, NamespaceError> {
    feed(argv, "")
}

/// Runs a program with this text on its standard input.
///
/// # Errors
/// When it cannot be started or exits with anything but 0.
pub(super) fn feed(argv: &[&str], input: &str) -> Result<String, NamespaceError> {
    let output = finish(argv, input)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(NamespaceError::Failed {
        command: argv.join(" "),
        status: output.status,
        complaint: tail(&output.stderr, &output.stdout),
    })
}

fn finish(argv: &[&str], input: &str) -> Result<Output, NamespaceError> {
    let (program, rest) = argv.split_first().expect("a command has a program");
    let start = |source| NamespaceError::Start {
        program: (*program).to_owned(),
        source,
    };
    let mut child = Command::new(program)
        .args(rest)
        .env("PATH", PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    // Every program that is fed here reads all of its input before it answers at length; one that
    // dies early closes the pipe, and its exit status says more than the broken pipe.
    if let Some(mut stdin) = child.stdin.take()
        && !input.is_empty()
    {
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().map_err(start)
}

/// The last lines of standard error, or of standard output when it is empty.
fn tail(stderr: &[u8], stdout: &[u8]) -> String {
    let bytes = if stderr.iter().all(u8::is_ascii_whitespace) {
        stdout
    } else {
        stderr
    };
    last_lines(&String::from_utf8_lossy(bytes), 12)
}

/// The last `count` lines that are not empty.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_reports_its_words_and_a_missing_one_its_name() {
        assert_eq!(feed(&["cat"], "hello").expect("cat"), "hello");
        let error = run(&["sh", "-c", "echo one; echo two >&2; exit 3"]).expect_err("exit 3");
        assert!(error.to_string().ends_with("two"), "{error}");
        let error = run(&["infra-no-such-program"]).expect_err("missing");
        assert!(error.chain().contains("infra-no-such-program"), "{error}");
    }
}
