//! What a command leaves behind.

/// Exit code and both streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Exit code: 0, 1 failed, 2 usage, 255 for a refused `set`.
    pub code: u8,
    /// Standard output.
    pub stdout: String,
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

    /// A refusal on standard error.
    pub(super) fn refused(code: u8, stderr: impl Into<String>) -> Self {
        let mut stderr = stderr.into();
        stderr.push('\n');
        Self {
            code,
            stderr,
            ..Self::default()
        }
    }
}

/// `Err` is a refusal as well; it lets commands end early.
pub(super) type Result<T> = std::result::Result<T, Answer>;

/// `cannot open 'x': dataset does not exist`.
pub(super) fn no_dataset(name: &str) -> Answer {
    Answer::refused(1, format!("cannot open '{name}': dataset does not exist"))
}
