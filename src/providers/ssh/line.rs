//! From an argv to the one line that a login shell reads, and back to the same argv. Pure.

use crate::providers::shell::Command;
use std::time::Duration;

/// libssh2 refuses a packet above 34 744 bytes; a line this long goes through standard input instead.
const LINE_LIMIT: usize = 30_000;

/// Seconds between the polite and the final signal on the far side.
pub const KILL_AFTER: u64 = 5;

/// What is sent for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteLine {
    /// What the login shell reads.
    pub line: String,
    /// What comes before the command's own input: the text of a script that is too long for a line.
    pub preamble: Vec<u8>,
}

/// Why a command cannot be sent at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// No argument can hold a NUL byte.
    #[error("an argument holds a NUL byte")]
    Nul,
    /// The arguments are too long, and they are no script whose text could be sent apart.
    #[error("the arguments are longer than {LINE_LIMIT} bytes")]
    TooLong,
    /// There is nothing to run.
    #[error("there is no program to run")]
    Empty,
}

/// A word that any POSIX login shell (sh, bash, dash, zsh) reads as exactly this text.
/// This is the only place where anything is quoted.
fn quote(word: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ',' | '@');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Several words, each quoted.
pub fn quote_all<I>(words: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let words: Vec<String> = words.into_iter().map(|w| quote(w.as_ref())).collect();
    words.join(" ")
}

/// The far side's own limit, as `timeout` reads it.
fn seconds(limit: Duration) -> String {
    if limit.subsec_nanos() == 0 {
        limit.as_secs().to_string()
    } else {
        format!("{:.3}", limit.as_secs_f64())
    }
}

/// Puts a command on a line: `exec env LC_ALL=C.UTF-8 [sudo -n --] timeout -k 5 N argv...`.
///
/// The far side gets its own limit because closing a channel does not end the process behind it. The locale is fixed
/// so that nothing we read is translated.
///
/// # Errors
/// [`Unsendable`].
pub fn remote_line(command: &Command, login: &str) -> Result<RemoteLine, Unsendable> {
    if command.argv.is_empty() {
        return Err(Unsendable::Empty);
    }
    if command.argv.iter().any(|word| word.contains('\0')) {
        return Err(Unsendable::Nul);
    }
    let mut prefix: Vec<String> = ["exec", "env", "LC_ALL=C.UTF-8"].map(str::to_owned).into();
    if command.root && login != "root" {
        prefix.extend(["sudo", "-n", "--"].map(str::to_owned));
    }
    prefix.extend(["timeout", "-k"].map(str::to_owned));
    prefix.extend([KILL_AFTER.to_string(), seconds(command.timeout)]);
    let line = quote_all(prefix.iter().chain(&command.argv));
    if line.len() <= LINE_LIMIT {
        return Ok(RemoteLine {
            line,
            preamble: Vec::new(),
        });
    }
    let [sh, flag, text, rest @ ..] = command.argv.as_slice() else {
        return Err(Unsendable::TooLong);
    };
    if command.script_name().is_none() {
        return Err(Unsendable::TooLong);
    }
    // `head -c` reads exactly so many bytes from a pipe and leaves the rest to the script.
    let fetch = format!("eval \"$(head -c {})\"", text.len());
    let words = [sh, flag, &fetch];
    let line = quote_all(prefix.iter().chain(words).chain(rest));
    if line.len() > LINE_LIMIT {
        return Err(Unsendable::TooLong);
    }
    Ok(RemoteLine {
        line,
        preamble: text.clone().into_bytes(),
    })
}

/// The same for a person's own terminal: no limit of the far side's, whose `timeout` would take the terminal away.
///
/// # Errors
/// [`Unsendable`].
pub fn terminal_line(command: &Command, login: &str) -> Result<String, Unsendable> {
    if command.argv.is_empty() {
        return Err(Unsendable::Empty);
    }
    if command.argv.iter().any(|word| word.contains('\0')) {
        return Err(Unsendable::Nul);
    }
    let mut words: Vec<String> = ["exec", "env", "LC_ALL=C.UTF-8"].map(str::to_owned).into();
    if command.root && login != "root" {
        words.extend(["sudo", "-n", "--"].map(str::to_owned));
    }
    let line = quote_all(words.iter().chain(&command.argv));
    if line.len() > LINE_LIMIT {
        return Err(Unsendable::TooLong);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        io::Write,
        process::{Command as Process, Stdio},
    };

    /// What a real shell makes of the words.
    fn reread(shell: &str, words: &[String]) -> Vec<u8> {
        let line = format!("printf '%s\\0' {}", quote_all(words));
        let output = Process::new(shell).args(["-c", &line]).output();
        output.expect("a shell runs").stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_real_shell_reads_back_exactly_what_was_quoted(words in prop::collection::vec("[^\0]{0,20}", 1..6)) {
            let expected: Vec<u8> = words.iter().flat_map(|w| [w.as_bytes(), b"\0"].concat()).collect();
            prop_assert_eq!(reread("sh", &words), expected);
        }
    }

    #[test]
    fn words_that_shells_love_survive_bash_and_sh() {
        let words: Vec<String> = [
            "", " ", "'", "''", "\"", "\\", "$HOME", "`id`", "$(id)", "*", "~", "a=b", "=ls", "!",
            "a\nb", "-n", "é", "#",
        ]
        .map(str::to_owned)
        .to_vec();
        let expected: Vec<u8> = words
            .iter()
            .flat_map(|w| [w.as_bytes(), b"\0"].concat())
            .collect();
        for shell in ["sh", "bash"] {
            assert_eq!(reread(shell, &words), expected, "{shell}");
        }
    }

    #[test]
    fn a_line_names_locale_sudo_and_limit() {
        let command = Command::new(["zfs", "list", "tank/my films"]);
        let line = |login| remote_line(&command, login).expect("sendable").line;
        assert_eq!(
            line("root"),
            "exec env 'LC_ALL=C.UTF-8' timeout -k 5 60 zfs list 'tank/my films'"
        );
        assert_eq!(
            line("admin"),
            "exec env 'LC_ALL=C.UTF-8' sudo -n -- timeout -k 5 60 zfs list 'tank/my films'"
        );
        let own = command
            .clone()
            .unprivileged()
            .timeout(Duration::from_millis(400));
        assert_eq!(
            remote_line(&own, "admin").expect("sendable").line,
            "exec env 'LC_ALL=C.UTF-8' timeout -k 5 0.400 zfs list 'tank/my films'"
        );
    }

    #[test]
    fn a_long_script_travels_on_standard_input_and_still_reads_its_own_input() {
        let text = format!("# {}\nprintf '%s|' \"$0\" \"$@\"; cat", "x".repeat(100_000));
        let command = Command::script("infra-long", &text)
            .args(["a b"])
            .stdin("input");
        let sent = remote_line(&command, "root").expect("sendable");
        assert!(sent.line.len() < 200, "{}", sent.line);
        let mut child = Process::new("sh")
            .args(["-c", &sent.line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(&sent.preamble).expect("written");
        stdin.write_all(&command.stdin).expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("ends");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "infra-long|a b|input"
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let refused = |command: &Command| remote_line(command, "root").expect_err("refused");
        assert_eq!(refused(&Command::new(["a\0b"])), Unsendable::Nul);
        assert_eq!(
            refused(&Command::new(Vec::<String>::new())),
            Unsendable::Empty
        );
        assert_eq!(
            refused(&Command::new(["echo".to_owned(), "x".repeat(40_000)])),
            Unsendable::TooLong
        );
    }
}
