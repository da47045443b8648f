//! What a command leaves behind.

/// Exit code and both streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Exit code: 0, 1 failed, 2 usage, 255 for a refused `set`.
    pub code: u8,
    /// Standard output.
    pub stdout: String,
    /// What `send` writes after that.
    pub stream: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Answer {
    /// Success with output.
    pub(super) fn text(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// Success with a complaint.
    pub(super) fn note(stderr: impl Into<String>) -> Self {
        let mut stderr = stderr.into();
        stderr.push('\n');
        Self {
            stderr,
            ..Self::default()
        }
    }

    /// A refusal on standard error.
    pub(super) fn refused(code: u8, stderr: impl Into<String>) -> Self {
        Self {
            code,
            ..Self::note(stderr)
        }
    }

    /// A refusal with the usage of a `zfs` verb behind it.
    pub(super) fn usage(verb: &str, why: impl AsRef<str>) -> Self {
        let mut lines = String::new();
        let mut is_inside = false;
        for line in USAGE.lines() {
            let starts = line.strip_prefix('\t').is_some_and(|l| !l.starts_with(' '));
            if starts || line.is_empty() {
                is_inside = line.trim_start().split(' ').next() == Some(verb);
            }
            if is_inside {
                lines.push_str(line);
                lines.push('\n');
            }
        }
        Self::refused(2, format!("{}\nusage:\n{lines}{HELP}", why.as_ref()))
    }

    /// What an unknown verb of `zfs` is told.
    pub(super) fn all_usage(why: &str) -> Self {
        Self::refused(2, format!("{why}\n{USAGE}{HELP}"))
    }
}

/// The text after `unrecognized command`, as 2.3.9 prints it.
const USAGE: &str = include_str!("usage.txt");

const HELP: &str = "\nFor the property list, run: zfs set|get\n\nFor the delegated permission list, run: zfs allow|unallow\n\nFor further help on a command or topic, run: zfs help [<topic>]";

/// `Err` is a refusal as well; it lets commands end early.
pub(super) type Result<T> = std::result::Result<T, Answer>;

/// `cannot open 'x': dataset does not exist`.
pub(super) fn no_dataset(name: &str) -> Answer {
    Answer::refused(1, format!("cannot open '{name}': dataset does not exist"))
}
