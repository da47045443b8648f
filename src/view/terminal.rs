//! Where text goes: stdout is the answer, stderr is the talk.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// How loud and how colourful.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loudness {
    /// Only answers and failures.
    pub quiet: bool,
    /// Everything.
    pub verbose: bool,
    /// No colour, whatever the terminal can.
    pub plain: bool,
}

/// The two streams. Colours are stripped where nobody sees them.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    loudness: Loudness,
}

impl Terminal {
    /// Decides about colour once: `NO_COLOR`, pipes and dumb terminals have none.
    pub fn new(loudness: Loudness) -> Self {
        if loudness.plain {
            anstream::ColorChoice::Never.write_global();
        }
        Self { loudness }
    }

    /// How loud.
    pub fn loudness(&self) -> Loudness {
        self.loudness
    }

    /// Whether progress can be drawn.
    pub fn draws(&self) -> bool {
        std::io::stderr().is_terminal() && !self.loudness.plain
    }

    /// Whether somebody can be asked.
    pub fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Writes the answer. A reader that went away ends nothing but the writing.
    pub fn answer(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// Writes an answer as JSON.
    pub fn json(&self, value: &impl serde::Serialize) {
        let text = serde_json::to_string_pretty(value)
            .unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"));
        self.answer(&(text + "\n"));
    }

    /// Tells something beside the answer.
    pub fn tell(&self, text: &str) {
        if !self.loudness.quiet {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        }
    }

    /// Tells a failure, however quiet.
    pub fn complain(&self, text: &str) {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Asks; the answer is trimmed. None at the end of input.
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut err = anstream::stderr().lock();
        let _ = write!(err, "{question} ").and_then(|()| err.flush());
        drop(err);
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(read) if read > 0 => Some(line.trim().to_owned()),
            Ok(_) | Err(_) => None,
        }
    }
}
